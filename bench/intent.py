#!/usr/bin/env python3
"""What a function is for, asked in the words of its own documentation, which is taken out of what is indexed.

    bench/intent.py --cache FOLDER [--model MODEL] [--apart FILE …] [--only PACKAGE …] [--out RESULTS.json]
    bench/intent.py --cache FOLDER --table bench/descriptions.tsv --labels FOLDER/descriptions.json     to fit weights to

The sources are released packages that `bench/intent.tsv` pins; they stay in the cache. Of each package some functions with a
documented purpose are drawn, the same ones each time: the first sentence of the comment is the question, asked of that package
alone, and the lines of the function are the answer. A sentence that names its function, or stands twice in a package, is left
out; so is a function whose code stands in another file too.

Measured are NDCG@10 and the mean reciprocal rank of the right file, and of the right function: there a hit counts whose best chunk
reaches into its lines. The methods are the words leg alone (BM25 as the store scores it) and the vectors leg alone, each a hit a
file, and search as it ships, with and without vectors. Gains are paired, with 95 % intervals from resampled packages.

No package may be one that the shipped model was trained on; `--apart` names lists or labels of further repositories that must not
be among them. `--only` takes some of the packages, for models that are slow. `--labels` measures nothing: it writes the questions,
each with the file of its function, and the trees beside them, as `bench/fit.py` reads them. `bench/descriptions.tsv` has packages
for that, none of which is one to measure with.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import released
from registries import Package
from released import Released
from scoring import CUT, Label, as_shipped, by_repository, interval, mean, measures, place_of, tree_of

from codequarry import CodeSearch, connect
from codequarry.ingest import chunks, languages
from codequarry.models.training import sources
from codequarry.search import Engine, parse, retrieve
from codequarry.search.scope import resolve, visible
from codequarry.types import Candidate, Request

TABLE = Path(__file__).with_suffix(".tsv")
PER_PACKAGE, PER_FILE = 25, 2
LEAST_TERMS = 4
_SHORT = 40  # characters of a body that may be the same by chance
HYBRID = "hybrid"
METHODS = ("words", "vectors", HYBRID, "hybrid, no vectors")
_FUNCTIONS = frozenset(("function", "method", "constructor"))
_PREFIX = "intent/"


def main() -> None:
    options = _arguments()
    table = [row for row in released.read_table(options.table) if not options.only or row.label in options.only]
    released.kept_apart(table, options.apart)
    packages = released.fetch(table, options.cache)
    if options.labels:
        write_labels(packages, options.labels)
        return
    labels: list[Label] = []
    location = options.cache / f"intent-{re.sub(r'[^a-z0-9]+', '-', (options.model or 'default').lower())}"
    with connect(location, model=options.model, settings=as_shipped()) as quarry:
        for row, package in packages.items():
            drawn = list(draw(row, package))
            hidden = Hidden(drawn)
            tree = options.cache / "intent-trees" / row.label
            released.lay_out(row, package, tree, hidden.without)
            labels += [function.label for function in drawn]
            quarry.index(tree, name=_PREFIX + row.label)
        results = [answers(quarry, label) for label in labels]
    if options.out:
        rows = [
            {"repo": label.repo, "query": label.query, **found} for label, found in zip(labels, results, strict=True)
        ]
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(report(labels, results)))


def write_labels(packages: Mapping[Released, Package], file: Path) -> None:
    """A labels file, and the trees in `repos/` beside it."""
    rows: list[dict[str, Any]] = []
    for row, package in packages.items():
        drawn = list(draw(row, package))
        if drawn:
            released.lay_out(row, package, tree_of(file, row.label), Hidden(drawn).without)
            queries = [
                {
                    "query": one.label.query,
                    "category": one.label.category,
                    "relevant": [{"path": one.path}],
                    "secondary": [],
                }
                for one in drawn
            ]
            rows.append({"name": row.label, "language": row.language, "github": row.repository, "queries": queries})
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(len(row['queries']) for row in rows)} questions about {len(rows)} packages")


# ------------------------------------------------------------------------------------------------------------- questions


class Drawn:
    """A question, and the lines of the comment that it is taken from."""

    def __init__(
        self, row: Released, path: str, question: str, lines: tuple[int, int], hidden: tuple[int, int]
    ) -> None:
        self.path, self.hidden = path, hidden
        target = {"path": path, "start_line": lines[0], "end_line": lines[1]}
        self.label = Label("intent", row.label, row.repository, row.language, "intent", question, (target,), ())


class Hidden:
    """Texts without the comments that the questions are taken from; every line keeps its number."""

    def __init__(self, drawn: Sequence[Drawn]) -> None:
        self._lines: dict[str, list[tuple[int, int]]] = {}
        for one in drawn:
            self._lines.setdefault(one.path, []).append(one.hidden)

    def without(self, path: str, text: str) -> str:
        """The text that is indexed."""
        if path not in self._lines:
            return text
        code, _, _ = sources.split(text, path)
        lines = text.split("\n")
        for start, end in self._lines[path]:
            lines[start:end] = code[start:end]
        return "\n".join(lines)


def draw(
    row: Released, package: Package, *, per_package: int = PER_PACKAGE, per_file: int = PER_FILE
) -> Iterator[Drawn]:
    """At most so many questions of a package, and of a file, in the order of a digest of their text."""
    texts = dict(released.texts(row, package))
    code = {path: sources.split(text, path)[0] for path, text in texts.items()}
    bare = {path: _bare(lines) for path, lines in code.items()}
    found = [drawn for path, text in texts.items() for drawn in _functions(row, path, text)]
    often = Counter(drawn.label.query for drawn in found)
    of_file: Counter[str] = Counter()
    taken = 0
    for drawn in sorted(found, key=lambda one: blake2b(f"{one.path}\0{one.label.query}".encode()).digest()):
        is_open = of_file[drawn.path] < per_file and taken < per_package
        if is_open and often[drawn.label.query] == 1 and not _stands_elsewhere(drawn, code, bare):
            of_file[drawn.path] += 1
            taken += 1
            yield drawn


def _functions(row: Released, path: str, text: str) -> Iterator[Drawn]:
    """The documented functions of a file."""
    code, _, comments = sources.split(text, path)
    defined = {
        symbol.line: symbol.name
        for chunk in chunks.cut(text, languages.detect(path, text[:4000]), path)
        for symbol in chunk.symbols
        if symbol.kind in _FUNCTIONS
    }
    for pair in sources.pairs(code, comments, row.language):
        if pair.kind != sources.SENTENCE:
            continue
        # Attributes may stand between the comment and the line that has the name; lines of pairs count from 0.
        line = next((line for line in range(pair.start + 1, pair.start + 7) if line in defined), None)
        if line is None or line > pair.end:
            continue
        name = re.split(r"\W+", defined[line])[-1]
        question = re.sub(rf"^{re.escape(name)}\s+(?:is\s+)?", "", pair.sentence)
        if not re.search(rf"\b{re.escape(name)}\b", question, re.IGNORECASE) and _says_enough(question):
            yield Drawn(row, path, question, (pair.start + 1, pair.end), pair.hidden)


def _stands_elsewhere(drawn: Drawn, code: Mapping[str, Sequence[str]], bare: Mapping[str, str]) -> bool:
    """Whether another file has the lines of the function after its first, as bundles of all sources do."""
    target = drawn.label.relevant[0]
    body = _bare(code[drawn.path][target["start_line"] : target["end_line"]])
    return len(body) > _SHORT and any(body in other for path, other in bare.items() if path != drawn.path)


def _bare(lines: Sequence[str]) -> str:
    """Lines of code without indentation, empty ones left out."""
    return "\n".join(stripped for line in lines if (stripped := line.strip()))


def _says_enough(question: str) -> bool:
    return len(retrieve.question_terms(question, set())) >= LEAST_TERMS


# --------------------------------------------------------------------------------------------------------------- answers


def answers(quarry: CodeSearch, label: Label) -> dict[str, list[dict[str, Any]]]:
    """The hits of one question by each method: {"path", "start_line", "end_line"}, a hit a file."""
    store, embedder = quarry.store, quarry.engine.embedder
    repo = _PREFIX + label.repo
    query = parse(label.query, plain=True)
    asked = retrieve.ask(query, resolve(query, visible(store.sources(), None), {"repo": [repo]}, None), embedder)
    words, vectors = replace(asked.request, vectors=0, vector=None), replace(asked.request, words=0, terms=())
    content, path, names = asked.request.weights

    def by_words(one: Candidate) -> float:
        return content * one.content + path * one.path_score + names * one.names

    def leg(request: Request, score: Any) -> list[dict[str, Any]]:
        best: dict[str, Candidate] = {}
        for candidate in sorted(store.retrieve(request).candidates, key=score, reverse=True):
            best.setdefault(candidate.path, candidate)
        return [_row(one) for one in list(best.values())[:CUT]]

    def search(engine: Engine) -> list[dict[str, Any]]:
        return [_row(hit) for hit in engine.search(label.query, limit=CUT, plain=True, repo=(repo,)).hits]

    found = leg(vectors, lambda one: one.cosine or 0.0) if vectors.vector else []
    return dict(zip(METHODS, (leg(words, by_words), found, search(quarry.engine), search(Engine(store))), strict=True))


def _row(one: Any) -> dict[str, Any]:
    return {"path": one.path, "start_line": one.start_line, "end_line": one.end_line}


# ---------------------------------------------------------------------------------------------------------------- report


def judged(label: Label, hits: Sequence[dict[str, Any]]) -> dict[str, float]:
    """NDCG@10 and reciprocal rank of the file and of the function."""
    target = label.relevant[0]
    file = replace(label, relevant=({"path": target["path"]},))
    found: dict[str, float] = {}
    for what, of in (("file", file), ("function", label)):
        place = place_of(of.relevant[0], hits)
        found[f"{what} NDCG@10"] = measures(of, hits)["ndcg"]
        found[f"{what} MRR"] = 1 / place if place else 0.0
    return found


def report(labels: Sequence[Label], results: Sequence[dict[str, list[dict[str, Any]]]]) -> list[str]:
    """Means over packages by method with the gain of the hybrid over each, then by language."""
    scores = {
        method: [judged(label, found[method]) for label, found in zip(labels, results, strict=True)]
        for method in METHODS
    }
    names = list(scores[HYBRID][0])
    lines = [f"{len(labels)} functions of {len({label.repo for label in labels})} packages; means over packages", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method in METHODS:
        means = [by_repository(labels, [one[name] for one in scores[method]]) for name in names]
        lines.append(f"| {method} | " + " | ".join(f"{value:.4f}" for value in means) + " |")
    for method in METHODS:
        if method != HYBRID:
            cells = [
                _gain(labels, [one[name] for one in scores[HYBRID]], [one[name] for one in scores[method]])
                for name in names
            ]
            lines.append(f"| hybrid minus {method} | " + " | ".join(cells) + " |")
    for level in ("file", "function"):
        name = f"{level} NDCG@10"
        lines += ["", f"| {name} | functions | " + " | ".join(METHODS) + " |", "|---" * (len(METHODS) + 2) + "|"]
        for language in sorted({label.language for label in labels}):
            chosen = [at for at, label in enumerate(labels) if label.language == language]
            cells = [f"{mean(scores[method][at][name] for at in chosen):.3f}" for method in METHODS]
            lines.append(f"| {language} | {len(chosen)} | " + " | ".join(cells) + " |")
    return lines


def _gain(labels: Sequence[Label], ours: Sequence[float], theirs: Sequence[float]) -> str:
    low, high = interval(labels, ours, theirs)
    return f"{by_repository(labels, ours) - by_repository(labels, theirs):+.4f} [{low:+.3f}, {high:+.3f}]"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for packages, trees and indexes")
    parser.add_argument("--table", type=Path, default=TABLE, help="the packages (default: those to measure with)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="write questions to fit to, and measure nothing")
    parser.add_argument("--model", help="embedding model (default: the settings')")
    parser.add_argument("--apart", type=Path, action="append", default=[], help="repositories that must not be in it")
    parser.add_argument("--only", action="append", default=[], metavar="PACKAGE", help="a repository's short name")
    parser.add_argument("--out", type=Path, help="write the hits of every method as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
