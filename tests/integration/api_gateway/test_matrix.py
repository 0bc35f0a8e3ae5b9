"""Every call of the document with everybody who may make it: who is let in, and how the others are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import httpx
import pytest

from api_gateway.app import make_api
from api_gateway.documentation.openapi import make_document
from api_gateway.settings import Settings
from fixtures.gateway import Gateway, send_message
from fixtures.roles import ADMIN, CONTROL, HISTORY, LOCATION, READ, ROLES, SESSION, Role, add_friends, credential_of, share

LATITUDE: Final = "48.208493"
MESSAGES: Final = (
    "S62.5,K,231,15,charging,standard,251,228,16,41",
    "D84,8,5,31,28,19,812,481527,0,5400,14,2,1,1,12.9,0",
    f"L{LATITUDE},16.373118,92,171,1,1,0,812",
)


ADD_DEMO: Final = """
INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id)
SELECT id, 'DEMO', 'sealed', 'key' FROM owners WHERE name = 'demo'
"""


class Whom(Enum):
    """Whom a call lets in."""

    ANYBODY = auto()
    CALLER = auto()
    """Who is signed in, with what the call needs."""
    ACCOUNT = auto()
    """Who may do all with his account: with his password, or a token that is for all vehicles."""
    VEHICLE = auto()
    """Who reaches the vehicle, his own or one that is shared with him, with what the call needs."""
    OWN_VEHICLE = auto()
    """The owner of the vehicle, as the reference has it: to others it is forbidden."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a call lets in, and what it answers him."""

    whom: Whom
    needs: frozenset[str] = frozenset()
    answer: int = 200
    asks: Mapping[str, Any] = field(default_factory=dict)
    """What the request has beside its path."""
    named: str = "x"
    """What stands in the path for what is no vehicle."""
    removes: bool = False
    """The vehicle is gone where the call is good."""


def anybody(answer: int = 200, **more: Any) -> Rule:
    return Rule(Whom.ANYBODY, answer=answer, **more)


def caller(*needs: str, answer: int = 200, **more: Any) -> Rule:
    return Rule(Whom.CALLER, frozenset(needs), answer, **more)


def account(answer: int = 200, **more: Any) -> Rule:
    return Rule(Whom.ACCOUNT, frozenset({ADMIN}), answer, **more)


def vehicle(*needs: str, answer: int = 200, **more: Any) -> Rule:
    return Rule(Whom.VEHICLE, frozenset(needs), answer, **more)


def own(*needs: str, answer: int = 200, **more: Any) -> Rule:
    return Rule(Whom.OWN_VEHICLE, frozenset(needs), answer, **more)


# Nobody drives DEMO: what is to be told to it is refused with 503, where its arguments are not with 422.
AWAY: Final = own(CONTROL, answer=503)
WRONG: Final = own(CONTROL, answer=422)
ADMINS_WRONG: Final = own(ADMIN, answer=422)

