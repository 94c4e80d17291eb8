#!/usr/bin/env python3
"""Speed and size on a real tree: the embedded store, Elasticsearch, and the peer semble beside them, in one run.

    bench/speed.py ROOT [ROOT…] [--elasticsearch] [--semble PYTHON --semble-model FOLDER] [--copies N] [--json OUT]

`--semble` names the interpreter of an environment in which semble is installed, `--semble-model` a folder in the format of
model2vec: `training/code/export.py` writes the shipped model so, `training/distil.py --export FOLDER` the distilled one.
`--copies 10` indexes ten copies of the first root, a third of the long identifiers changed in each, and compares throughput
and answers with one copy. Times on a busy machine are noisy: the ratios are what to read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from measure import Run, elasticsearch_server, p50, p95, run, size_mb, timed
from questions import KINDS, draw

from codequarry import CodeSearch, connect
from codequarry.store.elastic import ElasticStore

COMMAND = [sys.executable, "-m", "codequarry"]


def main() -> None:
    options = _arguments()
    rows: list[dict[str, Any]] = []
    for root in options.root:
        questions = draw(root)
        rows.append(embedded(root, questions, options))
        _print(rows[-1])
        if options.elasticsearch:
            rows.append(elasticsearch(root, questions))
            _print(rows[-1])
        if options.semble:
            rows.append(semble(root, questions, options))
            _print(rows[-1])
            _print(_ratios(rows, root))
    if options.copies > 1:
        rows.append(copies(options.root[0], options.copies))
        _print(rows[-1])
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def embedded(root: Path, questions: dict[str, list[str]], options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
        index = Path(folder) / "index"
        indexing = run([*COMMAND, "--store", index, "index", root, "--quiet"])
        row = {"root": str(root), "engine": "embedded", **_indexed(indexing, root, index)}
        with connect(index) as quarry:
            row |= _counts(quarry) | _answers(quarry, questions)
        row |= _cold(index, questions["words"][:15])
        row |= _changed(root, Path(folder))
    return row


def elasticsearch(root: Path, questions: dict[str, list[str]]) -> dict[str, Any]:
    with elasticsearch_server() as url:
        indexing = run([*COMMAND, "--store", url, "index", root, "--quiet"])
        row = {"root": str(root), "engine": "elasticsearch", **_indexed(indexing, root, None)}
        with connect(url) as quarry:
            row |= _counts(quarry) | _answers(quarry, questions)
            row |= _shares(quarry, questions["words"])
    return row


def semble(root: Path, questions: dict[str, list[str]], options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
        asked = Path(folder) / "questions.json"
        asked.write_text(
            json.dumps({kind: questions[kind] for kind in ("words", "symbols", "paths")}), encoding="utf-8"
        )
        peer = Path(__file__).with_name("semble_peer.py")
        environment = os.environ | {"SEMBLE_CACHE_LOCATION": f"{folder}/cache", "HF_HUB_OFFLINE": "1"}
        words = run([options.semble, peer, root, asked, "--bm25"], env=environment)
        whole = run([options.semble, peer, root, asked, "--model", options.semble_model], env=environment)
    row = {"root": str(root), "engine": "semble", "seconds": whole.seconds, "cpu": whole.cpu, "peak_mb": whole.peak_mb}
    return row | {"seconds without vectors": words.seconds} | json.loads(whole.output.splitlines()[-1])


def copies(root: Path, count: int) -> dict[str, Any]:
    """One copy against many, with the same command: MB a second and p50."""
    made: dict[int, dict[str, Any]] = {}
    questions = draw(root)
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, count):
            trees = Path(folder) / f"trees-{number}"
            for copy in range(number):
                _copy(root, trees / f"copy-{copy}", copy)
            index = Path(folder) / f"index-{number}"
            indexing = run([*COMMAND, "--store", index, "index", *sorted(trees.iterdir()), "--quiet"])
            with connect(index) as quarry:
                made[number] = _counts(quarry) | _answers(quarry, questions)
            made[number] |= {"MB/s": made[number]["text_mb"] / indexing.seconds, "peak_mb": indexing.peak_mb}
            shutil.rmtree(trees)
    one, many = made[1], made[count]
    ratio = {f"{kind} p50 ratio": many[f"{kind} p50"] / one[f"{kind} p50"] for kind in KINDS}
    return {"engine": f"embedded x {count}", **many, "throughput ratio": many["MB/s"] / one["MB/s"], **ratio}


def _copy(root: Path, target: Path, number: int) -> None:
    """A copy of the text files in which a third of the identifiers of eight letters and more have another name."""
    changed: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        word = match.group()
        if word not in changed:
            changed[word] = f"{word}X{number}" if random.Random(f"{word}{number}").random() < 1 / 3 else word
        return changed[word]

    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            copy = target / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_bytes().decode("latin-1")
            copy.write_bytes((re.sub(r"[A-Za-z_]{8,}", rename, text) if number else text).encode("latin-1"))


def _indexed(indexing: Run, root: Path, index: Path | None) -> dict[str, Any]:
    row = {"seconds": indexing.seconds, "cpu": indexing.cpu, "peak_mb": indexing.peak_mb, "tree_mb": size_mb(root)}
    return row | ({"index_mb": size_mb(index)} if index else {})


def _counts(quarry: CodeSearch) -> dict[str, Any]:
    states = quarry.repositories()
    return {
        "files": sum(state.files for state in states),
        "chunks": sum(state.chunks for state in states),
        "text_mb": sum(state.size_bytes for state in states) / 1e6,
    }


def _answers(quarry: CodeSearch, questions: dict[str, list[str]]) -> dict[str, Any]:
    """p50 and p95 of each kind of question in a warm process: parsing, embedding, both legs, ranking, texts."""
    row: dict[str, Any] = {}
    for kind in KINDS:
        for query in questions[kind][:5]:
            quarry.search(query, refresh=False)
        times = [timed(partial(quarry.search, query, refresh=False)) for query in questions[kind]]
        row |= {f"{kind} p50": p50(times), f"{kind} p95": p95(times)}
    return row


def _shares(quarry: CodeSearch, questions: list[str]) -> dict[str, Any]:
    """Our own part of a question's time beside what is spent waiting for the server's answers."""
    assert isinstance(quarry.store, ElasticStore)
    ours, server = [], []
    for query in questions:
        before = quarry.store.waited_ms
        took = timed(partial(quarry.search, query, refresh=False))
        server.append(quarry.store.waited_ms - before)
        ours.append(took - server[-1])
    return {"server ms p50": p50(server), "own ms p50": p50(ours), "own share of the server's": p50(ours) / p50(server)}


def _cold(index: Path, questions: list[str]) -> dict[str, Any]:
    """The whole command from a cold process, its output piped, without and with the look at the folders."""
    row: dict[str, Any] = {}
    for name, extra in (("cold", ["--no-refresh"]), ("cold with refresh", [])):
        run([*COMMAND, "--store", index, "search", questions[0], *extra])
        times = [run([*COMMAND, "--store", index, "search", query, *extra]).seconds * 1000 for query in questions]
        row |= {f"{name} p50": p50(times), f"{name} p95": p95(times)}
    times = [run([sys.executable, "-c", "pass"]).seconds * 1000 for _ in questions]
    times_import = [run([sys.executable, "-c", "import codequarry"]).seconds * 1000 for _ in questions]
    return row | {"bare python p50": p50(times), "import codequarry p50": p50(times_import)}


def _changed(root: Path, folder: Path) -> dict[str, Any]:
    """A file is edited; how long until a search that looks first finds the new word, in one process."""
    tree = folder / "tree"
    shutil.copytree(root, tree, symlinks=True)
    files = sorted(path for path in tree.rglob("*") if path.suffix in (".go", ".py") and path.stat().st_size < 40_000)
    times = []
    with connect(folder / "changing") as quarry:
        quarry.index(tree)
        for number, path in enumerate(random.Random(7).sample(files, 20)):
            word = "quarry" + "".join(random.Random(number).choices("bcdfghklmnprstvwz", k=8))
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\n// {word}\n")
            times.append(timed(partial(_must_find, quarry, word)))
    return {"changed file p50": p50(times[2:]), "changed file max": max(times)}


def _must_find(quarry: CodeSearch, word: str) -> None:
    if not any(word in hit.text for hit in quarry.search(word).hits):
        raise SystemExit(f"{word} was written and is not found")


def _ratios(rows: list[dict[str, Any]], root: Path) -> dict[str, Any]:
    """The embedded store against semble on the same tree in this run."""
    ours = next(row for row in rows if row["root"] == str(root) and row["engine"] == "embedded")
    peer = next(row for row in rows if row["root"] == str(root) and row["engine"] == "semble")
    both = [
        key for key in ("seconds", "peak_mb", "words p50", "symbols p50", "paths p50") if key in ours and key in peer
    ]
    return {"root": str(root), "engine": "embedded / semble", **{key: ours[key] / peer[key] for key in both}}


def _print(row: dict[str, Any]) -> None:
    print(f"\n{row.get('root', '')} {row['engine']}")
    for key, value in row.items():
        if key not in ("root", "engine"):
            print(f"  {key:28s} {value:12,.2f}" if isinstance(value, float) else f"  {key:28s} {value:>12}")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="+")
    parser.add_argument("--elasticsearch", action="store_true", help="measure a throw-away Elasticsearch too")
    parser.add_argument("--semble", type=Path, help="Python of an environment with semble")
    parser.add_argument("--semble-model", type=Path, help="static model folder for semble")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--tmp", type=Path, help="folder for the throw-away indexes")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
