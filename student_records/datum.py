"""The base of what data files hold."""

from pydantic import BaseModel, ConfigDict


class Datum(BaseModel):
    """A value read from a data file: frozen, and strict about names, so that a typing slip is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
