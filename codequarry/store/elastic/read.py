"""Reading: a search, then one look at what the found files' entries say now; what they do not confirm is dropped.

The chunks' `src` is a hint, and a search sees them as of the last refresh, while entries and rows are read as they are. So the
rows are read before the search, and again with the entries after it: where a pointer has moved in between, all is done again.

Rows are kept for some seconds between requests. Where the layers of a source change, since it begins, begins again or is forgotten,
no hit may lead to it by what is kept: such sources stand in the registry from before their pointer moves until after it, and the
rows of these are looked at with each answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codequarry.errors import ModelMismatch, StoreError
from codequarry.store.elastic import documents, query
from codequarry.store.elastic.client import At, Client, Document, pause
from codequarry.store.elastic.history import History, Layer, Moved, resolve
from codequarry.store.elastic.ledger import Row, registry_at, row_at, row_back, rows, turning
from codequarry.store.elastic.mapping import Names
from codequarry.store.prefilter import LinePattern
from codequarry.store.schema import FIELDS, cosine
from codequarry.store.scope import ChunkTest, FileTest, sources_in
from codequarry.types import Candidate, Place, Request, Retrieved, Source, SourceState

TRIES = 20  # of a search while pointers move
PAGE = 500  # chunks with their text that a pattern is tried on at once
MOST = 10_000  # hits of one search, the server's limit
VIEW_S = 5.0  # how long rows are kept without looking again


@dataclass(slots=True)
class View:
    """The rows as they were read, and what the registry said before: its token, and the sources that are about to change."""

    rows: dict[str, Row]
    registry: int
    turning: dict[str, str]  # their ids, with the repositories
    read_at: float

    def states(self) -> list[SourceState]:
        """The states of the sources that show something."""
        return [row.as_state() for row in self.rows.values() if row.pointer and not row.forgotten]


def view(client: Client, names: Names) -> View:
    """Reads the rows."""
    registry = client.get(registry_at(names))  # first: rows that come later change it
    found = rows(client, names)
    rows_by_src = {row.src: row for row in found}
    if registry is None:
        return View(rows_by_src, -1, {}, time.monotonic())
    return View(rows_by_src, registry.seq_no, turning(registry), time.monotonic())


@dataclass(slots=True)
class _Hit:
    document: dict[str, Any]
    scores: Mapping[str, float]
    words: float  # the score of the words leg
    repo: str
    path: str
    showing: frozenset[str]  # the sources in scope that may show it: those that stand on a layer that its chunk names
    places: list[Place] = field(default_factory=list)  # of those whose entries confirm it
    cosine: float = 0.0

    def by_words(self) -> tuple[float, str, str, int]:
        return -self.words, self.repo, self.path, self.document["start"]

    def by_vector(self) -> tuple[float, str, str, int]:
        return -self.cosine, self.repo, self.path, self.document["start"]


def _settled(left: Sequence[_Hit], last: Sequence[_Hit], wanted: int) -> bool:
    """Whether nothing below the last hit that was looked at can belong to the first `wanted`."""
    return len(left) >= wanted and all(hit.words < left[wanted - 1].words for hit in last)


class Reader:
    """Answers requests; keeps the rows between them."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client, self._names = client, names
        self._view: View | None = None

    def forget_view(self) -> None:
        """Has the rows read again with the next request."""
        self._view = None

    def view(self) -> View:
        """The rows, at most some seconds old."""
        seen = self._view
        if seen is None or time.monotonic() - seen.read_at > VIEW_S:
            seen = self._view = view(self._client, self._names)
        return seen

    def hints(self, sources: Sequence[Source]) -> list[str]:
        """The ids by which the chunks of these sources may be found, as of now."""
        read = self._client.read([row_at(self._names, source) for source in sources])
        known = [row_back(document.source) for document in read if document is not None]
        return sorted({layer.src(row.source.repo) for row in known for layer in row.stack})

    def retrieve(self, request: Request, dim: int) -> Retrieved:
        """Candidates within the scope; see `codequarry.ports.Store.retrieve`."""
        if request.vector is not None and len(request.vector) != dim:
            raise ModelMismatch(
                f"the question's vector has {len(request.vector)} dimensions, the index has {dim}",
                hint="search with the model that the index was built with",
            )
        for attempt in range(TRIES):
            try:
                return _Search(self._client, self._names, self.view(), request).run()
            except Moved:
                self._view = None
                if attempt > 2:
                    pause(attempt - 2)
        raise StoreError("the index changes faster than it can be read", hint="try again", retryable=True)


