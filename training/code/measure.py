"""Raw dense NDCG@10 of an embedder on labelled questions: chunks of 50 lines by cosine, nothing else.

    python training/code/measure.py --labels LABELS.json --model MODEL [--model …]

The trees lie in `repos/NAME` beside the labels. MODEL is what `codequarry.models.open_embedder` takes, or a folder that
export.py wrote. Prints NDCG@10 (bench/quality.py's), by category and repository, and chunks embedded a CPU second.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from codequarry.models.training import sources
from codequarry.ports import Embedder

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
ndcg: Any = importlib.import_module("quality").ndcg

CHUNK, CUT = 50, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--repositories", action="store_true", help="also a line for each repository")
    options = parser.parse_args()
    labels = json.loads(options.labels.read_text(encoding="utf-8"))
    for name in options.model:
        report(name, labels, options.labels.parent / "repos", options.repositories)


def open_model(name: str) -> Embedder:
    from codequarry.models import open_embedder
    from codequarry.models.terms import TermEmbedder

    return TermEmbedder(name) if (Path(name) / "terms.txt").is_file() else open_embedder(name)


def report(name: str, labels: list[dict[str, Any]], trees: Path, repositories: bool) -> None:
    embedder = open_model(name)
    by_category: dict[str, list[float]] = defaultdict(list)
    by_repository: dict[str, float] = {}
    chunks_in_all, spent = 0, 0.0
    for repository in labels:
        hits, texts = chunks_of(trees / repository["name"])
        began = time.process_time()
        vectors = unit(embedder.embed(texts), embedder.dim)
        spent += time.process_time() - began
        chunks_in_all += len(texts)
        scores = []
        for label in repository["queries"]:
            question = unit(embedder.embed_question(label["query"]), embedder.dim)[0]
            best = np.argsort(-(vectors @ question), kind="stable")[:CUT]
            scores.append(ndcg(label, [hits[row] for row in best]))
            by_category[label["category"]].append(scores[-1])
        by_repository[repository["name"]] = float(np.mean(scores))
    if repositories:
        for repository_name, score in sorted(by_repository.items(), key=lambda item: item[1]):
            print(f"  {repository_name:24s} {score:.3f}")
    categories = "  ".join(f"{key} {np.mean(values):.3f}" for key, values in sorted(by_category.items()))
    speed = f"{chunks_in_all} chunks, {chunks_in_all / max(spent, 1e-9):,.0f} a CPU second"
    print(f"{name}: NDCG@10 {np.mean(list(by_repository.values())):.4f}  {categories}  ({speed})")


def chunks_of(tree: Path) -> tuple[list[dict[str, Any]], list[str]]:
    hits, texts = [], []
    for path in sorted(tree.rglob("*")):
        suffix = path.suffix[1:].lower()
        if (suffix not in sources.EXTENSIONS and suffix not in ("bats", "fs", "hpp")) or not path.is_file():
            continue
        where = path.relative_to(tree).as_posix()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for low in range(0, len(lines), CHUNK):
            part = lines[low : low + CHUNK]
            hits.append({"path": where, "start_line": low + 1, "end_line": low + len(part)})
            texts.append(where + "\n" + "\n".join(part))
    return hits, texts


def unit(vectors: bytes, dim: int) -> np.ndarray:
    values = np.frombuffer(vectors, np.int8).reshape(-1, dim).astype(np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9))


if __name__ == "__main__":
    main()
