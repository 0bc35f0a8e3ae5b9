"""evcc's way with the API: its calls in their order, its answers decoded by the rules of Go's `encoding/json`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import pytest

from fixtures.stack import Stack
from ovms.auth.published import OWNER, OWNER_PASSWORD, VEHICLE_ID

SIGN_IN: Final = {"username": OWNER, "password": OWNER_PASSWORD}

Kind = Callable[[Any], Any]


def go_string(value: Any) -> str:
    """`string`"""
    assert isinstance(value, str)
    return value


def go_int(value: Any) -> int:
    """`int`: a number without a fraction, not even `.0`, which the parser makes a float of."""
    assert type(value) is int
    return value


def quoted_int(value: Any) -> int:
    """`int64` or `int` with `,string`"""
    assert isinstance(value, str)
    assert re.fullmatch(r"-?(0|[1-9]\d*)", value)
    return int(value)


def quoted_float(value: Any) -> float:
    """`float64` with `,string`"""
    assert isinstance(value, str)
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", value)
    return float(value)


CHARGE: Final[Mapping[str, Kind]] = {
    "units": go_string,
    "charge_etr_full": quoted_int,
    "chargestate": go_string,
    "cp_dooropen": go_int,
    "estimatedrange": quoted_int,
    "m_msgage_s": go_int,
    "soc": quoted_float,
    "staleambient": quoted_int,
}
STATUS: Final[Mapping[str, Kind]] = {"units": go_string, "odometer": quoted_float}
LOCATION: Final[Mapping[str, Kind]] = {"latitude": quoted_float, "longitude": quoted_float}
CONNECT: Final[Mapping[str, Kind]] = {"v_net_connected": go_int}


def decode(kinds: Mapping[str, Kind], text: str) -> dict[str, Any]:
    """What Go makes of an answer: null and a member that is missing leave the zero value, others must be of their type."""
    found = json.loads(text)
    return {name: kind(found[name]) for name, kind in kinds.items() if found.get(name) is not None}


@pytest.mark.parametrize(
    ("text", "kinds", "is_read"),
    [
        ('{"soc":null}', CHARGE, True),
        ("{}", CHARGE, True),
        ('{"soc":"55"}', CHARGE, True),
        ('{"soc":""}', CHARGE, False),
        ('{"soc":55}', CHARGE, False),
        ('{"estimatedrange":"85.5"}', CHARGE, False),
        ('{"estimatedrange":85}', CHARGE, False),
        ('{"cp_dooropen":true}', CHARGE, False),
        ('{"cp_dooropen":"4"}', CHARGE, False),
        ('{"m_msgage_s":"3"}', CHARGE, False),
        ('{"m_msgage_s":3.0}', CHARGE, False),
        ('{"staleambient":"-1"}', CHARGE, True),
        ('{"staleambient":1}', CHARGE, False),
    ],
)
def test_answers_are_decoded_as_go_was_seen_to_do(text: str, kinds: Mapping[str, Kind], is_read: bool) -> None:
    if is_read:
        decode(kinds, text)
    else:
        with pytest.raises(AssertionError):
            decode(kinds, text)


class Evcc:
    """Asks; where that fails in any way it signs in, connects to the vehicle and asks again."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.statuses: list[int] = []
        self.is_online = False

    def ask(self, call: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        try:
            return self._get(call, kinds)
        except (httpx.HTTPStatusError, ValueError):
            self.statuses.append(self._client.get("/api/cookie", params=SIGN_IN).status_code)
            self.is_online = self._get("vehicle", CONNECT)["v_net_connected"] == 1
            return self._get(call, kinds)

    def _get(self, call: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        answer = self._client.get(f"/api/{call}/{VEHICLE_ID}")
        self.statuses.append(answer.status_code)
        return decode(kinds, answer.raise_for_status().text)


def test_evcc_reads_the_demo_car(demo_stack: Stack) -> None:
    with httpx.Client(base_url=demo_stack.http_url) as client:
        evcc = Evcc(client)
        charge = evcc.ask("charge", CHARGE)
        status = evcc.ask("status", STATUS)
        location = evcc.ask("location", LOCATION)
    assert evcc.statuses == [401, 200, 200, 200, 200, 200]
    assert evcc.is_online
    assert (charge.keys(), status.keys(), location.keys()) == (CHARGE.keys(), STATUS.keys(), LOCATION.keys())
    assert 0 <= charge["soc"] <= 100
    assert charge["units"] == status["units"]
    assert status["odometer"] > 0
    assert -90 <= location["latitude"] <= 90
