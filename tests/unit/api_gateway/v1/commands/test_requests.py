"""What is read of a request for a command, and what is shown of one."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from api_gateway.commands.kinds import ALL_KINDS, KINDS, Kind
from api_gateway.commands.resource import announcement, render
from api_gateway.errors import InvalidArgument
from api_gateway.refusals import problem
from api_gateway.v1.commands.described import BODY
from api_gateway.v1.commands.models import CommandAnswer
from api_gateway.v1.commands.requests import read_key, read_order, read_wait, telling_which
from api_gateway.v1.errors import InvalidRequest
from fixtures.bodies import kind_of
from ovms.bus.interface import COMMANDS
from ovms.db.commands import Command
from ovms.protocol.commands import MOST_TO_A_CAR

SCHEMA = Draft202012Validator(BODY["content"]["application/json"]["schema"])
SECRET = "7391xyzzy"

COMMAND = Command(
    UUID("0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a"),
    7,
    1,
    "DEMO",
    "set_charge_mode",
    {"mode": "range"},
    "demo",
    "succeeded",
    3,
    datetime(2026, 8, 3, 9, 5, 7, 120_000, tzinfo=UTC),
    datetime(2026, 8, 3, 9, 6, 7, 120_000, tzinfo=UTC) + timedelta(microseconds=999),
    datetime(2026, 8, 3, 9, 5, 7, tzinfo=UTC),
    None,
    0,
    "Charge mode set",
)


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """All that a schema of an argument allows."""
    match schema:
        case {"anyOf": several}:
            return st.one_of(*map(values, several))
        case {"type": "integer", "minimum": low, "maximum": high}:
            return st.integers(low, high)
        case {"enum": words}:
            return st.sampled_from(words)
    return st.from_regex(schema["pattern"].removesuffix("$") + r"\Z", fullmatch=True)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """All that is allowed."""
    kind = draw(st.sampled_from(list(KINDS.values())))
    arguments = {one.name: draw(values(one.schema)) for one in kind.arguments if one.default is None or draw(st.booleans())}
    request = {"kind": kind.name, "arguments": arguments, "ttl": draw(st.integers(1, 604_800)), "queue": draw(st.booleans())}
    return {name: value for name, value in request.items() if name == "kind" or value != {}}


def order_of(request: Any) -> Any:
    return read_order(json.dumps(request).encode())


@settings(max_examples=100)
@given(request=requests())
def test_what_the_document_allows_is_taken(request: dict[str, Any]) -> None:
    SCHEMA.validate(request)
    order = order_of(request)
    message = order.kind.write(order.fields)
    assert len(message) <= MOST_TO_A_CAR
    assert message.split(b",")[0] == b"C%d" % order.kind.number
    shown = order.kind.shown(order.fields)
    assert not any(argument.is_secret for argument in order.kind.arguments if argument.name in shown)
    assert all(type(value) in (str, int) for value in shown.values())


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200)
@given(request=requests(), data=st.data())
def test_what_the_document_does_not_allow_is_not_taken(request: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*request, "more"]))
    wrong = request | {name: data.draw(ANY)}
    if arguments := request.get("arguments"):
        argument = data.draw(st.sampled_from([*arguments, "more"]))
        wrong = data.draw(st.sampled_from([wrong, request | {"arguments": arguments | {argument: data.draw(ANY)}}]))
    try:
        order_of(wrong)
    except InvalidArgument:
        assert not SCHEMA.is_valid(wrong), wrong
    else:
        SCHEMA.validate(wrong)


@given(body=st.binary(max_size=60) | ANY.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_body_is_it_is_read_or_refused(body: bytes) -> None:
    try:
        read_order(body)
    except InvalidArgument:
        return
    SCHEMA.validate(json.loads(body))


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        ([], ""),
        ({"kind": "lock", "pin": SECRET}, ""),
        ({"kind": SECRET}, "kind"),
        ({"kind": "list_parameters"}, "kind"),
        ({"kind": "lock", "arguments": {"pin": SECRET}}, "arguments/pin"),
        ({"kind": "lock", "arguments": {"pin": 1234}}, "arguments/pin"),
        ({"kind": "lock", "arguments": {SECRET: "1"}}, "arguments"),
        ({"kind": "lock", "arguments": SECRET}, "arguments"),
        ({"kind": "set_charge_mode"}, "arguments/mode"),
        ({"kind": "set_charge_mode", "arguments": {"mode": "0"}}, "arguments/mode"),
        ({"kind": "set_charge_current", "arguments": {"current": True}}, "arguments/current"),
        ({"kind": "set_charge_current", "arguments": {"current": 16.5}}, "arguments/current"),
        ({"kind": "set_charge_current", "arguments": {"current": "256"}}, "arguments/current"),
        ({"kind": "set_charge_timer", "arguments": {"timermode": "timer", "starttime": "390"}}, "arguments/starttime"),
        ({"kind": "text", "arguments": {"command": SECRET + "\n"}}, "arguments/command"),
        ({"kind": "sms", "arguments": {"number": "1", "message": SECRET * 100}}, "arguments/message"),
        ({"kind": "lock", "ttl": 0}, "ttl"),
        ({"kind": "lock", "ttl": "60"}, "ttl"),
        ({"kind": "lock", "ttl": 604_801}, "ttl"),
        ({"kind": "lock", "queue": 1}, "queue"),
    ],
)
def test_a_refusal_names_what_is_wrong_and_not_its_value(request_: Any, wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused, telling_which("#"):
        order_of(request_)
    told = problem(refused.value)
    assert (told["status"], told["title"], told["type"]) == (422, "Invalid request", "/api/v1/problems/invalid-request")
    assert [error["pointer"] for error in told["errors"]] == [f"#/{wrong}".removesuffix("/")]
    assert SECRET not in json.dumps(told)


def test_another_request_has_another_body_and_the_same_has_the_same() -> None:
    requests_ = [
        {"kind": "lock", "arguments": {"pin": "1"}},
        {"kind": "lock", "arguments": {"pin": "2"}},
        {"kind": "unlock", "arguments": {"pin": "1"}},
        {"kind": "lock", "arguments": {"pin": "1"}, "ttl": 61},
        {"kind": "lock", "arguments": {"pin": "1"}, "queue": True},
    ]
    assert len({order_of(one).body() for one in requests_}) == len(requests_)
    reordered = {"queue": False, "ttl": 60.0, "arguments": {"pin": "1"}, "kind": "lock"}
    assert order_of(reordered).body() == order_of(requests_[0]).body()


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", None),
        ("wait=5", 5),
        ("respond-async, Wait = 7", 7),
        ('wait="8"; x=y, wait=9', 8),
        ("wait=0", 0),
        ("wait=600", 60),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=3", None),
        ("wait", None),
        ("foo; wait=3", None),
    ],
)
def test_the_wait_that_is_preferred(prefer: str, seconds: int | None) -> None:
    assert read_wait({"prefer": prefer}) == seconds


def test_keys() -> None:
    assert read_key({}) is None
    assert read_key({"idempotency-key": "k" * 255}) == "k" * 255
    for key in ("", "k" * 256, "two words", "\x7f", "ä"):
        with pytest.raises(InvalidArgument, match="Idempotency-Key"):
            read_key({"idempotency-key": key})


def test_what_is_shown_is_what_is_documented_and_published() -> None:
    shown = render(COMMAND)
    assert CommandAnswer.model_validate(shown).model_dump(mode="json") == shown
    assert shown["created_at"] == "2026-08-03T09:05:07.120Z"
    assert shown["expires_at"] == "2026-08-03T09:06:07.120Z"
    assert announcement(COMMAND) == shown
    assert kind_of(COMMANDS, json.dumps(shown).encode()) == "command"


@pytest.mark.parametrize("kind", ALL_KINDS.values(), ids=lambda kind: kind.name)
def test_what_a_vehicle_says_to_admins_is_not_published(kind: Kind) -> None:
    command = Command(**{name: getattr(COMMAND, name) for name in COMMAND.__slots__} | {"kind": kind.name})
    assert render(command)["text"] == "Charge mode set"
    assert render(command)["scope"] == kind.scope
    assert announcement(command)["text"] == (None if kind.scope == "admin" else "Charge mode set")


def test_secrets_are_marked_as_such() -> None:
    secret = {(kind.name, one.name) for kind in KINDS.values() for one in kind.arguments if one.is_secret}
    assert secret == {
        *((name, "pin") for name in ("lock", "unlock", "valet_on", "valet_off")),
        ("set_parameter", "value"),
        ("text", "command"),
        ("sms", "message"),
        ("ussd", "code"),
        ("at", "command"),
    }
    assert {kind.name for kind in KINDS.values() if kind.scope == "admin"} == {"text", "sms", "ussd", "at"}
