"""docs/openapi.json."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from api_gateway.app import make_api
from api_gateway.documentation import document as module
from api_gateway.documentation.document import document, main
from api_gateway.documentation.openapi import make_document

COMMITTED = Path(__file__).parents[4] / "docs/openapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    is_equal = COMMITTED.read_text(encoding="utf-8") == document()
    assert is_equal, "the API is not what docs/openapi.json says; where that is meant, run: make documents"


def test_it_is_what_is_served() -> None:
    assert json.loads(document()) == make_document(make_api())


def test_main_writes_to_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    main([])

    assert capsys.readouterr().out == document()


def test_it_runs_as_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["document", str(tmp_path / "openapi.json")])

    runpy.run_path(str(module.__file__), run_name="__main__")

    assert (tmp_path / "openapi.json").read_text(encoding="utf-8") == document()
