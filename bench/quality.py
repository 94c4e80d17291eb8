#!/usr/bin/env python3
"""Ranking quality: indexes the repositories of a labels file into one index and answers each of its questions.

    bench/quality.py --labels LABELS.json --store embedded --out RESULTS.jsonl
    bench/quality.py --labels LABELS.json --store elasticsearch --out RESULTS.jsonl [--url http://…]

The trees lie in `repos/NAME` beside the labels file. Each question is asked with its repository as the filter, so that scores
are comparable with benchmarks that index one repository at a time, while word statistics come from all of them. One line a
question is written: {"repo", "query", "hits": [{"path", "start_line", "end_line"}]}. The table on standard output is NDCG@10
with binary gain; its headline is the mean over repositories.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codequarry import CodeSearch, connect

CUT = 10


def main() -> None:
    options = _arguments()
    labels = json.loads(options.labels.read_text(encoding="utf-8"))
    trees = options.labels.parent / "repos"
    if missing := [repo["name"] for repo in labels if not (trees / repo["name"]).is_dir()]:
        print(f"left out, no tree in {trees}: {', '.join(missing)}", file=sys.stderr)
        labels = [repo for repo in labels if repo["name"] not in missing]
    with _location(options) as location, connect(location, model=options.model) as quarry:
        started = time.monotonic()
        for repo in labels:
            quarry.index(trees / repo["name"], name=f"bench/{repo['name']}")
        print(f"indexed {len(labels)} repositories in {time.monotonic() - started:.1f} s", file=sys.stderr)
        rows = list(_answers(quarry, labels, tuple(options.off)))
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _print_table(labels, rows)


def _answers(quarry: CodeSearch, labels: list[dict[str, Any]], off: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for repo in labels:
        for label in repo["queries"]:
            answer = quarry.search(
                label["query"], limit=CUT, refresh=False, plain=True, repo=(f"bench/{repo['name']}",), off=off
            )
            hits = [{"path": hit.path, "start_line": hit.start_line, "end_line": hit.end_line} for hit in answer.hits]
            yield {"repo": repo["name"], "query": label["query"], "hits": hits}


def ndcg(label: dict[str, Any], hits: list[dict[str, Any]]) -> float:
    """NDCG@10 of one question: binary gain, a target counts at the first hit that lies in it."""
    targets = label["relevant"] + label["secondary"]
    ranks = {rank for target in targets if (rank := _rank(target, hits)) is not None}
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(CUT, len(targets)) + 1))
    return sum(1 / math.log2(rank + 1) for rank in ranks) / ideal


def _rank(target: dict[str, Any], hits: list[dict[str, Any]]) -> int | None:
    path, low, high = target["path"], target.get("start_line"), target.get("end_line")
    for rank, hit in enumerate(hits[:CUT], 1):
        same = hit["path"] == path or hit["path"].endswith("/" + path) or path.endswith("/" + hit["path"])
        if same and (low is None or high is None or (hit["end_line"] >= low and hit["start_line"] <= high)):
            return rank
    return None


def _print_table(labels: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    hits = {(row["repo"], row["query"]): row["hits"] for row in rows}
    by_repo: dict[str, list[float]] = defaultdict(list)
    by_category: dict[str, list[float]] = defaultdict(list)
    first = 0
    for repo in labels:
        for label in repo["queries"]:
            found = hits[repo["name"], label["query"]]
            score = ndcg(label, found)
            first += any(_rank(target, found[:1]) for target in label["relevant"] + label["secondary"])
            by_repo[repo["name"]].append(score)
            by_category[label["category"]].append(score)
    for name, scores in sorted(by_repo.items(), key=lambda item: _mean(item[1])):
        print(f"{name:24s} {_mean(scores):.3f}")
    print("  ".join(f"{category} {_mean(scores):.3f}" for category, scores in sorted(by_category.items())))
    print(f"questions {len(rows)}  hit@1 {first / len(rows):.3f}  NDCG@10 {_mean(map(_mean, by_repo.values())):.4f}")


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


@contextmanager
def _location(options: argparse.Namespace) -> Iterator[str]:
    """Where the index is made: a throw-away folder or a server of our own, unless one was named."""
    if options.store == "embedded":
        with tempfile.TemporaryDirectory() as folder:
            yield str(options.index or Path(folder) / "index")
    elif options.url:
        yield options.url
    else:
        from codequarry.compose import servers

        with tempfile.TemporaryDirectory() as folder:
            running = servers.up(parts=("elasticsearch",), data_dir=Path(folder))
            try:
                yield running.urls["elasticsearch"]
            finally:
                servers.down(data_dir=Path(folder))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--store", choices=("embedded", "elasticsearch"), default="embedded")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--index", type=Path, help="keep the embedded index in this folder and use it again")
    parser.add_argument("--url", help="an Elasticsearch to use instead of a throw-away one")
    parser.add_argument("--model", help="embedding model (default: the settings')")
    parser.add_argument(
        "--off", action="append", default=[], metavar="SIGNAL", help="leave a ranking signal out (repeatable)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
