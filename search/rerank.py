"""The best hits in order once more, by a model that reads the question together with their code; off unless one is set.

What the model says is one share more, beside those of the features: alone it would throw away what they know
(bench/reports/rerank.md). Only the order of the best changes, never which hits there are; tests stay last, the definer first.
"""

from __future__ import annotations

from collections.abc import Sequence

from codequarry.ports import Reranker, Store
from codequarry.search.snippets import Group

BEST = 20
"""How many hits are read: the right file is among them for 98 of 100 questions, and each costs as much as the first."""

SHARE = "reranker"
"""The name of the share."""

_DIGITS = 6  # more than these may differ with the batch or the processor, and order equal scores by chance


def reranked(groups: Sequence[Group], question: str, reranker: Reranker, store: Store, weight: float) -> list[Group]:
    """The groups, the first `BEST` in their new order. A share is 0 or more, so that those behind them stay behind.

    `weight`: what one standard deviation of the model's scores counts beside the shares of the features.

    Raises:
        ModelError: the model failed; nothing has changed.
    """
    best = list(groups[:BEST])
    if len(best) < 2:
        return list(groups)
    candidates = [group.ranked.best.candidate for group in best]
    texts = [f"{one.breadcrumb}\n{body}" for one, body in zip(candidates, store.texts(candidates), strict=True)]
    scores = [round(score, _DIGITS) for score in reranker.scores(question, texts)]
    mean = sum(scores) / len(scores)
    deviation = (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5
    least = min(scores)
    if deviation:
        for group, score in zip(best, scores, strict=True):
            group.ranked.shares[SHARE] = weight * (score - least) / deviation
    return [*sorted(best, key=lambda group: -group.ranked.score), *groups[BEST:]]
