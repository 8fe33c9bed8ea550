"""An image's files, put together from those of this machine: programs with the libraries they load, trees, texts."""

import io
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from deploy.containers.errors import HostUnsuitable

_LDD_SECONDS = 30
_LOADED = re.compile(r"(/\S+) \(0x")
# What the C library opens by name at run time, so that no program lists it.
_NAME_SERVICES = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
# What packages from wheels may count on in every distribution (the manylinux policies).
_EVERYWHERE = ("libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")
APPLETS = (
    *("cat", "chmod", "chown", "cp", "cut", "date", "echo", "env", "false", "grep", "head", "hostname", "id", "kill"),
    *("ln", "ls", "mkdir", "mv", "nc", "printf", "ps", "rm", "sed", "sh", "sleep", "sort", "tail", "test", "touch"),
    *("tr", "true", "wc"),
)


class RootFilesystem:
    """A tar stream of files owned by root, with no times, so that equal files make an equal stream."""

    def __init__(self, output: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=output, mode="w|")  # noqa: SIM115 - `close` ends it
        self._added: set[str] = set()

    def close(self) -> None:
        """Write the end of the stream."""
        self._tar.close()

    def add_file(self, source: Path, inside: str) -> None:
        """Add one file, its links resolved, under a path that begins at the image's root."""
        if inside in self._added:
            return
        self._added.add(inside)
        real = source.resolve()
        entry = tarfile.TarInfo(inside.lstrip("/"))
        entry.size = real.stat().st_size
        entry.mode = 0o755 if real.stat().st_mode & stat.S_IXUSR else 0o644
        with real.open("rb") as content:
            self._tar.addfile(entry, content)

    def add_tree(self, source: Path, inside: str, keep: Callable[[PurePosixPath], bool] = lambda path: True) -> None:
        """Add the files below a folder whose path, relative to it, is to be kept."""
        for file in sorted(source.rglob("*")):
            relative = PurePosixPath(file.relative_to(source))
            if file.is_file() and keep(relative):
                self.add_file(file, f"{inside}/{relative}")

    def add_text(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Add a text file."""
        content = text.encode()
        entry = tarfile.TarInfo(inside.lstrip("/"))
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))

    def add_folder(self, inside: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add an empty folder; `owner` is user and group."""
        entry = tarfile.TarInfo(inside.lstrip("/"))
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
        self._tar.addfile(entry)

    def add_link(self, inside: str, target: str) -> None:
        """Add a symbolic link."""
        entry = tarfile.TarInfo(inside.lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def add_libraries(self, programs: Iterable[Path], own: Path) -> None:
        """Add what these programs and libraries load, and what the C library loads for them.

        All goes where the C library is, because the loader looks there whatever a program was linked with.
        What lies in `own` comes with the programs and is found next to them.
        """
        loaded = {path for program in programs for path in libraries_of(program) if not path.is_relative_to(own)}
        home = _folder_of_c_library(loaded)
        loaded |= {home / name for name in (*_NAME_SERVICES, *_EVERYWHERE) if (home / name).exists()}
        for library in sorted(loaded):
            inside = library if library.name.startswith("ld-") else home / library.name
            self.add_file(library, str(inside))

    def add_shell(self, busybox: Path) -> None:
        """Add a shell and the small programs that scripts and builds call."""
        self.add_file(busybox, "/bin/busybox")
        for name in APPLETS:
            self.add_link(f"/bin/{name}", "busybox")
        self.add_link("/usr/bin/env", "/bin/busybox")

    def add_accounts(self, **users: int) -> None:
        """Add root, other users by number, and how names of hosts are found."""
        accounts = {"root": 0, **users}
        self.add_text("/etc/passwd", "".join(f"{name}:x:{id_}:{id_}::/tmp:/bin/sh\n" for name, id_ in accounts.items()))
        self.add_text("/etc/group", "".join(f"{name}:x:{id_}:\n" for name, id_ in accounts.items()))
        self.add_text("/etc/nsswitch.conf", "hosts: files dns\n")
        self.add_folder("/tmp", mode=0o1777)  # noqa: S108 - the image's own


def libraries_of(program: Path) -> set[Path]:
    """Return the libraries a program loads on this machine; those that are missing here are left out."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False, timeout=_LDD_SECONDS)
    return {Path(path) for path in _LOADED.findall(listed.stdout)}


def is_loadable(path: Path) -> bool:
    """Tell whether a file is a program or a library in the format of Linux (ELF)."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _folder_of_c_library(loaded: Iterable[Path]) -> Path:
    for library in loaded:
        if library.name == "libc.so.6":
            return library.parent
    raise HostUnsuitable(
        "Images can be put together only from the files of a Linux with the GNU C library: "
        "use public images (KAFKA_IMAGE, PYTHON_IMAGE) instead."
    )
