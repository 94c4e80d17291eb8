"""Patterns: all chunks that match, found through the words that a match needs, decided by re2 on their text."""

from __future__ import annotations

from itertools import product
from math import prod

from tantivy import Occur, Query

from codequarry.store.embedded.rows import FileRow
from codequarry.store.embedded.scoped import Found, Scoped
from codequarry.store.embedded.view import View
from codequarry.store.embedded.words import every, filtering
from codequarry.store.prefilter import Every, LinePattern, Phrase, Piece, Requirement
from codequarry.store.schema import term_weights
from codequarry.types import Request

_WORDS = 2_000  # words that will do for one piece; more say too little
_PHRASES = 64  # combinations of words of one phrase that are looked up as phrases


def matching(scoped: Scoped, request: Request) -> tuple[list[Found], int, bool]:
    """The chunks that all patterns match, up to `request.matches`, how many there are, and whether all were counted.

    In order of their score by words, then of repository, path and line; those beyond the limit are the last of that order.
    """
    words = scoped.view.words
    conditions = [filtering(Query.all_query()), *scoped.narrow]
    for pattern in scoped.patterns:
        if (need := pattern.requirement) is not None and (query := _query(scoped.view, need)) is not None:
            conditions.append(filtering(query))
    if request.terms:
        conditions.append((Occur.Should, words.scoring(term_weights(request), request.weights)))
    hits = words.hits(every(conditions), max(1, int(words.searcher.num_docs)))
    scoped.load({hit.file for hit in hits})
    files = {hit.file: file for hit in hits if (file := scoped.file(hit.file)) is not None}
    ranks = {
        number: rank for rank, number in enumerate(sorted(files, key=lambda one: (files[one].repo, files[one].path)))
    }
    ordered = sorted(
        [(-hit.score, ranks[hit.file], hit.row, hit.file) for hit in hits if hit.file in ranks],
    )
    decide = _Decision(scoped)
    found: list[Found] = []
    for _, _, row, number in ordered:
        if len(found) >= request.matches:
            return found, len(found), False
        if decide.may_match(files[number], row) and (one := scoped.admits(number, row)) and decide.matches(one):
            found.append(one)
    return found, len(found), True


class _Decision:
    """Runs the patterns over texts; over a frame first, since most frames have no match at all."""

    def __init__(self, scoped: Scoped) -> None:
        self._texts = scoped.texts
        self._patterns: list[LinePattern] = scoped.patterns
        self._frames: dict[tuple[int, int], bool] = {}

    def may_match(self, file: FileRow, row: int) -> bool:
        """Whether the frame of a chunk has a match of each pattern."""
        facts = self._texts.facts(file)
        if facts is None or not 0 <= row - file.first_row < file.rows:
            return False
        first, last = self._texts.frames_of(file, *facts.span(row - file.first_row))
        if first != last:
            return True
        known = self._frames.get((file.id, first))
        if known is None:
            text = self._texts.frame(file.id, first)
            known = text is not None and all(pattern.matches(text) for pattern in self._patterns)
            self._frames[file.id, first] = known
        return known

    def matches(self, found: Found) -> bool:
        """Whether all patterns match the chunk."""
        text = self._texts.chunk(found.file, found.number)
        return text is not None and all(pattern.matches(text) for pattern in self._patterns)


# ------------------------------------------------------------------------------------------------- from words to documents


def _query(view: View, need: Requirement) -> Query | None:
    """Documents that have what is needed, as far as the index of words can tell; None for all of them."""
    if isinstance(need, Phrase):
        return _phrase(view, need)
    queries = [_query(view, part) for part in need.parts]
    known = [query for query in queries if query is not None]
    if isinstance(need, Every):
        return Query.boolean_query([(Occur.Must, query) for query in known]) if known else None
    return Query.boolean_query([(Occur.Should, query) for query in known]) if len(known) == len(queries) else None


def _phrase(view: View, phrase: Phrase) -> Query | None:
    alternatives = [view.identifiers.matching(piece, _WORDS) if _telling(piece) else None for piece in phrase.pieces]
    if any(words is not None and not words for words in alternatives):
        return Query.empty_query()
    conditions: list[Query] = []
    at = 0
    while at < len(alternatives):
        words = alternatives[at]
        if words is None:
            at += 1
            continue
        run = [words]
        while at + len(run) < len(alternatives) and (following := alternatives[at + len(run)]) is not None:
            if prod(map(len, run)) * len(following) > _PHRASES:
                break
            run.append(following)
        if len(run) == 1:
            conditions.append(view.words.any_of("raw", words))
        else:
            phrases = [view.words.phrase(combination) for combination in product(*run)]
            conditions.append(Query.boolean_query([(Occur.Should, one) for one in phrases]))
        at += len(run)
    return Query.boolean_query([(Occur.Must, one) for one in conditions]) if conditions else None


def _telling(piece: Piece) -> bool:
    """Whether looking for the words of a piece is worth it: one letter stands in most words."""
    return piece.exact or piece.text is None or len(piece.text) > 1 or not (piece.left or piece.right)
