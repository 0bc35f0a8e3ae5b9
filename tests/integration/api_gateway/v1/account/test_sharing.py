"""Sharing a vehicle with another owner, and by a link."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_gateway.v1.account.links import Links, NewLink
from api_gateway.v1.account.shares import SharedWith, Shares
from fixtures.gateway import Gateway, send_message
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail

SHARES = "/api/v1/vehicles/DEMO/shares"
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


async def test_a_vehicle_is_shared_for_what_is_said_and_no_more(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", STATUS)
    await send_message(gateway.pool, "DEMO", LOCATION)
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")
        made = await owner.put(f"{SHARES}/OTHER", json={"scopes": ["read"], "expires_at": soon(days=1)})
        SharedWith.model_validate_json(made.content, strict=True)
        assert (made.json()["owner"], made.json()["scopes"]) == ("other", ["read"])
        assert (await other.get(STATE)).json()["records"].keys() == {"state"}
        changed = await owner.put(f"{SHARES}/other", json={"scopes": ["location", "read"]})
        assert (changed.json()["scopes"], changed.json()["expires_at"]) == (["read", "location"], None)
        assert changed.json()["created_at"] == made.json()["created_at"]
        assert (await other.get(STATE)).json()["records"].keys() == {"state", "location"}
        listed = await owner.get(SHARES)
        Shares.model_validate_json(listed.content, strict=True)
        assert listed.json()["items"] == [changed.json()]
        assert (await owner.delete(f"{SHARES}/other")).status_code == 204
        assert refused(await other.get(STATE)) == (404, "vehicle-unknown")
        assert refused(await owner.delete(f"{SHARES}/other")) == (404, "share-unknown")
    done = [("demo", "share.put", "DEMO"), ("demo", "share.put", "DEMO"), ("demo", "share.delete", "DEMO")]
    assert await trail(gateway) == await trail(gateway, "other") == done


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


async def test_with_whom_no_vehicle_is_shared(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway.client(auth=DEMO) as client:
        assert refused(await client.put(f"{SHARES}/nobody", json={"scopes": ["read"]})) == (404, "owner-unknown")
        assert refused(await client.put(f"{SHARES}/%00", json={"scopes": ["read"]})) == (404, "owner-unknown")
        assert refused(await client.put(f"{SHARES}/demo", json={"scopes": ["read"]})) == (422, "invalid-request")
        theirs = SHARES.replace("DEMO", "OTHER1")
        assert refused(await client.put(f"{theirs}/demo", json={"scopes": ["read"]})) == (404, "vehicle-unknown")
        monkeypatch.setattr("api_gateway.v1.account.shares.MOST_SHARES", 0)
        assert refused(await client.put(f"{SHARES}/other", json={"scopes": ["read"]})) == (409, "too-many")


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
