"""The embedded store: one folder, no server, several reading processes beside one writing, safe against `kill -9`.

    quarry.db     SQLite: the truth. Versions, their text, who shows them, sources, the cache of vectors     rows, facts, texts
    words/        tantivy: the terms and words of every chunk                                                 words
    vectors.i8    the vectors, row after row                                                                  vectors
    identifiers   every distinct word, for parts of words and regular expressions                             identifiers
    writer.lock   held by the one process that writes                                                         lock

`writer` says in which order things are written, `view` how a reader sees all of it at one moment, `retrieve` how chunks are
found. Reading imports neither NumPy nor anything else that is slow to start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from os.path import join
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError, PathNotFound, StoreError
from codequarry.store import schema
from codequarry.store.embedded import identifiers, rows, vectors, words
from codequarry.store.embedded.faults import Faults, store_error
from codequarry.store.embedded.lock import WriterLock
from codequarry.store.embedded.retrieve import SCAN_ROWS, candidate_of, retrieve
from codequarry.store.embedded.rows import to_text, transaction
from codequarry.store.embedded.scoped import Found, Scoped
from codequarry.store.embedded.texts import Texts
from codequarry.store.embedded.view import Reader, View
from codequarry.types import (
    Candidate,
    Check,
    DumpRow,
    FileText,
    Request,
    Retrieved,
    Scope,
    Skipped,
    Source,
    SourceState,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from codequarry.ports import Embedder
    from codequarry.store.embedded.publish import EmbeddedPublication

_PREPARE_WAIT_S = 10.0
_TERM_HITS = 20  # so many chunks with a term are looked at to see whether it is known


class EmbeddedStore:
    """`codequarry.ports.Store` in the folder `path`; `create`: the index may be made there by `prepare`.

    Up to `scan_rows` vectors are compared with a question one by one; in a larger index only those of the chunks that the
    words found, unless the scope is small.

    Raises:
        IndexMissing: there is none, and `create` is False.
        SchemaMismatch: the index has a layout that this version cannot read.
        StoreError: it cannot be read.
    """

    def __init__(self, path: str | Path, *, create: bool = False, scan_rows: int = SCAN_ROWS) -> None:
        self.location = str(path)
        self._scan_rows = scan_rows
        self._faults = Faults(self.location)
        self._database = rows.Database(self.location)
        self._reader: Reader | None = None
        try:
            with self._faults:
                if self._database.exists():
                    self._open()
                elif not create:
                    raise schema.index_missing(self.location)
        except CodequarryError:
            self._database.close()
            raise

    def _open(self) -> Reader:
        if self._reader is None:
            if not self._database.exists():
                raise schema.index_missing(self.location)
            with self._database.snapshot() as connection:
                meta = rows.meta(connection)
            if meta["schema"] != schema.SCHEMA:
                raise schema.schema_mismatch(self.location, int(meta["schema"]))
            self._reader = Reader(self.location, self._database, int(meta["dim"]))
        return self._reader

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[Connection, View]]:
        with self._faults, self._open().reading() as (connection, view):
            yield connection, view

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._faults:
            self._open()
            with self._database.snapshot() as connection:
                yield connection

    # -------------------------------------------------------------------------------------------------------------- index

    def prepare(self, embedder: Embedder, recipe: str) -> None:
        """Makes the index if there is none, for vectors of this model."""
        with self._faults:
            if not self._database.exists():
                self._make(embedder, recipe)
            self._open()
            with self._database.borrowed() as connection:
                meta = rows.meta(connection)
                if meta["fingerprint"] != embedder.fingerprint:
                    raise schema.model_mismatch(self.location, built=meta["model"], asked=embedder.name)
                if meta["recipe"] != recipe:
                    connection.execute("update meta set value = ? where key = 'recipe'", (recipe,))

    def _make(self, embedder: Embedder, recipe: str) -> None:
        folder = Path(self.location)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            raise StoreError(
                f"no index can be made at {self.location}: {error.strerror}",
                hint="name a folder that can be made, with --store or CODEQUARRY_DATA_DIR",
            ) from error
        lock = WriterLock(self.location, "making the index", wait_s=_PREPARE_WAIT_S)
        try:
            if self._database.exists():
                return
            # The index is no part of the folder that it lies in, least of all when that is the one it indexes.
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            words.create(self.location)
            vectors.write(join(self.location, vectors.FILE), embedder.dim, [])
            identifiers.replace(join(self.location, identifiers.FILE), [])
            # The database last: without it there is no index.
            self._database.create(
                {
                    "schema": schema.SCHEMA,
                    "model": embedder.name,
                    "fingerprint": embedder.fingerprint,
                    "dim": embedder.dim,
                    "recipe": recipe,
                    "generation": 1,
                    "next_row": 0,
                }.items()
            )
        finally:
            lock.release()

    def model(self) -> tuple[str, str, int] | None:
        """Name, fingerprint and dimensions of the model of the index, None when there is no index yet."""
        with self._faults:
            if not self._database.exists():
                return None
            with self._database.snapshot() as connection:
                meta = rows.meta(connection)
        return str(meta["model"]), str(meta["fingerprint"]), int(meta["dim"])

    def sources(self) -> list[SourceState]:
        """Every source, sorted."""
        with self._faults:
            if self._reader is None and not self._database.exists():
                return []
            with self._snapshot() as connection:
                return [row.state for row in rows.sources(connection)]

    # ------------------------------------------------------------------------------------------------------------- writing

    def publish(self, source: Source, *, wait_s: float = 0.0) -> EmbeddedPublication:
        """Begins to change what the source shows. The whole index has one writer at a time."""
        from codequarry.store.embedded.publish import EmbeddedPublication

        with self._faults:
            self._open()
        return EmbeddedPublication(self.location, self._database, source, wait_s=wait_s, faults=self._faults)

    def forget(self, source: Source) -> None:
        """Removes the source and what no other source shows, from the disk too."""
        from codequarry.store.embedded.writer import writing

        with self._faults:
            self._open()
            with writing(self.location, self._database, f"forgetting {source}", wait_s=_PREPARE_WAIT_S) as writer:
                connection = writer.connection
                row = rows.source_row(connection, source)
                if row is None:
                    return
                with transaction(connection):
                    shown = connection.execute("select file from shown where source = ?", (row.id,)).fetchall()
                    for table in ("shown", "skipped", "hints"):
                        connection.execute(f"delete from {table} where source = ?", (row.id,))  # noqa: S608  the names above
                    connection.execute("delete from sources where id = ?", (row.id,))
                    writer.mark_dead(file for (file,) in shown)
                    writer.left_behind(row.id)
                    writer.changed()
                writer.purge()

    def compact(self) -> None:
        """Removes what no source shows any more and merges what was written in pieces."""
        from codequarry.store.embedded import upkeep
        from codequarry.store.embedded.writer import writing

        with self._faults:
            self._open()
            with writing(self.location, self._database, "compacting", wait_s=_PREPARE_WAIT_S) as writer:
                upkeep.compact(writer, self.location)

    # ------------------------------------------------------------------------------------------------------------- reading

    def retrieve(self, request: Request) -> Retrieved:
        """Candidates within the scope, with the scores of both legs."""
        with self._reading() as (connection, view):
            return retrieve(connection, view, request, scan_rows=self._scan_rows)

    def texts(self, candidates: Sequence[Candidate]) -> list[str]:
        """The text of each candidate, in order.

        Raises:
            StoreError: a candidate's version was removed since it was found (a minute after nobody shows it).
        """
        found: list[str] = []
        with self._reading() as (connection, view):
            texts = Texts(connection, view.kept, to_show=True)
            texts.load_facts([candidate.handle.file for candidate in candidates])
            for candidate in candidates:
                text = texts.chunk(candidate.handle.file, candidate.handle.number)
                if text is None:
                    raise StoreError(
                        f"{candidate.path} was changed while it was read", hint="search again", retryable=True
                    )
                found.append(text.decode())
        return found

    def chunks_of(self, source: Source, path: str) -> list[Candidate]:
        """All chunks of the file that the source shows at `path`, in order of lines, without scores."""
        with self._reading() as (connection, view):
            file, _ = self._shown(connection, source, path)
            scoped = Scoped(connection, view, Scope(sources=(source,)))
            scoped.load([file.id])
            facts = scoped.texts.facts(file)
            count = facts.chunks if facts else 0
            found = [candidate_of(scoped, Found(file, number, file.first_row + number)) for number in range(count)]
            return sorted(
                (candidate for candidate in found if candidate is not None),
                key=lambda one: (one.start_line, one.end_line),
            )

    def read_file(self, source: Source, path: str) -> FileText:
        """The whole text of the file as the source shows it."""
        with self._snapshot() as connection:
            file, modified = self._shown(connection, source, path)
            row = rows.source_row(connection, source)
            assert row is not None
            text = rows.whole_text(connection, file.id).decode()
            return FileText(source, row.state.commit, path, file.blob, file.language, text, modified)

    def _shown(self, connection: Connection, source: Source, path: str) -> tuple[rows.FileRow, bool]:
        row = rows.source_row(connection, source)
        shown = rows.shown_file(connection, row, path) if row else None
        if shown is None:
            raise PathNotFound(f"{source} has no file {path}", hint="codequarry status lists what is indexed")
        return shown

    def paths(self, source: Source) -> list[str]:
        """The paths that the source shows, sorted."""
        with self._snapshot() as connection:
            row = rows.source_row(connection, source)
            if row is None:
                return []
            query = "select f.path from shown s join files f on f.id = s.file where s.source = ?"
            return sorted(to_text(path) for (path,) in connection.execute(query, (row.id,)))

    def unknown_terms(self, terms: Sequence[str], scope: Scope) -> list[str]:
        """Those terms that no chunk has. Of a term that few chunks have it is seen whether the scope shows them."""
        with self._reading() as (connection, view):
            scoped = Scoped(connection, view, Scope(sources=scope.sources, access=scope.access))
            unknown = []
            for term in dict.fromkeys(terms):
                hits = view.words.hits(view.words.scoring({term: 1.0}, (1.0, 1.0, 1.0)), _TERM_HITS)
                scoped.load(hit.file for hit in hits)
                if len(hits) < _TERM_HITS and not any(scoped.admits(hit.file, hit.row) for hit in hits):
                    unknown.append(term)
            return unknown

    def skipped(self, source: Source) -> list[Skipped]:
        """What the last publication left out, sorted by path."""
        with self._snapshot() as connection:
            row = rows.source_row(connection, source)
            return rows.skipped(connection, row.id) if row else []

    def hints(self, source: Source) -> bytes:
        """What `commit` was given last."""
        with self._snapshot() as connection:
            row = rows.source_row(connection, source)
            found = row and connection.execute("select data from hints where source = ?", (row.id,)).fetchone()
            return bytes(found[0]) if found else b""

    # ----------------------------------------------------------------------------------------------------- cache of vectors

    def vectors(self, fingerprint: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The cached vectors of these keys; missing ones are left out."""
        found: dict[str, bytes] = {}
        with self._snapshot() as connection:
            for key in keys:
                row = connection.execute(
                    "select vector from cached where model = ? and key = ?", (fingerprint, key)
                ).fetchone()
                if row:
                    found[key] = row[0]
        return found

    def keep_vectors(self, fingerprint: str, vectors: Mapping[str, bytes]) -> None:
        """Adds to the cache that `vectors` reads."""
        with self._faults:
            self._open()
            with self._database.borrowed() as connection, transaction(connection):
                connection.executemany(
                    "insert or replace into cached values(?, ?, ?)",
                    ((fingerprint, key, vector) for key, vector in vectors.items()),
                )

    # -------------------------------------------------------------------------------------------------------------- upkeep

    def dump(self, source: Source | None = None) -> Iterator[DumpRow]:
        """Every visible chunk (of one source), sorted."""
        from codequarry.store.embedded import upkeep

        with self._faults:
            yield from upkeep.dump(self._open(), source)

    def check(self) -> list[Check]:
        """The state of the store's parts."""
        from codequarry.store.embedded import upkeep

        found: list[Check] = []
        try:
            self._open()
            found.extend(upkeep.check(self.location, self._database))
        except CodequarryError as error:
            found.append(Check("index", False, error.message, error.hint))
        except Exception as error:  # whatever is broken is what is asked for
            broken = store_error(self.location, error)
            found.append(Check("index", False, broken.message, broken.hint))
        return found

    def close(self) -> None:
        """Frees what the store holds."""
        self._reader = None
        self._database.close()
