"""A second process on the same SQLite file: writes until its input ends, then says how often and what it published.

`python -m tests.store.other_process <database> <channel>`; "ready" on its output means that its first write is done.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chat_server.store.store import Store
from tests.store.rig import Ledger, engine_at, opened, tell

WRITERS = 150  # so that something always waits


@dataclass
class OtherProcess:
    process: "subprocess.Popen[str]"

    def finish(self) -> tuple[int, list[int]]:
        """Let it stop; how many commits it made, and which offsets it was given."""
        out, _ = self.process.communicate(timeout=20)
        commits, _, offsets = out.strip().partition(" ")
        return int(commits), [int(offset) for offset in offsets.split(",")]


@contextmanager
def other_process(path: Path, channel: str) -> Iterator[OtherProcess]:
    """It is writing already when the block begins."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.other_process", str(path), channel],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield OtherProcess(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def write_at_full_speed(store: Store, channel: str, is_over: Callable[[], bool]) -> None:
    async def write_on() -> None:
        while not is_over():
            await store.write(tell(channel))

    await asyncio.gather(*(write_on() for _ in range(WRITERS)))


async def main(path: Path, channel: str) -> None:
    ledger = Ledger()
    asked_to_stop = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with opened(engine_at(path), ledger) as store:
        await store.write(tell(channel))
        print("ready", flush=True)
        await write_at_full_speed(store, channel, asked_to_stop.done)
    print(len(ledger.commits), ",".join(str(found.offset) for found in ledger.publications), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
