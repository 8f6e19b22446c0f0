"""The command line. Heavy modules are imported in the commands that need them: help must not take a second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from chat_server import __version__
from chat_server.deploy import EXAMPLE_DOMAIN, Deployment, deployment_file
from chat_server.settings import Settings, adopt, get_settings

app = typer.Typer(
    name="chat-server",
    help="Self-hosted realtime chat and notifications.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
user = typer.Typer(help="People.", no_args_is_help=True)
bot = typer.Typer(help="Bots.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(bot, name="bot")

DataDir = Annotated[Path | None, typer.Option(help="Where the database and the secret are (CHAT_DATA_DIR)")]
Url = Annotated[str, typer.Option(envvar="CHAT_URL", help="The server's address")]
Token = Annotated[str, typer.Option(envvar="CHAT_TOKEN", help="An access token or an API key")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="Repeatable: chat, stream, notify:publish, admin")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (CHAT_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (PORT)")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes (WEB_CONCURRENCY)")] = None,
    data_dir: DataDir = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM (CHAT_TLS_CERT)")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM (CHAT_TLS_KEY)")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error (CHAT_LOG_LEVEL)")] = None,
) -> None:
    """Run the server. Everything else is set in the environment; `doctor` shows it."""
    given = {key: value for key, value in locals().items() if value is not None}
    settings = _settings(given)
    from chat_server import logs

    logs.configure(settings.log_level, settings.log_format)
    with _one_line_errors():
        from chat_server import admin
        from chat_server.accounts.identity import secret_of, setup_code_of
        from chat_server.app import only_worker
        from chat_server.broker.redis.topology import topology_of
        from chat_server.server import listening_socket
        from chat_server.server import serve as serve_here
        from chat_server.store.engine import open_engine
        from chat_server.supervisor import Supervisor

        if settings.redis_url:
            topology_of(settings.redis_url)  # a mistake in it is told here, in one line
        if settings.workers > 1 and not settings.redis_url:
            _fail(f"{settings.workers} workers need REDIS_URL: without a broker they would not hear each other")
        # With several workers this socket only keeps the port: each of them binds and listens for itself.
        listener = listening_socket(settings.host, settings.port, is_shared=settings.workers > 1)
        port = listener.getsockname()[1]
        code = setup_code_of(secret_of(settings)) if not admin.has_owner(settings) else ""
        address = _address(settings, port)
        if not settings.redis_url:
            with only_worker(settings.data_dir), open_engine(settings.store_url).alone():
                pass  # refused here in one line; the worker that starts holds it
        if settings.workers > 1:
            raise typer.Exit(Supervisor(settings, port, lambda: _greet(address, code)).run())
        raise typer.Exit(serve_here(listener, lambda: _greet(address, code)))


@app.command()
def migrate(
    data_dir: DataDir = None,
    new_epoch: Annotated[bool, typer.Option(help="After pg_restore, the server stopped: clients load anew")] = False,
) -> None:
    """Create the database, or bring it to this version. `serve` does it by itself."""
    settings = _settings({} if data_dir is None else {"data_dir": data_dir})
    with _one_line_errors():
        from chat_server import admin
        from chat_server.store.engine import migrate as bring_up

        bring_up(settings.store_url)
        if new_epoch:
            admin.renew_epoch(settings)
        typer.echo(f"{admin.shown_url(settings)} is up to date")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Where to write the copy")]) -> None:
    """Copy the SQLite database while it is used."""
    with _one_line_errors():
        from chat_server import admin
        from chat_server.store.backup import back_up

        back_up(admin.sqlite_path(_settings()), file)
        typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A copy that `backup` made")]) -> None:
    """Put a back-up in the database's place. The server must be stopped; clients load their state anew."""
    settings = _settings()
    with _one_line_errors():
        from chat_server import admin
        from chat_server.app import only_worker
        from chat_server.store.backup import restore as put_back

        with only_worker(settings.data_dir):
            kept = put_back(file, admin.sqlite_path(settings))
        typer.echo("restored" + ("" if kept is None else f"; what was there is kept as {kept}"))


