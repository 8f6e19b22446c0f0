"""Ten thousand messages in one room."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Visits
from tests.browser.visitor import say_all
from tests.house import House

MESSAGES = 10_000
# Go to an end of what is there, as a hand would, and see how far the row that was on screen has moved when more is in.
STEP = """(async toStart => {
    const log = document.querySelector('#log');
    const rows = () => [...document.querySelectorAll('#messages .message')];
    const edge = () => rows().at(toStart ? 0 : -1).dataset.seq;
    const before = edge();
    log.dispatchEvent(new WheelEvent('wheel'));
    log.scrollTop = toStart ? 0 : log.scrollHeight;
    const box = log.getBoundingClientRect();
    const isSeen = ({ top, bottom }) => top >= box.top && bottom <= box.bottom;
    const row = rows().find(e => isSeen(e.getBoundingClientRect()));
    const topPx = row.getBoundingClientRect().top;
    for (let tries = 0; edge() === before && tries < 500; tries++) await new Promise(done => setTimeout(done, 10));
    return { seq: Number(edge()), movedPx: Math.abs(row.getBoundingClientRect().top - topPx), held: rows().length };
})"""

# How many frames pass from a message's arrival at the socket until its row is in the log.
WATCH = """WebSocket = class extends WebSocket {
    constructor(...told) {
        super(...told);
        this.addEventListener('message', ({data}) => {
            for (const [, text] of data.matchAll(/"text":"(new one [0-9]+)"/g)) {
                const count = frames => {
                    const rows = [...document.querySelectorAll('#messages .text')].slice(-20);
                    if (rows.some(row => row.textContent === text)) (window.waited ??= {})[text] = frames;
                    else requestAnimationFrame(() => count(frames + 1));
                };
                requestAnimationFrame(() => count(1));
            }
        });
    }
}"""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_ten_thousand_messages_scroll_without_a_jump_are_not_all_held_and_a_new_one_is_shown_within_two_frames(
    new_house: Callable[..., House], visit: Visits
) -> None:
    house = new_house(rate_commands="0")
    ann = house.person("ann")
    room_id = ann.room()
    for start in range(0, MESSAGES, 1000):
        say_all(ann, room_id, [f"number {number}\n" * (number % 3 + 1) for number in range(start, start + 1000)])
    visitor = visit(house.url).log_in(ann)
    page = visitor.page
    page.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    page.reload()
    visitor.online().open(room_id)
    page.until(f"document.querySelector('#messages .message:last-child')?.dataset.seq === '{MESSAGES}'")

    ends = {}
    for to_start, end in (("true", 1), ("false", MESSAGES)):
        while ends.get(to_start) != end:
            step = page.run(f"{STEP}({to_start})")
            assert step["movedPx"] <= 1, step
            assert step["held"] <= 400, step
            assert step["seq"] != ends.get(to_start), step
            ends[to_start] = step["seq"]

    assert ends == {"true": 1, "false": MESSAGES}
    bob = house.person("bob")
    bob.join(room_id)
    for number in range(10):
        bob.say(room_id, f"new one {number}")
    assert max(page.until("Object.keys(window.waited ?? {}).length === 10 && Object.values(waited)")) <= 2
