"""Log lines: events with fields, JSON off a terminal and readable on one. Never a body, a token or a password."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

# A net under the rule that credentials are taken out before anything logs them: what still looks like one is masked.
_CREDENTIAL = re.compile(
    r"""(?ix)
    ([?&](?:token|ticket|code|access_token|refresh_token|api_key|password)=)[^&\s"']+
    | ((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}
    | (://[^:/@\s]*:)[^/\s]*(?=@)  # the password in an URL
    """
)
# At debug level these print whole frames, chunks and request lines, and so what people write and their tokens.
TALKATIVE = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets", "sse_starlette", "asyncio")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure(level: str, style: Literal["auto", "text", "json"], stream: TextIO = sys.stderr) -> None:
    """Send every logger's lines to `stream`, one line an event."""
    text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    keep_out_frames()
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)  # `http.request` says more, and no query string


def keep_out_frames() -> None:
    """Whoever configured the logs: the server's libraries never go below info."""
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))


def masked(text: str) -> str:
    return _CREDENTIAL.sub(lambda found: (found[1] or found[2] or found[3]) + "***", text)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": masked(record.getMessage()),
        }
        line.update({name: _shown(value) for name, value in _fields(record).items()})
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={_shown(value)!s}" for name, value in _fields(record).items())
        line = _escaped(f"{at} {record.levelname.lower():7} {masked(record.getMessage())}{fields}")
        if record.exc_info:
            line += "\n" + masked(self.formatException(record.exc_info))
        return line


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _shown(value: object) -> object:
    return masked(value) if isinstance(value, str) else value


def _escaped(line: str) -> str:
    """No control characters: a username cannot forge a line or colour a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
