"""The store on Elasticsearch, 8.19 or 9.x of any distribution, without any paid feature (`codequarry.ports.Store`).

client.py     HTTP, bulk writes, compare-and-set       publish.py   the way in: publication by epochs
mapping.py    indices, versions, model                 clean.py     what no source shows any more
documents.py  ids; records to documents and back       query.py     a request as a search
ledger.py     rows of sources, leases, epochs          read.py      the way out: search, then ask the entries
layers.py     beginning with what another shows        history.py   what an entry says at an epoch
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from codequarry.errors import CodequarryError, IndexMissing, PathNotFound, StoreError
from codequarry.ports import Embedder
from codequarry.store.elastic import checks, clean, documents, mapping
from codequarry.store.elastic.client import At, Client, Document, Write, pause
from codequarry.store.elastic.documents import Key, Mark
from codequarry.store.elastic.history import Moved
from codequarry.store.elastic.layers import shown_marks
from codequarry.store.elastic.ledger import Row, announce, part_at, row_at, row_back, row_out, rows
from codequarry.store.elastic.publish import ElasticPublication
from codequarry.store.elastic.read import Reader, confirmed, entries_of, place
from codequarry.store.schema import index_missing, terms_hash
from codequarry.text import content_hash
from codequarry.types import (
    Candidate,
    Check,
    Chunk,
    DumpRow,
    FileText,
    Request,
    Retrieved,
    Scope,
    Skipped,
    Source,
    SourceState,
)

T = TypeVar("T")

_TRIES = 20
_DUMP_FILES = 200  # whose chunks are read together


class ElasticStore:
    """An index in Elasticsearch. Safe for threads; nothing is sent before it is needed but one look whether there is an index."""

    def __init__(
        self, url: str, *, prefix: str = "codequarry", api_key: str = "", ca_file: str = "", create: bool = False
    ) -> None:
        """`url` may hold user and password; `api_key` is taken from CODEQUARRY_ELASTICSEARCH_API_KEY when it is not given.

        `ca_file`: the authorities (PEM) that may vouch for the server; without it those of the system.

        Raises:
            IndexMissing: there is no index there, unless `create`; `prepare` makes it then.
            StoreError: the server does not answer.
        """
        self._client = Client(url, api_key or os.environ.get("CODEQUARRY_ELASTICSEARCH_API_KEY", ""), ca_file)
        self._names = mapping.Names(prefix)
        self._reader = Reader(self._client, self._names)
        self._model: mapping.Model | None = None
        self._recipe = ""
        self.location = self._client.url
        try:
            if self.model() is None and not create:
                raise index_missing(self.location)
        except CodequarryError:
            self.close()
            raise

    # ------------------------------------------------------------------------------------------------------- the index

    def prepare(self, embedder: Embedder, recipe: str) -> None:
        """Makes the indices that are missing, for vectors of this model, and checks those that are there."""
        self._model = mapping.prepare(self._client, self._names, embedder)
        self._recipe = recipe

    def model(self) -> tuple[str, str, int] | None:
        """Name, fingerprint and dimensions of the model of the index, None when there is no index yet."""
        if self._model is None:
            self._model = mapping.found_model(self._client, self._names)
        return None if self._model is None else (self._model.name, self._model.fingerprint, self._model.dim)

    def _known_model(self) -> mapping.Model:
        if self._model is None and self.model() is None:
            raise index_missing(self.location)
        assert self._model is not None
        return self._model

    def compact(self) -> None:
        """Removes what no source shows any more, and merges away what was deleted."""
        model = self._known_model()
        clean.compact(self._client, self._names)
        mapping.grow(self._client, self._names, model)

    def check(self) -> list[Check]:
        """The state of server and indices. Never raises."""
        return checks.check(self._client, self._names)

    @property
    def waited_ms(self) -> float:
        """How long this thread has waited for the server's answers so far."""
        return self._client.waited_ms

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    # ---------------------------------------------------------------------------------------------------------- sources

    def sources(self) -> list[SourceState]:
        """Every source, also those that are published for the first time now, sorted."""
        try:
            return [row.as_state() for row in rows(self._client, self._names) if not row.forgotten]
        except IndexMissing:
            return []

    def publish(self, source: Source, *, wait_s: float = 0.0) -> ElasticPublication:
        """Begins to change what the source shows."""
        self._known_model()
        return ElasticPublication(self._client, self._names, source, self._recipe, wait_s)

    def forget(self, source: Source) -> None:
        """Removes the source and what no other source shows.

        Its row stays, marked, so that its epochs go on where they were if it ever comes back.
        """
        row = self._row(source)
        if row is None:
            return
        with self.publish(source) as publication:
            lease = publication.clear()
        at = row_at(self._names, source)
        parts: list[At] = []

        def mark(number: int, seen: Document | None) -> Write | None:
            there = row_back(seen.source) if seen else None
            if there is None or there.forgotten or there.epoch != lease.epoch:
                return None  # it was published anew meanwhile
            parts[:] = self._parts(there, "hints") + self._parts(there, "skipped")
            return Write("index", at, row_out(replace(there, forgotten=True, parts={}, state={})), seen)

        self._client.settle([at], mark, refresh=True)
        self._client.write(Write("delete", part) for part in parts)
        announce(self._client, self._names, ended=lease)
        self._reader.forget_view()

    def _row(self, source: Source) -> Row | None:
        document = self._client.get(row_at(self._names, source))
        row = row_back(document.source) if document else None
        return None if row is None or row.forgotten else row

    def _committed(self, source: Source) -> Row:
        row = self._row(source)
        if row is None or not row.pointer:
            raise PathNotFound(f"{source} is not indexed", hint="`codequarry repositories` lists what is")
        return row

    def skipped(self, source: Source) -> list[Skipped]:
        """What the last publication left out, sorted by path."""
        data = self._part(source, "skipped")
        return [Skipped(*map(documents.back, item)) for item in json.loads(data)] if data else []

    def hints(self, source: Source) -> bytes:
        """What the last commit was given, b"" when nothing."""
        return self._part(source, "hints")

    def _part(self, source: Source, what: str) -> bytes:
        def read() -> bytes:
            row = self._row(source)
            if row is None or not row.pointer:
                return b""
            found = self._client.read(self._parts(row, what))
            if any(part is None for part in found):
                raise Moved  # the next commit removed them
            return documents.unpack([part.source["data"] for part in found if part is not None])

        return _again(read)

    def _parts(self, row: Row, what: str) -> list[At]:
        return [part_at(self._names, row.source, row.pointer, what, number) for number in range(row.parts.get(what, 0))]

    # ---------------------------------------------------------------------------------------------------------- asking

    def retrieve(self, request: Request) -> Retrieved:
        """Candidates within the scope; see `codequarry.ports.Store.retrieve`."""
        return self._reader.retrieve(request, self._known_model().dim)

    def texts(self, candidates: Sequence[Candidate]) -> list[str]:
        """The text of each candidate; those that a search brought have it with them."""
        return [candidate.handle for candidate in candidates]

    def unknown_terms(self, terms: Sequence[str], scope: Scope) -> list[str]:
        """Those terms that no chunk has, of the scope's sources where it names some."""
        asked = list(dict.fromkeys(terms))
        if not asked:
            return []
        narrow = [] if scope.sources is None else [{"terms": {"src": self._reader.hints(scope.sources)}}]
        lines: list[dict[str, Any]] = []
        for term in asked:
            either = [{"term": {field: term}} for field in ("t_content", "t_path", "t_names")]
            query = {"bool": {"should": either, "filter": narrow, "minimum_should_match": 1}}
            lines += [
                {"index": self._names.chunks},
                {"size": 0, "terminate_after": 1, "track_total_hits": 1, "query": query},
            ]
        body = b"".join([json.dumps(line).encode() + b"\n" for line in lines])
        _, answer = self._client.call("POST", "/_msearch", body, lines=True)
        unknown = []
        for term, found in zip(asked, answer["responses"], strict=True):
            if "error" in found:
                raise StoreError(f"a search failed: {found['error'].get('reason')}", hint="try again", retryable=True)
            if not found["hits"]["total"]["value"]:
                unknown.append(term)
        return unknown

    # ----------------------------------------------------------------------------------------------------------- files

    def chunks_of(self, source: Source, path: str) -> list[Candidate]:
        """All chunks of the file that the source shows at `path`, in order of lines."""
        row, mark, _, chunks = self._file(source, path)
        where = [place(row.as_state(), mark.modified)]
        return [documents.candidate(chunk, where) for chunk in chunks]

    def read_file(self, source: Source, path: str) -> FileText:
        """The whole text of the file as the source shows it."""
        row, mark, version, chunks = self._file(source, path)
        text = version["lead"] + "".join([chunk["text"] + chunk["gap"] for chunk in chunks])
        return FileText(source, row.as_state().commit, path, mark.blob, version["language"], text, mark.modified)

    def _file(self, source: Source, path: str) -> tuple[Row, Mark, dict[str, Any], list[dict[str, Any]]]:
        def read() -> tuple[Row, Mark, dict[str, Any], list[dict[str, Any]]]:
            row = self._committed(source)
            places = entries_of(self._names, source.repo, row.stack, path)
            mark = confirmed(row.stack, iter(self._client.read(places)))
            if mark is None or not mark.blob:
                raise PathNotFound(f"{source} has no file {path}", hint="`codequarry search path:…` finds files")
            key = Key(source.repo, path, mark.blob, mark.recipe)
            (pair,) = self._files([key], row)
            return row, mark, *pair

        return _again(read)

    def _files(self, keys: Sequence[Key], row: Row) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Versions and their chunks' documents, in order. Raises Moved where some are gone because the pointer moved."""
        versions = self._client.read([At(self._names.files, key.id, key.repo) for key in keys])
        places = [
            [At(self._names.chunks, chunk_id, key.repo) for chunk_id in documents.chunk_ids(version.source)]
            if version
            else []
            for key, version in zip(keys, versions, strict=True)
        ]
        chunks = iter(self._client.read([at for some in places for at in some]))
        found = []
        for version, some in zip(versions, places, strict=True):
            pieces = [next(chunks) for _ in some]
            if version is None or any(piece is None for piece in pieces):
                now = self._row(row.source)
                if now is None or now.pointer != row.pointer:
                    raise Moved
                raise StoreError(
                    f"chunks of {row.source} are missing from the index",
                    hint="index it again; `codequarry doctor` says more",
                )
            found.append((version.source, [piece.source for piece in pieces if piece is not None]))
        return found

    def paths(self, source: Source) -> list[str]:
        """The paths that the source shows, sorted."""
        try:
            return sorted(self._marks(self._committed(source))[1])
        except PathNotFound:
            return []

    def _marks(self, row: Row) -> tuple[Row, dict[str, Mark]]:
        """What a source shows by path, and the row as of which it does."""

        def read() -> tuple[Row, dict[str, Mark]]:
            before = self._committed(row.source)
            found = shown_marks(self._client, self._names, row.source.repo, before.stack)
            if self._committed(row.source).pointer != before.pointer:
                raise Moved
            return before, found

        return _again(read)

    def dump(self, source: Source | None = None) -> Iterator[DumpRow]:
        """Every visible chunk (of one source), sorted."""
        there = rows(self._client, self._names)
        wanted = [row for row in there if source in (None, row.source)]
        for row in wanted:
            if row.pointer and not row.forgotten:
                yield from self._dump(row)

    def _dump(self, row: Row) -> Iterator[DumpRow]:
        row, marks = self._marks(row)
        paths = sorted(marks)
        for first in range(0, len(paths), _DUMP_FILES):
            some = paths[first : first + _DUMP_FILES]
            keys = [Key(row.source.repo, path, marks[path].blob, marks[path].recipe) for path in some]
            for path, (_, chunks) in zip(some, self._files(keys, row), strict=True):
                for chunk in chunks:
                    yield _dump_row(row.source, path, marks[path], chunk)

    # ---------------------------------------------------------------------------------------------------------- vectors

    def vectors(self, fingerprint: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The cached vectors of these keys; missing ones are left out."""
        found = self._client.read([self._vector_at(fingerprint, key) for key in keys])
        return {key: bytes.fromhex(item.source["v"]) for key, item in zip(keys, found, strict=True) if item is not None}

    def keep_vectors(self, fingerprint: str, vectors: Mapping[str, bytes]) -> None:
        """Adds to the cache."""
        self._client.write(
            Write("index", self._vector_at(fingerprint, key), {"v": vector.hex()}) for key, vector in vectors.items()
        )

    def _vector_at(self, fingerprint: str, key: str) -> At:
        return At(self._names.vectors, f"{fingerprint}:{key}", key)


def _again(read: Callable[[], T]) -> T:
    """Reads until no pointer moved meanwhile."""
    for attempt in range(_TRIES):
        try:
            return read()
        except Moved:
            pause(attempt)
    raise StoreError("the source changes faster than it can be read", hint="try again", retryable=True)


def _dump_row(source: Source, path: str, mark: Mark, chunk: Mapping[str, Any]) -> DumpRow:
    hashed = Chunk(0, 0, 0, 0, "", "", terms=chunk["t_content"], names=chunk["t_names"], raw=chunk["raw"])
    return DumpRow(
        repo=source.repo,
        branch=source.branch,
        path=path,
        blob=mark.blob,
        modified=mark.modified,
        start_line=chunk["start"],
        end_line=chunk["end"],
        kind=chunk["kind"],
        text_hash=content_hash(chunk["text"].encode()),
        terms_hash=terms_hash(hashed, chunk["t_path"]),
        vector_hash=content_hash(bytes.fromhex(chunk["vector"])),
        symbols=documents.symbols(dict(chunk)),
    )


__all__ = ["ElasticStore"]
