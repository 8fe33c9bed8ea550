"""The base of every record value: immutable, strict where we write, tolerant where we read."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A value that crosses a process border: frozen and strictly typed; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")
