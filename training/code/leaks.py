"""Counts how many training pairs are also in a benchmark: code whose long lines mostly stand in one of its files.

    python training/code/leaks.py --corpus CORPUS.npz --trees FOLDER [FOLDER …] [--write excluded.tsv]

A pair is a near-duplicate when at least 60 % of its code's long lines (eight terms or more), and at least three, occur in the
trees. Lines are compared as the search's own terms, so that spaces and letter case do not hide a copy. Prints the number, by
package, and the sentences and files of a few. `--write` adds those files to the list that training leaves out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from corpus import EXCLUDED, excluded

from codequarry import text
from codequarry.models.training import sources
from codequarry.models.training.corpus import Corpus

LONG = 8  # terms of a line that says something
SHARE = 0.6
FEWEST = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument(
        "--trees", type=Path, nargs="+", required=True, help="folders with the benchmark's repositories"
    )
    parser.add_argument("--write", type=Path, help="add the files, as package and terms of the path")
    parser.add_argument("--show", type=int, default=5)
    options = parser.parse_args()
    corpus = Corpus.load(options.corpus)
    known = set(lines_of(options.trees, {term: row for row, term in enumerate(corpus.terms)}))
    found = near_duplicates(corpus, known)
    left_out = np.isin(corpus.file_digest[corpus.pairs[found, 0]], np.array(sorted(excluded()), np.int64))
    print(f"{left_out.sum()} of the near-duplicates are left out of training already ({EXCLUDED.name})")
    print(f"{len(known)} long lines in the trees; {len(found)} of {len(corpus.pairs)} pairs are near-duplicates")
    package = corpus.file_package[corpus.pairs[:, 0]]
    for at, count in Counter(package[found].tolist()).most_common(15):
        print(f"{count:6d} {corpus.packages[at]}")
    if options.write:
        files = {
            f"{corpus.packages[corpus.file_package[file]]}\t{corpus.file_digest[file]}\t{path_terms(corpus, file)}"
            for file in corpus.pairs[found, 0]
        }
        files |= set(options.write.read_text(encoding="utf-8").splitlines()) if options.write.exists() else set()
        options.write.write_text("".join(f"{line}\n" for line in sorted(files)), encoding="utf-8")
    for pair in found[:: max(1, len(found) // max(options.show, 1))][: options.show]:
        said = corpus.said[corpus.said_at[pair] : corpus.said_at[pair + 1]]
        file = int(corpus.pairs[pair, 0])
        print(" ".join(corpus.terms[term] for term in said), "|", path_terms(corpus, file))


def path_terms(corpus: Corpus, file: int) -> str:
    return " ".join(corpus.terms[term] for term in corpus.paths[corpus.paths_at[file] : corpus.paths_at[file + 1]])


def lines_of(trees: list[Path], rows: dict[str, int]) -> Iterator[int]:
    """Hashes of the long lines of every collected language's files below the folders."""
    for tree in trees:
        for path in tree.rglob("*"):
            if path.suffix[1:].lower() in sources.EXTENSIONS and path.is_file():
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                    ids = [rows[term] for term in text.terms(line).split() if term in rows]
                    if len(ids) >= LONG:
                        yield _hash(np.array(ids, np.int32))


def _hash(ids: np.ndarray) -> int:
    return hash(ids.tobytes())


def near_duplicates(corpus: Corpus, known: set[int]) -> np.ndarray:
    """Which pairs' code stands in the trees."""
    found = []
    for pair, (file, _, low, high, _, _) in enumerate(corpus.pairs.tolist()):
        base = int(corpus.lines[file])
        ends = corpus.code_at[base + low : base + high + 1]
        wide = np.flatnonzero(np.diff(ends) >= LONG)
        if len(wide) >= FEWEST:
            hits = sum(_hash(corpus.code[ends[line] : ends[line + 1]]) in known for line in wide)
            if hits >= max(SHARE * len(wide), FEWEST):
                found.append(pair)
    return np.array(found, np.int64)


if __name__ == "__main__":
    main()
