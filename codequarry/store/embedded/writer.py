"""Writing: what happens in which order, so that a `kill -9` at any point leaves the old state or the new one.

A file version is written in three places: its identifiers and vectors are appended, one SQLite transaction adds the version and
its text as *pending*, tantivy gets its words. After some megabytes, and before anything is shown, all of it is made durable at
once: identifiers and vectors are synced, tantivy commits, nothing is pending any more. A writer that finds pending versions
whose words tantivy does not have takes them out again. Nothing of this can be seen.

What a source shows changes in one SQLite transaction, after tantivy has committed the words of all that is shown. Versions
that no source shows any more become *dead* in it. A later write that finds them long dead takes their rows out of the database
first (they can no longer be shown), then their words out of tantivy, then their names out of the list of the dead; their
vector rows may be used again after a while. A reader whose snapshot is older than all that begins again (see `view`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from os.path import join
from sqlite3 import Connection

from codequarry.errors import StoreError
from codequarry.store.embedded import facts, identifiers, rows, vectors, words
from codequarry.store.embedded.lock import WriterLock
from codequarry.store.embedded.rows import to_bytes, transaction
from codequarry.types import FileKey, FileVersion

GRACE_S = 60.0
"""How long a version stays readable after its last source dropped it: longer than any search and its reading of texts."""

PENDING_BYTES = 32 << 20
"""So much text is made durable at once: a stopped run loses no more work, some seconds of it."""

PENDING_S = 10.0
"""What was added longer ago is made durable with the next files, however little it is: a slow model may take minutes for it."""

MOST_SEGMENTS = 12
"""With more segments a writer waits for the merges that it started before it ends."""


class Writer:
    """Everything that changes an index, while its lock is held. Made and ended by `writing`."""

    def __init__(self, folder: str, connection: Connection) -> None:
        self.connection = connection
        self.folder = folder
        self.meta = rows.meta(connection)
        self._words: words.WordsWriter | None = None
        self._unflushed, self._flushed = 0, time.monotonic()

    # -------------------------------------------------------------------------------------------------------- versions

    def repo_id(self, repo: str) -> int:
        """The number of a repository, given to it now when it is new."""
        name = to_bytes(repo)
        row = self.connection.execute("select id from repos where name = ?", (name,)).fetchone()
        if row is None:
            self.connection.execute("insert into repos(name) values(?)", (name,))
            row = self.connection.execute("select id from repos where name = ?", (name,)).fetchone()
        return int(row[0])

    def versions(self, repo: int, keys: Iterable[FileKey]) -> dict[FileKey, int]:
        """The ids of those versions that are there, made by the recipe of today."""
        if self._words is None and self._pending():
            self.words()  # what a stopped writer left undone is not there
        recipe, found = self.meta["recipe"], {}
        wanted = self.connection.cursor()
        for key in keys:
            row = wanted.execute(
                "select id from files where repo = ? and path = ? and blob = ? and recipe = ?",
                (repo, to_bytes(key.path), key.blob, recipe),
            ).fetchone()
            if row:
                found[key] = row[0]
        return found

    def add(self, repo: int, name: str, source: int, files: Sequence[FileVersion]) -> None:
        """Adds the versions that are not there yet; `flush` makes them durable."""
        dim = int(self.meta["dim"])
        for file in files:
            for chunk in file.chunks:
                if len(chunk.vector) != dim:
                    raise StoreError(
                        f"a vector of {file.path} has {len(chunk.vector)} dimensions, the index has {dim}",
                        hint="this is a defect of codequarry: please report it",
                    )
        # All of them, since a word that an earlier file of the run had is not listed again.
        identifiers.append(join(self.folder, identifiers.FILE), (word for file in files for word in file.identifiers))
        there = self.versions(repo, [file.key for file in files])
        new = list({file.key: file for file in files if file.key not in there}.values())
        if not new:
            return
        packed = [(file, *facts.pack(file)) for file in new]
        writer = self.words()
        with self.unsynced(), transaction(self.connection):
            next_row = int(self.meta["next_row"])
            places: list[int] = []
            for file in new:
                count = len(file.chunks)
                place = self._free_rows(count) if count else -1
                if place is None:
                    place, next_row = next_row, next_row + count
                places.append(place)
            self._write_vectors(new, places, dim)
            added = [
                self._insert(repo, source, file, place, data, frames)
                for place, (file, data, frames) in zip(places, packed, strict=True)
            ]
            self._set_meta("next_row", next_row)
        self.meta["next_row"] = next_row
        try:
            for number, place, file in zip(added, places, new, strict=True):
                writer.add(number, place, name, file)
        except BaseException:
            self.abandon()  # they stay pending, and are found not to be there
            raise
        self._unflushed += sum(len(file.text) for file in new)
        if self._unflushed >= PENDING_BYTES or time.monotonic() - self._flushed > PENDING_S:
            self.flush()

    def _write_vectors(self, files: Sequence[FileVersion], places: Sequence[int], dim: int) -> None:
        path = join(self.folder, vectors.FILE)
        pieces = [
            (place, b"".join([chunk.vector for chunk in file.chunks]))
            for file, place in zip(files, places, strict=True)
            if file.chunks
        ]
        vectors.write(path, dim, pieces)

    def _insert(self, repo: int, source: int, file: FileVersion, place: int, data: bytes, frames: list[bytes]) -> int:
        number = self.connection.execute(
            "insert into files(repo, path, blob, recipe, language, marks, first_row, rows, size) "
            "values(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                repo,
                to_bytes(file.path),
                file.blob,
                self.meta["recipe"],
                file.language,
                " ".join(file.marks),
                place,
                len(file.chunks),
                len(file.text),
            ),
        ).lastrowid
        assert number is not None
        self.connection.execute("insert into facts values(?, ?)", (number, data))
        self.connection.executemany(
            "insert into frames values(?, ?)",
            [(rows.frame_id(number, at), frame) for at, frame in enumerate(frames)],
        )
        if file.chunks:
            self.connection.execute("insert into pending values(?)", (number,))
        self.connection.execute("insert into staged values(?, ?)", (number, source))
        return number

    def _free_rows(self, count: int) -> int | None:
        """Rows of removed versions that can be used again, taken out of the list."""
        row = self.connection.execute(
            "select first_row, rows from free where rows >= ? and freed < ? order by rows limit 1",
            (count, time.time() - GRACE_S),
        ).fetchone()
        if row is None:
            return None
        first, rows_there = row
        self.connection.execute("delete from free where first_row = ?", (first,))
        if rows_there > count:
            self.connection.execute("insert into free values(?, ?, 0)", (first + count, rows_there - count))
        return int(first)

    # ----------------------------------------------------------------------------------------------------------- words

    def words(self) -> words.WordsWriter:
        """The writer of words, opened when it is first needed; what a stopped one left undone is taken out then."""
        if self._words is None:
            self._words = writer = words.WordsWriter(self.folder)
            self._take_out([file for file in self._pending() if not writer.has_file(file)])
            writer.remove(self._doomed())
        return self._words

    def _pending(self) -> list[int]:
        return [file for (file,) in self.connection.execute("select file from pending")]

    def _take_out(self, files: Sequence[int]) -> None:
        """Removes versions that were never whole; their rows can be used again at once, since no reader has seen them."""
        numbers = [(file,) for file in files]
        with transaction(self.connection):
            self.connection.executemany(
                "insert or replace into free select first_row, rows, 0 from files where id = ?", numbers
            )
            self.connection.executemany("delete from staged where file = ?", numbers)
            self._delete(numbers)

    def _delete(self, numbers: Sequence[tuple[int]]) -> None:
        """Within a transaction: takes versions and their texts out of the database."""
        self.connection.executemany("delete from files where id = ?", numbers)
        self.connection.executemany("delete from facts where file = ?", numbers)
        self.connection.executemany("delete from pending where file = ?", numbers)
        self.connection.executemany(
            "delete from frames where id between ? and ?",
            [(rows.frame_id(file, 0), rows.frame_id(file + 1, 0) - 1) for (file,) in numbers],
        )

    def _doomed(self) -> list[int]:
        return [file for (file,) in self.connection.execute("select file from dead where doomed")]

    def flush(self) -> None:
        """Makes everything that was added durable; afterwards nothing is pending."""
        if self._words is None and not self._waiting():
            return
        try:
            writer = self.words()
            for name in (identifiers.FILE, vectors.FILE):
                _sync(join(self.folder, name))
            writer.commit()
        except BaseException:  # interrupted too: what is only half durable must not be committed later
            self.abandon()
            raise
        self._unflushed, self._flushed = 0, time.monotonic()
        with transaction(self.connection):
            self.connection.execute("delete from pending")

    def _waiting(self) -> bool:
        query = "select 1 where exists (select 1 from pending) or exists (select 1 from dead where doomed)"
        return self.connection.execute(query).fetchone() is not None

    # --------------------------------------------------------------------------------------------------------- removal

    def doom(self, *, keep: Iterable[int] = (), grace: bool = True) -> None:
        """Takes versions that have long been dead out of the database, but for those that will be shown again."""
        before = time.time() - GRACE_S if grace else time.time()
        kept = set(keep)
        files = [
            (file,)
            for (file,) in self.connection.execute("select file from dead where not doomed and died <= ?", (before,))
            if file not in kept
        ]
        if not files:
            return
        with transaction(self.connection):
            self.connection.executemany("update dead set doomed = 1 where file = ?", files)
            self._delete(files)
        self.words().remove(file for (file,) in files)

    def bury(self) -> None:
        """Within a transaction, after tantivy has committed: the doomed are gone, and their rows free."""
        self.connection.execute(
            "insert or replace into free select first_row, rows, ? from dead where doomed and rows > 0", (time.time(),)
        )
        self.connection.execute("delete from dead where doomed")

    def mark_dead(self, files: Iterable[int]) -> None:
        """Within a transaction: those of the versions that no source shows are dead from now on."""
        now = time.time()
        self.connection.executemany(
            "insert or ignore into dead select id, first_row, rows, ?, 0 from files "
            "where id = ? and not exists (select 1 from shown where file = id)",
            [(now, file) for file in files],
        )

    def left_behind(self, source: int | None = None) -> None:
        """Within a transaction: versions that were put for a source (for any: None) and are not shown by anyone are dead."""
        files = self.connection.execute("select file from staged where ? is null or source = ?", (source, source))
        self.mark_dead([file for (file,) in files])
        self.connection.execute("delete from staged where ? is null or source = ?", (source, source))

    def purge(self) -> None:
        """Removes all that is dead, without grace."""
        self.doom(grace=False)
        self.flush()
        with transaction(self.connection):
            self.bury()

    # ------------------------------------------------------------------------------------------------------------ rest

    def changed(self) -> None:
        """Within a transaction: what is shown changes, readers are to look again."""
        self.connection.execute("update meta set value = value + 1 where key = 'generation'")

    def _set_meta(self, key: str, value: object) -> None:
        self.connection.execute("insert or replace into meta values(?, ?)", (key, value))

    @contextmanager
    def unsynced(self) -> Iterator[None]:
        """Transactions that may be lost when the power fails, in order: losing them costs work and nothing else."""
        self.connection.execute("pragma synchronous=normal")
        try:
            yield
        finally:
            self.connection.execute("pragma synchronous=full")

    def close(self, *, most_segments: int = MOST_SEGMENTS) -> None:
        """Ends the writer of words, with all that was added durable."""
        self.save()
        if self._words is not None:
            self._words.close(most_segments=most_segments)
            self._words = None

    def save(self) -> None:
        """Makes durable what was added, unless a failure has already lost it."""
        if self._words is not None and self._unflushed:
            self.flush()

    def abandon(self) -> None:
        """Ends the writer of words after a failure, without waiting for anything."""
        if self._words is not None:
            self._words.abandon()
            self._words = None


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(folder: str, database: rows.Database, purpose: str, *, wait_s: float) -> Iterator[Writer]:
    """The writer of an index, with its lock."""
    lock = WriterLock(folder, purpose, wait_s=wait_s)
    try:
        connection = database.connect()
        try:
            writer = Writer(folder, connection)
            try:
                yield writer
            except BaseException:
                # Interrupted work is kept for the next run, as far as that can be done: the error is what counts now.
                with suppress(Exception):
                    writer.save()
                writer.abandon()
                raise
            writer.close()
        finally:
            connection.close()
    finally:
        lock.release()
