"""The base of every record value: immutable, strict where we write, tolerant where we read."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A value that crosses a process border: frozen and strictly typed; unknown fields are ignored.

    What does not fit is never repeated in an error: it may be a teacher's words.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)
