"""What the environment says."""

import pytest
from pydantic import ValidationError

from api_gateway.settings import Settings


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, secret_keys: str) -> None:
    monkeypatch.setenv("OVMS_SECRET_KEYS", secret_keys)
    monkeypatch.setenv("OVMS_DATABASE_URL", "postgresql://u:hush@h/d")
    monkeypatch.setenv("OVMS_REDIS_URL", "redis://h")
    monkeypatch.setenv("OVMS_HTTP_PORT", "7000")
    settings = Settings()
    assert (settings.http_port, settings.host, settings.api_session_timeout) == (7000, "127.0.0.1", 360)
    assert "hush" not in repr(settings)
    assert secret_keys not in repr(settings)


def test_the_addresses_have_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OVMS_DATABASE_URL", "OVMS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValidationError):
        Settings()


def test_settings_do_not_change(secret_keys: str) -> None:
    settings = Settings(database_url="postgresql://", redis_url="redis://", secret_keys=secret_keys)
    with pytest.raises(ValidationError):
        settings.http_port = 1
