from typing import Any

import pytest
from structlog.testing import capture_logs

from stream_processors.model_settings import ModelSettings
from stream_processors.warm_up import warm_up
from student_records.edition import load_edition


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(**{"base_url": "http://127.0.0.1:1/v1", "simulated": True, **changes})


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_warm_up_needs_nobody_at_the_other_end_and_leaves_the_rules_read(api: str) -> None:
    load_edition.cache_clear()
    with capture_logs() as logs:
        await warm_up(settings(api=api))
    assert [entry["event"] for entry in logs] == ["worker.warmed_up"]
    assert load_edition.cache_info().currsize == 1


async def test_a_warm_up_that_fails_is_told_and_stops_nobody() -> None:
    with capture_logs() as logs:
        await warm_up(settings(line_bytes=1))
    assert [(entry["event"], entry["error"]) for entry in logs] == [("worker.not_warmed_up", "ModelError")]
