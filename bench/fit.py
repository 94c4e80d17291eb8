#!/usr/bin/env python3
"""Fits the weights of a feature set, and judges them on repositories that they never saw.

    bench/fit.py --labels dev.json --labels hand.json --cache FOLDER --loro [--report FILE]   judge
    bench/fit.py --labels dev.json --labels hand.json --cache FOLDER --write                  fit on all, into search/weights.json

`codequarry.search.fitting` says how: a list-wise soft-max over the files that were found, a primary target twice as likely as a
secondary, with a ridge on the standardised weights. `--loro` leaves out one GitHub repository over all sets at a time, fits on the
others and scores its questions: only these figures say anything about other people's repositories.

What the store finds for a question is kept in `--cache` (an index and a file of candidates for each labels file), so a changed
feature is judged in seconds; a changed index, model or number of candidates makes it anew. A set of features is fitted to the
questions of its form alone (`rank.feature_set_of`): `--set long`; those of `--set many` are asked of all repositories of their
labels file at once. `--set short` and `--set described` learn from all one-line questions of their labels, and each question is
judged as a search ranks it: by the fold's weights where it has the form of the set, else by those that ship, with the fold's
weights of roles. Questions of more words than `--most-words` are left out. A labels file may be judged without being learnt from
(`--gain SET=0`). `bench/subjects.py` makes one of commit subjects, which are worth little (`bench/reports/subjects.md`).
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import baseline
import numpy as np
from numpy.typing import NDArray
from scoring import CUT, Label, by_repository, interval, measures, read_labels, same_path, table, tree_of

from codequarry import connect
from codequarry.ingest import RECIPE
from codequarry.search import feature_set, fitting, rank, retrieve, snippets
from codequarry.search.feature_set import FeatureSet
from codequarry.search.features_short import SHORT
from codequarry.search.labels import PRIMARY, SECONDARY
from codequarry.search.pool import Ranked
from codequarry.search.query import parse
from codequarry.search.scope import resolve, visible
from codequarry.types import Candidate, Request

Array = NDArray[np.float64]

RIDGE = {"short": 0.01, "described": 0.03, "many": 0.01, "long": 0.3}
EVEN = {"short": 0.0, "described": 0.0, "many": 0.0, "long": 0.5}
"""How far repositories of many questions are evened out: of n questions each counts n to the power of minus this."""

MOST_WORDS = {"short": 14, "described": 100_000, "many": 14, "long": 100_000}
"""Of a question that a set is fitted to."""

ONE_LINE = {"short", "described"}
"""Sets that learn from questions of each other's form, too."""

AS_SHORT = {"described": "role"}
"""Groups of features whose weights are those of `short`: what a set is fitted to has too few such files."""

_DIGITS = 5


@dataclass
class Example(fitting.Example):
    """A question with its label and what was found for it."""

    label: Label = field(kw_only=True)
    form: FeatureSet[Any] = field(kw_only=True)  # the features by which a search ranks it
    as_ranked: Array = field(init=False)  # their values, a row for each file

    def measure(self, features: FeatureSet[Any], worth: Callable[[Candidate], float]) -> None:
        """Fills the values of `features`, and those by which a search ranks it."""
        super().measure(features, worth)
        question = self.asked.question
        self.as_ranked = self.rows if self.form is features else np.array(self.form.rows(question, self.files))

    def worth(self, candidate: Candidate) -> float:
        """What a file counts as an answer."""
        path = _path_in_repository(candidate, self.label)
        for gain, targets in ((PRIMARY, self.label.relevant), (SECONDARY, self.label.secondary)):
            if any(same_path(path, target["path"]) for target in targets):
                return gain
        return 0.0

    def hits(self, weights: Array) -> list[dict[str, Any]]:
        """What a search with these weights would show."""
        return hits_of(self.ranked(weights), self.label)

    def hits_by_form(self, features: FeatureSet[Any], weights: Array) -> list[dict[str, Any]]:
        """The same where a search ranks it by other features than the weights' own: these have the weights that ship."""
        if self.form is features:
            return self.hits(weights)
        own = dict(zip([one.name for one in features.features], weights.tolist(), strict=True))
        shipped = weights_by_name(self.form)
        as_fitted = AS_SHORT.get(self.form.name)
        values = [(own if one.group == as_fitted else shipped).get(one.name, 0.0) for one in self.form.features]
        scores = self.as_ranked @ np.array(values) + self.rules
        for file, score in zip(self.files, scores.tolist(), strict=True):
            file.shares = {"": score}
        return hits_of(rank.in_order(self.files), self.label)


def weights_by_name(features: FeatureSet[Any]) -> Mapping[str, float]:
    """The weights of a set that ship, none where it has none yet."""
    shipped = feature_set.weights_of(features.name)
    return {} if shipped is None else shipped.values


