"""What every request passes before any work is done for it: its id, its key, how often and how much it may ask.

One ASGI layer around all of the application. It is fail-closed: a path that is not listed as open needs a key where keys are
configured, whatever the routes say; which scope it needs is said by each route.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from codequarry.errors import CodequarryError, NoKey, TooLarge, TooOften
from codequarry.service.problems import respond
from codequarry.service.security import ANYONE, Caller, check_origin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from codequarry.service.keyring import Keyring
    from codequarry.service.metrics import Metrics
    from codequarry.settings import Settings

OPEN = ("/v1/health", "/v1/ready", "/v1/docs", "/v1/openapi.json")
"""Paths that need no key: they say nothing of what is indexed."""

WEBHOOKS = "/v1/webhooks/"
"""Below it a delivery proves by its signature or token who sent it, and may be as large as the forges make them."""

WEBHOOK_BODY_BYTES = 26_214_400  # GitHub sends nothing larger

_log = logging.getLogger("codequarry.service")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_CALLERS = 10_000  # whose recent requests are remembered


class Rate:
    """A bucket of requests for each caller, which fills again as time passes."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what was left, and when

    def take(self, caller: str, now: float) -> int:
        """Takes one request; 0 when there was one left, else in how many seconds there will be."""
        if not self.per_minute:
            return 0
        most, per_second = max(self.per_minute / 6, 1.0), self.per_minute / 60  # ten seconds' worth at once
        left, at = self._left.pop(caller, (most, now))
        left = min(most, left + (now - at) * per_second)
        allowed = left >= 1.0
        self._left[caller] = (left - 1.0 if allowed else left, now)
        if len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        return 0 if allowed else max(1, -int(-(1.0 - left) // per_second))


class Gate:
    """The layer. It leaves in the scope's `state`: `caller`, `request_id`."""

    def __init__(
        self, app: ASGIApp, settings: Settings, keys: Keyring, metrics: Metrics, *, only_local: bool = True
    ) -> None:
        self.app, self.keys, self.metrics = app, keys, metrics
        self.only_local = only_local
        self._rate = Rate(settings.rate_limit)
        self._most_bytes = settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request through, or answers it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        status, has_begun = 500, False

        async def answer(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            state["caller"] = self._admit(scope, headers)
            limit = WEBHOOK_BODY_BYTES if scope["path"].startswith(WEBHOOKS) else self._most_bytes
            body = Body(receive, limit, headers.get("content-length", ""))
            try:
                await self.app(scope, body.receive, answer)
            except TooLarge as error:
                await respond(error, request_id)(scope, receive, answer)
        except CodequarryError as error:
            self.metrics.refused.add(error.code)
            await respond(error, request_id)(scope, receive, answer)
        except Exception:
            if not has_begun:
                raise
            # It was answered for and logged inside; raised once more it would stand in the log once more.
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _admit(self, scope: Scope, headers: dict[str, str]) -> Caller:
        """Who asks.

        Raises:
            NoKey: a key is needed.
            TooOften: it has asked enough.
            Denied: a browser asks for a page of another site.
        """
        path, address = scope["path"], (scope.get("client") or ("",))[0]
        caller = self._caller(headers)
        if caller is None and path.startswith(WEBHOOKS):
            caller = Caller("", frozenset())  # the delivery itself proves who sent it
        elif caller is None and path in OPEN:
            caller = Caller("", frozenset(), ())
        who = f"key {caller.id}" if caller and caller.id else f"address {address}"
        # A forge sends a delivery once, as fast as people push: one that is refused is lost.
        wait_s = 0 if path.startswith(WEBHOOKS) else self._rate.take(who, time.monotonic())
        if wait_s:
            raise TooOften(
                f"more than {self._rate.per_minute:,} requests a minute",
                hint=f"ask again in {wait_s} s",
                retry_after_s=wait_s,
            )
        if caller is None:
            raise self._no_key(_presented(headers))
        if not self.keys and not path.startswith(WEBHOOKS):
            check_origin(headers, only_local=self.only_local)
        return caller

    def _caller(self, headers: dict[str, str]) -> Caller | None:
        if not self.keys:
            return ANYONE
        presented = _presented(headers)
        key = self.keys.find(presented) if presented else None
        caller = self.keys.caller(key) if key else None
        if caller is not None:
            self.metrics.key_used.set(time.time(), caller.id)
        return caller

    def _no_key(self, presented: str) -> NoKey:
        key = self.keys.find(presented) if presented else None
        if key is not None:
            return NoKey(f"the key {key.caller.id!r} was good until {key.until}", hint="ask for another one")
        says = "this service does not know the key" if presented else "this service needs a key"
        return NoKey(says, hint="send Authorization: Bearer KEY; codequarry keys new makes one")

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or "other"  # never the path itself: each would be a series
        if scope["path"].startswith("/v1/") and not route.startswith("/v1/"):
            route = f"/v1{route}" if route != "other" else "/v1/other"
        self.metrics.requests.add(route, scope["method"], str(status))
        self.metrics.seconds.observe(seconds, route)
        state = scope["state"]
        caller = getattr(state.get("caller"), "id", "")
        _log.info(
            "%s %s %d %.1f ms key=%s id=%s",
            scope["method"],
            route,
            status,
            1000 * seconds,
            caller or "-",
            state["request_id"],
        )


class Body:
    """A request's body, counted as it comes: what its length says may be a lie."""

    def __init__(self, receive: Receive, limit: int, length: str) -> None:
        self._receive, self._limit, self._seen = receive, limit, 0
        if length.isdigit() and int(length[:20]) > limit:
            raise self._error()

    def _error(self) -> TooLarge:
        return TooLarge(f"the request is larger than {self._limit:,} bytes", hint="send the part that matters")

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            TooLarge: with it there are more bytes than a request may have.
        """
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self._seen > self._limit:
                raise self._error()
        return message


def _presented(headers: dict[str, str]) -> str:
    """The key that a request brings: as a bearer token, or in X-Api-Key."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "").strip()
