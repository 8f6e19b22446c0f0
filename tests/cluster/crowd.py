"""Subscribers and posters on one room: what they must end with, whatever happens to the servers meanwhile.

A `Follower` recovers by (epoch, offset), pages by `history` when it is told that it must, and notes every offset that
is not the next one. A `Poster` repeats a post with its client_msg_id until it is acknowledged.
"""

import asyncio
import random
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.cluster.line import Line, opened

AGAIN_S = 0.2
REPLY_S = 10.0
PAGE = 300
TEMPORARY = {100, 503, 111}


class _Client:
    """A line that is opened again whenever it is lost, at one of the servers."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self._urls = urls
        self._token = token
        self._line: Line | None = None
        self._ids = count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._lost = asyncio.Event()
        self.connects = 0
        self.closes: list[int] = []

    def cut(self) -> None:
        if self._line is not None:
            self._line.cut()

    async def ask(self, **command: Any) -> dict[str, Any]:
        """The reply. ConnectionError, TimeoutError."""
        if self._line is None:
            raise ConnectionResetError
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._line.send({"id": number, **command})
        try:
            async with asyncio.timeout(REPLY_S):
                return await reply
        finally:
            self._replies.pop(number, None)

    async def _open(self) -> None:
        url = f"{random.choice(self._urls).replace('http', 'ws', 1)}/ws?token={self._token}"
        self._lost.clear()
        self._line = await opened(url, self._on_object, self._on_lost)
        self.connects += 1

    def _on_object(self, found: dict[str, Any]) -> None:
        if "push" in found:
            self.on_push(found["push"])
        elif (reply := self._replies.get(found["id"])) is not None and not reply.done():
            self.on_reply(found)
            reply.set_result(found)

    def _on_lost(self) -> None:
        if self._line is not None and self._line.close_code:
            self.closes.append(self._line.close_code)
        self._line = None
        self._lost.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionResetError())

    def on_push(self, push: dict[str, Any]) -> None:
        pass

    def on_reply(self, reply: dict[str, Any]) -> None:
        """At once, so that what follows it on the line is taken after it."""


class Follower(_Client):
    """Follows one channel from its beginning. `wrong` holds the first surprises, `digest` what was heard, in order."""

    def __init__(self, urls: Sequence[str], token: str, channel: str) -> None:
        super().__init__(urls, token)
        self.channel = channel
        self.epoch = ""
        self.offset = 0
        self.digest = 0
        self.wrong: list[str] = []
        self.recoveries = self.pages = 0
        self._early: dict[int, dict[str, Any]] = {}
        self._is_paging = False
        self._paged_until = 0
        self.unfollowed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._open()
                await self._follow()
                await self._lost.wait()
            except (OSError, TimeoutError):
                pass
            finally:
                self.cut()
            await asyncio.sleep(AGAIN_S * random.random())

    async def _follow(self) -> None:
        self._early.clear()
        self._is_paging = False
        self._paged_until = 0
        asked: dict[str, Any] = {"channel": self.channel}
        if self.epoch:
            asked |= {"recover": True, "epoch": self.epoch, "offset": self.offset}
        reply = await self.ask(subscribe=asked)
        if "error" in reply:
            raise ConnectionResetError(str(reply["error"]))
        while self._is_paging:
            since = {"epoch": self.epoch, "offset": self.offset}
            page = await self.ask(history={"channel": self.channel, "since": since, "limit": PAGE})
            if "error" in page:
                raise ConnectionResetError(str(page["error"]))
            self.pages += 1
            for publication in page["history"]["publications"]:
                self._take(publication)
            if self.offset >= page["history"]["offset"] or not page["history"]["publications"]:
                self._is_paging = False
                self._paged_until = self.offset
                early, self._early = self._early, {}
                for offset in sorted(early):
                    self._take_live(early[offset])

    def on_reply(self, reply: dict[str, Any]) -> None:
        found = reply.get("subscribe")
        if found is None:
            return
        if self.epoch and found["epoch"] != self.epoch:
            self.wrong.append(f"epoch {self.epoch} became {found['epoch']}")
        self.epoch = found["epoch"]
        if found["recovered"]:
            self.recoveries += 1
            for publication in found.get("publications", ()):
                self._take(publication)
        elif found["offset"] > self.offset:
            self._is_paging = True

    def on_push(self, push: dict[str, Any]) -> None:
        if push["channel"] != self.channel:
            return
        if "unsubscribe" in push:
            self.unfollowed.set()
            self.cut()
        elif "pub" in push:
            if self._is_paging:
                self._early[push["pub"]["offset"]] = push["pub"]
            else:
                self._take_live(push["pub"])

    def _take_live(self, publication: dict[str, Any]) -> None:
        if publication["offset"] > self._paged_until:  # a page may be ahead of what comes live: that is no repeat
            self._take(publication)

    def _take(self, publication: dict[str, Any]) -> None:
        offset = publication["offset"]
        if offset != self.offset + 1 and len(self.wrong) < 5:
            self.wrong.append(f"{offset} after {self.offset}")
        self.offset = offset
        event = publication["data"]
        self.digest = zlib.crc32(f"{offset} {event.get('message', {}).get('id')}".encode(), self.digest)


class Poster(_Client):
    """Posts one after another. `acknowledged` has each message's client_msg_id with its id."""

    def __init__(self, urls: Sequence[str], token: str, room_id: str, name: str, pause_s: float) -> None:
        super().__init__(urls, token)
        self.acknowledged: dict[str, str] = {}
        self.longest_s = 0.0
        self.refused: list[dict[str, Any]] = []
        self._room_id = room_id
        self._name = name
        self._pause_s = pause_s

    async def run(self, goes_on: Callable[[int], bool]) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while goes_on(number):
            key = f"{self._name}-{number}"
            began = loop.time()
            while key not in self.acknowledged:
                await self._attempt(key)
            self.longest_s = max(self.longest_s, loop.time() - began)
            number += 1
            if self._pause_s:
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.5))

    async def _attempt(self, key: str) -> None:
        try:
            if self._line is None:
                await self._open()
            data = {"room_id": self._room_id, "text": key, "client_msg_id": key}
            reply = await self.ask(rpc={"method": "messages.post", "data": data})
        except (OSError, TimeoutError):
            self.cut()
            await asyncio.sleep(AGAIN_S * random.random())
            return
        if "rpc" in reply:
            self.acknowledged[key] = reply["rpc"]["data"]["id"]
            return
        self.refused.append(reply["error"])
        assert reply["error"]["code"] in TEMPORARY, reply
        await asyncio.sleep(AGAIN_S * random.random())


