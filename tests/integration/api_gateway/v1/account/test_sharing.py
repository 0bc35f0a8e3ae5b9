"""Sharing a vehicle with another owner, and by a link."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_gateway.v1.account.incoming_shares import IncomingShares, SharedBy
from api_gateway.v1.account.links import Links, NewLink
from api_gateway.v1.account.shares import SharedWith, Shares
from fixtures.gateway import Gateway, send_message
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail
from ovms.db.shares import end_offers

SHARES = "/api/v1/vehicles/DEMO/shares"
INCOMING = "/api/v1/account/shares"
LINKS = "/api/v1/vehicles/DEMO/links"
STATE = "/api/v1/vehicles/DEMO/state"
STATUS = "S75.5,K,230,16,charging,standard,280,251,16,93,0,43"
LOCATION = "L48.2,16.3,92,171,1,1,0,812"


def soon(**length: int) -> str:
    return (datetime.now(UTC) + timedelta(**length)).isoformat()


async def share(gateway: Gateway, *scopes: str, **more: Any) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.put(f"{SHARES}/other", json={"scopes": list(scopes), **more})
    assert answer.status_code == 200, answer.text
    async with gateway.client(auth=OTHER) as client:
        assert (await client.put(f"{INCOMING}/DEMO")).status_code == 200


async def test_a_vehicle_is_shared_for_what_is_said_and_no_more(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", STATUS)
    await send_message(gateway.pool, "DEMO", LOCATION)
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")
        made = await owner.put(f"{SHARES}/OTHER", json={"scopes": ["read"], "expires_at": soon(days=1)})
        SharedWith.model_validate_json(made.content, strict=True)
        assert (made.json()["owner"], made.json()["scopes"], made.json()["accepted_at"]) == ("OTHER", ["read"], None)
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")
        assert [one["id"] for one in (await other.get("/api/v1/vehicles")).json()["items"]] == ["OTHER1", "OTHER2"]
        offered = await other.get(INCOMING)
        IncomingShares.model_validate_json(offered.content, strict=True)
        [offer] = offered.json()["items"]
        assert (offer["vehicle"], offer["owner"], offer["scopes"], offer["accepted_at"]) == ("DEMO", "demo", ["read"], None)
        accepted = await other.put(f"{INCOMING}/demo")
        SharedBy.model_validate_json(accepted.content, strict=True)
        assert accepted.json()["accepted_at"]
        assert (await other.put(f"{INCOMING}/DEMO")).json() == accepted.json()
        assert (await other.get(INCOMING)).json()["items"] == [accepted.json()]
        assert (await other.get(STATE)).json()["records"].keys() == {"state"}
        changed = await owner.put(f"{SHARES}/other", json={"scopes": ["location", "read"]})
        assert (changed.json()["scopes"], changed.json()["expires_at"]) == (["read", "location"], None)
        assert changed.json()["accepted_at"] == accepted.json()["accepted_at"]
        assert (await other.get(STATE)).json()["records"].keys() == {"state", "location"}
        listed = await owner.get(SHARES)
        Shares.model_validate_json(listed.content, strict=True)
        assert listed.json()["items"] == [changed.json()]
        assert (await owner.delete(f"{SHARES}/other")).status_code == 204
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")
        assert refused(await owner.delete(f"{SHARES}/other")) == (404, "share-unknown")
    both = [("other", "share.accept", "DEMO"), ("demo", "share.delete", "DEMO")]
    put = ("demo", "share.put", "DEMO")
    assert await trail(gateway) == [put, both[0], put, both[1]]
    assert await trail(gateway, "other") == both


async def test_known_and_unknown_names_are_answered_alike(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        alike = []
        for name in ("other", "nobody"):
            made = await owner.put(f"{SHARES}/{name}", json={"scopes": ["read"]})
            [listed] = (await owner.get(SHARES)).json()["items"]
            assert listed == made.json()
            if name == "other":
                assert (await other.delete(f"{INCOMING}/DEMO")).status_code == 204
            assert (await owner.get(SHARES)).json()["items"] == [listed]  # that it was declined is not shown
            again = await owner.put(f"{SHARES}/{name}", json={"scopes": ["read", "control"]})
            ended = [await owner.delete(f"{SHARES}/{name}") for _ in range(2)]
            bodies = [{**body, "owner": "", "created_at": ""} for body in (made.json(), again.json())]
            alike.append((made.status_code, again.status_code, bodies, [refused(one) if one.content else 204 for one in ended]))
        assert alike[0] == alike[1]
        assert (await other.get(INCOMING)).json()["items"] == []


async def test_offers_and_changes_write_nothing_into_the_audit_log_of_another(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner:
        for number in range(6):
            await owner.put(f"{SHARES}/other", json={"scopes": ["read"] if number % 4 < 2 else ["control"]})
        await owner.delete(f"{SHARES}/other")
        assert await trail(gateway, "other") == []
        assert [action for _, action, _ in await trail(gateway)] == ["share.put"] * 3 + ["share.delete"]
        await share(gateway, "read")
        for number in range(4):
            await owner.put(f"{SHARES}/other", json={"scopes": ["read"] if number % 2 else ["control"]})
    assert await trail(gateway, "other") == [("other", "share.accept", "DEMO")]


async def test_a_declined_offer_is_not_shown_again(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        for _ in range(2):
            await owner.put(f"{SHARES}/other", json={"scopes": ["read"]})
            declined = await other.delete(f"{INCOMING}/DEMO")
            assert (await other.get(INCOMING)).json()["items"] == []
            assert refused(await other.put(f"{INCOMING}/DEMO")) == (404, "share-unknown")
        assert refused(declined) == (404, "share-unknown")
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")


async def test_only_the_owner_of_the_name_accepts_and_only_in_time(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        await owner.put(f"{SHARES}/nobody", json={"scopes": ["read"]})
        for vehicle in ("DEMO", "NOSUCH", "%00", "OTHER1"):
            for answer in (await other.put(f"{INCOMING}/{vehicle}"), await other.delete(f"{INCOMING}/{vehicle}")):
                assert refused(answer) == (404, "share-unknown")
        await owner.put(f"{SHARES}/other", json={"scopes": ["read"]})
        for ended in ("ends_at", "expires_at"):
            await gateway.pool.execute(f"UPDATE share_offers SET {ended} = now()")
            assert refused(await other.put(f"{INCOMING}/DEMO")) == (404, "share-unknown")
            assert (await other.get(INCOMING)).json()["items"] == (await owner.get(SHARES)).json()["items"] == []
            await owner.put(f"{SHARES}/other", json={"scopes": ["read"]})
    async with gateway.pool.acquire() as connection:
        await connection.execute("UPDATE share_offers SET ends_at = now() - interval '1 s'")
        assert await end_offers(connection, limit=1) == await end_offers(connection, limit=5) == 1


@pytest.mark.parametrize("bound", ["MOST_SHARES", "MOST_OFFERS", "MOST_OFFERS_TO_ONE", "MOST_OFFERED"])
async def test_offers_are_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(f"ovms.db.shares.{bound}", 1)
    async with gateway.client(auth=DEMO) as owner:
        assert (await owner.put(f"{SHARES}/other", json={"scopes": ["read"]})).status_code == 200
        assert (await owner.put(f"{SHARES}/OTHER", json={"scopes": ["control"]})).status_code == 200
        place = SHARES if bound == "MOST_SHARES" else SHARES.replace("DEMO", "Second")
        name = "bob" if bound in ("MOST_SHARES", "MOST_OFFERS") else "other"
        assert refused(await owner.put(f"{place}/{name}", json={"scopes": ["read"]})) == (409, "too-many")


async def test_a_share_ends_by_itself(gateway: Gateway) -> None:
    await share(gateway, "read", expires_at=soon(days=1))
    async with gateway.client(auth=OTHER) as other:
        assert (await other.get(STATE)).status_code == 200
        await gateway.pool.execute("UPDATE shares SET expires_at = now()")
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")


async def test_with_whom_it_is_shared_can_leave_and_do_nothing_else(gateway: Gateway) -> None:
    await share(gateway, "read", "location", "history", "control")
    async with gateway.client(auth=OTHER) as other:
        for answer in (
            await other.get(SHARES),
            await other.put(f"{SHARES}/other", json={"scopes": ["read"]}),
            await other.delete(f"{SHARES}/demo"),
            await other.delete(f"{SHARES}/nobody"),
            await other.get(LINKS),
            await other.post(LINKS, json={"expires_at": soon(days=1)}),
            await other.delete(f"{LINKS}/{'0' * 16}"),
        ):
            assert refused(answer) == (403, "insufficient-rights")
        async with bearer(gateway, await token_of(gateway, OTHER, "read", "control")) as program:
            assert refused(await program.delete(f"{SHARES}/other")) == (403, "insufficient-rights")
        assert (await other.delete(f"{SHARES}/other")).status_code == 204
        assert refused(await other.delete(f"{SHARES}/other")) == (404, "vehicle-unknown")
    assert (await trail(gateway))[-1] == ("other", "share.delete", "DEMO")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": []}, "#/scopes"),
        ({"scopes": ["admin"]}, "#/scopes/0"),
        ({"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"scopes": ["read"], "until": 1}, "#/until"),
    ],
)
async def test_what_no_share_can_be(gateway: Gateway, body: Any, pointer: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.put(f"{SHARES}/other", json=body)
    assert refused(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_with_whom_no_vehicle_is_shared(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        for name in ("%00", "%20demo", "x" * 256, "demo", "DEMO"):
            assert refused(await client.put(f"{SHARES}/{name}", json={"scopes": ["read"]})) == (422, "invalid-request")
        assert refused(await client.delete(f"{SHARES}/%00")) == (404, "share-unknown")
        theirs = SHARES.replace("DEMO", "OTHER1")
        assert refused(await client.put(f"{theirs}/demo", json={"scopes": ["read"]})) == (404, "vehicle-unknown")


async def test_a_link_shows_a_vehicle_until_it_is_deleted(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", STATUS)
    await send_message(gateway.pool, "DEMO", LOCATION)
    async with gateway.client(auth=DEMO) as owner:
        made = await owner.post(LINKS, json={"expires_at": soon(hours=1)})
        assert made.status_code == 201
        NewLink.model_validate_json(made.content, strict=True)
        path, _, token = made.json()["path"].partition("#")
        assert (path, len(token), made.headers["cache-control"]) == ("/shared", 64, "no-store")
        listed = await owner.get(LINKS)
        Links.model_validate_json(listed.content, strict=True)
        assert [link["identifier"] for link in listed.json()["items"]] == [made.json()["identifier"]]
        assert token not in listed.text
        assert (await owner.get("/api/v1/account/tokens")).json()["items"] == []
        async with bearer(gateway, token) as visitor:
            assert (await visitor.get(STATE)).json()["records"].keys() == {"state"}
            assert [one["id"] for one in (await visitor.get("/api/v1/vehicles")).json()["items"]] == ["DEMO"]
            for allowed in ("/api/v1/vehicles/Second/state", "/api/v1/vehicles/OTHER1/state"):
                assert refused(await visitor.get(allowed)) == (404, "vehicle-unknown")
            for forbidden in (LINKS, SHARES, "/api/v1/account/tokens"):
                assert refused(await visitor.get(forbidden)) == (403, "insufficient-rights")
            assert (await visitor.get("/api/location/DEMO")).status_code == 403
            assert (await owner.delete(made.headers["location"])).status_code == 204
            assert refused(await visitor.get(STATE)) == (401, "authentication-failed")
            assert refused(await owner.delete(made.headers["location"])) == (404, "link-unknown")
    assert await trail(gateway) == [("demo", "link.create", "DEMO"), ("demo", "link.delete", "DEMO")]
    assert token not in gateway.log.getvalue().decode() + str(await gateway.pool.fetch("SELECT * FROM audit"))


async def test_a_link_with_location_ends_by_itself(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", LOCATION)
    async with gateway.client(auth=DEMO) as owner:
        made = (await owner.post(LINKS, json={"expires_at": soon(hours=1), "location": True})).json()
    async with bearer(gateway, made["path"].partition("#")[2]) as visitor:
        assert (await visitor.get(STATE)).json()["records"].keys() == {"location"}
        await gateway.pool.execute("UPDATE api_tokens SET expires_at = now()")
        assert refused(await visitor.get(STATE)) == (401, "authentication-failed")


async def test_a_token_for_one_vehicle_makes_links_to_that_one(gateway: Gateway) -> None:
    async with bearer(gateway, await token_of(gateway, DEMO, "admin", vehicles=["DEMO"], lifetime=3600)) as client:
        assert (await client.post(LINKS, json={"expires_at": soon(minutes=30)})).status_code == 201
        assert refused(await client.post(LINKS, json={"expires_at": soon(hours=2)})) == (422, "invalid-request")
        second = LINKS.replace("DEMO", "Second")
        assert refused(await client.post(second, json={"expires_at": soon(minutes=30)})) == (404, "vehicle-unknown")


@pytest.mark.parametrize("body", [{}, {"expires_at": None}, {"expires_at": soon(days=400)}, {"expires_at": soon(days=-1)}])
async def test_a_link_must_end(gateway: Gateway, body: Any) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.post(LINKS, json=body)
    assert refused(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "#/expires_at"


async def test_the_page_is_under_a_strict_policy(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answers = [await client.get(f"/shared{name}") for name in ("", "/page.js", "/page.css", "/icon.svg")]
        again = await client.get("/shared", headers={"If-None-Match": answers[0].headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert [answer.headers["content-type"].partition(";")[0] for answer in answers] == [
        "text/html", "text/javascript", "text/css", "image/svg+xml"
    ]  # fmt: skip
