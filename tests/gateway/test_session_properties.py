"""Whatever comes in, and whenever: the laws of a session hold."""

import json
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.errors import INVALID_TOKEN, SHUTDOWN, RoomNotFound, TokenHasExpired, Unauthenticated
from chat_server.gateway.session import Answer, Ask, Close, Disconnected, Effect, Send, Session, State, Timing
from tests.gateway.talk import line

CHANNELS = st.sampled_from(["room:a", "user:me", "live:x", "", "x" * 300])
BODIES = st.one_of(
    st.fixed_dictionaries({"channel": CHANNELS}),
    st.fixed_dictionaries({"method": st.text(max_size=5), "data": st.integers() | st.none() | st.text(max_size=5)}),
    st.fixed_dictionaries({"token": st.text(max_size=5)}),
    st.none(),
    st.lists(st.integers(), max_size=2),
)
OTHERS = ["unsubscribe", "publish", "presence", "presence_stats", "history", "send", "refresh", "sub_refresh", "jump"]
NAMES = st.sampled_from([*["connect", "rpc", "subscribe"] * 3, *OTHERS])
RUBBISH = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["{}", "[]", "null", '{"id":', "[" * 3000, '{"rpc": {}}', '{"id": -5, "rpc": {}}', "1" * 5000]),
)
OUTCOMES = st.sampled_from(
    [
        *([Answer(result={})] * 6),
        Answer(result={"client": "c"}, expires_in_s=5.0),
        Answer(result=None, then=lambda: None),
        RoomNotFound(room_id="x"),
        TokenHasExpired(),
        RuntimeError("boom"),
        Disconnected(INVALID_TOKEN, Unauthenticated()),
        Disconnected(SHUTDOWN),
    ]
)


@dataclass(frozen=True)
class Frame:
    commands: list[tuple[str, object]]
    rubbish: list[str]
    as_bytes: bool


STEPS = st.lists(
    st.one_of(
        st.builds(
            Frame,
            commands=st.lists(st.tuples(NAMES, BODIES), max_size=6),
            rubbish=st.lists(RUBBISH, max_size=1),
            as_bytes=st.booleans(),
        ),
        st.builds(
            Frame, commands=st.lists(st.tuples(NAMES, BODIES), max_size=6), rubbish=st.just([]), as_bytes=st.just(False)
        ),
        st.binary(max_size=30),
        OUTCOMES,
        OUTCOMES,
        st.floats(min_value=0.0, max_value=12.0),
    ),
    max_size=30,
)


@dataclass
class Watch:
    """Plays the socket of one session and holds it to its laws."""

    session: Session
    now: float = 0.0
    asked: list[int] = field(default_factory=list)
    busy: bool = False
    answered: list[int] = field(default_factory=list)
    has_closed: bool = False
    next_id: int = 1

    def step(self, step: object) -> None:
        match step:
            case Frame():
                self.see(self.session.receive(self.text_of(step), self.now))
            case bytes():
                self.see(self.session.receive(step, self.now))
            case float():
                self.now += step
                self.see(self.session.wake(self.now))
            case Answer() | Exception():
                was_busy, self.busy = self.busy, False
                effects = self.session.answered(step, self.now)
                assert was_busy or not effects
                self.see(effects)

    def text_of(self, frame: Frame) -> str | bytes:
        lines = []
        for name, body in frame.commands:
            lines.append(line(self.next_id, **{name: body}))
            self.next_id += 1
        text = "\n".join(lines + frame.rubbish)
        return text.encode("utf-8", "surrogatepass") if frame.as_bytes else text

    def see(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not self.has_closed, f"{effect} after the close"
            match effect:
                case Ask():
                    assert not self.busy, "a second Ask before the first was answered"
                    self.busy = True
                    if effect.command_id:
                        self.asked.append(effect.command_id)
                case Send(data):
                    self.reply(json.loads(data))
                case Close():
                    self.has_closed = True
                    assert self.session.state is State.CLOSED

    def reply(self, found: dict[str, object]) -> None:
        if found:
            assert isinstance(found["id"], int)
            assert found["id"] > max(self.answered, default=0), "a repeated answer, or one out of its turn"
            assert len(found) == 2
            self.answered.append(found["id"])


@settings(max_examples=400, deadline=None)
@given(is_known=st.booleans(), steps=STEPS)
def test_a_session_never_raises_and_answers_each_command_once_in_order(is_known: bool, steps: list[object]) -> None:
    watch = Watch(Session("s", is_known=is_known, timing=Timing(ping_s=3.0, pong_s=2.0, auth_timeout_s=4.0), now=0.0))

    for step in steps:
        watch.step(step)

    assert watch.asked == sorted(set(watch.asked))


@settings(max_examples=100, deadline=None)
@given(names=st.lists(st.sampled_from(["rpc", "subscribe", "jump", "unsubscribe"]), max_size=40), data=st.data())
def test_every_well_formed_command_is_answered_however_the_answers_are_timed(
    names: list[str], data: st.DataObject
) -> None:
    watch = Watch(Session("s", is_known=True, timing=Timing(), now=0.0))
    bodies = {"rpc": {"method": "m"}}
    waiting = [(name, bodies.get(name, {"channel": "x"})) for name in names]

    while waiting or watch.busy:
        if waiting and (not watch.busy or data.draw(st.booleans())):
            count = data.draw(st.integers(1, len(waiting)))
            watch.step(Frame(waiting[:count], [], False))
            waiting = waiting[count:]
        else:
            watch.step(Answer(result={}))

    assert watch.answered == list(range(1, len(names) + 1))


@settings(max_examples=100, deadline=None)
@given(frames=st.lists(st.lists(st.sampled_from(["{}", "command", "jump"]), max_size=30), max_size=10))
def test_reading_is_wanted_exactly_while_fewer_than_sixteen_commands_wait(frames: list[list[str]]) -> None:
    """Nothing is ever answered here: the implied connect is under way, and whatever comes must wait."""
    found = Session("s", is_known=True, timing=Timing(), now=0.0)
    found.wake(1.0)
    waiting = 0

    for frame in frames:
        found.receive("\n".join(frame), 1.0)
        waiting += len(frame)

        assert found.wants_input is (waiting < 16)
