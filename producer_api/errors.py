"""Every error of the API; each is one problem document (RFC 9457).

ApiError
├── InvalidRequest          400  `field` names what is wrong, never what it held
├── NotAuthenticated        401
├── OriginRefused           403
├── TaskNotFound            404  unknown, foreign and malformed ids alike
├── RequestTimeout          408
├── KeyReused               409
├── BodyTooLarge            413
├── UnsupportedMediaType    415
├── HostRefused             421
├── TooManyRequests         429
├── KafkaUnavailable        503  Kafka is away, or this process has not read back yet
└── QueueTooLong            503
"""

from typing import ClassVar


class ApiError(Exception):
    """Base of all errors that leave this package; `detail` is for the caller and holds nothing that they sent."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with it."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}

    @property
    def extension(self) -> dict[str, str]:
        """More members of the problem document."""
        return {}


class InvalidRequest(ApiError):
    """The request is not one that this API takes; `field` says where."""

    status = 400
    slug = "invalid-request"
    title = "The request is not valid"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field

    @property
    def extension(self) -> dict[str, str]:
        """Name the field."""
        return {"field": self.field}


class NotAuthenticated(ApiError):
    """No owner could be read from the request."""

    status = 401
    slug = "not-authenticated"
    title = "A valid bearer token is needed"

    @property
    def headers(self) -> dict[str, str]:
        """Name the scheme (RFC 6750)."""
        return {"WWW-Authenticate": "Bearer"}


class OriginRefused(ApiError):
    """A page of another origin wants to write in the caller's name."""

    status = 403
    slug = "origin-refused"
    title = "This page may not use this API"


class TaskNotFound(ApiError):
    """There is no such task of this caller."""

    status = 404
    slug = "task-not-found"
    title = "No such task"


class RequestTimeout(ApiError):
    """The body did not come in time."""

    status = 408
    slug = "request-timeout"
    title = "The body did not arrive in time"


class KeyReused(ApiError):
    """The idempotency key belongs to another body."""

    status = 409
    slug = "idempotency-key-reused"
    title = "The idempotency key belongs to another submission"


class BodyTooLarge(ApiError):
    """The body is over the limit."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(ApiError):
    """The body is not plain JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be application/json"


class HostRefused(ApiError):
    """The request was sent to a name that is not ours."""

    status = 421
    slug = "host-refused"
    title = "This server does not answer to that name"


class TooManyRequests(ApiError):
    """The owner is over their rate."""

    status = 429
    slug = "too-many-requests"
    title = "Too many submissions"


class KafkaUnavailable(ApiError):
    """Kafka has not acknowledged in time, or is known to be away."""

    status = 503
    slug = "kafka-unavailable"
    title = "The request could not be stored"

    def __init__(self, detail: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)


class QueueTooLong(ApiError):
    """The task would not start before its deadline."""

    status = 503
    slug = "queue-too-long"
    title = "Too many tasks are waiting"


API_ERRORS: tuple[type[ApiError], ...] = (
    InvalidRequest,
    NotAuthenticated,
    OriginRefused,
    TaskNotFound,
    RequestTimeout,
    KeyReused,
    BodyTooLarge,
    UnsupportedMediaType,
    HostRefused,
    TooManyRequests,
    KafkaUnavailable,
    QueueTooLong,
)
