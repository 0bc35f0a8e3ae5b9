"""Where a web hook may lead."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from car_protocol.push.addresses import find_address, is_public
from car_protocol.push.channel import Refused, Unreachable
from ovms.subscriptions import is_webhook


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "192.0.0.8", "192.0.0.9", "192.88.99.1", "::7f00:1", "::8.8.8.8", "fec0::1", "::ffff:0:7f00:1", "5f00::1", "3fff::1",
        "100::1", "100:0:0:1::1", "2001:1::1", "2001:20::1", "4000::1", "::ffff:192.0.0.8",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1", "2001:0:a00:1::1",
    ],
)  # fmt: skip
def test_addresses_of_something_nearer(address: str) -> None:
    assert not is_public(address)


@settings(deadline=None)
@given(st.ip_addresses(v=6).filter(lambda ip: ip not in IPv6Network("2000::/3") and not ip.ipv4_mapped))
def test_no_ipv6_address_outside_of_what_the_internet_routes_is_public(address: IPv6Address) -> None:
    assert not is_public(str(address))


@pytest.mark.parametrize("url", ["https://x.org", "https://x.org:8443/a", "http://10.0.0.1/", "https://[2606:4700::1111]/"])
def test_what_a_web_hook_may_look_like(url: str) -> None:
    assert is_webhook(url)


@pytest.mark.parametrize(
    "url", ["", "x.org", "file:///etc/passwd", "https:///x", "https://u@x.org", "https://x.org:0/", "https://[::1"]
)
def test_what_it_may_not_look_like(url: str) -> None:
    assert not is_webhook(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://2130706433/", "https://127.1/", "https://0x7f.1/",
        "https://169.254.169.254/latest/", "https://[::ffff:127.0.0.1]/", "https://10.1.2.3:8443/", "http://127.0.0.1/",
    ],
)  # fmt: skip
async def test_a_private_address_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused, match="private"):
        await find_address(url, allow_private=False)


@pytest.mark.parametrize(("url", "address"), [("http://127.0.0.1:8000/x", "127.0.0.1"), ("https://10.1.2.3/", "10.1.2.3")])
async def test_a_private_address_may_be_allowed(url: str, address: str) -> None:
    assert await find_address(url, allow_private=True) == address


async def test_a_public_address_needs_tls_always() -> None:
    assert await find_address("https://1.1.1.1/", allow_private=False) == "1.1.1.1"
    for allowed in (True, False):
        with pytest.raises(Refused, match="without TLS"):
            await find_address("http://1.1.1.1/", allow_private=allowed)


async def test_a_name_that_nobody_knows_may_be_known_later() -> None:
    with pytest.raises(Unreachable):
        await find_address("https://nobody.invalid/", allow_private=False)
