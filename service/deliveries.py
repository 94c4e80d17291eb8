"""What becomes of a delivery: from its bytes to a wish in the ledger.

A delivery is believed as far as this: its sender is proven, and something happened to the repository that it names. Everything else
is asked of the forge by the job. What a webhook for one repository says is about that repository, whatever it names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, CodequarryError, Denied, NoKey, NotFound, RepositoryNotFound
from codequarry.ingest import network, remote
from codequarry.ingest.addresses import Address, parse_address
from codequarry.ingest.jobs import describe
from codequarry.ingest.poller import settle
from codequarry.service.providers import PROVIDERS, Headers, Named, Notice, Provider, proven
from codequarry.types import Hook, Repository, Source

if TYPE_CHECKING:
    from codequarry.ports import Ledger, Queue
    from codequarry.settings import Settings

_REMEMBERED = 100_000  # deliveries that were taken; one that comes again asks for nothing
_HOOK_ID = re.compile(r"[A-Za-z0-9_-]{8,100}")

log = logging.getLogger("codequarry.webhooks")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery. `outcome`: wanted, known, repeated, ignored, refused, pong; `why` is for people."""

    outcome: str
    repo: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a delivery was posted to: the provider, the hook (None: the address without an id), the secrets that count there."""

    provider: Provider
    hook: Hook | None
    secrets: tuple[str, ...]


class Receiver:
    """Takes deliveries. Its methods block, and are safe for threads."""

    def __init__(
        self, ledger: Ledger, queue: Queue | None, settings: Settings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger, self._settings, self._clock = ledger, settings, clock
        self._rules = network.rules_of(settings)
        self._taken = _Memory(_REMEMBERED)
        self._later = _Later(ledger, queue)

    def target(self, provider: str, hook_id: str | None, headers: Headers) -> Target:
        """Where an address leads. What can prove nothing is refused here, before any of its body is read.

        Raises:
            NotFound: there is no such address.
            Denied: the address has no secret.
            NoKey: there is neither a signature nor a token.
        """
        row = PROVIDERS.get(provider)
        if row is None:
            raise NotFound(f"there is no provider {provider[:50]!r}", hint=f"one of {', '.join(PROVIDERS)}")
        hook = None
        if hook_id is not None:
            hook = self._ledger.hook(hook_id) if _HOOK_ID.fullmatch(hook_id) else None
            if hook is None or hook.provider != provider:
                raise NotFound("there is no such webhook", hint="codequarry webhooks list shows them")
        secrets = hook.secrets if hook else (self._settings.webhook_secret,)
        if not any(secrets):
            raise Denied("this address has no secret, so nobody can be let in", hint="set CODEQUARRY_WEBHOOK_SECRET")
        if not any(headers.get(name) for name in row.needs):
            raise NoKey(
                "the delivery has neither a signature nor a token", hint=f"give {row.title} the webhook's secret"
            )
        return Target(row, hook, secrets)

    def take(self, target: Target, headers: Headers, body: bytes) -> tuple[int, Outcome]:
        """What becomes of a delivery, and the status that says so. What is wanted is durable when it returns.

        Raises:
            NoKey: the sender is not proven.
            BadInput: it cannot be read.
            NotFound: it is about a repository that is not registered.
            StoreError: the ledger cannot be used; nothing is lost if it is sent again.
        """
        now, event, ident = self._clock(), "", ""
        try:
            if not proven(target.provider, headers, body, target.secrets, now):
                raise NoKey(
                    "the signature or token is not that of this webhook", hint="give the forge the webhook's secret"
                )
            document = _document(headers, body)
            ident = target.provider.delivery_id(headers, document)
            notice = target.provider.read(headers, document)
            event = notice.event
            key = _key(target, ident, body)
            status, outcome = (200, Outcome("repeated")) if key in self._taken else self._act(target, notice)
            if status == 202:
                self._taken.add(key)
        except CodequarryError as error:
            self._tell(target, now, event, ident, "refused", error.message)
            raise
        self._tell(target, now, event, ident, outcome.outcome, outcome.why)
        return status, outcome

    def _tell(self, target: Target, now: float, event: str, ident: str, outcome: str, why: str) -> None:
        name = f"{target.provider.name}/{target.hook.id[:6]}…" if target.hook else target.provider.name
        log.info("webhook %s: %s %s %s", name, outcome, event[:100].encode("unicode_escape").decode(), why)
        if target.hook:
            said = {"at": now, "event": event[:100], "id": ident, "outcome": outcome, "why": why}
            self._later.tell(target.hook.id, said)

    def _act(self, target: Target, notice: Notice) -> tuple[int, Outcome]:
        there = _Spoken(target.provider.name, notice.repository)
        if notice.kind in ("other", "tag"):
            why = "tags are not indexed" if notice.kind == "tag" else "such events change nothing that is indexed"
            return 200, Outcome("ignored", why=why)
        registered = self._registered(target, there)
        if notice.kind == "ping":
            if registered is not None:
                self._learn(registered, there)
            return 200, Outcome("pong", registered.repo if registered else "")
        try:
            registered = registered or self._register(target, notice, there)
            return (
                self._unknown(target, notice) if registered is None else self._wish(target, notice, there, registered)
            )
        except RepositoryNotFound:  # it was removed meanwhile
            return self._unknown(target, notice)

    def _unknown(self, target: Target, notice: Notice) -> tuple[int, Outcome]:
        if notice.kind in ("created", "deleted"):
            return 200, Outcome("ignored", why="the repository is not registered")
        speaks = f"this webhook speaks for {target.hook.repo} alone" if target.hook and target.hook.repo else ""
        why = speaks or "the repository is not registered"
        if target.provider.gives_up:
            return 200, Outcome("refused", why=why)
        raise NotFound(why, hint="codequarry repositories add registers it")

    def _wish(self, target: Target, notice: Notice, there: _Spoken, registered: Repository) -> tuple[int, Outcome]:
        repo = registered.repo
        other = bool(registered.provider_id and there.key and registered.provider_id != there.key)
        if other and notice.kind in ("private", "deleted", "renamed"):
            return 200, Outcome("ignored", repo, "that was another repository of the same name")
        registered = self._learn(registered, there)
        if notice.kind == "push":
            if why := self._needless(registered, notice):
                return 200, Outcome("ignored" if "not wanted" in why else "known", repo, why)
        elif notice.kind in ("private", "deleted"):
            self._ledger.update(repo, told=f"{notice.kind} {self._clock()}")
        if there.identities and not there.names(registered) and registered.provider_id == there.key:
            self._renamed(target, there, registered)
        job = self._ledger.want(Source(repo, ""), reason=notice.kind)
        self._later.poke(job.queue, job.source)
        return 202, Outcome("wanted", repo)

    def _learn(self, registered: Repository, there: _Spoken) -> Repository:
        """Keeps the provider's id, by which the repository is found again under another name."""
        if not there.key or registered.provider_id == there.key or not there.names(registered):
            return registered
        return self._ledger.update(registered.repo, provider=there.provider, provider_id=there.key)

    def _needless(self, registered: Repository, notice: Notice) -> str:
        """Why a push leads to nothing, "" where it leads to a look."""
        default = notice.repository.default
        if not registered.head or (default and default != registered.head):
            return ""
        wanted = [
            (branch, commit)
            for branch, commit in notice.branches
            if remote.is_wanted(branch, registered.branches, registered.head)
        ]
        if not wanted:
            return "the branch is not wanted"
        for branch, commit in wanted:
            job = self._ledger.job(Source(registered.repo, branch)) if commit else None
            if job is None or job.state != "done" or job.indexed != commit:
                return ""
        return "that commit is indexed"

    # ------------------------------------------------------------------------------------------------------- repositories

    def _registered(self, target: Target, there: _Spoken) -> Repository | None:
        """The repository that a delivery is about; None when it is not registered, or not this webhook's."""
        if target.hook and target.hook.repo:
            known = self._ledger.repository(target.hook.repo)
            return known if known and there.may_be(known) else None
        named = None
        for identity in there.identities:
            named = named or self._ledger.repository(identity)
        if named is not None and named.provider_id in ("", there.key):
            return named  # one read by name; looking for the id takes longer
        found = (self._ledger.find(there.provider, there.key) if there.key else None) or named
        if found is None:  # written in other letters, or spoken of without an address
            fits = there.names if there.identities else there.may_be
            fitting = [known for known in self._ledger.repositories() if fits(known)]
            found = fitting[0] if len(fitting) == 1 else None
        return found

    def _register(self, target: Target, notice: Notice, there: _Spoken) -> Repository | None:
        """Registers what nobody has registered, where the settings allow that and name its host."""
        if not self._settings.webhook_register or (target.hook and target.hook.repo):
            return None
        if notice.kind not in ("push", "created", "changed", "renamed") or not there.addresses:
            return None
        address = there.addresses[0]
        if not address.host or not self._rules.lists(address.host):
            return None
        found = describe(address.url, self._settings)
        return self._ledger.register(replace(found, provider=target.provider.name, provider_id=there.key))

    def _renamed(self, target: Target, there: _Spoken, old: Repository) -> None:
        """Follows a repository to its new name, where the sender may say what is read under that name."""
        before = parse_address(old.url)
        fitting = [
            address
            for address in there.addresses
            if before
            and address.host
            and address.scheme == before.scheme
            and address.identity.partition("/")[0] == old.repo.partition("/")[0]
        ]
        if not fitting:
            return
        new = fitting[0]
        # Whoever looks after one repository knows the secret of its webhook. It must not open another one to them, with a
        # credential that they do not have: only what everyone may read is followed for them.
        trusted = target.hook is None or not target.hook.repo or (not old.credential and new.scheme == "https")
        if not trusted:
            note = f"its forge calls it {new.identity} now; codequarry repositories add registers it by that name"
            self._ledger.update(old.repo, note=note)
            return
        settle(self._ledger, None, self._ledger.update(old.repo, told=f"renamed {new.identity} {new.url}"))
        job = self._ledger.job(Source(new.identity, ""))
        if job is not None:
            self._later.poke(job.queue, job.source)