@app.command()
def token(username: str, scope: Scopes = None) -> None:
    """Print an access token for somebody, good for 15 minutes."""
    with _one_line_errors():
        from chat_server import admin

        typer.echo(admin.access_token(_settings(), username, scope or []))


@user.command("add")
def add_user(
    username: str,
    role: Annotated[str, typer.Option(help="owner, admin, member or guest")] = "member",
    display_name: Annotated[str | None, typer.Option()] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Add a person."""
    with _one_line_errors():
        from chat_server import admin

        made = admin.add_person(_settings(), username, role, _password(password_stdin), display_name)
        typer.echo(f"{made.id} {made.username} {made.role}")


@user.command("list")
def list_people() -> None:
    """List people and bots."""
    with _one_line_errors():
        from chat_server import admin

        for found in admin.everybody(_settings()):
            state = "disabled" if found.disabled else ""
            typer.echo(f"{found.id} {found.username:32} {found.kind:5} {found.role:6} {state}".rstrip())


@user.command("passwd")
def set_password(username: str, password_stdin: FromStdin = False) -> None:
    """Set somebody's password; all of their logins end."""
    with _one_line_errors():
        from chat_server import admin

        admin.set_password(_settings(), username, _password(password_stdin))
        typer.echo("done")


@user.command("disable")
def disable(username: str, enable: Annotated[bool, typer.Option("--enable", help="Let them in again")] = False) -> None:
    """Keep somebody out: their logins, sockets and streams end at once."""
    with _one_line_errors():
        from chat_server import admin

        admin.set_disabled(_settings(), username, not enable)
        typer.echo("done")


@bot.command("add")
def add_bot(
    username: str,
    scope: Scopes = None,
    channel: Annotated[list[str] | None, typer.Option(help="Repeatable: limit the key to these channels")] = None,
    label: Annotated[str, typer.Option()] = "",
) -> None:
    """Add a bot, or a key to a bot that is there, and print the key: it is shown this once."""
    body = {"label": label} | ({"scopes": scope} if scope else {}) | ({"channels": channel} if channel else {})
    with _one_line_errors():
        from chat_server import admin

        typer.echo(admin.add_key(_settings(), username, body))


@app.command()
def publish(
    to: Annotated[str, typer.Argument(help="topic:<name>, or a channel of the server API such as live:prices")],
    text: Annotated[str, typer.Argument(help="The notification's text, or the channel's JSON data")],
    title: Annotated[str, typer.Option()] = "",
    priority: Annotated[int, typer.Option(min=1, max=5)] = 3,
    url: Url = "http://127.0.0.1:8000",
    token: Token = "",
    api_key: Annotated[str, typer.Option(envvar="CHAT_API_KEY", help="For channels: the server API's key")] = "",
) -> None:
    """Publish to a running server."""
    with _one_line_errors_of_clients():
        from chat_server.terminal import publishing

        if to.startswith("topic:"):
            body = {"topic": to.removeprefix("topic:"), "text": text, "title": title, "priority": priority}
            publishing.publish_notification(url, token, body)
        else:
            publishing.publish_data(url, api_key, token, to, text)


@app.command()
def subscribe(
    channels: Annotated[list[str], typer.Argument(help="Such as topic:deploys, room:<id>, user:me, live:prices")],
    url: Url = "http://127.0.0.1:8000",
    token: Token = "",
) -> None:
    """Follow channels of a running server, one JSON event a line; what is missed while offline is caught up."""
    with _one_line_errors_of_clients():
        from chat_server.terminal.following import follow

        follow(url, token, channels, typer.echo)


@app.command()
def chat(
    room: Annotated[str, typer.Argument(help="A room's name or id, or @username")],
    url: Url = "http://127.0.0.1:8000",
    token: Token = "",
    username: Annotated[str, typer.Option("--user", help="Log in by name; asks for the password")] = "",
) -> None:
    """Chat in a room of a running server."""
    with _one_line_errors_of_clients():
        from chat_server.client import Login
        from chat_server.terminal.chatting import chat as chat_here

        if not token and not username:
            _fail("say who you are: --user NAME, or a token in CHAT_TOKEN")
        password = typer.prompt("Password", hide_input=True) if username else ""
        chat_here(url, Login(url, username, password) if username else token, room)


@app.command()
def bench(
    url: Url = "http://127.0.0.1:8000",
    token: Token = "",
    api_key: Annotated[str, typer.Option(envvar="CHAT_API_KEY", help="The server API's key, to publish with")] = "",
    channel: Annotated[str, typer.Option(help="Of a configured namespace")] = "live:bench",
    subscribers: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    rate: Annotated[float, typer.Option(min=0, max=10_000, help="Publications a second; 0: as fast as answered")] = 10,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long to publish")] = 10,
    size: Annotated[int, typer.Option(min=1, max=60_000, help="Bytes of a publication")] = 200,
    processes: Annotated[int, typer.Option(min=0, max=64, help="That hold the subscribers; 0 chooses")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Put a load on a running server: subscribers of one channel, and a publisher. Prints what they saw."""
    with _one_line_errors_of_clients():
        from chat_server.bench.measuring import measure, plan_of
        from chat_server.client.link import socket_address
        from chat_server.wire import encode

        if not token:
            _fail("the subscribers need a credential: give --token (CHAT_TOKEN); `chat-server token NAME` prints one")
        rest = {"token": token, "api_key": api_key, "channel": channel, "seconds": seconds, "size_bytes": size}
        report = measure(plan_of(socket_address(url), subscribers, rate, processes, **rest))
        for line in [encode(report.as_json()).decode()] if as_json else report.lines():
            typer.echo(line)


@app.command()
def doctor() -> None:
    """Show the effective settings, and what is wrong with them and how to mend it. Fails when something is."""
    settings = _settings()
    from chat_server.doctor import examine

    report = examine(settings)
    for line in report.lines:
        typer.echo(line)
    raise typer.Exit(1 if report.is_ill else 0)


@app.command()
def init(
    what: Annotated[Deployment, typer.Argument(help="Which file to print")],
    domain: Annotated[str, typer.Option(help="The host name that people use")] = EXAMPLE_DOMAIN,
) -> None:
    """Print a deployment file, to be redirected to where it belongs."""
    typer.echo(deployment_file(what, domain), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    app()


def _address(settings: Settings, port: int) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = "https" if settings.tls_cert is not None else "http"
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104  shown, not listened on
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _greet(address: str, code: str) -> None:
    typer.echo(f"chat-server {__version__} is ready at {address}")
    if code:
        typer.echo(f"Make its owner: {address}/setup?code={code}")


def _settings(given: dict[str, Any] | None = None) -> Settings:
    try:
        if given:
            adopt(Settings(**given))
        return get_settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = _setting_name(str(first["loc"][0])) if first["loc"] else "The settings"
        _fail(f"{name}: {str(first['msg']).removeprefix('Value error, ')}")
    except SettingsError as error:
        _fail(f"{error}: write it as JSON")


def _setting_name(field: str) -> str:
    """As the environment calls it; the few that hosts set by a name of their own go by that."""
    name = field if field.isupper() else f"CHAT_{field.upper()}"
    return {
        "CHAT_PORT": "PORT",
        "CHAT_WORKERS": "WEB_CONCURRENCY",
        "CHAT_DATABASE_URL": "DATABASE_URL",
        "CHAT_REDIS_URL": "REDIS_URL",
    }.get(name, name)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    found: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return found


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a person can mend is said in one line, without a traceback."""
    from chat_server.accounts.identity import CannotKeepSecret
    from chat_server.server import CannotListen
    from chat_server.store.engine import CannotOpen

    with _one_line_errors_of_clients():
        try:
            yield
        except ValidationError as error:
            first = error.errors()[0]
            _fail(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
        except (CannotOpen, CannotKeepSecret, CannotListen) as error:
            _fail(str(error))


@contextmanager
def _one_line_errors_of_clients() -> Iterator[None]:
    """The same for what only talks to a server, without importing one, which takes a second."""
    from chat_server.errors import ChatError

    try:
        yield
    except (ChatError, ConnectionError, ValueError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(message: str) -> NoReturn:
    typer.echo(f"chat-server: {' '.join(message.split())}", err=True)  # an engine's words may fill several lines
    raise typer.Exit(1)
