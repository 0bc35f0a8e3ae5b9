"""`python -m audit sbom DIRECTORY`: what each service is made of, as CycloneDX JSON, with the hashes of the lists.

It is valid by CycloneDX's schema, names what the list names and nothing else, and is the same for the same list.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from audit.bill import differences
from audit.lists import LISTS, ROOT, SERVICES, pinned

SCHEMA: Final = "1.6"


def write(service: str, directory: Path) -> list[str]:
    """Write the bill of a service; what is wrong with it."""
    path, listed = directory / f"{service}.cdx.json", LISTS / f"{service}.txt"
    tool = Path(sys.executable).with_name("cyclonedx-py")
    project = ROOT / "services" / service / "pyproject.toml"
    command = [tool, "requirements", listed, "--pyproject", project, "--sv", SCHEMA, "--output-reproducible", "-o", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [done.stderr.strip()]
    text = path.read_text()
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return ([str(fault)] if fault else []) + differences(pinned(listed.read_text()), json.loads(text))


def main(directory: Path) -> int:
    """Write all bills; 1: one is wrong."""
    directory.mkdir(parents=True, exist_ok=True)
    status = 0
    for service in SERVICES:
        wrong = write(service, directory)
        print("\n".join(f"{service}: {line}" for line in wrong or [f"{directory / service}.cdx.json is valid and complete"]))
        status = status or bool(wrong)
    return int(status)
