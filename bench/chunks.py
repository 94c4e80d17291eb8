#!/usr/bin/env python3
"""Is the first chunk of the right file the one that answers? Fits the weights of `search/chunk_order.py`, and judges them.

    bench/chunks.py --cache FOLDER [--report FILE] [--write]

Each question is about one place of a file, and only the file's own chunks are compared, whichever place the file has in an answer:

- `described`: functions asked for in the words of their documentation, which is taken out (`bench/intent.py`). A chunk that reaches
  into the function is right.
- `words`, `member`: a defined name of three words or more, its words apart; any name after that of what it stands in. `name`: the
  name as it is written. They are drawn from the definitions of the same files; a chunk that defines the name is right.
- `frame`: a line of a stack trace with that name and a line of it.

Weights are fitted to the packages of `bench/descriptions.tsv`, many functions of each, and to their names in words, by a list-wise
soft-max over the chunks of the file that were found (`codequarry.search.fitting`). They are judged there on packages left out,
eight folds, and on the packages of `bench/intent.tsv`, to which nothing was fitted. Beside them stands what search did before, a
choice by fixed shares of words and meaning. Intervals are of resampled packages.

Below each table stands how often the lines that a terminal shows of a right chunk have the function's first: they begin with the
name that fits best; before, they were those with the most matches.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import intent
import numpy as np
import released
from numpy.typing import NDArray
from registries import Package
from released import Released
from scoring import Label, as_shipped, by_repository, interval, mean

from codequarry import CodeSearch, connect, text
from codequarry.ingest import RECIPE
from codequarry.ports import Store
from codequarry.search import chunk_order, feature_set, features, fitting, retrieve
from codequarry.search.chunk_order import ChunkOrder
from codequarry.search.matches import Matcher
from codequarry.search.pool import Found, collapsed
from codequarry.search.query import parse
from codequarry.search.scope import resolve, visible
from codequarry.service import hits
from codequarry.types import Candidate, Source

Array = NDArray[np.float64]

DESCRIBED, WORDS, MEMBER, NAME, FRAME = FORMS = ("described", "words", "member", "name", "frame")
FITTED = (DESCRIBED, WORDS, MEMBER)
RIDGE = 0.01
FOLDS = 8
PER_PACKAGE, PER_FILE = 90, 6
"""Of functions to fit to; those to judge with are drawn as `bench/intent.py` draws them."""

PER_FORM = 30
"""Names of a package for each form; of one to judge with .4 of it."""

PREFACE = """# Which chunk of the right file is first

