"""What both ends of a session are tried with."""

from ovms.protocol.cipher import Rc4Lines, session_key

SECRET = b"NETPASS"
SERVER_TOKEN, CLIENT_TOKEN = b"0123456789abcdefghijkl", b"AbCdEfGhIjKlMnOpQrStUv"


def cipher() -> Rc4Lines:
    """One end's cipher of a session of these tokens."""
    return Rc4Lines(session_key(SECRET, SERVER_TOKEN, CLIENT_TOKEN))


def check_message(message: bytes) -> None:
    """What a session may report as a message."""
    assert len(message) >= 1
    assert message[0] > 0x20
    assert b"\n" not in message


def check_lines(sent: bytes) -> list[bytes]:
    """Whole lines, none of them empty; returned without their ends."""
    if not sent:
        return []
    assert sent.endswith(b"\r\n")
    lines = sent.split(b"\r\n")[:-1]
    assert all(lines)
    assert not any(b"\n" in line for line in lines)
    return lines


def code_and_data(data: bytes) -> bytes:
    """A message that this server could send: it has a code, and no line end."""
    return b"S" + data.replace(b"\n", b"").replace(b"\r", b"")