@dataclass
class Crowd:
    """`urls` are the servers that the clients spread over."""

    urls: Sequence[str]
    room_id: str
    readers: Sequence[str]  # their tokens
    writers: Sequence[str]
    followers: list[Follower] = field(default_factory=list)
    posters: list[Poster] = field(default_factory=list)

    async def gather(self, size: int, tasks: asyncio.TaskGroup) -> list["asyncio.Task[None]"]:
        """So many followers, all in the room."""
        channel = f"room:{self.room_id}"
        self.followers = [Follower(self.urls, self.readers[n % len(self.readers)], channel) for n in range(size)]
        running = [tasks.create_task(follower.run()) for follower in self.followers]
        await self.until(lambda: all(follower.epoch for follower in self.followers), 30.0, "all to follow")
        return running

    async def post(self, each: int, pause_s: float = 0.0) -> None:
        """Every writer posts so many."""
        await self.post_while(lambda number: number < each, pause_s)

    async def post_while(self, goes_on: Callable[[int], bool], pause_s: float) -> None:
        wave = len(self.posters)
        posters = [
            Poster(self.urls, token, self.room_id, f"p{wave + index}", pause_s)
            for index, token in enumerate(self.writers)
        ]
        self.posters += posters
        try:
            async with asyncio.TaskGroup() as tasks:
                for poster in posters:
                    tasks.create_task(poster.run(goes_on))
        finally:
            for poster in posters:
                poster.cut()

    async def shake(self, every_s: float) -> None:
        """Cut somebody's connection now and then, until cancelled."""
        while True:
            await asyncio.sleep(every_s * random.random() * 2)
            random.choice(self.followers).cut()

    async def level(self, head: int, within_s: float) -> float:
        """Wait until everybody is at `head`; how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.until(lambda: all(follower.offset >= head for follower in self.followers), within_s, f"level {head}")
        return loop.time() - began

    def check(self, head: int) -> None:
        """Everybody heard every offset once, in order, and the same in each."""
        wrong = {index: found.wrong for index, found in enumerate(self.followers) if found.wrong}
        assert not wrong, wrong
        assert {follower.offset for follower in self.followers} == {head}
        assert len({follower.digest for follower in self.followers}) == 1

    @property
    def acknowledged(self) -> dict[str, str]:
        return {key: found for poster in self.posters for key, found in poster.acknowledged.items()}

    async def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                behind = sorted((follower.offset, follower.connects) for follower in self.followers)[:10]
                raise AssertionError(f"waited {within_s} s for {what}; the last: {behind}")
            await asyncio.sleep(0.01)


async def ended(running: Sequence["asyncio.Task[Any]"]) -> None:
    for task in running:
        task.cancel()
    for task in running:
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.1)  # the loop closes what was cut
