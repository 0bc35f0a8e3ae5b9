"""The benchmark runs, measures everything, and finds no figure much worse than the one that is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.table import FIGURES, MEASUREMENTS

TESTS = Path(__file__).parents[1]


@pytest.mark.nightly
@pytest.mark.timeout(240)
def test_the_short_form_gives_a_figure_on_every_line_and_none_is_much_worse_than_before(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--guard", "--json", written],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    assert found["runs"].keys() == {measurement.name for measurement in MEASUREMENTS}
    assert [figure["name"] for figure in found["figures"]] == [figure.title.strip() for figure in FIGURES]
    assert all(value > 0 for figure in found["figures"] for value in figure["values"])
    assert all(figure["name"] in done.stdout for figure in found["figures"])
