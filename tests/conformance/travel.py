"""How the bytes of the suite's peers travel: through TLS, and in the frames of a WebSocket."""

import contextlib
import functools
import http.client
import queue
import socket
import ssl
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri


class Sealed:
    """A socket through TLS that one thread may read while another writes, as it may not do with an SSLSocket."""

    def __init__(self, below: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._lock = threading.Lock()
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                break
            self._flush()
            self._incoming.write(below.recv(65536))
        self._flush()
        self.shutdown, self.close, self.settimeout = below.shutdown, below.close, below.settimeout

    def sendall(self, data: bytes) -> None:
        with self._lock:
            self._tls.write(data)
            self._flush()

    def recv(self, size: int) -> bytes:
        while True:
            with self._lock, contextlib.suppress(ssl.SSLWantReadError):
                return self._tls.read(size)
            data = self._below.recv(65536)
            if not data:
                return b""
            with self._lock:
                self._incoming.write(data)

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._below.sendall(data)


class Frames:
    """A socket of lines on top of a socket of frames: one line a frame, and the piece of a line a fragment.

    One thread may read while another writes: a frame is never lost, sent twice or before another.
    """

    def __init__(self, below: socket.socket | Sealed, address: str) -> None:
        self._below = below
        self._protocol = ClientProtocol(parse_uri(address))
        self._is_within = False
        self._lines = bytearray()
        self._lock = threading.Lock()
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while not self._protocol.events_received():
            self._protocol.receive_data(below.recv(65536))
        assert self._protocol.handshake_exc is None, self._protocol.handshake_exc
        self.shutdown, self.close, self.settimeout = below.shutdown, below.close, below.settimeout

    def sendall(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._send(line.removesuffix(b"\r"), fin=True)
        if rest:
            self._send(rest, fin=False)

    def recv(self, _size: int) -> bytes:
        while not self._lines:
            data = self._below.recv(65536)
            if not data:
                return b""
            with self._lock:
                self._protocol.receive_data(data)
                self._flush()
                self._take()
        lines = bytes(self._lines)
        self._lines.clear()
        return lines

    def _take(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is not Opcode.CLOSE:
                assert event.opcode is Opcode.TEXT, event
                assert event.fin, event
                self._lines += bytes(event.data) + b"\r\n"

    def _send(self, data: bytes, *, fin: bool) -> None:
        with self._lock:
            send = self._protocol.send_continuation if self._is_within else self._protocol.send_text
            send(data, fin)
            self._is_within = not fin
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._below.sendall(data)


def tls_context(trusted: Path | None) -> ssl.SSLContext:
    """As strict as clients are: the certificate and the name in it are checked."""
    return ssl.create_default_context(cafile=trusted)


def put_in_place(peers: ModuleType, scenarios: ModuleType, context: ssl.SSLContext | None, *, is_websocket: bool) -> None:
    """Give the scenarios peers and callers whose bytes travel so."""

    def connect(host: str, port: int) -> socket.socket | Sealed:
        plain = socket.create_connection((host, port), timeout=10)
        return Sealed(plain, context, host) if context is not None else plain

    def reach(host: str, port: int) -> socket.socket | Sealed | Frames:
        below = connect(host, port)
        scheme = "ws" if context is None else "wss"
        return Frames(below, f"{scheme}://{host}:{port}/apiv2") if is_websocket else below

    class Peer(peers.Peer):  # type: ignore[name-defined, misc]
        def __init__(self, host: str, port: int) -> None:
            self.sock = reach(host, port)
            self.sock.settimeout(None)
            self.raw: queue.Queue[bytes | None] = queue.Queue()
            self.rx = self.tx = self.scheme = None
            threading.Thread(target=self._read, daemon=True).start()

    def raw_http(host: str, port: int, request: bytes) -> bytes:
        """The bytes that the server answers to these bytes, until it closes or 5 s pass."""
        answer = b""
        with contextlib.closing(connect(host, port)) as sock, contextlib.suppress(TimeoutError, ssl.SSLZeroReturnError):
            sock.settimeout(5)
            sock.sendall(request)
            while data := sock.recv(65536):
                answer += data
        return answer

    scenarios.Peer = Peer
    scenarios.raw_http = raw_http
    if context is not None:
        connection = functools.partial(http.client.HTTPSConnection, context=context)
        peers.http = SimpleNamespace(client=SimpleNamespace(HTTPConnection=connection))