def hits_of(files: Sequence[Ranked], label: Label) -> list[dict[str, Any]]:
    """Ranked files as rows of a result."""
    shown = [group.ranked for group in snippets.grouped(files)][:CUT]
    return [
        {
            "path": _path(file, label),
            "start_line": file.best.candidate.start_line,
            "end_line": file.best.candidate.end_line,
        }
        for file in shown
    ]


def _path(file: Ranked, label: Label) -> str:
    return _path_in_repository(file.best.candidate, label)


def _path_in_repository(found: Candidate, label: Label) -> str:
    """The path in the repository that the question is about; one in another repository is no target, whatever its path."""
    return found.path if found.repo == f"bench/{label.repo}" else f"{found.repo}:{found.path}"


# ------------------------------------------------------------------------------------------------------------------ data


def examples(file: Path, cache: Path, model: str | None, *, many: bool = False) -> list[Example]:
    """The questions of a labels file with their candidates, from the cache where it has them.

    Each is asked of its repository, or with `many` of all repositories of the file.
    """
    labels = read_labels(file)
    cached = cache / f"{file.stem}{'-many' if many else ''}.pickle"
    with connect(str(cache / f"{file.stem}-index"), model=model) as quarry:
        for repo in dict.fromkeys(label.repo for label in labels):
            quarry.index(tree_of(file, repo), name=f"bench/{repo}")
        store, embedder = quarry.store, quarry.engine.embedder
        states = visible(store.sources(), None)
        made_by = (
            RECIPE,
            store.model(),
            [(state.source, state.commit, state.indexed_at) for state in states],
            [one.name for one in fields(Candidate)],
            [one.name for one in fields(Request)],
        )
        known: dict[Any, list[Candidate]] = {}
        if cached.is_file():
            with cached.open("rb") as stream:
                if pickle.load(stream) == made_by:
                    known = pickle.load(stream)
        found: list[Example] = []
        kept: dict[Any, list[Candidate]] = {}
        for label in labels:
            query = parse(label.query, plain=True)
            scope = {} if many else {"repo": [f"bench/{label.repo}"]}
            asked = retrieve.ask(query, resolve(query, states, scope, None), embedder)
            candidates = known.get(asked.request)
            if candidates is None:
                candidates = store.retrieve(asked.request).candidates
                for candidate in candidates:
                    candidate.handle = None
            kept[asked.request] = candidates
            form = rank.feature_set_of(asked.question, 2 if many else 1)
            found.append(Example(asked, candidates, label=label, form=form))
    with cached.open("wb") as stream:
        pickle.dump(made_by, stream)  # first, so that records of another version are never read
        pickle.dump(kept, stream)
    return found


# ------------------------------------------------------------------------------------------------------------------- fit


def fit(
    found: Sequence[Example],
    ridge: float,
    gains: dict[str, float],
    columns: Sequence[int],
    even: float = 0.0,
    known: Array | None = None,
) -> Array:
    """The weights of `columns`, for raw feature values; the others are those of `known`, else 0.

    `gains`: what a question of a set counts (1).
    """
    learnt = [one for one in found if one.targets.any() and gains.get(one.label.set, 1.0) > 0]
    questions = Counter(one.label.home for one in learnt)
    worth = [gains.get(one.label.set, 1.0) / questions[one.label.home] ** even for one in learnt]
    return fitting.fit(learnt, ridge, columns, worth, known)


def held_out(
    found: Sequence[Example],
    features: FeatureSet[Any],
    ridge: float,
    gains: dict[str, float],
    columns: Sequence[int],
    even: float = 0.0,
    known: Array | None = None,
) -> list[dict[str, float]]:
    """The measures of every question by weights of all repositories but its own."""
    weights = {
        home: fit([one for one in found if one.label.home != home], ridge, gains, columns, even, known)
        for home in dict.fromkeys(one.label.home for one in found)
    }
    return [measures(one.label, one.hits_by_form(features, weights[one.label.home])) for one in found]


# ---------------------------------------------------------------------------------------------------------------- report


def report(found: Sequence[Example], judged: Sequence[dict[str, float]], base: Sequence[float]) -> list[str]:
    """Held-out figures by set, category, language and fold, each beside the base line."""
    labels = [one.label for one in found]
    ndcg = [one["ndcg"] for one in judged]
    lines = [*table(labels, judged, base), ""]
    for name in dict.fromkeys(label.set for label in labels):
        chosen = [at for at, label in enumerate(labels) if label.set == name]
        some, ours, theirs = [labels[at] for at in chosen], [ndcg[at] for at in chosen], [base[at] for at in chosen]
        low, high = interval(some, ours)
        gain_low, gain_high = interval(some, ours, theirs)
        gain = by_repository(some, ours) - by_repository(some, theirs)
        lines.append(
            f"- {name}: {by_repository(some, ours):.4f} [{low:.3f}, {high:.3f}], "
            f"gain over the base line {gain:+.4f} [{gain_low:+.4f}, {gain_high:+.4f}]"
        )
    lines += ["", "| fold: repository left out | set | questions | ndcg | base line |", "|---|---|---|---|---|"]
    for home, name in sorted({(label.home, label.set) for label in labels}):
        chosen = [at for at, label in enumerate(labels) if (label.home, label.set) == (home, name)]
        ours, theirs = np.mean([ndcg[at] for at in chosen]), np.mean([base[at] for at in chosen])
        lines.append(f"| {home} | {name} | {len(chosen)} | {ours:.3f} | {theirs:.3f} |")
    return lines