`bench/chunks.py --cache FOLDER --report bench/reports/chunks.md --write`: of the questions whose file was found, the share whose
first chunk there is the one that is asked for, with 95 % intervals of the gain over resampled packages. `found at all` is the most
that any order could reach. Features were chosen on the packages that are fitted to; `names`, chosen there last, gained where
several names or a member are asked for, and nothing for descriptions. What describes a function is taken out of its file while its
neighbours keep their comments, so the figures are lower than those of code as people find it.
"""

_DIGITS = 5


@dataclass
class Case:
    """A question with the chunks that were found of its file. `is_right`: which of them answer it; the others as for a fit."""

    label: Label
    chunks: list[Found]  # as search orders them
    is_right: Callable[[Candidate], bool]
    order: ChunkOrder
    question: features.Question
    shown: float | None = (
        None  # whether the first chunk is right and what is shown of it has the beginning, None: not asked
    )
    rows: Array = field(init=False)
    rules: Array = field(init=False)
    targets: Array = field(init=False)

    def __post_init__(self) -> None:
        self.rows = np.array(self.order.rows(self.chunks))
        self.rules = np.zeros(len(self.chunks))
        self.targets = np.array([float(self.is_right(found.candidate)) for found in self.chunks])

    def first(self) -> float:
        """1 where the chunk that search puts first is right."""
        return float(self.targets[0])

    def first_by(self, weights: Array) -> float:
        """The same by other weights, where no rule stands above them."""
        scores, lines = self.rows @ weights, [found.candidate.start_line for found in self.chunks]
        return float(self.targets[min(range(len(lines)), key=lambda at: (-scores[at], lines[at]))])

    def first_by_fixed_shares(self) -> float:
        """The same by the shares that were there before the weights."""

        def fitness(found: Found) -> float:
            value = 0.8 * found.words + 0.2 * found.meaning + 0.2 * features.definition(self.question, found.candidate)
            return value + (features.defines(self.question, found.candidate) if self.question.symbol else 0.0)

        best = min(self.chunks, key=lambda found: (-fitness(found), found.candidate.start_line))
        return float(self.is_right(best.candidate))


# ------------------------------------------------------------------------------------------------------------- questions


def cases(table: Path, cache: Path, *, per_package: int, per_file: int, per_form: int) -> list[Case]:
    """The questions of all packages of a table whose file was found."""
    packages = released.fetch(released.read_table(table), cache)
    found: list[Case] = []
    with connect(cache / f"chunks-{table.stem}", settings=as_shipped()) as quarry:
        drawn: dict[Released, list[Label]] = {}
        for row, package in packages.items():
            functions = list(intent.draw(row, package, per_package=per_package, per_file=per_file))
            drawn[row] = [function.label for function in functions]
            quarry.index(_laid_out(row, package, functions, cache / f"chunks-{table.stem}-trees"), name=_name(row))
        states = {state.source.repo: state for state in visible(quarry.store.sources(), None)}
        for row, labels in drawn.items():
            source = states[_name(row)].source
            described = [replace(label, category=DESCRIBED) for label in labels]
            for label in [*described, *_of_names(row, quarry.store, source, per_form)]:
                found += _asked(label, quarry, source)
    return found


def _name(row: Released) -> str:
    return f"chunks/{row.label}"


def _laid_out(row: Released, package: Package, functions: Sequence[intent.Drawn], trees: Path) -> Path:
    tree = trees / row.label
    released.lay_out(row, package, tree, intent.Hidden(functions).without)
    return tree


def _of_names(row: Released, store: Store, source: Source, per_form: int) -> Iterator[Label]:
    """Questions made of the names that the files define, so many of each form, in the order of a digest of path and name."""
    names: dict[tuple[str, str], tuple[str, int]] = {}
    for path in store.paths(source):
        for chunk in store.chunks_of(source, path):
            for symbol in chunk.symbols:
                if symbol.kind not in features.NO_DEFINITIONS:
                    names.setdefault((path, features.last_name(symbol.name)), (chunk.breadcrumb, symbol.line))
    taken = dict.fromkeys((WORDS, MEMBER, NAME, FRAME), 0)
    for path, name in sorted(names, key=lambda key: blake2b("\0".join(key).encode()).digest()):
        breadcrumb, line = names[path, name]
        for form, question in _forms(path, name, breadcrumb, line):
            if taken[form] < per_form:
                taken[form] += 1
                target = {"path": path, "name": name, "line": line}
                yield Label("chunks", row.label, row.repository, row.language, form, question, (target,), ())


def _forms(path: str, name: str, breadcrumb: str, line: int) -> Iterator[tuple[str, str]]:
    words, containers = text.parts(name), breadcrumb.split(" › ")[1:-1]
    if len(words) >= 3:
        yield WORDS, " ".join(words)
    if len(words) >= 2 and containers:
        yield MEMBER, " ".join([*text.parts(containers[0].split("(")[0].split("<")[0]), *words])
    if len(name) > 3:
        yield NAME, name
        yield FRAME, f'  File "{path}", line {line}, in {name}'


def _asked(label: Label, quarry: CodeSearch, source: Source) -> Iterator[Case]:
    """The question asked, if its file is among what is found."""
    query = parse(label.query, plain=True)
    scope = resolve(query, visible(quarry.store.sources(), None), {"repo": [source.repo]}, None)
    asked = retrieve.ask(query, scope, quarry.engine.embedder)
    target, question = label.relevant[0], asked.question
    files = collapsed(question, quarry.store.retrieve(asked.request).candidates, asked.request.weights)
    chunks = next((file.chunks for file in files if file.best.candidate.path == target["path"]), None)
    if chunks:
        case = Case(label, chunks, _right(label), ChunkOrder(question), question)
        if label.category == DESCRIBED and case.first():
            case.shown = _shows(label, chunks[0].candidate, Matcher(question, ()), quarry.store)
        yield case


def _right(label: Label) -> Callable[[Candidate], bool]:
    target = label.relevant[0]
    if label.category == DESCRIBED:
        return lambda one: bool(one.start_line <= target["end_line"] and one.end_line >= target["start_line"])
    if label.category == FRAME:
        return lambda one: bool(one.start_line <= target["line"] <= one.end_line)
    return lambda one: any(features.last_name(symbol.name) == target["name"] for symbol in one.symbols)


def _shows(label: Label, first: Candidate, matcher: Matcher, store: Store) -> tuple[bool, bool]:
    """Whether a terminal shows the first line of the function in its chunk, and whether the lines with most matches have it."""
    body = next(iter(store.texts([first])))
    matched, symbol = matcher.read(first, body)
    count, begins = len(body.split("\n")), label.relevant[0]["start_line"]
    now, before = [
        begins in hits.window(first.start_line, count, list(matched), hits.LINES, named)
        for named in (matcher.begins(symbol), 0)
    ]
    return now, before


# ------------------------------------------------------------------------------------------------------------------- fit


def fit(learnt: Sequence[Case]) -> Array:
    """The weights of all features."""
    useful = [one for one in learnt if one.label.category in FITTED and len(one.chunks) > 1 and one.targets.any()]
    return fitting.fit(useful, RIDGE, range(len(chunk_order.FEATURES)), [1.0] * len(useful))


def held_out(found: Sequence[Case]) -> list[float]:
    """Whether the first chunk is right, by weights of other packages for the forms that are fitted to."""
    homes = sorted({one.label.home for one in found})
    fold = {home: place % FOLDS for place, home in enumerate(homes)}
    weights = [fit([one for one in found if fold[one.label.home] != number]) for number in range(FOLDS)]
    return [
        one.first_by(weights[fold[one.label.home]]) if one.label.category in FITTED else one.first() for one in found
    ]


# ---------------------------------------------------------------------------------------------------------------- report


def report(title: str, found: Sequence[Case], now: Sequence[float]) -> list[str]:
    """Shares of questions whose first chunk is right: now, by the fixed shares, and the most that can be, by form and language."""
    before = [one.first_by_fixed_shares() for one in found]
    most = [float(one.targets.any()) for one in found]
    lines = [
        f"## {title}",
        "",
        "| | questions | first chunk right | before | gain | found at all |",
        "|---|---|---|---|---|---|",
    ]

    def line(name: str, chosen: list[int]) -> None:
        labels = [found[at].label for at in chosen]
        ours, theirs = [now[at] for at in chosen], [before[at] for at in chosen]
        low, high = interval(labels, ours, theirs)
        gain = by_repository(labels, ours) - by_repository(labels, theirs)
        lines.append(
            f"| {name} | {len(chosen)} | {mean(ours):.3f} | {mean(theirs):.3f} | {gain:+.3f} [{low:+.3f}, {high:+.3f}] "
            f"| {mean(most[at] for at in chosen):.3f} |"
        )

    for form in FORMS:
        line(f"**{form}**", [at for at, one in enumerate(found) if one.label.category == form])
    for language in sorted({one.label.language for one in found}):
        chosen = [
            at for at, one in enumerate(found) if one.label.category == DESCRIBED and one.label.language == language
        ]
        line(f"{DESCRIBED}, {language}", chosen)
    shown = [one.shown for one in found if one.shown is not None]
    now_shown, then_shown = (sum(column) for column in zip(*shown, strict=True))
    lines += [
        "",
        f"Of {len(shown)} right first chunks of `{DESCRIBED}`, {now_shown} show the function's first line "
        f"(before: {then_shown}).",
        "",
    ]
    return lines


def main() -> None:
    options = _arguments()
    learnt = cases(
        Path(__file__).with_name("descriptions.tsv"),
        options.cache,
        per_package=PER_PACKAGE,
        per_file=PER_FILE,
        per_form=PER_FORM,
    )
    judged = cases(
        intent.TABLE,
        options.cache,
        per_package=intent.PER_PACKAGE,
        per_file=intent.PER_FILE,
        per_form=PER_FORM * 2 // 5,
    )
    fitted = [round(float(weight), _DIGITS) for weight in fit(learnt)]
    weights = dict(zip(chunk_order.FEATURES, fitted, strict=True))
    digest = feature_set.digest(weights)
    lines = [f"Weights of `{chunk_order.SET}`: digest `{digest}`, ridge {RIDGE}", ""]
    lines += ["| feature | weight | × spread | reason |", "|---|---|---|---|"]
    spread = np.concatenate([one.rows - one.rows.mean(0) for one in learnt]).std(0)  # within a file
    for (name, reason), weight, deviation in zip(chunk_order.FEATURES.items(), fitted, spread, strict=True):
        lines.append(f"| `{name}` | {weight:+.4f} | {weight * deviation:+.3f} | {reason} |")
    lines += ["", *report("Packages that are fitted to, each judged by weights of others", learnt, held_out(learnt))]
    by_all = [one.first_by(np.array(fitted)) if one.label.category in FITTED else one.first() for one in judged]
    lines += report("Packages that nothing was fitted to", judged, by_all)
    print("\n".join(lines))
    if options.report:
        table = "\n".join(lines).rstrip()
        options.report.write_text(f"{PREFACE}\n{table}\n", encoding="utf-8")
    if options.write:
        _write(weights, digest, sum(one.label.category in FITTED for one in learnt))


def _write(weights: Mapping[str, float], digest: str, questions: int) -> None:
    file = Path(feature_set.WEIGHTS_FILE)
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    kept[chunk_order.SET] = {
        "fitted": {
            "by": "bench/chunks.py: list-wise soft-max cross-entropy over a file's chunks, ridge on standardised weights, L-BFGS",
            "questions": {"descriptions": questions},
            "ridge": RIDGE,
            "index": RECIPE,
        },
        "digest": digest,
        "weights": dict(weights),
    }
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for packages, trees and indexes")
    parser.add_argument("--report", type=Path, help="write what is printed to this file, too")
    parser.add_argument("--write", action="store_true", help="put the weights into search/weights.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
