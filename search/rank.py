"""The order of the candidates: signals, each a small function with a weight and a reason, summed for each file.

`SIGNALS` is the ranking. Every signal gives a value for a chunk or a file; its share of the score is weight times value, and the
shares add up to the score (`why` shows them). A demotion takes a part of what the others gave. Any signal can be switched off by
name, which is how `bench` measures what each is worth.

The weights are hand-made: tried on labelled questions about twenty repositories, kept round, and checked on others
(`bench/quality.py --off NAME`). A query that has nothing but patterns and filters finds exactly what they match, so there only the
order of a reading list is left to choose: definitions, then mentions, then tests, each by path.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

from codequarry.search import features
from codequarry.search.features import Question
from codequarry.types import Candidate

MEANING = 0.2
"""The share of the vectors in the fused score of a chunk."""


@dataclass(slots=True)
class Found:
    """A candidate with its normalised scores, and what each signal gave it."""

    candidate: Candidate
    bm25: float = 0.0  # weighted sum over the fields, as the store scored it
    words: float = 0.0  # the same as a share of the best
    meaning: float = 0.0  # cosine, 0..1 over all candidates
    words_rank: int | None = None  # place by BM25 among the candidates, from 1; None where no term was found
    vectors_rank: int | None = None  # place by cosine
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The sum of its shares."""
        return sum(self.shares.values())


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


@dataclass(frozen=True, slots=True)
class Signal:
    """One row of the ranking. `level`: chunk and file values are added, a demotion's takes a part of the sum away."""

    name: str
    level: Literal["chunk", "file", "demotion"]
    weight: float
    reason: str
    value: Callable[[Question, Ranked, Found], float]


def _words(question: Question, file: Ranked, found: Found) -> float:
    return found.words


def _meaning(question: Question, file: Ranked, found: Found) -> float:
    return found.meaning


def _definition(question: Question, file: Ranked, found: Found) -> float:
    """1 for a name that stands in the question as it is, half for one whose parts all do."""
    best = 0.0
    if not found.candidate.names:  # none of its names has a word of the question
        return best
    for symbol in found.candidate.symbols:
        name = features.last_name(symbol.name)
        if name in question.words and (len(question.words) == 1 or not name.islower() or "_" in name):
            return 1.0
        parts = features.name_terms(name)
        if len(parts) > 1 and parts.issubset(question.terms):
            best = 0.5
    return best


def _coherence(question: Question, file: Ranked, found: Found) -> float:
    """Every further chunk counts less: 1 for about six chunks as good as the best of all."""
    if len(file.chunks) == 1:
        return file.chunks[0].words / 2.5
    scores = sorted([chunk.words for chunk in file.chunks], reverse=True)
    return sum(score / place for place, score in enumerate(scores, 1)) / 2.5


def _file_name(question: Question, file: Ranked, found: Found) -> float:
    """The share of the name's words that the question has, halved where that is one word: many files have it in their name."""
    name = features.name_terms(features.stem_of(found.candidate.path))
    shared = len(name.intersection(question.terms))
    return shared / len(name) * min(1.0, shared / 2) if shared else 0.0


def _role(*demoted: str) -> Callable[[Question, Ranked, Found], float]:
    def value(question: Question, file: Ranked, found: Found) -> float:
        return float(any(role in file.roles and role not in question.wanted for role in demoted))

    return value


def _history(question: Question, file: Ranked, found: Found) -> float:
    return float(features.DOCS not in question.wanted and features.is_history(file.best.candidate))


def _symbol(question: Question, file: Ranked, found: Found) -> float:
    """2 for a type of the name that the question is, 1 for a function, more where container or file agree.

    Little where only the letters agree and not their capitals.
    """
    name, container = question.symbol, question.container
    if not name:
        return 0.0
    best, low = 0.0, name.lower()
    for symbol in found.candidate.symbols:
        own = features.last_name(symbol.name)
        if own.lower() != low:
            continue
        value = 2.0 if symbol.kind in features.TYPE_KINDS else 1.0
        value += 0.5 * (features.stem_of(found.candidate.path).lower().replace("_", "") == low.replace("_", ""))
        value += 0.6 * bool(container and container in f"{symbol.name} {found.candidate.breadcrumb}")
        best = max(best, value if own == name else 0.2 * value)
    return best


def _match(question: Question, file: Ranked, found: Found) -> float:
    return 1.0


def _defines(question: Question, file: Ranked, found: Found) -> float:
    """For exact queries: 1 for the definition of a type that was asked for, a little less for a function's, then others."""
    best = 0.0
    for symbol in found.candidate.symbols:
        if question.asks_for(symbol.name):
            kind = symbol.kind
            best = max(best, 1.0 if kind in features.TYPE_KINDS else 0.9 if kind in features.FUNCTION_KINDS else 0.7)
    return best


