#!/usr/bin/env python3
"""Commit subjects of the repositories of a labels file, as a labels file of its own that `bench/fit.py --labels` reads.

    bench/subjects.py dev.json --mirrors FOLDER --out FOLDER/dev-subjects.json [--count 60] [--seed 0]
    bench/fit.py --labels dev.json --labels FOLDER/dev-subjects.json --gain dev-subjects=0.1 --cache FOLDER --loro

The history of each repository is read to the `revision` of its labels, in the bare clone MIRRORS/OWNER+NAME/repo; what answers is a
source file of the tree beside the labels (`repos/NAME`), which holds the change already: pinned. A link to the trees is put beside
the new file. `--loro` leaves out a repository's subjects with its labels. `bench/reports/subjects.md` says what they are worth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from scoring import tree_of

from codequarry.ingest.git import Git
from codequarry.ingest.subjects import subjects
from codequarry.service.history import answers


def main() -> None:
    options = _arguments()
    found = []
    for repo in json.loads(options.labels.read_text(encoding="utf-8")):
        tree = tree_of(options.labels, repo["name"])
        history = options.mirrors / repo["github"].replace("/", "+") / "repo"
        if missing := [str(folder) for folder in (history, tree) if not folder.is_dir()]:
            print(f"{repo['name']}: left out, there is no {missing[0]}")
            continue
        paths = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
        asked = subjects(Git(), str(history), repo["revision"], paths, answers, limit=options.count, seed=options.seed)
        queries = [
            {
                "query": one.text,
                "category": "subject",
                "relevant": [{"path": path} for path in one.paths],
                "secondary": [],
            }
            for one in asked
        ]
        print(f"{repo['name']}: {len(asked)} subjects")
        found.append({key: repo[key] for key in ("name", "github", "language")} | {"queries": queries})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    trees, link = (options.labels.parent / "repos").resolve(), options.out.parent / "repos"
    if not link.exists():
        link.symlink_to(trees)
    elif link.resolve() != trees:
        raise SystemExit(f"{link} has the trees of other labels: name another folder")
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="labels whose repositories, revisions and trees are taken")
    parser.add_argument("--mirrors", type=Path, required=True, help="folder of the bare clones, OWNER+NAME/repo")
    parser.add_argument("--out", type=Path, required=True, help="the file of labels to write")
    parser.add_argument("--count", type=int, default=60, help="subjects of a repository, at most (60)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
