"""Where a reference server's database is."""

import pytest

from ovms.db.reference.address import Address, AddressError, read_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mysql://u:p@h/d", Address("h", 3306, "u", "p", "d")),
        ("mariadb://u@[::1]:3307/d", Address("::1", 3307, "u", "", "d")),
        ("mysql://u%40x:p%2Fw%3A@h/d%20e", Address("h", 3306, "u@x", "p/w:", "d e")),
        (
            "mysql://u:p@/d?unix_socket=/run/mysqld/mysqld.sock",
            Address("localhost", 3306, "u", "p", "d", "/run/mysqld/mysqld.sock"),
        ),
        ("mysql://u:p@h/d?ssl_ca=/etc/ca.pem", Address("h", 3306, "u", "p", "d", None, "/etc/ca.pem")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "postgresql://u:secret@h/d",
        "mysql://u:secret@h",
        "mysql://u:secret@h/",
        "mysql://:secret@h/d",
        "mysql://u:secret@/d",
        "mysql://u:secret@h:port/d",
        "mysql://u:secret@h/d?ssl=off",
        "mysql://u:secret@h/d?x",
        "mysql://u:secret@[h/d",
    ],
)
def test_what_is_none_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        read_address(url)
    assert "secret" not in str(refused.value)


def test_the_password_is_in_no_representation() -> None:
    assert "secret" not in repr(read_address("mysql://u:secret@h/d"))
