"""A server that is killed exactly between a commit and its publication: `chat-server serve` with a fault.

It dies when it has committed a message with LAST_WORDS. The fault lives here, so that no setting of the product can
bring it on.
"""

import os
import signal

from chat_server.cli import main as serve
from chat_server.realtime.fanout import Fanout
from chat_server.store.writer import Commit

LAST_WORDS = "my last words"
PROGRAM = "from tests.cluster.dying import main; main()"


def main() -> None:
    publish = Fanout.committed

    def die_or_publish(self: Fanout, commit: Commit) -> None:
        if any(LAST_WORDS.encode() in found.payload for found in commit.publications):
            os.kill(os.getpid(), signal.SIGKILL)
        publish(self, commit)

    Fanout.committed = die_or_publish  # type: ignore[method-assign]
    serve()
