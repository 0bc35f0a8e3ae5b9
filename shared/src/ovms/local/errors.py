"""What keeps the local servers from running; each message is one line for the person who started them.

OvmsError
└── LocalError
    ├── DirectoryBusy      another process works in this data directory
    └── ServerFailed       a server is not installed, did not start or did not get ready
"""

from pathlib import Path

from ovms.errors import OvmsError


class LocalError(OvmsError):
    """The servers of this machine cannot run as they should."""


class DirectoryBusy(LocalError):
    """Another process holds the data directory."""

    def __init__(self, directory: Path, holder: str) -> None:
        super().__init__(directory, holder)
        self.directory = directory
        self.holder = holder

    def __str__(self) -> str:
        holder = f" (process {self.holder})" if self.holder else ""
        return f"{self.directory}: this data directory is already in use{holder}"


class PortBusy(LocalError):
    """Another program listens on a port."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(port, setting)
        self.port = port
        self.setting = setting

    def __str__(self) -> str:
        return f"port {self.port} is in use by another program: stop it, or set {self.setting} to a free port"


class ServerFailed(LocalError):
    """A server did not come up, or did not stay."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server = server
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.server}: {self.reason}"
