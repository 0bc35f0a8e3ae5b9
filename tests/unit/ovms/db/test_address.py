"""Addresses of PostgreSQL, with one host or several."""

import pytest

from ovms.db.address import AddressError, Host, read_address


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://", ()),
        ("postgresql:///d", ()),
        ("postgresql://u:p@h/d", (Host("h", None),)),
        ("postgres://u:p@h:5433/d?sslmode=require", (Host("h", 5433),)),
        ("postgresql://u:p@/d?host=/run/postgresql", (Host("/run/postgresql", None),)),
        ("postgresql://u:p@a:5432,b:5433,c/d", (Host("a", 5432), Host("b", 5433), Host("c", None))),
        ("postgresql://u:p@192.0.2.1,[2001:db8::1]:5433/d", (Host("192.0.2.1", None), Host("2001:db8::1", 5433))),
        ("postgresql://u:p@%2Frun%2Fa,b/d", (Host("/run/a", None), Host("b", None))),
        ("postgresql://u:p@/d?host=/run/a,/run/b", (Host("/run/a", None), Host("/run/b", None))),
        ("postgresql://u:p@/d?host=a,b&port=5433", (Host("a", 5433), Host("b", 5433))),
        ("postgresql://u:p@/d?host=a,b&port=5433,5434", (Host("a", 5433), Host("b", 5434))),
        ("postgresql://u:%40%2F%23%3A@a,b/d", (Host("a", None), Host("b", None))),
    ],
)
def test_the_hosts(url: str, hosts: tuple[Host, ...]) -> None:
    assert read_address(url).hosts == hosts


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("postgresql://a/d", None),
        ("postgresql://a/d?target_session_attrs=any", "any"),
        ("postgresql://a/d?target_session_attrs=primary", "primary"),
        ("postgresql://a,b/d", "read-write"),
        ("postgresql://a,b/d?target_session_attrs=read-write", "read-write"),
        ("postgresql://a,b/d?target_session_attrs=primary", "primary"),
    ],
)
def test_of_several_hosts_one_that_writes_is_asked_for(url: str, asked: str | None) -> None:
    assert read_address(url).session_attrs == asked


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "not of the form"),
        ("hush", "not of the form"),
        ("mysql://u:hush@h/d", "not of the form"),
        ("postgresql://u:hush@[::1/d", "not of the form"),
        ("postgresql://u:hush@a,,b/d", "not of the form"),
        ("postgresql://u:hush@:5432/d", "not of the form"),
        ("postgresql://u:hush@a:port/d", "not of the form"),
        ("postgresql://u:hush@a:123456/d", "not of the form"),
        ("postgresql://u:hush@a:65536/d", "a port is a number from 1 to 65535"),
        ("postgresql://u:hush@a:0/d", "a port is a number from 1 to 65535"),
        ("postgresql://u:hush@/d?host=a&port=x", "a port is a number from 1 to 65535"),
        ("postgresql://u:hush@/d?host=a,b&port=1,2,3", "3 ports for 2 hosts"),
        ("postgresql://u:hush@a/d?host", "not of the form"),
        # A password whose punctuation is not encoded: each piece of it looks like something else.
        ("postgresql://u:hu@sh@h/d", "not of the form"),
        ("postgresql://u:hu/sh@h/d", "not of the form"),
        ("postgresql://u:1/hush@h/d", "not of the form"),
        ("postgresql://u:hu?sh@h/d", "not of the form"),
        ("postgresql://u:hu#sh@h/d", "not of the form"),
        ("postgresql://u:hu:sh@h:x/d", "not of the form"),
        ("postgresql://a,b/d?target_session_attrs=any", "must be read-write or primary"),
        ("postgresql://a,b/d?target_session_attrs=standby", "must be read-write or primary"),
        ("postgresql://a/d?target_session_attrs=hush", "must be read-write, primary or any"),
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(url: str, message: str) -> None:
    with pytest.raises(AddressError, match=message) as refusal:
        read_address(url)
    assert not {"hush", "hu", "sh"} & set(str(refusal.value).replace(":", " ").split())
    assert refusal.value.__cause__ is None


def test_the_password_is_not_shown() -> None:
    assert "hush" not in repr(read_address("postgresql://u:hush@a,b/d"))
