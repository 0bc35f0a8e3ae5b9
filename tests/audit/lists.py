"""The lists in requirements/: what they pin."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LISTS: Final = ROOT / "requirements"
SERVICES: Final = ("api-gateway", "car-protocol")

_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pinned(text: str) -> dict[str, str]:
    """The packages of a list, and their versions."""
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in _PINNED.findall(text)}
