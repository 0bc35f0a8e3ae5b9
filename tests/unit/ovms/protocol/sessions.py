"""Sessions in each of their states, and lines from a client that is not the one under test."""

from ovms.identity import Role
from ovms.protocol.cipher import Rc4Lines, session_key
from ovms.protocol.client import ClientSession
from ovms.protocol.server import ServerSession
from ovms.protocol.states import ClientState, State
from ovms.protocol.timers import Timeouts
from ovms.protocol.welcome import write_answer, write_welcome

SECRET, VEHICLE = b"NETPASS", "DEMO"
SERVER_TOKEN, CLIENT_TOKEN = b"0123456789abcdefghijkl", b"AbCdEfGhIjKlMnOpQrStUv"
GARBAGE = b"this is no message\r\n"
REQUEST = b"AP-C 0 VIN00000000000001\r\n"
ANSWER = write_answer(SERVER_TOKEN, SECRET)
START = 1000.0
TIMES = Timeouts()


def welcome(role: Role = Role.CAR, token: bytes = CLIENT_TOKEN) -> bytes:
    return write_welcome(role, token, SECRET, VEHICLE)


def cipher() -> Rc4Lines:
    """The other end's cipher of a session of the tokens above."""
    return Rc4Lines(session_key(SECRET, SERVER_TOKEN, CLIENT_TOKEN))


def server(state: State, role: Role = Role.CAR, times: Timeouts = TIMES) -> ServerSession:
    """A server's session that has come to a state at `START`, with nothing left to report or send."""
    session = ServerSession(START, times)
    if state in (State.AUTHENTICATING, State.READY):
        session.receive_data(welcome(role), START)
    if state is State.PROVISIONING:
        session.receive_data(REQUEST, START)
    if state is State.READY:
        session.accept(SECRET, SERVER_TOKEN, START)
    if state is State.CLOSED:
        session.close()
    session.events(), session.data_to_send()
    return session


def client(state: ClientState, role: Role = Role.CAR) -> ClientSession:
    """A client's session that has come to a state, with nothing left to report or send."""
    session = ClientSession(role, VEHICLE, SECRET, CLIENT_TOKEN)
    if state is ClientState.READY:
        session.receive_data(ANSWER)
    if state is ClientState.CLOSED:
        session.receive_eof()
    session.events(), session.data_to_send()
    return session
