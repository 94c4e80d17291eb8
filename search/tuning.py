"""Fits the ranking of short questions to a team's own labelled questions, and says whether that helps.

The weights that ship are the prior: the fit is drawn to them as if they had seen `STRENGTH` questions' worth of ridge, so a few
questions move little, and what they say nothing about stays as it ships. Whether it helps is judged held out: each question by
weights that were fitted without its repository, or, where there is only one repository, without its tenth of the questions. What
is written then is the fit to all of them.

One set of weights is fitted, `short`: questions of a few words about one repository. Long texts, exact patterns and questions of
several repositories at once are ranked by others, and are left out.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, QuerySyntax, StoreError
from codequarry.ports import Embedder, Store
from codequarry.search import rank, retrieve, snippets
from codequarry.search.compared import Compared
from codequarry.search.evaluation import repository_of
from codequarry.search.feature_set import WEIGHTS_FILE, digest, weights_of
from codequarry.search.features_short import SHORT
from codequarry.search.fitting import Example, fit
from codequarry.search.labels import PRIMARY, SECONDARY, Label
from codequarry.search.measures import CUT, mean, measured, same_path
from codequarry.search.query import parse
from codequarry.search.scope import resolve
from codequarry.types import Candidate, SourceState

if TYPE_CHECKING:
    from codequarry.search.fitting import Array

STRENGTH = 60.0
"""The ridge, times the questions that are fitted to: how many questions it takes to move the weights far.

