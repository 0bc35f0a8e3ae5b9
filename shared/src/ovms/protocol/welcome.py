"""The lines before login (manual, Startup): what a peer introduces itself with, and our answer.

MP-<kind> 0 <token> <digest> <vehicle id>[ <rest>]
MP-S 0 <server token> <server digest>

MP-<kind> 1 <user> <password or API token> <vehicle id or *>
MP-S 1 <user> <vehicle id> <all the user's vehicle ids>

AP-C 0 <key>
AP-S 0 <token> <digest> <record>, or AP-X
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ovms.errors import BadWelcome, Undecodable, UnsupportedScheme
from ovms.identity import Role
from ovms.protocol.cipher import encipher, prove, read_base64, write_base64


@dataclass(frozen=True, slots=True)
class Login:
    """A peer asks to be let in to a vehicle."""

    role: Role
    vehicle_id: str
    """As the peer spells it."""
    token: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def proves(self, secret: bytes) -> bool:
        """Whether the peer knows the vehicle's password; takes the same time either way."""
        return hmac.compare_digest(prove(secret, self.token), self.digest)


@dataclass(frozen=True, slots=True)
class UserLogin:
    """A peer asks to be let in to a vehicle of a user (scheme 1)."""

    role: Role
    user: str
    password: str = field(repr=False)
    """Or an API token."""
    vehicle_id: str
    """As the peer spells it, or `ANY_VEHICLE`."""


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """A module that has no configuration yet asks for it (manual, Auto Provisioning)."""

    key: str
    """What the module knows of itself, usually the car's VIN."""


ANY_VEHICLE: Final = "*"
NOT_PROVISIONED: Final = b"AP-X\r\n"


def read_welcome(line: bytes) -> Login | UserLogin | ProvisionRequest:
    """Read a peer's first line.

    Words after the vehicle id are ignored: iOS sends the name of a picture there.

    Raises:
        BadWelcome: it is neither the welcome of a car, an app or a batch client nor a request for a configuration.
        UnsupportedScheme: the scheme is neither 0 nor 1.
    """
    words = line.split()
    if len(words) >= 3 and words[0] == b"AP-C":
        return _read_request(words)
    if len(words) < 5 or not words[0].startswith(b"MP-"):
        raise BadWelcome
    try:
        role = Role(words[0][3:].decode("ascii"))
    except ValueError:
        raise BadWelcome from None
    if words[1] == b"1":
        user, password, vehicle_id = (word.decode("utf-8", "replace") for word in words[2:5])
        return UserLogin(role, user, password, vehicle_id)
    if words[1] != b"0":
        raise UnsupportedScheme
    try:
        digest = read_base64(words[3])
    except Undecodable:
        raise BadWelcome from None
    return Login(role, words[4].decode("utf-8", "replace"), token=words[2], digest=digest)


def _read_request(words: list[bytes]) -> ProvisionRequest:
    if words[1] != b"0":
        raise UnsupportedScheme
    return ProvisionRequest(words[2].decode("utf-8", "replace"))


def write_enciphered(token: bytes, digest: bytes, record: bytes) -> bytes:
    """The configuration of a module that was enciphered elsewhere, with a secret that is not known here.

    Args:
        token: what the digest proves the secret with, as on the wire.
        digest: base64, as on the wire.
        record: enciphered, base64, as on the wire.
    """
    return b"AP-S 0 %b %b %b\r\n" % (token, digest, record)


def write_provisioning(record: bytes, secret: bytes, token: bytes) -> bytes:
    """The configuration of a module, that only a module which knows the secret can read.

    Args:
        record: parameters, spaces between.
        secret: usually the ICCID of the module's SIM.
    """
    key = prove(secret, token)
    return write_enciphered(token, write_base64(key), write_base64(encipher(key, record)))


def write_welcome(role: Role, token: bytes, secret: bytes, vehicle_id: str) -> bytes:
    """The first line of a client."""
    digest = write_base64(prove(secret, token))
    return b"MP-%b 0 %b %b %b\r\n" % (role.value.encode(), token, digest, vehicle_id.encode())


def write_answer(server_token: bytes, secret: bytes) -> bytes:
    """The server's answer to a welcome that it accepts."""
    return b"MP-S 0 %b %b\r\n" % (server_token, write_base64(prove(secret, server_token)))


def write_user_answer(user: str, vehicle_id: str, vehicle_ids: Iterable[str]) -> bytes:
    """The server's answer to a welcome of scheme 1 that it accepts."""
    return f"MP-S 1 {user} {vehicle_id} {' '.join(vehicle_ids)}\r\n".encode()


def read_answer(line: bytes) -> tuple[bytes, bytes]:
    """The server's token and digest.

    Raises:
        BadWelcome: it is no answer of scheme 0.
    """
    words = line.split()
    if len(words) != 4 or words[:2] != [b"MP-S", b"0"]:
        raise BadWelcome
    try:
        return words[2], read_base64(words[3])
    except Undecodable:
        raise BadWelcome from None