_DEMOTIONS = (
    Signal("test", "demotion", 0.6, "tests have every word of what they test", _role(features.TEST)),
    Signal(
        "example", "demotion", 0.4, "examples use a thing and do not make it", _role(features.EXAMPLE, features.BENCH)
    ),
    Signal("vendored", "demotion", 0.5, "copied from elsewhere", _role(features.VENDORED)),
    Signal(
        "generated", "demotion", 0.5, "made by a tool from the real source", _role(features.GENERATED, features.BUILD)
    ),
    Signal(
        "docs",
        "demotion",
        0.5,
        "questions are about code unless they name documents",
        _role(features.DOCS, features.CONFIG),
    ),
    Signal("declaration", "demotion", 0.3, "signatures only", _role(features.DECLARATION)),
    Signal("history", "demotion", 0.6, "a change log has every word and explains nothing", _history),
)

SIGNALS: tuple[Signal, ...] = (
    Signal("words", "chunk", 1 - MEANING, "BM25 over content, path and defined names", _words),
    Signal("meaning", "chunk", MEANING, "likeness of the vectors of question and chunk", _meaning),
    Signal("definition", "chunk", 0.2, "the chunk defines a name that the question has", _definition),
    Signal("symbol", "chunk", 1.0, "the question is one name: its definer first, types before functions", _symbol),
    Signal("coherence", "file", 0.6, "several chunks of the file answer", _coherence),
    Signal("file_name", "file", 0.2, "the file is named after what the question asks", _file_name),
    *_DEMOTIONS,
)
"""The ranking of questions."""

EXACT_SIGNALS: tuple[Signal, ...] = (
    Signal("match", "chunk", 1.0, "everything that was asked for stands there", _match),
    Signal("definition", "chunk", 0.5, "the chunk defines what was asked for", _defines),
    *_DEMOTIONS,
)
"""The ranking of queries of patterns and filters alone."""


def rank(
    question: Question, candidates: Sequence[Candidate], weights: Sequence[float], *, off: Collection[str] = ()
) -> list[Ranked]:
    """The files of the candidates, the best first, ties by repository and path; in each its chunks, the best first.

    `weights` are those of the fields in the words leg; `off` names signals to leave out.
    """
    table = EXACT_SIGNALS if question.exact else SIGNALS
    # A question that is no name gives nothing to those who look for one.
    idle = off if question.symbol else {*off, "symbol"}
    signals = _Levels([signal for signal in table if signal.name not in idle])
    files: dict[tuple[str, str, str], Ranked] = {}
    for found in _normalised(candidates, weights):
        candidate = found.candidate
        files.setdefault((candidate.repo, candidate.path, candidate.blob), Ranked([])).chunks.append(found)
    for file in files.values():
        _score(question, file, signals)
    return [file for _, file in sorted(files.items(), key=lambda item: (-item[1].score, item[0][0], item[0][1]))]


class _Levels:
    """Signals by the level at which they are asked."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self.chunk = [signal for signal in signals if signal.level == "chunk"]
        self.file = [signal for signal in signals if signal.level == "file"]
        self.demotions = [signal for signal in signals if signal.level == "demotion"]


def _score(question: Question, file: Ranked, signals: _Levels) -> None:
    """Fills the shares of a file and of its chunks, and puts its best chunk first."""
    for found in file.chunks:
        shares = found.shares
        for signal in signals.chunk:
            if value := signal.value(question, file, found):
                shares[signal.name] = signal.weight * value
    if len(file.chunks) > 1:
        file.chunks.sort(key=lambda found: (-found.score, found.candidate.start_line))
    best = file.best
    file.roles = features.roles(best.candidate.path, best.candidate.language, best.candidate.kind, best.candidate.marks)
    file.shares = dict(best.shares)
    for signal in signals.file:
        if value := signal.value(question, file, best):
            file.shares[signal.name] = signal.weight * value
    if file.roles:
        for signal in signals.demotions:
            if value := signal.value(question, file, best):
                file.shares[signal.name] = -signal.weight * value * file.score


def _normalised(candidates: Sequence[Candidate], weights: Sequence[float]) -> list[Found]:
    """The candidates with both legs scaled to 0..1: BM25 by the best of them, cosines, whose zero says nothing, by both ends."""
    content, path, names = weights
    sums = [content * c.content + path * c.path_score + names * c.names for c in candidates]
    cosines = [c.cosine for c in candidates if c.cosine is not None]
    most = max(sums, default=0.0)
    low, high = min(cosines, default=0.0), max(cosines, default=0.0)
    pool = [
        Found(
            candidate,
            bm25=total,
            words=total / most if most else 0.0,
            meaning=(candidate.cosine - low) / (high - low) if candidate.cosine is not None and high > low else 0.0,
        )
        for candidate, total in zip(candidates, sums, strict=True)
    ]
    for place, found in enumerate(sorted(pool, key=_bm25, reverse=True), 1):
        found.words_rank = place if found.bm25 > 0 else None
    for place, found in enumerate(sorted(pool, key=_likeness, reverse=True), 1):
        found.vectors_rank = place if found.candidate.cosine is not None else None
    return pool
