"""The writer: threads that commit the commands waiting together in one transaction.

Laws. No answer and no publication leaves before COMMIT returned. A command's own error undoes that command only: most
are refused before they write, so a batch runs plainly, and once more with a savepoint each when one failed after it
wrote. When the transaction itself dies, nothing of the batch counts: the others run again one by one, the culprit gets
503. When COMMIT fails or its outcome is unknown, every command of the batch gets 503: a retry with the same id is safe.
Whatever fails, everybody is answered and the thread goes on.

SQLite has one such thread. PostgreSQL has a few: a transaction holds commands of one room, whose row it locks first, or
one command without a room. See docs/adr/0004, 0008 and 0018.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any

from chat_server.errors import ChatError, StoreUnavailable
from chat_server.metrics import BATCHES, COMMITS
from chat_server.store import event_log
from chat_server.store.dialects import Engine
from chat_server.store.lanes import Lanes, Line
from chat_server.store.link import Link
from chat_server.store.locks import hold_room
from chat_server.store.outbox import Outbox
from chat_server.store.transaction import Publication, Transaction

logger = logging.getLogger(__name__)

BATCH_COMMANDS = 64
BATCH_S = 0.005  # so that a batch of slow commands does not hold up the answers of its first ones
# Commands that come one after another are taken together: at 2,500 posts a second that saved a third of the CPU time,
# and halved the slowest hundredth, for 1 ms more in the middle. A lone sender never waits for it.
BETWEEN_S = 0.003
WAITING_COMMANDS = 20_000  # at 40 us each the last one waits about a second; more is refused at once
RERUNS = 3  # of a transaction that the engine sacrificed to resolve a deadlock
RERUN_WAIT_S = 0.02


@dataclass(slots=True, eq=False)
class Write:
    """One command on its way through the writer."""

    run: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    room_id: str = ""
    result: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class Commit:
    """What one transaction committed: events with their offsets in order, and signals for the workers."""

    publications: list[Publication] = field(default_factory=list)
    signals: list[object] = field(default_factory=list)


_Outcome = tuple[list[Write], Commit]
_Waiting = Line[Write] | Lanes[Write]
_RunOne = Callable[[Write, Transaction], None]


class _TransactionDied(Exception):
    """The engine ended the whole transaction. `culprit` is the command that was running."""

    def __init__(self, culprit: Write | None = None) -> None:
        super().__init__()
        self.culprit = culprit


class _Sacrificed(_TransactionDied):
    """Nobody's fault: the same transaction can succeed when it is run again."""


class _Entangled(Exception):
    """A command failed after it wrote: only savepoints can part it from the others. `judged` has its error already."""

    def __init__(self, judged: Write | None) -> None:
        super().__init__()
        self.judged = judged


