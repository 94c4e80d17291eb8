"""Looking after an index: listing what it shows, checking its parts, removing what nobody shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from os.path import join
from pathlib import Path
from sqlite3 import Connection

from codequarry.store.embedded import identifiers, lock, rows, vectors, words
from codequarry.store.embedded.view import Reader
from codequarry.store.embedded.writer import Writer
from codequarry.store.schema import SCHEMA
from codequarry.text import content_hash
from codequarry.types import Check, DumpRow, Source

_LOW_DISK = 200 << 20
_DEAD_SHARE = 0.3


def dump(reader: Reader, source: Source | None) -> Iterator[DumpRow]:
    """Every visible chunk, sorted, from one snapshot."""
    with reader.reading() as (connection, view):
        for row in sorted(view.sources.values(), key=lambda one: one.state.source):
            if source is None or row.state.source == source:
                yield from _dump_source(connection, view.vectors, row)


def _dump_source(connection: Connection, numbers: vectors.Vectors, source: rows.SourceRow) -> Iterator[DumpRow]:
    modified = {
        file: bool(flag)
        for file, flag in connection.execute("select file, modified from shown where source = ?", (source.id,))
    }
    for file in sorted(rows.file_rows(connection, list(modified)), key=lambda one: (one.path, one.blob)):
        facts = rows.facts_of(connection, file)
        if facts is None:
            continue
        yield from sorted(
            DumpRow(
                file.repo,
                source.state.source.branch,
                file.path,
                file.blob,
                modified[file.id],
                chunk.start_line,
                chunk.end_line,
                chunk.kind,
                chunk.text_hash,
                chunk.terms_hash,
                content_hash(numbers.row(file.first_row + number)),
                chunk.symbols,
            )
            for number, chunk in ((number, facts[number]) for number in range(facts.chunks))
        )


def compact(writer: Writer, folder: str) -> None:
    """Removes what no source shows, merges the index of words, writes the identifiers anew, shrinks the database."""
    with rows.transaction(writer.connection):
        writer.left_behind()
    writer.purge()
    writer.words()
    writer.close(most_segments=0)
    identifiers.replace(join(folder, identifiers.FILE), words.fresh_identifiers(words.Words(folder)))
    writer.connection.executescript("pragma incremental_vacuum")
    writer.connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def check(folder: str, database: rows.Database) -> Iterator[Check]:
    """The state of each part, as far as it can be read; raises what reading raises."""
    with database.snapshot() as connection:
        yield from _check_rows(connection)
        yield from _check_files(connection, folder)
        yield from _check_sources(connection)
    holder = lock.holder(folder)
    yield Check("writer", True, f"{holder} is writing" if holder else "nobody is writing")
    free = shutil.disk_usage(folder).free
    yield Check(
        "disk",
        free >= _LOW_DISK,
        f"{free >> 20} MB free at {folder}",
        "" if free >= _LOW_DISK else "free some space, or set CODEQUARRY_DATA_DIR to another disk",
    )


_REBUILD = "delete the folder and run codequarry index again"


def _check_rows(connection: Connection) -> Iterator[Check]:
    meta = rows.meta(connection)
    yield Check("layout", meta["schema"] == SCHEMA, f"layout {meta['schema']}, model {meta['model']}")
    says = connection.execute("pragma quick_check(3)").fetchall()
    sound = says == [("ok",)]
    yield Check(
        "database",
        sound,
        "sound" if sound else "; ".join(str(row[0]) for row in says),
        "" if sound else _REBUILD,
    )


def _check_files(connection: Connection, folder: str) -> Iterator[Check]:
    meta = rows.meta(connection)
    stored = connection.execute("select coalesce(sum(rows), 0) from files").fetchone()[0]
    pending = connection.execute(
        "select coalesce(sum(f.rows), 0) from pending p join files f on f.id = p.file"
    ).fetchone()[0]
    index = words.Words(folder)
    held = int(index.searcher.num_docs)
    complete = held >= stored - pending
    yield Check(
        "words",
        complete,
        f"{held} chunks in {index.searcher.num_segments} segments",
        "" if complete else f"{stored - pending} are expected: {_REBUILD}",
    )
    size = Path(folder, vectors.FILE).stat().st_size
    needed = int(meta["next_row"]) * int(meta["dim"])
    yield Check(
        "vectors",
        size >= needed,
        f"{size // int(meta['dim'])} vectors of {meta['dim']} dimensions",
        "" if size >= needed else f"{needed - size} bytes are missing: {_REBUILD}",
    )
    unused = int(meta["next_row"]) - stored
    tidy = unused <= _DEAD_SHARE * int(meta["next_row"]) + 10_000
    yield Check(
        "unused",
        tidy,
        f"{unused} chunks of removed versions still take up room",
        "" if tidy else "run codequarry compact",
    )


def _check_sources(connection: Connection) -> Iterator[Check]:
    for row in rows.sources(connection):
        state = row.state
        yield Check(
            str(state.source),
            not state.building,
            f"{state.files} files, {state.chunks} chunks" + (", not finished" if state.building else ""),
            "run codequarry index again: it goes on where it stopped" if state.building else "",
        )
