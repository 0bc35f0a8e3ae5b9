"""How services say which settings are wrong."""

import pytest
from pydantic import ValidationError

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings as CarSettings
from ovms.wrong_settings import describe


@pytest.mark.parametrize("settings", [GatewaySettings, CarSettings])
def test_both_services_say_it_alike(settings: type[GatewaySettings | CarSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVMS_DATABASE_URL", "mysql://u:hush@h/d")
    monkeypatch.setenv("OVMS_WORKERS", "hush")
    monkeypatch.delenv("OVMS_SECRET_KEYS", raising=False)
    monkeypatch.setenv("OVMS_REDIS_URL", "redis://h")
    with pytest.raises(ValidationError) as error:
        settings()
    text = describe(error.value)
    assert text.startswith("wrong settings: OVMS_DATABASE_URL (not of the form postgresql://")
    assert "OVMS_SECRET_KEYS (Field required)" in text
    assert "OVMS_WORKERS (Input should be a valid integer" in text
    assert "Value error" not in text
    assert "hush" not in text
    assert "\n" not in text