class Writer:
    """Owns the writing threads. Every method is called on the event loop."""

    def __init__(self, engine: Engine, on_commit: Callable[[Commit], None], clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._on_commit = on_commit
        self._clock_ms = clock_ms
        self._lanes: _Waiting = Line(WAITING_COMMANDS) if engine.writers == 1 else Lanes(WAITING_COMMANDS)
        self._outbox: Outbox[_Outcome] = Outbox(self._send)
        self._threads: list[Thread] = []

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in range(self._engine.writers):
            scribe = _Scribe(self._engine, self._lanes, self._outbox, self._clock_ms)
            name = "store-writer" if self._engine.writers == 1 else f"store-writer-{number}"
            self._threads.append(Thread(target=scribe.work, name=name, daemon=True))
            self._threads[-1].start()

    async def stop(self) -> None:
        """Finish what waits, then close."""
        self._lanes.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads.clear()

    async def write(self, run: Callable[[Transaction], Any], room_id: str = "") -> Any:
        """Run in the next batch and answer its result after the commit. StoreUnavailable when it did not commit."""
        write = Write(run, self._loop.create_future(), room_id)
        if not self._lanes.put(room_id or write, write):
            raise StoreUnavailable(retry_after_s=1.0)
        return await write.future

    def _send(self, outcome: "_Outcome") -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits for an answer any more
            self._loop.call_soon_threadsafe(self._answer, *outcome)

    def _answer(self, batch: list[Write], commit: Commit) -> None:
        """On the event loop: first the world hears, then the callers."""
        try:
            if commit.publications or commit.signals:
                self._on_commit(commit)
        finally:
            for write in batch:
                if write.future.done():
                    continue
                if write.error is None:
                    write.future.set_result(write.result)
                else:
                    write.future.set_exception(write.error)


class _Scribe:
    """One thread's work."""

    def __init__(
        self, engine: Engine, lanes: _Waiting, outbox: "Outbox[_Outcome]", clock_ms: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._lanes = lanes
        self._outbox = outbox
        self._clock_ms = clock_ms
        self._link = Link(engine, engine.open_writer)

    def work(self) -> None:
        while (taken := self._lanes.take(BATCH_COMMANDS)) is not None:
            lane, batch = taken
            began = time.perf_counter()
            try:
                self._commit_batch(batch)
            finally:
                self._lanes.done(lane)
            if len(batch) > 1 and self._engine.writers == 1:
                time.sleep(max(0.0, began + BETWEEN_S - time.perf_counter()))
        self._link.close()

    def _commit_batch(self, batch: list[Write]) -> None:
        try:
            while batch:
                batch = batch[self._attempt_again(batch) :]
        except _TransactionDied as death:
            self._one_by_one(batch, death.culprit)
        except Exception as error:  # noqa: BLE001  everybody is answered, and the thread goes on
            self._fail(batch, error)

    def _one_by_one(self, batch: list[Write], culprit: Write | None) -> None:
        for index, write in enumerate(batch):
            if write is culprit:
                self._refuse(write)
                continue
            try:
                self._attempt_again([write])
            except _TransactionDied:
                self._refuse(write)
            except Exception as error:  # noqa: BLE001  the store is away: the others need not wait for it one by one
                self._fail(batch[index:], error)
                return

    def _attempt_again(self, batch: list[Write]) -> int:
        try:
            return self._attempt_often(batch, self._run_plainly)
        except _Entangled as found:
            return self._attempt_often(batch, partial(self._run_apart, judged=found.judged))

    def _attempt_often(self, batch: list[Write], run_one: _RunOne) -> int:
        for attempt in range(RERUNS):
            try:
                return self._attempt(batch, run_one)
            except _Sacrificed:
                time.sleep(random.uniform(0, RERUN_WAIT_S) * attempt)  # noqa: S311  parts those who met
        return self._attempt(batch, run_one)

    def _attempt(self, batch: list[Write], run_one: _RunOne) -> int:
        """Commit as many of `batch` as fit into the time of one, and settle them. Answers how many those were."""
        began = time.perf_counter()
        with self._engine.turn():
            cursor = self._link.begun(self._engine.begin)
            try:
                whole = Transaction(cursor, self._engine.dialect)
                if self._engine.writers > 1 and batch[0].room_id:
                    hold_room(whole, batch[0].room_id)
                done = self._run_all(batch, whole, began, run_one)
                publications = self._append(whole)
            except BaseException:
                self._link.roll_back()
                raise
            # Announced while the rows of its channels are locked: others that change them are announced after it.
            parcel = self._outbox.announce(publication.channel for publication in publications)
            commit = Commit(publications, whole.signals)
            try:
                cursor.execute("COMMIT")
            except Exception as error:  # noqa: BLE001  the outcome is unknown, and nothing may stay announced
                self._link.roll_back()
                commit = Commit()
                self._mark_failed(batch[:done], error)
        self._outbox.settle(parcel, (batch[:done], commit))
        BATCHES.observe(done)
        COMMITS.observe(time.perf_counter() - began)
        return done

    def _run_all(self, batch: list[Write], whole: Transaction, began: float, run_one: _RunOne) -> int:
        done = 0
        for write in batch:
            run_one(write, whole)
            done += 1
            if time.perf_counter() - began > BATCH_S:
                break
        return done

    def _run_plainly(self, write: Write, whole: Transaction) -> None:
        """Without the two statements of a savepoint."""
        events, signals = len(whole.told), len(whole.signals)
        write.result = write.error = None
        whole.has_changed = False
        try:
            write.result = write.run(whole)
        except Exception as error:
            if whole.has_failed:
                raise _Entangled(None) from error
            write.error = self._judged(error)
            if whole.has_changed:
                raise _Entangled(write) from error
            del whole.told[events:], whole.signals[signals:]
        if whole.has_failed:
            raise _Entangled(None)  # the command made something of it; a savepoint tells whether the transaction can

    def _run_apart(self, write: Write, whole: Transaction, *, judged: Write | None, is_rerun: bool = False) -> None:
        if write is judged:
            return
        events, signals = len(whole.told), len(whole.signals)
        write.result = write.error = None
        whole.execute("SAVEPOINT command")
        try:
            write.result = write.run(whole)
            whole.execute("RELEASE command")
        except Exception as error:
            if self._engine.may_rerun(error):
                raise _Sacrificed(write) from error
            if not self._link.is_alive:
                write.error = self._judged(error)
                raise _TransactionDied(write) from error
            whole.execute("ROLLBACK TO command")
            whole.execute("RELEASE command")
            del whole.told[events:], whole.signals[signals:]
            if isinstance(error, self._engine.integrity_error) and self._engine.writers > 1 and not is_rerun:
                # Another writer was first: this time the command sees what that one did, and answers accordingly.
                self._run_apart(write, whole, judged=judged, is_rerun=True)
            else:
                write.error = self._judged(error)

    def _append(self, whole: Transaction) -> list[Publication]:
        try:
            return event_log.append(whole, whole.told, self._clock_ms())
        except self._engine.driver_error as error:
            raise (_Sacrificed if self._engine.may_rerun(error) else _TransactionDied)() from error

    def _judged(self, error: Exception) -> Exception:
        if isinstance(error, self._engine.driver_error):
            logger.error("store.command_failed", exc_info=error)
            return StoreUnavailable(retry_after_s=1.0)
        if not isinstance(error, ChatError):
            logger.error("store.command_crashed", exc_info=error)
        return error

    def _refuse(self, write: Write) -> None:
        """Nothing of it was done. An error of its own stays its own."""
        write.error = write.error or StoreUnavailable(retry_after_s=1.0)
        self._outbox.settle(self._outbox.announce(()), ([write], Commit()))

    def _fail(self, batch: list[Write], error: Exception) -> None:
        self._mark_failed(batch, error)
        self._outbox.settle(self._outbox.announce(()), (batch, Commit()))

    def _mark_failed(self, batch: list[Write], error: Exception) -> None:
        """None of it was done, or nobody knows."""
        if not isinstance(error, StoreUnavailable):
            logger.error("store.batch_failed", exc_info=error)
        for write in batch:
            write.error = StoreUnavailable(retry_after_s=1.0)
            write.error.__cause__ = error
