"""Text as it comes from a model, piece by piece, brought near its one spelling before a viewer sees it."""

import re

from student_records.byte_count import normalise

_PLAIN = re.compile("[\n -~가-힣]*")


class StreamedText:
    """Cleans pieces as they come.

    What may belong to the next piece is held back: half of a surrogate pair, a carriage return, and blanks at the end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._begun = False

    def feed(self, piece: str) -> str:
        """Return what can be shown now; often the piece itself, sometimes nothing."""
        text = self._held + piece
        if not self._begun:
            text = text.lstrip()
        bare = text.rstrip()
        if is_plain(bare):
            self._held = text[len(bare) :]
            self._begun = self._begun or bool(bare)
            return bare
        if bare and "\ud800" <= bare[-1] <= "\udbff":
            bare = bare[:-1]
        self._held = text[len(bare) :]
        # Two halves of one character, that came apart, become one again.
        joined = bare.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _is_broken(bare) else bare
        cleaned = normalise(joined).text
        self._begun = self._begun or bool(cleaned)
        return cleaned


def is_plain(text: str) -> bool:
    """Tell whether a text holds only Korean syllables and printable ASCII, so that it has its one spelling already.

    Nearly all pieces do, and asking is twenty times as fast as normalising them.
    """
    return _PLAIN.fullmatch(text) is not None


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
