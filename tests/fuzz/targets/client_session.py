"""`ClientSession`: whatever a server answers."""

from fuzz.script import FLOOD, read_steps
from fuzz.targets.sessions import CLIENT_TOKEN, SECRET, SERVER_TOKEN, check_lines, check_message, cipher, code_and_data
from ovms.errors import ProtocolError, StateError
from ovms.identity import Role
from ovms.protocol import ClientSession, ClientState, Failed, Welcomed
from ovms.protocol.client import LINE_LIMIT
from ovms.protocol.welcome import write_answer


def check(data: bytes) -> None:
    session, server = ClientSession(Role.APP, "DEMO", SECRET, CLIENT_TOKEN), cipher()
    assert session.data_to_send().startswith(b"MP-A 0 ")
    has_ended = False
    for letter, given in read_steps(data):
        match letter:
            case "r":
                session.receive_data(given)
            case "l":
                session.receive_data(given + b"\r\n")
            case "f":
                session.receive_data(given[:1024] * FLOOD)
            case "a":
                session.receive_data(write_answer(SERVER_TOKEN, SECRET))
            case "b":
                session.receive_data(write_answer(CLIENT_TOKEN, SECRET))
            case "m":
                session.receive_data(server.seal(code_and_data(given)))
            case "e":
                session.receive_eof()
            case "s":
                _send(session, given)
        has_ended = _check(session, has_ended)


def _send(session: ClientSession, data: bytes) -> None:
    try:
        session.send(code_and_data(data))
    except StateError:
        assert session.state is not ClientState.READY


def _check(session: ClientSession, has_ended: bool) -> bool:
    for event in session.events():
        assert not has_ended
        if isinstance(event, Failed):
            assert isinstance(event.error, ProtocolError)
            has_ended = True
        elif isinstance(event, bytes):
            check_message(event)
        else:
            assert isinstance(event, Welcomed)
    assert not has_ended or session.state is ClientState.CLOSED
    check_lines(session.data_to_send())
    assert len(session._lines._partial or b"") <= LINE_LIMIT
    return has_ended