class _Search:
    """One try to answer a request."""

    def __init__(self, client: Client, names: Names, seen: View, request: Request) -> None:
        self._client, self._names, self._view, self._request = client, names, seen, request
        scope = request.scope
        self._sources = {documents.source_id(state.source): state for state in sources_in(scope, seen.states())}
        self._stacks = {src: seen.rows[src].stack for src in self._sources}
        self._users: dict[str, list[str]] = {}  # by the id of a layer the sources in scope that stand on it
        for src, state in self._sources.items():
            for layer in self._stacks[src]:
                self._users.setdefault(layer.src(state.source.repo), []).append(src)
        self._showing: dict[tuple[str, ...], frozenset[str]] = {}  # by what chunks name
        self._files, self._chunks = FileTest(scope), ChunkTest(scope)
        self._patterns = [LinePattern(pattern) for pattern in scope.patterns]
        self._not_patterns = [LinePattern(pattern) for pattern in scope.not_patterns]
        self._times: dict[str, float] = {}
        self._filters = query.narrowing(scope, self._narrow_sources())

    def _narrow_sources(self) -> list[str] | None:
        """The ids to filter by; None when all sources are in scope, since a filter that all pass costs a third of the search."""
        there = sum(not row.forgotten for row in self._view.rows.values())
        return None if len(self._sources) == there else sorted(self._users)

    def run(self) -> Retrieved:
        notes = []
        if len(set(self._request.terms)) > query.MOST_TERMS:
            notes.append(f"the question has {len(set(self._request.terms))} terms, the first {query.MOST_TERMS} count")
        if not self._sources:
            self._confirm([])
            return Retrieved(exact_total=True, notes=notes, times_ms=self._times)
        before = self._client.waited_ms
        found = self._match() if self._patterns else self._rank()
        self._times["server"] = self._client.waited_ms - before
        found.notes = notes
        found.times_ms = self._times
        return found

    # ---------------------------------------------------------------------------------------------------------- ranking

    def _rank(self) -> Retrieved:
        request = self._request
        most_words = request.words + max(32, request.words // 4) if request.terms and request.words else 0
        most_vectors = 0
        if request.vector is not None and request.vectors and request.vector.strip(b"\0"):
            most_vectors = request.vectors + max(16, request.vectors // 8)
        while True:
            body = query.hybrid(request, self._filters, most_words, most_vectors)
            if not body["size"]:
                self._confirm([])
                return Retrieved(exact_total=not request.terms)
            hits = self._search(body)
            by_words = sorted((hit for hit in hits if hit.words > 0), key=_Hit.by_words) if most_words else []
            by_vector = [hit for hit in hits if "vector" in hit.scores]
            self._confirm([hit for hit in hits if self._decides(hit)])
            words_left = [hit for hit in by_words[:most_words] if hit.places]
            vectors_left = [hit for hit in by_vector if hit.places]
            # Where hits were dropped from a full leg, or the last place is shared, those below may deserve it.
            all_words = len(by_words) < most_words
            more_words = not all_words and not _settled(
                words_left, by_words[most_words - 1 : most_words], request.words
            )
            more_vectors = len(by_vector) >= most_vectors and len(vectors_left) < request.vectors
            grown = (
                min(MOST, 4 * most_words) if more_words else most_words,
                min(MOST - request.words, 4 * most_vectors) if more_vectors else most_vectors,
            )
            if grown == (most_words, most_vectors):
                break
            most_words, most_vectors = grown
        del words_left[request.words :]
        first = {id(hit) for hit in words_left}
        self._compare([*words_left, *(hit for hit in vectors_left if id(hit) not in first)])
        vectors_left.sort(key=_Hit.by_vector)
        rest = [hit for hit in vectors_left[: request.vectors] if id(hit) not in first]
        candidates = [self._candidate(hit) for hit in (*words_left, *rest)]
        return Retrieved(candidates, len(candidates), all_words and request.vector is None)

    # ---------------------------------------------------------------------------------------------------------- matching

    def _match(self) -> Retrieved:
        """All chunks that the patterns match, in order, page by page, until there are more than were asked for."""
        most = self._request.matches
        body = query.matching(self._request, self._filters, PAGE)
        hits, last = self._page(body)
        found = self._matching(hits)
        if len(hits) == PAGE and len(found) <= most:
            found, last = self._pages(body, most)
        complete = last is None
        self._compare(found[:most])
        return Retrieved([self._candidate(hit) for hit in found[:most]], len(found), complete)

    def _pages(self, body: dict[str, Any], most: int) -> tuple[list[_Hit], Any]:
        """As `_match`, over one snapshot of the index, since pages of different ones do not fit together."""
        path = f"/{self._names.chunks}/_pit?keep_alive=2m"
        pit = self._client.call("POST", path)[1]["id"]
        found: list[_Hit] = []
        try:
            last: Any = None
            while True:
                paged = {**body, "pit": {"id": pit, "keep_alive": "2m"}}
                if last is not None:
                    paged["search_after"] = last
                hits, last = self._page(paged)
                found += self._matching(hits)
                if last is None or len(found) > most:
                    return found, last
        finally:
            self._client.call("DELETE", "/_pit", {"id": pit}, allow=(404,))

    def _page(self, body: dict[str, Any]) -> tuple[list[_Hit], Any]:
        hits = self._search(body)
        return hits, self._last if len(hits) == body["size"] else None

    def _matching(self, hits: Sequence[_Hit]) -> list[_Hit]:
        begin = time.perf_counter()
        kept = [hit for hit in hits if self._decides(hit)]
        self._took("match", begin)
        self._confirm(kept)
        return [hit for hit in kept if hit.places]

    # ------------------------------------------------------------------------------------------------------------- parts

    def _search(self, body: dict[str, Any]) -> list[_Hit]:
        begin = time.perf_counter()
        options = "include_named_queries_score=true&allow_partial_search_results=false"
        if "knn" not in body:  # with it the server does so by itself, and refuses to be told
            options += "&search_type=dfs_query_then_fetch"
        index = "" if "pit" in body else f"/{self._names.chunks}"
        _, answer = self._client.call("POST", f"{index}/_search?{options}", body)
        self._took("search", begin)
        hits = answer["hits"]["hits"]
        self._last = hits[-1].get("sort") if hits else None
        return [self._hit(hit["_source"], hit.get("matched_queries") or {}) for hit in hits]

    def _hit(self, document: dict[str, Any], scores: Mapping[str, float]) -> _Hit:
        named = tuple(document["src"])
        if (showing := self._showing.get(named)) is None:
            showing = self._showing[named] = frozenset(src for hint in named for src in self._users.get(hint, ()))
        words = sum([scores.get(name, 0.0) for name in FIELDS])
        return _Hit(
            document, scores, words, documents.back(document["repo"]), documents.back(document["path"]), showing
        )

    def _decides(self, hit: _Hit) -> bool:
        """Whether the chunk is in scope, sources aside."""
        document = hit.document
        if self._files and not self._files.admits(hit.path, document["language"]):
            return False
        if self._chunks and not self._chunks.admits(document["kind"], documents.symbols(document)):
            return False
        if self._patterns or self._not_patterns:
            text = document["text"].encode()
            if not all(pattern.matches(text) for pattern in self._patterns):
                return False
            return not any(pattern.matches(text) for pattern in self._not_patterns)
        return True

    def _confirm(self, hits: Sequence[_Hit]) -> None:
        """Gives those hits the places where sources in scope show them.

        Raises:
            Moved: a pointer moved since the rows were read.
        """
        begin = time.perf_counter()
        pairs = sorted({(src, hit.path) for hit in hits for src in hit.showing})
        sources = {src: self._sources[src].source.repo for src, _ in pairs} | self._view.turning
        rows_at = [At(self._names.ledger, src, repo) for src, repo in sources.items()]
        entries_at = [
            at for src, path in pairs for at in entries_of(self._names, sources[src], self._stacks[src], path)
        ]
        fields = ["cur", "prev", "older", "pointer"]
        registry, *answers = self._client.read([registry_at(self._names), *rows_at, *entries_at], fields)
        if (registry.seq_no if registry else -1) != self._view.registry:
            raise Moved
        for src, document in zip(sources, answers, strict=False):
            seen, now = self._view.rows.get(src), document.source["pointer"] if document else 0
            if now != (seen.pointer if seen else 0):
                raise Moved
        entries = iter(answers[len(sources) :])
        shown = {(src, path): confirmed(self._stacks[src], entries) for src, path in pairs}
        for hit in hits:
            blob, recipe = hit.document["blob"], hit.document["recipe"]
            hit.places = [
                place(self._sources[src], mark.modified)
                for src in hit.showing
                if (mark := shown[src, hit.path]) is not None and mark.blob == blob and mark.recipe == recipe
            ]
            hit.places.sort()
        self._took("confirm", begin)

    def _compare(self, hits: Sequence[_Hit]) -> None:
        """Computes the cosine of every hit with the question."""
        if self._request.vector is not None:
            vectors = [bytes.fromhex(hit.document["vector"]) for hit in hits]
            for hit, dot in zip(hits, _dots(self._request.vector, vectors), strict=True):
                hit.cosine = cosine(dot)

    def _candidate(self, hit: _Hit) -> Candidate:
        made = documents.candidate(hit.document, hit.places)
        scores = (
            hit.scores[name] / weight if name in hit.scores else 0.0
            for name, weight in zip(FIELDS, self._request.weights, strict=True)
        )
        made.content, made.path_score, made.names = scores
        made.cosine = None if self._request.vector is None else hit.cosine
        return made

    def _took(self, what: str, begin: float) -> None:
        self._times[what] = self._times.get(what, 0.0) + (time.perf_counter() - begin) * 1000


def entries_of(names: Names, repo: str, stack: Iterable[Layer], path: str) -> list[At]:
    """Where the entries of a path stand, in the order of the layers of a source."""
    return [At(names.files, documents.entry_id(layer.src(repo), path), repo) for layer in stack]


def confirmed(stack: Sequence[Layer], entries: Iterator[Document | None]) -> documents.Mark | None:
    """What a source shows by the next of these entries, one for each of its layers. Raises Moved when they were written over."""
    read = [next(entries) for _ in stack]
    return resolve(stack, [None if entry is None else History.of(entry.source) for entry in read])


def place(state: SourceState, modified: bool) -> Place:
    """A source as the place of a candidate."""
    return Place(state.source, state.commit, state.head, modified, state.web)


def _dots(asked: bytes, vectors: Sequence[bytes]) -> list[float]:
    """The dot product of each vector with the one asked for."""
    if not vectors:
        return []
    import simsimd

    matrix = memoryview(b"".join(vectors)).cast("b", (len(vectors), len(asked)))
    question = memoryview(asked).cast("b", (1, len(asked)))
    products: Any = simsimd.cdist(matrix, question, metric="dot", out_dtype="float32")
    return list(memoryview(products).cast("B").cast("f"))
