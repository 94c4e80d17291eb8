"""Which chunk of a file stands for it, and in which order the others follow.

What a file is worth is said elsewhere (`search/rank.py`); here its chunks are compared with each other only. For a short question
a chunk's score is the sum over `FEATURES` of weight times value. All of it is read off what a store returns with the candidates;
a name counts by how few of the file's chunks have its words: words that the whole file is about do not tell which part of it is
meant. The weights (`chunks` in `search/weights.json`) are fitted by `bench/chunks.py` to functions asked for in the words of their
documentation, and to names asked for in words. Two rules stand above them: the definer of the name that a question is, and the
place of a stack frame. A long text has words of everything: there chunks keep fixed shares of words and of meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import exp, fsum, log, log1p
from operator import itemgetter
from typing import TYPE_CHECKING

from codequarry.search import features
from codequarry.search.feature_set import weights_of
from codequarry.search.features import Question, last_name
from codequarry.text import beginning
from codequarry.types import Candidate

if TYPE_CHECKING:
    from codequarry.search.pool import Found

Passes = Callable[[Candidate], float]
Row = tuple[float, float, float, float, float, float]

FEATURES = {
    "content": "it has the question's words, the rare ones before all: BM25 of its content",
    "likeness": "it means what the question means: its cosine, scaled over all that was found",
    "functions": "it has many functions, and each could be the one: the logarithm of 1 and their number",
    "named": "one name that it defines has, with what is around it, the words that tell, and few others",
    "names": "all names that it defines, and those around it, have the words that tell: questions name several things",
    "container": "it stands in a class, function or section that has words of the question",
}
"""What a chunk's score is made of, by name, with the reason."""

SET = "chunks"
"""The name of their weights in `search/weights.json`."""

MEANING = 0.2
"""The share of the vectors in the fitness of a long text's chunks; words have the rest."""

_is_function, _kind = features.FUNCTION_KINDS.__contains__, itemgetter(1)
_SCALE = 10.0  # BM25 is some tens: weights are easier to read when all features are about one
_END_OF_NAME = re.compile(r"[(<\[{:=]")  # in a breadcrumb: where arguments, types or a value begin


class ChunkOrder:
    """Orders the chunks of each file that a question found; `passes` says how much of a stack frame of it is in a chunk."""

    __slots__ = ("_asked", "_beginnings", "_passes", "_question", "_weights")

    def __init__(self, question: Question, passes: Passes | None = None) -> None:
        self._question, self._passes = question, passes
        self._asked = frozenset(question.terms)
        self._beginnings = tuple({beginning(term) for term in question.terms})
        weights = weights_of(SET)
        assert weights is not None, f"search/weights.json has no weights for {SET}"
        self._weights = [weights.values.get(name, 0.0) for name in FEATURES]

    def sort(self, chunks: list[Found]) -> None:
        """Puts the chunks of a file in order, the best first, ties by line, and sets their scores.

        For a short question a score says how likely the chunk is the answer, beside the likeliest of its file, which has 1.
        """
        question, passes = self._question, self._passes
        if question.is_long:
            for found in chunks:
                found.score = _fitness(question, found) + (passes(found.candidate) if passes else 0.0)
        else:
            a, b, c, d, e, f = self._weights
            scores = [a * u + b * v + c * w + d * x + e * y + f * z for u, v, w, x, y, z in self.rows(chunks)]
            best = max(scores)
            for found, score in zip(chunks, scores, strict=True):
                found.score = exp(score - best)
            if question.symbol or passes:
                above = {id(found): _rule(question, found.candidate, passes) for found in chunks}
                chunks.sort(key=lambda found: (-above[id(found)], -found.score, found.candidate.start_line))
                return
        chunks.sort(key=lambda found: (-found.score, found.candidate.start_line))

    def rows(self, chunks: Sequence[Found]) -> list[Row]:
        """The values of `FEATURES`, a row for each chunk of a file: what weights are fitted to."""
        # Sums are exact, so that the order of a set's words, which differs from process to process, makes no difference. Of each
        # chunk there are the words of the question that its containers have, and what of it each of its names has.
        asked, beginnings = self._asked, self._beginnings
        told: list[tuple[frozenset[str], frozenset[str], list[tuple[frozenset[str], float]]]] = []
        have: dict[str, int] = {}
        for found in chunks:
            candidate = found.candidate
            container = words = asked & _container_terms(candidate.breadcrumb)
            names: list[tuple[frozenset[str], float]] = []
            for name in features.names_with(candidate, beginnings):
                own = features.name_terms(last_name(name))
                if shared := asked & own:
                    names.append((shared, len(shared) / len(own)))
                    words = words | shared
            told.append((container, words, names))
            for term in words:
                have[term] = have.get(term, 0) + 1
        count = len(chunks)
        rarity = {term: log(1 + count / (1 + having)) for term, having in have.items()}
        total = fsum(rarity.values()) + (len(asked) - len(have)) * log(1 + count) or 1.0
        rows: list[Row] = []
        for found, (container, words, names) in zip(chunks, told, strict=True):
            candidate = found.candidate
            named = all_names = around = 0.0
            if words:
                all_names = fsum([rarity[term] for term in words]) / total
                if container:
                    around = fsum([rarity[term] for term in container]) / total
                for shared, share in names:
                    value = share * fsum([rarity[term] for term in shared | container]) / total
                    if value > named:
                        named = value
            functions = sum(map(_is_function, map(_kind, candidate.symbols)))
            rows.append((candidate.content / _SCALE, found.meaning, log1p(functions), named, all_names, around))
        return rows


@lru_cache(maxsize=20_000)
def _container_terms(breadcrumb: str) -> frozenset[str]:
    """The stemmed words of the names in a breadcrumb, without its path and without arguments."""
    names = [_END_OF_NAME.split(segment, maxsplit=1)[0].strip() for segment in breadcrumb.split(" › ")[1:]]
    return frozenset().union(*[features.name_terms(last_name(name)) for name in names])


def _rule(question: Question, candidate: Candidate, passes: Passes | None) -> float:
    """What stands above the weights: a definer of the name that is asked for, the place of a stack frame."""
    defines = features.defines(question, candidate) if question.symbol else 0.0
    return defines + (passes(candidate) if passes else 0.0)


def _fitness(question: Question, found: Found) -> float:
    """Words and meaning; a chunk that defines a name of the text before one that uses it."""
    fitness = (1 - MEANING) * found.words + MEANING * found.meaning
    if found.candidate.symbols:
        fitness += 0.2 * features.definition(question, found.candidate)
    return fitness