With a third of it, fits to the ten to thirty questions of one repository did harm in the mean of 21 repositories, held out
(NDCG@10 -.006); with this they do not (+.002).
"""

LEAST = 10
"""Questions that a fit needs: what fewer say may be chance, whatever the interval."""

FOLDS = 10
"""Of the questions of one repository."""

_DIGITS = 5


@dataclass
class Known(Example):
    """A question with its label, the repository that it was asked of, and what was found."""

    label: Label = field(kw_only=True)
    repo: str = field(kw_only=True)

    def worth(self, candidate: Candidate) -> float:
        """What a file counts as an answer."""
        for gain, targets in ((PRIMARY, self.label.relevant), (SECONDARY, self.label.secondary)):
            if any(same_path(candidate.path, target["path"]) for target in targets):
                return gain
        return 0.0

    def ndcg(self, weights: Array) -> float:
        """NDCG@10 of a search with these weights."""
        groups = snippets.grouped(self.ranked(weights))[:CUT]
        found = [group.ranked.best.candidate for group in groups]
        return measured(
            self.label.targets,
            [{"path": one.path, "start_line": one.start_line, "end_line": one.end_line} for one in found],
        )["ndcg"]


@dataclass(frozen=True)
class Tuning(Compared):
    """New weights, and what they do for questions that they were not fitted to.

    `before` and `after` are NDCG@10 of each question, with the weights that ship and held out.
    """

    known: Sequence[Known]
    before: Sequence[float]
    after: Sequence[float]
    by: str  # repositories or questions: what was held out at a time
    folds: int
    shipped: dict[str, float]
    weights: dict[str, float]

    @property
    def repos(self) -> Sequence[str]:
        """The repository that each question was asked of."""
        return [one.repo for one in self.known]

    def moved(self) -> list[tuple[str, float, float]]:
        """The features whose weights are others now, with the weight before and after, what moved farthest first."""
        names = [feature.name for feature in SHORT.features]
        pairs = [(name, self.shipped.get(name, 0.0), self.weights.get(name, 0.0)) for name in names]
        return sorted([row for row in pairs if row[1] != row[2]], key=lambda row: -abs(row[2] - row[1]))


def known_questions(
    labels: Sequence[Label], states: Sequence[SourceState], store: Store, embedder: Embedder | None
) -> tuple[list[Known], list[tuple[Label, str]]]:
    """The questions that the weights of short questions rank, with what the index finds, and the others with the reason.

    Raises:
        BadInput: a question that cannot be read as a query, with its place.
    """
    found: list[Known] = []
    left_out: list[tuple[Label, str]] = []
    for label in labels:
        repo = repository_of(label, states)
        if repo is None:
            left_out.append((label, f"{label.repos[0]} is not indexed"))
            continue
        try:
            query = parse(label.question, plain=label.plain)
        except QuerySyntax as error:
            raise BadInput(f"{label.where}: the question cannot be read: {error.message}", hint=error.hint) from error
        asked = retrieve.ask(query, resolve(query, states, {"repo": [repo]} if repo else {}), embedder)
        if asked.question.is_long or asked.question.exact:
            left_out.append((label, "long texts and exact patterns have rules of their own"))
            continue
        candidates = [] if asked.request.scope.sources == () else store.retrieve(asked.request).candidates
        repos = {one.repo for one in candidates}
        if not candidates or rank.feature_set_of(asked.question, len(repos)) is not SHORT:
            why = (
                "nothing is found for it"
                if not candidates
                else "it finds files of several repositories: say which is meant"
                if len(repos) > 1
                else "it is a description, and tune fits the weights of short questions"
            )
            left_out.append((label, why))
            continue
        one = Known(asked, candidates, label=label, repo=next(iter(repos)))
        one.measure(SHORT, one.worth)
        found.append(one)
    return found, left_out


def tune(known: Sequence[Known]) -> Tuning:
    """The weights that fit these questions, and what they do held out.

    Raises:
        BadInput: there are too few questions whose answer is found.
    """
    import numpy as np

    able = sum(bool(one.targets.any()) for one in known)
    if able < LEAST:
        raise BadInput(
            f"of {len(known)} short questions about one repository each, a right file is found for {able}; {LEAST} are needed",
            hint="label more questions; codequarry eval shows those for which none is found",
        )
    shipped = weights_of(SHORT.name)
    assert shipped is not None, "the shipped weights have the set"
    prior = np.array([shipped.values.get(feature.name, 0.0) for feature in SHORT.features])
    by, fold_of = _folds(known)
    after = [0.0] * len(known)
    for fold in sorted(set(fold_of)):
        weights = _fitted([one for one, other in zip(known, fold_of, strict=True) if other != fold], prior)
        for at, one in enumerate(known):
            if fold_of[at] == fold:
                after[at] = one.ndcg(weights)
    fitted = {
        feature.name: rounded
        for feature, weight in zip(SHORT.features, _fitted(known, prior).tolist(), strict=True)
        if (rounded := round(weight, _DIGITS))
    }
    before = [one.ndcg(prior) for one in known]
    return Tuning(known, before, after, by, len(set(fold_of)), dict(shipped.values), fitted)


def _fitted(known: Sequence[Known], prior: Array) -> Array:
    able = [one for one in known if one.targets.any()]
    if not able:
        return prior
    return fit(able, STRENGTH / len(able), range(len(SHORT.features)), [1.0] * len(able), prior)


def _folds(known: Sequence[Known]) -> tuple[str, list[int]]:
    """What is held out at a time, and the fold of each question; one that was asked twice is in one fold."""
    repos = list(dict.fromkeys(one.repo for one in known))
    if len(repos) > 1:
        return "repositories", [repos.index(one.repo) for one in known]
    number = {text: at for at, text in enumerate(dict.fromkeys(one.asked.question.text for one in known))}
    return "questions", [number[one.asked.question.text] % FOLDS for one in known]


def write(file: Path, tuning: Tuning) -> None:
    """Puts the weights into a file, from which searches take them at once.

    Raises:
        BadInput: it is the file of the weights that ship.
        StoreError: it cannot be written.
    """
    _must_be_own(file)
    shipped = weights_of(SHORT.name)
    assert shipped is not None, "the shipped weights have the set"
    content = {
        SHORT.name: {
            "fitted": {
                "by": "codequarry tune: list-wise soft-max cross-entropy, ridge towards the weights that ship, L-BFGS",
                "from": shipped.digest,
                "questions": {repo: count for repo, (count, _, _) in tuning.by_repository().items()},
                "held_out": {
                    "by": tuning.by,
                    "before": round(mean(tuning.before), 4),
                    "after": round(mean(tuning.after), 4),
                    "interval_of_gain": [round(end, 4) for end in tuning.interval],
                },
            },
            "digest": digest(tuning.weights),
            "weights": tuning.weights,
        }
    }
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        new.replace(file)  # a search reads the old or the new one, never half of it
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise StoreError(f"cannot write {file}: {error.strerror}", hint="is its folder writable?") from error


def reset(file: Path) -> bool:
    """Takes the file away, so that the weights that ship rank again; whether there was one.

    Raises:
        BadInput: it is the file of the weights that ship.
        StoreError: it cannot be removed.
    """
    _must_be_own(file)
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"cannot remove {file}: {error.strerror}", hint="is its folder writable?") from error
    return True


def _must_be_own(file: Path) -> None:
    if file.absolute() == Path(WEIGHTS_FILE).absolute():
        raise BadInput("ranking_weights names the weights that ship", hint="name a file of your own, or leave it out")


def summary(tuning: Tuning) -> dict[str, Any]:
    """All of it as JSON shows it."""
    return {
        "held_out_by": tuning.by,
        "folds": tuning.folds,
        **tuning.compared(),
        "weights": {name: {"before": before, "after": after} for name, before, after in tuning.moved()},
    }
