"""Run the whole system on this machine: `make run`, or `python -m deploy.local`."""

import fcntl
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from contracts.lifecycle import Stage
from deploy.local.errors import AlreadyRunning, LocalError
from deploy.local.preflight import check_model
from deploy.local.sample_notes import sample_notes
from deploy.local.settings import LocalSettings, adopt_env_file
from deploy.local.supervisor import Supervisor
from deploy.local.system import System
from deploy.local.terminal import show
from deploy.local.viewer import ViewerError, follow, submit


def main() -> int:
    """Run until Ctrl-C; exit status 1 with one sentence when it cannot be done."""
    console = Console(stderr=False, highlight=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        adopt_env_file(Path(".env"), os.environ)
        settings = LocalSettings()
        with _alone(settings.run_directory):
            _run(settings, console)
    except KeyboardInterrupt:
        console.print("stopped")
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else "combination"
        variable = name if name.isupper() else f"DRAFTSTREAM_{name.upper()}"
        print(f"The setting {variable} cannot be used: {problem['msg']}.", file=sys.stderr)
        return 1
    return 0


def _run(settings: LocalSettings, console: Console) -> None:
    if settings.simulated:
        console.print("model: the simulator (no OPENAI_API_KEY): its texts are made up, not written by a model")
    else:
        console.print(f"model: {settings.openai_base_url}")
        check_model(settings.openai_base_url, settings.openai_api_key.get_secret_value(), settings.model_proxy_url)
    with console.status("starting") as status:
        system = System(
            settings,
            told=lambda what, seconds: console.print(f"  {what}: ready in {seconds:.1f} s"),
            progress=lambda what, done, total: status.update(f"installing Kafka: {what} {done}/{total}"),
        )
        system.start()
    try:
        threading.Thread(target=_introduce, args=(system, console), daemon=True).start()
        Supervisor(system, console.print).watch()
    finally:
        console.print("stopping: work in hand is finished or handed over …")
        system.stop()


def _introduce(system: System, console: Console) -> None:
    """Show one sample, then where the page is. In a thread: the supervisor has the main one."""
    try:
        if system.settings.demonstration:
            _demonstrate(system, console)
    except (ViewerError, TimeoutError) as error:
        console.print(f"the sample could not be shown: {error}")
    console.print(f"\nThe page is at [bold]{system.api_url}[/]  ·  API documentation at {system.api_url}/docs")
    console.print("Ctrl-C stops everything.")


def _demonstrate(system: System, console: Console) -> None:
    long = [sample for sample in sample_notes() if sample.item == "subject"]
    sample = random.choice(long)  # noqa: S311 - any of them will do
    console.print(f"\nA teacher's notes ({sample.item}):\n{sample.notes}\n", markup=False)
    task = submit(system.api_url, sample.body)
    state = show(follow(task), console)
    if state is not None and state.stage is not Stage.SUCCEEDED:
        console.print(f"the sample ended as {state.stage}: {state.reason}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, or raise AlreadyRunning with what its owner wrote there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "owner").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(file.read().strip() or "another process") from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


if __name__ == "__main__":
    sys.exit(main())