class _Spoken:
    """The repository that a delivery speaks of, in our terms. `key`: host and the provider's id, "" where one is missing."""

    def __init__(self, provider: str, named: Named) -> None:
        self.provider, self._named = provider, named
        self.addresses: list[Address] = []
        for url in named.urls:
            try:
                address = parse_address(url)
            except BadInput:
                continue
            if address is not None:
                self.addresses.append(address)
        self.identities = list(dict.fromkeys(address.identity for address in self.addresses))
        host = self.identities[0].partition("/")[0] if self.identities else ""
        self.key = f"{host}/{named.id}" if host and named.id else ""

    def names(self, known: Repository) -> bool:
        """Whether it is spoken of under the name by which the repository is registered, or under its address, in any case."""
        spoken = {identity.lower() for identity in self.identities}
        return not spoken.isdisjoint((known.repo.lower(), _identity_of(known.url).lower()))

    def may_be(self, known: Repository) -> bool:
        """Whether it may be that repository: by its name, its id, or by its path on a host that has another name for us."""
        if self.names(known):
            return True
        if known.provider == self.provider and known.provider_id and self._named.id:
            return known.provider_id.partition("/")[2] == self._named.id
        path, known_path = self._named.path.lower(), _identity_of(known.url).partition("/")[2].lower()
        return bool(path) and known_path in (path, f"scm/{path}")


