"""One client's connection: HTTP/1.1 in, scripts out, byte by byte as they say."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Final, cast

import httptools

from deploy.model_simulator.api_errors import error_reply
from deploy.model_simulator.call_log import CUT_BY_CLIENT
from deploy.model_simulator.script import Ending, Step, play_reply
from deploy.model_simulator.simulator import Answer, Request, Simulator

_HEAD_LIMIT_BYTES: Final = 65_536
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)

logger = logging.getLogger("model_simulator")

Route = Callable[[Simulator, Request], Answer]


class Connection(asyncio.Protocol):
    """Read requests one after another and play the script of each; pipelining is refused by closing."""

    def __init__(
        self,
        simulator: Simulator,
        route: Route,
        open_connections: set["Connection"],
        body_limit_bytes: int,
        idle_timeout_seconds: float,
    ) -> None:
        self._simulator = simulator
        self._route = route
        self._open_connections = open_connections
        self._body_limit_bytes = body_limit_bytes
        self._idle_timeout_seconds = idle_timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._answer: Answer | None = None
        self._step: Step | None = None
        self._due_at = 0.0
        self._write_paused = False
        self._keep_alive = True
        self._forget_request()

    # The connection's life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, not for ever."""
        self._transport = cast("asyncio.Transport", transport)
        self._open_connections.add(self)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that are not HTTP close the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the script: whoever runs a call then has left it."""
        self._open_connections.discard(self)
        self._stop_timer()
        self._close_record(CUT_BY_CLIENT)
        self._answer = None

    def pause_writing(self) -> None:
        """Hold the script while the client does not read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on with a script that was held."""
        self._write_paused = False
        if self._step is not None and self._timer is None:
            self._play()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request; one that comes before the last answer's end is refused."""
        if self._answer is not None:
            self._transport.close()
        self._forget_request()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the last of a name wins."""
        self._count_head(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, up to the limit."""
        self._body_bytes += len(body)
        if self._body_bytes <= self._body_limit_bytes:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Find the answer and begin to play it."""
        if self._answer is not None or self._transport.is_closing():
            return
        self._stop_timer()
        self._keep_alive = self._parser.should_keep_alive()
        self._answer = self._find_answer()
        self._due_at = self._loop.time()
        self._take_step()

    # Requests.

    def _forget_request(self) -> None:
        self._url = b""
        self._head_bytes = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_LIMIT_BYTES:
            self._transport.close()

    def _find_answer(self) -> Answer:
        if self._body_bytes > self._body_limit_bytes:
            return Answer(play_reply(error_reply(413, "request_too_large")))
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError:
            return Answer(play_reply(error_reply(400, "invalid_url")))
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=(url.path or b"/").decode("latin-1"),
            query=(url.query or b"").decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
        )
        try:
            return self._route(self._simulator, request)
        except Exception:
            logger.exception("request.failed")
            return Answer(play_reply(error_reply(500, "simulator_defect")))

    def _wait_for_request(self) -> None:
        self._timer = self._loop.call_later(self._idle_timeout_seconds, self._transport.close)

    # Scripts.

    def _take_step(self) -> None:
        """Fetch the next step and play it when it is due."""
        assert self._answer is not None
        step = next(self._answer.script, None)
        self._step = step
        if step is None:
            self._end_answer(Ending.KEEP_ALIVE)
            return
        self._due_at += step.pause_seconds
        self._timer = self._loop.call_at(self._due_at, self._play)

    def _play(self) -> None:
        """Write the step that is due, and those that follow without a pause."""
        self._timer = None
        answer, step = self._answer, self._step
        while answer is not None and step is not None and not self._write_paused:
            if step.data:
                self._transport.write(step.data)
                self._note_status(answer, step.data)
            if step.char_count:
                self._count_text(answer, step.char_count)
            if step.ending is not None:
                self._end_answer(step.ending)
                return
            step = self._step = next(answer.script, None)
            if step is None:
                self._end_answer(Ending.KEEP_ALIVE)
                return
            if step.pause_seconds:
                self._due_at += step.pause_seconds
                self._timer = self._loop.call_at(self._due_at, self._play)
                return

    def _note_status(self, answer: Answer, data: bytes) -> None:
        if answer.record is not None and answer.record.status is None:
            answer.record.status = int(data[9:12])

    def _count_text(self, answer: Answer, char_count: int) -> None:
        record = answer.record
        if record is None:
            return
        if record.first_text_at is None:
            record.first_text_at = self._simulator.now()
        record.chars_sent += char_count
        record.deltas_sent += 1

    def _end_answer(self, ending: Ending) -> None:
        answer = self._answer
        self._step = None
        if answer is not None:
            self._close_record(answer.outcome)
        self._answer = None
        if ending is Ending.RESET:
            # RST instead of FIN: what a crashed peer or a cut wire looks like.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()
        elif ending is Ending.CLOSE or not self._keep_alive:
            self._transport.close()
        else:
            self._wait_for_request()

    def _close_record(self, outcome: str) -> None:
        if self._answer is not None and self._answer.record is not None:
            self._simulator.calls.close(self._answer.record, outcome, self._simulator.now())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
