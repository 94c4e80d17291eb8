"""The words: a tantivy index whose documents are the chunks, in the terms that `codequarry.text` made.

`content`, `path` and `names` count terms for BM25; `raw` has the case-kept words with their positions, for phrases; `repo`,
`lang`, `kind` and `symbol` are keys; `file` and `row` say which chunk a document is. Nothing is stored in it and it decides
nothing: what is found here is looked up in the database before it is shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import tantivy
from tantivy import Occur, Query

from codequarry.errors import WriterBusy
from codequarry.store.embedded.faults import WordsError, words_faults
from codequarry.store.schema import FIELDS
from codequarry.types import FileVersion

FOLDER = "words"
HEAP_BYTES = 110_000_000
_LOCK_WAIT_S = 10.0


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("raw", tokenizer_name="whitespace", index_option="position")
    for name in ("repo", "lang", "kind", "symbol"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("file", "row"):  # signed: deleting by an unsigned number deletes nothing
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def create(folder: str) -> None:
    """Makes an empty index; one that is there stays as it is."""
    path = os.path.join(folder, FOLDER)
    Path(path).mkdir(parents=True, exist_ok=True)
    with words_faults:
        tantivy.Index(_schema(), path=path)


class Hit(NamedTuple):
    """A document that a query found."""

    score: float
    file: int
    row: int


def key(text: str) -> str:
    """A text as a term: tantivy takes UTF-8 only, names of folders may be anything."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class Words:
    """The index as it is when opened or refreshed."""

    def __init__(self, folder: str) -> None:
        with words_faults:
            self._index = tantivy.Index.open(os.path.join(folder, FOLDER))
            self._index.config_reader("manual", 0)  # no thread that watches the folder
            self.schema = self._index.schema
            self.searcher = self._index.searcher()

    def refreshed(self) -> Words:
        """The index as it is now; this object goes on to show what it showed."""
        with words_faults:
            self._index.reload()
        fresh = object.__new__(Words)
        fresh._index, fresh.schema, fresh.searcher = self._index, self.schema, self._index.searcher()
        return fresh

    def hits(self, query: Query, limit: int) -> list[Hit]:
        """The best documents of a query, best first, equal ones in no order that means anything."""
        if limit <= 0:
            return []
        with words_faults:
            found = self.searcher.search(query, limit, count=False).hits
            places = [place for _, place in found]
            files = self.searcher.fast_field_values("file", places)
            rows = self.searcher.fast_field_values("row", places)
        return [Hit(score, int(file), int(row)) for (score, _), file, row in zip(found, files, rows, strict=True)]

    def count(self, query: Query) -> int:
        """How many documents a query has, those of removed files included."""
        return int(self.searcher.search(query, 1, count=True).count)

    def any_of(self, field: str, values: Iterable[str | int]) -> Query:
        """Documents with one of the terms; scores mean nothing."""
        # Term by term: a term set walks the whole dictionary, four times as long for some hundred terms.
        values = [key(value) if isinstance(value, str) else value for value in values]
        if len(values) > 2_000:
            return Query.term_set_query(self.schema, field, values)
        return Query.boolean_query(
            [(Occur.Should, Query.term_query(self.schema, field, value, "basic")) for value in values]
        )

    def phrase(self, words: Sequence[str]) -> Query:
        """Documents with these case-kept words one after another."""
        if len(words) == 1:
            return Query.term_query(self.schema, "raw", words[0], "basic")
        return Query.phrase_query(self.schema, "raw", list(words))

    def scoring(self, terms: Mapping[str, float], weights: Sequence[float]) -> Query:
        """Documents with one of the terms, scored by the sum of BM25 over terms and fields, each with its weight."""
        return Query.boolean_query(
            [
                (Occur.Should, self._weighted(field, term, weight * of_term))
                for field, weight in zip(FIELDS, weights, strict=True)
                if weight
                for term, of_term in terms.items()
            ]
        )

    def _weighted(self, field: str, term: str, weight: float) -> Query:
        query = Query.term_query(self.schema, field, key(term), "freq")
        return query if weight == 1.0 else Query.boost_query(query, weight)

    def field_scores(self, terms: Mapping[str, float], rows: Sequence[int]) -> dict[int, tuple[float, float, float]]:
        """For each of these rows that is indexed, its BM25 score in each field, without weights."""
        only = Query.const_score_query(self.any_of("row", rows), 0.0)
        of_fields: list[dict[int, float]] = []
        for field in FIELDS:
            weights = [float(field == other) for other in FIELDS]
            query = Query.boolean_query([(Occur.Must, only), (Occur.Must, self.scoring(terms, weights))])
            with words_faults:
                found = self.searcher.search(query, len(rows), count=False).hits
                places = self.searcher.fast_field_values("row", [place for _, place in found])
            of_fields.append({int(row): score for (score, _), row in zip(found, places, strict=True)})
        content, path, names = of_fields
        return {row: (content.get(row, 0.0), path.get(row, 0.0), names.get(row, 0.0)) for row in rows}


