"""The order of the candidates: files by the sum of their shares, with three rules above what the weights say.

A file's score is the sum over features of weight times value (`search/features_short.py`, `search/weights.json`), which ones and
with which weights is told by the question's form (`feature_set_of`). Three rules are
shares so large that no sum of others reaches them, since a fit makes weights too soft for them: the definer of the name that a
question is comes first (`definer`), tests come last unless they are asked for (`tests_last`), and for a long text so do all files
beside the source code (`aside_last`). Shares add up to the score, and
each can be switched off by name or group.

A query that has nothing but patterns and filters finds exactly what they match, so there only the order of a reading list is left
to choose: definitions, then mentions, then what is aside (`EXACT_SHARES`), each by path.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from codequarry.search import features
from codequarry.search.feature_set import FeatureSet, Weights, weights_of
from codequarry.search.features import Question
from codequarry.search.features_many import MANY
from codequarry.search.features_short import SHORT
from codequarry.search.pool import Found, Ranked, collapsed
from codequarry.text import STOP_WORDS
from codequarry.text import words as words_of
from codequarry.types import Candidate

DEFINER = 30.0
"""What the definer of a name gets, times how well it fits (`features.defines`): all other shares of two files differ by less."""

WORD_DEFINER = 1.0
"""The same where the name is a plain English word too: then it is one hint among others."""

TESTS_LAST = -100.0
"""What a test gets that was not asked for."""

ASIDE_LAST = -50.0
"""What a file gets that is no source code, where the question is an issue, a trace or a log: it has many words of all of them."""

ASIDE = frozenset(
    (
        features.EXAMPLE,
        features.BENCH,
        features.VENDORED,
        features.GENERATED,
        features.BUILD,
        features.DOCS,
        features.CONFIG,
    )
)
"""The roles of such files."""

RULES = ("definer", "tests_last", "aside_last")
"""The names of the rules, as shares."""

MANY_WORDS = 9
"""A question with so many different words, stop words not counted, describes what it wants."""

_ASKING = frozenset("how where what which why who whose".split())
_NO_ACTIVITIES = frozenset("string thing nothing anything everything something ring ping".split())
_SENTENCE = frozenset(
    "a an the this that these those its it their if whether when which is are be was been has have will can cannot must should "
    "may not does given".split()
)
"""Words that sentences have, and topics hardly."""

EXACT_SHARES: Mapping[str, tuple[float, frozenset[str]]] = {
    "test": (0.6, frozenset((features.TEST,))),
    "example": (0.4, frozenset((features.EXAMPLE, features.BENCH))),
    "vendored": (0.5, frozenset((features.VENDORED,))),
    "generated": (0.5, frozenset(features.MADE_BY_TOOLS)),
    "docs": (0.5, frozenset((features.DOCS, features.CONFIG))),
    "declaration": (0.3, frozenset((features.DECLARATION,))),
}
"""For queries of patterns and filters alone, where a match is worth 1 and a definition .5 more: the part that a role takes away."""

HISTORY = 0.6
"""The part taken from a change log."""


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    weights: Sequence[float],
    *,
    off: Collection[str] = (),
    tuned: Mapping[str, Weights] | None = None,
) -> list[Ranked]:
    """The files of the candidates, the best first, ties by repository and path; in each its chunks, the best first.

    `weights` are those of the fields in the words leg; `off` names features, groups of features or rules to leave out; `tuned` are
    weights of features, by set, that go before those that ship.
    """
    files = collapsed(question, candidates, weights)
    if question.exact:
        for file in files:
            _score_exact(question, file, off)
    else:
        chosen = feature_set_of(question, len({file.best.candidate.repo for file in files}))
        fitted = (tuned or {}).get(chosen.name) or weights_of(chosen.name)
        assert fitted is not None, f"search/weights.json has no weights for {chosen.name}"
        for file, shares in zip(files, chosen.shares(question, files, fitted.values, off), strict=True):
            shares.update((name, share) for name, share in rules(question, file).items() if name not in off)
            file.shares = shares
    return in_order(files)


def feature_set_of(question: Question, repositories: int = 1) -> FeatureSet[Any]:
    """The features and weights for the form of a question that found files of so many repositories."""
    if question.is_long:
        from codequarry.search.features_long import LONG

        return LONG
    if repositories > 1:
        return MANY
    if describes(question.text):
        from codequarry.search.features_described import DESCRIBED  # which a short question need not wait for

        return DESCRIBED
    return SHORT


def feature_sets() -> tuple[FeatureSet[Any], ...]:
    """All feature sets: `short`, `described`, `many`, `long`."""
    from codequarry.search.features_described import DESCRIBED
    from codequarry.search.features_long import LONG

    return SHORT, DESCRIBED, MANY, LONG


def describes(text: str) -> bool:
    """Whether a question says what code does, as its documentation would: a sentence, or very many words.

    A sentence has an article or one of the commonest verbs, and begins with a capital letter or has six words. What begins with a
    word that asks, or with an activity (parsing a header), is a topic.

    >>> [describes(text) for text in ("Returns the median of a list", "how the median is found", "finding the median")]
    [True, False, False]
    """
    written = words_of(text)
    lower = [word.lower() for word in written]
    if len(set(lower) - STOP_WORDS) >= MANY_WORDS:
        return True
    if len(written) < 3 or lower[0] in _ASKING or (lower[0].endswith("ing") and lower[0] not in _NO_ACTIVITIES):
        return False
    return (len(written) >= 6 or written[0][0].isupper()) and not _SENTENCE.isdisjoint(lower)


def in_order(files: Sequence[Ranked]) -> list[Ranked]:
    """Files by score, ties by repository and path."""
    return sorted(files, key=lambda file: (-file.score, file.best.candidate.repo, file.best.candidate.path))


# ----------------------------------------------------------------------------------------------------------------- rules


def rules(question: Question, file: Ranked) -> dict[str, float]:
    """The shares of the rules that stand above the weights."""
    found: dict[str, float] = {}
    if question.symbol and (value := _definer(question, file)):
        found["definer"] = value * (DEFINER if features.is_written_as_name(question.text) else WORD_DEFINER)
    if features.TEST in file.roles and features.TEST not in question.wanted:
        found["tests_last"] = TESTS_LAST
    if question.is_long and file.roles & ASIDE - question.wanted:
        found["aside_last"] = ASIDE_LAST
    return found


def _definer(question: Question, file: Ranked) -> float:
    """How well the file defines the name: its best chunk, more where the file has that name, less where it is no source code."""
    best = max([features.defines(question, found.candidate) for found in file.chunks])
    if best:
        path, name = file.best.candidate.path, _folded(question.symbol)
        best += 0.5 * (_folded(features.stem_of(path)) == name)
        best += 0.2 * (_folded(path.rsplit("/", 1)[-1].rsplit(".", 1)[0]) == name)
        if not file.roles <= question.wanted:
            best *= 0.3
    return best


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


# --------------------------------------------------------------------------------------------------------- exact queries


def _score_exact(question: Question, file: Ranked, off: Collection[str]) -> None:
    """The shares of a file that patterns and filters found; its chunks in order of what they define, then of lines."""
    for found in file.chunks:
        found.score = 1.0 + (0.0 if "definition" in off else 0.5 * _asked_for(question, found))
    file.chunks.sort(key=lambda found: (-found.score, found.candidate.start_line))
    file.shares = {"match": 1.0}
    if defined := file.best.score - 1.0:
        file.shares["definition"] = defined
    for name, (part, demoted) in EXACT_SHARES.items():
        if name not in off and not (file.roles & demoted).issubset(question.wanted):
            file.shares[name] = -part * file.score
    if "history" not in off and features.DOCS not in question.wanted and features.is_history(file.best.candidate):
        file.shares["history"] = -HISTORY * file.score


def _asked_for(question: Question, found: Found) -> float:
    """1 for the definition of a type that was asked for, a little less for a function's, then others."""
    best = 0.0
    for symbol in found.candidate.symbols:
        if question.asks_for(symbol.name):
            kind = symbol.kind
            best = max(best, 1.0 if kind in features.TYPE_KINDS else 0.9 if kind in features.FUNCTION_KINDS else 0.7)
    return best
