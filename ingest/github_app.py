"""Tokens of a GitHub App: the app's key opens an hour's read access to what its installation was given, and nothing more.

A request signed with the key names the app (https://docs.github.com/en/apps, "Authenticating as a GitHub App installation"): the
forge says which installation a repository belongs to, and gives that one a token, here for reading contents alone. Tokens stay in
this process, are shared by the repositories of an owner, and are asked for anew shortly before they end.
"""

from __future__ import annotations

import threading
import time
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from codequarry.errors import BadInput, NotFound, NotReady
from codequarry.ingest.http_api import Client

MARGIN_S = 300.0
"""A token is not given to git when it ends sooner than this: a fetch begins with several requests."""

_JWT_S = 540  # the forge takes no more than ten minutes
_SKEW_S = 60  # and none from its future
_LONGEST_S = 3600.0
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class App(NamedTuple):
    """A GitHub App. `site`: where its repositories are, `https://github.com`; `id`: its client id, or the number of the app."""

    site: str
    id: str

    @property
    def api(self) -> str:
        """Where its forge has the API."""
        parts = urllib.parse.urlsplit(self.site)
        if parts.netloc == "github.com" or parts.netloc.endswith(".ghe.com"):
            return f"https://api.{parts.netloc}"
        return f"{self.site}/api/v3"


class Tokens:
    """The tokens that this process holds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[App, str], tuple[str, float]] = {}

    def token(self, app: App, repository: str, key: Callable[[], str]) -> str:
        """A token with which a repository (`owner/name`) can be read for `MARGIN_S` at least.

        `key` gives the app's private key as PEM; it is only asked for when a new token is needed.

        Raises:
            NotFound: the app is not installed for that repository.
            Denied: the forge does not take the app's signature, or the app may not read contents.
            Upstream: the forge does not answer; `retryable` where waiting may help.
            BadInput, NotReady: the key is none, or nothing is installed that can sign with it.
        """
        owner = repository.partition("/")[0].lower()
        with self._lock:
            held, until = self._held.get((app, owner), ("", 0.0))
        if until > self._clock() + MARGIN_S:
            return held
        client = Client(
            urllib.parse.urlsplit(app.api),
            _HEADERS,
            secret=("Authorization", f"Bearer {_signed(app, key(), self._clock())}"),
            doing=f"in as the app {app.id}",
            hint="check the app's id and key, that it may read contents, and this machine's clock",
        )
        try:
            installation = client.item(f"/repos/{urllib.parse.quote(repository)}/installation").get("id")
            if not isinstance(installation, int):
                raise client.odd("an installation without an id")
            wanted = {"permissions": {"contents": "read"}}
            given = client.item(f"/app/installations/{installation}/access_tokens", send=wanted)
        except NotFound:
            raise NotFound(
                f"the app {app.id} is not installed for {repository}",
                hint="install it there, and give it access to that repository",
            ) from None
        token, until = _read(client, given, self._clock())
        with self._lock:
            self._held[app, owner] = token, until
        return token

    def forget(self) -> None:
        """Drops all tokens: one was refused, so they may have been withdrawn."""
        with self._lock:
            self._held.clear()


TOKENS = Tokens()
"""Those of this process."""


def _read(client: Client, given: Any, now: float) -> tuple[str, float]:
    """A token and when it ends, in Unix seconds."""
    token, ends = given.get("token"), given.get("expires_at")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise client.odd("no token")
    try:
        until = datetime.fromisoformat(ends)
    except (TypeError, ValueError):
        raise client.odd("a token without an end") from None
    return token, min(now + _LONGEST_S, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp())


def _signed(app: App, key: str, now: float) -> str:
    """A JSON Web Token that names the app (RS256)."""
    try:
        import jwt
    except ImportError:
        raise NotReady("PyJWT is not installed", hint="pip install 'codequarry[workers]'") from None
    claims = {"iat": int(now) - _SKEW_S, "exp": int(now) + _JWT_S, "iss": app.id}
    try:
        return jwt.encode(claims, key, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):  # what they say may show some of the key
        raise BadInput(
            f"the key of the app {app.id} is no RSA private key in PEM form",
            hint="the forge gives one out as a .pem file",
        ) from None
