"""What repositories an organisation has, as its forge's API lists them: GitHub, GitLab, Gitea and Forgejo, one row each at the end.

Lists come in pages, and the forge says where the next one is. A page is only asked from the place that was asked first: a token
goes nowhere else, redirects and links to other hosts are errors, and over plain HTTP it only goes to this machine.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codequarry.errors import BadInput, Denied, NotFound, Upstream
from codequarry.text import glob_regex

MOST_PAGES = 2_000
_MOST_PAGE_BYTES = 32 << 20
_TIMEOUT_S = 30.0
_TRIES = 4
_LONGEST_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository that a forge lists. `path` is owner and name, with all groups."""

    path: str
    url: str  # for git
    id: str = ""
    default: str = ""  # its default branch
    fork: bool = False
    archived: bool = False
    private: bool = False
    empty: bool = False  # it has no commits yet


@dataclass(slots=True)
class Discovery:
    """What was found, sorted by path, and why others were left out: reason and paths."""

    found: list[Listed] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forge:
    """A row. `lists`: paths of the API, tried in turn until one is there; `{}` stands for the name, quoted."""

    name: str
    what: str  # that its groups of repositories are called
    api: str  # where the public one has its API, "" where there is none
    lists: tuple[str, ...]
    token_header: tuple[str, str]  # name and what stands before the token
    token_env: str
    read: Callable[[Mapping[str, Any]], Listed]
    headers: Mapping[str, str] = field(default_factory=dict)
    beneath: str = ""  # where the API lies on a host of one's own


