"""SIGTERM with a thousand open sockets and two hundred streams: everybody is told, comes back and missed nothing."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect as knock

from chat_server.gateway.drain import CLOSING_SHARE
from tests.house import Person
from tests.process import Process
from tests.store.rig import until

SOCKETS, STREAMS, POSTERS, PEOPLE = 1000, 200, 20, 10
DRAIN_S = 6.0
PAUSE_S = 2.0  # of a poster: ten posts a second are ten thousand deliveries, which one process of clients can read


@dataclass(eq=False)
class Follower:
    """One socket that follows a room, and follows it again from where it stood when it was closed."""

    person: Person
    channel: str
    offsets: list[int] = field(default_factory=list)
    epoch: str = ""
    start: int = -1
    code: int = 0
    ended_at: float = 0.0
    came_back: bool = False
    recovered: bool = True

    async def run(self, is_over: asyncio.Event) -> None:
        while True:
            try:
                async with connect(f"{self.person.socket_url}?token={self.person.token}", proxy=None) as socket:
                    await self._follow(socket)
                    await self._read(socket, is_over)
                    return
            except ConnectionClosed as closed:
                assert not self.code, "closed once"
                self.code = 0 if closed.rcvd is None else closed.rcvd.code
                self.ended_at = time.monotonic()
            except (OSError, InvalidHandshake):
                await asyncio.sleep(0.1)  # the server is away

    async def _follow(self, socket: ClientConnection) -> None:
        asked: dict[str, Any] = {"channel": self.channel}
        if self.start >= 0:
            asked |= {"recover": True, "epoch": self.epoch, "offset": self.position}
        await socket.send(json.dumps({"id": 1, "subscribe": asked}))
        while True:
            for line in str(await socket.recv()).split("\n"):
                found = json.loads(line)
                if found.get("id") != 1:
                    self._take(found)
                    continue
                answer = found["subscribe"]
                if self.start < 0:
                    self.start, self.epoch = answer["offset"], answer["epoch"]
                else:
                    self.came_back, self.recovered = True, answer["recovered"]
                    self.offsets += [publication["offset"] for publication in answer.get("publications", [])]
                return

    async def _read(self, socket: ClientConnection, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            for line in str(await socket.recv()).split("\n"):
                self._take(json.loads(line))

    def _take(self, found: dict[str, Any]) -> None:
        if found.get("push", {}).get("channel") == self.channel:
            self.offsets.append(found["push"]["pub"]["offset"])

    @property
    def position(self) -> int:
        return self.offsets[-1] if self.offsets else self.start


@dataclass(eq=False)
class Poster:
    """Posts one message after the other until it is closed."""

    person: Person
    room_id: str
    name: str
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    code: int = 0

    async def run(self) -> None:
        try:
            async with connect(f"{self.person.socket_url}?token={self.person.token}", proxy=None) as socket:
                while True:
                    await self._post(socket, f"{self.name}.{len(self.sent)}")
        except ConnectionClosed as closed:
            self.code = 0 if closed.rcvd is None else closed.rcvd.code

    async def _post(self, socket: ClientConnection, message_id: str) -> None:
        self.sent.append(message_id)
        data = {"room_id": self.room_id, "text": message_id, "client_msg_id": message_id}
        await socket.send(json.dumps({"id": len(self.sent), "rpc": {"method": "messages.post", "data": data}}))
        while True:
            for line in str(await socket.recv()).split("\n"):
                found = json.loads(line)
                if found.get("id") == len(self.sent):
                    assert "rpc" in found, found
                    self.acknowledged.append(message_id)
                    await asyncio.sleep(PAUSE_S)
                    return


@dataclass(eq=False)
class Listener:
    """One stream of server-sent events, read to its end."""

    person: Person
    channel: str
    text: str = ""
    ended_at: float = 0.0
    is_whole: bool = False

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.person.url.rpartition(":")[2]))
        path = f"/sse?channels={self.channel}&token={self.person.token}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        async for line in reader:
            self.text += line.decode()
            if self.text.endswith("\r\n0\r\n"):
                self.is_whole = True
                break
        self.ended_at = time.monotonic()
        writer.close()


@dataclass(frozen=True)
class Crowd:
    followers: list[Follower]
    posters: list[Poster]
    listeners: list[Listener]


def crowd_of(people: list[Person], room_id: str) -> Crowd:
    channel = f"room:{room_id}"
    return Crowd(
        [Follower(people[number % PEOPLE], channel) for number in range(SOCKETS - POSTERS)],
        [Poster(people[number % PEOPLE], room_id, f"p{number}") for number in range(POSTERS)],
        [Listener(people[number % PEOPLE], channel) for number in range(STREAMS)],
    )


@pytest.mark.long
def test_a_server_that_is_told_to_leave_lets_everybody_go_in_good_order(tmp_path: Path) -> None:
    with Process(tmp_path / "data", CHAT_DRAIN_S=str(DRAIN_S), CHAT_RATE_LOGIN_ADDRESS="0") as server:
        people = [server.person(f"ann{number}") for number in range(PEOPLE)]
        room_id = people[0].room()
        for person in people[1:]:
            person.join(room_id)
        crowd = crowd_of(people, room_id)

        told_at = asyncio.run(_lived_through(server, crowd, people[0]))

        stored = _stored(people[0], room_id)
    _check_sockets(crowd)
    _check_slices(crowd, told_at)
    _check_streams(crowd)
    acknowledged = {message_id for poster in crowd.posters for message_id in poster.acknowledged}
    assert stored == acknowledged, "what was answered is stored, and what was not answered is not"


async def _lived_through(server: Process, crowd: Crowd, ann: Person) -> float:
    """When the server was told to leave."""
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(follower.run(is_over)) for follower in crowd.followers]
        listeners = [tasks.create_task(listener.run()) for listener in crowd.listeners]
        await until(lambda: all(follower.start >= 0 for follower in crowd.followers), "the sockets", 60)
        await until(lambda: all("stream.open" in listener.text for listener in crowd.listeners), "the streams", 30)
        posters = [tasks.create_task(poster.run()) for poster in crowd.posters]
        await until(lambda: all(poster.acknowledged for poster in crowd.posters), "the posts", 30)

        leaving = asyncio.create_task(asyncio.to_thread(_stopped, server))
        await asyncio.to_thread(_check_door, ann)
        told_at, took_s = await leaving
        assert took_s <= DRAIN_S + 2

        await asyncio.gather(*listeners, *posters)
        await asyncio.to_thread(server.start)
        await until(lambda: all(follower.came_back for follower in crowd.followers), "everybody to be back", 60)
        last = await asyncio.to_thread(ann.say, crowd.posters[0].room_id, "the last word")
        head = crowd.followers[0].start + len(_all_acknowledged(crowd)) + 1
        assert last["text"] == "the last word"
        await until(lambda: all(one.position == head for one in crowd.followers), "all to be level", 30)
        is_over.set()
        await asyncio.to_thread(ann.say, crowd.posters[0].room_id, "good night")
        await asyncio.gather(*followers)
    return told_at


def _stopped(server: Process) -> tuple[float, float]:
    """When it was told, and how many seconds it took to leave: timed beside the busy loop of its thousand clients."""
    told_at = time.monotonic()
    assert server.stop() == 0
    return told_at, time.monotonic() - told_at


def _check_door(ann: Person) -> None:
    """While it leaves, the server is not ready and takes nobody in."""
    while (ready := httpx2.get(f"{ann.url}/readyz", timeout=10)).status_code != 503:
        time.sleep(0.01)
    assert ready.json()["draining"] is True
    with pytest.raises(InvalidStatus) as refusal:
        knock(f"{ann.socket_url}?token={ann.token}", proxy=None)
    assert refusal.value.response.status_code == 503


def _all_acknowledged(crowd: Crowd) -> list[str]:
    return [message_id for poster in crowd.posters for message_id in poster.acknowledged]


def _check_sockets(crowd: Crowd) -> None:
    assert {one.code for one in [*crowd.followers, *crowd.posters]} == {3001}
    assert all(follower.recovered for follower in crowd.followers)
    for follower in crowd.followers:
        assert follower.offsets[0] == follower.start + 1
        assert all(later == earlier + 1 for earlier, later in pairwise(follower.offsets))


def _check_slices(crowd: Crowd, told_at: float) -> None:
    """They come back over the whole time: nobody is told before their turn, however busy this machine is."""
    ends = sorted(follower.ended_at for follower in crowd.followers)
    for index, ended_at in enumerate(ends):
        turn_s = DRAIN_S * CLOSING_SHARE * index / len(ends)
        assert ended_at - told_at >= turn_s - 0.5, "the order is random, and streams go in between"


def _check_streams(crowd: Crowd) -> None:
    for listener in crowd.listeners:
        assert listener.is_whole, listener.text[-300:]
        assert "retry: " in listener.text.rpartition("event:")[2], "told when to come back"


def _stored(person: Person, room_id: str) -> set[str]:
    found, before = set(), None
    while True:
        page = person.get(f"/api/v1/rooms/{room_id}/messages?limit=200" + (f"&before={before}" if before else ""))
        found |= {message["client_msg_id"] for message in page["items"]} - {None}
        before = page["previous"]
        if before is None:
            return found
