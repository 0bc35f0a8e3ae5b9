"""Alerts, their pages and the dashboard: whole, and what the tools take. That their metrics are there is tested in e2e."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from api_gateway.legacy.control import make_router
from fixtures.observability import DASHBOARD, DIRECTORY, ROOT, RUNBOOKS, alerts, panels
from fixtures.scraping import promtool


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert sorted(names) == sorted(page.stem for page in RUNBOOKS.glob("*.md"))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_says_what_it_means_what_to_look_at_and_what_to_do(page: Any) -> None:
    text = page.read_text()
    title, means, *_ = text.split("\n\n")
    assert title == f"# {page.stem}"
    assert not means.startswith("#")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Look at", "## Do"]
    assert "```sh\n" in text
    settings = set(re.findall(r"\bOVMS_[A-Z_]+", text))
    assert settings <= set(re.findall(r"\bOVMS_[A-Z0-9_]+", (ROOT / ".env.example").read_text()))
    assert all((RUNBOOKS / target).exists() for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text))


def test_the_rule_of_kubernetes_is_the_file_of_rules() -> None:
    rule = yaml.safe_load((DIRECTORY / "prometheus-rule.yaml").read_text())
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == yaml.safe_load((DIRECTORY / "rules.yaml").read_text())


def test_rules_do_what_they_are_for() -> None:
    if (tool := promtool()) is None:
        pytest.skip("*** No promtool here: the alert rules are NOT TESTED. ***")
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "rules-test.yaml"]):
        done = subprocess.run([tool, *command], cwd=DIRECTORY, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_alert_on_http_errors_excludes_every_call_that_sends_a_command() -> None:
    [alert] = [alert for alert in alerts() if alert["alert"] == "OvmsHttpErrors"]
    excluded = [re.compile(pattern) for pattern in re.findall(r'route!~"([^"]+)"', alert["expr"])]
    for route in make_router().routes:
        assert any(pattern.fullmatch(route.path_format) for pattern in excluded), route  # type: ignore[attr-defined]


def test_prometheus_takes_what_the_page_says_of_scraping(tmp_path: Path) -> None:
    if (tool := promtool()) is None:
        pytest.skip("*** No promtool here: the page's configuration is NOT TESTED. ***")
    [lines] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/observability.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "prometheus.yml").write_text(lines)
    command = [tool, "check", "config", "--syntax-only", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {job["job_name"] for job in yaml.safe_load(lines)["scrape_configs"]}
    assert jobs == set(re.findall(r'job="([^"]+)"', (DIRECTORY / "rules.yaml").read_text()))


# ---- the dashboard


def test_panels_are_told_apart_and_lie_beside_each_other() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    everything = dashboard["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = [cell for panel in everything for cell in _cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert all(column < 24 for column, _ in taken)


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(column, row) for column in columns for row in rows]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_of_which_prometheus(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert all('instance=~"$instance"' in target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_queries_are_what_prometheus_takes() -> None:
    if (tool := promtool()) is None:
        pytest.skip("*** No promtool here: the queries of the dashboard are NOT TESTED. ***")
    queries = [target["expr"].replace("$__rate_interval", "5m") for panel in panels() for target in panel["targets"]]
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": "x", "expr": query} for query in queries]}]}
    command = [tool, "check", "rules", "--lint=none", "/dev/stdin"]
    done = subprocess.run(command, input=yaml.safe_dump(rules), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
