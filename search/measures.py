"""How good a list of hits is for one question: NDCG@10, hit@k, recall@10; means of many, and the interval of a difference.

Targets and hits are mappings with `path`, `start_line` and `end_line`; the lines of a target may be left out. A hit may have
`related` ones, the other sides of its file: they count at its place, where they are shown, and two targets in one hit count once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codequarry.types import Hit

CUT = 10
"""Hits after these do not count."""

RESAMPLES = 10_000

Places = Sequence[Mapping[str, Any]]  # targets, or the hits of a question in order


def same_path(one: str, other: str) -> bool:
    """Whether two paths name one file, though one of them begins further up."""
    return one == other or one.endswith("/" + other) or other.endswith("/" + one)


def place_of(target: Mapping[str, Any], hits: Places) -> int | None:
    """The place, from 1, of the first hit that lies in a target, None beyond `CUT`."""
    low, high = target.get("start_line"), target.get("end_line")
    for place, hit in enumerate(hits[:CUT], 1):
        for shown in (hit, *hit.get("related", ())):
            in_lines = low is None or high is None or (shown["end_line"] >= low and shown["start_line"] <= high)
            if in_lines and same_path(shown["path"], target["path"]):
                return place
    return None


def places(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    """Hits as what is measured, with the lines that each shows of its file and of those related to it."""
    return [
        {"path": hit.path, "start_line": hit.start_line, "end_line": hit.end_line}
        | ({"related": places(hit.related)} if hit.related else {})
        for hit in hits
    ]


def measured(targets: Places, hits: Places) -> dict[str, float]:
    """NDCG@10 with binary gain, where a target counts at the first hit in it, hit@1, 5, 10 and recall@10 by file."""
    places = {place for target in targets if (place := place_of(target, hits)) is not None}
    files = [place_of({"path": target["path"]}, hits) for target in targets]
    first = min([place for place in files if place is not None], default=CUT + 1)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(CUT, len(targets)) + 1))
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


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean by resampling (percentile bootstrap), the same each time; NaN of nothing.

    Of differences in pairs it is that of the mean difference.
    """
    if not values:
        return math.nan, math.nan
    rng = random.Random(20261124)  # noqa: S311  statistics
    drawn = sorted(mean(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return drawn[RESAMPLES // 40], drawn[-RESAMPLES // 40]
