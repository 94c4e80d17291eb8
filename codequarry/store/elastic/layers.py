"""Beginning with what another source shows: a branch equal to another costs a few documents, whatever their size.

Who begins first leaves its name in the rows of all layers that it will stand on (`Row.snapshots`), by compare-and-set, and looks
whether the uppermost of them is still the same then. From that on their writers keep what was shown at these epochs, in the
entries' histories, and no cleaner takes the versions. The name is source and epoch, so that a publication that was overtaken
takes away only its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from codequarry.store.elastic.client import At, Client, Document, Write, pause
from codequarry.store.elastic.documents import Key, Mark, back, entry, entry_id, source_id
from codequarry.store.elastic.history import History, Layer, Moved, resolve
from codequarry.store.elastic.ledger import Row, change, row_at, row_back, row_out
from codequarry.store.elastic.mapping import Names
from codequarry.types import Source

MOST_LAYERS = 4  # beneath a source's own: each is one more entry to read for each file that was found
_TRIES = 5
_AT_ONCE = 20  # of those who stand on a source, looked at together: mostly one of the first decides


class Beginning(NamedTuple):
    """What a source begins with: the layers beneath its own, and the state that counts what they show."""

    layers: tuple[Layer, ...]
    state: dict[str, Any]


def begin(client: Client, names: Names, source: Source, epoch: int, base: Source) -> Beginning | None:
    """Has the publication of this epoch stand on what `base` shows; None where that cannot be."""
    for attempt in range(_TRIES):
        document = client.get(row_at(names, base))
        row = row_back(document.source) if document else None
        if row is None or row.forgotten or not row.state.get("indexed_at") or len(row.layers) >= MOST_LAYERS:
            return None
        if source.branch in {layer.branch for layer in row.stack}:
            return None  # of an earlier life; a name stands once in a row
        own, *beneath = row.stack
        layers = (own._replace(aborted=tuple(old for old in own.aborted if old < own.pointer)), *beneath)
        if not change(client, names, _held(row, source, epoch, row.pointer), document):
            pause(attempt)
            continue
        for layer in beneath:
            hold(client, names, source, epoch, layer)
        again = client.get(row_at(names, base))
        if again is not None and row_back(again.source).pointer == row.pointer:
            return Beginning(layers, row.state)
        release(client, names, source, epoch, layers)
    return None


def hold(client: Client, names: Names, source: Source, epoch: int, layer: Layer) -> None:
    """Leaves the name of a publication in the row of a layer."""
    at = row_at(names, Source(source.repo, layer.branch))

    def name(number: int, seen: Document | None) -> Write | None:
        if seen is None or row_back(seen.source).snapshots.get(_name(source, epoch)) == layer.pointer:
            return None
        return Write("index", at, row_out(_held(row_back(seen.source), source, epoch, layer.pointer)), seen)

    client.settle([at], name, refresh=True)


def _name(source: Source, epoch: int) -> str:
    return f"{source_id(source)}:{epoch}"


def _held(row: Row, source: Source, epoch: int, pointer: int) -> Row:
    """The row with the name; those of earlier publications of the same source are dead."""
    mine = {name for name in row.snapshots if name.startswith(f"{source_id(source)}:")}
    return replace(_without(row, mine), snapshots=_others(row, mine) | {_name(source, epoch): pointer})


def _others(row: Row, gone: set[str]) -> dict[str, int]:
    return {name: pointer for name, pointer in row.snapshots.items() if name not in gone}


def _without(row: Row, gone: set[str]) -> Row:
    pointers = {row.snapshots[name] for name in gone}
    return replace(row, snapshots=_others(row, gone), dropped=tuple(sorted({*row.dropped, *pointers})))


def release(client: Client, names: Names, source: Source, epoch: int, layers: Sequence[Layer]) -> None:
    """Takes the name of a publication out of the rows of these layers."""
    for layer in layers:
        _take_out(client, names, Source(source.repo, layer.branch), {_name(source, epoch)})


def _take_out(client: Client, names: Names, of: Source, gone: set[str]) -> None:
    at = row_at(names, of)

    def take(number: int, seen: Document | None) -> Write | None:
        row = row_back(seen.source) if seen else None
        if row is None or not (there := gone & row.snapshots.keys()):
            return None
        return Write("index", at, row_out(_without(row, there)), seen)

    client.settle([at], take, refresh=True)


def release_dead(client: Client, names: Names, of: Source) -> None:
    """Takes out of a row the names of publications that ended without a commit, or whose source is gone."""
    at = row_at(names, of)

    def take(number: int, seen: Document | None) -> Write | None:
        if seen is None:
            return None
        row = row_back(seen.source)  # read before the rows of those who hold it: who takes hold later changes this one
        holders = [At(names.ledger, name.partition(":")[0], of.repo) for name in row.snapshots]
        dead = {
            name
            for name, holder in zip(row.snapshots, client.read(holders), strict=True)
            if holder is None or not _stands(row_back(holder.source), int(name.partition(":")[2]), of)
        }
        return Write("index", at, row_out(_without(row, dead)), seen) if dead else None

    client.settle([at], take, refresh=True)


def _stands(row: Row, epoch: int, on: Source) -> bool:
    """Whether a source stands on a layer since that epoch, or is about to."""
    if row.pointer < epoch == row.epoch:
        return True
    return row.since == epoch and on.branch in {layer.branch for layer in row.layers}


def shown_marks(
    client: Client, names: Names, repo: str, layers: Sequence[Layer], *, hidden: bool = False
) -> dict[str, Mark]:
    """What layers show together, by path, as of the last refresh; `hidden`: also the paths where they hide what is beneath.

    Raises:
        Moved: one of them was published anew, and nobody needs what it showed.
    """
    found: dict[str, Mark] = {}
    for layer in layers:
        query = {"bool": {"filter": [{"term": {"type": "entry"}}, {"term": {"src": layer.src(repo)}}]}}
        for hit in client.scan(names.files, query, ["path", "cur", "prev", "older"]):
            path = back(hit["_source"]["path"])
            # What is hidden by a layer above may be forgotten already.
            if path not in found and (said := layer.mark(History.of(hit["_source"]))) is not None:
                found[path] = said
    return {path: said for path, said in found.items() if said.blob or hidden}


def marks_at(client: Client, names: Names, repo: str, layers: Sequence[Layer], paths: Sequence[str]) -> dict[str, Mark]:
    """As `shown_marks`, at these paths alone and as of now."""
    places = [At(names.files, entry_id(layer.src(repo), path), repo) for path in paths for layer in layers]
    entries = iter(client.read(places, ["cur", "prev", "older"]))
    found: dict[str, Mark] = {}
    for path in paths:
        read = [next(entries) for _ in layers]
        said = resolve(layers, [None if entry is None else History.of(entry.source) for entry in read])
        if said is not None and said.blob:
            found[path] = said
    return found


class Asked(NamedTuple):
    """A path of which a source's entry says something only to those who began with it then, by their names in its row."""

    path: str
    row: Row
    standing: list[str]


