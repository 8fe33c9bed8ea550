"""Ask a service of this container whether it is well: `python health.py URL`; exit status 1 when it is not."""

import sys
import urllib.error
import urllib.request

_SECONDS = 3.0
_TAIL_BYTES = 300


def main(url: str) -> int:
    """Return 0 for an answer of 200, else 1."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - the image names the URL
            return int(answer.status != 200)
    except urllib.error.HTTPError as refused:
        print(f"{refused.code} {refused.read(_TAIL_BYTES).decode(errors='replace')}", file=sys.stderr)
        return 1
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        print(type(error).__name__, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
