#!/usr/bin/env python3
"""What `codequarry tune --from-history` does to the questions that people ask of the same repository.

    bench/from_history.py --labels dev.json dev-subjects.json --labels hand.json hand-subjects.json --cache FOLDER

Labels come in pairs with the commit subjects of their repositories (`bench/subjects.py --count 300`). For each repository the prior
are weights fitted to the labels of all others (`bench/fit.py`); they are fitted to its own subjects as `tune` does it (`STRENGTH`),
and judged by its own labels and, in five folds, by subjects that were not fitted to. `--a-file` takes so many subjects of a file at
most, since commits go to few files again and again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import fit
import numpy as np
from scoring import mean, measures

from codequarry.search import fitting
from codequarry.search.features_short import SHORT
from codequarry.search.measures import interval_of_mean
from codequarry.search.tuning import LEAST, STRENGTH

_FOLDS = 5
_COLUMNS = range(len(SHORT.features))


def of_few_files(found: Sequence[fit.Example], most: int) -> list[fit.Example]:
    """Those questions that leave each file no more than so many."""
    seen: Counter[str] = Counter()
    kept = []
    for one in found:
        paths = [target["path"] for target in one.label.relevant]
        if all(seen[path] < most for path in paths):
            seen.update(paths)
            kept.append(one)
    return kept


def gains(found: Sequence[fit.Example], before: fit.Array, after: fit.Array) -> list[float]:
    """What NDCG@10 of each question gains."""
    return [
        measures(one.label, one.hits(after))["ndcg"] - measures(one.label, one.hits(before))["ndcg"] for one in found
    ]


def fitted(subjects: Sequence[fit.Example], prior: fit.Array) -> fit.Array:
    """The weights that `tune` would give."""
    return fitting.fit(subjects, STRENGTH / len(subjects), _COLUMNS, [1.0] * len(subjects), prior)


def main() -> None:
    options = _arguments()
    short = [
        [one for one in fit.examples(file, options.cache, None) if one.form is SHORT]
        for file in [Path(name) for pair in options.labels for name in pair]
    ]
    for one in (one for found in short for one in found):
        one.measure(SHORT, one.worth)
    labels, subjects = ([one for found in short[at::2] for one in found] for at in (0, 1))
    rows = []  # of each repository: labels' gain, subjects' gain and whether that is beyond chance, subjects
    for home in dict.fromkeys(one.label.home for one in labels):
        prior = fit.fit([one for one in labels if one.label.home != home], fit.RIDGE["short"], {}, _COLUMNS)
        able = [one for one in subjects if one.label.home == home and one.targets.any()]
        own = of_few_files(able, options.a_file or len(able))
        if len(own) < LEAST:
            continue
        of_labels = gains([one for one in labels if one.label.home == home], prior, fitted(own, prior))
        of_subjects = []
        for fold in range(_FOLDS):
            learnt = [one for at, one in enumerate(own) if at % _FOLDS != fold]
            of_subjects += gains(own[fold::_FOLDS], prior, fitted(learnt, prior))
        rows.append((mean(of_labels), mean(of_subjects), interval_of_mean(of_subjects)[0] > 0, len(own)))
    print(
        "| repositories | subjects of each | held-out subjects | labels | worse | better |\n|---|---|---|---|---|---|"
    )
    for name, some in (("all", rows), ("where subjects gain beyond chance", [row for row in rows if row[2]])):
        if some:
            cells = []
            for at in (1, 0):
                low, high = interval_of_mean([row[at] for row in some])
                cells.append(f"{mean(row[at] for row in some):+.4f} [{low:+.4f}, {high:+.4f}]")
            worse, better = (sum(np.sign(row[0]) == sign for row in some) for sign in (-1, 1))
            count = mean(row[3] for row in some)
            print(f"| {len(some)}, {name} | {count:.0f} | {' | '.join(cells)} | {worse} | {better} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--labels", nargs=2, action="append", required=True, metavar=("LABELS", "SUBJECTS"), help="repeatable"
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes and candidates")
    parser.add_argument("--a-file", type=int, default=0, metavar="N", help="subjects of a file, at most (all)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
