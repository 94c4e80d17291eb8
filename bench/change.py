#!/usr/bin/env python3
"""What a commit of one file costs in repositories of 10, 1,000 and 10,000 files, as ratios to the smallest.

    bench/change.py [--sizes 10 1000 10000] [--commits 7] [--elasticsearch URL] [--json OUT]

Each commit adds a function to one file. It is indexed as a push is: a job looks at the repository, a job indexes the branch.
Of both together are taken: processor time of this process and of git, wall time, and which texts the embedder was given. The
latter must be those that stand in no earlier commit, each once (its vectors are cached by content, as a transformer's are).
Wall times are noise on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load import commit, environment, git

from codequarry.ingest.files import FileOptions
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.ingest.prepare import Preparer, embedded_text
from codequarry.models import open_embedder
from codequarry.settings import load
from codequarry.store import open_ledger, open_store
from codequarry.types import FileVersion, Source


class Counted:
    """An embedder that keeps what it was given. Its vectors are cached by content, as those of a slow model are."""

    cached = True

    def __init__(self) -> None:
        self._inner = open_embedder("hash:64")
        self.name, self.fingerprint, self.dim = "hash:64", self._inner.fingerprint, self._inner.dim
        self.given: list[str] = []

    def embed(self, texts: Sequence[str]) -> bytes:
        """As the one within."""
        self.given += texts
        return self._inner.embed(texts)

    def embed_question(self, text: str) -> bytes:
        """As the one within."""
        return self._inner.embed_question(text)


def measured(size: int, folder: Path, location: str, commits: int) -> dict[str, Any]:
    """The costs of one-file commits in a repository of so many files."""
    forge, chance = folder / "forge", random.Random(size)
    forge.mkdir(parents=True)
    git(forge, "init", "-q", "-b", "main")
    files = [forge / f"d{number % 97}" / f"f{number}.py" for number in range(size)]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        body = "\n\n".join(f"def f{number}_{part}(one, two):\n    return one + {part} * two" for part in range(12))
        file.write_text(f"{body}\n", encoding="utf-8")
    commit(forge)
    settings = load(folder, environment(folder) | {"CODEQUARRY_MODEL": "hash:64", "CODEQUARRY_STORE": location})
    ledger, store, embedder = open_ledger(location, settings), open_store(location, create=True), Counted()
    runner = Runner(store, ledger, LocalQueue(), settings, embedder=embedder)
    repo = ledger.register(describe(str(forge), settings)).repo

    def index() -> None:
        ledger.want(Source(repo, ""))
        while due := ledger.due():
            runner.run_one(due[0].source)
        assert all(job.state == "done" for job in ledger.jobs(repo)), ledger.jobs(repo)

    index()
    cpu_ms, wall_ms, given, new = [], [], 0, 0
    met = set(embedder.given)
    for number in range(commits):
        file = chance.choice(files)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"\n\ndef pushed_{size}_{number}():\n    return {number}\n")
        commit(forge)
        embedder.given.clear()
        before, began = _processor_s(), time.perf_counter()
        index()
        wall_ms.append(1000 * (time.perf_counter() - began))
        cpu_ms.append(1000 * (_processor_s() - before))
        texts = set(_texts(file.relative_to(forge).as_posix(), file.read_bytes())) - met
        given, new = given + len(embedder.given), new + len(texts)
        assert sorted(embedder.given) == sorted(texts), "the embedder is given what is new, each once"
        met |= texts
    ledger.close()
    store.close()
    return {
        "files": size,
        "cpu ms": round(statistics.median(cpu_ms), 1),
        "wall ms": round(statistics.median(wall_ms), 1),
        "texts embedded": given,
        "new texts": new,
    }


def _texts(path: str, data: bytes) -> list[str]:
    """What is embedded of a file."""
    (version,) = Preparer(FileOptions()).prepare([(path, "0" * 40, data)])
    assert isinstance(version, FileVersion)
    return [embedded_text(version, chunk) for chunk in version.chunks]


def _processor_s() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1_000, 10_000])
    parser.add_argument("--commits", type=int, default=7)
    parser.add_argument("--elasticsearch", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="codequarry-change-") as folder:
        for size in options.sizes:
            there = Path(folder) / str(size)
            prefix = f"change-{size}-{time.time_ns():x}"
            location = f"{options.elasticsearch}?prefix={prefix}" if options.elasticsearch else str(there / "index")
            row = measured(size, there, location, options.commits)
            for name in ("cpu ms", "wall ms"):
                row[name.replace(" ms", " ratio")] = round(row[name] / (rows[0] if rows else row)[name], 2)
            rows.append(row)
            print(json.dumps(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    sys.exit(any(row["texts embedded"] != row["new texts"] for row in rows))


if __name__ == "__main__":
    main()
