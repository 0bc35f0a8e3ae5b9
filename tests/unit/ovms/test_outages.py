"""What the log says of an outage."""

import io
import json
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from redis.exceptions import ConnectionError as LostConnection

from ovms.logs import make_log
from ovms.outages import POSTGRESQL, QUIET, REDIS, STORE_AVAILABLE, Outages, report_outage, store_of
from ovms.redaction import Redactor
from ovms.stores import store_addresses

ADDRESSES = {POSTGRESQL: "db.example:5432", REDIS: "redis.example:6379"}


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def log(stream: io.BytesIO) -> Any:
    return make_log("api-gateway", "info", Redactor(None), stream, ADDRESSES)


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_effect_is_logged_once_an_outage_with_the_address(log: Any, stream: io.BytesIO) -> None:
    for _ in range(100):
        report_outage(log, REDIS, "publications are dropped", LostConnection())
        report_outage(log, REDIS, "presence is announced later", LostConnection())
        report_outage(log, POSTGRESQL, "rows wait in memory", TimeoutError())
    assert [(line["level"], line["store"], line["effect"], line["address"], line["reason"]) for line in lines(stream)] == [
        ("warning", REDIS, "publications are dropped", ADDRESSES[REDIS], "ConnectionError"),
        ("warning", REDIS, "presence is announced later", ADDRESSES[REDIS], "ConnectionError"),
        ("warning", POSTGRESQL, "rows wait in memory", ADDRESSES[POSTGRESQL], "TimeoutError"),
    ]


def test_the_next_outage_is_logged_again(log: Any, stream: io.BytesIO) -> None:
    for store in (REDIS, POSTGRESQL, REDIS):
        report_outage(log, store, "x", LostConnection())
    log.info(STORE_AVAILABLE, store=REDIS)
    for store in (REDIS, POSTGRESQL, REDIS):
        report_outage(log, store, "x", LostConnection())
    assert [line["store"] for line in lines(stream)] == [REDIS, POSTGRESQL, REDIS, REDIS]
    assert lines(stream)[2]["event"] == "store available again"


def test_an_outage_that_nothing_ends_is_over_after_a_while() -> None:
    now = 0.0
    outages = Outages(ADDRESSES, lambda: now)

    def passes() -> bool:
        try:
            outages(None, "warning", {"event": "store unavailable", "store": REDIS, "effect": "x", "reason": "y"})
        except structlog.DropEvent:
            return False
        return True

    assert passes()
    for _ in range(5):
        now += QUIET - 1
        assert not passes()
    now += QUIET
    assert passes()


def test_other_lines_pass(log: Any, stream: io.BytesIO) -> None:
    log.info("request", route="/livez")
    log.info("request", route="/livez")
    assert len(lines(stream)) == 2


def test_an_error_tells_its_store() -> None:
    assert store_of(LostConnection()) == REDIS
    assert store_of(OSError()) == store_of(TimeoutError()) == POSTGRESQL


@pytest.mark.parametrize(
    ("database_url", "redis_url", "expected"),
    [
        ("postgresql://u:hush@db:5432/ovms", "redis://:hush@cache:6380/1", ("db:5432", "cache:6380")),
        ("postgresql://u:hush@a,b:5433/ovms", "rediss://u:hush@cache", ("a,b:5433", "cache:6379")),
        ("postgresql:///d?host=/run/pg&password=hush", "unix:///run/v.sock?password=hush", ("/run/pg", "/run/v.sock")),
        ("postgresql://", "redis+sentinel://u:hush@a:1,b:2/mymaster", ("", "a:1,b:2/mymaster")),
    ],
)
def test_addresses_hold_no_credentials(database_url: str, redis_url: str, expected: tuple[str, str]) -> None:
    assert store_addresses(SecretStr(database_url), SecretStr(redis_url)) == dict(
        zip((POSTGRESQL, REDIS), expected, strict=True)
    )
