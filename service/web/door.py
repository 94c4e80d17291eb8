"""What stands before the page: a browser brings a cookie where a program brings a header, and wants errors as pages.

One ASGI layer outside of the gate, for the page's own paths alone. It never decides who may do what: the key in the cookie goes on
as `Authorization`, and the gate and the routes judge it as they judge a program's. REST never looks at the cookie, so no other site
can use it there; a request of the page that changes something must come from the page itself.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from codequarry.errors import Denied, TooLarge
from codequarry.service.problems import problem
from codequarry.service.web import assets
from codequarry.service.web.render import html

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = frozenset(
    "/ /why /file /lines /prompt /prompt/build /repositories /repository /events /jobs/cancel /jobs/retry /jobs/want "
    "/sign-in /sign-out".split()
)
"""The page's own paths, beside those of its assets."""

COOKIE = "codequarry_key"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all, forms of the page itself would have the origin null
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, no-cache"),
)
_FORM_BYTES = 4096  # a key, or the name of a job


class Door:
    """The layer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers for assets, lets other requests through as a program's."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(assets.PREFIX):
            await assets.respond(scope, receive, _with_headers(send))
        elif scope["type"] != "http" or not (path in PATHS or _is_for_a_person(scope)):
            await self.app(scope, receive, send)
        else:
            await self._page(scope, receive, _Pages(scope, _with_headers(send)))

    async def _page(self, scope: Scope, receive: Receive, send: _Pages) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] not in ("GET", "HEAD") and not is_same_site(headers):
            await send.refuse(Denied("this was sent by a page of another site", hint="open this page and try there"))
            return
        key = _cookie(headers.get("cookie", ""))
        if scope["path"] == "/sign-in" and scope["method"] == "POST":
            try:
                form, receive = await _form(receive)
            except TooLarge as error:
                await send.refuse(error)
                return
            key = form.get("key", [""])[-1].strip()
        if key and "authorization" not in headers and key.isascii() and key.isprintable():
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]}
        await self.app(scope, receive, send)


def is_same_site(headers: dict[str, str]) -> bool:
    """Whether a browser sent a request from this very page. Without any sign of where it is from, it did not."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return headers.get("origin", "").partition("://")[2] == headers.get("host", "") != ""


def _is_for_a_person(scope: Scope) -> bool:
    """Whether a browser asks for a page that there is not: the answer is one all the same."""
    if scope["method"] not in ("GET", "HEAD") or scope["path"].startswith(("/v1/", "/mcp")):
        return False
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _form(receive: Receive) -> tuple[dict[str, list[str]], Receive]:
    """The form in a body, and what gives the body once more.

    Raises:
        TooLarge: it is no form of the page.
    """
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _FORM_BYTES:
            raise TooLarge(f"the form is larger than {_FORM_BYTES:,} bytes", hint="a key is much shorter")

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return parse_qs(body.decode("utf-8", "replace")), again


def _with_headers(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            names = {bytes(name).lower() for name, _ in given}
            message = {**message, "headers": [*given, *(one for one in _HEADERS if one[0] not in names)]}
        await send(message)

    return headed


class _Pages:
    """Sends on what it is given, a problem as the page that says it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._held: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _kind(message) == b"application/problem+json":
            self._held = message
        elif self._held is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._show(json.loads(self._body), self._held)

    async def refuse(self, error: Denied | TooLarge) -> None:
        """Answers with an error that came up before the application."""
        await self._show(problem(error), {"status": error.status, "headers": []})

    async def _show(self, said: dict[str, Any], start: Any) -> None:
        query = self._scope.get("query_string", b"").decode("latin-1")
        path = self._scope["path"]
        whole = "&".join(one for one in query.split("&") if not one.startswith("part="))
        here = f"{path}?{whole}" if whole and self._scope["method"] == "GET" else path
        if path == "/sign-in":
            here = parse_qs(query).get("next", ["/"])[-1]
        part = "part" in parse_qs(query)
        said = _for_people(said)
        page = html(
            "problem_part.html" if part else "problem.html",
            said=said,
            here=here,
            has_tried=path == "/sign-in" and self._scope["method"] == "POST",
            signs_in=said.get("status") == 401,
        ).encode()
        dropped = (b"content-type", b"content-length", b"www-authenticate")
        headers = [(name, value) for name, value in start["headers"] if bytes(name).lower() not in dropped]
        headers += [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(page)).encode()),
        ]
        await self._send({"type": "http.response.start", "status": start["status"], "headers": headers})
        await self._send({"type": "http.response.body", "body": page})


def _for_people(said: dict[str, Any]) -> dict[str, Any]:
    """A problem without what it says to programs and at the command line."""
    hint, detail = said["hint"], said["detail"]
    if said["code"] == "repository_not_found":
        hint = "The list of repositories says what is indexed."
    elif "/v1/" in hint:
        hint = ""
    if said["status"] == HTTPStatus.NOT_FOUND and detail == said["title"]:
        detail = "There is no such page."
    return {**said, "hint": hint, "detail": detail}


def _kind(message: Message) -> bytes:
    found = dict(message.get("headers", ())).get(b"content-type", b"")
    return bytes(found).partition(b";")[0]
