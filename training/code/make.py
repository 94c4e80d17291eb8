"""Collects the packages, trains the code embedding model and writes it: one command, under an hour on two cores.

    python training/code/make.py --cache FOLDER [--exclude LIST …]

FOLDER, outside the repository, gets the downloads (4 GB), the corpus and the trained table. `--exclude` names lists of
repositories that must not be trained on (owner/name a line, or benchmark labels); packages.tsv was checked against ours.
`--pin` writes what was found back to packages.tsv. See README.md.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import corpus as corpora
import numpy as np
import registries
from train import train, trial

from codequarry.models.training.contrast import Settings
from codequarry.models.training.corpus import Corpus

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "codequarry" / "data" / "code"
RUNS = 3  # tables of different drawings of batches, averaged


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=HERE / "packages.tsv")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[])
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    began = time.monotonic()
    stored = options.cache / "corpus.npz"
    if not stored.exists():
        collect(options, stored)
        print(f"corpus after {time.monotonic() - began:.0f} s", flush=True)
    whole = Corpus.load(stored)
    for line in corpora.summary(whole):
        print(line)
    tables = [train(whole, Settings(seed=seed)) for seed in range(RUNS)]
    table = np.asarray(np.mean(tables, axis=0), np.float32)
    np.save(options.cache / "table.npy", table)
    score, by_language = trial(whole).score(table, Settings().saturation)
    print(f"held-out packages: NDCG@10 {score:.4f}", by_language)
    from export import write

    write(options.out, table, whole, Settings())
    print(f"done after {time.monotonic() - began:.0f} s")


def collect(options: argparse.Namespace, stored: Path) -> None:
    packages = registries.read_list(options.packages)
    registries.fetch(packages, options.cache)
    packages = corpora.check(packages, corpora.kept_apart(options.exclude))
    if options.pin:
        registries.write_list(options.packages, packages)
    corpora.build(packages, options.workers).save(stored)


if __name__ == "__main__":
    main()
