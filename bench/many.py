#!/usr/bin/env python3
"""Ranking without a filter: all repositories of a labels file in one index, each of its questions asked of all of them.

    bench/many.py --labels LABELS.json [--also LABELS.json …] [--index FOLDER] [--off NAME …] [--out FILE] [--base FILE]

A hit counts where it is a target of the repository that the question was written about. The labels know no other one, though a
question about routing or JSON may be answered by ten, so the figures are a lower bound and only their differences mean much.
Beside NDCG@10 and hit@k stand how often the first hit, and any of the ten, is in the right repository, and what the same
questions reach with the right repository as the filter. `--also` puts the repositories of other labels files beside them, whose
questions are not asked: the more there are, the harder it is. `--base` compares with what `--out` wrote in another run, in pairs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scoring import CUT, Label, as_shipped, by_repository, interval, measures, read_labels, table, tree_of

from codequarry import CodeSearch, connect

_PREFIX = "bench/"


def main() -> None:
    options = _arguments()
    labels = read_labels(options.labels)
    with _index(options.index) as location, connect(location, model=options.model, settings=as_shipped()) as quarry:
        for file in (options.labels, *options.also):
            for repo in dict.fromkeys(label.repo for label in read_labels(file)):
                quarry.index(tree_of(file, repo), name=f"{_PREFIX}{repo}")
        print(f"{len(quarry.store.sources())} repositories in one index")
        rows = [answer(quarry, label, tuple(options.off)) for label in labels]
        filtered = [answer(quarry, label, tuple(options.off), repo=(f"{_PREFIX}{label.repo}",)) for label in labels]
    if options.out:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    base = _scores(labels, _read(options.base, labels)) if options.base else None
    print("\n".join(report(labels, rows, filtered, base)))


def answer(quarry: CodeSearch, label: Label, off: tuple[str, ...], **scope: Any) -> dict[str, Any]:
    """The hits of one question: {"repo", "query", "hits": [{"repo", "path", "start_line", "end_line"}]}."""
    found = quarry.search(label.query, limit=CUT, refresh=False, plain=True, off=off, **scope)
    hits = [
        {
            "repo": hit.repo.removeprefix(_PREFIX),
            "path": hit.path,
            "start_line": hit.start_line,
            "end_line": hit.end_line,
        }
        for hit in found.hits
    ]
    return {"repo": label.repo, "query": label.query, "hits": hits}


def scored(label: Label, row: dict[str, Any]) -> dict[str, float]:
    """The measures of one answer, where hits in other repositories are wrong, and whether the repository was found."""
    own = [hit["repo"] == label.repo for hit in row["hits"]]
    hits = [hit if is_own else {**hit, "path": ""} for hit, is_own in zip(row["hits"], own, strict=True)]
    return {**measures(label, hits), "repo@1": float(own[:1] == [True]), "repo@10": float(any(own))}


def report(
    labels: list[Label], rows: list[dict[str, Any]], filtered: list[dict[str, Any]], base: list[float] | None
) -> list[str]:
    """The table without a filter, beside the base line where there is one, and the means with their intervals."""
    judged = [scored(label, row) for label, row in zip(labels, rows, strict=True)]
    ours = [one["ndcg"] for one in judged]
    with_filter = _scores(labels, filtered)
    low, high = interval(labels, ours)
    lines = [*table(labels, judged, base), ""]
    lines.append(f"no filter:            NDCG@10 {by_repository(labels, ours):.4f} [{low:.3f}, {high:.3f}]")
    lines.append(f"right repository:     NDCG@10 {by_repository(labels, with_filter):.4f}")
    if base:
        low, high = interval(labels, ours, base)
        gain = by_repository(labels, ours) - by_repository(labels, base)
        lines.append(f"gain over the other:  {gain:+.4f} [{low:+.4f}, {high:+.4f}]")
    return lines


def _scores(labels: list[Label], rows: list[dict[str, Any]]) -> list[float]:
    return [scored(label, row)["ndcg"] for label, row in zip(labels, rows, strict=True)]


def _read(file: Path, labels: list[Label]) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    known = {(row["repo"], row["query"]): row for row in rows}
    return [known[label.repo, label.query] for label in labels]


@contextmanager
def _index(folder: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as throwaway:
        yield str(folder or Path(throwaway) / "index")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument(
        "--also", type=Path, action="append", default=[], help="labels whose repositories are indexed too (repeatable)"
    )
    parser.add_argument("--index", type=Path, help="keep the index in this folder and use it again")
    parser.add_argument("--model", help="embedding model (default: the settings')")
    parser.add_argument("--off", action="append", default=[], metavar="NAME", help="leave a signal out (repeatable)")
    parser.add_argument("--out", type=Path, help="write the hits as JSON lines")
    parser.add_argument("--base", type=Path, help="what --out wrote in another run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
