"""What the environment says."""

import pytest
from pydantic import ValidationError

from car_protocol.settings import Settings


def test_what_is_no_address_of_postgresql_is_refused_and_not_shown(secret_keys: str) -> None:
    stores = {"redis_url": "redis://", "secret_keys": secret_keys}
    assert Settings(**stores, database_url="postgresql://u:p@a:5432,b:5432/d").database_url
    with pytest.raises(ValidationError, match=r"database_url\n.*not of the form postgresql://") as refusal:
        Settings(**stores, database_url="postgresql://u:hu/sh@h/d")
    assert "hu/sh" not in str(refusal.value)
