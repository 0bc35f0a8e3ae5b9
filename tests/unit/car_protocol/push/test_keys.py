"""Keys that sign for this server."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from car_protocol.push.keys import read_ec_key, read_rsa_key

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any, protection: Any = None) -> str:
    protection = protection or serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode())


def test_keys_of_the_right_kind_are_read() -> None:
    assert read_rsa_key(pem(RSA)).private_numbers() == RSA.private_numbers()
    assert read_ec_key(pem(P256)).private_numbers() == P256.private_numbers()


@pytest.mark.parametrize("read", [read_rsa_key, read_ec_key])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(RSA, serialization.BestAvailableEncryption(b"x")),
        pem(P256, serialization.BestAvailableEncryption(b"x")),
    ],
)
def test_nothing_else_is(read: Any, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the parser says it in words of its own
        read(text)


def test_one_is_not_the_other() -> None:
    with pytest.raises(ValueError, match="RSA"):
        read_rsa_key(pem(P256))
    with pytest.raises(ValueError, match="P-256"):
        read_ec_key(pem(RSA))
