#!/usr/bin/env python3
"""What folding twins into one hit does to the order, on repositories that the weights never saw.

    bench/fold.py --labels dev2.json --cache FOLDER --set long
    bench/fold.py --labels dev.json --labels hand.json --cache FOLDER --set short

Candidates and weights are those of `bench/fit.py --loro`. `apart`: each file is a hit; `path alone`: folded, a hit counts for the
file it is named after; `with related`, for the others that it shows, too, at its place (two targets in one hit count once);
`one after the other`, folded, but each related file takes a place of its own behind its hit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fit
from scoring import Label, by_repository, interval, measures

from codequarry.search import fold, rank, snippets

Row = dict[str, Any]


def counted(groups: Sequence[snippets.Group], label: Label) -> dict[str, list[Row]]:
    """The hits of a question in each way of counting."""
    files = [[_row(one, label) for one in (group, *group.related)] for group in groups]
    return {
        "path alone": [file[0] for file in files],
        "with related": [file[0] | {"related": file[1:]} for file in files],
        "one after the other": [row for file in files for row in file],
    }


def _row(group: snippets.Group, label: Label) -> Row:
    return fit.hits_of([group.ranked], label)[0]


def main() -> None:
    options = _arguments()
    features = next(one for one in rank.feature_sets() if one.name == options.set)
    found = [
        one
        for file in options.labels
        for one in fit.examples(file, options.cache, None)
        if rank.feature_set_of(one.asked.question) is features
    ]
    for one in found:
        one.measure(features, one.worth)
    learnt = [one for one in found if len(one.label.query.split()) <= fit.MOST_WORDS[options.set]]
    columns, even, ridge = range(len(features.features)), fit.EVEN[options.set], fit.RIDGE[options.set]
    weights = {
        home: fit.fit([one for one in learnt if one.label.home != home], ridge, {}, columns, even)
        for home in dict.fromkeys(one.label.home for one in found)
    }
    scores: dict[str, list[dict[str, float]]] = {}
    for one in found:
        ranked = weights[one.label.home]
        ways = {"apart": [_row(group, one.label) for group in snippets.grouped(one.ranked(ranked))]}
        ways |= counted(fold.folded(snippets.grouped(one.ranked(ranked))), one.label)
        for way, rows in ways.items():
            scores.setdefault(way, []).append(measures(one.label, rows))
    print(
        "| | questions | counted | ndcg | against apart | hit@1 | hit@5 | recall@10 |\n|---|---|---|---|---|---|---|---|"
    )
    for name in dict.fromkeys(one.label.set for one in found):
        chosen = [at for at, one in enumerate(found) if one.label.set == name]
        labels = [found[at].label for at in chosen]
        before = [scores["apart"][at]["ndcg"] for at in chosen]
        for way, all_scores in scores.items():
            rows = [all_scores[at] for at in chosen]
            means = {key: by_repository(labels, [row[key] for row in rows]) for key in rows[0]}
            low, high = interval(labels, [row["ndcg"] for row in rows], before)
            gain = means["ndcg"] - by_repository(labels, before)
            print(
                f"| {name} | {len(chosen)} | {way} | {means['ndcg']:.4f} | {gain:+.4f} [{low:+.4f}, {high:+.4f}] "
                f"| {means['hit@1']:.3f} | {means['hit@5']:.3f} | {means['recall@10']:.3f} |"
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, action="append", required=True, help="a labels file (repeatable)")
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for indexes and candidates, as of bench/fit.py"
    )
    parser.add_argument("--set", default="long", choices=("short", "long"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
