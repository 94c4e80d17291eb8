"""What each forge sends: how a delivery proves who sent it, and what it says. One row a provider, at the end.

A proof is checked over the bytes as they came, before anything is read from them, in a time that does not depend on where a wrong
one differs. What is read is little: which repository, and what kind of thing happened. Commits and changed files in a delivery are
not looked at, they are cut short by every forge, and so what is indexed is what the forge has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from codequarry.errors import BadInput

Headers = Mapping[str, str]  # names in lower case; values as latin-1, as HTTP has them
Proof = Callable[[Headers, bytes, Sequence[str], float], bool]

MOST_AGE_S = 300.0
"""How old a delivery may be whose time is signed; as much it may lie ahead."""
SIGNING_PREFIX = "whsec_"
"""What a secret begins with that is only ever used to sign (the Standard Webhooks specification)."""

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


@dataclass(frozen=True, slots=True)
class Provider:
    """A row. `hosts`: a regular expression for the hosts that it is found at; `ids`: headers or fields with a delivery's id.

    `gives_up`: it turns a webhook off whose deliveries are refused, so one about an unknown repository is answered as if ignored.
    """

    name: str
    title: str
    hosts: str
    proof: Proof
    needs: tuple[str, ...]  # without any of these headers a delivery proves nothing
    read: Callable[[Headers, Mapping[str, Any]], Notice]
    ids: tuple[str, ...]
    paste: tuple[str, ...]  # how a webhook is set up there; {url} and {secret} are filled in
    gives_up: bool = False

    def delivery_id(self, headers: Headers, body: Mapping[str, Any]) -> str:
        """The provider's id of a delivery; one that is sent again has the same."""
        for name in self.ids:
            if found := headers.get(name) or (body.get(name) if isinstance(body.get(name), str) else ""):
                return str(found)[:200]
        return ""


# ------------------------------------------------------------------------------------------------------------------ proofs


