"""The server API: bodies and answers as in Centrifugo's, for trusted back ends."""

import socket
from typing import Any

import httpx2
import pytest

from tests.house import API_KEY, PATIENCE_S, TLS, House, Person, until

KEY = {"X-API-Key": API_KEY}
METHODS = (
    "publish broadcast subscribe unsubscribe disconnect refresh "
    "presence presence_stats history history_remove channels info batch"
)


def call(house: House, method: str, body: Any, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{house.url}/api/{method}", json=body, headers=headers or KEY, timeout=PATIENCE_S, verify=TLS)


def error(answer: dict[str, Any]) -> int:
    code: int = answer["error"]["code"]
    assert set(answer) == {"error"}
    assert answer["error"]["message"]
    return code


def names_of(house: House, channel: str) -> list[Any]:
    return [found["data"] for found in house.api("history", channel=channel, limit=100)["result"]["publications"]]


@pytest.mark.parametrize("method", METHODS.split())
def test_nothing_is_done_without_the_key(house: House, ann: Person, method: str) -> None:
    body = {"channel": "chat:locked", "channels": ["chat:locked"], "data": 1, "user": ann.id, "commands": []}

    for headers in (
        {"X-None": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"Authorization": f"Bearer {ann.token}"},
    ):
        assert call(house, method, body, **headers).status_code == 401
    assert names_of(house, "chat:locked") == []


def test_whoever_has_the_key_is_not_counted_and_whoever_has_not_is(new_house) -> None:
    house = new_house(rate_http="3/h")

    with_key = [call(house, "info", {}).status_code for _ in range(5)]
    without = [call(house, "info", {}, **{"X-API-Key": "wrong"}).status_code for _ in range(5)]

    assert with_key == [200] * 5
    assert without == [401] * 3 + [429] * 2


def test_a_body_without_the_right_type_is_taken_as_it_is_and_an_empty_one_is_no_json(house: House) -> None:
    def posted(body: bytes, kind: str) -> httpx2.Response:
        headers = {**KEY, "Content-Type": kind}
        return httpx2.post(f"{house.url}/api/info", content=body, headers=headers, timeout=PATIENCE_S, verify=TLS)

    assert posted(b"{}", "application/x-www-form-urlencoded").status_code == 200
    empty, no_object = posted(b"", "application/json"), posted(b"[]", "application/json")

    assert (empty.status_code, empty.json()["code"]) == (400, "bad_json")
    assert (no_object.status_code, no_object.json()["code"]) == (422, "invalid")


def test_a_back_end_that_goes_away_within_its_body_is_no_crash(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "chat_server.http")
    with socket.create_connection(("127.0.0.1", house.port)) as line:
        head = f"POST /api/info HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Length: 100\r\n\r\nhalf"
        line.sendall(head.encode())

    until(lambda: any(getattr(found, "path", "") == "/api/info" for found in caplog.records), what="its end in the log")
    assert [found.message for found in caplog.records if found.levelname == "ERROR"] == []


def test_without_the_setting_nobody_has_a_key(new_house) -> None:
    house = new_house(api_key=None)

    for key in ("", "None", API_KEY):
        assert call(house, "info", {}, **{"X-API-Key": key}).status_code == 401


def test_the_key_is_taken_from_the_authorization_header_too(house: House) -> None:
    assert call(house, "info", {}, Authorization=f"apikey {API_KEY}").status_code == 200


def test_a_publication_reaches_subscribers_and_answers_its_position(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        start = wire.subscribe("chat:api")
        answer = house.api("publish", channel="chat:api", data={"n": 1}, tags={"kind": "test"})

        assert answer == {"result": {"offset": start["offset"] + 1, "epoch": start["epoch"]}}
        assert wire.push("chat:api") == {"data": {"n": 1}, "tags": {"kind": "test"}, "offset": start["offset"] + 1}


def test_a_publication_without_history_reaches_subscribers_without_an_offset(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:api")
        house.api("publish", channel="live:api", data=[1, "two", None])

        assert wire.push("live:api") == {"data": [1, "two", None]}


def test_a_publication_that_skips_history_is_heard_and_not_kept(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:skipping")
        house.api("publish", channel="chat:skipping", data="now", skip_history=True)

        assert wire.push("chat:skipping")["data"] == "now"
        assert names_of(house, "chat:skipping") == []


@pytest.mark.parametrize("channel", ["chat:once", "live:once"])
def test_an_idempotency_key_publishes_once(house: House, ann: Person, channel: str) -> None:
    with ann.wire() as wire:
        wire.subscribe(channel)
        first = house.api("publish", channel=channel, data=1, idempotency_key="k1")
        second = house.api("publish", channel=channel, data=1, idempotency_key="k1")
        house.api("publish", channel=channel, data=2, idempotency_key="k2")

        assert first == second
        assert [wire.push(channel)["data"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("channel", ["room:x", "user:x", "topic:x", "presence:x"])
def test_the_houses_own_channels_are_not_published_to(house: House, channel: str) -> None:
    assert error(house.api("publish", channel=channel, data=1)) == 103
    assert [error(found) for found in house.api("broadcast", channels=[channel], data=1)["result"]["responses"]] == [
        103
    ]


def test_an_unknown_namespace_is_an_error_in_the_answer(house: House) -> None:
    for method in ("publish", "presence", "history", "history_remove"):
        assert error(house.api(method, channel="nowhere:x", data=1)) == 102


def test_a_broadcast_reaches_every_channel_and_says_which_failed(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:b1")
        wire.subscribe("live:b2")
        answer = house.api("broadcast", channels=["chat:b1", "room:x", "live:b2"], data="all")["result"]["responses"]

        assert [list(found) for found in answer] == [["result"], ["error"], ["result"]]
        assert wire.push("chat:b1")["data"] == wire.push("live:b2")["data"] == "all"


def test_presence_is_open_to_back_ends(house: House, ann: Person) -> None:
    room_id = ann.room(kind="private")
    with ann.wire() as wire:
        client = wire.connect()["client"]
        wire.subscribe(f"room:{room_id}")

        found = house.api("presence", channel=f"room:{room_id}")["result"]["presence"]
        stats = house.api("presence_stats", channel=f"room:{room_id}")["result"]

        assert found[client]["user"] == ann.id
        assert stats == {"num_clients": 1, "num_users": 1}


def test_a_namespace_without_presence_or_history_says_so(house: House) -> None:
    assert error(house.api("presence", channel="live:x")) == 108
    assert error(house.api("presence_stats", channel="live:x")) == 108
    assert error(house.api("history", channel="live:x", limit=1)) == 108
    assert error(house.api("history_remove", channel="live:x")) == 108


def test_history_pages_both_ways(house: House) -> None:
    for number in range(5):
        house.api("publish", channel="chat:pages", data=number)
    top = house.api("history", channel="chat:pages")["result"]

    forward = house.api("history", channel="chat:pages", limit=2, since={"offset": 1, "epoch": top["epoch"]})["result"]
    backward = house.api("history", channel="chat:pages", limit=2, reverse=True)["result"]
    other = house.api("history", channel="chat:pages", limit=2, since={"offset": 1, "epoch": "other"})

    assert (top["publications"], top["offset"]) == ([], 5)
    assert [found["data"] for found in forward["publications"]] == [1, 2]
    assert [found["data"] for found in backward["publications"]] == [4, 3]
    assert error(other) == 112


def test_history_of_a_room_is_open_to_back_ends_and_cannot_be_removed(house: House, ann: Person) -> None:
    room_id = ann.room(kind="private")
    posted = ann.say(room_id, "hi")

    assert (
        house.api("history", channel=f"room:{room_id}", limit=1, reverse=True)["result"]["publications"][0]["data"][
            "message"
        ]
        == posted
    )
    assert error(house.api("history_remove", channel=f"room:{room_id}")) == 103


def test_removed_history_is_gone_and_old_positions_do_not_hold(house: House, ann: Person) -> None:
    house.api("publish", channel="chat:gone", data=1)
    before = house.api("history", channel="chat:gone")["result"]

    answer = house.api("history_remove", channel="chat:gone")
    after = house.api("publish", channel="chat:gone", data=2)["result"]

    assert answer == {"result": {}}
    assert names_of(house, "chat:gone") == [2]
    assert after["epoch"] != before["epoch"]
    with ann.wire() as wire:
        found = wire.subscribe("chat:gone", recover=True, epoch=before["epoch"], offset=before["offset"])
        assert found["recovered"] is False


def test_channels_lists_those_that_somebody_follows(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:followed")
        wire.subscribe("live:followed")

        every = house.api("channels")["result"]["channels"]
        some = house.api("channels", pattern="chat:f*")["result"]["channels"]

        assert {"chat:followed", "live:followed", f"user:{ann.id}"} <= set(every)
        assert some == {"chat:followed": {"num_clients": 1}}


def test_info_counts_what_is_there(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:counted-in-info")
        (node,) = house.api("info")["result"]["nodes"]

        assert node["num_clients"] >= 1
        assert node["num_users"] >= 1
        assert node["num_channels"] >= 2
        assert node["num_subs"] >= 2
        assert node["uptime"] >= 0
        assert node["process"]["rss"] > 0
        assert {"uid", "name", "version"} <= set(node)


def test_a_batch_carries_out_its_commands_in_order(house: House) -> None:
    answer = house.api(
        "batch",
        commands=[
            {"publish": {"channel": "chat:batch", "data": 1}},
            {"publish": {"channel": "room:x", "data": 2}},
            {"publish": {"channel": "chat:batch", "data": 3}},
            {"history": {"channel": "chat:batch", "limit": 10}},
            {"info": {}},
        ],
        parallel=False,
    )

    assert set(answer) == {"replies"}
    assert [list(reply) for reply in answer["replies"]] == [["publish"], ["error"], ["publish"], ["history"], ["info"]]
    assert answer["replies"][1]["error"]["code"] == 103
    assert [found["data"] for found in answer["replies"][3]["history"]["publications"]] == [1, 3]


def test_a_batch_may_hold_a_batch(house: House) -> None:
    inner = {
        "batch": {"commands": [{"publish": {"channel": "chat:nested", "data": 2}}, {"channels": {"pattern": "none"}}]}
    }
    answer = house.api("batch", commands=[{"publish": {"channel": "chat:nested", "data": 1}}, inner])

    assert answer["replies"][1]["batch"]["replies"][0]["publish"]["offset"] == 2
    assert answer["replies"][1]["batch"]["replies"][1] == {"channels": {"channels": {}}}


def test_a_batch_that_is_nested_too_deep_changes_nothing(house: House) -> None:
    publish = {"publish": {"channel": "chat:deep-batch", "data": 1}}
    deep = {"batch": {"commands": [{"batch": {"commands": [{"batch": {"commands": [publish]}}]}}]}}

    answer = call(house, "batch", {"commands": [publish, deep]}).json()

    assert "error" in answer
    assert names_of(house, "chat:deep-batch") == []


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("publish", {}),
        ("publish", {"channel": "chat:bad"}),
        ("publish", {"channel": "", "data": 1}),
        ("publish", {"channel": "x" * 256, "data": 1}),
        ("publish", {"channel": 5, "data": 1}),
        ("publish", []),
        ("broadcast", {"channels": "chat:bad", "data": 1}),
        ("history", {"channel": "chat:bad", "limit": -2}),
        ("disconnect", {}),
        ("disconnect", {"user": "x", "disconnect": {"code": 1000, "reason": ""}}),
        ("batch", {"commands": [{}]}),
        ("batch", {"commands": [{"publish": {"channel": "chat:bad", "data": 1}, "info": {}}]}),
        ("batch", {"commands": [{"publish": {"channel": "chat:bad", "data": 1}}, {"publish": {}}]}),
    ],
)
def test_a_bad_body_is_refused_with_its_fields_and_changes_nothing(house: House, method: str, body: Any) -> None:
    answer = call(house, method, body)

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert answer.json()["errors"]
    assert names_of(house, "chat:bad") == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"channel": NaN}', b"\xff", b'{"data": "\\ud800", "channel": "chat:bad"}']
)
def test_a_body_that_is_no_json_is_refused(house: House, body: bytes) -> None:
    answer = httpx2.post(
        f"{house.url}/api/publish", content=body, headers={**KEY, "Content-Type": "application/json"}, verify=TLS
    )

    assert answer.status_code in {400, 422}
    assert names_of(house, "chat:bad") == []


def test_deeply_nested_data_is_the_back_ends_fault_or_fine_but_never_the_servers(house: House) -> None:
    body = b'{"channel": "chat:deep-api", "data": %s}' % (b"[" * 400 + b"]" * 400)

    answer = httpx2.post(
        f"{house.url}/api/publish", content=body, headers={**KEY, "Content-Type": "application/json"}, verify=TLS
    )

    assert answer.status_code < 500, answer.text
