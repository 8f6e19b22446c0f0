"""The web app's files: compressed once, and asked about at every load, so that an upgrade shows at once."""

import asyncio
import gzip
import hashlib
import os
import stat
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

LEAST_BYTES = 500  # what is smaller is sent as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One file as it goes out. `compressed` is None where that is not worth it. `stamp` is the file's time and size."""

    stamp: tuple[int, int]
    media_type: str
    etag: str
    body: bytes
    compressed: bytes | None


class Pages:
    """Files of one directory, each held in memory from the first request on; `/setup` is the first page too."""

    def __init__(self, directory: Path) -> None:
        self._files = StaticFiles(directory=directory)
        self._held: dict[str, Page] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            response = await self._response(scope)
            await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        """HTTPException: not found, or another method than GET and HEAD."""
        if scope["path"].startswith("/api/"):
            raise HTTPException(404)
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405)
        path = "index.html" if scope["path"] in {"/", "/setup"} else self._files.get_path(scope)
        page = await asyncio.to_thread(self._page, path)
        asked = Headers(scope=scope)
        headers = {"ETag": page.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if _is_held(page.etag, asked.get("If-None-Match", "")):
            return Response(status_code=304, headers=headers)
        body = page.body
        if page.compressed is not None and _may_be_compressed(asked.get("Accept-Encoding", "")):
            body = page.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=page.media_type)

    def _page(self, path: str) -> Page:
        """The file as it is now. On a thread."""
        try:
            found, status = self._files.lookup_path(path)
        except (OSError, ValueError) as error:  # no name of a file: too long, or with a null in it
            raise HTTPException(404) from error
        if status is None or not stat.S_ISREG(status.st_mode):
            raise HTTPException(404)
        stamp = (status.st_mtime_ns, status.st_size)
        held = self._held.get(found)
        if held is None or held.stamp != stamp:
            held = self._held[found] = _read(found, stamp)
        return held


def _read(path: str | os.PathLike[str], stamp: tuple[int, int]) -> Page:
    body = Path(path).read_bytes()
    compressed = gzip.compress(body, mtime=0) if len(body) >= LEAST_BYTES else None
    return Page(
        stamp=stamp,
        media_type=guess_type(path)[0] or "text/plain",
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',  # of what it says: all workers and machines agree
        body=body,
        compressed=compressed,
    )


def _is_held(etag: str, if_none_match: str) -> bool:
    """By weak comparison (RFC 9110 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _may_be_compressed(accept_encoding: str) -> bool:
    """Whether `gzip` is among the codings, and not with the weight 0 (RFC 9110 12.5.3)."""
    for part in accept_encoding.split(","):
        coding, *weights = (piece.strip() for piece in part.split(";"))
        if coding in {"gzip", "*"}:
            return not any(weight.replace(" ", "").rstrip("0") in {"q=", "q=0."} for weight in weights)
    return False
