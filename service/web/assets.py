"""Style sheet, script and icon: served from memory, named by their content, so that a browser loads each of them once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from codequarry.text import content_hash

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PREFIX = "/static/"

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def _found() -> dict[str, tuple[bytes, str]]:
    """Content and name of each asset."""
    return {
        file.name: (data, content_hash(data)[:12])
        for file in sorted(_FOLDER.iterdir())
        if file.suffix in _KINDS
        for data in (file.read_bytes(),)
    }


def url(name: str) -> str:
    """The address of an asset."""
    return f"{PREFIX}{_found()[name][1]}/{name}"


async def respond(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request for an asset."""
    version, _, name = scope["path"].removeprefix(PREFIX).rpartition("/")
    if scope["method"] not in ("GET", "HEAD"):
        response = Response(status_code=405, headers={"Allow": "GET, HEAD"})
    elif name not in _found():
        response = Response("There is no such file.", 404, media_type="text/plain")
    else:
        data, current = _found()[name]
        kept = "public, max-age=31536000, immutable" if version == current else "no-cache"
        kind = f"{_KINDS[Path(name).suffix]}; charset=utf-8"
        response = Response(data, headers={"Cache-Control": kept, "Content-Type": kind})
    await response(scope, receive, send)
