"""Somebody at the page: what a person does there and sees there, by the page's labels and roles."""

import json

from tests.browser.chromium import Page, Profile
from tests.house import PASSWORD, Person

# Scripts: what stands in the message box; the texts of the messages that are wholly in sight.
VALUE = "document.querySelector('#text').value"
ON_SCREEN = """[...document.querySelectorAll('#messages .message')].filter(e => {
    const row = e.getBoundingClientRect(), log = document.querySelector('#log').getBoundingClientRect();
    return row.top >= log.top - 1 && row.bottom <= log.bottom + 1;
}).map(e => e.querySelector('.text').textContent)"""


class Visitor:
    """A person in one window of a browser."""

    def __init__(self, profile: Profile, path: str = "/", width: int = 1280) -> None:
        self.profile = profile
        self.page: Page = profile.page(path, width=width)

    def log_in(self, person: Person) -> "Visitor":
        self.page.fill("#log-in-username", person.username)
        self.page.fill("#log-in-password", PASSWORD)
        self.page.press("Enter")
        return self.online()

    def register(self, username: str, **fields: str) -> None:
        self.page.click("a[href='#register']")
        for name, text in {"username": username, "password": PASSWORD, **fields}.items():
            self.page.fill(f"#register [name={name}]", text)
        self.page.press("Enter")

    def online(self) -> "Visitor":
        self.page.until("document.querySelector('#connection').dataset.state === 'online'")
        return self

    def offline(self) -> None:
        self.page.until("document.querySelector('#connection').dataset.state === 'offline'")

    def open(self, room_id: str) -> "Visitor":
        """Choose a room of the list."""
        self.page.click(f'nav a[href="/?room={room_id}"]')
        self.page.shows("#composer")
        return self

    def say(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.press("Enter")
        self.page.until("document.querySelector('#text').value === ''")

    @property
    def messages(self) -> list[str]:
        return self.page.texts("#messages li:not(.pending) .text")

    def sees(self, *texts: str) -> list[str]:
        """Wait until exactly these messages are in the log, in this order; answer what is there."""
        expected = json.dumps(list(texts))
        script = (
            "JSON.stringify([...document.querySelectorAll('#messages li:not(.pending) .text')].map(e => e.textContent))"
        )
        self.page.until(f"{script} === JSON.stringify({expected})")
        return self.messages

    @property
    def waiting(self) -> int:
        found: int = self.page.run("document.querySelectorAll('#messages .pending').length")
        return found

    def all_sent(self) -> None:
        self.page.until("document.querySelectorAll('#messages .pending').length === 0")

    def unread(self, room_id: str) -> str:
        """The number beside a room of the list."""
        found: str = self.page.run(f"document.querySelector('nav a[href=\"/?room={room_id}\"] .count').textContent")
        return found

    def sees_unread(self, room_id: str, count: str) -> None:
        link = f'nav a[href="/?room={room_id}"] .count'
        self.page.until(f"document.querySelector({json.dumps(link)})?.textContent === '{count}'")

    def sees_notified(self, count: str) -> None:
        self.page.until(f"document.querySelector('#notified').textContent === '{count}'")


def say_all(person: Person, room_id: str, texts: list[str]) -> None:
    """Without a browser, and quickly."""
    with person.wire() as wire:
        asked = [
            wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": text}}) for text in texts
        ]
        for command_id in asked:
            assert "rpc" in wire.reply(command_id)
