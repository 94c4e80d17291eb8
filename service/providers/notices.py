"""What a delivery says, forge by forge: which repository, and what kind of thing happened.

Commits and changed files in a delivery are not looked at, they are cut short by every forge, and so what is indexed is what the
forge has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from codequarry.errors import BadInput
from codequarry.service.providers.proofs import Headers

_MOST_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Named:
    """The repository that a delivery speaks of. Any of it may be missing."""

    id: str = ""  # the provider's own
    urls: tuple[str, ...] = ()  # that git could be given
    path: str = ""  # owner and name
    default: str = ""  # its default branch


@dataclass(frozen=True, slots=True)
class Notice:
    """What a delivery says. `kind`: push, changed, created, renamed, private, deleted, tag, ping, other."""

    kind: str
    event: str  # as the provider calls it
    repository: Named = Named()
    branches: tuple[tuple[str, str], ...] = ()  # name and new commit, "" for one that was deleted


# -------------------------------------------------------------------------------------------------------- reading bodies


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any, *path: str) -> str:
    """The text or number at that place, "" where there is none.

    Raises:
        BadInput: something else is there, or a text that names nothing.
    """
    found = _at(value, *path)
    if found is None:
        return ""
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or len(found) > _MOST_TEXT or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", found):
        raise _unreadable(f"{'.'.join(path)} is not what it should be")
    return found


def _list(value: Any, *path: str) -> list[Any]:
    found = _at(value, *path)
    if not isinstance(found, list):
        raise _unreadable(f"{'.'.join(path)} is no list")
    return found


def _unreadable(why: str) -> BadInput:
    return BadInput(f"the delivery cannot be read: {why}", hint="send the forge's own deliveries, as application/json")


def _pushed(event: str, repository: Named, refs: Sequence[tuple[str, str]]) -> Notice:
    """Of full names of refs and their new commits."""
    branches = []
    for ref, commit in refs:
        if not ref.startswith("refs/") or not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?|", commit):
            raise _unreadable("a ref or its commit is none")
        if ref.startswith("refs/heads/"):
            branches.append((ref.removeprefix("refs/heads/"), commit.strip("0") and commit))
    return Notice("push" if branches else "tag", event, repository, tuple(branches))


def _urls(*urls: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_without_user(url) for url in urls if url))


def _without_user(url: str) -> str:
    """An http address without what stands before its @: forges put the name of whoever set up the webhook there."""
    if not url.startswith(("http://", "https://")):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


# -------------------------------------------------------------------------------------------- GitHub, and those like it


def like_github(*event_headers: str) -> Callable[[Headers, Mapping[str, Any]], Notice]:
    """What reads the deliveries of GitHub and those like it; the first of these headers that is there names the event."""

    def read(headers: Headers, body: Mapping[str, Any]) -> Notice:
        event = next((headers[name] for name in event_headers if name in headers), "")
        repository = Named(
            _text(body, "repository", "id"),
            _urls(_text(body, "repository", "clone_url"), _text(body, "repository", "ssh_url")),
            _text(body, "repository", "full_name"),
            _text(body, "repository", "default_branch"),
        )
        if event == "push":
            gone = body.get("deleted") is True
            return _pushed(event, repository, [(_text(body, "ref"), "" if gone else _text(body, "after"))])
        if event in ("create", "delete"):
            if _text(body, "ref_type") != "branch":
                return Notice("tag", event, repository)
            commit = _text(body, "sha") if event == "create" else ""
            return _pushed(
                event, repository, [(f"refs/heads/{_text(body, 'ref').removeprefix('refs/heads/')}", commit)]
            )
        if event == "repository":
            action = _text(body, "action")
            return Notice(_ACTIONS.get(action, "other"), f"{event} {action}", repository)
        return Notice("ping" if event == "ping" else "other", event, repository)

    return read


_ACTIONS = {
    "created": "created",
    "renamed": "renamed",
    "transferred": "renamed",
    "privatized": "private",
    "publicized": "changed",
    "edited": "changed",  # of the default branch, for one
    "deleted": "deleted",
}


# ------------------------------------------------------------------------------------------------------------------ GitLab


def gitlab(headers: Headers, body: Mapping[str, Any]) -> Notice:
    """Of a project, a group or the whole system."""
    event = _text(body, "event_name") or _text(body, "object_kind")
    project = _at(body, "project") or body  # of system and group events: the body itself
    path = _text(project, "path_with_namespace")
    urls = _urls(_text(project, "git_http_url"), _text(project, "git_ssh_url"))
    instance = headers.get("x-gitlab-instance", "")
    if not urls and path and re.fullmatch(r"https?://[A-Za-z0-9.:-]+/?", instance):
        urls = (f"{instance.rstrip('/')}/{quote(path)}.git",)
    named = Named(_text(body, "project_id") or _text(project, "id"), urls, path, _text(project, "default_branch"))
    if event in ("push", "tag_push"):
        return _pushed(event, named, [(_text(body, "ref"), _text(body, "after"))])
    if event == "repository_update":
        changes = [(_text(change, "ref"), _text(change, "after")) for change in _list(body, "changes")]
        return _pushed(event, named, changes)
    kind = _GITLAB_EVENTS.get(event, "other")
    if event == "project_update" and _text(body, "project_visibility") in ("private", "visibilitylevel|private"):
        kind = "private"
    return Notice(kind, event, named)


_GITLAB_EVENTS = {
    "project_create": "created",
    "project_rename": "renamed",
    "project_transfer": "renamed",
    "project_update": "changed",
    "project_destroy": "deleted",
}


# --------------------------------------------------------------------------------------------------------------- Bitbucket


def bitbucket_cloud(headers: Headers, body: Mapping[str, Any]) -> Notice:
    """Of bitbucket.org, or of a server that was taken for it."""
    if headers.get("x-event-key", "") in _OF_A_SERVER:
        return bitbucket_server(headers, body)
    event, path = headers.get("x-event-key", ""), _text(body, "repository", "full_name")
    urls = _urls(f"https://bitbucket.org/{quote(path)}.git", f"git@bitbucket.org:{path}.git") if path else ()
    named = Named(_text(body, "repository", "uuid"), urls, path, _text(body, "repository", "mainbranch", "name"))
    if event == "repo:push":
        refs = []
        for change in _list(body, "push", "changes"):
            there = _at(change, "new") or _at(change, "old")
            kind = "heads" if _text(there, "type") in ("branch", "named_branch") else "tags"
            commit = _text(change, "new", "target", "hash")
            if not _text(there, "name"):
                raise _unreadable("a change has neither an old nor a new name")
            refs.append((f"refs/{kind}/{_text(there, 'name')}", commit))
        return _pushed(event, named, refs)
    if event == "repo:updated":
        changes = _at(body, "changes")
        if _at(changes, "is_private", "new") is True:
            return Notice("private", event, named)
        renamed = isinstance(changes, Mapping) and not {"name", "full_name", "slug"}.isdisjoint(changes)
        return Notice("renamed" if renamed else "changed", event, named)
    kinds = {
        "repo:transfer": "renamed",
        "repo:deleted": "deleted",
        "repo:created": "created",
        "repo:imported": "changed",
    }
    return Notice(kinds.get(event, "other"), event, named)


_OF_A_SERVER = ("diagnostics:ping", "repo:refs_changed", "repo:modified", "mirror:repo_synchronized")
"""Events of Bitbucket Data Center: whoever has it may well have made a webhook of Bitbucket."""


def bitbucket_server(headers: Headers, body: Mapping[str, Any]) -> Notice:
    """Of a Bitbucket Data Center."""
    event = headers.get("x-event-key", "")
    if event == "diagnostics:ping":
        return Notice("ping", event)
    there = _at(body, "new" if event == "repo:modified" else "repository")
    links = _at(there, "links", "clone")
    found = [_text(link, "href") for link in links] if isinstance(links, list) else []
    key, slug = _text(there, "project", "key"), _text(there, "slug")
    named = Named(
        _text(there, "id"),
        _urls(*sorted(found, key=lambda url: not url.startswith("https:"))),
        f"{key}/{slug}" if key and slug else "",
    )
    if event in ("repo:refs_changed", "mirror:repo_synchronized"):
        refs = []
        for change in _list(body, "changes"):
            gone = _text(change, "type") == "DELETE"
            refs.append((_text(change, "ref", "id") or _text(change, "refId"), "" if gone else _text(change, "toHash")))
        return _pushed(event, named, refs)
    return Notice({"repo:modified": "renamed", "repo:deleted": "deleted"}.get(event, "other"), event, named)


# ------------------------------------------------------------------------------------------------------------ Azure DevOps


def azure(headers: Headers, body: Mapping[str, Any]) -> Notice:
    """Of Azure DevOps, whose body alone names the event."""
    event = _text(body, "eventType")
    there = _at(body, "resource", "repository")
    project, name = _text(there, "project", "name"), _text(there, "name")
    named = Named(
        _text(there, "id"),
        _urls(_text(there, "remoteUrl"), _text(there, "sshUrl")),
        f"{project}/{name}" if project and name else "",
        _text(there, "defaultBranch").removeprefix("refs/heads/"),
    )
    if event == "git.push":
        changes = _list(body, "resource", "refUpdates")
        return _pushed(event, named, [(_text(one, "name"), _text(one, "newObjectId")) for one in changes])
    kinds = {"git.repo.created": "created", "git.repo.renamed": "renamed", "git.repo.deleted": "deleted"}
    return Notice(kinds.get(event, "changed" if event == "git.repo.statuschanged" else "other"), event, named)
