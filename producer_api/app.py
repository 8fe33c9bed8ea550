"""The wiring: settings in, a Litestar application out."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.types import Message, Scope

from contracts.ticket import load_private_key
from producer_api.accepted_task import Deadlines
from producer_api.admission import OwnerRates, QueueGate
from producer_api.answers import Answers
from producer_api.caller import CallerReader
from producer_api.documentation import documentation, read_asset
from producer_api.health import Readiness, read_liveness, read_metrics, read_readiness
from producer_api.idempotency import HEADER
from producer_api.intake import Intake, IntakeRules
from producer_api.kafka_connection import KafkaConnection, utc_now
from producer_api.metrics import Metrics
from producer_api.owner import JwtIdentity, LocalIdentity, OwnerIdentity
from producer_api.page import Page
from producer_api.page_routes import PageHeaders, read_page, read_problem
from producer_api.problem_answers import exception_handlers
from producer_api.routes import SET_COOKIE, v1_router
from producer_api.settings import Identity, Settings
from student_records.edition import known_school_years, load_edition

_MIN_SECRET_BYTES = 32
_WEB = Path(__file__).resolve().parent.parent / "web"


def create_app(settings: Settings) -> Litestar:
    """Return the application; raise ValueError or OSError when a key file is not usable."""
    kafka, metrics = KafkaConnection.of(settings), Metrics()
    _measure(kafka, metrics)
    secret = _read_secret(settings.secret_file)
    school_year = load_edition(settings.school_year or max(known_school_years())).school_year
    provided = {
        "settings": settings,
        "intake": _intake(
            settings,
            kafka,
            metrics,
            IntakeRules(
                Deadlines(settings.start_deadline_seconds, settings.run_deadline_seconds),
                settings.kafka_deadline_seconds,
                school_year,
                secret,
            ),
        ),
        "answers": _answers(settings),
        "callers": _callers(settings, secret),
        "default_school_year": school_year,
        "readiness": Readiness(kafka.problem),
        "metrics": metrics,
        "page": Page(_WEB),
        "page_headers": PageHeaders(settings.relay_url),
    }
    pages = [read_page] if settings.serve_web else []
    return Litestar(
        route_handlers=[v1_router(), read_liveness, read_readiness, read_metrics, read_problem, read_asset, *pages],
        dependencies={name: _constant(value) for name, value in provided.items()},
        lifespan=[_lifespan(kafka)],
        exception_handlers=exception_handlers(metrics),
        before_send=[_set_cookie],
        cors_config=_cors(settings),
        openapi_config=documentation(),
        logging_config=None,
    )


def _intake(settings: Settings, kafka: KafkaConnection, metrics: Metrics, rules: IntakeRules) -> Intake:
    return Intake(
        rules,
        settings.topics,
        kafka.publisher,
        kafka.log,
        OwnerRates(settings.owner_rate_per_second, settings.owner_burst_count, settings.owner_count, time.monotonic),
        QueueGate(settings.expected_task_seconds, settings.worker_slot_count, settings.start_deadline_seconds),
        lag=kafka.lag,
        problem=kafka.problem,
        now=utc_now,
        metrics=metrics,
    )


def _answers(settings: Settings) -> Answers:
    return Answers(
        load_private_key(settings.ticket_key_file.read_bytes()),
        settings.topics,
        settings.ticket_ttl_seconds,
        settings.relay_url,
        simulated=settings.simulated,
    )


def _callers(settings: Settings, secret: bytes) -> CallerReader:
    identity = _identity(settings, secret)
    # A bearer token is sent by a program of ours; a cookie by any page that reaches this address under its own name.
    hosts = settings.allowed_hosts if settings.identity is Identity.LOCAL else ("*",)
    return CallerReader(identity, settings.allowed_origins, hosts)


def _identity(settings: Settings, secret: bytes) -> OwnerIdentity:
    if settings.identity is Identity.LOCAL or settings.jwt_public_key_file is None:
        return LocalIdentity(secret)
    pem = settings.jwt_public_key_file.read_bytes()
    return JwtIdentity(pem, settings.jwt_algorithm, settings.jwt_audience, settings.jwt_issuer)


def _read_secret(file: Path) -> bytes:
    secret = file.read_bytes()
    if len(secret) < _MIN_SECRET_BYTES:
        raise ValueError(f"the secret in API_SECRET_FILE must have at least {_MIN_SECRET_BYTES} bytes")
    return secret


def _measure(kafka: KafkaConnection, metrics: Metrics) -> None:
    metrics.gauge("api_ready", "Whether submissions are taken", lambda: kafka.problem() is None)
    metrics.gauge("api_unacknowledged_records", "Records that wait for Kafka", lambda: kafka.publisher.unacknowledged)
    metrics.gauge("api_remembered_tasks", "Tasks known from the requests topic", lambda: len(kafka.log.index))
    metrics.gauge(
        "api_skipped_requests", "Records of the requests topic not understood", lambda: kafka.log.skipped_count
    )
    metrics.gauge(
        "api_queue_lag", "Requests not committed by the workers; NaN: not known", lambda: _number(kafka.lag())
    )


def _number(value: int | None) -> float:
    return float("nan") if value is None else value


def _constant(value: object) -> Provide:
    return Provide(lambda: value, use_cache=True, sync_to_thread=False)


def _lifespan(kafka: KafkaConnection) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        async with kafka.running():
            yield

    return connected


async def _set_cookie(message: Message, scope: Scope) -> None:
    cookie = scope["state"].get(SET_COOKIE)
    if cookie and message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message).add("set-cookie", cookie)


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", HEADER, "traceparent"],
        expose_headers=["Retry-After"],
        allow_credentials=settings.identity is Identity.LOCAL,
    )
