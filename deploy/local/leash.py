"""Run a command that ends when the process that started it ends, however that happens.

`leash(argv)` is the command to start instead of `argv`: this file, run by the same Python, asks the kernel for
SIGKILL at the parent's death and becomes `argv`, with the same process id. (SIGTERM would leave a paused
process behind for ever.) A function between fork and exec
would do the same, but is not safe in a process that has threads.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def leash(argv: Sequence[str]) -> list[str]:
    """Wrap a command for a start from this process's main thread.

    The kernel watches the starting *thread*, so a start from any other is refused with RuntimeError.
    On other systems than Linux the command comes back as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start this process from the main thread: it ends with the thread that starts it")
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def _become(parent: int, argv: list[str]) -> None:
    import ctypes

    failed = ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if failed or os.getppid() != parent:
        sys.exit("the parent process has already ended")
    os.execv(argv[0], argv)  # noqa: S606 - the command is the caller's


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