RULES: Final[Mapping[str, Rule]] = {
    "GET /livez": anybody(),
    "GET /readyz": anybody(),
    "POST /mqapi/auth": anybody(403),
    "POST /mqapi/superuser": anybody(403),
    "POST /mqapi/acl": anybody(403),
    "GET /api/cookie": caller(SESSION),
    "DELETE /api/cookie": caller(SESSION),
    "GET /api/token": account(),
    "POST /api/token": account(201),
    "DELETE /api/token/{token}": account(),
    "GET /api/vehicles": caller(READ),
    "GET /api/vehicle/{vehicle_id}": own(READ),
    "DELETE /api/vehicle/{vehicle_id}": own(READ),
    "GET /api/status/{vehicle_id}": own(READ),
    "GET /api/charge/{vehicle_id}": own(READ),
    "GET /api/tpms/{vehicle_id}": own(READ),
    "GET /api/lock/{vehicle_id}": own(READ),
    "GET /api/valet/{vehicle_id}": own(READ),
    "GET /api/location/{vehicle_id}": own(LOCATION),
    "GET /api/protocol/{vehicle_id}": own(READ, LOCATION),
    "GET /api/historical/{vehicle_id}": own(HISTORY),
    "GET /api/historical/{vehicle_id}/{record_type}": own(HISTORY, LOCATION),
    "PUT /api/charge/{vehicle_id}": WRONG,
    "DELETE /api/charge/{vehicle_id}": AWAY,
    "PUT /api/lock/{vehicle_id}": AWAY,
    "DELETE /api/lock/{vehicle_id}": AWAY,
    "PUT /api/valet/{vehicle_id}": AWAY,
    "DELETE /api/valet/{vehicle_id}": AWAY,
    "GET /api/features/{vehicle_id}": AWAY,
    "PUT /api/features/{vehicle_id}": WRONG,
    "PUT /api/feature/{vehicle_id}": WRONG,
    "GET /api/parameters/{vehicle_id}": AWAY,
    "PUT /api/parameters/{vehicle_id}": WRONG,
    "PUT /api/parameter/{vehicle_id}": WRONG,
    "PUT /api/reset/{vehicle_id}": AWAY,
    "PUT /api/homelink/{vehicle_id}": WRONG,
    "PUT /api/wakeup/{vehicle_id}": AWAY,
    "PUT /api/cooldown/{vehicle_id}": AWAY,
    "PUT /api/climate/{vehicle_id}": AWAY,
    "DELETE /api/climate/{vehicle_id}": AWAY,
    "PUT /api/command/{vehicle_id}": ADMINS_WRONG,
    "PUT /api/sms/{vehicle_id}": ADMINS_WRONG,
    "PUT /api/ussd/{vehicle_id}": ADMINS_WRONG,
    "PUT /api/at/{vehicle_id}": ADMINS_WRONG,
    "GET /api/v1/vehicles": caller(READ),
    "GET /api/v1/vehicles/{vehicle_id}": vehicle(READ),
    "GET /api/v1/vehicles/{vehicle_id}/state": vehicle(READ),
    "GET /api/v1/vehicles/{vehicle_id}/state/metrics": vehicle(READ),
    "POST /api/v1/vehicles/{vehicle_id}/commands": vehicle(CONTROL, answer=409, asks={"json": {"kind": "lock"}}),
    "GET /api/v1/vehicles/{vehicle_id}/commands": vehicle(CONTROL),
    "GET /api/v1/vehicles/{vehicle_id}/commands/{command_id}": vehicle(CONTROL, answer=404),
    "DELETE /api/v1/vehicles/{vehicle_id}/commands/{command_id}": vehicle(CONTROL, answer=404),
    "POST /api/v1/vehicles": account(422),
    "PUT /api/v1/vehicles/{vehicle_id}/password": vehicle(ADMIN, answer=422),
    "DELETE /api/v1/vehicles/{vehicle_id}": vehicle(ADMIN, answer=204, removes=True),
    "GET /api/v1/vehicles/{vehicle_id}/shares": vehicle(ADMIN),
    "PUT /api/v1/vehicles/{vehicle_id}/shares/{owner}": vehicle(ADMIN, answer=422, asks={"json": {"scopes": []}}),
    "DELETE /api/v1/vehicles/{vehicle_id}/shares/{owner}": vehicle(ADMIN, answer=404),
    "GET /api/v1/vehicles/{vehicle_id}/silence-notice": vehicle(ADMIN),
    "PUT /api/v1/vehicles/{vehicle_id}/silence-notice": vehicle(ADMIN, answer=204, asks={"json": {"hours": 24}}),
    "DELETE /api/v1/vehicles/{vehicle_id}/silence-notice": vehicle(ADMIN, answer=204),
    "GET /api/v1/vehicles/{vehicle_id}/links": vehicle(ADMIN),
    "POST /api/v1/vehicles/{vehicle_id}/links": vehicle(ADMIN, answer=422),
    "DELETE /api/v1/vehicles/{vehicle_id}/links/{identifier}": vehicle(ADMIN, answer=404),
    "GET /api/v1/vehicles/{vehicle_id}/subscriptions": vehicle(ADMIN),
    "PUT /api/v1/vehicles/{vehicle_id}/subscriptions/{app_id}": vehicle(ADMIN, answer=422),
    "DELETE /api/v1/vehicles/{vehicle_id}/subscriptions/{app_id}": vehicle(ADMIN, answer=404),
    "GET /api/v1/account": account(),
    "PATCH /api/v1/account": account(asks={"json": {"email": "a@b"}}),
    "DELETE /api/v1/account": account(403, asks={"json": {"password": "wrong"}}),
    "PUT /api/v1/account/password": account(403, asks={"json": {"current": "wrong", "new": "long enough"}}),
    "GET /api/v1/account/tokens": account(),
    "POST /api/v1/account/tokens": account(201, asks={"json": {"scopes": ["read"]}}),
    "DELETE /api/v1/account/tokens/{identifier}": account(404),
    "GET /api/v1/account/shares": account(),
    "PUT /api/v1/account/shares/{vehicle}": account(404),
    "DELETE /api/v1/account/shares/{vehicle}": account(404),
    "GET /api/v1/account/audit": account(),
    "GET /api/v1/account/export": account(),
    "POST /api/v1/accounts": anybody(403, asks={"json": {"name": "new", "password": "long enough"}}),
    "GET /api/v1/vehicles/{vehicle_id}/state/history": vehicle(HISTORY),
    "GET /api/v1/vehicles/{vehicle_id}/location": vehicle(LOCATION),
    "GET /api/v1/vehicles/{vehicle_id}/charge": vehicle(READ),
    "GET /api/v1/vehicles/{vehicle_id}/doors": vehicle(READ),
    "GET /api/v1/vehicles/{vehicle_id}/tyres": vehicle(READ, answer=404),
    "GET /api/v1/vehicles/{vehicle_id}/history": vehicle(HISTORY),
    "GET /api/v1/vehicles/{vehicle_id}/history/{record_type}": vehicle(HISTORY, LOCATION),
    "GET /api/v1/vehicles/{vehicle_id}/track": vehicle(LOCATION, HISTORY),
    "GET /api/v1/vehicles/{vehicle_id}/notifications": vehicle(HISTORY),
    "GET /api/v1/vehicles/{vehicle_id}/traffic": vehicle(READ),
    "GET /api/v1/events": caller(READ),
    "GET /api/v1/vehicles/{vehicle_id}/events": vehicle(READ),
}


