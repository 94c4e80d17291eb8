"""How good a list of hits is: NDCG@10, hit@k and recall@10 of one question, means of many, and intervals of a difference.

A labels file is a list of repositories {"name", "language", "github", "queries": [{"query", "category", "relevant", "secondary"}]}
with targets {"path", "start_line", "end_line"}, the lines optional. Trees lie in `repos/NAME` beside it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codequarry.search.feature_set import WEIGHTS_FILE
from codequarry.search.measures import CUT, interval_of_mean, mean, measured, place_of, same_path
from codequarry.settings import Settings, load

__all__ = [
    "CUT",
    "Label",
    "as_shipped",
    "by_repository",
    "interval",
    "mean",
    "measures",
    "place_of",
    "read_labels",
    "same_path",
    "table",
    "tree_of",
]

Hits = Sequence[Mapping[str, Any]]  # of one question, in order: path, start_line, end_line


@dataclass(frozen=True)
class Label:
    """One question with the files that answer it. `home`: the repository on GitHub, the same in all sets of labels."""

    set: str
    repo: str
    home: str
    language: str
    category: str
    query: str
    relevant: tuple[Mapping[str, Any], ...]
    secondary: tuple[Mapping[str, Any], ...]

    @property
    def targets(self) -> tuple[Mapping[str, Any], ...]:
        """All files that answer."""
        return self.relevant + self.secondary

    @property
    def key(self) -> tuple[str, str, str]:
        """What a recorded result of it is found by."""
        return self.set, self.repo, self.query


def read_labels(file: Path) -> list[Label]:
    """The questions of a labels file, without those of repositories whose trees are not there; ends with a message if none is."""
    labels = [
        Label(
            file.stem,
            repo["name"],
            repo.get("github") or repo["name"],
            repo["language"],
            query["category"],
            query["query"],
            tuple(query["relevant"]),
            tuple(query["secondary"]),
        )
        for repo in json.loads(file.read_text(encoding="utf-8"))
        if tree_of(file, repo["name"]).is_dir()
        for query in repo["queries"]
    ]
    if not labels:
        raise SystemExit(
            f"{file} has no question about a repository that lies in {file.parent / 'repos'}: lay out its trees there"
        )
    return labels


def as_shipped() -> Settings:
    """The settings that hold here, but with the ranking weights that ship: `codequarry tune` may have written others."""
    return replace(load(), ranking_weights=WEIGHTS_FILE)


def tree_of(file: Path, repo: str) -> Path:
    """Where the tree of a repository of a labels file is."""
    return file.parent / "repos" / repo


def measures(label: Label, hits: Hits) -> dict[str, float]:
    """NDCG@10, hit@1, 5, 10 and recall@10 of the hits of a question, see `codequarry.search.measures.measured`."""
    return measured(label.targets, hits)


def by_repository(labels: Sequence[Label], scores: Sequence[float]) -> float:
    """The mean over repositories of the means of their questions: the headline."""
    return mean(_means(labels, scores).values())


def _means(labels: Sequence[Label], scores: Sequence[float]) -> dict[tuple[str, str], float]:
    of_repo: dict[tuple[str, str], list[float]] = defaultdict(list)
    for label, score in zip(labels, scores, strict=True):
        of_repo[label.set, label.repo].append(score)
    return {repo: mean(values) for repo, values in of_repo.items()}


def interval(
    labels: Sequence[Label], scores: Sequence[float], base: Sequence[float] | None = None
) -> tuple[float, float]:
    """The 95 % interval of `by_repository`, or of its paired gain over `base`, by resampling repositories."""
    means = _means(labels, scores)
    if base is not None:
        means = {
            repo: value - other
            for (repo, value), other in zip(means.items(), _means(labels, base).values(), strict=True)
        }
    return interval_of_mean(list(means.values()))


def table(
    labels: Sequence[Label], scores: Sequence[Mapping[str, float]], base: Sequence[float] | None = None
) -> list[str]:
    """Lines of Markdown: every measure by set, category and language, with the base line's NDCG@10 beside it."""
    names = list(scores[0]) if scores else []
    lines = [
        "| | questions | " + " | ".join(names) + (" | base line |" if base else " |"),
        "|---|" + "---|" * (len(names) + 1 + bool(base)),
    ]

    def line(title: str, chosen: list[int], *, repositories: bool = False) -> None:
        some = [labels[at] for at in chosen]
        means = [
            by_repository(some, [scores[at][name] for at in chosen])
            if repositories
            else mean(scores[at][name] for at in chosen)
            for name in names
        ]
        cells = [
            title,
            str(len(chosen)),
            *[f"{value:.4f}" if name == "ndcg" else f"{value:.3f}" for name, value in zip(names, means, strict=True)],
        ]
        if base:
            values = [base[at] for at in chosen]
            cells.append(f"{by_repository(some, values) if repositories else mean(values):.4f}")
        lines.append("| " + " | ".join(cells) + " |")

    for one in dict.fromkeys(label.set for label in labels):
        of_set = [at for at, label in enumerate(labels) if label.set == one]
        line(f"**{one}**, mean over repositories", of_set, repositories=True)
        for kind in ("category", "language"):
            for value in sorted({getattr(labels[at], kind) for at in of_set}):
                line(f"{one}: {value}", [at for at in of_set if getattr(labels[at], kind) == value])
    return lines
