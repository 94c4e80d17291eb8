#!/usr/bin/env python3
"""Do both stores give the same answers? Reads two result files of `bench/quality.py` for the same labels.

    bench/agreement.py EMBEDDED.jsonl ELASTICSEARCH.jsonl

Prints the mean share of the first ten files that both have (overlap@10), how often the first is the same, and the questions
that differ most.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    one, other = (_read(Path(name)) for name in sys.argv[1:3])
    assert one.keys() == other.keys(), "the two runs answered different questions"
    overlaps = {question: _overlap(one[question], other[question]) for question in one}
    same_first = sum(one[question][:1] == other[question][:1] for question in one)
    for question, overlap in sorted(overlaps.items(), key=lambda item: item[1])[:10]:
        if overlap < 1:
            print(f"{overlap:.2f}  {question[0]}: {question[1][:80]!r}")
    print(
        f"questions {len(one)}  overlap@10 {sum(overlaps.values()) / len(one):.4f}  same first {same_first / len(one):.4f}"
    )


def _overlap(one: list[str], other: list[str]) -> float:
    return len(set(one) & set(other)) / max(len(set(one)), len(set(other)), 1)


def _read(path: Path) -> dict[tuple[str, str], list[str]]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(row["repo"], row["query"]): [hit["path"] for hit in row["hits"]] for row in rows}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
