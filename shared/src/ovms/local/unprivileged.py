"""The user that PostgreSQL runs as when we are root, since it refuses to be root itself.

Nothing on the machine is changed for it, neither users nor the permissions of directories that are not ours: the server
gets its data as its working directory, which needs no permission on the directories above, and where it may not reach
its programs, it gets a copy of them.
"""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COPY: Final = "ovms-programs-"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def allows(self, status: os.stat_result, wanted: int) -> bool:
        """Whether the mode bits give this user the `wanted` (4 read, 2 write, 1 search or execute)."""
        if status.st_uid == self.uid:
            bits = status.st_mode >> 6
        elif status.st_gid == self.gid:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        return bits & wanted == wanted

    def may_execute(self, program: Path) -> bool:
        """Whether this user can reach, read and execute a program."""
        program = program.resolve()
        return self.allows(program.stat(), 5) and all(self.allows(above.stat(), 1) for above in program.parents)


def unprivileged_account() -> Account | None:
    """The account to run PostgreSQL as: None means our own, which is not root's."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)


def copy_programs(folders: list[Path], *, root: Path) -> Path:
    """Copy folders that lie below `root` to where everyone may read them; return what stands for `root` there."""
    place = Path(tempfile.mkdtemp(prefix=f"{_COPY}{os.getpid()}-"))
    _remove_left_behind(place.parent)
    for folder in folders:
        shutil.copytree(folder, place / folder.relative_to(root), symlinks=True)
    _open_to_everyone(place)
    return place


def _remove_left_behind(directory: Path) -> None:
    """Remove the copies of processes that were killed: the name of a copy has the process id of its maker."""
    for copy in directory.glob(f"{_COPY}*"):
        maker = copy.name.removeprefix(_COPY).partition("-")[0]
        if copy.lstat().st_uid == os.geteuid() and not Path("/proc", maker).exists():
            shutil.rmtree(copy, ignore_errors=True)


def _open_to_everyone(place: Path) -> None:
    """Let everyone read, and search or execute what its owner may: a strict umask has made the copy ours alone."""
    for path in (place, *place.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) | (0o555 if mode & stat.S_IXUSR else 0o444))
