"""Which pages may write in the caller's name, and which names this server answers to."""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from producer_api.errors import HostRefused, OriginRefused


def require_own_origin(origins: Sequence[str], host: str, allowed_origins: Collection[str]) -> None:
    """Raise OriginRefused when a page of another origin sends a request that writes.

    A cookie's SameSite does not tell two ports of one machine apart, so the Origin header is compared as well. Without
    one it is no browser, or an old one that sends no cookie across sites.
    """
    for origin in origins:
        if origin not in allowed_origins and urlsplit(origin).netloc.lower() != host.lower():
            raise OriginRefused("add its origin to API_ALLOWED_ORIGINS if it should")


def require_known_host(host: str, allowed_hosts: Collection[str]) -> None:
    """Raise HostRefused for a name that is not ours: another site's name may have been pointed at this address."""
    if "*" in allowed_hosts:
        return
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in allowed_hosts:
        raise HostRefused("add its name to API_ALLOWED_HOSTS if it should")
