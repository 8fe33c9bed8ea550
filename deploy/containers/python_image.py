"""A Python image without a registry: the Python that runs this, its libraries, a shell, certificates, and pip."""

import hashlib
import shutil
import ssl
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import IO

from deploy.containers.errors import HostUnsuitable
from deploy.containers.root_filesystem import RootFilesystem, is_loadable

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CHANGES = (
    f"ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 SSL_CERT_FILE={_CERTIFICATES}",
    'CMD ["python3"]',
)
# Tests, graphical parts, and what a distribution or a person installed on this machine.
_LEFT_OUT = {"__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tests"}
_LEFT_OUT |= {"tkinter", "turtledemo", "config"}


def fingerprint() -> str:
    """Return what changes when the image would be another one."""
    made_of = f"{sys.version}{sys.base_prefix}{Path(__file__).read_text()}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def write_python(output: IO[bytes]) -> None:
    """Write the image's files as a tar stream; raise HostUnsuitable when this machine lacks a part."""
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    program = Path(sys.executable).resolve()
    modules = [file for file in library.rglob("*.so") if _is_needed(PurePosixPath(file.relative_to(library)))]
    files = RootFilesystem(output)
    files.add_accounts()
    files.add_shell(_busybox())
    files.add_file(program, f"/usr/local/bin/python{VERSION}")
    for name in ("python", "python3"):
        files.add_link(f"/usr/local/bin/{name}", f"python{VERSION}")
    inside = f"/usr/local/lib/python{VERSION}"
    files.add_tree(library, inside, _is_needed)
    # Beside the standard library, because distributions differ in where other packages are looked for.
    files.add_tree(_pip(), f"{inside}/pip", lambda path: "__pycache__" not in path.parts)
    files.add_libraries([program, *filter(is_loadable, modules)], own=library)
    files.add_file(_certificates(), _CERTIFICATES)
    files.close()


def _is_needed(path: PurePosixPath) -> bool:
    first_parts = {part.split("-")[0] if part.startswith("config-") else part for part in path.parts[:-1]}
    return not first_parts & _LEFT_OUT and not path.name.startswith("_tkinter") and path.suffix != ".a"


def _pip() -> Path:
    spec = find_spec("pip")
    if spec is None or spec.origin is None:
        raise HostUnsuitable("The local Python image needs pip: run `make images`, which makes an environment with it.")
    return Path(spec.origin).parent


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise HostUnsuitable("The local Python image needs busybox: run `make system-packages`, or set PYTHON_IMAGE.")
    return Path(found)


def _certificates() -> Path:
    system, chosen = Path(_CERTIFICATES), ssl.get_default_verify_paths().cafile
    if system.exists():
        return system
    if chosen is None:
        raise HostUnsuitable("There are no certificates on this machine: install ca-certificates.")
    return Path(chosen)
