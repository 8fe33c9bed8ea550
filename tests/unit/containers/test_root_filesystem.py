"""Images from the files of this machine hold what their programs need, and are equal when made twice."""

import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from deploy.containers.root_filesystem import RootFilesystem, libraries_of


def members(write: Callable[[RootFilesystem], None]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(stream(write))) as tar:
        return {entry.name: entry for entry in tar.getmembers()}


def stream(write: Callable[[RootFilesystem], None]) -> bytes:
    output: IO[bytes] = io.BytesIO()
    files = RootFilesystem(output)
    write(files)
    files.close()
    output.seek(0)
    return output.read()


def test_a_program_comes_with_the_libraries_and_the_loader_that_start_it() -> None:
    inside = members(lambda files: files.add_libraries([Path(sys.executable)], own=Path("/nowhere")))
    names = {Path(name).name for name in inside}
    assert {library.name for library in libraries_of(Path(sys.executable))} <= names
    assert {"libc.so.6", "libnss_dns.so.2"} <= names
    assert any(name.startswith("ld-") for name in names)


def test_a_library_that_comes_with_its_programs_is_not_added_again() -> None:
    everywhere = members(lambda files: files.add_libraries([Path(sys.executable)], own=Path("/nowhere")))
    own = next(path.parent for path in libraries_of(Path(sys.executable)) if path.name == "libc.so.6")
    assert everywhere
    with pytest.raises(Exception, match="GNU C library"):
        members(lambda files: files.add_libraries([Path(sys.executable)], own=own))


def test_equal_files_make_an_equal_stream_whatever_their_times_and_owners(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "text").write_text("same")
    (second / "text").touch()
    streams = [stream(lambda files, folder=folder: files.add_tree(folder, "/x")) for folder in (first, second)]  # type: ignore[misc]  # mypy cannot type a lambda with a default
    assert streams[0] == streams[1]


def test_what_a_tree_links_to_is_added_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o700)
    (tmp_path / "link").symlink_to("program")
    inside = members(lambda files: files.add_tree(tmp_path, "/bin"))
    assert {name: (entry.isreg(), oct(entry.mode)) for name, entry in inside.items()} == {
        "bin/link": (True, "0o755"),
        "bin/program": (True, "0o755"),
    }


def test_what_is_not_to_be_kept_is_left_out(tmp_path: Path) -> None:
    for name in ("kept", "left"):
        (tmp_path / name).touch()
    assert set(members(lambda files: files.add_tree(tmp_path, "/", lambda path: path.name == "kept"))) == {"kept"}
