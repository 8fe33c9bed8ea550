"""The caller of a request: who they are, and whether the request may come from where it comes from."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from contracts.task import OwnerId
from producer_api.origin import require_known_host, require_own_origin
from producer_api.owner import Credentials, OwnerIdentity
from producer_api.traceparent import read_traceparent

HeaderValues = Callable[[str], Sequence[str]]
"""Returns all values of a header, by its name."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, the trace that it belongs to, and the cookie to set when the owner is new."""

    owner: OwnerId
    traceparent: str = ""
    set_cookie: str = ""


class CallerReader:
    """Reads the caller from a request's headers."""

    def __init__(
        self, identity: OwnerIdentity, allowed_origins: Collection[str], allowed_hosts: Collection[str]
    ) -> None:
        self._identity = identity
        self._allowed_origins = allowed_origins
        self._allowed_hosts = allowed_hosts

    def read(self, header: HeaderValues, *, secure: bool) -> Caller:
        """Return the caller; raise HostRefused, OriginRefused, NotAuthenticated or InvalidRequest."""
        host = next(iter(header("host")), "")
        require_known_host(host, self._allowed_hosts)
        require_own_origin(header("origin"), host, self._allowed_origins)
        credentials = Credentials(header("authorization"), header("cookie"), secure)
        identified = self._identity.identify(credentials)
        return Caller(identified.owner, read_traceparent(header("traceparent")), identified.set_cookie)
