"""Reads the transcripts of tests/vectors: what openssl made of a session."""

from dataclasses import dataclass, field
from pathlib import Path

VECTORS = Path(__file__).parents[3] / "vectors"
NAMES = ("car_login_0x30.txt", "car_session_0x30.txt", "app_login_0x30.txt")
PROVISIONING = "provisioning_0x30.txt"


@dataclass
class Side:
    """What one side sends: its lines, the first of them the welcome or its answer, and its messages in clear."""

    lines: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    @property
    def stream(self) -> bytes:
        return b"".join(line + b"\r\n" for line in self.lines)


@dataclass
class Transcript:
    """One session."""

    secret: bytes
    server_token: bytes
    car: Side
    srv: Side


def transcript(name: str) -> Transcript:
    """Read a transcript by its file's name."""
    head, *lines = (VECTORS / name).read_bytes().splitlines()
    secret, server_token = head.removeprefix(b"# secret ").split(b", server token ")
    sides = {b"car> ": Side(), b"srv> ": Side()}
    speaking = Side()
    for line in lines:
        if line.startswith(b"     ("):
            speaking.messages.append(line[len(b"     (") : -1].removeprefix(b"MP-0 "))
        else:
            speaking = sides[line[:5]]
            speaking.lines.append(line[5:])
    return Transcript(secret, server_token, sides[b"car> "], sides[b"srv> "])
