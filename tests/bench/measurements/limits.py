"""What the parts that no server can do without cost by themselves, on this machine at this moment."""

import os
import time
from binascii import a2b_base64
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.load.lines import CODES, rounds_of
from bench.measurement import Readings, Scene, Size
from ovms.protocol.cipher import MAGIC, Rc4Lines, prove, session_key, write_base64

_TOKEN: Final = b"0123456789abcdefghijkl"
_SECRET: Final = b"secret-000000"


def measure_decoding(scene: Scene, size: Size) -> Readings:
    """Lines a second through base64, RC4 and one slice, the lines of a whole run, nothing else."""
    cars, rounds = size.cars, size.rounds
    key = session_key(_SECRET, _TOKEN, _TOKEN)
    sealed = [_seal(Rc4Lines(key), rounds_of(car, rounds)) for car in range(cars)]
    # What a session opens its lines with, without the checks that it makes.
    streams = [Rc4Lines(key)._decipher for _ in range(cars)]
    skip = len(MAGIC)
    began = time.perf_counter()
    for number in range(rounds):  # from car to car, as in the run
        for decipher, of_car in zip(streams, sealed, strict=True):
            for line in of_car[number]:
                decipher(a2b_base64(line))[skip:]
    return {"a second": cars * rounds * CODES / (time.perf_counter() - began)}


def _seal(cipher: Rc4Lines, rounds: list[list[bytes]]) -> list[list[bytes]]:
    return [[cipher.seal(message).removesuffix(b"\r\n") for message in messages] for messages in rounds]


def measure_login_cryptography(scene: Scene, size: Size) -> Readings:
    """Logins a second of their cryptography alone: the stored password opened, both proofs, the key and both streams."""
    nonce, cipher = os.urandom(12), AESGCM(bytes(32))
    stored = cipher.encrypt(nonce, _SECRET, b"BENCH000000")
    began = time.perf_counter()
    for _ in range(size.logins):
        secret = cipher.decrypt(nonce, stored, b"BENCH000000")
        prove(secret, _TOKEN)
        write_base64(prove(secret, _TOKEN))
        Rc4Lines(session_key(secret, _TOKEN, _TOKEN))
    return {"a second": size.logins / (time.perf_counter() - began)}
