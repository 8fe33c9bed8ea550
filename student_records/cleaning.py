"""Turning what a model answered into the plain text it was asked for."""

import html
import re

from student_records.byte_count import normalise

MOST_CHARACTERS = 100_000

_FENCE_LINE = re.compile(r"^[ \t]{0,3}(?:```|~~~)[^\n]*$", re.MULTILINE)
_SCRIPT = re.compile(r"<(script|style)\b[^<>]{0,200}>[^<]{0,5000}(?:</\1>)?", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z가-힣!][^<>\n]{0,200}>")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t][^\n]*$", re.MULTILINE)
_BOLD_LABEL = re.compile(r"^[ \t]{0,3}\*\*[^*\n]{1,40}\*\*[ \t]*:?[ \t]*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]{0,8}(?:[-*+•▪◦‣●○■□◆◇▶▷►★☆※]|\d{1,2}[.)]|>|[①-⑳])[ \t]+", re.MULTILINE)
_RULE_LINE = re.compile(r"^[ \t]{0,3}(?:[-*_][ \t]?){3,}$", re.MULTILINE)
_EMPHASIS = re.compile(r"\*\*|__|~~|`")
_STAR = re.compile(r"(?<![0-9)\s])\*(?![0-9])|\*(?=[가-힣])")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,200})\]\([^()\n]{0,500}\)")
_ECHO = (
    "반드시 지킬 것",
    "관점:",
    "분량:",
    "고칠 표현:",
    "당신은 ",
    "교사가 읽고 고칠 초안만",
    "교사의 관찰 기록을 바탕으로",
)
_PREAMBLE = re.compile(
    r"(?:물론입니다|네,? ?알겠습니다|알겠습니다|좋습니다)[.!]?"
    r"|(?:다음은|아래는|요청하신)[^\n]{0,120}?(?:입니다|이다|니다)[.:]?"
    r"|[^\n.]{0,40}(?:초안|버전|수정본|다시 쓴 글|줄인 글|세특|특기사항|종합의견)[^\n.]{0,20}:"
)
_EPILOGUE = re.compile(
    r"(?:\(?(?:공백 포함|총|약|글자 ?수)[^\n]{0,40}(?:자|바이트|byte)[^\n]{0,20}\)?)"
    r"|[^\n]{0,120}(?:말씀해 ?주(?:세요|십시오)|도움이 되[^\n]{0,20}|작성(?:하였|했)습니다|반영(?:하였|했)습니다"
    r"|수정(?:하였|했)습니다|필요하시면[^\n]{0,60}|드립니다)[.!]?",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[ ]{2,}")


def strip_traces(text: str) -> str:
    """Return the text that a model wrote without what it wrote around it: one paragraph, normalised.

    Goes: Markdown, code fences, HTML, our own fences and instructions quoted back, a greeting before the
    text and a remark after it. Only the first 100,000 characters are read. What is left may still break
    rules, or be empty.
    """
    plain = _without_marks(normalise(html.unescape(text[:MOST_CHARACTERS])).text)
    lines = [line.strip() for line in plain.split("\n")]
    lines = [line for line in lines if line and not line.startswith(_ECHO)]
    paragraph = " ".join(_without_frame(lines))
    return _unquoted(normalise(_BLANKS.sub(" ", paragraph)).text.strip())


def _unquoted(text: str) -> str:
    is_quoted_whole = text.startswith('"') and text.endswith('"') and text.count('"') == len('""')
    return text[1:-1].strip() if is_quoted_whole else text


def _without_marks(text: str) -> str:
    for pattern in (_FENCE_LINE, _SCRIPT, _TAG, _HEADING, _BOLD_LABEL, _RULE_LINE, _LINE_MARK):
        text = pattern.sub("", text)
    text = _LINK.sub(r"\1", text)
    return _STAR.sub("", _EMPHASIS.sub("", text))


def _without_frame(lines: list[str]) -> list[str]:
    first, last = 0, len(lines)
    while first < last and (opening := _PREAMBLE.match(lines[first])):
        rest = lines[first][opening.end() :].strip()
        if rest:
            return [rest, *lines[first + 1 : _end_of_text(lines, first + 1, last)]]
        first += 1
    return lines[first : _end_of_text(lines, first, last)]


def _end_of_text(lines: list[str], first: int, last: int) -> int:
    while last > first and _EPILOGUE.fullmatch(lines[last - 1]):
        last -= 1
    return last
