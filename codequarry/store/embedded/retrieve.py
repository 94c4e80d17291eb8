"""Finding: the best chunks by words, the best by vectors, or all that a pattern matches, as candidates with their scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from time import perf_counter

from tantivy import Occur, Query

from codequarry.store.embedded.patterns import matching
from codequarry.store.embedded.scoped import Found, Scoped
from codequarry.store.embedded.view import View
from codequarry.store.embedded.words import every
from codequarry.store.schema import cosine, term_weights
from codequarry.types import Candidate, Request, Retrieved

SCAN_ROWS = 250_000
"""With more vectors than this in play only the chunks that the words found are compared, unless the scope is small."""

_GATHER_ROWS = 8_000  # up to so many chunks that the index of words lists are compared one by one

_Scores = dict[int, tuple[float, float, float]]


def retrieve(connection: Connection, view: View, request: Request, *, scan_rows: int = SCAN_ROWS) -> Retrieved:
    """`codequarry.ports.Store.retrieve`, over one view."""
    scoped = Scoped(connection, view, request.scope)
    answer = Retrieved()
    if scoped.nothing:
        answer.exact_total = True
        return answer
    if scoped.patterns:
        return _all_matching(scoped, request, answer)
    clock = _Clock(answer.times_ms)
    by_words, all_words = _by_words(scoped, request)
    clock.lap("words")
    by_vector, dots = _by_vector(scoped, request, scan_rows, answer.notes)
    clock.lap("vectors")
    union = list({found.row: found for found in (*by_words, *by_vector)}.values())
    scores = _field_scores(scoped, request, union)
    clock.lap("fields")
    dots.update(_missing_dots(scoped, request, union, dots))
    first = _in_order({found.row: found for found in by_words}.values(), scores, request)[: request.words]
    in_words = {found.row for found in first}
    rest = list({found.row: found for found in by_vector if found.row not in in_words}.values())
    rest.sort(key=lambda found: (-dots[found.row], *_place_key(found)))
    answer.candidates = _candidates(scoped, [*first, *rest], scores, dots if request.vector else {})
    answer.total = len(answer.candidates)
    answer.exact_total = all_words and request.vector is None
    clock.lap("facts")
    return answer


class _Clock:
    def __init__(self, times_ms: dict[str, float]) -> None:
        self._times, self._last = times_ms, perf_counter()

    def lap(self, name: str) -> None:
        now = perf_counter()
        self._times[name] = (now - self._last) * 1e3
        self._last = now


# --------------------------------------------------------------------------------------------------------------------- legs


def _by_words(scoped: Scoped, request: Request) -> tuple[list[Found], bool]:
    """The best by words, with all that are equal to the last of them, and whether these are all."""
    if not request.terms or request.words <= 0:
        return [], not request.terms
    words = scoped.view.words
    query = every([(Occur.Must, words.scoring(term_weights(request), request.weights)), *scoped.narrow])
    limit, most = request.words + max(32, request.words // 4), int(words.searcher.num_docs) + 1
    while True:
        hits = words.hits(query, limit)
        scoped.load(hit.file for hit in hits)
        found = [(hit.score, one) for hit in hits if (one := scoped.admits(hit.file, hit.row)) is not None]
        if len(hits) < limit:
            exhausted = True
            break
        if len(found) >= request.words and found[request.words - 1][0] > hits[-1].score:
            exhausted = False
            break
        limit = min(limit * 4, most)
    if len(found) > request.words:
        last = found[request.words - 1][0]
        return [one for score, one in found if score >= last], False
    return [one for _, one in found], exhausted


def _by_vector(
    scoped: Scoped, request: Request, scan_rows: int, notes: list[str]
) -> tuple[list[Found], dict[int, float]]:
    """The nearest to the question, and the dot products that were computed on the way."""
    question = request.vector
    if question is None or request.vectors <= 0 or not question.strip(b"\0"):
        return [], {}
    vectors, listed = scoped.view.vectors, None
    in_play = scoped.files.rows if scoped.files is not None else vectors.rows
    if scoped.narrowed_by_words and in_play > _GATHER_ROWS:
        listed = _listed(scoped)
        in_play = in_play if listed is None else len(listed)
    if in_play > scan_rows:
        notes.append("vectors ranked only what the words found: the index is large and the scope is not narrow")
        return [], {}
    want = request.vectors + max(16, request.vectors // 8)
    while True:
        if listed is not None:
            best = vectors.best_of(question, want, listed)
        else:
            best = vectors.best(question, want, None if scoped.files is None else scoped.files.runs)
        owners = scoped.owners([row for _, row in best])
        owned = [(dot, owners[row], row) for dot, row in best if row in owners]
        scoped.load(owner for _, owner, _ in owned)
        products = {row: dot for dot, _, row in owned}
        found = [one for _, owner, row in owned if (one := scoped.admits(owner, row)) is not None]
        found = scoped.without_terms(found)
        if len(found) >= request.vectors or len(best) >= in_play:
            break
        want *= 4
    found.sort(key=lambda one: (-products[one.row], *_place_key(one)))
    found = found[: request.vectors]
    return found, {one.row: products[one.row] for one in found}


def _listed(scoped: Scoped) -> list[int] | None:
    """The rows that the conditions for words let pass, None when they are many."""
    words = scoped.view.words
    query = every([(Occur.Must, Query.const_score_query(Query.all_query(), 0.0)), *scoped.narrow])
    count = words.count(query)
    return [hit.row for hit in words.hits(query, count)] if count <= _GATHER_ROWS else None


def _all_matching(scoped: Scoped, request: Request, answer: Retrieved) -> Retrieved:
    clock = _Clock(answer.times_ms)
    found, answer.total, answer.exact_total = matching(scoped, request)
    clock.lap("patterns")
    scores = _field_scores(scoped, request, found)
    dots = _missing_dots(scoped, request, found, {})
    answer.candidates = _candidates(scoped, _in_order(found, scores, request), scores, dots)
    clock.lap("facts")
    return answer


# ----------------------------------------------------------------------------------------------------------------- assembly


def _field_scores(scoped: Scoped, request: Request, found: Sequence[Found]) -> _Scores:
    if not request.terms or not found:
        return {}
    return scoped.view.words.field_scores(term_weights(request), [one.row for one in found])


def _missing_dots(
    scoped: Scoped, request: Request, found: Sequence[Found], known: dict[int, float]
) -> dict[int, float]:
    if request.vector is None:
        return {}
    rows = [one.row for one in found if one.row not in known]
    return dict(zip(rows, scoped.view.vectors.dots(request.vector, rows), strict=True))


_NO_SCORES = (0.0, 0.0, 0.0)


def _in_order(found: Iterable[Found], scores: _Scores, request: Request) -> list[Found]:
    """By the weighted sum of the fields' scores, then by repository, path and line."""
    one, two, three = request.weights

    def key(item: Found) -> tuple[float, str, str, int]:
        content, path, names = scores.get(item.row, _NO_SCORES)
        return (-(one * content + two * path + three * names), *_place_key(item))

    return sorted(found, key=key)


def _place_key(found: Found) -> tuple[str, str, int]:
    return found.file.repo, found.file.path, found.number


def _candidates(scoped: Scoped, found: Sequence[Found], scores: _Scores, dots: dict[int, float]) -> list[Candidate]:
    scoped.texts.load_facts([one.file for one in found])
    return [
        candidate
        for one in found
        if (candidate := candidate_of(scoped, one, scores.get(one.row, _NO_SCORES), dots.get(one.row))) is not None
    ]


def candidate_of(
    scoped: Scoped, found: Found, scores: tuple[float, float, float] = _NO_SCORES, dot: float | None = None
) -> Candidate | None:
    """The candidate for a chunk, None when its version was removed."""
    file, facts = found.file, scoped.facts(found)
    if facts is None:
        return None
    return Candidate(
        file.repo,
        file.path,
        file.blob,
        file.language,
        file.marks,
        facts.kind,
        facts.start_line,
        facts.end_line,
        facts.breadcrumb,
        facts.symbols,
        facts.text_hash,
        scoped.places(file.id),
        scores[0],
        scores[1],
        scores[2],
        None if dot is None else cosine(dot),
        found,
    )
