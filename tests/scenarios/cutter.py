"""A TCP proxy on loopback that cuts connections when it is told to: what a bad network does to a client."""

import selectors
import socket
import threading
from dataclasses import dataclass, field

CHUNK = 65536


@dataclass(eq=False)
class _Pair:
    """One client's connection and the one to the server behind it. `left` counts down to a cut; None is never."""

    client: socket.socket
    server: socket.socket
    left: int | None = None
    closed: bool = field(default=False)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for end in (self.client, self.server):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, as a cut is
                end.close()


class Cutter:
    """Listens on `port` and passes everything on to the server's port, until `cut`.

    `cut_after`: every connection from now on is cut after so many bytes in both directions together.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.cut_after: int | None = None
        self.cuts = 0
        self.accepted = 0
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Cutter":
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over = True
        self._thread.join()
        self.cut()
        self._selector.close()
        self._listener.close()

    def cut(self) -> None:
        """Cut every connection that is open now, in the middle of whatever it carries."""
        with self._lock:
            for pair in list(self._pairs):
                self._drop(pair)

    def lead_to(self, server_port: int) -> None:
        """New connections go to another server."""
        self._server_port = server_port

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif not key.data.closed:
                        self._pass_on(key.fileobj, key.data)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        pair = _Pair(client, server, self.cut_after)
        self._pairs.append(pair)
        self.accepted += 1
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _pass_on(self, source: socket.socket, pair: _Pair) -> None:
        target = pair.server if source is pair.client else pair.client
        try:
            found = source.recv(CHUNK)
            if pair.left is not None:
                found, pair.left = found[: pair.left], pair.left - len(found)
            target.sendall(found)
        except OSError:
            found = b""
        if not found or (pair.left is not None and pair.left <= 0):
            self._drop(pair)

    def _drop(self, pair: _Pair) -> None:
        if pair.closed:
            return
        self.cuts += 1
        for end in (pair.client, pair.server):
            self._selector.unregister(end)
        self._pairs.remove(pair)
        pair.close()
