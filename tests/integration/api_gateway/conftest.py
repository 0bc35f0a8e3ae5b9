"""A running gateway for every test here."""

from fixtures.gateway import gateway, gateway_settings

__all__ = ["gateway", "gateway_settings"]
