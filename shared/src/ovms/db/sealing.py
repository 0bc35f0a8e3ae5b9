"""Secrets at rest: AES-256-GCM under keys that come from the environment, each with an id, so that they can be rotated."""

import base64
import binascii
import hmac
import os
from collections.abc import Collection, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ovms.errors import OvmsError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 8.2.2: a random nonce has 96 bits
_PSEUDONYM_BYTES: Final = 5


class SealingError(OvmsError):
    """A secret cannot be opened, or the keys are not written as they should be; no message holds a key or a secret."""


class Sealer:
    """Seals under the current key, opens under any."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        """Take the keys (id to 32 bytes) and the id of the one that seals.

        Raises:
            SealingError: the current key is missing, or a key has not 32 bytes.
        """
        if current not in keys:
            raise SealingError(f"no secret key has the id {current!r}")
        for key_id, key in keys.items():
            if len(key) != _KEY_BYTES:
                raise SealingError(f"secret key {key_id!r}: {len(key)} bytes instead of {_KEY_BYTES}")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._marks = {key_id: hmac.digest(key, b"ovms mark", "sha256") for key_id, key in keys.items()}
        self._current = current

    @classmethod
    def from_setting(cls, text: str) -> "Sealer":
        """Read `id:base64 of 32 bytes[,id:base64…]`; the first key seals.

        Raises:
            SealingError: the text has another form.
        """
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), start=1):
            key_id, colon, encoded = entry.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not (key_id and colon and key) or key_id in keys:
                raise SealingError(f"secret keys, entry {number}: not `id:base64 of 32 bytes` with an id of its own")
            keys[key_id] = key
        return cls(keys, next(iter(keys)))

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return self._current

    @property
    def key_ids(self) -> Collection[str]:
        """The ids of all keys, the one that seals first."""
        return self._ciphers.keys()

    def seal(self, secret: bytes, *, context: str) -> tuple[str, bytes]:
        """Seal a secret for a context, without which it does not open: (key id, nonce + ciphertext + tag)."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._current, nonce + self._ciphers[self._current].encrypt(nonce, secret, context.encode())

    def mark(self, secret: bytes, *, context: str, key_id: str | None = None) -> tuple[str, bytes]:
        """What is equal for equal secrets of one context, and from which nobody without the key can guess them.

        Args:
            key_id: the key of an earlier mark to compare with; None: the current one.

        Raises:
            SealingError: the key is unknown.
        """
        used = self._current if key_id is None else key_id
        if (key := self._marks.get(used)) is None:
            raise SealingError(f"a secret was marked under the key {used!r}, which is not among the secret keys")
        return used, hmac.digest(key, context.encode() + b"\0" + secret, "sha256")

    def pseudonym(self, name: str) -> str:
        """What logs call a vehicle or a user: the same for all spellings, and as long as the current key is."""
        _, mark = self.mark(name.upper().encode(), context="name in a log")
        return mark[:_PSEUDONYM_BYTES].hex()

    def open(self, key_id: str, sealed: bytes, *, context: str) -> bytes:
        """Open what `seal` returned.

        Raises:
            SealingError: the key is unknown, or this is not what was sealed with it for this context.
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealingError(f"a secret was sealed under the key {key_id!r}, which is not among the secret keys")
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise SealingError(f"a secret does not open under the key {key_id!r}") from None
