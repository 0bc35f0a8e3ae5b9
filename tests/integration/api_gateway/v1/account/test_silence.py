"""The silence notice of a vehicle."""

from typing import Any

import pytest

from api_gateway.v1.account.silence import Silence
from fixtures.gateway import Gateway
from fixtures.typed import DEMO, refused, trail

NOTICE = "/api/v1/vehicles/DEMO/silence-notice"


async def test_it_is_off_until_it_is_set_and_after_it_is_ended(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        off = await client.get(NOTICE)
        Silence.model_validate_json(off.content, strict=True)
        assert off.json() == {"hours": None, "silent": False}
        for _ in range(2):
            assert (await client.put(NOTICE, json={"hours": 24})).status_code == 204
        assert (await client.get(NOTICE)).json() == {"hours": 24, "silent": False}
        await gateway.pool.execute("UPDATE silence_notices SET is_silent = true")
        assert (await client.get(NOTICE)).json() == {"hours": 24, "silent": True}
        for _ in range(2):
            assert (await client.delete(NOTICE)).status_code == 204
        assert (await client.get(NOTICE)).json() == off.json()
    actions = [action for _, action, _ in await trail(gateway)]
    assert actions == ["silence_notice.put", "silence_notice.put", "silence_notice.delete"]


@pytest.mark.parametrize("body", [{}, {"hours": 0}, {"hours": 8761}, {"hours": None}, {"hours": 1.5}, {"hours": 1, "to": "x"}])
async def test_other_settings_are_invalid(gateway: Gateway, body: Any) -> None:
    async with gateway.client(auth=DEMO) as client:
        assert refused(await client.put(NOTICE, json=body)) == (422, "invalid-request")
