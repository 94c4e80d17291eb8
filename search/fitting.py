"""How weights are fitted: a list-wise model of which of the files that were found answer a question.

Loss: for each question the cross-entropy between its targets and the soft-max of the scores of the files that were found
(ListNet's top-one probabilities: Cao et al., 2007), plus a ridge on the standardised weights, towards 0 or towards weights that are
known already. L-BFGS finds the minimum. Rules above the weights take part with their shares, so no weight is spent on them.

NumPy is imported when something is fitted: a search needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from codequarry.search import rank, retrieve
from codequarry.search.feature_set import FeatureSet
from codequarry.search.pool import Ranked, collapsed
from codequarry.types import Candidate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LEAST_SPREAD = 0.1
"""Towards known weights a feature counts as spread at least so: what only a few files have would else move far on little proof."""


class Lists(Protocol):
    """What is learnt from a question: a row of feature values, the rules' share and the worth as an answer, for each file."""

    rows: Array
    rules: Array
    targets: Array


@dataclass
class Example:
    """A question with what was found for it."""

    asked: retrieve.Asked
    candidates: list[Candidate]
    files: list[Ranked] = field(default_factory=list)
    rows: Array = field(init=False)  # files × features
    rules: Array = field(init=False)
    targets: Array = field(init=False)

    def measure(self, features: FeatureSet[Any], worth: Callable[[Candidate], float]) -> None:
        """Fills files, rows, rules and targets; `worth` is what a file counts as an answer, 0 when it is none."""
        import numpy as np

        question = self.asked.question
        self.files = collapsed(question, self.candidates, self.asked.request.weights)
        self.rows = np.array(features.rows(question, self.files)).reshape(len(self.files), len(features.features))
        self.rules = np.array([sum(rank.rules(question, file).values()) for file in self.files])
        self.targets = np.array([worth(file.best.candidate) for file in self.files])

    def ranked(self, weights: Array) -> list[Ranked]:
        """The files in the order of a search with these weights."""
        for file, score in zip(self.files, (self.rows @ weights + self.rules).tolist(), strict=True):
            file.shares = {"": score}
        return rank.in_order(self.files)


def fit(
    learnt: Sequence[Lists], ridge: float, columns: Sequence[int], worth: Sequence[float], prior: Array | None = None
) -> Array:
    """The weights of `columns`, for raw feature values; the others are 0, or with a `prior` as there.

    Each question has a target; `worth` is what it counts beside the others. The ridge draws to the prior, else to 0.
    """
    import numpy as np

    rows = np.concatenate([one.rows for one in learnt])
    known = np.zeros(rows.shape[1]) if prior is None else prior
    deviation = rows.std(0)
    used = [column for column in columns if deviation[column] > 1e-9]
    spread = deviation[used] if prior is None else np.maximum(deviation[used], _LEAST_SPREAD)
    values = (rows[:, used] - rows[:, used].mean(0)) / spread
    # What is not fitted counts as it stands; the same for all files of a question, it changes nothing.
    fixed = np.concatenate([one.rules for one in learnt]) + np.delete(rows, used, axis=1) @ np.delete(known, used)
    sizes = [len(one.targets) for one in learnt]
    starts = np.cumsum([0, *sizes[:-1]])
    of = np.repeat(np.arange(len(learnt)), sizes)
    wanted = np.concatenate([one.targets / one.targets.sum() for one in learnt])
    counts = np.array(worth, float) / sum(worth)
    start = known[used] * spread

    def loss(weights: Array) -> tuple[float, Array]:
        scores = values @ weights + fixed
        most = np.maximum.reduceat(scores, starts)
        powers = np.exp(scores - most[of])
        sums = np.add.reduceat(powers, starts)
        entropy = np.log(sums) + most - np.add.reduceat(wanted * scores, starts)
        slope = values.T @ ((powers / sums[of] - wanted) * counts[of])
        moved = weights - start
        return float(counts @ entropy + ridge / 2 * moved @ moved), slope + ridge * moved

    weights = known.copy()
    weights[used] = minimum(loss, start.copy()) / spread
    return weights


def minimum(
    function: Callable[[Array], tuple[float, Array]], start: Array, *, steps: int = 300, memory: int = 10
) -> Array:
    """Where a smooth convex function, which returns value and gradient, is least: L-BFGS (Liu and Nocedal, 1989)."""
    at, (value, slope) = start, function(start)
    moves: list[tuple[Array, Array]] = []
    for _ in range(steps):
        way = slope.copy()
        factors: list[float] = []
        for move, turn in reversed(moves):
            factors.append(float(move @ way) / float(turn @ move))
            way -= factors[-1] * turn
        if moves:
            move, turn = moves[-1]
            way *= (move @ turn) / (turn @ turn)
        for (move, turn), factor in zip(moves, reversed(factors), strict=True):
            way += (factor - (turn @ way) / (turn @ move)) * move
        length, drop = 1.0, float(slope @ way)
        while True:
            there = at - length * way
            value_there, slope_there = function(there)
            if value_there <= value - 1e-4 * length * drop or length < 1e-10:
                break
            length /= 2
        if (there - at) @ (slope_there - slope) > 1e-14:
            moves = [*moves[1 - memory :], (there - at, slope_there - slope)]
        gained = value - value_there
        at, value, slope = there, value_there, slope_there
        if gained < 1e-9 * max(1.0, abs(value)):
            break
    return at
