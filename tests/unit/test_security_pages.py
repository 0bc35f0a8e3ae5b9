"""What SECURITY.md and docs/ name is there: files, modules and the tests that hold a promise."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("SECURITY.md", "docs/threat-model.md", "docs/backup.md")
SOURCES = [
    path.relative_to(ROOT).as_posix() for part in ("shared", "services", "tests") for path in (ROOT / part).rglob("*.py")
]

CODE = re.compile(r"`([^`\s]+)`")
TEST = re.compile(r"[a-z_/]*test_[a-z0-9_]+\.py")
MODULE = re.compile(r"(?:ovms|car_protocol|v1|edge|push|rooms|storage|logins|connections|commands)(?:\.[a-z0-9_]+)+")


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for address in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert address.startswith("https://") or ((ROOT / page).parent / address).exists(), address


def test_the_model_names_tests_and_modules_that_are_there() -> None:
    named = CODE.findall((ROOT / "docs" / "threat-model.md").read_text())
    tests = [name for name in named if TEST.fullmatch(name)]
    modules = [name for name in named if MODULE.fullmatch(name)]
    assert len(tests) > 20
    assert len(modules) > 15
    assert [name for name in tests if not any(source.endswith(f"/{name}") or source == name for source in SOURCES)] == []
    assert [name for name in modules if not _is_there(name)] == []


def _is_there(module: str) -> bool:
    path = "/" + module.replace(".", "/")
    return any(source.endswith((f"{path}.py", f"{path}/__init__.py")) for source in SOURCES)
