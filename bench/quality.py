#!/usr/bin/env python3
"""Ranking quality: indexes the repositories of a labels file into one index and answers each of its questions.

    bench/quality.py --labels LABELS.json --store embedded --out RESULTS.jsonl
    bench/quality.py --labels LABELS.json --store elasticsearch --out RESULTS.jsonl [--url http://…]
    bench/quality.py --labels LABELS.json --out RESULTS.jsonl --against RECORDED.jsonl          what moved, with its interval
    bench/quality.py --labels LABELS.json --out RESULTS.jsonl --off vectors --off name          ablation: a feature or a group
    bench/quality.py --labels LABELS.json --out RESULTS.jsonl --weights baseline                the hand-made ranking

The trees lie in `repos/NAME` beside the labels file (`bench/scoring.py` says more of its form). Each question is asked with its
repository as the filter, so that scores are comparable with benchmarks that index one repository at a time, while word statistics
come from all of them. One line a question is written: {"repo", "query", "hits": [{"path", "start_line", "end_line"}]}. The table is
NDCG@10 with binary gain, hit@k and recall@10 by file; its headline is the mean over repositories.

These are figures of the weights that ship, which were fitted to such questions: whoever wants to know how good they are elsewhere
asks `bench/fit.py --loro`. `bench/many.py` asks without the filter.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import baseline
from measure import elasticsearch_server
from scoring import CUT, Label, as_shipped, by_repository, interval, measures, read_labels, table, tree_of

from codequarry import CodeSearch, connect
from codequarry.search import rank
from codequarry.search.measures import places

_MOVED = 12  # questions shown in each direction


def main() -> None:
    options = _arguments()
    labels = read_labels(options.labels)
    repos = list(dict.fromkeys(label.repo for label in labels))
    if options.weights == "baseline":
        rank.rank = baseline.rank
    with _location(options) as location, connect(location, model=options.model, settings=as_shipped()) as quarry:
        started = time.monotonic()
        for repo in repos:
            quarry.index(tree_of(options.labels, repo), name=f"bench/{repo}")
        print(f"indexed {len(repos)} repositories in {time.monotonic() - started:.1f} s", file=sys.stderr)
        rows = list(_answers(quarry, labels, tuple(options.off)))
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    scores = [measures(label, row["hits"]) for label, row in zip(labels, rows, strict=True)]
    before = _recorded(options.against, labels) if options.against else None
    print("\n".join(table(labels, scores, before)))
    ndcg = [one["ndcg"] for one in scores]
    low, high = interval(labels, ndcg)
    print(f"\nNDCG@10 {by_repository(labels, ndcg):.4f} [{low:.3f}, {high:.3f}] over {len(repos)} repositories")
    if before is not None:
        _print_moved(labels, ndcg, before)


def _answers(quarry: CodeSearch, labels: Sequence[Label], off: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for label in labels:
        scope = (f"bench/{label.repo}",)
        answer = quarry.search(label.query, limit=CUT, refresh=False, plain=True, repo=scope, off=off)
        yield {"repo": label.repo, "query": label.query, "hits": places(answer.hits)}


def _recorded(file: Path, labels: Sequence[Label]) -> list[float]:
    """NDCG@10 of the same questions in an earlier run; a question that it has no line for scored 0."""
    hits = {
        (row["repo"], row["query"]): row["hits"]
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    }
    return [measures(label, hits.get((label.repo, label.query), []))["ndcg"] for label in labels]


def _print_moved(labels: Sequence[Label], now: Sequence[float], before: Sequence[float]) -> None:
    """The paired gain with its interval, and the questions that gained and lost most."""
    low, high = interval(labels, now, before)
    gain = by_repository(labels, now) - by_repository(labels, before)
    moved = sorted(((new - old, at) for at, (new, old) in enumerate(zip(now, before, strict=True)) if new != old))
    up = sum(change > 0 for change, _ in moved)
    print(
        f"against the recorded run {gain:+.4f} [{low:+.4f}, {high:+.4f}]: {up} questions better, {len(moved) - up} worse"
    )
    for change, at in (*moved[:_MOVED], *moved[_MOVED:][-_MOVED:]):
        label = labels[at]
        print(
            f"  {change:+.2f} to {now[at]:.2f}  {label.repo} ({label.category}): {' '.join(label.query.split())[:100]}"
        )


@contextmanager
def _location(options: argparse.Namespace) -> Iterator[str]:
    """Where the index is made: a throw-away folder or a server of our own, unless one was named."""
    if options.store == "embedded":
        with tempfile.TemporaryDirectory() as folder:
            yield str(options.index or Path(folder) / "index")
    elif options.url:
        yield options.url
    else:
        with elasticsearch_server() as url:
            yield url


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--store", choices=("embedded", "elasticsearch"), default="embedded")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--index", type=Path, help="keep the embedded index in this folder and use it again")
    parser.add_argument("--url", help="an Elasticsearch to use instead of a throw-away one")
    parser.add_argument("--model", help="embedding model (default: the settings')")
    parser.add_argument(
        "--off", action="append", default=[], metavar="NAME", help="leave out a feature, a group or a rule (repeatable)"
    )
    parser.add_argument("--weights", choices=("shipped", "baseline"), default="shipped")
    parser.add_argument("--against", type=Path, metavar="RECORDED", help="results of an earlier run to compare with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
