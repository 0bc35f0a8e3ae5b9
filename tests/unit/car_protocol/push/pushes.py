"""Notifications on their way."""

from datetime import UTC, datetime
from typing import Any

from ovms.db.push import Push

AT = datetime(2026, 8, 3, 9, 5, 7, tzinfo=UTC)


def push(message: bytes = b"ACar is on fire", **other: Any) -> Push:
    values: dict[str, Any] = {
        "id": 17,
        "vehicle": 1,
        "vehicle_id": "Demo-1",
        "app_id": "phone",
        "key_type": "production",
        "key": "ab" * 32,
        "message": message,
        "created_at": AT,
        "attempts": 1,
    }
    return Push(**values | other)
