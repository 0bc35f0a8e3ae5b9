"""Scheme 0: a shared secret proves both ends and enciphers every line after the welcome.

Manual, "Encryption Scheme 0x30": HMAC-MD5 of a token under the secret proves the secret; HMAC-MD5 of both tokens is the key of
two RC4 streams, one a direction, whose first 1,024 bytes are thrown away; a line is the base64 of what RC4 made of it. Neither
MD5 nor RC4 withstands a serious attacker: it is what a million modules speak, and TLS around it is the remedy.
"""

import hmac
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Final, Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from ovms.errors import Undecodable

MAGIC: Final = b"MP-0 "
DISCARDED: Final = bytes(1024)

_MAGIC_SIZE: Final = len(MAGIC)
_SPACE: Final = 0x20


def prove(secret: bytes, token: bytes) -> bytes:
    """The 16 bytes that prove the knowledge of a secret for a token."""
    return hmac.digest(secret, token, "md5")


def session_key(secret: bytes, server_token: bytes, client_token: bytes) -> bytes:
    """The 16 bytes that key both directions of a session."""
    return hmac.digest(secret, server_token + client_token, "md5")


def read_base64(text: bytes) -> bytes:
    """Decode base64 with or without padding: Perl's HMAC modules leave it out (`b64digest`).

    Raises:
        Undecodable: it is not base64 at all.
    """
    try:
        return a2b_base64(text)
    except Base64Error:
        pass
    try:
        return a2b_base64(text.rstrip(b"=") + b"==")
    except Base64Error:
        raise Undecodable from None


def write_base64(data: bytes) -> bytes:
    """Encode base64 with padding: firmware and apps compare digests as text."""
    return b2a_base64(data, newline=False)


def encipher(key: bytes, text: bytes) -> bytes:
    """One text by itself under a key, the beginning of the stream thrown away as in a session."""
    update = Cipher(ARC4(key), mode=None).encryptor().update
    update(DISCARDED)
    return update(text)


class Lines(Protocol):
    """How the lines of a session carry messages."""

    def open(self, line: bytes) -> bytes:
        """The message in a line: one byte of code, then the data.

        Raises:
            Undecodable: the line holds no message.
        """

    def seal(self, message: bytes) -> bytes:
        """The line that carries a message, with its line end."""


class PlainLines:
    """Scheme 1: a line is the message itself (manual, "Encryption Scheme 0x31"); TLS is what should be around it."""

    __slots__ = ()

    def open(self, line: bytes) -> bytes:
        """The message in a line: one byte of code, then the data.

        Raises:
            Undecodable: the line is empty, or begins with a blank.
        """
        # Some clients put the magic of scheme 0 before their messages here as well.
        message = line.removesuffix(b"\r").removeprefix(MAGIC)
        if not message or message[0] <= _SPACE:
            raise Undecodable
        return message

    def seal(self, message: bytes) -> bytes:
        """The line that carries a message, with its line end."""
        return message + b"\r\n"


class Rc4Lines:
    """Opens and seals the lines of one session; every line moves its stream on, so order is all.

    Args:
        key: the session's key, the same at both ends.
    """

    __slots__ = ("_decipher", "_encipher")

    def __init__(self, key: bytes) -> None:
        cipher = Cipher(ARC4(key), mode=None)
        # Only the bound methods are kept: what a session holds is multiplied by every car.
        self._decipher = cipher.decryptor().update
        self._encipher = cipher.encryptor().update
        self._decipher(DISCARDED)
        self._encipher(DISCARDED)

    def open(self, line: bytes) -> bytes:
        """The message in a line: one byte of code, then the data.

        Raises:
            Undecodable: the line is not base64, or holds no message; the stream is out of step.
        """
        try:
            text = self._decipher(a2b_base64(line))
        except Base64Error:
            text = self._decipher(read_base64(line))
        if text[:_MAGIC_SIZE] != MAGIC or len(text) == _MAGIC_SIZE or text[_MAGIC_SIZE] <= _SPACE:
            raise Undecodable
        # A line feed inside would end the line of a peer that gets it unenciphered; the reference cuts there as well.
        if b"\n" in text:
            text = text.partition(b"\n")[0]
        return text[_MAGIC_SIZE:]

    def seal(self, message: bytes) -> bytes:
        """The line that carries a message, with its line end."""
        return b2a_base64(self._encipher(MAGIC + message), newline=False) + b"\r\n"
