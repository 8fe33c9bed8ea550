"""Every error of the contracts.

ContractError
├── RecordError            a Kafka record that cannot be used
│   ├── MalformedRecord    not our shape; `field` names what is wrong, never what it held
│   ├── UnknownType        a type that this release does not know: skip and count
│   └── UnsupportedSchema  a newer major schema version: dead letter
├── CursorError            a resume token that is not one
├── TaskIdError            not a task id
└── TicketError            no right to read
    ├── TicketExpired      was good once: fetch a new one
    └── TicketInvalid      never was good
"""


class ContractError(Exception):
    """Base of all errors of this package."""


class RecordError(ContractError):
    """A Kafka record that cannot be used."""


class MalformedRecord(RecordError):
    """A record that does not have our shape."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownType(RecordError):
    """A record of a type that this release does not know."""


class UnsupportedSchema(RecordError):
    """A record of a newer major schema version."""


class CursorError(ContractError):
    """A resume token that is not one."""


class TaskIdError(ContractError):
    """Text that is not a task id."""


class TicketError(ContractError):
    """No right to read."""


class TicketExpired(TicketError):
    """A ticket whose time is over."""


class TicketInvalid(TicketError):
    """Text that is not a ticket of ours for this use."""
