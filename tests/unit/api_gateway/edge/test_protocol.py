"""How answers are written."""

import asyncio

from api_gateway.edge.protocol import AnswerWriter

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def answers() -> tuple[AnswerWriter, Transport]:
    transport = Transport()
    return AnswerWriter(transport, asyncio.get_running_loop()), transport  # type: ignore[arg-type]


async def test_head_and_body_are_one_write() -> None:
    to, transport = answers()
    to.write(HEAD)
    to.write(b"ok")
    await asyncio.sleep(0)
    to.write(b"more")
    assert transport.written == [HEAD + b"ok", b"more"]


async def test_the_head_of_a_stream_waits_for_no_event() -> None:
    to, transport = answers()
    to.write(HEAD)
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [HEAD]
    to.write(b"ok")
    assert transport.written == [HEAD, b"ok"]


async def test_a_head_without_a_body_is_written_before_the_end() -> None:
    to, transport = answers()
    to.write(HEAD)
    to.close()
    assert (transport.written, transport.closed) == ([HEAD], True)


async def test_nothing_is_written_to_who_has_gone() -> None:
    to, transport = answers()
    to.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert transport.written == []


async def test_the_cookie_is_spelled_as_clients_cut_it_out() -> None:
    to, transport = answers()
    to.write(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\n\r\n")
    to.write(b"set-cookie: stays in a body")
    assert transport.written == [b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\nset-cookie: stays in a body"]
