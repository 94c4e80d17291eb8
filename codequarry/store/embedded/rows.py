"""The rows: one SQLite file in WAL mode that alone says what is indexed and what each source shows.

A reader sees one snapshot of it for a whole request. `generation` (in `meta`) grows whenever what is shown changes, and before
the words of anything removed are deleted. Names and paths are bytes, since file systems do not promise UTF-8. File ids are
never used twice.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from codequarry.store.embedded.facts import Facts, unpack
from codequarry.types import Skipped, Source, SourceState

FILE = "quarry.db"

_LAYOUT = """
create table meta(key text primary key, value) without rowid;
create table repos(id integer primary key, name blob not null unique);
create table sources(id integer primary key, repo integer not null, branch blob not null, epoch integer not null,
    building integer not null, state text not null, unique(repo, branch));
create table files(id integer primary key autoincrement, repo integer not null, path blob not null, blob text not null,
    recipe text not null, language text not null, marks text not null, first_row integer not null, rows integer not null,
    size integer not null, unique(repo, path, blob, recipe));
create index files_row on files(first_row, rows);
create table facts(file integer primary key, data blob not null);
create table frames(id integer primary key, data blob not null);
create table pending(file integer primary key);
create table staged(file integer primary key, source integer not null);
create table dead(file integer primary key, first_row integer not null, rows integer not null, died real not null,
    doomed integer not null);
create table free(first_row integer primary key, rows integer not null, freed real not null);
create table shown(source integer not null, file integer not null, modified integer not null,
    primary key(source, file)) without rowid;
create index shown_file on shown(file, source, modified);
create table skipped(source integer not null, path blob not null, reason text not null, detail blob not null,
    primary key(source, path)) without rowid;
create table hints(source integer primary key, data blob not null);
create table cached(model text not null, key text not null, vector blob not null, primary key(model, key)) without rowid;
"""


class FileRow(NamedTuple):
    """A file version."""

    id: int
    repo: str
    path: str
    blob: str
    language: str
    marks: tuple[str, ...]
    first_row: int
    rows: int


class SourceRow(NamedTuple):
    """A source with its numbers in the database."""

    id: int
    repo_id: int
    state: SourceState


def to_bytes(text: str) -> bytes:
    """A path or name as it is stored."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The path or name that `to_bytes` was given."""
    return data.decode("utf-8", "surrogateescape")


def encode_state(state: SourceState) -> str:
    """A source's state without what stands in its own columns."""
    fields = {name: getattr(state, name) for name in _STATE_FIELDS}
    return json.dumps(fields, separators=(",", ":"))


_STATE_FIELDS = tuple(
    name for name in SourceState.__dataclass_fields__ if name not in ("source", "building")
)  # fmt: skip


def decode_state(source: Source, building: int, text: str) -> SourceState:
    """What `encode_state` was given."""
    fields = {name: value for name, value in json.loads(text).items() if name in _STATE_FIELDS}
    fields["access"] = tuple(fields["access"])
    return SourceState(source, building=bool(building), **fields)


class Database:
    """Connections to the file: one for each request that runs, given back afterwards."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, FILE)
        self._free: deque[sqlite3.Connection] = deque()
        self._process = os.getpid()

    def connect(self) -> sqlite3.Connection:
        """A connection of one's own, for writing."""
        # isolation_level None: transactions are begun by hand, so that reads have one too.
        connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("pragma synchronous=full")
            connection.execute("pragma temp_store=memory")
        except BaseException:  # whatever it is: a file that is no database, a full disk, Ctrl-C
            connection.close()
            raise
        return connection

    def create(self, meta: Iterable[tuple[str, object]]) -> None:
        """Makes the tables, all of them or none."""
        connection = self.connect()
        try:
            # Texts and facts are a few KB each: smaller pages leave less of their last page empty (2 % of the index).
            connection.execute("pragma page_size=2048")
            connection.execute("pragma auto_vacuum=incremental")
            connection.execute("pragma journal_mode=wal")
            with transaction(connection):
                for statement in _LAYOUT.split(";"):
                    connection.execute(statement)
                connection.executemany("insert into meta values(?, ?)", meta)
        finally:
            connection.close()

    def exists(self) -> bool:
        """Whether an index was made there and not only begun."""
        if not Path(self.path).is_file():
            return False
        with self.borrowed() as connection:
            return bool(connection.execute("select 1 from sqlite_master where name = 'meta'").fetchone())

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection without a transaction."""
        if self._process != os.getpid():  # a forked process must not touch the connections of its parent
            self._free, self._process = deque(), os.getpid()
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self.connect()
        try:
            yield connection
        except BaseException:  # interrupted too: who knows in what state it was left
            connection.close()
            raise
        self._free.append(connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the database as it is at its first read."""
        with self.borrowed() as connection:
            connection.execute("begin")
            try:
                yield connection
            finally:
                connection.execute("rollback")

    def close(self) -> None:
        """Closes the connections that are not in use."""
        if self._process == os.getpid():
            while self._free:
                self._free.pop().close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the writes within, or none."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:  # something was raised
            connection.execute("rollback")


