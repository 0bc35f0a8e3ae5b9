"""A child process that hears signals from us only, and never outlives us."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from ovms.local.unprivileged import Account

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def spawn(
    command: Sequence[str | Path],
    *,
    dies_by: signal.Signals,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    account: Account | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program, in a session of its own so that Ctrl-C reaches us alone.

    Where the system can do it (Linux), the kernel sends `dies_by` to the child when the calling thread ends, even by
    SIGKILL: call this from the thread that lives as long as the program.
    """
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
        # The wish must be made in the child, after the change of its user, which would take it back.
        preexec_fn=death_wish(dies_by),  # noqa: PLW1509
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def stop(process: subprocess.Popen[bytes], how: signal.Signals, *, within: float) -> None:
    """Ask a process to end; kill it when it has not after `within` seconds."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def death_wish(dies_by: signal.Signals) -> Callable[[], None] | None:
    """What a child does to be sent `dies_by` when the calling thread ends; None where the system cannot do it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def wish() -> None:
        prctl(_PR_SET_PDEATHSIG, int(dies_by), 0, 0, 0)
        if os.getppid() != parent:  # it died before the wish was made
            os._exit(1)

    return wish
