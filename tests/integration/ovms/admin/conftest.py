"""The fixtures of these tests."""

from fixtures.command import ovms, provision

__all__ = ["ovms", "provision"]
