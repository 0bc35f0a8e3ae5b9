"""Private keys that sign for this server at the push services."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def read_rsa_key(pem: str) -> RSAPrivateKey:
    """Read the key of a Google service account.

    Raises:
        ValueError: it is none.
    """
    key = _read(pem)
    if isinstance(key, RSAPrivateKey):
        return key
    raise ValueError("not an RSA key")


def read_ec_key(pem: str) -> EllipticCurvePrivateKey:
    """Read a signing key of Apple's: it is one of the curve P-256.

    Raises:
        ValueError: it is none.
    """
    key = _read(pem)
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError("not a P-256 key")


def _read(pem: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("a key with a passphrase, or of a kind that is not known") from error
