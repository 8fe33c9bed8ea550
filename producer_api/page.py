"""The teacher's page: the files of `web/`, for a machine without a gateway."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}
"""What is served, and as what; nothing else is. Litestar adds the charset to texts."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is now."""

    content: bytes = field(repr=False)
    media_type: str
    etag: str

    def matches(self, if_none_match: Sequence[str]) -> bool:
        """Whether the browser has exactly this (RFC 9110, section 13.1.2)."""
        tags = {tag.strip().removeprefix("W/") for header in if_none_match for tag in header.split(",")}
        return self.etag in tags or "*" in tags


class Page:
    """The files of one directory, read when they are asked for; a browser asks each time whether they changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()

    def find(self, path: str) -> PageFile | None:
        """Return the file of a URL path, or None for what is not part of the page."""
        relative = path.lstrip("/") or "index.html"
        if "\0" in relative or any(part.startswith(".") for part in relative.split("/")):
            return None
        file = (self._directory / relative).resolve()
        media_type = MEDIA_TYPES.get(file.suffix)
        if media_type is None or not file.is_relative_to(self._directory) or not file.is_file():
            return None
        content = file.read_bytes()
        return PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
