"""The peer: the old way of working, as a small service.

A request holds one of 200 threads until all versions are written, checked and fitted; only then is there an answer.
It is kind to the original in two ways: the versions of a request are written at once, on threads of their own, and
the checks are the same code as ours. Connections beyond the threads wait without a limit in the executor's queue, as
in Tomcat; the listen backlog is Tomcat's `acceptCount` of 100.
"""

import argparse
import json
import secrets
import socketserver
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

from openai import OpenAI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import override

from stream_processors.revision import RevisionPolicy, mend, shorter_target_characters
from student_records.edition import Edition, known_school_years, load_edition
from student_records.fitting import fit
from student_records.items import Item, SchoolLevel
from student_records.limits import limit_for
from student_records.prompts import Prompt, draft_prompt, rewrite_prompt, shorten_prompt
from student_records.viewpoints import Viewpoint, viewpoints_for

THREAD_COUNT = 200
BACKLOG_COUNT = 100
VERSION_COUNT = 3
_MAX_BODY_BYTES = 65_536


class Submission(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    item: Item
    school_level: SchoolLevel = SchoolLevel.HIGH
    notes: str = Field(min_length=1, max_length=20_000, repr=False)


class Writer:
    """Writes the versions of a submission, at once, and returns when all are done."""

    def __init__(self, client: OpenAI, edition: Edition, thread_count: int) -> None:
        self._client = client
        self._edition = edition
        self._policy = RevisionPolicy()
        self._pool = ThreadPoolExecutor(VERSION_COUNT * thread_count, "version")

    def write(self, submission: Submission) -> dict[str, Any]:
        """Write them all."""
        task_id = secrets.token_hex(16)
        viewpoints = viewpoints_for(self._edition, submission.item, VERSION_COUNT)
        writing = [
            self._pool.submit(self._write_version, submission, viewpoint, {"task_id": task_id, "version": str(number)})
            for number, viewpoint in enumerate(viewpoints, start=1)
        ]
        versions = [{"version": number, "text": task.result()} for number, task in enumerate(writing, start=1)]
        return {"task_id": task_id, "versions": versions}

    def _write_version(self, submission: Submission, viewpoint: Viewpoint, metadata: dict[str, str]) -> str:
        """Draft, check and fit in turn until nothing changes; an empty text is a version that failed."""
        edition, level, item, notes = self._edition, submission.school_level, submission.item, submission.notes
        limit_bytes = limit_for(edition, level, item).bytes
        text = self._ask(draft_prompt(edition, level, item, viewpoint, notes), metadata, "draft")
        rewritten_count = shortened_count = 0
        for _ in range(self._policy.round_count):
            mended = mend(text, edition, item)
            if mended.unmended:
                if rewritten_count == self._policy.rewrite_call_count:
                    return ""
                rewritten_count += 1
                prompt = rewrite_prompt(edition, level, item, viewpoint, notes, mended.text, mended.unmended)
                text = self._ask(prompt, metadata, "rewrite")
                continue
            fitted = fit(mended.text, limit_bytes)
            if fitted.fits and fitted.text == mended.text:
                return fitted.text
            text = fitted.text
            if not fitted.fits:
                if shortened_count == self._policy.shorten_call_count:
                    return ""
                aim = shorter_target_characters(text, limit_bytes, shortened_count)
                text = self._ask(shorten_prompt(edition, level, item, viewpoint, notes, text, aim), metadata, "shorten")
                shortened_count += 1
        return ""

    def _ask(self, prompt: Prompt, metadata: dict[str, str], purpose: str) -> str:
        answer = self._client.responses.create(
            model="gpt-5.4-mini",
            instructions=prompt.instructions,
            input=prompt.input,
            store=False,
            metadata=metadata | {"purpose": purpose, "attempt": "1"},
        )
        return answer.output_text.strip()


class SeedServer(socketserver.TCPServer):
    """Accepts connections and hands each to one of its threads."""

    allow_reuse_address = True
    request_queue_size = BACKLOG_COUNT

    def __init__(self, address: tuple[str, int], writer: Writer, thread_count: int) -> None:
        self.writer = writer
        self._pool = ThreadPoolExecutor(thread_count, "request")
        super().__init__(address, SeedHandler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self._pool.submit(self._serve, request, client_address)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client has gone
        finally:
            self.shutdown_request(request)


class SeedHandler(BaseHTTPRequestHandler):
    """One request on one thread, from its first byte to its last."""

    server: SeedServer

    def do_GET(self) -> None:
        """Tell that it is ready."""
        self._answer(200 if self.path == "/readyz" else 404, {})

    def do_POST(self) -> None:
        """Write drafts."""
        length = int(self.headers.get("Content-Length", "0"))
        if self.path != "/drafts" or not 0 < length <= _MAX_BODY_BYTES:
            self._answer(404, {})
            return
        try:
            submission = Submission.model_validate_json(self.rfile.read(length))
        except ValidationError:
            self._answer(400, {})
            return
        self._answer(200, self.server.writer.write(submission))

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: no log line is measured."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--threads", type=int, default=THREAD_COUNT)
    options = parser.parse_args(arguments)
    client = OpenAI(base_url=options.model_url, api_key="simulated")
    edition = load_edition(known_school_years()[-1])
    writer = Writer(client, edition, options.threads)
    with SeedServer(("127.0.0.1", options.port), writer, options.threads) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
