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


def test_where_redis_cannot_be_is_refused_and_not_repeated(secret_keys: str) -> None:
    with pytest.raises(ValidationError, match=r"redis_url\n.* ends in the name of a primary") as refused:
        Settings(database_url="postgresql://", redis_url="redis+sentinel://:hush@h", secret_keys=secret_keys)
    assert "hush" not in str(refused.value)


def test_what_is_no_network_of_proxies_is_refused(secret_keys: str) -> None:
    stores = {"database_url": "postgresql://", "redis_url": "redis://", "secret_keys": secret_keys}
    assert Settings(**stores, trusted_proxies="10.0.0.0/8, 2001:db8::1").trusted_proxies
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings(**stores, trusted_proxies="proxy.example.org")


def test_what_is_no_address_of_postgresql_is_refused_and_not_shown(secret_keys: str) -> None:
    stores = {"redis_url": "redis://", "secret_keys": secret_keys}
    assert Settings(**stores, database_url="postgresql://u:p@a:5432,b:5432/d").database_url
    with pytest.raises(ValidationError, match=r"database_url\n.*not of the form postgresql://") as refusal:
        Settings(**stores, database_url="postgresql://u:hu/sh@h/d")
    assert "hu/sh" not in str(refusal.value)


def test_browsers_are_not_kept_from_plain_http_unless_it_is_asked_for() -> None:
    assert Settings.model_fields["hsts"].default == 0
