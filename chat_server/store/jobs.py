"""Work that must happen after a commit and may not be lost: a row in the same transaction, run until it is done.

A job is a function over a transaction, so that what it does and the end of its row commit together: it happens once.
One that raises is tried again after 1, 2, 4 ... seconds, at most an hour; after ATTEMPTS it stays as `failed`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import bindparam, delete, false, insert, select, true, update

from chat_server.errors import StoreUnavailable
from chat_server.ids import new_id
from chat_server.metrics import JOBS
from chat_server.store.dialects import upsert
from chat_server.store.schema import jobs
from chat_server.store.store import Store
from chat_server.store.transaction import Transaction

logger = logging.getLogger(__name__)

ATTEMPTS = 12
POLL_S = 1.0
LONGEST_WAIT_S = 3600
ADDED = object()  # the signal that a job waits

JobFunction = Callable[[Transaction, str], None]

_ADD = insert(jobs)
_ENSURE = upsert(jobs).on_conflict_do_nothing(index_elements=["id"])
_DUE = (
    select(jobs.c.id, jobs.c.kind, jobs.c.payload, jobs.c.attempts)
    .where(jobs.c.run_at <= bindparam("now"), jobs.c.failed == false())
    .order_by(jobs.c.run_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_DONE = delete(jobs).where(jobs.c.id == bindparam("job_id"))
_RETRY = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(run_at=bindparam("again_at"), attempts=bindparam("tried"), last_error=bindparam("error"))
)
_GIVE_UP = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(failed=true(), attempts=bindparam("tried"), last_error=bindparam("error"))
)


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    kind: str
    payload: str
    attempts: int


class _Failed(Exception):
    """Carries the job out of its transaction, which rolls back what it did."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.kind)
        self.job = job


def add(transaction: Transaction, kind: str, payload: str, run_at_ms: int) -> None:
    transaction.run(_ADD, **_row(new_id(), kind, payload, run_at_ms))
    transaction.signals.append(ADDED)


def ensure(transaction: Transaction, kind: str, run_at_ms: int) -> None:
    """A job that there is one of, such as a daily one: its id is its kind, and it adds itself again at its end."""
    transaction.run(_ENSURE, **_row(kind, kind, "", run_at_ms))


def again(transaction: Transaction, kind: str, payload: str, run_at_ms: int) -> None:
    """From within the job that `ensure` made: run once more at that time, with that payload."""
    transaction.run(_DONE, job_id=kind)
    transaction.run(_ADD, **_row(kind, kind, payload, run_at_ms))


def _row(job_id: str, kind: str, payload: str, run_at_ms: int) -> dict[str, Any]:
    return {
        "id": job_id,
        "kind": kind,
        "payload": payload,
        "run_at": run_at_ms,
        "attempts": 0,
        "failed": False,
        "last_error": "",
    }


class Jobs:
    """The loop that runs due jobs, one after another. `kinds` says what each kind does."""

    def __init__(self, store: Store, kinds: Mapping[str, JobFunction], recurring: tuple[str, ...] = ()) -> None:
        self._store = store
        self._kinds = kinds
        self._recurring = recurring
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for due jobs now, not at the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A store that is away is waited for."""
        to_ensure = list(self._recurring)
        while True:
            self._wake.clear()
            try:
                while to_ensure:
                    await self._store.write(partial(ensure, kind=to_ensure[-1], run_at_ms=self._store.clock_ms()))
                    to_ensure.pop()
                while await self.run_one():
                    pass
            except StoreUnavailable:
                logger.warning("jobs.store_unavailable")
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def run_one(self) -> bool:
        """Run the job that has been due longest, and answer whether there was one."""
        try:
            return await self._store.write(self._run_due)
        except _Failed as failed:
            error = f"{type(failed.__cause__).__name__}: {failed.__cause__}"[:500]
            await self._store.write(partial(self._put_off, job=failed.job, error=error))
            return True

    def _run_due(self, transaction: Transaction) -> bool:
        row = transaction.one(_DUE, now=self._store.clock_ms())
        if row is None:
            return False
        job = Job(*row)
        try:
            function = self._kinds[job.kind]
            if job.kind not in self._recurring:
                transaction.run(_DONE, job_id=job.id)
            function(transaction, job.payload)
        except Exception as error:
            raise _Failed(job) from error
        JOBS.labels(job.kind, "done").inc()
        return True

    def _put_off(self, transaction: Transaction, job: Job, error: str) -> None:
        tried = job.attempts + 1
        logger.error("job.failed", extra={"kind": job.kind, "attempt": tried, "error": error})
        JOBS.labels(job.kind, "failed").inc()
        if tried >= ATTEMPTS and job.kind not in self._recurring:
            transaction.run(_GIVE_UP, job_id=job.id, tried=tried, error=error)
            return
        wait_s = min(LONGEST_WAIT_S, 2 ** min(tried - 1, 30))
        transaction.run(
            _RETRY, job_id=job.id, tried=tried, error=error, again_at=self._store.clock_ms() + int(wait_s * 1000)
        )