def _base(one: Example) -> float:
    ranked = baseline.rank(one.asked.question, one.candidates, one.asked.request.weights)
    return measures(one.label, hits_of(ranked, one.label))["ndcg"]


def main() -> None:
    options = _arguments()
    features = next(one for one in rank.feature_sets() if one.name == options.set)
    ridge = options.ridge if options.ridge is not None else RIDGE[options.set]
    gains = {name: float(gain) for name, _, gain in (given.partition("=") for given in options.gain)}
    options.cache.mkdir(parents=True, exist_ok=True)
    found = [
        one
        for file in options.labels
        for one in examples(file, options.cache, options.model, many=options.set == "many")
        if (one.form is features or {one.form.name, features.name} == ONE_LINE)
        and len(one.label.query.split()) <= (options.most_words or MOST_WORDS[options.set])
    ]
    for one in found:
        one.measure(features, one.worth)
    names = [one.name for one in features.features]
    used = [at for at, one in enumerate(features.features) if not {one.name, one.group} & set(options.off)]
    columns = [at for at in used if features.features[at].group != AS_SHORT.get(options.set)]
    known = _as_short(features) if options.set in AS_SHORT else None
    even = EVEN[options.set]
    fitted = fit(found, ridge, gains, columns, even, known)
    weights = {names[at]: round(float(fitted[at]), _DIGITS) for at in used if round(float(fitted[at]), _DIGITS)}
    how = {
        "questions": {
            name: sum(one.label.set == name for one in found) for name in dict.fromkeys(one.label.set for one in found)
        },
        "ridge": ridge,
        **({"even": even} if even else {}),
        "index": RECIPE,
        **({"gains": gains} if gains else {}),
        **({"off": options.off} if options.off else {}),
        **({"as short": AS_SHORT[options.set]} if options.set in AS_SHORT else {}),
    }
    digest = feature_set.digest(weights)
    lines = [f"Weights of the set `{features.name}`: digest `{digest}`, {len(weights)} features, {json.dumps(how)}", ""]
    if options.loro:
        base = [_base(one) for one in found]
        lines += report(found, held_out(found, features, ridge, gains, columns, even, known), base)
    spread = np.concatenate([one.rows for one in found]).std(0)
    lines += ["", "| feature | group | weight | × spread | reason |", "|---|---|---|---|---|"]
    for at in sorted(used, key=lambda at: -abs(fitted[at] * spread[at])):
        one = features.features[at]
        lines.append(
            f"| `{one.name}` | {one.group} | {fitted[at]:+.4f} | {fitted[at] * spread[at]:+.3f} | {one.reason} |"
        )
    print("\n".join(lines))
    if options.report:
        options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.write:
        _write(Path(feature_set.WEIGHTS_FILE), features.name, weights, digest, how)


def _as_short(features: FeatureSet[Any]) -> Array:
    """The weights of a set that are not fitted, as `short` has them; those that are stand at 0."""
    shipped, group = weights_by_name(SHORT), AS_SHORT[features.name]
    return np.array([shipped.get(one.name, 0.0) if one.group == group else 0.0 for one in features.features])


def _write(file: Path, name: str, weights: dict[str, float], digest: str, how: dict[str, Any]) -> None:
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    kept[name] = {
        "fitted": {
            "by": "bench/fit.py: list-wise soft-max cross-entropy over the files found, ridge on standardised weights, L-BFGS",
            **how,
        },
        "digest": digest,
        "weights": weights,
    }
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {name} to {file}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, action="append", required=True, help="a labels file (repeatable)")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes and candidates")
    parser.add_argument("--set", default="short", choices=[one.name for one in rank.feature_sets()])
    parser.add_argument("--loro", action="store_true", help="judge: leave out one repository at a time")
    parser.add_argument("--write", action="store_true", help="put the fit on all data into search/weights.json")
    parser.add_argument("--report", type=Path, help="write what is printed to this file, too")
    parser.add_argument("--ridge", type=float)
    parser.add_argument("--most-words", type=int)
    parser.add_argument(
        "--gain", action="append", default=[], metavar="SET=WEIGHT", help="what a question of a set counts"
    )
    parser.add_argument("--off", action="append", default=[], metavar="NAME", help="a feature or group to fit without")
    parser.add_argument("--model", help="embedding model (default: the settings')")
    return parser.parse_args()


if __name__ == "__main__":
    main()
