"""Push subscriptions by the typed API."""

from typing import Any

import pytest

from api_gateway.v1.account.subscriptions import Subscription, Subscriptions
from fixtures.gateway import Gateway
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail

SUBSCRIPTIONS = "/api/v1/vehicles/DEMO/subscriptions"
PHONE = f"{SUBSCRIPTIONS}/phone"
MAIL = {"push_type": "mail", "key": "demo@example.org"}


async def test_a_subscription_is_kept_renewed_and_ended(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        made = await client.put(PHONE, json=MAIL)
        Subscription.model_validate_json(made.content, strict=True)
        assert (made.json()["app_id"], made.json()["push_type"], made.json()["key"]) == ("phone", "mail", "d…@example.org")
        kept = await gateway.pool.fetchrow("SELECT app_id, push_type, key_type, key FROM push_subscriptions")
        assert tuple(kept) == ("phone", "mail", "", "demo@example.org")
        renewed = await client.put(PHONE, json={"push_type": "apns", "key_type": "sandbox", "key": "ab" * 32})
        assert (renewed.json()["key_type"], renewed.json()["key"]) == ("production", "…abab")
        listed = await client.get(SUBSCRIPTIONS)
        Subscriptions.model_validate_json(listed.content, strict=True)
        assert listed.json()["items"] == [renewed.json()]
        await gateway.pool.execute(
            "INSERT INTO push_outbox (vehicle, app_id, message, created_at)"
            " SELECT vehicle, app_id, 'x', now() FROM push_subscriptions"
        )
        assert (await client.delete(PHONE)).status_code == 204
        assert refused(await client.delete(PHONE)) == (404, "subscription-unknown")
        assert (await client.get(SUBSCRIPTIONS)).json() == {"items": []}
    assert await gateway.pool.fetch("SELECT FROM push_outbox") == []
    assert [action for _, action, _ in await trail(gateway)] == ["subscription.put"] * 2 + ["subscription.delete"]
    assert "example.org" not in str(await gateway.pool.fetch("SELECT * FROM audit"))


@pytest.mark.parametrize(
    ("app_id", "body", "pointer"),
    [
        ("phone", {"push_type": "pager", "key": "x"}, "#/push_type"),
        ("phone", {"push_type": "mail", "key": "-"}, "#/key"),
        ("phone", {"push_type": "mail", "key": "a@b\r\nBcc: c@d"}, "#/key"),
        ("phone", {"push_type": "webhook", "key": "ftp://example.org/"}, "#/key"),
        ("phone", {"push_type": "gcm", "key": "x" * 2049}, "#/key"),
        ("a,b", MAIL, "#/path/app_id"),
        ("%00", MAIL, "#/path/app_id"),
        ("x" * 256, MAIL, "#/path/app_id"),
    ],
)
async def test_what_no_subscription_can_be(gateway: Gateway, app_id: str, body: Any, pointer: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.put(f"{SUBSCRIPTIONS}/{app_id}", json=body)
    assert refused(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_only_the_owner_with_all_rights_subscribes(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner:
        await owner.put("/api/v1/vehicles/DEMO/shares/other", json={"scopes": ["read", "location", "history", "control"]})
    async with gateway.client(auth=OTHER) as other:
        await other.put("/api/v1/account/shares/DEMO")
    few = await token_of(gateway, DEMO, "read", "location", "history", "control")
    async with gateway.client(auth=OTHER) as other, bearer(gateway, few) as token:
        for client in (other, token):
            for answer in (await client.get(SUBSCRIPTIONS), await client.put(PHONE, json=MAIL), await client.delete(PHONE)):
                assert refused(answer) == (403, "insufficient-rights")
