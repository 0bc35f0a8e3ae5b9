"""Whose work the time of a profile was."""

from bench.shares import shares, table

LOOP = "<module> (car_protocol/__main__.py:90);Runner.run (asyncio/runners.py:118)"
STACKS = [
    f"{LOOP} 20",
    f"{LOOP};Connection.data_received (car_protocol/connections/connection.py:9);digest (hmac.py:3) 10",
    f"{LOOP};Presence.claim (ovms/bus/presence.py:148) 29",
    f"{LOOP};Pipeline.execute (redis/asyncio/client.py:2262) 40",
    f"{LOOP};_run (car_protocol/__main__.py:7) 900",
    f"{LOOP};_parse (orjson/__init__.py:7) 1",
    f"{LOOP};_run_code (<frozen runpy>:88) 0",
    "_bootstrap (threading.py:1002);_worker (concurrent/futures/thread.py:81) 500",
    " 17",
]


def test_shares_are_of_whose_function_ran() -> None:
    assert shares(STACKS) == {
        "`car_protocol.__main__`": 0.9,
        "redis": 0.04,
        "`ovms.bus`": 0.029,
        "uvloop, and the kernel behind it": 0.02,
        "the standard library": 0.01,
        "what is less than that": 1 - (0.9 + 0.04 + 0.029 + 0.02 + 0.01),
    }


def test_a_table_shows_the_largest_first() -> None:
    lines = list(table(STACKS))
    assert lines[:4] == ["| in | of the time |", "|---|---|", "| `car_protocol.__main__` | 90% |", "| redis | 4% |"]


def test_a_profile_of_nothing_is_an_empty_table() -> None:
    assert list(table([])) == ["| in | of the time |", "|---|---|"]
