"""The generated client, against the stack that `make run` starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from client.build import PACKAGE, build
from fixtures.stack import Stack

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the generator says; the client can be imported from then on."""
    directory = tmp_path_factory.mktemp("client")
    said = build(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        import_module(PACKAGE)
    return said


@pytest.fixture(scope="module")
def call(demo_stack: Stack, said: str) -> Iterator[Call]:
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


def test_the_generator_leaves_nothing_out(said: str) -> None:
    assert len(said.splitlines()) == 1, said


def test_vehicles_and_state_have_types(call: Call) -> None:
    (vehicle,) = call("typed_state.v1_vehicles").items
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


def test_the_legacy_calls_are_there_too(call: Call) -> None:
    status = call("state.read_status", "DEMO")
    assert isinstance(status.soc, str)
    locked = call("control.put_wakeup", "DEMO")
    assert (locked.command, locked.result) == (18, 0)
