"""What repositories an organisation has, as its forge's API lists them. GitHub, GitLab, Gitea and Forgejo: one row each."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codequarry.errors import BadInput, NotFound
from codequarry.ingest.http_api import Client
from codequarry.text import glob_regex


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
    client = _client(forge, api, token, wait)
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


def _listed(client: Client, forge: Forge, name: str) -> Iterator[Listed]:
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


def _client(forge: Forge, api: str, token: str, wait: Callable[[float], None]) -> Client:
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise BadInput(f"what {forge.token_env} holds is no token", hint="copy it anew")
    name, before = forge.token_header
    return Client(
        _base(forge, api),
        forge.headers,
        secret=(name, before + token) if token else None,
        doing="list that",
        hint=f"put a token with read access into {forge.token_env}",
        wait=wait,
    )


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