def _identity_of(url: str) -> str:
    try:
        address = parse_address(url)
    except BadInput:
        return ""
    return address.identity if address else ""


# ------------------------------------------------------------------------------------------------------------------- parts


def _document(headers: Headers, body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body.

    Raises:
        BadInput: there is none.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not re.fullmatch(r"application/([a-z0-9.+-]*\+)?json", kind):
        raise BadInput(
            f"a delivery is JSON, not {kind[:100] or 'without a type'}", hint="choose application/json at the forge"
        )
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("the delivery is no JSON", hint="choose application/json at the forge") from None
    if not isinstance(found, dict):
        raise BadInput("the delivery is no JSON object", hint="send the forge's own deliveries")
    return found


def _key(target: Target, ident: str, body: bytes) -> bytes:
    where = f"{target.provider.name}\n{target.hook.id if target.hook else ''}\n{ident}\n"
    return hashlib.blake2b(where.encode("utf-8", "replace") + body, digest_size=16).digest()


class _Memory:
    """The last so many keys."""

    def __init__(self, most: int) -> None:
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remembers a key, and forgets the oldest where there are too many."""
        with self._lock:
            self._keys[key] = None
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)


class _Later:
    """Does what the sender need not wait for, in a thread: tells the queue, and keeps the last delivery of each hook.

    All of it may be lost: what must happen is in the ledger. While the queue does not answer, what is asked for is kept once.
    """

    def __init__(self, ledger: Ledger, queue: Queue | None) -> None:
        self._ledger, self._queue = ledger, queue
        self._pokes: dict[Source, str] = {}
        self._said: dict[str, Mapping[str, Any]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def poke(self, kind: str, source: Source) -> None:
        """Tells the queue soon."""
        if self._queue is not None:
            with self._changed:
                self._pokes[source] = kind
                self._wake()

    def tell(self, hook_id: str, said: Mapping[str, Any]) -> None:
        """Keeps the summary of a delivery soon, or that of a later one."""
        with self._changed:
            self._said[hook_id] = said
            self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="webhooks-later", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._pokes and not self._said:
                    self._changed.wait()
                pokes, said = self._pokes, self._said
                self._pokes, self._said = {}, {}
            for source, kind in pokes.items():
                if self._queue is not None:
                    self._queue.poke(kind, source)
            for hook_id, summary in said.items():
                try:
                    self._ledger.delivery(hook_id, summary)
                except CodequarryError as error:
                    log.warning("the last delivery of a webhook could not be kept: %s", error)
