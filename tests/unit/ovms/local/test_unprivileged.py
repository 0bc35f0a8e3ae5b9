"""Who may reach what, by mode bits."""

import os
from pathlib import Path

import pytest

from ovms.local.unprivileged import Account, copy_programs

STRANGER = Account("stranger", 4_000_000, 4_000_000)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "installed/bin/program"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    path.parent.chmod(0o700)
    return path


@pytest.mark.parametrize(
    ("account", "mode", "wanted", "allowed"),
    [
        (Account("owner", os.getuid(), 0), 0o500, 5, True),
        (Account("owner", os.getuid(), 0), 0o055, 5, False),
        (Account("group", 4_000_000, os.getgid()), 0o050, 5, True),
        (Account("group", 4_000_000, os.getgid()), 0o705, 5, False),
        (STRANGER, 0o005, 5, True),
        (STRANGER, 0o001, 5, False),
        (STRANGER, 0o001, 1, True),
    ],
)
def test_the_bits_of_owner_group_and_others(program: Path, account: Account, mode: int, wanted: int, allowed: bool) -> None:
    program.chmod(mode)
    os.chown(program, -1, os.getgid())
    assert account.allows(program.stat(), wanted) is allowed


def test_a_program_below_a_closed_directory_cannot_be_executed(program: Path) -> None:
    program.chmod(0o755)
    assert not STRANGER.may_execute(program)


def test_a_copy_is_open_to_everyone(program: Path) -> None:
    root = program.parents[2]
    copy = copy_programs([program.parent], root=root)
    try:
        copied = copy / program.relative_to(root)
        assert copied.read_text() == program.read_text()
        assert all(STRANGER.allows(path.stat(), 5) for path in (copied, copied.parent, copied.parent.parent, copy))
    finally:
        for path in (copied, copied.parent, copied.parent.parent, copy):
            path.rmdir() if path.is_dir() else path.unlink()
