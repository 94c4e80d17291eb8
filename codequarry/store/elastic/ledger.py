"""The rows of the ledger: what each source shows, who writes it, and the epochs that keep late writers out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from codequarry.errors import StoreError, WriterBusy
from codequarry.store import owner
from codequarry.store.elastic.client import At, Client, Document, Write, pause
from codequarry.store.elastic.documents import back, out, source_id, state_back
from codequarry.store.elastic.history import Layer, layers_back, layers_out
from codequarry.store.elastic.mapping import Names
from codequarry.types import Source, SourceState

LEASE_S = 30.0  # how long a writer that says nothing keeps others out
REGISTRY = "registry"  # a document that changes whenever a source comes, goes or begins to be visible to others


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one source. Only versions up to `pointer` are shown, and none of `aborted` epochs."""

    source: Source
    epoch: int = 0  # taken last
    pointer: int = 0  # epoch of the last committed publication; 0: none yet
    aborted: tuple[int, ...] = ()  # taken and never committed
    unswept: tuple[int, ...] = ()  # those of them whose versions were not looked for yet
    garbage: tuple[tuple[int, int], ...] = ()  # epoch and number of parts of lists of versions to be removed
    building: bool = False
    forgotten: bool = False
    owner: dict[str, str] = field(default_factory=dict)  # of the lease: its token, and the process
    lease: float = 0.0  # until when, by the owner's clock
    parts: dict[str, int] = field(default_factory=dict)  # "hints", "skipped": number of parts written with the pointer
    since: int = 0  # epoch of the publication that began with what another source showed
    layers: tuple[Layer, ...] = ()  # what it began with, beneath its own entries
    snapshots: dict[str, int] = field(
        default_factory=dict
    )  # who began with what this one shows ("src:since"), at which epoch
    dropped: tuple[int, ...] = ()  # epochs at which nobody needs the entries any more; they are not cleaned of it yet
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def src(self) -> str:
        """The source's id in other documents."""
        return source_id(self.source)

    @property
    def stack(self) -> tuple[Layer, ...]:
        """What the source shows: its own entries at its pointer, and the layers beneath."""
        return (Layer(self.source.branch, self.since, self.pointer, self.aborted), *self.layers)

    def as_state(self) -> SourceState:
        """The state as callers see it."""
        return state_back(self.source, self.state, building=self.building)


def row_at(names: Names, source: Source) -> At:
    """Where a source's row stands."""
    return At(names.ledger, source_id(source), source.repo)


def part_at(names: Names, source: Source, epoch: int, what: str, number: int) -> At:
    """Where one part of a source's larger data stands."""
    return At(names.ledger, f"{source_id(source)}:{epoch}:{what}:{number}", source.repo)


def registry_at(names: Names) -> At:
    """Where the registry stands."""
    return At(names.ledger, REGISTRY, REGISTRY)


def row_out(row: Row) -> dict[str, Any]:
    """The document of a row."""
    values = {name: getattr(row, name) for name in Row.__dataclass_fields__ if name != "source"}
    repo, branch = out(row.source.repo), out(row.source.branch)
    values["layers"] = layers_out(row.layers)
    return {"type": "row", "key": f"{repo}\n{branch}", "repo": repo, "branch": branch, **values}


def row_back(document: dict[str, Any]) -> Row:
    """The inverse of `row_out`."""
    values = {name: document[name] for name in Row.__dataclass_fields__ if name != "source"}
    for name in ("aborted", "unswept", "dropped"):
        values[name] = tuple(values[name])
    values["layers"] = layers_back(values["layers"])
    values["garbage"] = tuple((epoch, parts) for epoch, parts in values["garbage"])
    return Row(Source(back(document["repo"]), back(document["branch"])), **values)


def rows(client: Client, names: Names) -> list[Row]:
    """Every row, sorted by source."""
    found = client.scan(names.ledger, {"term": {"type": "row"}}, True, sort="key")
    return sorted((row_back(hit["_source"]) for hit in found), key=lambda row: row.source)


def change(client: Client, names: Names, row: Row, seen: Document | None) -> bool:
    """Compare-and-set of a row, visible to searches at once; False when another was first, or nobody knows."""
    write = Write("index" if seen else "create", row_at(names, row.source), row_out(row), seen)
    return client.write([write], refresh=True)[0].status in (200, 201)


def announce(client: Client, names: Names, *, begins: Lease | None = None, ended: Lease | None = None) -> None:
    """Tells readers that keep the rows that they are others now.

    `begins`: a source whose layers are about to change. Readers look at its row with each answer, until the same lease says that
    it has `ended`, or a later one of the source.
    """

    def tell(number: int, seen: Document | None) -> Write:
        there = dict(seen.source.get("turning", {})) if seen else {}
        for lease in (begins, ended):
            if lease is not None and there.get(lease.row.src, {}).get("epoch", 0) <= lease.epoch:
                there.pop(lease.row.src, None)
        if begins is not None and begins.row.src not in there:
            there[begins.row.src] = {"repo": out(begins.source.repo), "epoch": begins.epoch}
        told = {"type": "registry", "token": secrets.token_hex(8), "turning": there}
        return Write("index" if seen else "create", registry_at(names), told, seen)

    client.settle([registry_at(names)], tell)


