"""What machines ask: alive, ready, and the metrics."""

from collections.abc import Callable
from typing import Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict

from producer_api.metrics import Metrics


class Readiness:
    """Why the service can or cannot take submissions."""

    def __init__(self, problem: Callable[[], str | None]) -> None:
        self.problem = problem


class ReadinessAnswer(BaseModel):
    """Whether submissions are taken; `problem` is for an operator."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ready", "not ready"]
    problem: str | None = None


@get("/livez", include_in_schema=False, media_type="text/plain")
async def read_liveness() -> str:
    """Say that the process runs; nothing that Kafka does changes it."""
    return "alive"


@get("/readyz", include_in_schema=False)
async def read_readiness(readiness: NamedDependency[Readiness]) -> Response[ReadinessAnswer]:
    """Say whether Kafka can be reached, the topics are right and the requests are read back."""
    problem = readiness.problem()
    answer = ReadinessAnswer(status="not ready" if problem else "ready", problem=problem)
    return Response(answer, status_code=503 if problem else 200)


@get("/metrics", include_in_schema=False)
async def read_metrics(metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Return the metrics for Prometheus."""
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
