"""`python -m audit vulnerabilities`: asks a service about every package of every list, with pip-audit.

pip-audit takes a package that its index does not know for one without vulnerabilities, and passes. That is no answer: what was
not looked at is told, and is a failure like a vulnerability.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit.lists import LISTS

FOUND: Final = 1
UNKNOWN: Final = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a list."""

    lines: list[str]
    status: int


def judge(report: Mapping[str, Any]) -> Verdict:
    """What a report of pip-audit says."""
    packages = report["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    lines = found or [f"no vulnerability is known of {len(packages) - len(skipped)} of {len(packages)} packages"]
    if skipped:
        lines.append(f"nothing is known of {len(skipped)} of {len(packages)} packages: {skipped[0]}")
    return Verdict(lines, FOUND if found else UNKNOWN if skipped else 0)


def unreached(words: str) -> Verdict:
    """What can be said where pip-audit has no report: its last words say why."""
    reason = words.strip().splitlines()[-1] if words.strip() else "no word of pip-audit"
    return Verdict([f"the vulnerability service could not be asked, so nothing is known: {reason}"], UNKNOWN)


def look(path: Path) -> Verdict:
    """Ask about a list."""
    tool = Path(sys.executable).with_name("pip-audit")
    command = [tool, "--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "-r", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return judge(json.loads(done.stdout))
    except (KeyError, ValueError):
        return unreached(done.stderr)


def main() -> int:
    """Ask about all lists; 1: there is a vulnerability, 2: not everything could be looked at."""
    verdicts = {path.name: look(path) for path in sorted(LISTS.glob("*.txt"))}
    for name, verdict in verdicts.items():
        print("\n".join(f"{name}: {line}" for line in verdict.lines))
    statuses = {verdict.status for verdict in verdicts.values()}
    return FOUND if FOUND in statuses else max(statuses)
