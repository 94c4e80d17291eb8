"""JSON over HTTP as the APIs of forges speak it: patient, never redirected, and a secret goes to one place only.

Lists come in pages, and the forge says where the next one is. A page is only asked from the place that was asked first: redirects
and links to other hosts are errors, and over plain HTTP a secret only goes to this machine.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codequarry.errors import BadInput, Denied, NotFound, Upstream

MOST_PAGES = 2_000
_MOST_PAGE_BYTES = 32 << 20
_TIMEOUT_S = 30.0
_TRIES = 4
_LONGEST_WAIT_S = 120.0


class Client:
    """Asks one API, and nothing else."""

    def __init__(
        self,
        base: urllib.parse.SplitResult,
        headers: Mapping[str, str],
        *,
        secret: tuple[str, str] | None = None,
        doing: str,
        hint: str,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """The API at an address.

        Args:
            base: scheme, host and path that all paths lie beneath.
            headers: sent with every request.
            secret: name and value of one more header, which opens what is asked.
            doing: what a refusal keeps us from, for its message: "list that".
            hint: what helps against a refusal.
            wait: called with seconds, where the API says when to ask again.

        Raises:
            BadInput: the secret would be sent in the open.
        """
        self.host = base.hostname or ""
        self._base, self._doing, self._hint, self._wait = base, doing, hint, wait
        self._headers = {"Accept": "application/json", "User-Agent": "codequarry", **headers}
        if secret:
            if base.scheme == "http" and self.host not in ("localhost", "127.0.0.1", "::1"):
                raise BadInput(f"a token is not sent to {self.host} over plain http", hint="give an https address")
            self._headers[secret[0]] = secret[1]

    def items(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The objects of all pages of a list.

        Raises:
            NotFound: there is no such list.
        """
        target, seen = f"{self._base.path}{path}", set[str]()
        while target:
            if target in seen or len(seen) >= MOST_PAGES:
                raise self.odd("a list of pages without an end")
            seen.add(target)
            headers, body = self._ask("GET", target)
            page = self._json(body)
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise self.odd("something else than a list")
            yield from page
            target = self._next(headers, target)

    def item(self, path: str, *, send: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """One object: that at the path, or the answer to what is sent (POST).

        Raises:
            NotFound: there is none.
            Denied, Upstream: it is not given.
        """
        body = None if send is None else json.dumps(send).encode()
        found = self._json(self._ask("GET" if body is None else "POST", f"{self._base.path}{path}", body)[1])
        if not isinstance(found, dict):
            raise self.odd("something else than an object")
        return found

    def _next(self, headers: http.client.HTTPMessage, target: str) -> str:
        for link in ",".join(headers.get_all("Link") or ()).split(","):
            match = re.fullmatch(r'\s*<([^<>]*)>\s*;.*\brel="?next"?.*', link, re.DOTALL)
            if match is None:
                continue
            there = urllib.parse.urlsplit(
                urllib.parse.urljoin(self._base._replace(path=target.partition("?")[0]).geturl(), match[1])
            )
            if (there.scheme, there.netloc.lower()) != (self._base.scheme, self._base.netloc.lower()):
                raise Upstream(
                    f"{self.host} says that its list goes on at {there.netloc[:100]}, which was not asked",
                    hint="give the address under which the forge knows itself with --api",
                )
            return f"{there.path}?{there.query}"
        return ""

    def _ask(self, method: str, target: str, sent: bytes | None = None) -> tuple[http.client.HTTPMessage, bytes]:
        """Headers and body of a good answer; every other is an error, after some patience where that may help."""
        for left in range(_TRIES - 1, -1, -1):
            try:
                status, headers, body = self._once(method, target, sent)
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise Upstream(
                        f"{self.host} does not answer: {error}",
                        hint="check the address and the network",
                        retryable=True,
                    ) from error
                self._wait(2.0 ** (_TRIES - left))
                continue
            if status in (200, 201):
                return headers, body
            if status == 404:
                raise NotFound(f"{self.host} has nothing there")
            limited = (
                status == 429
                or (status == 403 and headers.get("X-RateLimit-Remaining") == "0")
                or "Retry-After" in headers
            )
            if limited or status >= 500:
                wait_s = _wait_s(headers) if limited else 2.0 ** (_TRIES - left)
                if not left or wait_s > _LONGEST_WAIT_S:
                    what = "wants to be asked later" if limited else f"answers with status {status}"
                    raise Upstream(f"{self.host} {what}", hint=f"again in {max(1, round(wait_s))} s", retryable=True)
                self._wait(wait_s)
                continue
            raise self._refused(status, headers)
        raise AssertionError("unreachable")

    def _refused(self, status: int, headers: http.client.HTTPMessage) -> Exception:
        if status in (401, 403):
            return Denied(f"{self.host} does not let us {self._doing}", hint=self._hint)
        if 300 <= status < 400:
            to = urllib.parse.urlsplit(headers.get("Location", "")).netloc or "another place"
            return Upstream(
                f"{self.host} sends us to {to[:100]}, which was not asked", hint="give the right address with --api"
            )
        return self.odd(f"status {status}")

    def _once(self, method: str, target: str, sent: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection: http.client.HTTPConnection
        if self._base.scheme == "https":
            connection = http.client.HTTPSConnection(
                self.host, self._base.port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self.host, self._base.port, timeout=_TIMEOUT_S)
        try:
            kind = {} if sent is None else {"Content-Type": "application/json"}
            connection.request(method, target, sent, self._headers | kind)
            reply = connection.getresponse()
            body = reply.read(_MOST_PAGE_BYTES + 1)
            if len(body) > _MOST_PAGE_BYTES:
                raise self.odd("a page without an end")
            return reply.status, reply.headers, body
        finally:
            connection.close()

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self.odd("no JSON") from None

    def odd(self, what: str) -> Upstream:
        """The error for an answer that the API never gives."""
        return Upstream(f"{self.host} answers with {what}", hint="is it the address of its API? --api gives another")


def _wait_s(headers: http.client.HTTPMessage) -> float:
    """How long to wait, as the forge says."""
    after, reset = (
        headers.get("Retry-After", ""),
        headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or "",
    )
    if re.fullmatch(r"[0-9]{1,6}", after):
        return float(after)
    if re.fullmatch(r"[0-9]{1,12}", reset):
        return max(1.0, float(reset) - time.time())
    return 60.0
