"""`.env.example` lists every setting, with the value that it has where nothing sets it."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings as CarProtocolSettings
from ovms.admin.run_settings import RunSettings
from ovms.local.datadir import DEFAULT
from ovms.variables import OF_RUN, OF_SERVICES

EXAMPLE = Path(__file__).parents[2] / ".env.example"
VARIABLE = re.compile(r"#(OVMS_[A-Z0-9_]+)=(.*)")

SERVICES: tuple[type[BaseSettings], ...] = (CarProtocolSettings, GatewaySettings)
GIVEN = {"OVMS_DATABASE_URL": "postgresql://given", "OVMS_REDIS_URL": "redis://given"}
"""What stands for a value that has none by itself, where any text will not do."""


def variables(text: str) -> dict[str, str]:
    """Each variable and its value; every one comes once, under one line of comment."""
    found: dict[str, str] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := VARIABLE.fullmatch(line):
            name, value = match.groups()
            assert name not in found, f"{name} comes twice"
            assert re.match(r"# \w", lines[number - 1]), f"{name} has no comment"
            assert lines[number - 2] == "" or VARIABLE.fullmatch(lines[number - 2]), f"{name} has two comments"
            found[name] = value
        else:
            assert line == "" or re.match("##? ", line), line
    return found


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    return variables(EXAMPLE.read_text())


def names_of(settings: type[BaseSettings]) -> dict[str, Any]:
    return {f"OVMS_{name.upper()}": field for name, field in settings.model_fields.items()}


def test_it_lists_what_there_is_and_nothing_else(listed: dict[str, str]) -> None:
    assert set(listed) == OF_RUN.union(*map(names_of, SERVICES))


def test_a_misspelt_name_is_told_from_all_that_there_are() -> None:
    assert set().union(*map(names_of, SERVICES)) == OF_SERVICES, "a new setting belongs into ovms.variables.OF_SERVICES"


def test_it_holds_no_secret(listed: dict[str, str]) -> None:
    for settings in SERVICES:
        for name, field in names_of(settings).items():
            if field.annotation is SecretStr:
                assert listed[name] == "", name


@pytest.mark.parametrize("settings", SERVICES)
def test_the_values_are_those_of_an_empty_environment(
    settings: type[BaseSettings], listed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in listed:
        monkeypatch.delenv(name, raising=False)
    for name, field in names_of(settings).items():
        if field.is_required():
            assert listed[name] == "", name
            monkeypatch.setenv(name, GIVEN.get(name, "given"))
    unset = settings()
    for name, value in listed.items():
        if value:
            monkeypatch.setenv(name, value)
    assert settings() == unset
    for name in names_of(settings):
        if not listed[name]:
            assert getattr(unset, name.removeprefix("OVMS_").lower()) in ("", None, SecretStr(GIVEN.get(name, "given"))), name


def test_the_values_of_make_run_are_those_of_an_empty_environment(listed: dict[str, str]) -> None:
    assert listed["OVMS_DATA_DIR"] == str(DEFAULT)
    fixed = {"OVMS_HEALTH_PORT": "1"}
    assert RunSettings.from_environment(listed | fixed) == RunSettings.from_environment(fixed)
