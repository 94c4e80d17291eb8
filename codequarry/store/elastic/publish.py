"""Publication by epochs: what a source shows changes in one compare-and-set, whatever died or came late before.

1. take the row: the next epoch, the lease        4. one refresh, until no copy has missed it
2. put: version (held by this epoch), chunks,     5. move the pointer: the one moment of change
   version done                                   6. clean what is shown no more
3. commit: entries with this epoch, and chunks
   of versions used again touched

A version is the unit of sharing: sources that show equal bytes share its chunks. Whoever relies on one holds it first (`pins`
on its document, by compare-and-set), so that a cleaner that has looked before loses its own compare-and-set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from codequarry.errors import StoreError
from codequarry.store.elastic import documents
from codequarry.store.elastic.clean import clean
from codequarry.store.elastic.client import ROUNDS, At, Client, Document, Write
from codequarry.store.elastic.documents import Key, Mark
from codequarry.store.elastic.history import History, Layer
from codequarry.store.elastic.layers import Beginning, begin, marks_at, release, shown_marks
from codequarry.store.elastic.ledger import Lease, Row, announce, part_at
from codequarry.store.elastic.mapping import Names
from codequarry.types import FileKey, FileVersion, Shown, Skipped, Source, SourceState


@dataclass(frozen=True, slots=True)
class _Held:
    """A version that this publication holds. `hinted`: its chunks name this source already."""

    key: Key
    chunks: int
    size: int
    hinted: bool


class ElasticPublication:
    """One change of what a source shows; see `codequarry.ports.Publication`."""

    def __init__(self, client: Client, names: Names, source: Source, recipe: str, wait_s: float) -> None:
        self._client, self._names, self.source, self._recipe = client, names, source, recipe
        self._lease = Lease(client, names, source, wait_s)
        self._src = documents.source_id(source)
        self._since, self._layers = self._lease.row.since, self._lease.row.layers
        self._begun: Beginning | None = None
        self._held: dict[FileKey, _Held] = {}
        self._shown: dict[str, Mark] | None = None
        self._beneath: dict[str, Mark] = {}
        self._ended = self._is_cleared = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            self._ended = True
            try:
                self._lease.release()
                if self._begun is not None:
                    release(self._client, self._names, self.source, self._lease.epoch, self._begun.layers)
            except StoreError:
                if kind is None:
                    raise  # else the error that ended the publication is the one to see

    # ---------------------------------------------------------------------------------------------------------- before

    def shown(self) -> Mapping[str, Shown]:
        """What the source shows now, by path. A version made by another recipe stands there without its blob."""
        return {
            path: Shown(path, mark.blob if mark.recipe == self._recipe else "", mark.modified)
            for path, mark in self._marks().items()
        }

    def begin_with(self, base: Source) -> Mapping[str, Shown]:
        """Has a source that was never published stand on what another shows now: only differences are written then."""
        fresh = self._begun is None and not self._lease.row.state.get("indexed_at")
        if fresh and base.repo == self.source.repo and base != self.source:
            self._lease.hold()
            self._begun = begin(self._client, self._names, self.source, self._lease.epoch, base)
            if self._begun is not None:
                self._since, self._layers, self._shown = self._lease.epoch, self._begun.layers, None
        return self.shown()

    @property
    def _own(self) -> Layer:
        row = self._lease.row
        return Layer(self.source.branch, self._since, row.pointer, row.aborted)

    def _marks(self) -> dict[str, Mark]:
        if self._shown is None:
            self._client.refresh(self._names.files)
            self._beneath = shown_marks(self._client, self._names, self.source.repo, self._layers)
            own = shown_marks(self._client, self._names, self.source.repo, [self._own], hidden=True)
            self._shown = {path: mark for path, mark in {**self._beneath, **own}.items() if mark.blob}
        return self._shown

    def have(self, keys: Iterable[FileKey]) -> set[FileKey]:
        """Those versions that are whole in the store; they are held from now on, so that no cleaner takes them away."""
        self._lease.hold()
        asked = list(dict.fromkeys(keys))
        places = [self._version_at(self._key(key)) for key in asked]
        found: dict[FileKey, _Held] = {}

        def hold(number: int, seen: Document | None) -> Write | None:
            key = asked[number]
            found.pop(key, None)
            if seen is None or not seen.source["done"]:
                return None
            found[key] = self._as_held(seen.source)
            if seen.source["pins"].get(self._src) == self._lease.epoch:
                return None
            return Write("index", places[number], documents.pinned(seen.source, self._src, self._lease.epoch), seen)

        self._client.settle(places, hold)
        self._held |= found
        return set(found)

    # ------------------------------------------------------------------------------------------------------------- put

    def put(self, files: Sequence[FileVersion]) -> None:
        """Makes the files durable; they are not shown yet."""
        self._lease.hold()
        wanted = {file.key: file for file in files}
        keys, versions = list(wanted), list(wanted.values())
        places = [self._version_at(self._key(key)) for key in keys]
        begun: set[FileKey] = set()

        def begin(number: int, seen: Document | None) -> Write | None:
            key = keys[number]
            begun.discard(key)
            if seen is not None and seen.source["done"]:
                self._held[key] = self._as_held(seen.source)
                held = seen.source
            else:
                begun.add(key)
                self._held.pop(key, None)
                held = documents.version(self._key(key), versions[number], self._src, self._lease.epoch)
                if seen is not None:  # begun before, by a stopped try or by another source right now
                    held["pins"] = {**seen.source["pins"], **held["pins"]}
            if (
                seen is not None
                and not seen.source.get("dying")
                and seen.source["pins"].get(self._src) == self._lease.epoch
            ):
                return None
            pinned = documents.pinned(held, self._src, self._lease.epoch)
            return Write("index" if seen else "create", places[number], pinned, seen)

        self._client.settle(places, begin)
        fresh = [file for file in versions if file.key in begun]
        self._put_chunks(fresh)
        self._finish(fresh)

    def _put_chunks(self, files: Sequence[FileVersion]) -> None:
        """Writes the chunks; those that are there already are touched.

        They were left by a stopped try, or written by another source. Touching them, even where they name this source, is what
        beats a late cleaner; those that it took away in between are written again.
        """
        waiting: set[At] | None = None
        for _ in range(ROUNDS):
            sent: list[At] = []
            outcomes = self._client.write(self._creations(files, waiting, sent))
            there = [at for at, outcome in zip(sent, outcomes, strict=True) if outcome.status not in (200, 201)]
            waiting = set(self._touch(there))
            if not waiting:
                return
        raise StoreError("chunks are removed while they are written", hint="run again", retryable=True)

    def _creations(self, files: Sequence[FileVersion], only: set[At] | None, sent: list[At]) -> Iterator[Write]:
        for file in files:
            key = self._key(file.key)
            for number, chunk in enumerate(file.chunks):
                at = self._chunk_at(key, key.chunk_id(chunk.start_line, chunk.end_line))
                if only is None or at in only:
                    sent.append(at)
                    yield Write("create", at, documents.chunk(key, file, number, self._src))

    def _touch(self, places: Sequence[At]) -> list[At]:
        """Writes this source into the hint of each chunk; returns those that are not there."""
        touched: set[int] = set()
        missing: set[int] = set()

        def touch(number: int, seen: Document | None) -> Write | None:
            missing.discard(number)
            if seen is None:
                missing.add(number)
                return None
            if number in touched and self._src in seen.source["src"]:
                return None
            touched.add(number)
            sources = sorted({*seen.source["src"], self._src})
            return Write("update", places[number], {"src": sources}, seen)

        self._client.settle(places, touch, fields=["src"])
        return [places[number] for number in sorted(missing)]

    def _finish(self, files: Sequence[FileVersion]) -> None:
        places = [self._version_at(self._key(file.key)) for file in files]

        def finish(number: int, seen: Document | None) -> Write | None:
            if seen is None or seen.source.get("dying") or self._src not in seen.source["pins"]:
                raise StoreError("a version was removed while it was written", hint="run again", retryable=True)
            if seen.source["done"] and self._src in seen.source["srcs"]:
                return None
            sources = sorted({*seen.source["srcs"], self._src})
            return Write("index", places[number], {**seen.source, "done": True, "srcs": sources}, seen)

        self._client.settle(places, finish)
        for file in files:
            self._held[file.key] = _Held(self._key(file.key), len(file.chunks), len(file.text), True)

    # ---------------------------------------------------------------------------------------------------------- commit

    def commit(
        self,
        state: SourceState,
        *,
        show: Iterable[Shown],
        hide: Iterable[str] = (),
        skipped: Iterable[Skipped] = (),
        hints: bytes = b"",
    ) -> SourceState:
        """Shows these versions, hides those paths, all at once."""
        if self._ended:
            raise StoreError("this publication has ended", hint="begin another one")
        row, _ = self._lease.hold()
        wanted = {item.path: item for item in show}
        self._use(wanted.values())
        marks = {path: self._mark(item) for path, item in wanted.items()}
        marks |= {path: Mark(self._lease.epoch, "") for path in hide if path not in wanted}
        files, chunks, size, gone = self._write_entries(marks)
        left_out = sorted(skipped)
        listed = json.dumps([[documents.out(text) for text in item] for item in left_out]).encode() if left_out else b""
        parts = {"hints": self._write_parts("hints", hints), "skipped": self._write_parts("skipped", listed)}
        unused = [
            held.key for key, held in self._held.items() if key.path not in wanted or wanted[key.path].blob != key.blob
        ]
        gone = list(dict.fromkeys(gone + unused))
        written = self._write_parts(
            "garbage", json.dumps([[documents.out(text) for text in key] for key in gone]).encode() if gone else b""
        )
        self._client.refresh(self._names.chunks, self._names.files)
        before = self._begun.state if self._begun is not None else row.state
        if self._is_cleared:  # what the source began with was counted too, and has no entries of its own to take off
            before, files, chunks, size = {}, 0, 0, 0
        final = replace(
            state,
            source=self.source,
            files=before.get("files", 0) + files,
            chunks=before.get("chunks", 0) + chunks,
            size_bytes=before.get("size_bytes", 0) + size,
            skipped=len(left_out),
            indexed_at=time.time(),
            building=False,
        )

        def new(there: Row) -> Row:
            return replace(
                there,
                pointer=self._lease.epoch,
                building=False,
                owner={},
                lease=0.0,
                parts=parts,
                garbage=there.garbage + (((self._lease.epoch, written),) if written else ()),
                since=self._since,
                layers=self._layers,
                state=documents.state_out(final),
            )

        moved = self._lease.move(new)
        self._ended = True
        self._lease.row, self._shown = moved, None
        if (row.state.get("default"), row.state.get("access")) != (final.default, list(final.access)):
            announce(self._client, self._names, ended=self._lease)
        self._remove_parts(row.pointer, row.parts)
        clean(self._client, self._names, self.source)
        return moved.as_state()

    def clear(self) -> Lease:
        """Shows nothing any more, not even what the source began with; returns the lease under which it does."""
        row, self._layers, self._shown, self._is_cleared = self._lease.row, (), None, True
        announce(self._client, self._names, begins=self._lease)
        self.commit(replace(row.as_state(), files=0), show=(), hide=list(self._marks()))
        release(self._client, self._names, self.source, row.since, row.layers)
        for layer in row.layers:
            clean(self._client, self._names, Source(self.source.repo, layer.branch))
        return self._lease

    def _use(self, items: Iterable[Shown]) -> None:
        """Makes sure that every version to be shown is held, whole, and names this source in the hints of its chunks."""
        unknown = [
            key
            for item in items
            if (key := FileKey(item.path, item.blob)) not in self._held
            and ((there := self._marks().get(item.path)) is None or there.blob != item.blob)
        ]
        missing = set(unknown) - self.have(unknown) if unknown else set()
        if missing:
            example = min(missing)
            raise StoreError(
                f"{len(missing)} versions to be shown were never put, such as {example.path}", hint="put them first"
            )
        todo = [
            held
            for item in items
            if (held := self._held.get(FileKey(item.path, item.blob))) is not None and not held.hinted
        ]
        for first in range(0, len(todo), 500):
            self._lease.hold()
            batch = todo[first : first + 500]
            places = [self._version_at(held.key) for held in batch]
            versions = self._client.read(places)
            if any(version is None or not version.source["done"] for version in versions):
                raise StoreError("a version was removed before it was shown", hint="run again", retryable=True)
            chunks = [
                self._chunk_at(held.key, chunk_id)
                for held, version in zip(batch, versions, strict=True)
                if version is not None
                for chunk_id in documents.chunk_ids(version.source)
            ]
            if self._touch(chunks):
                raise StoreError(
                    "chunks of a version are missing", hint="codequarry repositories remove, then codequarry index"
                )

            def name(number: int, seen: Document | None, places: Sequence[At] = places) -> Write | None:
                if seen is None or not seen.source["done"]:
                    raise StoreError("a version was removed before it was shown", hint="run again", retryable=True)
                if self._src in seen.source["srcs"]:
                    return None
                sources = sorted({*seen.source["srcs"], self._src})
                return Write("index", places[number], {**seen.source, "srcs": sources}, seen)

            self._client.settle(places, name)

    def _mark(self, item: Shown) -> Mark:
        held = self._held.get(FileKey(item.path, item.blob))
        if held is not None:
            return Mark(self._lease.epoch, item.blob, self._recipe, item.modified, held.chunks, held.size)
        there = self._marks()[item.path]
        return there._replace(epoch=self._lease.epoch, modified=item.modified)

    def _write_entries(self, marks: Mapping[str, Mark]) -> tuple[int, int, int, list[Key]]:
        """Writes the entries; returns how files, chunks and bytes grow with them, and the versions shown no more."""
        row, layer = self._lease.row, self._own
        paths = list(marks)
        beneath = self._beneath_at(paths)
        places = [At(self._names.files, documents.entry_id(self._src, path), self.source.repo) for path in paths]
        before: dict[str, Mark | None] = {}

        def write(first: int, number: int, seen: Document | None) -> Write | None:
            number += first
            path = paths[number]
            history = History.of(seen.source) if seen else None
            if history is not None and history.cur.epoch > self._lease.epoch:
                self._lease.hold()  # raises: a later publication has begun
            own = layer.mark(history)
            base = beneath.get(path) if own is None else own
            before[path], new = base, marks[path]
            if (history and history.cur == new) or (base is None and not new.blob):
                return None
            shown = own is None or (history is not None and own is history.cur)
            if base is not None and shown and base._replace(epoch=0) == new._replace(epoch=0):
                return None  # it is shown already
            if history is None:
                return Write("create", places[number], self._entry(path, History(new)))
            then = history.then(new, row.pointer, row.aborted, row.snapshots.values())
            return Write("index", places[number], self._entry(path, then), seen)

        for first in range(0, len(paths), 5_000):
            if first:
                self._lease.hold()
            last = min(first + 5_000, len(paths))
            self._client.settle(places[first:last], partial(write, first))
        files = chunks = size = 0
        gone = []
        for path, new in marks.items():
            old = before[path]
            if old is not None and old.blob:
                files, chunks, size = files - 1, chunks - old.chunks, size - old.size
                if (old.blob, old.recipe) != (new.blob, new.recipe):
                    gone.append(Key(self.source.repo, path, old.blob, old.recipe))
            if new.blob:
                files, chunks, size = files + 1, chunks + new.chunks, size + new.size
        return files, chunks, size, gone

    def _beneath_at(self, paths: Sequence[str]) -> Mapping[str, Mark]:
        """What the layers beneath show at those of these paths of which the source's own entries say nothing."""
        if self._shown is not None or not self._layers:
            return self._beneath if self._layers else {}
        own = self._client.read(
            [At(self._names.files, documents.entry_id(self._src, path), self.source.repo) for path in paths]
        )
        # Of the others it may be forgotten what they were beneath.
        asked = [
            path
            for path, entry in zip(paths, own, strict=True)
            if self._own.mark(None if entry is None else History.of(entry.source)) is None
        ]
        return marks_at(self._client, self._names, self.source.repo, self._layers, asked)

    def _entry(self, path: str, history: History) -> dict[str, Any]:
        return documents.entry(self._src, self.source.repo, path, *history)

    def _write_parts(self, what: str, data: bytes) -> int:
        texts = documents.pack(data)
        self._client.write(
            Write(
                "index",
                part_at(self._names, self.source, self._lease.epoch, what, number),
                {"type": "part", "data": text},
            )
            for number, text in enumerate(texts)
        )
        return len(texts)

    def _remove_parts(self, epoch: int, parts: Mapping[str, int]) -> None:
        self._client.write(
            Write("delete", part_at(self._names, self.source, epoch, what, number))
            for what, count in parts.items()
            for number in range(count)
        )

    # ---------------------------------------------------------------------------------------------------------- places

    def _key(self, key: FileKey) -> Key:
        return Key(self.source.repo, key.path, key.blob, self._recipe)

    def _version_at(self, key: Key) -> At:
        return At(self._names.files, key.id, key.repo)

    def _chunk_at(self, key: Key, chunk_id: str) -> At:
        return At(self._names.chunks, chunk_id, key.repo)

    def _as_held(self, version: Mapping[str, Any]) -> _Held:
        return _Held(
            documents.key_of(dict(version)), len(version["lines"]), version["size"], self._src in version["srcs"]
        )
