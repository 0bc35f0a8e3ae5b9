"""A running gateway for every test here, and a car for those that ask for it."""

from fixtures.commanded import car, owner, service
from fixtures.gateway import gateway, gateway_settings

__all__ = ["car", "gateway", "gateway_settings", "owner", "service"]
