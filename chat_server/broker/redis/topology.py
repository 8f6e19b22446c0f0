"""Where Redis is: one node, whatever Sentinel says is the primary, or the primaries of a Cluster.

A channel's keys hold its name in braces, so that they share a slot, and a script may use them together.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import RedisClusterException, RedisError

# How the library says that Redis, one of its nodes or the way to it is lost; a cluster's errors are no RedisError.
LOST = (RedisError, RedisClusterException, OSError, TimeoutError, EOFError)
CONNECT_S = 2.0
COMMAND_S = 2.0
SENTINEL_PORT = 26379
REDIS_PORT = 6379
# A peer that vanished without a word is noticed after 5 + 2 * 3 s of silence.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


class BadRedisUrl(ValueError):
    """REDIS_URL cannot be used. The message says how to write it, in one line."""


class _TLSConnection(SSLConnection):
    """The library makes a context for each connection, and reads the machine's certificates for it: 30 ms on the loop.

    Those with the same settings share one; files that are renewed are read at the next start.
    """

    _contexts: ClassVar[dict[str, Any]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        settings = {name: value for name, value in options.items() if name.startswith("ssl_")}
        self.ssl_context = self._contexts.setdefault(repr(sorted(settings.items())), self.ssl_context)


class Topology(Protocol):
    """`commands` executes by key. A connection belongs to whoever asked for it, and is not connected yet."""

    is_sharded: bool
    commands: Any

    def nodes(self) -> Sequence[str]: ...

    def node_of(self, key: str) -> str: ...

    def connection(self, node: str) -> AbstractConnection: ...

    async def refresh(self, key: str) -> None:
        """Learn anew where `key` lives."""

    async def learn(self) -> None:
        """Find out which nodes there are. Called at the start and while one of them is not heard."""

    async def close(self) -> None: ...


class OneNode:
    """`redis://`, `rediss://`, `unix://`, and the primary that Sentinel names: a lost one is asked for again."""

    is_sharded = False
    _NAME = "primary"

    def __init__(self, client: Any, sentinels: Sequence[Any] = ()) -> None:
        self.commands = client
        self._sentinels = sentinels

    def nodes(self) -> Sequence[str]:
        return (self._NAME,)

    def node_of(self, key: str) -> str:
        return self._NAME

    def connection(self, node: str) -> AbstractConnection:
        made: AbstractConnection = self.commands.connection_pool.make_connection()
        return _owned(made)

    async def refresh(self, key: str) -> None:
        return None

    async def learn(self) -> None:
        return None

    async def close(self) -> None:
        for client in (self.commands, *self._sentinels):
            await client.aclose()


class Cluster:
    """`redis+cluster://`: sharded pub/sub, so that a publication costs one shard and not all of them."""

    is_sharded = True

    def __init__(self, client: Any) -> None:
        self.commands = client

    def nodes(self) -> Sequence[str]:
        return [node.name for node in self.commands.get_primaries()]

    def node_of(self, key: str) -> str:
        return str(self.commands.get_node_from_key(key).name)

    def connection(self, node: str) -> AbstractConnection:
        found = self.commands.get_node(node_name=node)
        if found is None:
            raise RedisError(f"{node} has left the cluster")
        made: AbstractConnection = found.connection_class(**found.connection_kwargs)
        return _owned(made)

    async def refresh(self, key: str) -> None:
        await self.commands.exists(key)  # follows MOVED, and reads the slots again on the way

    async def learn(self) -> None:
        await self.commands.initialize()
        await self.commands.nodes_manager.initialize()

    async def close(self) -> None:
        await self.commands.aclose()


def topology_of(url: str) -> Topology:
    """What REDIS_URL means. BadRedisUrl."""
    scheme = urlsplit(url).scheme
    if scheme in {"redis", "rediss", "unix", "valkey", "valkeys"}:
        plain = url.replace("valkey", "redis", 1) if scheme.startswith("valkey") else url
        client = Redis.from_url(plain, **_options())
        if issubclass(client.connection_pool.connection_class, SSLConnection):
            client.connection_pool.connection_class = _TLSConnection
        return OneNode(client)
    if scheme == "redis+sentinel":
        return _from_sentinel(url)
    if scheme == "redis+cluster":
        return Cluster(_from_cluster(url))
    raise BadRedisUrl("REDIS_URL begins with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")


def heed_cancellation() -> None:
    """After an error that was caught: go on only if nobody cancelled this task meanwhile.

    Before Python 3.13 a TaskGroup whose body failed forgets a cancellation that comes as it ends; on 3.11 so does
    `wait_for`.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _owned(made: AbstractConnection) -> AbstractConnection:
    """For one holder, who must see each loss (it is a gap) and has timeouts of its own around whatever it awaits.

    With a timeout of its own the library sends through `wait_for`, which on Python 3.11 swallows a cancellation that
    comes as it is done, and answers None for what did not come in time.
    """
    made.retry = Retry(NoBackoff(), 0)
    made.socket_timeout = None
    return made


def _options() -> dict[str, Any]:
    return {
        "protocol": 2,
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": COMMAND_S,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
        "retry": Retry(ExponentialWithJitterBackoff(cap=0.1, base=0.01), 2),
        "driver_info": None,
    }


def _from_sentinel(url: str) -> OneNode:
    """`redis+sentinel://user:password@host:port,host:port/<primary's name>/<db>?sentinel_password=...`."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    name, _, db = parts.path.strip("/").partition("/")
    if not hosts or not name:
        raise BadRedisUrl("write redis+sentinel://host:26379,host:26379/<primary's name>")
    query = dict(parse_qsl(parts.query))
    sentinel_options = {"socket_timeout": CONNECT_S, "protocol": 2}
    if "sentinel_password" in query:
        sentinel_options["password"] = query["sentinel_password"]  # type: ignore[assignment]
    options = {**_options(), **_login(credentials)} | ({"db": int(db)} if db else {})
    addresses = [_address(host, SENTINEL_PORT) for host in hosts.split(",")]
    found = Sentinel(addresses, sentinel_kwargs=sentinel_options, **options)  # type: ignore[no-untyped-call]
    return OneNode(found.master_for(name), found.sentinels)


def _from_cluster(url: str) -> Any:
    """`redis+cluster://user:password@host:port,host:port`; `?tls=1` for TLS."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    if not hosts:
        raise BadRedisUrl("write redis+cluster://host:6379,host:6379")
    options = {**_options(), **_login(credentials)}
    del options["retry"]
    if dict(parse_qsl(parts.query)).get("tls") == "1":
        options["ssl"] = True
    nodes = [ClusterNode(*_address(host, REDIS_PORT)) for host in hosts.split(",")]
    return RedisCluster(startup_nodes=nodes, **options)


def _login(credentials: str) -> dict[str, str]:
    user, _, password = credentials.partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in found.items() if value}


def _address(host: str, default_port: int) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    return (name, int(port)) if colon else (host, default_port)
