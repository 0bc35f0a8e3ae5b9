"""The data directory."""

import os
from pathlib import Path

import pytest

from ovms.db.sealing import Sealer
from ovms.local.datadir import DataDirectory
from ovms.local.errors import DirectoryBusy, LocalError


def test_one_process_works_in_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new/data"
    with DataDirectory(path):
        with pytest.raises(DirectoryBusy) as caught, DataDirectory(path):
            pass
        assert str(caught.value) == f"{path}: this data directory is already in use (process {os.getpid()})"
    with DataDirectory(path):
        pass


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert directory.known_secret_keys() is None

    keys = directory.secret_keys()

    assert directory.secret_keys() == directory.known_secret_keys() == keys
    Sealer.from_setting(keys)
    assert (tmp_path / "secret-keys").stat().st_mode & 0o777 == 0o600
    assert DataDirectory(tmp_path / "another").known_secret_keys() is None


def test_a_place_that_is_no_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="file: File exists"), DataDirectory(tmp_path / "file"):
        pass
