"""What a description says about a file: a sentence on what code does, as its documentation would have it, or many words.

Such a question has a word of many names and folders, so that what finds the main file of a short question (`features_short`)
pushes aside the chunk that does what is described. Here the scores of chunks count most, words and meaning of the same chunk
together, and a defined name by those of its words that few of the found files have in a name. What tells code from files beside
it is as for short questions, with the same weights: the packages that these features are fitted to have source code alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log

from codequarry.search.chunk_order import MEANING
from codequarry.search.feature_set import Feature, FeatureSet
from codequarry.search.features import Question
from codequarry.search.features_short import FEATURES as OF_SHORT
from codequarry.search.features_short import Facts, Pool
from codequarry.search.pool import Ranked

SHARED_WITH_SHORT = frozenset(("body", "mean_likeness", "summed_likeness", "name_rest"))
"""Features of short questions that tell of descriptions too; names of files, folders and headers do not."""


class FactsOfDescribed(Facts):
    """A file with what several features need; `rarity` is that of each term of the question among the names that were found."""

    __slots__ = ("rarity",)

    def __init__(self, pool: Pool, file: Ranked) -> None:
        super().__init__(pool, file)
        self.rarity: dict[str, float] = {}


def prepare(question: Question, files: Sequence[Ranked]) -> list[FactsOfDescribed]:
    """The facts of each file."""
    pool = Pool(question, files)
    found = [FactsOfDescribed(pool, file) for file in files]
    have = Counter([stem for facts in found for stem in {stem for _, shared in facts.defined for stem in shared}])
    rarity = {stem: log(1 + len(files) / (1 + have[stem])) for stem in pool.asked.places}
    total = sum(rarity.values()) or 1.0
    for facts in found:
        facts.rarity = {stem: value / total for stem, value in rarity.items()}
    return found


def _fused(facts: FactsOfDescribed) -> float:
    return max([(1 - MEANING) * found.words + MEANING * found.meaning for found in facts.file.chunks])


def _symbol_tells(facts: FactsOfDescribed) -> float:
    """How much of the question the best defined name has, by rarity, times how much of the name that is."""
    rarity = facts.rarity
    return max(
        [sum([rarity[stem] for stem in set(shared)]) * len(shared) / len(stems) for stems, shared in facts.defined],
        default=0.0,
    )


FEATURES: tuple[Feature[FactsOfDescribed], ...] = (
    Feature("fused", "words", "one chunk has the words and means the same", _fused),
    Feature("symbol_tells", "symbols", "one defined name has words of the question that few files name", _symbol_tells),
    *[feature for feature in OF_SHORT if feature.name in SHARED_WITH_SHORT],
    *[feature for feature in OF_SHORT if feature.group == "role"],
)

DESCRIBED = FeatureSet("described", FEATURES, prepare)
"""Features for descriptions."""
