"""One publication: what a source shows changes, all at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from codequarry.errors import StoreError, WriterBusy
from codequarry.store.embedded import rows
from codequarry.store.embedded.faults import Faults
from codequarry.store.embedded.rows import to_bytes, to_text, transaction
from codequarry.store.embedded.writer import Writer, writing
from codequarry.types import FileKey, FileVersion, Shown, Skipped, Source, SourceState


class EmbeddedPublication:
    """`codequarry.ports.Publication`. Holds the writer's lock until the `with` block is left."""

    def __init__(self, folder: str, database: rows.Database, source: Source, *, wait_s: float, faults: Faults) -> None:
        self._source = source
        self._faults = faults
        with faults, ExitStack() as stack:
            self._writer: Writer = stack.enter_context(writing(folder, database, f"indexing {source}", wait_s=wait_s))
            self._repo = self._writer.repo_id(source.repo)
            self._epoch, self._number = self._begin()
            self._stack = stack.pop_all()
        self._open = True

    def _begin(self) -> tuple[int, int]:
        """Takes the next epoch of the source, which is `building` from now on."""
        connection, branch = self._writer.connection, to_bytes(self._source.branch)
        with self._writer.unsynced(), transaction(connection):
            connection.execute(
                "insert into sources(repo, branch, epoch, building, state) values(?, ?, 1, 1, ?) "
                "on conflict do update set epoch = epoch + 1, building = 1",
                (self._repo, branch, rows.encode_state(SourceState(self._source))),
            )
            row = connection.execute(
                "select epoch, id from sources where repo = ? and branch = ?", (self._repo, branch)
            ).fetchone()
        return int(row[0]), int(row[1])

    def shown(self) -> Mapping[str, Shown]:
        """What the source shows now, by path. A version made by another recipe stands there without its blob."""
        self._check()
        with self._faults:
            query = self._writer.connection.execute(
                "select f.path, case when f.recipe = ? then f.blob else '' end, s.modified "
                "from shown s join files f on f.id = s.file where s.source = ?",
                (self._writer.meta["recipe"], self._number),
            )
            return {
                path: Shown(path, blob, bool(modified))
                for path, blob, modified in ((to_text(name), blob, modified) for name, blob, modified in query)
            }

    def begin_with(self, base: Source) -> Mapping[str, Shown]:
        """What the source shows: a row of some bytes for each file is all that another branch costs here."""
        return self.shown()

    def have(self, keys: Iterable[FileKey]) -> set[FileKey]:
        """Those versions that need not be put again, made by the recipe of today."""
        self._check()
        with self._faults:
            return set(self._writer.versions(self._repo, keys))

    def put(self, files: Sequence[FileVersion]) -> None:
        """Adds the files; they are not shown yet."""
        self._check()
        with self._faults:
            self._writer.add(self._repo, self._source.repo, self._number, files)

    def commit(
        self,
        state: SourceState,
        *,
        show: Iterable[Shown],
        hide: Iterable[str] = (),
        skipped: Iterable[Skipped] = (),
        hints: bytes = b"",
    ) -> SourceState:
        """Shows and hides, in one transaction, once the words of all that is shown are durable."""
        self._check()
        with self._faults:
            return self._commit(
                state, list(show), set(hide), sorted({one.path: one for one in skipped}.values()), hints
            )

    def _commit(
        self, state: SourceState, show: list[Shown], hide: set[str], skipped: list[Skipped], hints: bytes
    ) -> SourceState:
        writer = self._writer
        there = writer.versions(self._repo, [FileKey(shown.path, shown.blob) for shown in show])
        wanted: dict[str, tuple[int, bool]] = {}
        for shown in show:
            number = there.get(FileKey(shown.path, shown.blob))
            if number is None:
                raise StoreError(
                    f"{shown.path} ({shown.blob[:12]}) is to be shown and was not put",
                    hint="run codequarry index again",
                    retryable=True,
                )
            wanted[shown.path] = number, shown.modified
        writer.doom(keep=there.values())
        writer.flush()
        with transaction(writer.connection):
            writer.bury()
            old = self._state()
            files, chunks, size = self._switch(wanted, hide - wanted.keys())
            stored = replace(
                state,
                source=self._source,
                files=old.files + files,
                chunks=old.chunks + chunks,
                size_bytes=old.size_bytes + size,
                skipped=len(skipped),
                indexed_at=time.time(),
                building=False,
            )
            self._keep(stored, skipped, hints)
            writer.changed()
        return stored

    def _state(self) -> SourceState:
        row = rows.source_row(self._writer.connection, self._source)
        if row is None or self._epoch != self._stored_epoch():
            raise WriterBusy(f"a later publication of {self._source} has taken over", hint="begin again")
        return row.state

    def _stored_epoch(self) -> int:
        query = self._writer.connection.execute("select epoch from sources where id = ?", (self._number,))
        return int(query.fetchone()[0])

    def _switch(self, wanted: Mapping[str, tuple[int, bool]], hide: set[str]) -> tuple[int, int, int]:
        """Changes which versions the source shows; by how much its files, chunks and bytes grew."""
        connection, gone, grown = self._writer.connection, [], [0, 0, 0]
        for path in [*wanted, *hide]:
            for file, count, size in connection.execute(
                "select f.id, f.rows, f.size from files f join shown s on s.file = f.id "
                "where f.repo = ? and f.path = ? and s.source = ?",
                (self._repo, to_bytes(path), self._number),
            ).fetchall():
                gone.append(file)
                grown = [grown[0] - 1, grown[1] - count, grown[2] - size]
        connection.executemany(
            "delete from shown where source = ? and file = ?", [(self._number, file) for file in gone]
        )
        for file, modified in wanted.values():
            connection.execute("insert into shown values(?, ?, ?)", (self._number, file, modified))
            count, size = connection.execute("select rows, size from files where id = ?", (file,)).fetchone()
            grown = [grown[0] + 1, grown[1] + count, grown[2] + size]
        connection.executemany("delete from dead where file = ?", [(file,) for file, _ in wanted.values()])
        self._writer.mark_dead(gone)
        self._writer.left_behind(self._number)
        return grown[0], grown[1], grown[2]

    def _keep(self, state: SourceState, skipped: list[Skipped], hints: bytes) -> None:
        connection, number = self._writer.connection, self._number
        connection.execute(
            "update sources set building = 0, state = ? where id = ?", (rows.encode_state(state), number)
        )
        if rows.skipped(connection, number) != skipped:
            connection.execute("delete from skipped where source = ?", (number,))
            connection.executemany(
                "insert or replace into skipped values(?, ?, ?, ?)",
                [(number, to_bytes(one.path), one.reason, to_bytes(one.detail)) for one in skipped],
            )
        connection.execute("insert or replace into hints values(?, ?)", (number, hints))

    def _check(self) -> None:
        if not self._open:
            raise StoreError("this publication is over", hint="begin another with publish()")

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self._open = False
            with self._faults:
                self._stack.__exit__(kind, error, trace)
