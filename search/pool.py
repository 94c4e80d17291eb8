"""The candidates of a question, collapsed to files: what both feature sets and the ranking start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from codequarry.search import features
from codequarry.search.features import Question
from codequarry.types import Candidate

if TYPE_CHECKING:
    from codequarry.search.frames import Stack

MEANING = 0.2
"""The share of the vectors in a chunk's fitness, which chooses the chunk that stands for its file."""


@dataclass(slots=True)
class Found:
    """A candidate with its normalised scores."""

    candidate: Candidate
    bm25: float = 0.0  # weighted sum over the fields, as the store scored it
    words: float = 0.0  # the same as a share of the best
    meaning: float = 0.0  # cosine, 0..1 over all candidates
    words_rank: int | None = None  # place by BM25 among the candidates, from 1; None where no term was found
    vectors_rank: int | None = None  # place by cosine
    score: float = 0.0  # fitness to stand for the file: comparable among the chunks of one answer


_bm25, _likeness = attrgetter("bm25"), attrgetter("meaning")


@dataclass(slots=True)
class Ranked:
    """A file with its chunks, the best first, and the shares of its score."""

    chunks: list[Found]
    roles: frozenset[str] = frozenset()  # test, vendored, docs …
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Found:
        """The chunk that stands for the file."""
        return self.chunks[0]

    @property
    def score(self) -> float:
        """The sum of its shares."""
        return sum(self.shares.values())


def collapsed(question: Question, candidates: Sequence[Candidate], weights: Sequence[float]) -> list[Ranked]:
    """The files of the candidates in the order in which they were found, each with its chunks, the fittest first.

    `weights` are those of the fields in the words leg.
    """
    files: dict[tuple[str, str, str], Ranked] = {}
    passes = _stack_of(question.text).passes if question.is_long else None
    for found in normalised(candidates, weights):
        candidate = found.candidate
        found.score = _fitness(question, found) + (passes(candidate) if passes else 0.0)
        key = candidate.repo, candidate.path, candidate.blob
        if file := files.get(key):
            file.chunks.append(found)
        else:
            files[key] = Ranked([found])
    for file in files.values():
        if len(file.chunks) > 1:
            file.chunks.sort(key=lambda found: (-found.score, found.candidate.start_line))
        one = file.best.candidate
        file.roles = features.roles(one.path, one.language, one.kind, one.marks)
    return list(files.values())


def _stack_of(text: str) -> Stack:
    from codequarry.search.frames import Stack  # which a short question need not wait for
    from codequarry.search.issue import read

    return Stack(read(text).frames)


def _fitness(question: Question, found: Found) -> float:
    """Words and meaning; a chunk that defines a name of the question before one that uses it."""
    candidate = found.candidate
    fitness = (1 - MEANING) * found.words + MEANING * found.meaning
    if candidate.symbols:
        fitness += 0.2 * definition(question, candidate)
        if question.symbol:
            fitness += defines(question, candidate)
    return fitness


def definition(question: Question, candidate: Candidate) -> float:
    """1 for a chunk that defines a name that stands in the question as it is, half for one whose parts all do."""
    best = 0.0
    if not candidate.names:  # none of its names has a word of the question
        return best
    for symbol in candidate.symbols:
        name = features.last_name(symbol.name)
        if name in question.words and (len(question.words) == 1 or not name.islower() or "_" in name):
            return 1.0
        parts = features.name_terms(name)
        if len(parts) > 1 and parts.issubset(question.terms):
            best = 0.5
    return best


def defines(question: Question, candidate: Candidate) -> float:
    """How well a chunk defines the one name that the question is: 2 for a type, 1 for a function, half for other names.

    More where the container agrees; little where only the letters agree and not their capitals, unless the question has none.
    """
    name, container = question.symbol, question.container
    best, low = 0.0, name.lower()
    for symbol in candidate.symbols:
        own = features.last_name(symbol.name)
        if own.lower() != low or symbol.kind in features.NO_DEFINITIONS:
            continue
        value = 2.0 if symbol.kind in features.TYPE_KINDS else 1.0 if symbol.kind in features.FUNCTION_KINDS else 0.5
        value += 0.6 * bool(container and container in f"{symbol.name} {candidate.breadcrumb}")
        best = max(best, value if own == name else 0.2 * value if features.is_written_as_name(name) else 0.8 * value)
    return best


def normalised(candidates: Sequence[Candidate], weights: Sequence[float]) -> list[Found]:
    """The candidates with both legs scaled to 0..1: BM25 by the best of them, cosines, whose zero says nothing, by both ends."""
    content, path, names = weights
    sums = [content * c.content + path * c.path_score + names * c.names for c in candidates]
    cosines = [c.cosine for c in candidates if c.cosine is not None]
    most = max(sums, default=0.0)
    low, high = min(cosines, default=0.0), max(cosines, default=0.0)
    most, span = most or 1.0, high - low or 1.0
    pool = [
        Found(candidate, total, total / most, 0.0 if candidate.cosine is None else (candidate.cosine - low) / span)
        for candidate, total in zip(candidates, sums, strict=True)
    ]
    for place, found in enumerate(sorted(pool, key=_bm25, reverse=True), 1):
        found.words_rank = place if found.bm25 > 0 else None
    for place, found in enumerate(sorted(pool, key=_likeness, reverse=True), 1):
        found.vectors_rank = place if found.candidate.cosine is not None else None
    return pool
