"""The candidates of a question, collapsed to files: what both feature sets and the ranking start from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from codequarry.search import features
from codequarry.search.chunk_order import ChunkOrder, Passes
from codequarry.search.features import Question
from codequarry.types import Candidate

_FRAME_HINT = re.compile(r":\d|line \d|\(\d")  # what each frame with a line has


@dataclass(slots=True)
class Found:
    """A candidate with its normalised scores."""

    candidate: Candidate
    bm25: float = 0.0  # weighted sum over the fields, as the store scored it
    words: float = 0.0  # the same as a share of the best
    meaning: float = 0.0  # cosine, 0..1 over all candidates
    words_rank: int | None = None  # place by BM25 among the candidates, from 1; None where no term was found
    vectors_rank: int | None = None  # place by cosine
    score: float = 0.0  # how well it stands for its file, see `chunk_order`: comparable among the chunks of one file


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
    for found in normalised(candidates, weights):
        candidate = found.candidate
        key = candidate.repo, candidate.path, candidate.blob
        if file := files.get(key):
            file.chunks.append(found)
        else:
            files[key] = Ranked([found])
    order = None if question.exact else ChunkOrder(question, _passes_of(question))
    for file in files.values():
        if order and len(file.chunks) > 1:
            order.sort(file.chunks)
        one = file.best.candidate
        file.roles = features.roles(one.path, one.language, one.kind, one.marks)
    return list(files.values())


def _passes_of(question: Question) -> Passes | None:
    """How much of a stack frame is in a chunk, by the frames that the question has; None where it has none."""
    if question.is_long:
        from codequarry.search.frames import Stack  # which a short question need not wait for
        from codequarry.search.issue import read

        return Stack(read(question.text).frames).passes
    if _FRAME_HINT.search(question.text):
        from codequarry.search.frames import Stack, frames

        if found := list(frames(question.text)):
            return Stack(found).passes
    return None


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
