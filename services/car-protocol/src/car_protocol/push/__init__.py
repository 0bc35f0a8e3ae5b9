"""Notifications on their way to phones, mail boxes and web hooks (docs/decisions/0007)."""
