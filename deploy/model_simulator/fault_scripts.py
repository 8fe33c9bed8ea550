"""The script of every fault."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import orjson

from deploy.model_simulator.api_errors import error_reply
from deploy.model_simulator.faults import FaultName, FaultParams
from deploy.model_simulator.frames import (
    KEEP_ALIVE_COMMENT,
    LAST_CHUNK,
    Reply,
    write_chunk,
    write_event,
    write_head,
    write_reply,
)
from deploy.model_simulator.generation_call import GenerationCall
from deploy.model_simulator.pace import Timing
from deploy.model_simulator.phrases import (
    FOREIGN_TEXT,
    HTML_TEXT,
    MARKDOWN_TEXT,
    ONE_WORD_TEXT,
    OTHER_STUDENT_TEXT,
    REFUSAL_TEXT,
)
from deploy.model_simulator.prose import write_clean_text, write_flawed_text
from deploy.model_simulator.responses_api import Finish
from deploy.model_simulator.script import (
    Ending,
    Performance,
    Script,
    Step,
    perform,
    play_head,
    play_reply,
    play_text,
    write_whole,
)

LONGEST_SILENCE_SECONDS: Final = 3600.0
_RESET_DELAY_SECONDS: Final = 0.02
_HTML_PAGE: Final = b"<!doctype html><html><body><h1>502 Bad Gateway</h1>simulated</body></html>"


@dataclass(frozen=True, slots=True)
class Scene:
    """A good performance, and the knobs that spoil it."""

    show: Performance
    call: GenerationCall
    params: FaultParams


Play = Callable[[Scene], Script]


def play_status(status: int, scene: Scene, error_code: str | None = None, html: bool = False) -> Script:
    """Answer with an error status."""
    params = scene.params
    headers = list(scene.show.headers)
    if params.retry_after_seconds is not None:
        headers.append(("retry-after", f"{params.retry_after_seconds:g}"))
    if params.retry_after_ms is not None:
        headers.append(("retry-after-ms", f"{params.retry_after_ms:g}"))
    if html:
        return play_reply(Reply(status, "text/html", _HTML_PAGE, tuple(headers)))
    return play_reply(error_reply(status, params.error_code or error_code, headers=tuple(headers)))


def _status(status: int, error_code: str | None = None, html: bool = False) -> Play:
    return lambda scene: play_status(status, scene, error_code, html)


def _play_any_status(scene: Scene) -> Script:
    return play_status(scene.params.code, scene)


def _play_redirect(scene: Scene) -> Script:
    headers = (*scene.show.headers, ("location", scene.params.location))
    return play_reply(Reply(302, "text/plain", b"", headers))


def _finish(finish: Finish, scene: Scene) -> Script:
    """End early with another finish than a good one, after the first deltas."""
    show = scene.show
    pieces = list(play_text(show, scene.params.after))
    text = show.text[: sum(piece.char_count for piece in pieces)]
    return perform(replace(show, text=text, finish=finish))


def _play_failed(scene: Scene) -> Script:
    show = scene.show
    if not show.stream:
        yield from perform(replace(show, text="", finish="failed"))
        return
    yield from _begin(scene)
    yield Step(0, write_chunk(show.dialect.closing("", "failed")) + LAST_CHUNK)


def _play_refusal(scene: Scene) -> Script:
    return perform(replace(scene.show, text=scene.params.text or REFUSAL_TEXT))


def _begin(scene: Scene) -> Script:
    yield from play_head(scene.show)
    yield from play_text(scene.show, scene.params.after)


def _then(data: Callable[[Scene], bytes], ending: Ending | None = None) -> Play:
    """Send something else after the first deltas; without streaming it stands in the place of the answer."""

    def play(scene: Scene) -> Script:
        if scene.show.stream:
            yield from _begin(scene)
            yield Step(0, write_chunk(data(scene)) + LAST_CHUNK, ending=ending)
        else:
            yield from play_reply(Reply(200, "application/json", data(scene), scene.show.headers))

    return play


def _error_event(scene: Scene) -> bytes:
    if scene.show.stream:
        return scene.show.dialect.error_event("server_error", "The simulated model failed.")
    return orjson.dumps({"type": "error", "code": "server_error", "message": "The simulated model failed."})


def _error_object(scene: Scene) -> bytes:
    value = {"error": {"message": "The simulated model failed.", "type": "server_error", "code": "server_error"}}
    return write_event("error", value) if scene.show.stream else orjson.dumps(value)


def _bad_json(scene: Scene) -> bytes:
    return b'data: {"type": "response.output_text.del\n\n' if scene.show.stream else b'{"id": "resp'


def _bad_utf8(scene: Scene) -> bytes:
    return b'data: {"delta": "\xff\xfe\xb0"}\n\n' if scene.show.stream else b'{"id": "\xff\xfe\xb0"}'


def _play_no_final_event(scene: Scene) -> Script:
    if not scene.show.stream:
        yield from play_reply(Reply(200, "application/json", b"", scene.show.headers))
        return
    yield from _begin(scene)
    yield Step(0, LAST_CHUNK)


def _play_html_200(scene: Scene) -> Script:
    return play_reply(Reply(200, "text/html", _HTML_PAGE, scene.show.headers))


def _play_json_error_200(scene: Scene) -> Script:
    failure = error_reply(500, "server_error")
    return play_reply(failure._replace(status=200, headers=scene.show.headers))


def _leave(ending: Ending, scene: Scene) -> Script:
    """Drop the connection in the middle of the answer."""
    if scene.show.stream:
        yield from _begin(scene)
    else:
        whole = write_whole(scene.show)
        yield Step(scene.show.timing.first_text_seconds, whole[: -len(whole) // 4])
    yield Step(_RESET_DELAY_SECONDS, b"", ending=ending)


def _play_close_before_head(scene: Scene) -> Script:
    yield Step(scene.show.timing.first_text_seconds * 0.3, b"", ending=Ending.CLOSE)


def _play_bad_framing(scene: Scene) -> Script:
    if scene.show.stream:
        yield from _begin(scene)
        yield Step(0, b"no-such-size\r\nsimulated\r\n", ending=Ending.CLOSE)
    else:
        reply = Reply(200, "application/json", b'{"id": ', scene.show.headers)
        yield Step(0, write_reply(reply, length=500), ending=Ending.CLOSE)


def _play_stall(scene: Scene) -> Script:
    """Fall silent; after `seconds` go on as if nothing had been."""
    seconds = scene.params.seconds
    if scene.show.stream:
        steps = perform(scene.show)
        for _ in range(2 + scene.params.after):
            if (step := next(steps, None)) is not None:
                yield step
    else:
        whole = write_whole(scene.show)
        half = len(whole) // 2
        yield Step(scene.show.timing.first_text_seconds, whole[:half])
        steps = iter((Step(0, whole[half:], len(scene.show.text)),))
    if seconds is None:
        yield Step(LONGEST_SILENCE_SECONDS, b"", ending=Ending.CLOSE)
        return
    yield Step(seconds, b"")
    yield from steps


def _play_comments_forever(scene: Scene) -> Script:
    """Keep the connection busy without a word; without streaming, blanks before a JSON object that never comes."""
    pause_seconds = max(scene.params.seconds or 1.0, 0.01)
    if scene.show.stream:
        yield from _begin(scene)
        beat = write_chunk(KEEP_ALIVE_COMMENT)
    else:
        headers = (("content-type", "application/json"), ("transfer-encoding", "chunked"))
        yield Step(0, write_head(200, (*scene.show.headers, *headers)))
        beat = write_chunk(b" ")
    for _ in range(int(LONGEST_SILENCE_SECONDS / pause_seconds)):
        yield Step(pause_seconds, beat)
    yield Step(0, b"", ending=Ending.CLOSE)


def _play_no_headers(scene: Scene) -> Script:
    yield Step(scene.params.seconds or LONGEST_SILENCE_SECONDS, b"", ending=Ending.CLOSE)


def _play_slow_first_text(scene: Scene) -> Script:
    seconds = 30.0 if scene.params.seconds is None else scene.params.seconds
    return perform(replace(scene.show, timing=scene.show.timing._replace(first_text_seconds=seconds)))


def _play_drip(scene: Scene) -> Script:
    """Send one character each second, or each `seconds`."""
    first = scene.show.timing.first_text_seconds
    seconds = 1.0 if scene.params.seconds is None else scene.params.seconds
    return perform(replace(scene.show, timing=Timing(first, 1, seconds)))


def _play_huge_line(scene: Scene) -> Script:
    """Send one line of `size_bytes` that never becomes an event."""
    if not scene.show.stream:
        return play_reply(Reply(200, "application/json", b" " * scene.params.size_bytes, scene.show.headers))
    return _huge_line_steps(scene)


def _huge_line_steps(scene: Scene) -> Script:
    yield from _begin(scene)
    block = b"x" * 65_536
    yield Step(0, write_chunk(b'data: {"delta": "'))
    for _ in range(scene.params.size_bytes // len(block) + 1):
        yield Step(0, write_chunk(block))
    yield Step(0, write_chunk(b'"}\n\n') + LAST_CHUNK)


def _play_huge_text(scene: Scene) -> Script:
    """Send `size_bytes` of text as fast as the caller reads."""
    sentence = write_clean_text(scene.call) + " "
    text = sentence * (scene.params.size_bytes // len(sentence.encode()) + 1)
    timing = Timing(scene.show.timing.first_text_seconds, 20_000, 0)
    return perform(replace(scene.show, text=text, timing=timing))


def _play_empty_text(scene: Scene) -> Script:
    return perform(replace(scene.show, text="", finish="stop"))


def _text(write: Callable[[Scene], str]) -> Play:
    """Answer well, but with another text."""
    return lambda scene: perform(replace(scene.show, text=write(scene), finish="stop"))


def _echo_prompt(scene: Scene) -> str:
    return f"다음은 지시 사항입니다. {scene.call.instructions or scene.call.notes}"


PLAYS: Final[dict[FaultName, Play]] = {
    FaultName.RATE_LIMITED: _status(429, "rate_limit_exceeded"),
    FaultName.QUOTA_EXHAUSTED: _status(429, "insufficient_quota"),
    FaultName.SERVER_ERROR: _status(500),
    FaultName.SERVER_ERROR_HTML: _status(500, html=True),
    FaultName.OVERLOADED: _status(503, "overloaded"),
    FaultName.OVERLOADED_HTML: _status(503, html=True),
    FaultName.BAD_REQUEST: _status(400, "invalid_value"),
    FaultName.UNAUTHORISED: _status(401, "invalid_api_key"),
    FaultName.FORBIDDEN: _status(403, "unsupported_country_region_territory"),
    FaultName.NOT_FOUND: _status(404, "model_not_found"),
    FaultName.REQUEST_TIMEOUT: _status(408),
    FaultName.CONFLICT: _status(409),
    FaultName.UNPROCESSABLE: _status(422),
    FaultName.REDIRECT: _play_redirect,
    FaultName.STATUS: _play_any_status,
    FaultName.FAILED: _play_failed,
    FaultName.INCOMPLETE_LENGTH: partial(_finish, "length"),
    FaultName.INCOMPLETE_FILTER: partial(_finish, "content_filter"),
    FaultName.REFUSAL: _play_refusal,
    FaultName.ERROR_EVENT: _then(_error_event),
    FaultName.ERROR_OBJECT: _then(_error_object),
    FaultName.NO_FINAL_EVENT: _play_no_final_event,
    FaultName.HTML_200: _play_html_200,
    FaultName.JSON_ERROR_200: _play_json_error_200,
    FaultName.CUT: partial(_leave, Ending.CLOSE),
    FaultName.RESET: partial(_leave, Ending.RESET),
    FaultName.CLOSE_BEFORE_HEAD: _play_close_before_head,
    FaultName.BAD_FRAMING: _play_bad_framing,
    FaultName.BAD_JSON: _then(_bad_json),
    FaultName.BAD_UTF8: _then(_bad_utf8),
    FaultName.STALL: _play_stall,
    FaultName.COMMENTS_FOREVER: _play_comments_forever,
    FaultName.NO_HEADERS: _play_no_headers,
    FaultName.SLOW_FIRST_TEXT: _play_slow_first_text,
    FaultName.DRIP: _play_drip,
    FaultName.PACE: lambda scene: perform(scene.show),
    FaultName.HUGE_LINE: _play_huge_line,
    FaultName.HUGE_TEXT: _play_huge_text,
    FaultName.EMPTY_TEXT: _play_empty_text,
    FaultName.BLANK_TEXT: _text(lambda scene: " \n\u200b "),
    FaultName.FOREIGN_TEXT: _text(lambda scene: FOREIGN_TEXT * 2),
    FaultName.MARKDOWN: _text(lambda scene: MARKDOWN_TEXT),
    FaultName.HTML_TEXT: _text(lambda scene: HTML_TEXT),
    FaultName.PROMPT_ECHO: _text(_echo_prompt),
    FaultName.OTHER_STUDENT: _text(lambda scene: OTHER_STUDENT_TEXT),
    FaultName.TOO_LONG: _text(lambda scene: write_clean_text(scene.call, scale=2.0)),
    FaultName.ONE_WORD: _text(lambda scene: ONE_WORD_TEXT),
    FaultName.FORBIDDEN_TERM: _text(lambda scene: write_flawed_text(scene.call)),
    FaultName.CLEAN_TEXT: _text(lambda scene: write_clean_text(scene.call)),
    FaultName.FIXED_TEXT: _text(lambda scene: scene.params.text or ""),
}

ENDS_WELL: Final = frozenset(
    {
        FaultName.STALL,
        FaultName.SLOW_FIRST_TEXT,
        FaultName.DRIP,
        FaultName.PACE,
        FaultName.HUGE_TEXT,
        FaultName.EMPTY_TEXT,
        FaultName.BLANK_TEXT,
        FaultName.FOREIGN_TEXT,
        FaultName.MARKDOWN,
        FaultName.HTML_TEXT,
        FaultName.PROMPT_ECHO,
        FaultName.OTHER_STUDENT,
        FaultName.TOO_LONG,
        FaultName.ONE_WORD,
        FaultName.FORBIDDEN_TERM,
        FaultName.CLEAN_TEXT,
        FaultName.FIXED_TEXT,
    }
)
"""Faults whose answer reaches its good end when the caller waits for it."""
