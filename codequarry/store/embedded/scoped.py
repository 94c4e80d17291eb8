"""The scope of one request: the exact test of a chunk, and what narrows the search for it beforehand.

Everything that is found passes `admits`; the queries and sets of files here only make that fewer are found in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from tantivy import Occur, Query

from codequarry.store.embedded import rows, vectors
from codequarry.store.embedded.facts import ChunkFacts
from codequarry.store.embedded.rows import FileRow, SourceRow, to_text
from codequarry.store.embedded.texts import Texts
from codequarry.store.embedded.view import View
from codequarry.store.embedded.words import filtering
from codequarry.store.prefilter import LinePattern
from codequarry.store.scope import ChunkTest, FileTest, sources_in
from codequarry.types import Place, Scope

_SET_SHARE = 0.3  # sources with less of all chunks than this are looked up file by file
_SET_FILES = 5_000  # with more files than this the index of words is asked without them
_REPOS = 16
_KEEP_FILES = 50_000
_KEEP_SETS = 32
_KEEP_OWNERS = 50_000


class FileSet(NamedTuple):
    """The file versions that pass, and the runs of rows that are theirs."""

    ids: list[int]
    runs: list[vectors.Run]
    rows: int


class Found(NamedTuple):
    """A chunk in scope, by its file version and its number in it."""

    file: FileRow
    number: int
    row: int  # among the vectors


class Scoped:
    """A scope, as it applies to one view."""

    def __init__(self, connection: Connection, view: View, scope: Scope) -> None:
        self.connection = connection
        self.view = view
        self.scope = scope
        self.texts = Texts(connection, view.kept)
        states = {row.state.source: row for row in view.sources.values()}
        self.sources: dict[int, SourceRow] = {
            row.id: row
            for row in (states[state.source] for state in sources_in(scope, [row.state for row in states.values()]))
        }
        self.file_test = FileTest(scope)
        self.chunk_test = ChunkTest(scope)
        self.patterns = [LinePattern(pattern) for pattern in scope.patterns]
        self._not_patterns = [LinePattern(pattern) for pattern in scope.not_patterns]
        self._files: dict[int, FileRow | None] = {}
        self._shown: dict[int, list[tuple[SourceRow, bool]]] = {}
        self._places: dict[int, tuple[Place, ...]] = {}
        self.files = self._file_set()
        self.narrow = self._narrow()

    # ------------------------------------------------------------------------------------------------------- the exact test

    def load(self, ids: Iterable[int]) -> None:
        """Reads file versions, and where they are shown, that will be asked for."""
        new = [number for number in set(ids) if number not in self._files]
        if not new:
            return
        known = {number: entry for number in new if (entry := self.view.files.get(number)) is not None}
        if missing := [number for number in new if number not in known]:
            showings = rows.showings(self.connection, missing)
            read = {file.id: (file, showings.get(file.id, [])) for file in rows.file_rows(self.connection, missing)}
            known.update(read)
            if len(self.view.files) > _KEEP_FILES:
                self.view.files.clear()
            self.view.files.update(read)
        for number in new:
            self._files[number] = self._in_scope(*known[number]) if number in known else None

    def _in_scope(self, file: FileRow, showings: Sequence[tuple[int, bool]]) -> FileRow | None:
        shown = [(self.sources[source], modified) for source, modified in showings if source in self.sources]
        if not shown or (self.file_test and not self.file_test.admits(file.path, file.language)):
            return None
        self._shown[file.id] = shown
        return file

    def file(self, number: int) -> FileRow | None:
        """A file version that was loaded, None when it is out of scope or removed."""
        return self._files[number]

    def places(self, number: int) -> tuple[Place, ...]:
        """Where in scope a file version is shown, sorted."""
        if known := self._places.get(number):
            return known
        places = [
            Place(row.state.source, row.state.commit, row.state.head, modified, row.state.web)
            for row, modified in self._shown[number]
        ]
        found = self._places[number] = tuple(sorted(places)) if len(places) > 1 else tuple(places)
        return found

    def admits(self, number: int, row: int) -> Found | None:
        """The chunk of a row of a file version that was loaded, None when it is out of scope."""
        file = self._files[number]
        if file is None or not 0 <= row - file.first_row < file.rows:
            return None
        found = Found(file, row - file.first_row, row)
        if self.chunk_test:
            facts = self.facts(found)
            if facts is None or not self.chunk_test.admits(facts.kind, facts.symbols):
                return None
        if self._not_patterns:
            text = self.texts.chunk(file, found.number)
            if text is None or any(pattern.matches(text) for pattern in self._not_patterns):
                return None
        return found

    def facts(self, found: Found) -> ChunkFacts | None:
        """The facts of a chunk, None when its version was removed."""
        facts = self.texts.facts(found.file)
        return facts[found.number] if facts else None

    def owners(self, wanted: Sequence[int]) -> dict[int, int]:
        """The file versions that rows belong to, by row; rows of none are left out."""
        known = self.view.owners
        found = {row: owner for row in wanted if (owner := known.get(row)) is not None}
        if missing := [row for row in wanted if row not in found]:
            read = rows.files_of_rows(self.connection, missing)
            if len(known) > _KEEP_OWNERS:
                known.clear()
            known.update(read)
            found.update(read)
        return found

    def without_terms(self, found: Sequence[Found]) -> list[Found]:
        """Those that have none of the terms that must not occur."""
        if not self.scope.not_terms or not found:
            return list(found)
        words = self.view.words
        query = Query.boolean_query(
            [
                (Occur.Must, words.any_of("row", [one.row for one in found])),
                (Occur.Must, words.any_of("content", self.scope.not_terms)),
            ]
        )
        banned = {hit.row for hit in words.hits(query, len(found))}
        return [one for one in found if one.row not in banned]

    # ---------------------------------------------------------------------------------------------------------- narrowing

    def _file_set(self) -> FileSet | None:
        """The file versions in scope, where there is reason to believe that they are few; None else."""
        scope = self.scope
        chunks = sum(row.state.chunks for row in self.sources.values())
        small = chunks < _SET_SHARE * self.view.rows
        if not self.sources or not (self.file_test.by_path or small):
            return None
        key = (tuple(self.sources), scope.languages, scope.not_languages, scope.paths, scope.not_paths)
        if isinstance(known := self.view.memo.get(key), FileSet):
            return known
        found: dict[int, vectors.Run] = {}
        for number, path, language, first, count in self.connection.execute(
            "select f.id, f.path, f.language, f.first_row, f.rows from shown s join files f on f.id = s.file "  # noqa: S608  numbers only
            f"where s.source in ({rows.in_list(list(self.sources))})"
        ):
            if not self.file_test or self.file_test.admits(to_text(path), language):
                found[number] = first, count
        runs = vectors.merged(run for run in found.values() if run[1])
        if len(self.view.memo) >= _KEEP_SETS:
            self.view.memo.clear()
        files = self.view.memo[key] = FileSet(sorted(found), runs, sum(count for _, count in runs))
        return files

    def _narrow(self) -> list[tuple[Occur, Query]]:
        """Conditions for the index of words."""
        words, scope = self.view.words, self.scope
        found: list[tuple[Occur, Query]] = []

        def must(field: str, values: Sequence[str | int]) -> None:
            if values:
                found.append(filtering(words.any_of(field, values)))

        def must_not(field: str, values: Sequence[str]) -> None:
            if values:
                found.append((Occur.MustNot, words.any_of(field, values)))

        if self.files is not None and len(self.files.ids) <= _SET_FILES:
            must("file", self.files.ids)
        else:
            repos = {row.state.source.repo for row in self.sources.values()}
            if len(repos) <= _REPOS and len(repos) < len({row.repo_id for row in self.view.sources.values()}):
                must("repo", sorted(repos))
            must("lang", scope.languages)
            must_not("lang", scope.not_languages)
        must("kind", scope.kinds)
        must("symbol", scope.symbols)
        must_not("kind", scope.not_kinds)
        must_not("symbol", scope.not_symbols)
        must_not("content", scope.not_terms)
        return found

    @property
    def nothing(self) -> bool:
        """Whether it is clear already that nothing is in scope."""
        return not self.sources or (self.files is not None and not self.files.ids)

    @property
    def narrowed_by_words(self) -> bool:
        """Whether the conditions for the index of words say more than the set of files."""
        scope = self.scope
        return bool(scope.kinds or scope.symbols or (self.files is None and (scope.languages or len(self.narrow) > 0)))
