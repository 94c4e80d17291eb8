"""Who asks, and what they may: API keys, their scopes and groups, and where a service without keys may listen.

A key is `cq_ID_SECRET` with 256 random bits. The service is given `ID:SHA256:SCOPES[:GROUPS[:UNTIL]]`, scopes and groups separated
by `+`, UNTIL the last day (UTC) on which it is taken: what it keeps opens nothing, and a random secret needs no slow hash. Without
any key configured, everyone who reaches the service may do everything, so it then listens on this machine alone and answers no
page of another site.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, Denied, SettingsError

if TYPE_CHECKING:
    from codequarry.service.keyring import Keyring

SCOPES = {
    "search": "search, and build prompts",
    "read": "read files, and list repositories, jobs and metrics",
    "admin": "add, change and remove repositories, and steer jobs; sees every repository",
    "webhook": "say that a repository has changed",
}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
_GROUP = re.compile(r"[^\s:+,]{1,200}")
_LETTERS = string.ascii_letters + string.digits
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a request is from. `access`: the groups whose repositories it sees beside those that everyone sees; None: all."""

    id: str
    scopes: frozenset[str]
    access: tuple[str, ...] | None = None

    def must(self, scope: str) -> None:
        """Does nothing when the caller has the scope.

        Raises:
            Denied: it has not.
        """
        if scope not in self.scopes:
            raise Denied(
                f"the key {self.id!r} may not do this: it lacks the scope {scope}",
                hint=f"a key with the scope {scope} may {SCOPES[scope]}; codequarry keys new makes one",
            )


ANYONE = Caller("", frozenset(SCOPES))
"""The caller where no keys are configured."""


@dataclass(frozen=True, slots=True)
class Key:
    """What the service knows of a key."""

    digest: bytes
    caller: Caller
    until: date | None = None  # the last day on which it is taken

    @property
    def mark(self) -> str:
        """What tells it from another key of the same id: the beginning of its digest, as it stands in its entry."""
        return f"{self.caller.id}:{self.digest.hex()[:8]}"

    def has_ended(self, now: float) -> bool:
        """Whether it is not taken any more; `now` in Unix seconds."""
        return self.until is not None and datetime.fromtimestamp(now, UTC).date() > self.until


class Keys:
    """The keys that callers may use. False when there are none, and everyone is let in."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self.keys)

    def find(self, presented: str) -> Key | None:
        """The key that this is, None when it is none. Takes as long for a wrong key as for a right one."""
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found


def read_keys(entries: Iterable[str]) -> Keys:
    """The keys of the setting `api_keys`.

    Raises:
        SettingsError: an entry that is none; the message names its place, and nothing that stands in it.
    """
    return Keys(read_key(entry, f"CODEQUARRY_API_KEYS: entry {number}") for number, entry in enumerate(entries, 1))


def read_key(entry: str, place: str) -> Key:
    """The key of one entry; `place` is where it stands, for the message.

    Raises:
        SettingsError: it is none.
    """

    def wrong(why: str) -> SettingsError:
        return SettingsError(
            f"{place} {why}",
            name="CODEQUARRY_API_KEYS",
            hint="an entry is ID:SHA256:SCOPES, as codequarry keys new prints it",
        )

    parts = entry.split(":")
    if len(parts) not in (3, 4, 5):
        raise wrong(f"has {len(parts)} parts, not 3 to 5")
    name, digest, scopes, groups, until = (*parts, "", "")[:5]
    if not _ID.fullmatch(name):
        raise wrong("has no id of letters, digits, . and -")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise wrong("has no SHA-256 of 64 hexadecimal digits")
    wanted = frozenset(filter(None, scopes.split("+")))
    if not wanted or wanted - SCOPES.keys():
        raise wrong(f"has other scopes than {', '.join(SCOPES)}, separated by +")
    try:
        last = date.fromisoformat(until) if until else None
    except ValueError:
        raise wrong("ends on no day, which is written as 2030-12-31") from None
    return Key(bytes.fromhex(digest), Caller(name, wanted, access_of(name, wanted, groups.split("+"))), last)


def access_of(name: str, scopes: frozenset[str], groups: Iterable[str]) -> tuple[str, ...] | None:
    """The groups of a key: those it was given, and one of its own, `key:ID`, so that a repository can be opened to it alone."""
    return None if "admin" in scopes else (f"key:{name}", *filter(None, groups))


def new_key(name: str, scopes: Iterable[str], groups: Iterable[str] = (), until: date | None = None) -> tuple[str, str]:
    """A key to hand out, and its entry for the service. `until`: the last day on which it is taken, in UTC.

    Raises:
        BadInput: a name, scope or group that cannot be.
    """
    scopes, groups = tuple(dict.fromkeys(scopes)), tuple(dict.fromkeys(groups))
    if not _ID.fullmatch(name):
        raise BadInput(f"{name!r} is no name for a key", hint="up to 64 letters, digits, . and -")
    if not scopes or set(scopes) - SCOPES.keys():
        raise BadInput("which scopes is the key to have?", hint=f"some of {', '.join(SCOPES)}")
    if wrong := [group for group in groups if not _GROUP.fullmatch(group)]:
        raise BadInput(f"{wrong[0]!r} is no name of a group", hint="no spaces, commas, colons and plus signs")
    key = f"cq_{name}_{''.join(secrets.choice(_LETTERS) for _ in range(43))}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    entry = f"{name}:{digest}:{'+'.join(scopes)}"
    if groups or until:
        entry += f":{'+'.join(groups)}"
    return key, f"{entry}:{until.isoformat()}" if until else entry


# ------------------------------------------------------------------------------------------------- listening, and browsers


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_bind(host: str, keys: Keys | Keyring, *, allow_anonymous: bool) -> None:
    """Whether the service may listen there.

    Raises:
        SettingsError: others than this machine would reach it, and anyone could do anything.
    """
    if not keys and not allow_anonymous and not is_loopback(host):
        raise SettingsError(
            f"without keys the service does not listen on {host}: everyone who reaches it could do everything",
            name="CODEQUARRY_API_KEYS",
            hint="make a key with codequarry keys new; --allow-anonymous if something else keeps others out",
        )


def check_origin(headers: Mapping[str, str], *, only_local: bool) -> None:
    """Whether a request without a key may be answered: no page of another site sent it, under whatever name it reached us.

    Raises:
        Denied: a browser sent it for another site (`Origin`), or the name is not this machine's (DNS rebinding).
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise Denied(f"a page of {origin[:200]} may not ask this service", hint="configure keys, and send one")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if only_local and name.lower() not in _LOOPBACK_NAMES and not is_loopback(name):
        raise Denied(
            f"without keys the service answers for this machine only, not for {host[:200]!r}",
            hint="ask 127.0.0.1, or configure keys",
        )