def meta(connection: sqlite3.Connection) -> dict[str, Any]:
    """The facts of the index as a whole: schema, model, fingerprint, dim, generation, next_row, recipe."""
    return dict(connection.execute("select key, value from meta"))


def generation(connection: sqlite3.Connection) -> int:
    """Grows whenever what is shown changes."""
    row = connection.execute("select value from meta where key = 'generation'").fetchone()
    return int(row[0])


def sources(connection: sqlite3.Connection) -> list[SourceRow]:
    """All sources, sorted."""
    found = [
        SourceRow(number, repo, decode_state(Source(to_text(name), to_text(branch)), building, state))
        for number, repo, name, branch, building, state in connection.execute(
            "select s.id, s.repo, r.name, s.branch, s.building, s.state from sources s join repos r on r.id = s.repo"
        )
    ]
    return sorted(found, key=lambda row: row.state.source)


def source_row(connection: sqlite3.Connection, source: Source) -> SourceRow | None:
    """One source, None when there is none of that name."""
    row = connection.execute(
        "select s.id, s.repo, s.building, s.state from sources s join repos r on r.id = s.repo "
        "where r.name = ? and s.branch = ?",
        (to_bytes(source.repo), to_bytes(source.branch)),
    ).fetchone()
    return SourceRow(row[0], row[1], decode_state(source, row[2], row[3])) if row else None


def in_list(values: Sequence[int]) -> str:
    """The numbers for `in (…)`."""
    return ",".join(map(str, values))


def file_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[FileRow]:
    """The file versions with these ids, as far as they are there."""
    found: list[FileRow] = []
    for start in range(0, len(ids), 1_000):
        found.extend(
            _file_row(row)
            for row in connection.execute(f"{_SELECT_FILE} where f.id in ({in_list(ids[start : start + 1_000])})")
        )
    return found


_SELECT_FILE = (
    "select f.id, r.name, f.path, f.blob, f.language, f.marks, f.first_row, f.rows "
    "from files f join repos r on r.id = f.repo"
)


def _file_row(row: tuple[Any, ...]) -> FileRow:
    number, repo, path, blob, language, marks, first_row, rows = row
    return FileRow(number, to_text(repo), to_text(path), blob, language, tuple(marks.split()), first_row, rows)


def shown_file(connection: sqlite3.Connection, source: SourceRow, path: str) -> tuple[FileRow, bool] | None:
    """The version that the source shows at the path and whether it is modified, None when it shows none."""
    row = connection.execute(
        "select f.id, s.modified from files f join shown s on s.file = f.id where f.repo = ? and f.path = ? and s.source = ?",
        (source.repo_id, to_bytes(path), source.id),
    ).fetchone()
    return (file_rows(connection, [row[0]])[0], bool(row[1])) if row else None


def showings(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, list[tuple[int, bool]]]:
    """For each file version the sources that show it, with `modified`."""
    found: dict[int, list[tuple[int, bool]]] = {}
    for start in range(0, len(ids), 1_000):
        for file, source, modified in connection.execute(
            f"select file, source, modified from shown where file in ({in_list(ids[start : start + 1_000])})"  # noqa: S608  numbers only
        ):
            found.setdefault(file, []).append((source, bool(modified)))
    return found


def files_of_rows(connection: sqlite3.Connection, asked: Sequence[int]) -> dict[int, int]:
    """The id of the file version that owns a row, for those rows that a version owns."""
    found: dict[int, int] = {}
    for start in range(0, len(asked), 1_000):
        values = ",".join([f"({row})" for row in asked[start : start + 1_000]])
        found.update(
            connection.execute(
                f"with asked(row) as (values {values}) select asked.row, f.id from asked join files f on f.id = "  # noqa: S608  numbers only
                "(select id from files where first_row <= asked.row order by first_row desc limit 1) "
                "where asked.row < f.first_row + f.rows"
            )
        )
    return found


def facts_of(connection: sqlite3.Connection, file: FileRow) -> Facts | None:
    """The facts of a file version's chunks, None when it was removed."""
    row = connection.execute("select data from facts where file = ?", (file.id,)).fetchone()
    return Facts(file.path, row[0]) if row else None


def frame(connection: sqlite3.Connection, file: int, number: int) -> bytes | None:
    """One frame of a file version's text, unpacked, None when it was removed."""
    row = connection.execute("select data from frames where id = ?", (frame_id(file, number),)).fetchone()
    return unpack(row[0]) if row else None


def frame_id(file: int, number: int) -> int:
    """The key of a frame."""
    return file << 20 | number


def whole_text(connection: sqlite3.Connection, file: int) -> bytes:
    """The whole text of a file version."""
    return b"".join(
        unpack(data)
        for (data,) in connection.execute(
            "select data from frames where id between ? and ? order by id",
            (frame_id(file, 0), frame_id(file + 1, 0) - 1),
        )
    )


def skipped(connection: sqlite3.Connection, source: int) -> list[Skipped]:
    """What the last publication of a source left out, sorted."""
    query = connection.execute("select path, reason, detail from skipped where source = ?", (source,))
    return sorted(Skipped(to_text(path), reason, to_text(detail)) for path, reason, detail in query)
