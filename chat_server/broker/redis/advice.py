"""What Redis should be like, asked of every node once: by the doctor, and by a worker as it starts."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from chat_server.broker.redis.topology import Topology, topology_of
from chat_server.logs import masked

logger = logging.getLogger(__name__)

ANSWER_S = 5.0
OLDEST = (6, 2)
OLDEST_SHARDED = (7, 0)
PUBSUB_BYTES = 8 * 1024 * 1024  # under it a burst to a worker that hesitates ends its subscription


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should be otherwise. `is_ill`: it will not work so; else it works less well than it could."""

    text: str
    is_ill: bool = False


async def findings(url: str) -> list[Finding]:
    """What is to be said about the Redis at that URL; none when all is well. BadRedisUrl."""
    topology = topology_of(url)
    try:
        async with asyncio.timeout(ANSWER_S):
            await topology.learn()
            return [found for node in topology.nodes() for found in await _of_node(topology, node)]
    except (RedisError, RedisClusterException, OSError) as error:  # TimeoutError is an OSError
        return [
            Finding(f"Redis does not answer: {masked(str(error)) or f'nothing within {ANSWER_S:.0f} s'}", is_ill=True)
        ]
    finally:
        await topology.close()


async def warn(url: str) -> None:
    """Log what the doctor would say."""
    for found in await findings(url):
        logger.warning("broker.advice", extra={"advice": found.text})


async def _of_node(topology: Topology, node: str) -> list[Finding]:
    connection: Any = topology.connection(node)
    try:
        await connection.connect()

        async def ask(*command: str) -> Any:
            await connection.send_command(*command)
            return await connection.read_response()

        found = _about_version(await ask("INFO", "server"), is_sharded=topology.is_sharded)
        try:
            return found + _about_settings(await ask("CONFIG", "GET", "*"), getattr(connection, "host", ""))
        except ResponseError:
            return [
                *found,
                Finding("Redis does not let its settings be read: see docs/operations.md for what it needs"),
            ]
    finally:
        await connection.disconnect()


def _about_version(info: bytes, *, is_sharded: bool) -> list[Finding]:
    lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    version = tuple(int(part) for part in lines["redis_version"].split(".")[:2])
    wanted = OLDEST_SHARDED if is_sharded else OLDEST
    if version >= wanted:
        return []
    need = ".".join(map(str, wanted))
    return [
        Finding(
            f"Redis {lines['redis_version']} is too old{' for Cluster' if is_sharded else ''}: {need} or newer", True
        )
    ]


def _about_settings(pairs: list[bytes], host: str) -> list[Finding]:
    settings = {name.decode(): value.decode() for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    found = []
    if settings.get("maxmemory", "0") != "0" and settings.get("maxmemory-policy") != "noeviction":
        policy = settings["maxmemory-policy"]
        found.append(Finding(f"maxmemory-policy is {policy}: with noeviction presence and histories are not forgotten"))
    words = settings.get("client-output-buffer-limit", "").split()
    hard = int(words[words.index("pubsub") + 1]) if "pubsub" in words else 0
    if 0 < hard < PUBSUB_BYTES:
        found.append(
            Finding(f"client-output-buffer-limit pubsub is {hard:,} bytes: under 8 MiB a burst cuts workers off")
        )
    if not settings.get("requirepass") and host not in {"", "127.0.0.1", "::1", "localhost"}:
        found.append(Finding(f"Redis at {host} asks for no password: whoever reaches it can speak for every channel"))
    return found
