"""Ctrl-C for us alone.

A terminal sends SIGINT to every program in its foreground. `make` among them would end by that signal, whatever status we end
with; so we become a foreground of our own for as long as we run. Ctrl-Z does nothing meanwhile: it would stop us, not `make`,
and leave the terminal to nobody.
"""

import os
import signal
from typing import Self


class Foreground:
    """A context manager: where we are in the foreground of a terminal with others, we have it to ourselves."""

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._former = 0

    def __enter__(self) -> Self:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # there is no terminal
            return self
        group = os.getpgrp()
        if os.tcgetpgrp(terminal) == group != os.getpid():
            for unwanted in (signal.SIGTTOU, signal.SIGTSTP):
                signal.signal(unwanted, signal.SIG_IGN)
            os.setpgid(0, 0)
            os.tcsetpgrp(terminal, os.getpid())
            self._terminal, self._former = terminal, group
        else:
            os.close(terminal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal is not None:
            os.tcsetpgrp(self._terminal, self._former)
            os.close(self._terminal)
            self._terminal = None
