from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.commands import Limit, VersionPlan
from contracts.cursor import Position
from contracts.task import OwnerId, TaskId
from contracts.ticket import verify_ticket
from contracts.topics import Topics
from producer_api.accepted_task import AcceptedTask
from producer_api.answers import Answers

KEY = Ed25519PrivateKey.generate()
NOW = datetime.now(UTC).replace(microsecond=123000)
TASK = AcceptedTask(
    task_id=TaskId("a" * 32),
    owner=OwnerId("ann"),
    digest=b"",
    start=Position(3, 7),
    position=Position(3, 9),
    accepted_at=NOW,
    start_deadline=NOW + timedelta(minutes=10),
    end_deadline=NOW + timedelta(minutes=15),
    limit=Limit(characters=500, bytes=1500),
    versions=(VersionPlan(version=1, viewpoint="inquiry", title="탐구 과정"),),
)
ANSWERS = Answers(KEY, Topics(), 3600, "https://relay.example", simulated=True)


def test_a_ticket_reads_one_task_from_its_first_event_on() -> None:
    answer = ANSWERS.task(TASK, "http://api", NOW)
    ticket = verify_ticket(answer.ticket, KEY.public_key())
    assert (ticket.owner, ticket.task_id, ticket.start) == ("ann", TASK.task_id, Position(3, 7))
    assert ticket.expires_at == answer.ticket_expires_at


def test_links_lead_to_the_relay_by_the_partition_and_back_and_hold_no_ticket() -> None:
    links = ANSWERS.task(TASK, "http://api", NOW).links
    assert links.events == f"https://relay.example/v1/partitions/3/tasks/{TASK.task_id}/events"
    assert links.snapshot == f"https://relay.example/v1/partitions/3/tasks/{TASK.task_id}"
    assert links.cancel == f"http://api/v1/tasks/{TASK.task_id}/cancel"


def test_a_repetition_gets_the_same_bytes() -> None:
    first = ANSWERS.task(TASK, "http://api", NOW)
    assert ANSWERS.task(TASK, "http://api", NOW + timedelta(minutes=29)).model_dump_json() == first.model_dump_json()


def test_a_late_repetition_gets_a_fresh_ticket_for_the_same_task() -> None:
    old = replace(TASK, accepted_at=NOW - timedelta(hours=20))
    answer = ANSWERS.task(old, "http://api", NOW)
    assert answer.accepted_at == old.accepted_at
    assert verify_ticket(answer.ticket, KEY.public_key()).task_id == TASK.task_id
    assert answer.ticket_expires_at > NOW + timedelta(minutes=59)


def test_a_stream_can_be_resumed_for_as_long_as_events_are_kept() -> None:
    assert ANSWERS.task(TASK, "http://api", NOW).resumable_until == NOW + timedelta(hours=24)


def test_an_owners_ticket_names_no_task() -> None:
    answer = ANSWERS.ticket(OwnerId("ann"), NOW)
    ticket = verify_ticket(answer.ticket, KEY.public_key())
    assert (ticket.owner, ticket.task_id, ticket.start) == ("ann", None, None)
    assert answer.links.events == "https://relay.example/v1/events"
    assert ticket.expires_at == answer.ticket_expires_at
