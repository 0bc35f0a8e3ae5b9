"""Two ends joined without a socket: what one sends the other receives."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.identity import Role
from ovms.protocol import ClientSession, ClientState, Login, ServerSession, State, Welcomed
from unit.ovms.protocol.sessions import CLIENT_TOKEN, SECRET, SERVER_TOKEN, START, TIMES

MESSAGES = st.lists(
    st.tuples(st.booleans(), st.binary(min_size=1, max_size=80).filter(lambda m: m[0] > 0x20 and b"\n" not in m)),
    max_size=12,
)


def carry(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(
    role=st.sampled_from(Role),
    vehicle_id=st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True),
    secret=st.binary(max_size=40),
    token=st.binary(min_size=1, max_size=50),
    said=MESSAGES,
    size=st.integers(1, 100),
)
@settings(max_examples=100, deadline=None)
def test_what_one_sends_the_other_receives(
    role: Role, vehicle_id: str, secret: bytes, token: bytes, said: list[tuple[bool, bytes]], size: int
) -> None:
    token = b"t" + bytes(byte for byte in token if byte > 0x20)
    client, server = ClientSession(role, vehicle_id, secret, token), ServerSession(START, TIMES)
    for piece in carry(client.data_to_send(), size):
        server.receive_data(piece, START)
    [login] = server.events()
    assert isinstance(login, Login)
    assert (login.role, login.vehicle_id, login.proves(secret)) == (role, vehicle_id, True)

    server.accept(secret, SERVER_TOKEN, START)
    for piece in carry(server.data_to_send(), size):
        client.receive_data(piece)
    assert client.events() == [Welcomed()]

    for is_client, message in said:
        if is_client:
            client.send(message)
        else:
            server.send(message, START)
    for piece in carry(server.data_to_send(), size):
        client.receive_data(piece)
    for piece in carry(client.data_to_send(), size):
        server.receive_data(piece, START)
    assert client.events() == [message for is_client, message in said if not is_client]
    assert server.events() == [message for is_client, message in said if is_client]


def test_the_end_of_one_is_the_end_of_the_other() -> None:
    client, server = ClientSession(Role.APP, "DEMO", SECRET, CLIENT_TOKEN), ServerSession(START, TIMES)
    server.receive_data(client.data_to_send(), START)
    server.accept(SECRET, SERVER_TOKEN, START)
    client.receive_data(server.data_to_send())
    client.receive_eof()
    server.receive_eof()
    assert (client.state, server.state) == (ClientState.CLOSED, State.CLOSED)