def end_turning(client: Client, names: Names) -> None:
    """Takes the sources out of the registry whose publications ended without saying so."""

    def tell(number: int, seen: Document | None) -> Write | None:
        if seen is None:
            return None
        there = seen.source.get("turning", {})  # read before the rows: who takes one of them later changes it
        held = client.read([At(names.ledger, src, repo) for src, repo in turning(seen).items()], ["owner"])
        listed = {
            src: begun for (src, begun), row in zip(there.items(), held, strict=True) if row and row.source["owner"]
        }
        if len(listed) == len(there):
            return None
        return Write("index", registry_at(names), {**seen.source, "turning": listed}, seen)

    client.settle([registry_at(names)], tell)


def turning(registry: Document) -> dict[str, str]:
    """The ids of the sources whose layers are about to change, with their repositories."""
    return {src: back(begun["repo"]) for src, begun in registry.source.get("turning", {}).items()}


class Lease:
    """The right to change what a source shows, until another takes it; `row` is the row as it stood when it was taken."""

    def __init__(self, client: Client, names: Names, source: Source, wait_s: float) -> None:
        """Takes the next epoch of the source.

        Raises:
            WriterBusy: another process holds the lease and kept it for `wait_s`.
        """
        self._client, self._names, self.source = client, names, source
        self._token = secrets.token_hex(8)
        self.row = self._take(wait_s)
        self.epoch = self.row.epoch
        self._renewed = time.monotonic()
        self.is_first = not self.row.state.get("indexed_at")  # of a source that shows nothing, or nothing any more
        if self.is_first:
            announce(client, names, begins=self)

    def _take(self, wait_s: float) -> Row:
        begin = time.monotonic()
        seen_since: tuple[int, float] = (-1, begin)
        attempt = 0
        while True:
            document = self._client.get(row_at(self._names, self.source))
            row = row_back(document.source) if document else Row(self.source)
            if row.owner.get("token") == self._token:
                return row  # the answer to our own write was lost
            now = time.monotonic()
            if document and document.seq_no != seen_since[0]:
                seen_since = (document.seq_no, now)
            # The owner's clock may be wrong; a row that did not move for a lease of ours is free whatever it says.
            if _is_free(row) or now - seen_since[1] > LEASE_S:
                if change(self._client, self._names, self._taken(row), document):
                    continue
            elif now - begin >= wait_s:
                raise WriterBusy(
                    f"{self.source} is being indexed by {owner.shown(_process(row))}",
                    hint=f"wait for it; if it is dead its lease ends within {LEASE_S:.0f} s",
                )
            time.sleep(min(0.5, max(0.0, wait_s - (now - begin)))) if not _is_free(row) else pause(attempt)
            attempt += 1

    def _taken(self, row: Row) -> Row:
        open_epoch = (row.epoch,) if row.epoch > row.pointer and row.epoch not in row.aborted else ()
        return replace(
            row,
            epoch=row.epoch + 1,
            aborted=row.aborted + open_epoch,
            unswept=row.unswept + open_epoch,
            building=True,
            forgotten=False,
            owner={"token": self._token, "process": owner.me()},
            lease=time.time() + LEASE_S,
        )

    def hold(self, *, renew: bool = False) -> tuple[Row, Document]:
        """The row as it is now, after making sure that it is still ours; renews the lease when a third of it is gone.

        Raises:
            WriterBusy: another publication has taken over.
        """
        while True:
            document = self._client.get(row_at(self._names, self.source))
            row = row_back(document.source) if document else None
            if document is None or row is None or row.owner.get("token") != self._token or row.epoch != self.epoch:
                raise WriterBusy(
                    f"another publication of {self.source} has taken over", hint="run again when the other has finished"
                )
            if not renew and time.monotonic() - self._renewed < LEASE_S / 3:
                return row, document
            change(self._client, self._names, replace(row, lease=time.time() + LEASE_S), document)
            self._renewed, renew = time.monotonic(), False

    def move(self, new: Callable[[Row], Row]) -> Row:
        """Writes the row in one step: the pointer moves. Returns it as it stands.

        `new` makes it of the row as it is now, where others may have left their marks meanwhile.

        Raises:
            WriterBusy: another publication has taken over; nothing has changed.
        """
        for attempt in range(10):
            document = self._client.get(row_at(self._names, self.source))
            there = row_back(document.source) if document else None
            if there is not None and there.pointer == self.epoch:
                self._client.refresh(self._names.ledger)  # our own, whose answer was lost: searches may not see it yet
                return there
            if document is None or there is None or there.owner.get("token") != self._token:
                raise WriterBusy(
                    f"another publication of {self.source} has taken over", hint="run again when the other has finished"
                )
            moved = new(there)
            if change(self._client, self._names, moved, document):
                return moved
            pause(attempt)
        raise StoreError(f"the row of {self.source} cannot be written", hint="run again", retryable=True)

    def release(self) -> None:
        """Lets others in; the epoch stays open, and what was put stays for the next to use."""
        at = row_at(self._names, self.source)

        def free(number: int, seen: Document | None) -> Write | None:
            if seen is None or seen.source["owner"].get("token") != self._token:
                return None
            return Write("index", at, row_out(replace(row_back(seen.source), owner={}, lease=0.0)), seen)

        self._client.settle([at], free, refresh=True)


def _is_free(row: Row) -> bool:
    """Whether nobody holds the row: no owner, a lapsed lease, this very process, or one of this machine that is gone."""
    if not row.owner or row.lease < time.time():
        return True
    return _process(row) == owner.me() or owner.is_gone(_process(row))


def _process(row: Row) -> str:
    return row.owner.get("process", "")
