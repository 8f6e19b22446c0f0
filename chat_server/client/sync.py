"""The client for programs without an event loop: the same nouns, each call waits. The loop runs in a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, TypeVar

from chat_server.client.client import OPEN_S, RPC_S, Client, Present
from chat_server.client.delivery import Heard, Position
from chat_server.client.following import Following
from chat_server.client.inbox import INBOX_EVENTS
from chat_server.client.link import Token
from chat_server.client.permit import SubscriptionToken
from chat_server.client.problems import Closed
from chat_server.shapes import Mentions, Message, Page, Room, User

GRACE_S = 1.0

T = TypeVar("T")


class SyncClient:
    """`with SyncClient(url, token) as client: ...`. Any thread may call it; the laws are those of Client."""

    def __init__(
        self, url: str, token: Token, *, open_timeout_s: float | None = OPEN_S, inbox_events: int = INBOX_EVENTS
    ) -> None:
        self._client = Client(url, token, open_timeout_s=open_timeout_s, inbox_events=inbox_events)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat-client", daemon=True)
        self._is_over = asyncio.Event()
        self._ready = threading.Event()
        self._problem: BaseException | None = None

    def __enter__(self) -> "SyncClient":
        self._thread.start()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), self._loop)
        self._ready.wait()
        if self._problem is not None:
            self._stop()
            raise self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Whoever still waits for an answer gets Closed; followings stop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._is_over.set)
            self._life.result()
            self._stop()

    @property
    def me(self) -> User:
        return self._client.me

    def rpc(
        self,
        method: str,
        data: Mapping[str, Any] | None = None,
        *,
        repeat: bool | None = None,
        timeout_s: float | None = RPC_S,
    ) -> Any:
        return self._wait(self._client.rpc(method, data, repeat=repeat, timeout_s=timeout_s))

    def post(
        self,
        room_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        mentions: Mentions | None = None,
        client_msg_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        options: dict[str, Any] = {"reply_to": reply_to, "mentions": mentions, "client_msg_id": client_msg_id}
        return self._wait(self._client.post(room_id, text, timeout_s=timeout_s, **options))

    def edit(self, room_id: str, message_id: str, text: str) -> Message:
        return self._wait(self._client.edit(room_id, message_id, text))

    def delete(self, room_id: str, message_id: str) -> None:
        self._wait(self._client.delete(room_id, message_id))

    def read(self, room_id: str, seq: int) -> None:
        self._wait(self._client.read(room_id, seq))

    def typing(self, room_id: str, *, is_over: bool = False) -> None:
        self._wait(self._client.typing(room_id, is_over=is_over))

    def messages(
        self,
        room_id: str,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int = 50,
    ) -> Page[Message]:
        return self._wait(self._client.messages(room_id, before=before, after=after, around=around, limit=limit))

    def history(self, room_id: str, *, after: int = 0) -> Iterator[Message]:
        messages = self._client.history(room_id, after=after)
        while True:
            try:
                yield self._wait(_next(messages))
            except StopAsyncIteration:
                return

    def rooms(self, scope: Literal["mine", "public"] = "mine") -> list[Room]:
        return self._wait(self._client.rooms(scope))

    def user(self, user_id: str, *, timeout_s: float | None = RPC_S) -> User:
        return self._wait(self._client.user(user_id, timeout_s=timeout_s))

    def presence(self, where: str) -> list[Present]:
        return self._wait(self._client.presence(where))

    def publish(self, channel: str, data: Any) -> None:
        self._wait(self._client.publish(channel, data))

    def notify(self, text: str, **body: Any) -> None:
        self._wait(self._client.notify(text, **body))

    def follow(
        self, channel: str, *, since: Position | None = None, token: SubscriptionToken | None = None
    ) -> Iterator[Heard]:
        """Subscribed from here on, not only from the first event taken."""
        return self._events(self._wait(_made(lambda: self._client.follow(channel, since=since, token=token))))

    def follow_rooms(self, *, since: Mapping[str, Position] | None = None) -> Iterator[Heard]:
        return self._events(self._wait(_made(lambda: self._client.follow_rooms(since=since))))

    def _events(self, following: Following) -> Iterator[Heard]:
        try:
            while True:
                yield self._wait(following.next()).event
        except Closed:
            return
        finally:
            if self._loop.is_running():
                self._loop.call_soon_threadsafe(following.close)

    async def _live(self) -> None:
        try:
            async with self._client:
                self._ready.set()
                await self._is_over.wait()
        except BaseException as error:
            self._problem = error
            self._ready.set()
            if not isinstance(error, Exception):
                raise

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if not self._loop.is_running():
            work.close()
            raise Closed()
        answered = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answered.result()
        except BaseException:
            answered.cancel()  # an interrupt: nobody waits for it any more
            raise

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(_finished(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _made(make: Callable[[], T]) -> T:
    return make()


async def _next(messages: AsyncIterator[Message]) -> Message:
    return await anext(messages)


async def _finished() -> None:
    """Whoever waits in another thread has been told that the client is closed; what goes on still is cancelled."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=GRACE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
