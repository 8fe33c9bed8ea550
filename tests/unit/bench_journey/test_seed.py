"""The peer works as the old way did: nothing until all versions are there, one thread for each request."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from openai import OpenAI

from bench.journey.seed import SeedServer, Writer
from bench.journey.submissions import make_submissions
from student_records.byte_count import count_bytes
from student_records.edition import known_school_years, load_edition
from tests.support.model_simulator import ModelSimulator


@contextmanager
def serving(simulator: ModelSimulator, thread_count: int) -> Iterator[int]:
    with OpenAI(base_url=simulator.base_url, api_key="x", max_retries=0) as client:
        writer = Writer(client, load_edition(known_school_years()[-1]), thread_count)
        with SeedServer(("127.0.0.1", 0), writer, thread_count) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()


def post(port: int, body: object, path: str = "/drafts") -> tuple[int, dict[str, object]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_an_answer_holds_three_fitted_texts(model_simulator: ModelSimulator) -> None:
    with serving(model_simulator, 2) as port:
        status, answer = post(port, make_submissions(1, "t")[0])
    assert status == 200
    versions = answer["versions"]
    assert isinstance(versions, list)
    assert [version["version"] for version in versions] == [1, 2, 3]
    assert all(0 < count_bytes(version["text"]) <= 1500 for version in versions)
    assert {call.version for call in model_simulator.calls(str(answer["task_id"]))} == {"1", "2", "3"}


def test_the_versions_of_a_request_are_written_at_once_but_requests_wait_for_a_thread(
    model_simulator: ModelSimulator,
) -> None:
    model_simulator.set_pace(first_text_seconds=0.01, tokens_per_second=2000, delta_seconds=0.01, text_seconds=0.3)
    with serving(model_simulator, 1) as port, ThreadPoolExecutor(2) as clients:
        submissions = make_submissions(2, "w")
        answers = [waiting.result() for waiting in [clients.submit(post, port, body) for body in submissions]]
    assert [status for status, _ in answers] == [200, 200]
    drafts = [call for call in model_simulator.calls() if call.purpose == "draft"]
    first, second = drafts[:3], drafts[3:]
    assert {call.task_id for call in first} != {call.task_id for call in second}
    assert max(call.started_at for call in first) < min(call.ended_at or 0.0 for call in first)
    assert min(call.started_at for call in second) >= max(call.ended_at or 0.0 for call in first)


@pytest.mark.parametrize(("path", "body", "status"), [("/drafts", {"item": "x"}, 400), ("/else", {"item": "x"}, 404)])
def test_what_is_no_submission_is_refused(
    model_simulator: ModelSimulator, path: str, body: object, status: int
) -> None:
    with serving(model_simulator, 1) as port:
        assert post(port, body, path)[0] == status
