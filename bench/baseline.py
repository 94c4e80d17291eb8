"""The fixed base line: a ranking by hand-made weights, which no fit may fall behind.

It is what codequarry had before its weights were fitted, and stays as it was, so that gains are always measured against the same
thing. `rank` stands in for `codequarry.search.rank.rank`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from codequarry.search import features
from codequarry.search.features import Question
from codequarry.search.pool import Found, Ranked, normalised
from codequarry.search.rank import in_order
from codequarry.types import Candidate

MEANING = 0.2
"""The share of the vectors in the fused score of a chunk."""


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
    return features.definition(question, found.candidate)


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


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    weights: Sequence[float],
    *,
    off: Collection[str] = (),
    tuned: object = None,
) -> list[Ranked]:
    """The files of the candidates, the best first, as `codequarry.search.rank.rank` returns them."""
    signals = [signal for signal in SIGNALS if signal.name not in off]
    files: dict[tuple[str, str, str], Ranked] = {}
    for found in normalised(candidates, weights):
        one = found.candidate
        files.setdefault((one.repo, one.path, one.blob), Ranked([])).chunks.append(found)
    for file in files.values():
        _score(question, file, signals)
    return in_order(list(files.values()))


def _score(question: Question, file: Ranked, signals: Sequence[Signal]) -> None:
    shares = {
        id(found): {
            signal.name: signal.weight * signal.value(question, file, found)
            for signal in signals
            if signal.level == "chunk"
        }
        for found in file.chunks
    }
    for found in file.chunks:
        found.score = sum(shares[id(found)].values())
    file.chunks.sort(key=lambda found: (-found.score, found.candidate.start_line))
    best = file.best
    file.roles = features.roles(best.candidate.path, best.candidate.language, best.candidate.kind, best.candidate.marks)
    file.shares = dict(shares[id(best)])
    for signal in signals:
        if signal.level == "file":
            file.shares[signal.name] = signal.weight * signal.value(question, file, best)
    for signal in signals:
        if signal.level == "demotion":
            file.shares[signal.name] = -signal.weight * signal.value(question, file, best) * file.score
