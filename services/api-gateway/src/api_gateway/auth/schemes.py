"""The ways to sign in, as the OpenAPI document names them."""

from collections.abc import Mapping
from typing import Any, Final

from api_gateway.auth.credentials import COOKIE

SCHEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "From `GET /api/cookie`"},
    "username": {"type": "apiKey", "in": "query", "name": "username", "description": "Together with `password`"},
    "password": {"type": "apiKey", "in": "query", "name": "password", "description": "The password or an API token"},
    "basic": {"type": "http", "scheme": "basic", "description": "The password or an API token"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API token"},
}

# `openapi_extra=` of every call that one of these signs a caller in for.
SIGNED_IN: Final[Mapping[str, Any]] = {
    "security": [{"session": []}, {"username": [], "password": []}, {"basic": []}, {"bearer": []}]
}
