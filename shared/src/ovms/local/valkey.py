"""A Valkey server in a directory, reached through a unix socket only; what it holds survives a restart."""

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from ovms.local.errors import ServerFailed
from ovms.local.process import spawn, stop
from ovms.local.programs import valkey_program
from ovms.local.socket_path import SocketPath

START_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 10.0
_SOCKET: Final = "valkey.sock"
_POLL: Final = 0.01

SETTINGS: Final = (
    *("--port", "0"),
    *("--unixsocket", _SOCKET),
    *("--unixsocketperm", "700"),
    *("--dir", "."),
    *("--appendonly", "no"),
    *("--save", "300 1"),  # and on shutdown
    *("--stop-writes-on-bgsave-error", "no"),
)


class Valkey:
    """One server: `dump.rdb`, `valkey.log` and the socket, all in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: SocketPath | None = None

    @property
    def url(self) -> str:
        """Its address for redis-py; known after `start` or `attach`."""
        if self._sockets is None:
            raise ServerFailed("Valkey", "it has not been started")
        return f"unix://{self._sockets.path}/{_SOCKET}"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._process is None:
            raise ServerFailed("Valkey", "it has not been started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerFailed: it cannot run here, or does not answer after half a minute.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._directory / "valkey.log").open("wb") as log:
                self._process = spawn(
                    [valkey_program(), *SETTINGS], dies_by=signal.SIGTERM, directory=self._directory, output=log
                )
            self._sockets = self._sockets or SocketPath(self._directory)
        except OSError as error:
            raise ServerFailed("Valkey", str(error)) from error
        self._await_answer(self._process, self._sockets.path / _SOCKET)

    def attach(self) -> None:
        """Use the server that another process runs in this directory, if there is one."""
        self._sockets = SocketPath(self._directory)

    def stop(self) -> None:
        """End it after it has saved what it holds. A server of another process goes on."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM, within=STOP_TIMEOUT)
            self._process = None
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def kill(self) -> None:
        """End it as a crash would: what it has not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _await_answer(self, process: subprocess.Popen[bytes], path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(path):
            if process.poll() is not None:
                raise ServerFailed("Valkey", f"it ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailed("Valkey", f"no answer after {START_TIMEOUT:g} s: {self._last_words()}")
            time.sleep(_POLL)

    def _last_words(self) -> str:
        lines = (self._directory / "valkey.log").read_text(errors="replace").splitlines()
        return (lines or ["it said nothing"])[-1]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