def calls() -> Iterator[str]:
    """All that the document describes."""
    for path, item in make_document(make_api())["paths"].items():
        for method in item:
            yield f"{method.upper()} {path}"


def expected(rule: Rule, role: Role) -> int:
    """What somebody is answered."""
    if rule.whom is Whom.ANYBODY:
        return rule.answer
    if not role.allowed:
        return 401
    if not rule.needs <= role.allowed:
        return 403
    match rule.whom:
        case Whom.ACCOUNT if role.vehicles is not None:
            return 403
        case Whom.VEHICLE if role.on_demo is None:
            return 404
        case Whom.VEHICLE if not rule.needs <= role.on_demo:
            return 403
        case Whom.OWN_VEHICLE if not role.owns:
            return 403
    return rule.answer


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    """A stream that tells nothing says so soon."""
    return gateway_settings.model_copy(update={"event_heartbeat": 0.2})


@pytest.fixture(scope="module")
def documented() -> list[str]:
    return list(calls())


def test_every_call_of_the_document_has_a_rule(documented: list[str]) -> None:
    assert set(documented) == set(RULES), "say in RULES whom these calls let in"


@pytest.mark.timeout(600)
async def test_everybody_with_every_call(gateway: Gateway, documented: list[str]) -> None:
    await add_friends(gateway)
    await furnish(gateway)
    wrong = []
    async with gateway.client() as client:
        for role in ROLES:
            credential = await credential_of(gateway, client, role)
            for call in documented:
                if role.has_cookie:  # some calls end the session that they are made with
                    credential = await credential_of(gateway, client, role)
                answer = await ask(client, call, RULES[call], credential)
                wrong += [f"{role.name}: {call}: {fault}" for fault in faults(answer, call, RULES[call], role)]
                if RULES[call].removes and answer.is_success:
                    await gateway.pool.execute(ADD_DEMO)
                    await furnish(gateway)
    assert wrong == []


async def furnish(gateway: Gateway) -> None:
    """Let DEMO have sent what there is to be seen, and share it."""
    for message in MESSAGES:
        await send_message(gateway.pool, "DEMO", message)
    await share(gateway)


async def ask(client: httpx.AsyncClient, call: str, rule: Rule, credential: Mapping[str, str]) -> httpx.Response:
    method, path = call.split(" ")
    path = re.sub(r"{.*?}", rule.named, path.replace("{vehicle_id}", "DEMO"))
    async with client.stream(method, path, headers=credential, **rule.asks) as answer:
        is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
        text = await beginning(answer) if is_stream else await answer.aread()
    client.cookies.clear()
    return httpx.Response(answer.status_code, headers=answer.headers, content=text)


async def beginning(stream: httpx.Response) -> bytes:
    """What a stream tells until it has nothing more to tell."""
    text = b""
    async for piece in stream.aiter_bytes():
        text += piece
        if b"\n:\n" in b"\n" + text:
            break
    return text


def faults(answer: httpx.Response, call: str, rule: Rule, role: Role) -> Iterator[str]:
    wanted = expected(rule, role)
    if answer.status_code != wanted:
        yield f"{answer.status_code} instead of {wanted}: {answer.text[:100]}"
    if LATITUDE in answer.text and not (LOCATION in role.allowed and LOCATION in (role.on_demo or ())):
        yield "tells where the vehicle is"
    if answer.status_code in (401, 403, 404) and "/api/v1/" in call and "/problems/" not in answer.text:
        yield "refuses without a problem"