def every(queries: Sequence[tuple[Occur, Query]]) -> Query:
    """Documents that satisfy all of the queries; their scores are added."""
    return Query.boolean_query(list(queries)) if queries else Query.all_query()


def filtering(query: Query) -> tuple[Occur, Query]:
    """A condition that adds nothing to the score."""
    return Occur.Must, Query.const_score_query(query, 0.0)


# ------------------------------------------------------------------------------------------------------------------ writing


class WordsWriter:
    """The one writer of the index. Nothing is durable or seen before `commit`."""

    def __init__(self, folder: str) -> None:
        with words_faults:
            self._index = tantivy.Index.open(os.path.join(folder, FOLDER))
            self._index.config_reader("manual", 0)
        self._writer = self._open()
        self.dirty = False

    def _open(self) -> tantivy.IndexWriter:
        # Our own lock is held, so another holder can only be what is left of a killed process: children that still end.
        until = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                return self._index.writer(HEAP_BYTES, 1)
            except ValueError as error:
                if "lock" not in str(error).lower():
                    raise WordsError(f"words: {error}") from error
                if time.monotonic() > until:
                    raise WriterBusy(
                        "another process still holds the index of words", hint="wait for it to end, or end it"
                    ) from error
                time.sleep(0.05)

    def has_file(self, file: int) -> bool:
        """Whether the file's words are durably there."""
        return bool(self._index.searcher().doc_freq("file", file))

    def add(self, number: int, first_row: int, repo: str, file: FileVersion) -> None:
        """Adds the documents of a file's chunks; the file has this number, its chunks the rows from `first_row` on."""
        self.dirty = True
        for row, chunk in enumerate(file.chunks, first_row):
            document = tantivy.Document(
                content=chunk.terms,
                path=file.path_terms,
                names=chunk.names,
                raw=chunk.raw,
                repo=key(repo),
                lang=file.language,
                kind=sorted({chunk.kind, *(symbol.kind for symbol in chunk.symbols)}),
                symbol=sorted({symbol.name for symbol in chunk.symbols}),
                file=number,
                row=row,
            )
            with words_faults:
                self._writer.add_document(document)

    def remove(self, files: Iterable[int]) -> None:
        """Removes the documents of files."""
        for file in files:
            with words_faults:
                self._writer.delete_documents_by_term("file", file)
            self.dirty = True

    def commit(self) -> None:
        """Makes everything added and removed durable and seen by those who refresh."""
        if self.dirty:
            with words_faults:
                self._writer.commit()
            self.dirty = False

    def close(self, *, most_segments: int) -> None:
        """Gives the index's lock back. Waits for the merges that run when there are more segments than that."""
        with words_faults:
            self._index.reload()
            if self._index.searcher().num_segments > most_segments:
                self._writer.wait_merging_threads()
        self.abandon()

    def abandon(self) -> None:
        """Gives the index's lock back at once; what was not committed is lost."""
        del self._writer


def fresh_identifiers(words: Words) -> list[str]:
    """All case-kept words of the index, sorted; slow."""
    return [word for word, _ in words.searcher.terms_with_prefix("raw", "")]
