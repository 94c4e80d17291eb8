"""Removing what no source shows any more, while others may be about to show it.

The order is what makes it safe: read the version's document, then the rows and entries of all sources that ever held it, then
the tokens of its chunks; then take the version by compare-and-set, and only then its chunks, each by the token that was read.
Whoever wants to show the version holds it first, which changes its document: one of the two loses and reads again.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codequarry.store.elastic import documents
from codequarry.store.elastic.client import At, Client, Document, Write
from codequarry.store.elastic.documents import Key, Mark
from codequarry.store.elastic.history import History, Moved
from codequarry.store.elastic.layers import Asked, needed_by_others, release_dead, thin
from codequarry.store.elastic.ledger import Row, end_turning, part_at, row_at, row_back, row_out, rows
from codequarry.store.elastic.mapping import Names
from codequarry.types import Source

BATCH = 500  # versions looked at together
KEPT_S = 86_400.0  # tombstones and aborted epochs stay this long: a request may be that late, in theory


def clean(client: Client, names: Names, source: Source) -> None:
    """Removes what the source's publications left behind, as far as nobody else needs it. Any process may do this."""
    document = client.get(row_at(names, source))
    if document is None:
        return
    row = row_back(document.source)
    parts = [
        part_at(names, source, epoch, "garbage", number) for epoch, count in row.garbage for number in range(count)
    ]
    swept = [epoch for epoch in row.unswept if epoch < row.pointer]
    keys: list[Key] = []
    by_epoch: dict[str, list[str]] = {}
    for at, part in zip(parts, client.read(parts), strict=True):
        if part is not None:
            by_epoch.setdefault(at.id.rsplit(":", 1)[0], []).append(part.source["data"])
    for texts in by_epoch.values():
        keys += [Key(*map(documents.back, fields)) for fields in json.loads(documents.unpack(texts))]
    if swept:
        client.refresh(names.files)
        held = {"terms": {"by": [f"{row.src}:{epoch}" for epoch in swept]}}
        keys += [documents.key_of(hit["_source"]) for hit in client.sweep(names.files, held)]
    if row.dropped:
        keys += thin(client, names, row)
    remove(client, names, keys, row.src)
    if not (row.garbage or swept or row.dropped):
        return

    def forget(number: int, seen: Document | None) -> Write | None:
        if seen is None:
            return None
        there = row_back(seen.source)
        new = replace(
            there,
            garbage=tuple(item for item in there.garbage if item not in row.garbage),
            unswept=tuple(epoch for epoch in there.unswept if epoch not in swept),
            dropped=tuple(epoch for epoch in there.dropped if epoch not in row.dropped),
        )
        return None if new == there else Write("index", row_at(names, source), row_out(new), seen)

    client.settle([row_at(names, source)], forget)
    client.write(Write("delete", at) for at in parts)


@dataclass(slots=True)
class _Found:
    """A version that may go, with what was read of it."""

    key: Key
    at: At
    document: Document
    chunks: list[At]


def remove(client: Client, names: Names, keys: Iterable[Key], src: str) -> None:
    """Removes those versions that no source shows or is about to show; takes `src` out of the hints of the others."""
    wanted = list(dict.fromkeys(keys))
    for first in range(0, len(wanted), BATCH):
        _remove(client, names, wanted[first : first + BATCH], src)


def _remove(client: Client, names: Names, keys: Sequence[Key], src: str) -> None:
    places = [At(names.files, key.id, key.repo) for key in keys]
    found = [
        _Found(
            key,
            at,
            document,
            [At(names.chunks, chunk_id, key.repo) for chunk_id in documents.chunk_ids(document.source)],
        )
        for key, at, document in zip(keys, places, client.read(places), strict=True)
        if document is not None
    ]
    if not found:
        return
    users = _users(client, names, found)
    doomed = [item for item, used in zip(found, users, strict=True) if not used]
    others = [
        item
        for item, used in zip(found, users, strict=True)
        if used and src not in used and src in item.document.source["srcs"]
    ]
    _delete(client, doomed)
    _take_hint(client, others, src)


