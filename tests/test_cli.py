"""The command line: people, bots, tokens, publishing and following, and what it says when it cannot."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from chat_server import __version__
from chat_server.accounts.commands import add_user as add
from chat_server.accounts.model import NewUser
from chat_server.shapes import Kind, Role
from tests.accounts.asking import ask, log_in, me, problem
from tests.accounts.command_line import Cli, add_user, cli, refusal, said
from tests.house import API_KEY, PASSWORD, House, Person, until

__all__ = ["cli"]


def test_a_person_who_was_added_can_log_in(house: House, cli: Cli) -> None:
    answer = said(cli("user", "add", "Cli-Ann", "--password-stdin", on=house, stdin=PASSWORD + "\n"))

    user_id, username, role = answer.split()
    assert (username, role) == ("cli-ann", "member")
    token = log_in(house, "cli-ann").json()["access_token"]
    assert me(house, token).json()["id"] == user_id


def test_a_password_costs_what_owasp_says() -> None:
    """Asked of a process of its own: in this one the tests have made it cheap."""
    code = "from chat_server.accounts.passwords import hash_now; print(hash_now('correct-horse'))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("role", ["owner", "admin", "member", "guest"])
def test_a_person_can_be_added_in_every_role(house: House, cli: Cli, role: str) -> None:
    add_user(cli, f"cli-{role}", "--role", role, "--display-name", "From the line", on=house)

    token = log_in(house, f"cli-{role}").json()["access_token"]
    found = me(house, token).json()
    assert (found["role"], found["display_name"]) == (role, "From the line")


@pytest.mark.parametrize(
    ("arguments", "password", "word"),
    [
        (["x"], PASSWORD, "username"),
        (["has blank"], PASSWORD, "username"),
        (["fine"], "short", "password"),
        (["fine", "--role", "king"], PASSWORD, "king"),
        (["fine", "--display-name", "two\nlines"], PASSWORD, "display_name"),
    ],
)
def test_a_person_who_cannot_be_is_refused_in_one_line(
    cli: Cli, arguments: list[str], password: str, word: str
) -> None:
    result = cli("user", "add", *arguments, "--password-stdin", stdin=password + "\n")

    assert word in refusal(result)
    assert password not in result.output or password == PASSWORD
    assert said(cli("user", "list")) == ""


def test_a_name_is_taken_once(cli: Cli) -> None:
    add_user(cli, "ann")

    assert "taken" in refusal(cli("user", "add", "ANN", "--password-stdin", stdin=PASSWORD + "\n"))


def test_a_password_is_asked_for_twice(cli: Cli) -> None:
    same = cli("user", "add", "ann", stdin=f"{PASSWORD}\n{PASSWORD}\n")

    assert same.exit_code == 0
    assert PASSWORD not in same.output


def test_people_and_bots_are_listed(cli: Cli) -> None:
    ann = add_user(cli, "ann", "--role", "owner")
    bob = add_user(cli, "bob")
    said(cli("bot", "add", "robot"))
    said(cli("user", "disable", "bob"))

    lines = [line.split() for line in said(cli("user", "list")).splitlines()]

    assert lines[0] == [ann, "ann", "human", "owner"]
    assert lines[1] == [bob, "bob", "human", "member", "disabled"]
    assert lines[2][1:] == ["robot", "bot", "member"]


def test_all_people_are_listed_however_many(cli: Cli, new_house: Callable[..., House]) -> None:
    house, names = new_house(), [f"person-{number:03}" for number in range(405)]
    for new in [NewUser(username=name, password_hash="x") for name in names]:
        house.write(partial(add, command=new, kind=Kind.HUMAN, role=Role.MEMBER))

    listed = [line.split()[1] for line in said(cli("user", "list", on=house)).splitlines()]

    assert listed == names


def test_a_new_password_ends_the_logins_of_a_running_server(house: House, cli: Cli, ann: Person) -> None:
    said(cli("user", "passwd", ann.username, "--password-stdin", on=house, stdin="battery-staple\n"))

    until(lambda: ann.http.get("/api/v1/users/me").status_code == 401, what="the login to end")
    problem(log_in(house, ann.username), 401, "bad_credentials")
    assert log_in(house, ann.username, "battery-staple").status_code == 200


def test_who_is_disabled_loses_a_running_server_and_comes_back(house: House, cli: Cli, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        said(cli("user", "disable", ann.username, on=house))

        assert wire.closed() == (3500, "session_revoked")
    problem(ann.http.get("/api/v1/users/me"), 401, "session_revoked")
    said(cli("user", "disable", ann.username, "--enable", on=house))
    until(lambda: log_in(house, ann.username).status_code == 200, what="the way back")


def test_the_last_owner_is_not_disabled(cli: Cli) -> None:
    add_user(cli, "olga", "--role", "owner")

    assert "last owner" in refusal(cli("user", "disable", "olga"))


@pytest.mark.parametrize("arguments", [("user", "passwd"), ("user", "disable"), ("token",)])
def test_who_is_not_there_is_said_in_one_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    options = ["--password-stdin"] if arguments[-1] == "passwd" else []

    assert "no such user" in refusal(cli(*arguments, "nobody", *options, stdin=PASSWORD + "\n"))


def test_a_token_is_good_on_a_running_server(house: House, cli: Cli, ann: Person) -> None:
    token = said(cli("token", ann.username, on=house)).strip()

    assert me(house, token).json()["id"] == ann.id
    assert ask(house, "GET", "/api/v1/rooms", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_token_can_be_narrow(house: House, cli: Cli, ann: Person) -> None:
    token = said(cli("token", ann.username, "--scope", "stream", on=house)).strip()

    answer = ask(house, "GET", "/api/v1/rooms", headers={"Authorization": f"Bearer {token}"})
    problem(answer, 403, "insufficient_scope")


@pytest.mark.parametrize("scopes", [["admin"], ["root"], ["chat", "admin"], ["chat", "root"]])
def test_a_token_grants_no_more_than_the_role(house: House, cli: Cli, ann: Person, scopes: list[str]) -> None:
    options = [option for scope in scopes for option in ("--scope", scope)]

    assert "role does not allow" in refusal(cli("token", ann.username, *options, on=house))


def test_a_bots_key_is_good_on_a_running_server(house: House, cli: Cli) -> None:
    options = ["--scope", "stream", "--scope", "chat", "--label", "ci"]
    key = said(cli("bot", "add", "cli-bot", *options, on=house)).strip()

    found = me(house, key).json()
    assert (found["username"], found["kind"]) == ("cli-bot", "bot")


def test_a_bot_that_is_there_gets_another_key(house: House, cli: Cli) -> None:
    first = said(cli("bot", "add", "twice-bot", on=house)).strip()
    second = said(cli("bot", "add", "Twice-Bot", "--channel", "topic:a", "--channel", "topic:b", on=house)).strip()

    assert first != second
    assert me(house, first).json() == me(house, second).json()
    path = "/sse?channels=topic:c"
    problem(ask(house, "GET", path, headers={"Authorization": f"Bearer {second}"}), 403, "permission_denied")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["x"], "username"),
        (["robot", "--scope", "root"], "scopes"),
        (["robot", "--channel", "deploys"], "channels"),
        (["ann"], "no such user"),
    ],
)
def test_a_key_that_cannot_be_is_refused_in_one_line(cli: Cli, arguments: list[str], word: str) -> None:
    add_user(cli, "ann")

    assert word in refusal(cli("bot", "add", *arguments))


def test_a_notification_is_published_to_a_topic(house: House, cli: Cli, ann: Person) -> None:
    key = said(cli("bot", "add", "ci-bot", "--scope", "notify:publish", on=house)).strip()
    with ann.wire() as wire:
        wire.subscribe("topic:deploys")

        options = ["--title", "CI", "--priority", "5", "--url", house.url, "--token", key]
        assert said(cli("publish", "topic:deploys", "all green", *options)) == ""

        found = wire.event("topic:deploys", "notification.raised")["notification"]
    assert (found["text"], found["title"], found["priority"]) == ("all green", "CI", 5)


@pytest.mark.parametrize(("text", "data"), [('{"price": 7}', {"price": 7}), ("hello", "hello"), ("7", 7), ("{", "{")])
def test_data_is_published_to_a_channel(house: House, cli: Cli, ann: Person, text: str, data: object) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:prices")

        said(cli("publish", "live:prices", text, "--url", house.url, "--api-key", API_KEY))

        assert wire.push("live:prices")["data"] == data


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["topic:t", "x", "--token", "wrong"], "401"),
        (["topic:no blanks", "x", "--token", "{member}"], "403"),
        (["live:x", "1", "--api-key", "wrong"], "401"),
        (["room:x", "1", "--api-key", API_KEY], "permission denied"),
        (["nowhere:x", "1", "--api-key", API_KEY], "unknown channel"),
        (["topic:t", "x", "--url", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["topic:t", "x", "--url", "ftp://127.0.0.1"], "ftp"),
        (["topic:t", "x", "--url", "http://[bad"], "bad"),
        (["topic:t", "x", "--token", "two\nlines"], "header"),
    ],
)
def test_what_cannot_be_published_is_said_in_one_line(
    house: House, cli: Cli, ann: Person, arguments: list[str], word: str
) -> None:
    arguments = [argument.replace("{member}", ann.token) for argument in arguments]
    at = [] if "--url" in arguments else ["--url", house.url]

    assert word in refusal(cli("publish", *arguments, *at))


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"PORT": "http"}, "PORT"),
        ({"CHAT_SECRET": "short-canary"}, "CHAT_SECRET"),
        ({"CHAT_NAMESPACES": "{"}, "namespaces"),
        ({"CHAT_NAMESPACES": '{"live": {"slow": "latest", "history_size": 5}}'}, "CHAT_NAMESPACES"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY"),
        ({"DATABASE_URL": "mysql://user:canary@host/db"}, "DATABASE_URL"),
        ({"CHAT_REGISTRATION": "maybe"}, "CHAT_REGISTRATION"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "doctor"])
def test_a_bad_setting_is_named_in_one_line(cli: Cli, command: str, environment: dict[str, str], name: str) -> None:
    line = refusal(cli(command, **environment))

    assert re.search(rf"\b{name}\b", line)
    assert "canary" not in line


def test_the_version_is_printed(cli: Cli) -> None:
    assert said(cli("version")) == f"{__version__}\n"


COMMANDS = [
    ("serve",),
    ("migrate",),
    ("backup",),
    ("restore",),
    ("token",),
    ("user", "add"),
    ("user", "list"),
    ("user", "passwd"),
    ("user", "disable"),
    ("bot", "add"),
    ("publish",),
    ("subscribe",),
    ("chat",),
    ("doctor",),
    ("version",),
]


def test_help_names_every_command(cli: Cli) -> None:
    answers = {group: said(cli(*group, "--help")) for group in ((), ("user",), ("bot",))}

    for command in COMMANDS:
        assert re.search(rf"\b{command[-1]}\b", answers[command[:-1]]), command


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, command: tuple[str, ...]) -> None:
    text = said(cli(*command, "--help"))

    assert len(text.split("Usage:")[1].split("\n")) > 4
    assert "Options" in text


def test_help_loads_no_server() -> None:
    """What makes it quick: the framework and the database stay out until a command needs them."""
    heavy = ("fastapi", "sqlalchemy", "uvicorn")
    code = f"import sys; import chat_server.cli; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_without_a_command_there_is_help(cli: Cli) -> None:
    result = cli()

    assert "Usage" in result.output
    assert "serve" in result.output
