"""The benchmark runs, and measures everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(180)
def test_the_short_form_gives_a_figure_on_every_line(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--json", written],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(written.read_text())["figures"]
    assert len(figures) == 12
    assert all(figure["value"] > 0 for figure in figures)
    assert [figure["name"] for figure in figures if not figure["limit"]] == [
        "car to app, 50 of 100 within",
        "car to app, 99 of 100 within",
        "car to event stream, 50 of 100",
        "car to event stream, 99 of 100",
    ]
    assert all(figure["name"] in done.stdout for figure in figures)