def _users(client: Client, names: Names, found: Sequence[_Found]) -> list[set[str]]:
    """For each version the sources in whose entries others must find it: who shows it, or holds it for a publication under way."""
    holders = sorted({(item.key.repo, src) for item in found for src in item.document.source["pins"]})
    read = client.read([At(names.ledger, src, repo) for repo, src in holders])
    ledger = {src: row_back(row.source) for (_, src), row in zip(holders, read, strict=True) if row is not None}
    # The rows were read before the entries: a publication that was committed by then has written all of its entries.
    pairs = [
        (number, src) for number, item in enumerate(found) for src in item.document.source["pins"] if src in ledger
    ]
    places = [
        At(names.files, documents.entry_id(src, found[number].key.path), found[number].key.repo)
        for number, src in pairs
    ]
    users: list[set[str]] = [set() for _ in found]
    for_others: dict[tuple[int, str], list[str]] = {}
    for (number, src), entry in zip(pairs, client.read(places), strict=True):
        row, item = ledger[src], found[number]
        pin = item.document.source["pins"][src]
        history = None if entry is None else History.of(entry.source)
        if row.pointer < pin == row.epoch or (history is not None and _shows(history, item.key, row)):
            users[number].add(src)
        elif history is not None and (standing := _standing(history, item.key, row)):
            for_others[number, src] = standing
    asked = [Asked(found[number].key.path, ledger[src], standing) for (number, src), standing in for_others.items()]
    for (number, src), needed in zip(for_others, needed_by_others(client, names, asked), strict=True):
        if needed:
            users[number].add(src)
    return users


def _shows(history: History, key: Key, row: Row) -> bool:
    """Whether an entry shows the version now, or will when its publication is committed."""
    try:
        marks = [history.at(row.pointer, row.aborted)]
    except Moved:  # it was written over since the row was read
        marks = [*history.marks()]
    if history.cur.epoch not in row.aborted:
        marks.append(history.cur)
    return any(_is(said, key) for said in marks)


def _standing(history: History, key: Key, row: Row) -> list[str]:
    """Who began where the entry showed the version."""
    found = []
    for name, pointer in row.snapshots.items():
        with contextlib.suppress(Moved):  # nobody needed it any more
            if _is(history.at(pointer, row.aborted), key):
                found.append(name)
    return found


def _is(said: Mark | None, key: Key) -> bool:
    return said is not None and (said.blob, said.recipe) == (key.blob, key.recipe)


def _delete(client: Client, doomed: Sequence[_Found]) -> None:
    tokens = iter(client.read([at for item in doomed for at in item.chunks], []))
    chunks = [[next(tokens) for _ in item.chunks] for item in doomed]
    # Taken first, as dying: whoever comes now sees that it is not whole, and after a kill the next cleaner goes on from here.
    dying = [
        Write("index", item.at, {**item.document.source, "done": False, "dying": True, "srcs": []}, item.document)
        for item in doomed
    ]
    taken = [
        (item, pieces, Document({}, outcome.seq_no, outcome.term))
        for item, pieces, outcome in zip(doomed, chunks, client.write(dying), strict=True)
        if outcome.status in (200, 201)
    ]
    client.write(
        Write("delete", at, seen=seen)
        for item, pieces, _ in taken
        for at, seen in zip(item.chunks, pieces, strict=True)
        if seen is not None
    )
    client.write(Write("delete", item.at, seen=token) for item, _, token in taken)


