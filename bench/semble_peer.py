"""The peer semble on a tree, run by the interpreter of its own environment: prints p50 and p95 of each kind of question.

    python semble_peer.py ROOT QUESTIONS.json (--bm25 | --model FOLDER)

Its own cache is the caller's to point at an empty folder (SEMBLE_CACHE_LOCATION). With --bm25 a model of one constant dimension
stands in for the vectors and their weight is zero, so that only its words and its ranking are at work.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import semble.index.index as index_module
from semble import SembleIndex


class NoModel:
    """One constant dimension in place of a model."""

    dim = 1

    def encode(self, texts: list[str], **_: object) -> Any:
        """A zero for each text."""
        return np.zeros((len(texts), 1), dtype=np.float32)


def main() -> None:
    root, asked, *how = sys.argv[1:]
    options: dict[str, Any] = {}
    if how[0] == "--bm25":
        index_module.load_model = lambda _=None: (NoModel(), "no-model")
        options["alpha"] = 0.0
        index = SembleIndex.from_path(root, model_path="no-model")
    else:
        index = SembleIndex.from_path(root, model_path=how[1])
    row: dict[str, Any] = {"files": index.stats.indexed_files, "chunks": index.stats.total_chunks}
    for kind, questions in json.loads(Path(asked).read_text(encoding="utf-8")).items():
        times = []
        for query in questions:
            started = time.perf_counter()
            index.search(query, top_k=10, **options)
            times.append((time.perf_counter() - started) * 1000)
        row |= {f"{kind} p50": statistics.median(times), f"{kind} p95": sorted(times)[int(len(times) * 0.95)]}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
