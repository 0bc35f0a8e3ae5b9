"""A name for a directory under which clients can reach a unix socket in it.

The address of a unix socket holds 107 bytes, and not every client quotes every character in an address of a database.
The servers do not mind: they bind their sockets under relative names.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

_LONGEST: Final = 107 - len("/.s.PGSQL.5432")
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._-]*\Z")


class SocketPath:
    """The directory itself, or, where its name is too long or too strange, a short link to it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory.resolve()
        self._temporary: Path | None = None
        if len(str(self.path)) > _LONGEST or not _PLAIN.match(str(self.path)):
            self._temporary = Path(tempfile.mkdtemp(prefix="ovms-"))
            link = self._temporary / "s"
            link.symlink_to(self.path, target_is_directory=True)
            self.path = link

    def close(self) -> None:
        """Take the link away again."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
