"""Several worker processes: a listening socket each, restarts with back-off, rolling restarts, an end in good order.

The parent serves nobody. A worker beats once a second from its event loop, so that a blocked loop is noticed too; one
that dies is started again at once, one that keeps dying less and less often. SIGHUP replaces the workers one after
another, each new one ready before an old one leaves. SIGTERM drains them all. A worker whose parent is gone drains too.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from types import FrameType

from prometheus_client import multiprocess

from chat_server import logs
from chat_server.app import create_app
from chat_server.server import START_FAILED, DrainingServer, listening_socket, raise_file_limit, settled
from chat_server.settings import Settings, adopt, share_metrics

logger = logging.getLogger(__name__)

BEAT_S = 1.0
STUCK_S = 15.0
START_S = 60.0
BACKOFF_S = (0.1, 5.0)
SETTLED_S = 3.0  # a worker that lived so long is started again at once
POLL_S = 0.2
AFTER_DRAIN_S = 2.0
READY, BEAT = b"ready", b"beat"


@dataclass(slots=True)
class _Worker:
    """One child process as the parent sees it."""

    process: ForkServerProcess
    pipe: Connection
    started_at: float = field(default_factory=time.monotonic)
    beat_at: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_leaving: bool = False


@dataclass(slots=True)
class _Slot:
    """A place for one worker. `wait_s` is the pause before the next start, `due_at` when that is."""

    number: int
    worker: _Worker | None = None
    wait_s: float = BACKOFF_S[0]
    due_at: float = 0.0


class Supervisor:
    """Runs `settings.workers` processes until it is told to stop."""

    def __init__(self, settings: Settings, port: int, on_ready: Callable[[], None]) -> None:
        self._settings = settings
        self._port = port
        self._on_ready = on_ready
        self._slots = [_Slot(number) for number in range(settings.workers)]
        self._leaving: list[_Worker] = []
        # Forked from a process that has imported everything and runs nothing: 0.2 s instead of 2 s of CPU a start.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._is_stopping = False
        self._wants_roll = False
        self._was_ready = False

    def run(self) -> int:
        """Answers the exit status: START_FAILED when no worker came up at all."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_roll)
        metrics = tempfile.mkdtemp(prefix="chat-metrics-")
        share_metrics(metrics)
        try:
            return self._supervise()
        finally:
            self._end_all()
            shutil.rmtree(metrics, ignore_errors=True)

    def _supervise(self) -> int:
        while not self._is_stopping:
            if not self._look_after_all():
                return START_FAILED
            self._listen(POLL_S)
            if self._wants_roll:
                self._wants_roll = False
                self._roll()
            if not self._was_ready and all(slot.worker is not None and slot.worker.is_ready for slot in self._slots):
                self._was_ready = True
                self._on_ready()
        return 0

    def _look_after_all(self, but: _Slot | None = None) -> bool:
        return all(self._look_after(slot) for slot in self._slots if slot is not but)

    def _look_after(self, slot: _Slot) -> bool:
        """Start, restart or end the slot's worker as needed. False when the first start failed for good."""
        now = time.monotonic()
        worker = slot.worker
        if worker is None:
            if now >= slot.due_at:
                slot.worker = self._started()
            return True
        if worker.process.exitcode is not None:
            if not self._was_ready and worker.process.exitcode == START_FAILED:
                return False
            logger.error("worker.died", extra={"pid": worker.process.pid, "exit": worker.process.exitcode})
            self._reap(worker)
            slot.worker = None
            slot.wait_s = BACKOFF_S[0] if now - worker.started_at > SETTLED_S else min(slot.wait_s * 2, BACKOFF_S[1])
            slot.due_at = now + (0.0 if now - worker.started_at > SETTLED_S else slot.wait_s)
        elif now - worker.beat_at > (STUCK_S if worker.is_ready else START_S):
            logger.error("worker.stuck", extra={"pid": worker.process.pid})
            worker.process.kill()
        return True

    def _started(self) -> _Worker:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(self._settings, self._port, theirs), daemon=False)
        process.start()
        theirs.close()
        logger.info("worker.started", extra={"pid": process.pid})
        return _Worker(process, mine)

    def _listen(self, within_s: float) -> None:
        """Take in the workers' beats."""
        workers = [slot.worker for slot in self._slots if slot.worker is not None] + self._leaving
        by_pipe = {worker.pipe: worker for worker in workers if not worker.pipe.closed}
        for pipe in wait(list(by_pipe), within_s) if by_pipe else ():
            worker = by_pipe[pipe]  # type: ignore[index]  # wait answers what it was given
            try:
                word = worker.pipe.recv_bytes()
                worker.is_ready = worker.is_ready or word == READY
                worker.beat_at = time.monotonic()
            except (EOFError, OSError):
                worker.pipe.close()
        if not by_pipe:
            time.sleep(within_s)

    def _roll(self) -> None:
        """A new worker beside each old one; the old one leaves when the new one is ready."""
        logger.info("workers.rolling")
        for slot in self._slots:
            old, slot.worker = slot.worker, self._started()
            deadline = time.monotonic() + START_S
            while not slot.worker.is_ready and slot.worker.process.exitcode is None and time.monotonic() < deadline:
                self._look_after_all(but=slot)
                self._listen(POLL_S)
            if not slot.worker.is_ready:
                logger.error("workers.roll_ended")
                slot.worker.process.kill()
                self._reap(slot.worker)
                slot.worker = old
                return
            if old is not None:
                self._end([old])
            if self._is_stopping:
                return

    def _end_all(self) -> None:
        self._is_stopping = True
        self._end([slot.worker for slot in self._slots if slot.worker is not None])

    def _end(self, workers: list[_Worker]) -> None:
        """Drain them, and wait no longer than that takes."""
        self._leaving += workers
        for worker in workers:
            if worker.process.exitcode is None and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._settings.drain_s + AFTER_DRAIN_S
        while any(worker.process.exitcode is None for worker in workers) and time.monotonic() < deadline:
            if not self._is_stopping:
                self._look_after_all()
            self._listen(POLL_S / 4)
        for worker in workers:
            if worker.process.exitcode is None:
                logger.error("worker.killed", extra={"pid": worker.process.pid})
                worker.process.kill()
            self._reap(worker)
            self._leaving.remove(worker)

    def _reap(self, worker: _Worker) -> None:
        worker.process.join()
        if worker.process.pid is not None:
            multiprocess.mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]
        worker.pipe.close()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _on_roll(self, number: int, frame: FrameType | None) -> None:
        self._wants_roll = True


def work(settings: Settings, port: int, parent: Connection) -> None:
    """A worker process: its own socket on the shared port, and a beat to its parent."""
    adopt(settings)
    logs.configure(settings.log_level, settings.log_format)
    multiprocess.mark_process_dead(os.getppid())  # type: ignore[no-untyped-call]  # the gauges of the fork server are none
    raise_file_limit()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else lambda *_: None)
    server = _BeatingServer(create_app(), settings, parent)
    server.run(sockets=[listening_socket(settings.host, port, is_shared=True)])
    raise SystemExit(0 if server.started else START_FAILED)


class _BeatingServer(DrainingServer):
    """Tells its parent that it lives, and leaves when the parent is gone."""

    def __init__(self, app: object, settings: Settings, parent: Connection) -> None:
        super().__init__(app, settings, lambda: settled(lambda: self._say(READY)))  # type: ignore[arg-type]
        self._parent = parent
        os.set_blocking(parent.fileno(), False)  # a parent that does not read must not stop its workers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._parent.fileno(), self._parent_is_gone)
        self._beat()

    def _beat(self) -> None:
        self._say(BEAT)
        asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._parent.send_bytes(word)

    def _parent_is_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._parent.fileno())
        self.handle_exit(signal.SIGTERM, None)
