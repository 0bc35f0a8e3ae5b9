"""The data directory: whose it is at the moment, and the secrets that are made in it on first start."""

import base64
import fcntl
import os
import secrets
from pathlib import Path
from typing import Final, Self

from ovms.local.errors import DirectoryBusy, LocalError

DEFAULT: Final = Path(".ovms")


class DataDirectory:
    """A directory that one process works in at a time; a context manager that holds its lock.

        lock          locked while in use, holds the process id of the holder
        secret-keys   the keys for secrets at rest, as OVMS_SECRET_KEYS spells them
        tls/          ovms.local.certificate
        postgres/     ovms.local.postgres
        valkey/       ovms.local.valkey

    Entering raises DirectoryBusy where another process is in it, LocalError where it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self.path / "lock")
        except OSError as error:
            raise LocalError(f"{self.path}: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def known_secret_keys(self) -> str | None:
        """The keys for secrets at rest (`id:base64 of 32 bytes[,…]`), where they have been made."""
        try:
            return self._secret_keys.read_text().strip()
        except FileNotFoundError:
            return None

    def secret_keys(self) -> str:
        """The same, made when there are none."""
        known = self.known_secret_keys()
        if known is None:
            known = f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
            write_private(self._secret_keys, known + "\n")
        return known

    @property
    def _secret_keys(self) -> Path:
        return self.path / "secret-keys"


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode(errors="replace").strip()
        os.close(handle)
        raise DirectoryBusy(path.parent, holder) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
