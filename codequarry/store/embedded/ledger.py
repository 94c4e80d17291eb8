"""The rows of the ledger of background work in SQLite: a database of its own, `ledger.db`, in the folder of the index.

It is apart from the index because it lives longer: an index can be made again from what is registered here, not the other way.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codequarry.errors import SchemaMismatch, StoreError
from codequarry.store.embedded.rows import transaction
from codequarry.store.work.rows import GONE, Change, Row, hook_back, hook_out, row_back, row_out
from codequarry.types import Hook

FILE = "ledger.db"
_VERSION = 1
_LAYOUT = """
create table rows(
    repo text primary key, document text not null, due_at real, host text not null,
    provider text not null, provider_id text not null) without rowid;
create index rows_due on rows(due_at) where due_at is not null;
create index rows_host on rows(host) where host <> '';
create index rows_provider on rows(provider, provider_id) where provider_id <> '';
create table hooks(id text primary key, document text not null, last text) without rowid;
"""


class SqliteRows:
    """`codequarry.store.work.rows.Rows` in `folder/ledger.db`, which is made if there is none.

    Raises:
        SchemaMismatch: it has a layout that this version cannot read.
        StoreError: it cannot be read or made.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = str(Path(folder) / FILE)
        self._lock = threading.RLock()  # one connection for all threads: every statement takes well under a millisecond
        with _faults(self._path):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=30.0, isolation_level=None, check_same_thread=False)
            try:
                Path(self._path).chmod(0o600)  # it holds the secrets of webhooks
                self._connection.execute("pragma journal_mode=wal")
                self._connection.execute("pragma synchronous=full")
                self._prepare()
            except BaseException:  # whatever it is: a file that is no database, another layout, Ctrl-C
                self._connection.close()
                raise
        self._process = os.getpid()

    def _prepare(self) -> None:
        with transaction(self._connection):
            (version,) = self._connection.execute("pragma user_version").fetchone()
            if version == 0:
                for statement in _LAYOUT.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"pragma user_version={_VERSION}")
        if version not in (0, _VERSION):
            raise SchemaMismatch(
                f"{self._path} was written by another version of codequarry",
                hint="use that version, or move the file away",
            )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        assert self._process == os.getpid(), "a ledger cannot be used in a forked process"
        with self._lock, _faults(self._path):
            yield self._connection

    def read(self, repo: str) -> Row | None:
        """A row as it is now."""
        with self._opened() as connection:
            return _read(connection, repo)

    def change(self, repo: str, change: Change) -> None:
        """Changes a row while nobody else can."""
        with self._opened() as connection, transaction(connection):
            row = change(_read(connection, repo))
            if isinstance(row, str):
                assert row == GONE
                connection.execute("delete from rows where repo = ?", (_key(repo),))
            elif row is not None:
                known = row.repository
                connection.execute(
                    "insert or replace into rows values(?, ?, ?, ?, ?, ?)",
                    (_key(repo), row_out(row), row.due_at(), row.host(), known.provider, known.provider_id),
                )

    def scan(self) -> Iterator[Row]:
        """Every row."""
        yield from self._rows("select document from rows")

    def waiting(self, now: float, host: str) -> Iterator[Row]:
        """The rows that are due, and those whose lease is held by a process of this machine."""
        yield from self._rows("select document from rows where due_at <= ? or (host <> '' and host = ?)", now, host)

    def find(self, provider: str, provider_id: str) -> Row | None:
        """The row of the repository with the provider's id."""
        wanted = "select document from rows where provider_id <> '' and provider = ? and provider_id = ?"
        return next(iter(self._rows(wanted, provider, provider_id)), None)

    def _rows(self, statement: str, *values: object) -> list[Row]:
        with self._opened() as connection:
            return [row_back(document) for (document,) in connection.execute(statement, values).fetchall()]

    def hooks(self) -> list[Hook]:
        """Every hook."""
        with self._opened() as connection:
            return [hook_back(*found) for found in connection.execute("select document, last from hooks").fetchall()]

    def hook(self, hook_id: str) -> Hook | None:
        """One hook."""
        with self._opened() as connection:
            found = connection.execute("select document, last from hooks where id = ?", (hook_id,)).fetchone()
        return hook_back(*found) if found else None

    def save_hook(self, hook: Hook) -> None:
        """Adds or replaces a hook."""
        statement = (
            "insert into hooks(id, document) values(?, ?) on conflict(id) do update set document = excluded.document"
        )
        with self._opened() as connection:
            connection.execute(statement, (hook.id, hook_out(hook)))

    def delete_hook(self, hook_id: str) -> bool:
        """Removes a hook."""
        with self._opened() as connection:
            return connection.execute("delete from hooks where id = ?", (hook_id,)).rowcount > 0

    def delivery(self, hook_id: str, summary: Mapping[str, Any]) -> None:
        """Keeps the summary of the last delivery."""
        with self._opened() as connection:
            connection.execute("update hooks set last = ? where id = ?", (json.dumps(dict(summary)), hook_id))

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._connection.close()


def _read(connection: sqlite3.Connection, repo: str) -> Row | None:
    found = connection.execute("select document from rows where repo = ?", (_key(repo),)).fetchone()
    return row_back(found[0]) if found else None


def _key(repo: str) -> bytes | str:
    """SQLite takes no lone surrogates as text; such names are kept as their bytes."""
    try:
        repo.encode()
    except UnicodeEncodeError:
        return repo.encode("utf-8", "surrogateescape")
    return repo


@contextlib.contextmanager
def _faults(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        raise StoreError(
            f"the ledger {path} cannot be used: {error}",
            hint="free some space on its disk"
            if full
            else "try again"
            if busy
            else "check its permissions and its disk",
            retryable=full or busy,
        ) from error