def _hex_of_body(*names: str, prefix: str = "sha256=") -> Proof:
    """HMAC-SHA256 of the body as hexadecimal, in the first of these headers that is there."""

    def proof(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
        given = next((headers[name] for name in names if name in headers), "")
        if given.startswith(prefix):
            given = given.removeprefix(prefix)
        elif prefix:
            return False
        given = given.removeprefix("sha256=")
        if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
            return False
        presented, right = bytes.fromhex(given), False
        for secret in secrets:
            right |= hmac.compare_digest(hmac.digest(secret.encode(), body, hashlib.sha256), presented)
        return right

    return proof


def _signed_or_token(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """GitLab: the Standard Webhooks signature of id, time and body, or the secret itself as a token.

    A secret that begins with `whsec_` is for signing alone: as a token it opens nothing.
    """
    token = headers.get("x-gitlab-token", "").encode("latin-1", "replace")
    right = False
    for secret in secrets:
        if not secret.startswith(SIGNING_PREFIX):
            right |= hmac.compare_digest(secret.encode(), token)
    return right | _standard(headers, body, secrets, now)


def _standard(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    stamp = headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(now - int(stamp)) > MOST_AGE_S:
        return False
    versions = (part.partition(",") for part in headers.get("webhook-signature", "").split(" ")[:8])
    presented = [decoded for version, _, text in versions if version == "v1" and (decoded := _unbase64(text))]
    said = b"%s.%s.%s" % (headers.get("webhook-id", "").encode("latin-1", "replace"), stamp.encode(), body)
    right = False
    for secret in secrets:
        keys = [secret.encode()]
        if secret.startswith(
            SIGNING_PREFIX
        ):  # a forge may take it as it stands, the specification takes what it encodes
            keys += filter(None, [_unbase64(secret.removeprefix(SIGNING_PREFIX))])
        for key in keys:
            digest = hmac.digest(key, said, hashlib.sha256)
            for signature in presented:
                right |= hmac.compare_digest(digest, signature)
    return right


def _password(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Basic authentication: the secret is the password, the user's name does not matter."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    given = (_unbase64(text.strip()) or b"").partition(b":")[2] if scheme.lower() == "basic" else b""
    right = False
    for secret in secrets:
        right |= hmac.compare_digest(secret.encode(), given)
    return right


def _unbase64(text: str) -> bytes | None:
    """What base64 stands for; None where it is not written in the one way in which that is written."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None


def proven(provider: Provider, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether one of the secrets proves the delivery. An empty secret proves nothing."""
    usable = [secret for secret in secrets if secret]
    return bool(usable) and provider.proof(headers, body, usable, now)


# ---------------------------------------------------------------------------------------------------------- reading bodies


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


def _like_github(*event_headers: str) -> Callable[[Headers, Mapping[str, Any]], Notice]:
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


def _gitlab(headers: Headers, body: Mapping[str, Any]) -> Notice:
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


def _bitbucket_cloud(headers: Headers, body: Mapping[str, Any]) -> Notice:
    if headers.get("x-event-key", "") in _OF_A_SERVER:
        return _bitbucket_server(headers, body)
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


def _bitbucket_server(headers: Headers, body: Mapping[str, Any]) -> Notice:
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


def _azure(headers: Headers, body: Mapping[str, Any]) -> Notice:
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


# -------------------------------------------------------------------------------------------------------------------- rows

_GITEA_PROOFS = ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256")
_GITEA_PASTE = (
    "Settings → Webhooks → Add webhook",
    "Target URL         {url}",
    "HTTP method        POST",
    "Content type       application/json",
    "Secret             {secret}",
    "Trigger on         Push, Create, Delete, Repository",
)

PROVIDERS: Mapping[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            "github",
            "GitHub",
            r"github\.com|github\..*",
            _hex_of_body("x-hub-signature-256"),
            ("x-hub-signature-256",),
            _like_github("x-github-event"),
            ("x-github-delivery",),
            (
                "Settings → Webhooks → Add webhook",
                "Payload URL   {url}",
                "Content type  application/json",
                "Secret        {secret}",
                "Events        Pushes, Branch or tag creation, Branch or tag deletion, Repositories",
            ),
        ),
        Provider(
            "gitlab",
            "GitLab",
            r"gitlab\.com|gitlab\..*",
            _signed_or_token,
            ("x-gitlab-token", "webhook-signature"),
            _gitlab,
            ("idempotency-key", "webhook-id", "x-gitlab-event-uuid"),
            (
                "Settings → Webhooks → Add new webhook",
                "URL      {url}",
                "{field}  {secret}",
                "Trigger  Push events, Tag push events",
            ),
            gives_up=True,
        ),
        Provider(
            "bitbucket",
            "Bitbucket Cloud",
            r"bitbucket\.org",
            _hex_of_body("x-hub-signature"),
            ("x-hub-signature",),
            _bitbucket_cloud,
            ("x-request-uuid",),
            (
                "Repository settings → Webhooks → Add webhook",
                "URL       {url}",
                "Secret    {secret}",
                "Triggers  Repository: Push, Updated",
            ),
        ),
        Provider(
            "bitbucket-server",
            "Bitbucket Data Center",
            r"bitbucket\.(?!org$).*|stash\..*",
            _hex_of_body("x-hub-signature"),
            ("x-hub-signature",),
            _bitbucket_server,
            ("x-request-id",),
            (
                "Repository settings → Webhooks → Create webhook",
                "URL     {url}",
                "Secret  {secret}",
                "Events  Repository: Push, Modified",
            ),
        ),
        Provider(
            "gitea",
            "Gitea",
            r"gitea\..*",
            _hex_of_body(*_GITEA_PROOFS, prefix=""),
            _GITEA_PROOFS,
            _like_github("x-gitea-event"),
            ("x-gitea-delivery",),
            _GITEA_PASTE,
        ),
        Provider(
            "forgejo",
            "Forgejo",
            r"codeberg\.org|forgejo\..*",
            _hex_of_body(*_GITEA_PROOFS, prefix=""),
            _GITEA_PROOFS,
            _like_github("x-forgejo-event", "x-gitea-event"),
            ("x-forgejo-delivery", "x-gitea-delivery"),
            _GITEA_PASTE,
        ),
        Provider(
            "azure",
            "Azure DevOps",
            r"dev\.azure\.com|ssh\.dev\.azure\.com|.*\.visualstudio\.com",
            _password,
            ("authorization",),
            _azure,
            ("id",),
            (
                "Project settings → Service hooks → Create subscription → Web Hooks, event: Code pushed",
                "URL                           {url}",
                "Basic authentication username  codequarry",
                "Basic authentication password  {secret}",
                "Resource details to send      All",
            ),
            gives_up=True,
        ),
    )
}


def provider_of(host: str) -> Provider | None:
    """The provider that a host is known or called for, None for any other."""
    return next((row for row in PROVIDERS.values() if re.fullmatch(row.hosts, host)), None)