def _take_hint(client: Client, others: Sequence[_Found], src: str) -> None:
    tokens = iter(client.read([at for item in others for at in item.chunks], ["src"]))
    chunks = [[next(tokens) for _ in item.chunks] for item in others]
    writes = [
        Write(
            "index",
            item.at,
            {**item.document.source, "srcs": [name for name in item.document.source["srcs"] if name != src]},
            item.document,
        )
        for item in others
    ]
    outcomes = client.write(writes)
    client.write(
        Write("update", at, {"src": [name for name in seen.source["src"] if name != src]}, seen)
        for item, pieces, outcome in zip(others, chunks, outcomes, strict=True)
        if outcome.status in (200, 201)
        for at, seen in zip(item.chunks, pieces, strict=True)
        if seen is not None and src in seen.source["src"]
    )


# ------------------------------------------------------------------------------------------------------------- everything


def compact(client: Client, names: Names) -> None:
    """Looks at everything: garbage of all sources, versions and chunks that nobody names, old tombstones."""
    client.refresh(names.files, names.chunks)
    end_turning(client, names)
    for row in rows(client, names):
        release_dead(client, names, row.source)
        clean(client, names, row.source)
        old = row.state.get("indexed_at", time.time()) < time.time() - KEPT_S
        if old and not row.building and not row.snapshots:
            _expire(client, names, row)
    batch: list[Key] = []
    for hit in client.sweep(names.files, {"term": {"type": "version"}}, ["repo", "path", "blob", "recipe"]):
        batch.append(documents.key_of(hit["_source"]))
        if len(batch) == BATCH:
            remove(client, names, batch, "")
            batch.clear()
    remove(client, names, batch, "")
    _remove_orphans(client, names)
    client.refresh(names.files, names.chunks)
    client.call("POST", f"/{names.chunks},{names.files}/_forcemerge?only_expunge_deletes=true", patience_s=600)


def _remove_orphans(client: Client, names: Names) -> None:
    """Removes chunks whose version has no document: what writers left that were killed or came late."""
    batch: list[dict[str, Any]] = []

    def flush() -> None:
        keys = [documents.key_of(hit["_source"]) for hit in batch]
        places = [At(names.files, key.id, key.repo) for key in keys]
        orphans = [hit for hit, version in zip(batch, client.read(places, []), strict=True) if version is None]
        client.write(
            Write(
                "delete",
                At(names.chunks, hit["_id"], documents.key_of(hit["_source"]).repo),
                seen=Document({}, hit["_seq_no"], hit["_primary_term"]),
            )
            for hit in orphans
        )
        batch.clear()

    for hit in client.sweep(names.chunks, {"match_all": {}}, ["repo", "path", "blob", "recipe"]):
        batch.append(hit)
        if len(batch) == 1_000:
            flush()
    flush()


def _expire(client: Client, names: Names, row: Row) -> None:
    """Of a source that was published long ago: entries of aborted epochs are put right, tombstones removed."""
    old = set(row.aborted)
    hits = list(
        client.sweep(names.files, {"bool": {"filter": [{"term": {"type": "entry"}}, {"term": {"src": row.src}}]}})
    )
    places = [At(names.files, hit["_id"], row.source.repo) for hit in hits]

    def put_right(number: int, seen: Document | None) -> Write | None:
        if seen is None:
            return None
        history = History.of(seen.source)
        there = history.at(row.pointer, row.aborted)
        if history.cur.epoch > row.pointer and history.cur.epoch not in old:
            return None
        if there is None or not (there.blob or row.layers):
            return Write("delete", places[number], seen=seen)
        if there == history.cur:
            return None
        path = documents.back(seen.source["path"])
        return Write("index", places[number], documents.entry(row.src, row.source.repo, path, there, None), seen)

    client.settle(places, put_right)
    if old:
        at = row_at(names, row.source)

        def forget(number: int, seen: Document | None) -> Write | None:
            if seen is None or not old & set(seen.source["aborted"]):
                return None
            there = row_back(seen.source)
            kept = tuple(epoch for epoch in there.aborted if epoch not in old)
            return Write("index", at, row_out(replace(there, aborted=kept)), seen)

        client.settle([at], forget)
