"""One service as several processes on the same ports (`OVMS_WORKERS`), each as if it were alone.

Their parent serves nobody: it starts them, hands signals on, starts another where one has died, and ends when all have ended.
It starts them by fork, so it never has a thread or an event loop.
"""

import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ovms.local.process import death_wish

# Given the worker's number, from 0, and what to call once it serves; returns the exit status.
Serve: TypeAlias = Callable[[int, Callable[[], None]], int]

MOST_WORKERS: Final = 64
HANDED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
SETTLED: Final = 60.0
"""Seconds after which a worker's death has nothing to do with the one before."""

_HEARD: Final = (*HANDED_ON, signal.SIGCHLD)
_ENDED_WELL: Final = (0, *(-number for number in HANDED_ON))
"""A worker that is told to end before it listens to signals dies by the signal; it has served nobody."""


def run_workers(count: int, serve: Serve, log: Any) -> int:
    """Run a service in so many processes; where one is enough, in this one.

    A worker that returns another status than 0 before it has ever served cannot start: that ends all, with its status. One that
    dies later is started again, even if it then cannot start: the others still serve.

    Args:
        log: told of workers that die.

    Returns:
        What a process that ends has to say: 0 where all has ended well.
    """
    if count == 1:
        return serve(0, lambda: None)
    supervisor = Supervisor(count, log)
    worker = supervisor.supervise()
    return supervisor.status if worker is None else serve(worker.number, worker.has_started)


def delay_after(deaths: int) -> float:
    """Seconds to wait before another worker is started after so many deaths in a row; the first may have been an accident."""
    return 0.0 if deaths < 2 else min(FIRST_DELAY * 2 ** min(deaths - 2, 16), LONGEST_DELAY)


@dataclass(slots=True)
class Worker:
    """A worker, whichever process it is at the moment."""

    number: int
    _board: mmap.mmap
    """A byte a worker, in memory that all processes share: whether it has ever served."""
    pid: int | None = None
    started_at: float = 0.0
    deaths: int = 0
    due_at: float | None = 0.0
    """When to start it; None: it runs."""

    def has_started(self) -> None:
        """Note that it serves; called in its process."""
        self._board[self.number] = 1

    @property
    def has_served(self) -> bool:
        """Whether it ever has."""
        return bool(self._board[self.number])


class Supervisor:
    """The parent's part."""

    def __init__(self, count: int, log: Any) -> None:
        board = mmap.mmap(-1, count)
        self._workers = [Worker(number, board) for number in range(count)]
        self._log = log
        self._is_ending = False
        self._heard, self._hears = os.pipe()
        self.status = 0

    def supervise(self) -> Worker | None:
        """Start the workers and look after them. This returns in each of them, with who it is, and here when all have ended."""
        self._listen()
        while not self._is_ending or self._running():
            for worker in self._due():
                if self._start(worker):
                    return worker
            for number in self._signals():
                if number in HANDED_ON:
                    self._hand_on(number)
            for worker in self._running():
                self._look_after(worker)
        return None

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.pid is not None]

    # ---- signals

    def _listen(self) -> None:
        for end in (self._heard, self._hears):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._hears)
        for number in _HEARD:
            signal.signal(number, lambda *_: None)  # Python writes its number into the pipe

    def _signals(self) -> bytes:
        """Wait for signals, or until a worker is to be started."""
        due = [worker.due_at for worker in self._workers if worker.due_at is not None and not self._is_ending]
        seconds = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([self._heard], [], [], seconds)
        return os.read(self._heard, 4096) if ready else b""

    def _hand_on(self, number: int) -> None:
        if number != signal.SIGHUP:
            self._is_ending = True
        for worker in self._running():
            assert worker.pid is not None
            os.kill(worker.pid, number)

    # ---- lives and deaths

    def _due(self) -> Iterator[Worker]:
        for worker in self._workers:
            if worker.due_at is not None and worker.due_at <= time.monotonic() and not self._is_ending:
                yield worker

    def _start(self, worker: Worker) -> bool:
        """Start a worker; whether this is it."""
        wish = death_wish(signal.SIGTERM)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        worker.due_at, worker.started_at = None, time.monotonic()
        # A signal between the fork and the worker's own handlers would be written into our pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        worker.pid = os.fork() or None
        if worker.pid is None:
            self._leave()
            if wish is not None:
                wish()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        return worker.pid is None

    def _leave(self) -> None:
        """In a worker: hear signals as a program does that has just begun."""
        signal.set_wakeup_fd(-1)
        os.close(self._heard)
        os.close(self._hears)
        for number in _HEARD:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # It would end a worker that does not listen to it yet, and reads everything anew anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _look_after(self, worker: Worker) -> None:
        assert worker.pid is not None
        pid, ended = os.waitpid(worker.pid, os.WNOHANG)
        if not pid:
            return
        worker.pid, status = None, os.waitstatus_to_exitcode(ended)
        if self._is_ending:
            if status not in _ENDED_WELL:
                self._log.error("a worker did not end well", worker=worker.number, status=status)
                self.status = self.status or _exit_status(status)
        elif status > 0 and not worker.has_served:
            self._log.error("a worker cannot start; all end", worker=worker.number, status=status)
            self.status = status
            self._hand_on(signal.SIGTERM)
        else:
            self._plan(worker, status)

    def _plan(self, worker: Worker, status: int) -> None:
        now = time.monotonic()
        worker.deaths = 1 if now - worker.started_at > SETTLED else worker.deaths + 1
        delay = delay_after(worker.deaths)
        worker.due_at = now + delay
        self._log.error("a worker has ended; another is started", worker=worker.number, status=status, after=delay)


def _exit_status(status: int) -> int:
    """As a shell says it of a program that was killed by a signal."""
    return status if status > 0 else 128 - status
