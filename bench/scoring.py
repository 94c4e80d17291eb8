"""How good a list of hits is: NDCG@10, hit@k and recall@10 of one question, means of many, and intervals of a difference.

A labels file is a list of repositories {"name", "language", "github", "queries": [{"query", "category", "relevant", "secondary"}]}
with targets {"path", "start_line", "end_line"}, the lines optional. Trees lie in `repos/NAME` beside it.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CUT = 10
_RESAMPLES = 10_000

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
    """The questions of a labels file, without those of repositories whose trees are not there."""
    return [
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


def tree_of(file: Path, repo: str) -> Path:
    """Where the tree of a repository of a labels file is."""
    return file.parent / "repos" / repo


def same_path(one: str, other: str) -> bool:
    """Whether two paths name one file, though one of them begins further up."""
    return one == other or one.endswith("/" + other) or other.endswith("/" + one)


def place_of(target: Mapping[str, Any], hits: Hits) -> int | None:
    """The place, from 1, of the first hit that lies in a target, None beyond `CUT`."""
    low, high = target.get("start_line"), target.get("end_line")
    for place, hit in enumerate(hits[:CUT], 1):
        in_lines = low is None or high is None or (hit["end_line"] >= low and hit["start_line"] <= high)
        if in_lines and same_path(hit["path"], target["path"]):
            return place
    return None


def measures(label: Label, hits: Hits) -> dict[str, float]:
    """NDCG@10 with binary gain, where a target counts at the first hit in it, hit@1, 5, 10 and recall@10 by file."""
    places = {place for target in label.targets if (place := place_of(target, hits)) is not None}
    files = [place_of({"path": target["path"]}, hits) for target in label.targets]
    first = min([place for place in files if place is not None], default=CUT + 1)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(CUT, len(label.targets)) + 1))
    return {
        "ndcg": sum(1 / math.log2(place + 1) for place in places) / ideal,
        "hit@1": float(first <= 1),
        "hit@5": float(first <= 5),
        "hit@10": float(first <= CUT),
        "recall@10": sum(place is not None for place in files) / len(files),
    }


def mean(values: Iterable[float]) -> float:
    """The mean, NaN of nothing."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else math.nan


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
    values, rng = list(means.values()), random.Random(20261124)
    drawn = sorted(mean(rng.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return drawn[_RESAMPLES // 40], drawn[-_RESAMPLES // 40]


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