def discover(
    forge: Forge,
    name: str,
    *,
    api: str = "",
    token: str = "",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    forks: bool = False,
    archived: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Discovery:
    """The repositories of an organisation, group or user.

    Args:
        forge: a row of `FORGES`.
        name: of the organisation; of a group with all above it (`acme/backend`).
        api: address of the API, or of the forge, where it is not the public one.
        token: read access; without one only what is public is listed.
        include: globs (`text.glob_regex`) of paths; none: all. One without a slash fits names anywhere.
        exclude: globs of paths that are left out, also where they are included.
        forks: forks too.
        archived: archived ones too.
        wait: called with seconds, where the forge says when to ask again.

    Raises:
        BadInput: a name or an address that cannot be.
        NotFound: there is no such organisation, or the token does not show it.
        Denied: the token is not taken.
        Upstream: the forge does not answer, or not as its API does; `retryable` where waiting may help.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) or not set(name.split("/")).isdisjoint((".", "..")):
        raise BadInput(f"{name[:100]!r} is no name of {forge.what}", hint="as it stands in its address, like acme")
    client = _Client(_base(forge, api), forge, token, wait)
    found = Discovery()
    for listed in _listed(client, forge, name):
        if reason := _left_out(listed, include, exclude, forks=forks, archived=archived):
            found.left_out.setdefault(reason, []).append(listed.path)
        else:
            found.found.append(listed)
    found.found = sorted({one.path: one for one in found.found}.values(), key=lambda one: one.path)
    return found


def _left_out(listed: Listed, include: Sequence[str], exclude: Sequence[str], *, forks: bool, archived: bool) -> str:
    def fits(globs: Sequence[str]) -> bool:
        return any(re.fullmatch(glob_regex(glob), listed.path) for glob in globs)

    if (include and not fits(include)) or fits(exclude):
        return "not wanted"
    if listed.fork and not forks:
        return "fork"
    if listed.archived and not archived:
        return "archived"
    return "empty" if listed.empty else ""


def _listed(client: _Client, forge: Forge, name: str) -> Iterator[Listed]:
    quoted = urllib.parse.quote(name, safe="")
    for number, path in enumerate(forge.lists, 1):
        try:
            for item in client.items(path.format(quoted)):
                try:
                    yield forge.read(item)
                except (KeyError, TypeError, AttributeError, ValueError):
                    raise client.odd("a repository without a path and an address") from None
            return
        except NotFound:
            if number == len(forge.lists):
                raise NotFound(
                    f"{client.host} shows no {forge.what} {name!r}",
                    hint=f"check its name; a private one needs a token in {forge.token_env}",
                ) from None


def _base(forge: Forge, api: str) -> urllib.parse.SplitResult:
    given = (api or forge.api).rstrip("/")
    if not given:
        raise BadInput(f"where is the {forge.name} of {forge.what}?", hint="--api https://git.example.com")
    try:
        parts = urllib.parse.urlsplit(given)
        _ = parts.port
    except ValueError:
        parts = urllib.parse.urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise BadInput(
            f"{given.rpartition('@')[2][:200]!r} is no address of an API", hint="like https://git.example.com"
        )
    if api and forge.beneath and not parts.path:
        parts = parts._replace(path=forge.beneath)
    return parts


class _Client:
    """Asks one API, and nothing else."""

    def __init__(self, base: urllib.parse.SplitResult, forge: Forge, token: str, wait: Callable[[float], None]) -> None:
        self.host = base.hostname or ""
        self._base, self._forge, self._wait = base, forge, wait
        self._headers = {"Accept": "application/json", "User-Agent": "codequarry", **forge.headers}
        if token:
            if base.scheme == "http" and self.host not in ("localhost", "127.0.0.1", "::1"):
                raise BadInput(f"a token is not sent to {self.host} over plain http", hint="give an https address")
            if not token.isascii() or not token.isprintable() or " " in token:
                raise BadInput(f"what {forge.token_env} holds is no token", hint="copy it anew")
            name, before = forge.token_header
            self._headers[name] = before + token

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
            status, headers, body = self._ask(target)
            if status == 404:
                raise NotFound(f"{self.host} has nothing there")
            page = self._json(body)
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise self.odd("something else than a list")
            yield from page
            target = self._next(headers, target)

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

    def _ask(self, target: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body; a status that is not 200 or 404 is an error, after some patience where that may help."""
        for left in range(_TRIES - 1, -1, -1):
            try:
                status, headers, body = self._once(target)
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise Upstream(
                        f"{self.host} does not answer: {error}",
                        hint="check the address and the network",
                        retryable=True,
                    ) from error
                self._wait(2.0 ** (_TRIES - left))
                continue
            if status in (200, 404):
                return status, headers, body
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
            return Denied(
                f"{self.host} does not let us list that",
                hint=f"put a token with read access into {self._forge.token_env}",
            )
        if 300 <= status < 400:
            to = urllib.parse.urlsplit(headers.get("Location", "")).netloc or "another place"
            return Upstream(
                f"{self.host} sends us to {to[:100]}, which was not asked", hint="give the right address with --api"
            )
        return self.odd(f"status {status}")

    def _once(self, target: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection: http.client.HTTPConnection
        if self._base.scheme == "https":
            connection = http.client.HTTPSConnection(
                self.host, self._base.port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self.host, self._base.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", target, headers=self._headers)
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


# -------------------------------------------------------------------------------------------------------------------- rows


def _text(item: Mapping[str, Any], name: str) -> str:
    found = item[name]
    if not isinstance(found, str) or not found:
        raise ValueError(name)
    return found


def _like_github(item: Mapping[str, Any]) -> Listed:
    return Listed(
        _text(item, "full_name"),
        _text(item, "clone_url"),
        str(item["id"]),
        item.get("default_branch") or "",
        fork=item.get("fork") is True,
        archived=item.get("archived") is True,
        private=item.get("private") is True,
        empty=item.get("empty") is True,
    )


def _gitlab(item: Mapping[str, Any]) -> Listed:
    return Listed(
        _text(item, "path_with_namespace"),
        _text(item, "http_url_to_repo"),
        str(item["id"]),
        item.get("default_branch") or "",
        fork=bool(item.get("forked_from_project")),
        archived=item.get("archived") is True,
        private=item.get("visibility") not in (None, "public"),
        empty=item.get("empty_repo") is True,
    )


FORGES: Mapping[str, Forge] = {
    row.name: row
    for row in (
        Forge(
            "github",
            "organisation",
            "https://api.github.com",
            (
                "/orgs/{}/repos?per_page=100&type=all&sort=full_name",
                "/users/{}/repos?per_page=100&type=owner&sort=full_name",
            ),
            ("Authorization", "Bearer "),
            "GITHUB_TOKEN",
            _like_github,
            {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
            beneath="/api/v3",
        ),
        Forge(
            "gitlab",
            "group",
            "https://gitlab.com/api/v4",
            (
                "/groups/{}/projects?per_page=100&include_subgroups=true&order_by=id&sort=asc",
                "/users/{}/projects?per_page=100&order_by=id&sort=asc",
            ),
            ("PRIVATE-TOKEN", ""),
            "GITLAB_TOKEN",
            _gitlab,
            beneath="/api/v4",
        ),
        Forge(
            "gitea",
            "organisation",
            "",
            ("/orgs/{}/repos?limit=50", "/users/{}/repos?limit=50"),
            ("Authorization", "token "),
            "GITEA_TOKEN",
            _like_github,
            beneath="/api/v1",
        ),
    )
}
