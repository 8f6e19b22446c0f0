"""Every test of the gateway runs over both ways of carrying a WebSocket; most of them over the portable one only when
long tests do.
"""

import pytest

from tests.house import DIRECT, PORTABLE

ALWAYS_ON_BOTH = {"test_websocket_frames"}
# What uvicorn's own class does otherwise, before the application has a say.
OURS_ALONE = {
    "test_an_empty_subprotocol_header_of_older_clients_is_tolerated",
    "test_a_refused_handshake_is_no_error_in_the_servers_log",
    "test_a_head_that_is_too_long_or_has_a_body_is_a_bad_request",
    "test_commands_right_behind_the_head_are_answered",
    "test_an_ordinary_socket_passes_no_layer_and_a_refused_one_all",
    "test_an_application_that_somebody_wrapped_is_asked_each_time",
}


@pytest.fixture(scope="module", params=[DIRECT, PORTABLE], ids=["direct", "portable"])
def carried_by(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not (_is_portable(item) and _function(item) in OURS_ALONE)]
    for item in items:
        if _is_portable(item) and _module(item) not in ALWAYS_ON_BOTH:
            item.add_marker(pytest.mark.long)


def _is_portable(item: pytest.Item) -> bool:
    chosen = getattr(item, "callspec", None)
    return chosen is not None and chosen.params.get("carried_by") == PORTABLE


def _function(item: pytest.Item) -> str:
    return item.name.partition("[")[0]


def _module(item: pytest.Item) -> str:
    return item.path.stem
