"""A submission: what a client asks for, validated and in its one spelling."""

import hashlib
import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from contracts.commands import MAX_NOTES_CHARACTERS, MAX_VERSION_COUNT
from producer_api.errors import InvalidRequest
from producer_api.json_body import BODY, parse_object
from student_records.byte_count import normalise
from student_records.items import Item, SchoolLevel

DEFAULT_VERSION_COUNT = 3


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


class Submission(BaseModel):
    """The body of `POST /v1/tasks`. Text, whole numbers and numbers are not taken for each other."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    item: Annotated[Item, Field(strict=False), BeforeValidator(_only_text)] = Field(
        description="Which item of the record the text is for."
    )
    notes: str = Field(
        min_length=1,
        max_length=MAX_NOTES_CHARACTERS,
        repr=False,
        description="The teacher's notes. Control and invisible characters are removed, the rest is composed (NFC).",
    )
    school_level: Annotated[SchoolLevel, Field(strict=False), BeforeValidator(_only_text)] = Field(
        SchoolLevel.HIGH, description="Limits differ between school levels."
    )
    version_count: int = Field(DEFAULT_VERSION_COUNT, ge=1, le=MAX_VERSION_COUNT, description="How many versions.")
    target_ratio: float = Field(
        1.0, ge=0.5, le=1.0, allow_inf_nan=False, description="How much of the limit a version should fill."
    )
    school_year: int | None = Field(None, description="Whose rules apply; without it the current school year's.")

    @field_validator("notes")
    @classmethod
    def _normalise(cls, notes: str) -> str:
        text = normalise(notes).text.strip()
        if not text:
            raise ValueError("hold nothing that can be seen")
        if len(text) > MAX_NOTES_CHARACTERS:  # composing can lengthen a text
            raise ValueError(f"must have at most {MAX_NOTES_CHARACTERS} characters")
        return text

    @property
    def digest(self) -> str:
        """SHA-256 of what is asked for, however it was written; equal for a repeated submission."""
        fields = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(fields.encode()).hexdigest()

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the submission of a body, or raise InvalidRequest."""
        value = parse_object(raw, cls.model_fields)
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise _refusal(error) from None


_PROBLEMS = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "holds half of a surrogate pair",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "enum": "is not one of the known values",
}
_BOUNDS = {
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
}


def _refusal(error: ValidationError) -> InvalidRequest:
    """Say which field is wrong and why, from our own words and bounds alone."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    kind, field = first["type"], str(first["loc"][0]) if first["loc"] else BODY
    if kind == "extra_forbidden":  # its name is the caller's text
        return InvalidRequest(BODY, f"has an unknown field; known are {', '.join(Submission.model_fields)}")
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        return InvalidRequest(field, sentence.format(first["ctx"][name]))
    if kind == "value_error":  # raised by the validators above, in our own words
        return InvalidRequest(field, str(first["ctx"]["error"]))
    return InvalidRequest(field, _PROBLEMS.get(kind, "is not valid"))
