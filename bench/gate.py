#!/usr/bin/env python3
"""The quality gate: does search answer as well as when it was last recorded, on a small corpus that any clone can get?

    bench/gate.py [--cache FOLDER] [--worst N] [--record]

`bench/gate/packages.tsv` pins four released packages in four languages, `bench/gate/questions.tsv` has questions about them that
were written for this gate by reading their code, each with the files that answer it, the main one first. They are indexed into a
new index with the model that ships. It fails (exit 1) when NDCG@10 is below what `bench/gate/recorded.json` has by more than
noise: when the 95 % interval of the difference, in pairs over resampled questions, lies below zero. `--record` writes what is
reached now; do that when a change is meant to change the answers, and say in the commit why.

No weight is fitted to these questions: a gate that is trained on says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import released
from released import NotFetchedError
from scoring import CUT, Label, as_shipped, mean, measures

from codequarry import connect

FOLDER = Path(__file__).with_name("gate")
RECORDED = FOLDER / "recorded.json"
MODEL = "code"
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Outcome:
    """NDCG@10 of every question, now and as recorded, and whether the difference of the means is beyond noise."""

    labels: tuple[Label, ...]
    scores: tuple[float, ...]
    recorded: tuple[float, ...]

    @property
    def change(self) -> tuple[float, float]:
        """The 95 % interval of now minus recorded."""
        return paired_interval([now - then for now, then in zip(self.scores, self.recorded, strict=True)])

    @property
    def passes(self) -> bool:
        """Whether nothing was lost beyond noise."""
        return self.change[1] >= 0

    def __str__(self) -> str:
        low, high = self.change
        return (
            f"NDCG@10 {mean(self.scores):.4f}, recorded {mean(self.recorded):.4f}, "
            f"change {mean(self.scores) - mean(self.recorded):+.4f} [{low:+.4f}, {high:+.4f}] "
            f"over {len(self.labels)} questions: {'passes' if self.passes else 'FAILS'}"
        )


def read_questions() -> tuple[Label, ...]:
    """The questions of the gate."""
    packages = {row.label: row for row in released.read_table(FOLDER / "packages.tsv")}
    labels = []
    for row in (FOLDER / "questions.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        repo, question, files = row.split("\t")
        main, *others = [{"path": path} for path in files.split()]
        home, language = packages[repo].repository, packages[repo].language
        labels.append(Label("gate", repo, home, language, "question", question, (main,), tuple(others)))
    return tuple(labels)


def scores(labels: Sequence[Label], cache: Path) -> tuple[float, ...]:
    """NDCG@10 of each question by what this checkout answers.

    Raises:
        NotFetchedError: a registry cannot be reached, and the cache does not have all packages.
        SystemExit: an archive is not the one that was pinned, or a question names a file that is not there.
    """
    packages = released.fetch(released.read_table(FOLDER / "packages.tsv"), cache)
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(Path(folder) / "index", model=MODEL, settings=as_shipped()) as quarry,
    ):
        for row, package in packages.items():
            tree = Path(folder) / row.label
            released.lay_out(row, package, tree)
            targets = {target["path"] for label in labels if label.repo == row.label for target in label.targets}
            if unknown := sorted(path for path in targets if not (tree / path).is_file()):
                raise SystemExit(f"questions.tsv names files that {row.name} does not have: {', '.join(unknown)}")
            quarry.index(tree, name=f"gate/{row.label}")
        found = []
        for label in labels:
            answer = quarry.search(label.query, limit=CUT, plain=True, refresh=False, repo=f"gate/{label.repo}")
            hits = [{"path": hit.path, "start_line": hit.start_line, "end_line": hit.end_line} for hit in answer.hits]
            found.append(measures(label, hits)["ndcg"])
    return tuple(found)


def recorded(labels: Sequence[Label]) -> tuple[float, ...]:
    """What was reached when it was last recorded.

    Raises:
        SystemExit: other questions were recorded than there are.
    """
    known: dict[str, float] = json.loads(RECORDED.read_text(encoding="utf-8"))["scores"]
    if list(known) != [_key(label) for label in labels]:
        raise SystemExit("the questions are not those that were recorded: run bench/gate.py --record")
    return tuple(known.values())


def record(labels: Sequence[Label], reached: Sequence[float]) -> None:
    """Writes what is reached now."""
    rows = {_key(label): round(score, 4) for label, score in zip(labels, reached, strict=True)}
    text = json.dumps({"NDCG@10": round(mean(reached), 4), "scores": rows}, indent=1)
    RECORDED.write_text(text + "\n", encoding="utf-8")


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean by resampling, the same each time."""
    rng = random.Random(20261124)
    drawn = sorted(mean(rng.choices(differences, k=len(differences))) for _ in range(_RESAMPLES))
    return drawn[_RESAMPLES // 40], drawn[-_RESAMPLES // 40]


def default_cache() -> Path:
    """Where packages are kept from run to run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codequarry" / "bench"


def _key(label: Label) -> str:
    return f"{label.repo}: {label.query}"


def main() -> None:
    options = _arguments()
    labels = read_questions()
    try:
        reached = scores(labels, options.cache)
    except NotFetchedError as error:
        raise SystemExit(f"nothing was measured: {error}") from error
    if options.record:
        record(labels, reached)
    outcome = Outcome(labels, reached, recorded(labels))
    for repo in dict.fromkeys(label.repo for label in labels):
        of_repo = [score for label, score in zip(labels, reached, strict=True) if label.repo == repo]
        print(f"{repo:12s} {mean(of_repo):.3f}  {len(of_repo)} questions")
    worst = sorted(zip(reached, outcome.recorded, map(_key, labels), strict=True))[: options.worst]
    for now, then, key in worst:
        print(f"{now:.2f} (was {then:.2f})  {key}")
    print(outcome)
    sys.exit(not outcome.passes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder for packages (default: the user's cache)"
    )
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="show the N questions answered worst")
    parser.add_argument("--record", action="store_true", help="write what is reached now as what must be reached")
    return parser.parse_args()


if __name__ == "__main__":
    main()
