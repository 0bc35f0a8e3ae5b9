"""Which topics are whose. Pure."""

from typing import Final

# A user called `+` would own everybody's topics, one called `demo/V01` some of demo's; U+FFFD stands for bytes that are not
# UTF-8, so two that differ in them would be one.
_NEVER_IN_A_NAME: Final = frozenset("/+#\0\ufffd")


def may_use(user: str, topic: str) -> bool:
    """Whether a topic, or all that a topic filter matches, lies below `ovms/<user>/`.

    The name counts as it is spelled, as in the reference: a broker compares topics byte for byte. Wildcards are allowed where
    they stand below the user's own level, since nothing of others is there.
    """
    return user != "" and _NEVER_IN_A_NAME.isdisjoint(user) and topic.startswith(f"ovms/{user}/")
