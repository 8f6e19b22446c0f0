"""A line between a browser and a server that a test can cut, mend, and make deaf."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Cable:
    """Carries TCP to a port. Cut: open connections are gone and new ones refused. Deaf: no answer comes through."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._ends: list[socket.socket] = []
        self._carriers: list[threading.Thread] = []
        self.port = 0
        self.is_deaf = False
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        self.is_deaf = False
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._acceptor = _started(self._accept)

    def cut(self) -> None:
        _shut(self._listener)
        self._acceptor.join()
        _shut(*self._ends)
        for carrier in self._carriers:
            carrier.join()
        for end in (self._listener, *self._ends):
            end.close()
        self._ends.clear()
        self._carriers.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._ends.append(near)
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            _shut(near)
            return
        self._ends.append(far)
        self._carriers.append(_started(lambda: self._carry(near, far)))
        self._carriers.append(_started(lambda: self._carry(far, near, is_answer=True)))

    def _carry(self, source: socket.socket, sink: socket.socket, *, is_answer: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not (is_answer and self.is_deaf):
                    sink.sendall(data)
        _shut(source, sink)


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _shut(*ends: socket.socket) -> None:
    """Whoever waits on them wakes up."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
