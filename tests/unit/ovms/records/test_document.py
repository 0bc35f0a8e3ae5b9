"""docs/records.md."""

import runpy
import sys
from pathlib import Path

import pytest

from ovms.records import document as module
from ovms.records.document import document, main

COMMITTED = Path(__file__).parents[4] / "docs" / "records.md"


def test_the_committed_document_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == document(), "run: python -m ovms.records.document docs/records.md"


def test_every_field_is_a_row() -> None:
    assert "| 1 | `soc` | number | % | below 0: unknown | `soc` | State of charge |" in document()
    assert "| 9 | `drive_mode` | integer |  | hexadecimal | `drivemode` |" in document()
    assert "| 64 | `hand_brake` | `handbrake` | Hand brake applied |" in document()
    assert "- LockState: Whether the car is locked: 4 locked, 5 unlocked." in document()


def test_main_writes_to_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    main([])

    assert capsys.readouterr().out == document()


def test_main_writes_to_a_file(tmp_path: Path) -> None:
    main([str(tmp_path / "records.md")])

    assert (tmp_path / "records.md").read_text(encoding="utf-8") == document()


def test_it_runs_as_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["document", str(tmp_path / "records.md")])

    runpy.run_path(str(module.__file__), run_name="__main__")

    assert (tmp_path / "records.md").read_text(encoding="utf-8") == document()
