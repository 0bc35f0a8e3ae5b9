"""Where Redis is, as the setting says it."""

import pytest

from ovms.bus.address import AddressError, Sentinels, Server, read_address
from ovms.bus.client import check_redis_url


@pytest.mark.parametrize("url", ["redis://", "redis://h:1/2", "rediss://u:p@h?ssl_ca_certs=/a", "unix:///a/b.sock?db=1"])
def test_one_server_is_left_to_redis_py(url: str) -> None:
    assert read_address(url) == Server(url)
    check_redis_url(url)


def test_sentinels() -> None:
    url = "redis+sentinel://me:p%40ss@a,b:1,[::1]:2/cars?db=3&sentinel_username=you&sentinel_password=q%26x"
    assert read_address(url) == Sentinels(
        nodes=(("a", 26379), ("b", 1), ("::1", 2)),
        primary="cars",
        options={"username": "me", "password": "p@ss", "db": 3},
        credentials={"username": "you", "password": "q&x"},
        over_tls=False,
    )
    check_redis_url(url)


def test_sentinels_over_tls() -> None:
    url = "rediss+sentinel://a/cars?ssl_ca_certs=/a"
    address = read_address(url)
    assert isinstance(address, Sentinels)
    assert (address.over_tls, address.options) == (True, {"ssl_ca_certs": "/a"})
    check_redis_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with"),
        ("hush", "must begin with"),
        ("http://hush@h", "must begin with"),
        ("unix+sentinel://hush@h/cars", "must begin with"),
        ("redis+other://hush@h", "must begin with"),
        ("redis://:hush@a,b", "several addresses"),
        ("redis+sentinel://:hush@a,b", "the name of a primary"),
        ("redis+sentinel://:hush@a,b/", "the name of a primary"),
        ("redis+sentinel://:hush@a,b/cars/1", "the name of a primary"),
        ("redis+sentinel:///cars", "no host"),
        ("redis+sentinel://:hush@a,,b/cars", "no host"),
        ("redis+sentinel://:hush@a:1/cars?db=hush", "cannot be read"),
        ("redis+sentinel://:hush@a:many/cars", "cannot be read"),
        ("redis+sentinel://" + ",".join(["a"] * 101) + "/cars", "more than 100"),
        ("redis+cluster://:hush@a", "must begin with"),
        ("redis://me:hu/sh@h", "cannot be read"),
        ("redis://me:hu[sh@h", "cannot be read"),
        ("redis://h?hush=1", "option"),
        ("redis+sentinel://a/cars?hush=1", "option"),
        ("rediss://h?ssl_cert_reqs=hush", "option"),
    ],
)
def test_what_is_none_is_refused_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as refused:
        check_redis_url(url)
    assert "hu" not in str(refused.value)


def test_nothing_shows_what_is_secret() -> None:
    for url in (
        "redis://me:hush@a",
        "redis+sentinel://me:hush@a/cars?sentinel_password=hush",
    ):
        assert "hush" not in repr(read_address(url))
