"""The Compose files are what Compose takes, tell the services what they know, and give nothing away."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ovms.admin.document import Document, parse_document
from ovms.admin.errors import InputError
from unit.deploy.policy import SETTINGS, wrong_settings

COMPOSE = Path(__file__).parents[3] / "deploy/compose"
ONE_MACHINE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
WITH_TLS = yaml.safe_load((COMPOSE / "tls.yaml").read_text())["services"]


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_they_are_what_the_specification_says() -> None:
    done = check(COMPOSE / "compose.yaml", COMPOSE / "tls.yaml")
    assert done.returncode == 0, done.stdout


def test_the_check_finds_what_the_specification_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(json.dumps({"services": {"api-gateway": {"image": "x", "restarts": "always"}}}))
    assert check(wrong).returncode == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_is_told_what_it_knows(name: str) -> None:
    told: dict[str, str | None] = ONE_MACHINE[name]["environment"] | WITH_TLS[name]["environment"]
    # What comes from the environment has a default that counts here, or must be there.
    told["OVMS_LOG_LEVEL"] = "info"
    told["OVMS_DATABASE_URL"] = re.sub(r"\$\{[^}]+\}", "given", told["OVMS_DATABASE_URL"] or "")
    assert list(wrong_settings(name, SETTINGS[name], told)) == []


@pytest.mark.parametrize("name", ONE_MACHINE)
def test_a_container_has_limits_and_no_rights(name: str) -> None:
    service: dict[str, Any] = ONE_MACHINE[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


def test_secrets_come_from_outside() -> None:
    text = (COMPOSE / "compose.yaml").read_text()
    for line in text.splitlines():
        if ("PASSWORD" in line and "DEMO_PASSWORD" not in line) or "SECRET_KEYS" in line:
            assert ":?" in line, line


def test_only_the_services_can_be_reached() -> None:
    assert {name for name, service in ONE_MACHINE.items() if "ports" in service} == set(SETTINGS)
    assert {name for name, service in ONE_MACHINE.items() if "public" in service["networks"]} == {*SETTINGS, "demo-car"}


def test_they_have_time_to_end() -> None:
    drain: float = SETTINGS["car-protocol"].model_fields["drain_timeout"].default
    assert int(ONE_MACHINE["car-protocol"]["stop_grace_period"].removesuffix("s")) >= drain + 10


def demo_document(password: str) -> Document:
    content = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["configs"]["demo"]["content"]
    return parse_document(json.loads(content.replace("${DEMO_PASSWORD-}", password)))


def test_the_demo_is_provisioned_with_the_password_of_its_operator() -> None:
    (owner,) = demo_document("of its operator").owners
    assert (owner.name, owner.vehicles[0].vehicle_id) == ("demo", "DEMO")
    assert (owner.password, owner.vehicles[0].password) == ("of its operator", "of its operator")
    assert ONE_MACHINE["demo-car"]["environment"]["OVMS_DEMO_PASSWORD"] == "${DEMO_PASSWORD-}"


def test_the_demo_has_no_default_password() -> None:
    with pytest.raises(InputError, match="1 to 256 characters"):
        demo_document("")
