"""Which topics are whose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.mqapi.topics import may_use


@pytest.mark.parametrize(
    "topic",
    ["ovms/demo/", "ovms/demo/DEMO/metric/v/b/soc", "ovms/demo/#", "ovms/demo/+/metric/#", "ovms/demo//", "ovms/demo/ü"],
)
def test_all_below_his_own_level_is_his(topic: str) -> None:
    assert may_use("demo", topic)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "+",
        "/",
        "+/#",
        "+/demo/x",
        "ovms",
        "ovms/#",
        "ovms/+",
        "ovms/+/x",
        "ovms/demo",
        "ovms/demo#",
        "ovms/demo+/x",
        "ovms/demo2/x",
        "ovms/dem/x",
        "ovms/Demo/x",
        "OVMS/demo/x",
        "/ovms/demo/x",
        " ovms/demo/x",
        "ovms//demo/x",
        "ovms/other/demo/x",
        "$SYS/ovms/demo/",
        "$share/ovms/demo/x",
    ],
)
def test_nothing_else_is(topic: str) -> None:
    assert not may_use("demo", topic)


@pytest.mark.parametrize("user", ["", "+", "#", "demo/V01", "/", "demo/", "demo#", "de\0mo", "\ufffd"])
def test_a_name_that_would_reach_others_owns_nothing(user: str) -> None:
    assert not may_use(user, f"ovms/{user}/x")


@pytest.mark.parametrize("user", ["DEMO", "anna@example.com", "Anna Müller", "a.b", "..", "$x"])
def test_other_names_own_theirs_as_they_are_spelled(user: str) -> None:
    assert may_use(user, f"ovms/{user}/x")
    assert not may_use(user, f"ovms/{user.swapcase()}x/x")


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter matches a topic, by the standard's words (MQTT 5.0, 4.7.1)."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(levels) or level not in ("+", levels[number]):
            return False
    return len(wanted) == len(levels)


LEVELS = st.sampled_from(["ovms", "demo", "demo2", "+", "#", "", "x"])
PATHS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join)


@given(user=LEVELS, topic_filter=PATHS, rest=st.lists(st.sampled_from(["", "x"]), max_size=3))
def test_no_filter_that_is_granted_reaches_another_user(user: str, topic_filter: str, rest: list[str]) -> None:
    if may_use(user, topic_filter):
        for other in {"demo", "demo2", "x"} - {user}:
            assert not matches(topic_filter, "/".join(["ovms", other, *rest]))
