"""The rules of an edition as data: what a rule looks for, and what it says when it finds it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from contracts.findings import Fix, Severity
from student_records.datum import Datum
from student_records.items import Item


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, dict) else value


Replacements = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]
"""A JSON object from term to suggestion, kept as pairs so that rules stay hashable."""


Reads = Literal["", "hanja", "script", "emoji", "symbol", "latin", "endings", "own-school", "roster"]
"""What a rule reads beside its signals: kinds of characters, sentence endings, names that the context holds."""


class Signal(Datum):
    """One thing that a rule looks for.

    `terms` and the keys of `replacements` are words: a blank in them may be missing in the text, and `*` at
    an end says that Korean letters may go on there; otherwise only particles may follow. `pattern` is a
    regular expression for what words cannot say; its group `term`, where there is one, is what is marked.
    One of `near` has to stand in the same clause (or sentence, at most `reach` characters away where that
    is given) and none of `unless`; `not_before` and `not_after` are looked at right behind and right
    before the match. What is empty or absent here is taken from the rule.
    """

    terms: tuple[str, ...] = ()
    replacements: Replacements = ()
    pattern: str = ""
    suggestions: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    not_before: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    within: Literal["clause", "sentence"] = "clause"
    reach: int = 0
    exact_case: bool = False
    severity: Severity | None = None
    fix: Fix | None = None
    reason: str = ""
    in_titles: bool = False


class Rule(Datum):
    """One rule of the guide, with the clause it stands in and the signals that it is broken."""

    id: str
    category: str
    clause: str
    severity: Severity
    fix: Fix
    reason: str
    dismissible: bool = True
    reads: Reads = ""
    items: tuple[Item, ...] = ()
    except_items: tuple[Item, ...] = ()
    signals: tuple[Signal, ...] = ()

    def applies_to(self, item: Item) -> bool:
        """Tell whether the rule looks at texts of an item."""
        return (not self.items or item in self.items) and item not in self.except_items


class RuleSet(Datum):
    """The rules of an edition.

    `unread` is what is said about text beyond what is read; `exceptions` are phrases inside which nothing
    is found; `title_cues` say that a quotation in straight marks is the title of a work;
    `permitted_characters` are the signs that may stand beside Korean and Latin letters and digits;
    `permitted_latin` are the Latin words that need no Korean.
    """

    rules: tuple[Rule, ...]
    unread: Rule
    exceptions: tuple[str, ...] = ()
    title_cues: tuple[str, ...] = ()
    permitted_characters: str = ""
    permitted_latin: tuple[str, ...] = ()
