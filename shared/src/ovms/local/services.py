"""Programs that belong together: started one after the other, each when the last one is ready, and stopped in reverse."""

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ovms.local.errors import ServerFailed
from ovms.local.process import spawn, stop
from ovms.local.signals import StopSignals

READY_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 20.0
"""For what does not say that it needs longer."""
_ANSWER_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A program; secrets go to it in its environment, never in its command, which everyone on the machine can read."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    ready_url: str | None = None
    """Answers 200 once it is ready; None: it is so at once."""
    stop_timeout: float = STOP_TIMEOUT
    """Seconds after which it is killed where it has not ended."""


class Services:
    """The programs that run at the moment."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def start(self, service: Service) -> None:
        """Start a program and wait until it is ready, or until we are asked to stop.

        Raises:
            ServerFailed: it cannot be started, is not ready in time, or one of the programs has ended.
        """
        if self._signals.received:
            return
        try:
            process = spawn(service.command, dies_by=signal.SIGKILL, environment=service.environment)
        except OSError as error:
            raise ServerFailed(service.name, str(error)) from error
        self._running.append((service, process))
        deadline = time.monotonic() + READY_TIMEOUT
        while not (self._signals.received or _is_ready(service)):
            self.check()
            if time.monotonic() > deadline:
                raise ServerFailed(service.name, f"not ready after {READY_TIMEOUT:g} s")
            self._signals.pause()

    def check(self) -> None:
        """Make sure that every program still runs.

        Raises:
            ServerFailed: one has ended.
        """
        for service, process in self._running:
            if (status := process.poll()) is not None:
                ended = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
                raise ServerFailed(service.name, ended)

    def stop(self) -> None:
        """Stop all, the last one first; kill what does not end in time."""
        while self._running:
            service, process = self._running.pop()
            stop(process, signal.SIGTERM, within=service.stop_timeout)


def _is_ready(service: Service) -> bool:
    if service.ready_url is None:
        return True
    try:
        # ProxyHandler({}): this machine is never reached through a proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(service.ready_url, timeout=_ANSWER_TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
