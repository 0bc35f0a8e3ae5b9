"""docs/asyncapi.yaml."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from fixtures.bodies import check
from ovms.bus import document as module
from ovms.bus.document import document, main

COMMITTED = Path(__file__).parents[4] / "docs" / "asyncapi.yaml"


@pytest.fixture(scope="module")
def told() -> Any:
    """The document, as its readers read it."""
    return yaml.safe_load(document())


def test_the_committed_document_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == document(), "run: python -m ovms.bus.document docs/asyncapi.yaml"


def test_it_is_what_was_made(told: Any) -> None:
    assert told["asyncapi"] == "3.0.0"
    assert set(told) == {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations"}
    assert told["channels"].keys() == {"messages", "peers", "commands", "replica", "group", "traces", "removals", "revocations"}


def test_the_parameters_of_an_address_are_described(told: Any) -> None:
    for channel in told["channels"].values():
        # An expression in an address holds no other brace.
        assert re.findall(r"{([^{}]+)}", channel["address"]) == list(channel.get("parameters", ()))


def test_schemas_are_schemas_and_examples_follow_them(told: Any) -> None:
    for channel in told["channels"].values():
        for message in channel["messages"].values():
            Draft7Validator.check_schema(message["payload"])
            for field in message["payload"].get("x-fields", ()):
                Draft7Validator.check_schema(field["schema"])
            for example in message["examples"]:
                check(message["payload"], example["payload"])


def test_every_channel_has_one_who_publishes_and_one_who_hears(told: Any) -> None:
    operations = told["operations"]
    assert len(operations) == 2 * len(told["channels"])
    for name in told["channels"]:
        for action in ("send", "receive"):
            operation = operations[f"{action}-{name}"]
            assert (operation["action"], operation["channel"]) == (action, {"$ref": f"#/channels/{name}"})
    assert operations["send-peers"]["summary"] == "Published by car-protocol and api-gateway."


def test_it_says_what_is_for_others_and_what_is_not(told: Any) -> None:
    kinds = {name: channel["tags"][0]["name"] for name, channel in told["channels"].items()}
    assert {name for name, kind in kinds.items() if kind == "public"} == {"messages", "peers", "commands"}
    marked = {name for name, channel in told["channels"].items() if channel.get("x-internal")}
    assert marked == {"replica", "group", "traces", "removals", "revocations"}
    fields = told["channels"]["peers"]["messages"]["peers"]["payload"]["properties"]
    assert {name for name, field in fields.items() if field.get("x-internal")} == {"http_until", "replicas"}


@pytest.mark.parametrize("promise", ["At most once", "order", "exact", "hash tag", "When Redis is away", "Latin-1"])
def test_it_says_what_holds(told: Any, promise: str) -> None:
    assert promise in told["info"]["description"]


def test_main_writes_to_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    main([])

    assert capsys.readouterr().out == document()


def test_it_runs_as_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["document", str(tmp_path / "asyncapi.yaml")])

    runpy.run_path(str(module.__file__), run_name="__main__")

    assert (tmp_path / "asyncapi.yaml").read_text(encoding="utf-8") == document()
