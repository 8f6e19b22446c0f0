"""A bridge: what a webhook delivers is posted into a room. It answers the sender once the message is stored.

    export CHAT_TOKEN=$(chat-server bot add bridge)  CHAT_ROOM=<the id of a room that `bridge` is in>
    export CHAT_BRIDGE_SECRET=$(openssl rand -hex 32)
    python examples/bridge.py

    BODY='{"text": "build 12 failed"}'
    SIGNATURE=sha256=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$CHAT_BRIDGE_SECRET" -r | cut -d' ' -f1)
    curl http://127.0.0.1:9000/ -H "X-Hub-Signature-256: $SIGNATURE" -H 'X-GitHub-Delivery: 1' -d "$BODY"

Bodies are signed as GitHub, Gitea and many others sign theirs; a delivery that is repeated is posted once. CHAT_URL
says where the server is (http://127.0.0.1:8000), CHAT_BRIDGE_PORT where to listen (9000).
"""

import hashlib
import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chat_server.client import ClientError, Refused, SyncClient

BODY_BYTES = 1024 * 1024
TEXT_CHARS = 4000
POST_S = 10.0


class Hook(BaseHTTPRequestHandler):
    client: SyncClient
    room_id: str
    secret: bytes
    timeout = 10

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(size) if size <= BODY_BYTES else b""
        signature = "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, self.headers.get("X-Hub-Signature-256", "")):
            return self.answer(401, "the signature is wrong")
        try:
            text = str(json.loads(body)["text"])[:TEXT_CHARS]
        except (ValueError, KeyError, TypeError):
            return self.answer(422, 'send {"text": "..."}')
        delivery = self.headers.get("X-GitHub-Delivery") or hashlib.sha256(body).hexdigest()
        try:
            message = self.client.post(self.room_id, text, client_msg_id=delivery[:64], timeout_s=POST_S)
        except Refused as error:
            return self.answer(422, str(error))
        except ClientError as error:
            return self.answer(503, str(error))
        return self.answer(201, message.id)

    def answer(self, status: int, said: str) -> None:
        body = f"{said}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    Hook.room_id, Hook.secret = os.environ["CHAT_ROOM"], os.environ["CHAT_BRIDGE_SECRET"].encode()
    port = int(os.environ.get("CHAT_BRIDGE_PORT", "9000"))
    url, token = os.environ.get("CHAT_URL", "http://127.0.0.1:8000"), os.environ["CHAT_TOKEN"]
    with SyncClient(url, token) as client, ThreadingHTTPServer(("127.0.0.1", port), Hook) as server:
        Hook.client = client
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
