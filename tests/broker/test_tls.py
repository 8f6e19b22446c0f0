"""What TLS costs a worker: the machine's certificates are read once, not for each connection."""

from chat_server.broker.redis.topology import OneNode, topology_of
from tests.store.rig import awaited


@awaited
async def test_connections_with_the_same_settings_share_a_context_and_others_do_not() -> None:
    one, other = topology_of("rediss://localhost:1/0"), topology_of("rediss://localhost:1/0?ssl_cert_reqs=none")
    assert isinstance(one, OneNode)
    try:
        contexts = [made.ssl_context.get() for made in (one.connection("primary"), one.connection("primary"))]  # type: ignore[attr-defined]

        assert contexts[0] is contexts[1]
        assert other.connection("primary").ssl_context.get() is not contexts[0]  # type: ignore[attr-defined]
    finally:
        await one.close()
        await other.close()
