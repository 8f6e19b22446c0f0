"""What goes from worker to worker: `1 <kind> <sender> <offset> <epoch> <payload>`.

The first byte is the format's version, and what is of another one is left, so that workers of two versions can run
together. A worker drops what it sent itself; a sender `-` is for everyone.
"""

from chat_server.broker import Envelope
from chat_server.broker.redis.commands import Keys
from chat_server.broker.redis.topology import LOST, topology_of
from chat_server.errors import BrokerUnavailable

VERSION = b"1"
EVERYONE = b"-"
SIGNALS = "signals"  # the channel that every worker follows


def message_of(envelope: Envelope, sender: bytes = EVERYONE) -> bytes:
    epoch = envelope.epoch.encode() or b"-"
    return b"%s %s %s %d %s %s" % (VERSION, envelope.kind.encode(), sender, envelope.offset, epoch, envelope.payload)


def signal_of(message: bytes, sender: bytes = EVERYONE) -> bytes:
    return b"%s signal %s 0 - %s" % (VERSION, sender, message)


async def tell(url: str, prefix: str, envelopes: list[Envelope], signals: list[bytes]) -> None:
    """Tell the workers from a process that is none. BrokerUnavailable: then they find it in the database."""
    topology, keys = topology_of(url), Keys(prefix)
    verb = "SPUBLISH" if topology.is_sharded else "PUBLISH"
    told = [(keys.channel(envelope.channel), message_of(envelope)) for envelope in envelopes]
    told += [(keys.channel(SIGNALS), signal_of(signal)) for signal in signals]
    try:
        await topology.learn()
        for key, message in told:
            await topology.commands.execute_command(verb, key, message)
    except LOST as error:
        raise BrokerUnavailable(retry_after_s=1.0) from error
    finally:
        await topology.close()
