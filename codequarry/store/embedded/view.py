"""What a reader sees: one snapshot of the database, and words, vectors and identifiers that go with it.

Words are committed before the database shows their files, and removed long after it stopped showing them, so an index of words
that is opened *after* the snapshot was taken has all that the snapshot shows, unless two publications passed in between. Then
`generation` has changed, and the reader begins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os.path import join
from sqlite3 import Connection
from typing import NamedTuple

from codequarry.store.embedded import identifiers, rows, vectors
from codequarry.store.embedded.texts import Kept
from codequarry.store.embedded.words import Words


class View(NamedTuple):
    """The files beside the database, as they belong to one generation of it."""

    generation: int
    words: Words
    vectors: vectors.Vectors
    identifiers: identifiers.Identifiers
    sources: dict[int, rows.SourceRow]
    rows: int  # chunks that any source shows, each counted once for each source
    files: dict[int, tuple[rows.FileRow, list[tuple[int, bool]]]]  # versions that were looked up, and who shows them
    owners: dict[int, int]  # rows that were looked up, and the file versions that own them
    kept: Kept
    memo: dict[object, object]  # sets of files that were looked up


class Reader:
    """Opens views, and keeps the last one while nothing changes."""

    def __init__(self, folder: str, database: rows.Database, dim: int) -> None:
        self._folder = folder
        self._database = database
        self._dim = dim
        self._view: View | None = None

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, View]]:
        """A connection in a transaction and the view that goes with what it sees."""
        while True:
            with self._database.snapshot() as connection:
                number = rows.generation(connection)
                view = self._view
                if view is not None and view.generation == number:
                    yield connection, view
                    return
                fresh = self._load(connection, number)
            with self._database.snapshot() as connection:
                if rows.generation(connection) == number:
                    self._view = fresh
                    yield connection, fresh
                    return

    def _load(self, connection: Connection, number: int) -> View:
        last = self._view
        found = {row.id: row for row in rows.sources(connection)}
        return View(
            number,
            last.words.refreshed() if last else Words(self._folder),
            vectors.Vectors(join(self._folder, vectors.FILE), self._dim),
            identifiers.Identifiers(join(self._folder, identifiers.FILE)),
            found,
            sum(row.state.chunks for row in found.values()),
            files={},
            owners={},
            kept=last.kept.of([file for file, (_, shown) in last.files.copy().items() if shown]) if last else Kept(),
            memo={},
        )
