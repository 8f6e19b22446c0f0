"""A snapshot brought forward by the room's events is the room: whoever follows needs to ask for nothing again."""

from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house import House, Person, Wire

pytestmark = pytest.mark.long

CAST = 4
ACTS = st.tuples(
    st.sampled_from(
        ["post", "post", "post", "edit", "delete", "join", "leave", "add", "remove", "role", "topic", "name", "read"]
    ),
    st.integers(0, CAST - 1),
    st.integers(0, CAST - 1),
)
REFUSALS = {403, 404, 409, 422}


class Follower:
    """What one client knows of a room: a snapshot, and the events since."""

    def __init__(self, owner: Person, room_id: str) -> None:
        self.owner, self.room_id, self.channel = owner, room_id, f"room:{room_id}"
        self.wire = owner.wire()
        position = self.wire.subscribe(self.channel)
        self.epoch, self.offset = position["epoch"], position["offset"]
        self.room, self.members, self.messages = snapshot(owner, room_id)

    def cut(self) -> None:
        """Lose the socket, come back with the position."""
        self.catch_up_to_a_pause()
        self.wire.close()

    def come_back(self) -> None:
        self.wire = self.owner.wire()
        found = self.wire.subscribe(self.channel, recover=True, epoch=self.epoch, offset=self.offset)
        assert found["recovered"] is True
        for publication in found.get("publications", []):
            self._take(publication)

    def catch_up(self, offset: int) -> None:
        while self.offset < offset:
            self._take(self.wire.push(self.channel))

    def catch_up_to_a_pause(self) -> None:
        """Take what has come so far; the rest comes by recovery."""
        while any(push["channel"] == self.channel for push in self.wire.pushes):
            self._take(self.wire.push(self.channel))

    def _take(self, publication: dict[str, Any]) -> None:
        assert publication["offset"] == self.offset + 1
        self.offset += 1
        event = publication["data"]
        noun = event["type"].partition(".")[0]
        if noun == "message":
            self.messages[event["message"]["seq"]] = event["message"]
            self.room["last_message_seq"] = max(self.room["last_message_seq"], event["message"]["seq"])
        elif noun == "room":
            self.room = event["room"]
        elif event["type"] == "member.left":
            del self.members[event["member"]["user_id"]]
        else:
            self.members[event["member"]["user_id"]] = event["member"]


def snapshot(owner: Person, room_id: str) -> tuple[Any, Any, Any]:
    """The room's card without the asker's own figures, its members by id, its messages by seq."""
    card = owner.get(f"/api/v1/rooms/{room_id}")
    for own in ("role", "last_read_seq", "unread"):
        del card[own]
    members = owner.get(f"/api/v1/rooms/{room_id}/members?limit=200")["items"]
    messages = owner.get(f"/api/v1/rooms/{room_id}/messages?limit=200")["items"]
    return card, {found["user_id"]: found for found in members}, {found["seq"]: found for found in messages}


def play(act: str, who: Person, whom: Person, room_id: str, step: int) -> httpx2.Response:
    room = f"/api/v1/rooms/{room_id}"
    seq = 1 + step % 3
    at = who.http.get(f"{room}/messages?around={seq}&limit=1").json().get("items", [])
    message = f"{room}/messages/{at[0]['id'] if at else 'none'}"
    calls: dict[str, tuple[str, str, Any]] = {
        "post": ("POST", f"{room}/messages", {"text": f"said in step {step}"}),
        "edit": ("PATCH", message, {"text": f"changed in step {step}"}),
        "delete": ("DELETE", message, None),
        "join": ("POST", f"{room}/join", None),
        "leave": ("POST", f"{room}/leave", None),
        "add": ("PUT", f"{room}/members/{whom.id}", {}),
        "role": ("PUT", f"{room}/members/{whom.id}", {"role": ["member", "moderator", "owner"][step % 3]}),
        "remove": ("DELETE", f"{room}/members/{whom.id}", None),
        "topic": ("PATCH", room, {"topic": f"topic of step {step}"}),
        "name": ("PATCH", "/api/v1/users/me", {"display_name": f"{who.username} {step}"}),
        "read": ("POST", f"{room}/read", {"seq": seq}),
    }
    method, path, body = calls[act]
    return who.http.request(method, path, json=body) if body is not None else who.http.request(method, path)


@pytest.fixture(scope="module")
def cast(house: House) -> list[Person]:
    return [house.person(name) for name in ("bob", "cid", "dan", "eve")]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=4, max_size=25), cut=st.integers(0, 10), back=st.integers(0, 10))
def test_a_snapshot_and_the_events_since_are_the_fresh_snapshot(
    house: House, cast: list[Person], acts: list[tuple[str, int, int]], cut: int, back: int
) -> None:
    ann = house.person("ann")  # the watcher: she only looks, so nobody can make her leave
    room_id = cast[0].room()
    ann.join(room_id)
    follower = Follower(ann, room_id)

    for step, (act, who, whom) in enumerate(acts):
        answer = play(act, cast[who], cast[whom], room_id, step)
        assert answer.is_success or answer.status_code in REFUSALS, f"{act}: {answer.status_code} {answer.text}"
        if step == cut:
            follower.cut()
        if step == cut + back:
            follower.come_back()
    if cut < len(acts) <= cut + back:
        follower.come_back()
    with Wire(ann.socket_url + f"?token={ann.token}") as fresh:
        follower.catch_up(fresh.subscribe(f"room:{room_id}")["offset"])
    follower.wire.close()

    assert (follower.room, follower.members, follower.messages) == snapshot(ann, room_id)