def needed_by_others(client: Client, names: Names, asked: Sequence[Asked]) -> list[bool]:
    """Whether any of those who stand on the row still looks there for the path: no layer above it says anything of it."""
    needed = [False] * len(asked)
    for first in range(0, max((len(item.standing) for item in asked), default=0), _AT_ONCE):
        pairs = [
            (number, name)
            for number, item in enumerate(asked)
            if not needed[number]
            for name in item.standing[first : first + _AT_ONCE]
        ]
        for (number, _), looks in zip(pairs, _look(client, names, asked, pairs), strict=True):
            needed[number] |= looks
    # Who began with one that looked there, while it did and before it stopped, may have come after the row was read.
    places = {item.row.src: row_at(names, item.row.source) for item in asked}
    now = dict(zip(places, client.read(list(places.values())), strict=True))
    for number, item in enumerate(asked):
        row = now[item.row.src]
        needed[number] |= row is not None and bool(row.source["snapshots"].keys() - item.row.snapshots.keys())
    return needed


def _look(client: Client, names: Names, asked: Sequence[Asked], pairs: Sequence[tuple[int, str]]) -> list[bool]:
    """For each of the paths and names whether the one of that name looks at the layer for the path."""
    holders = {src: At(names.ledger, src, asked[number].row.source.repo) for number, src, _ in map(_parted, pairs)}
    rows = dict(zip(holders, client.read(list(holders.values())), strict=True))
    looks: list[bool] = []
    above: list[tuple[Layer, ...]] = []
    places: list[At] = []
    for number, src, epoch in map(_parted, pairs):
        on, document = asked[number].row.source, rows[src]
        row = row_back(document.source) if document else None
        looks.append(row is not None and _stands(row, epoch, on))
        branches = [layer.branch for layer in row.stack] if row is not None and row.since == epoch else []
        above.append(row.stack[: branches.index(on.branch)] if row is not None and on.branch in branches else ())
        places += [At(names.files, entry_id(layer.src(on.repo), asked[number].path), on.repo) for layer in above[-1]]
    entries = iter(client.read(places))
    for number, layers in enumerate(above):
        histories = [None if entry is None else History.of(entry.source) for entry in (next(entries) for _ in layers)]
        with contextlib.suppress(Moved):
            looks[number] &= resolve(layers, histories) is None
    return looks


def _parted(pair: tuple[int, str]) -> tuple[int, str, int]:
    number, name = pair
    src, _, epoch = name.partition(":")
    return number, src, int(epoch)


def thin(client: Client, names: Names, row: Row) -> list[Key]:
    """Takes out of a source's entries what only dropped epochs needed; returns the versions that were shown at these."""
    changed = {"range": {"epoch": {"gt": min(row.dropped)}}}
    query = {"bool": {"filter": [{"term": {"type": "entry"}}, {"term": {"src": row.src}}, changed]}}
    client.refresh(names.files)
    freed: dict[Key, None] = {}
    places: dict[At, str] = {}
    for hit in client.sweep(names.files, query, ["path", "cur", "prev", "older"]):
        history, path = History.of(hit["_source"]), back(hit["_source"]["path"])
        for pointer in row.dropped:
            with contextlib.suppress(Moved):
                if (said := history.at(pointer, row.aborted)) is not None and said.blob:
                    freed[Key(row.source.repo, path, said.blob, said.recipe)] = None
        if history.older:
            places[At(names.files, hit["_id"], row.source.repo)] = path
    listed = list(places)

    def take(number: int, seen: Document | None) -> Write | None:
        history = History.of(seen.source) if seen else None
        new = history.without(row.snapshots.values()) if history else None
        if new is None or new == history:
            return None
        path = places[listed[number]]
        return Write("index", listed[number], entry(row.src, row.source.repo, path, *new), seen)

    client.settle(listed, take)
    return list(freed)
