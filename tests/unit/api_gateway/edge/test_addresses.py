"""Where a request comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.edge.addresses import MOST_REPORTED, Proxies, read_networks

TRUSTED = "10.0.0.0/8, 2001:db8::1"


def address_of(client: str | None, *forwarded: str, trusted: str = TRUSTED) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    scope = {"client": None if client is None else (client, 1234), "headers": [(b"host", b"x"), *headers]}
    return Proxies(read_networks(trusted)).address_of(scope)


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.1",), "192.0.2.7"),
        ("10.1.2.3", (), "10.1.2.3"),
        ("10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("203.0.113.9, 198.51.100.1, 10.9.9.9",), "198.51.100.1"),
        ("10.1.2.3", ("203.0.113.9", "198.51.100.1, 10.9.9.9"), "198.51.100.1"),
        ("10.1.2.3", ("10.4.4.4, 10.9.9.9",), "10.4.4.4"),
        ("10.1.2.3", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.1.2.3", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("2001:db8::1", ("2001:db8::7",), "2001:db8::7"),
        ("::ffff:10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("198.51.100.1, unknown",), "10.1.2.3"),
        ("10.1.2.3", ("198.51.100.1, , 10.9.9.9",), "10.9.9.9"),
        ("10.1.2.3", ("",), "10.1.2.3"),
        (None, ("198.51.100.1",), ""),
    ],
)
def test_the_right_most_that_is_no_proxy(client: str | None, forwarded: tuple[str, ...], address: str) -> None:
    assert address_of(client, *forwarded) == address


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert address_of("10.1.2.3", "198.51.100.1", trusted="") == "10.1.2.3"


@pytest.mark.parametrize("setting", ["10.0.0.0/33", "proxy.example.org", "10.0.0.0/8;10.1.1.1"])
def test_what_is_no_network(setting: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        read_networks(setting)


@given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=4))
def test_any_header_at_all_gives_some_address(forwarded: list[str]) -> None:
    assert address_of("10.1.2.3", *forwarded)


@pytest.mark.parametrize(
    ("scheme", "client", "said", "over_tls"),
    [
        ("https", "192.0.2.7", None, True),
        ("http", "192.0.2.7", None, False),
        ("http", "192.0.2.7", b"https", False),
        ("http", "10.1.2.3", b"https", True),
        ("http", "10.1.2.3", b"http", False),
        ("http", "10.1.2.3", None, False),
    ],
)
def test_whether_it_came_over_tls_is_believed_of_proxies_alone(
    scheme: str, client: str, said: bytes | None, over_tls: bool
) -> None:
    headers = [] if said is None else [(b"x-forwarded-proto", said)]
    scope = {"scheme": scheme, "client": (client, 1234), "headers": headers}
    assert Proxies(read_networks(TRUSTED)).is_over_tls(scope) is over_tls


def test_a_peer_that_is_not_trusted_and_forwards_is_reported_once() -> None:
    reported: list[str] = []
    proxies = Proxies(read_networks("10.0.0.0/8"), reported.append)
    forwarded = [(b"x-forwarded-for", b"203.0.113.7")]
    for client, headers in (
        ("10.1.1.1", forwarded),
        ("192.168.1.1", []),
        ("192.168.1.1", forwarded),
        ("192.168.1.1", forwarded),
        ("8.8.8.8", forwarded),
        ("9.9.9.9", forwarded),
    ):
        proxies.address_of({"client": (client, 1), "headers": headers})
    assert reported == ["192.168.1.1", "a public address"]
    for number in range(2 * MOST_REPORTED):
        proxies.address_of({"client": (f"192.168.2.{number}", 1), "headers": forwarded})
    assert len(reported) == MOST_REPORTED
