"""picows: a broadcast without anything around it. python picows_bare.py PORT"""

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

BACKLOG = 4096
subscribers: set[WSTransport] = set()


class Connection(WSListener):  # type: ignore[misc]  # compiled, without types
    def __init__(self, is_publisher: bool) -> None:
        super().__init__()
        self.is_publisher = is_publisher

    def on_ws_connected(self, transport: WSTransport) -> None:
        if not self.is_publisher:
            subscribers.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        subscribers.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and self.is_publisher:
            message = frame.get_payload_as_bytes()
            for subscriber in subscribers:
                subscriber.send(WSMsgType.TEXT, message)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def of(request: WSUpgradeRequest) -> Connection:
    return Connection(request.path.startswith(b"/pub"))


async def main() -> None:
    server = await ws_create_server(of, "127.0.0.1", int(sys.argv[1]), backlog=BACKLOG)
    await server.serve_forever()


uvloop.run(main())
