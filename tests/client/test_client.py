"""The generated client, against the stack that `make run` starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from client.build import PACKAGE, build, check
from fixtures.stack import Stack

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def output(directory: Path) -> str:
    """The output of the generator; the client can be imported afterwards."""
    output = build(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        import_module(PACKAGE)
    return output


@pytest.fixture(scope="module")
def call(demo_stack: Stack, output: str) -> Iterator[Call]:
    """Make a call by its module, such as `typed_state.v1_vehicles`, with a token that reads and controls."""
    token = demo_stack.ovms("token", "add", "demo", "--permit", "read,location,history,control").stdout.strip()
    client = import_module(PACKAGE).AuthenticatedClient(
        base_url=demo_stack.http_url, token=token, raise_on_unexpected_status=True
    )

    def make(name: str, *arguments: Any, **more: Any) -> Any:
        return import_module(f"{PACKAGE}.api.{name}").sync(*arguments, client=client, **more)

    with client:
        yield make


def model(name: str) -> Any:
    return getattr(import_module(f"{PACKAGE}.models"), name)


def test_the_generator_leaves_nothing_out(output: str) -> None:
    assert len(output.splitlines()) == 1, output


def test_the_client_passes_a_strict_type_check(directory: Path, output: str) -> None:
    assert check(directory) == ""


def test_vehicles_and_state_have_types(call: Call) -> None:
    [vehicle] = [item for item in call("typed_state.v1_vehicles").items if item.id == "DEMO"]
    assert (type(vehicle), vehicle.id, vehicle.connected) == (model("Vehicle"), "DEMO", True)
    state = call("typed_state.v1_state", "DEMO")
    assert type(state) is model("StateAnswer")
    assert isinstance(state.records.state.values.soc, float)
    assert state.records.state.received_at.tzinfo is not None
    metrics = call("typed_state.v1_metrics", "DEMO").metrics
    assert metrics["v.b.soc"].unit == "%"


def test_a_refusal_is_a_problem(call: Call) -> None:
    problem = call("typed_state.v1_state", "nobody")
    assert (type(problem), problem.status, problem.type_) == (model("Problem"), 404, "/api/v1/problems/vehicle-unknown")


def test_an_invalid_request_names_its_fields(call: Call) -> None:
    arguments = model("V1CommandSetChargeCurrentCommandArguments")(999)
    command = model("V1CommandSetChargeCurrentCommand")("set_charge_current", arguments)
    problem = call("typed_commands.v1_command", "DEMO", body=command)
    assert problem.status == 422
    assert problem.errors[0].pointer == "#/arguments/current"


def test_the_legacy_calls_are_there_too(call: Call) -> None:
    status = call("state.read_status", "DEMO")
    assert isinstance(status.soc, str)
    locked = call("control.put_wakeup", "DEMO")
    assert (locked.command, locked.result) == (18, 0)
