"""The training corpus: the packages' files as arrays of terms by line, and the pairs among them.

Every package is checked first: its licence must be a permissive one, its repository none of those that are kept apart.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import registries
import sources
from numpy.typing import NDArray
from registries import Package

from codequarry import text

VOCABULARY = 40_000
PACKAGE_BYTES = 2_000_000  # at most so much source of one package, so that none makes the model
THIN_BYTES = 12_000_000  # of each language that few packages are written in
PACKAGE_PAIRS = 6_000
_THIN = {"csharp", "elixir", "kotlin", "lua", "php", "ruby", "scala", "shell", "swift", "zig"}

Ints = NDArray[np.int32]

EXCLUDED = Path(__file__).with_name("excluded.tsv")
"""Files that stand in a benchmark too (vendored libraries, siblings by one author), found by leaks.py: package, digest
of package and path, terms of the path."""

# Permissive licences only: no condition on works that are made with the code but attribution.
_PERMISSIVE = re.compile(
    r"\b(?:MIT|Expat|MIT-0|0BSD|BSD\d?|ISC|Apache|ASL|Apache-2(?:\.0)?|Zlib|BSL|BSL-1\.0|Boost|PostgreSQL|PSF"
    r"|Python Software Foundation|Unlicen[cs]e|CC0|Unicode|Ruby|Vim|curl|OpenSSL|public[- ]domain|OpenLDAP"
    r"|Artistic-2\.0|NCSA|X11|HPND|LuaJIT|TCL|WTFPL)\b",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:A|L)?GPL|\bGNU\b|\bMPL|Mozilla|\bEPL|Eclipse|CDDL|EUPL|\bCC-BY|SSPL|BUSL|Business|Elastic|proprietary", re.I
)


def permissive(licence: str) -> bool:
    """Whether a licence, or one of several that the user may choose from, is permissive.

    >>> [permissive(x) for x in ("MIT OR Apache-2.0", "GPL-2+ or Apache-2.0", "BSD-3-Clause and LGPL-2.1", "")]
    [True, True, False, False]
    """
    choices = re.split(r"\bor\b|\s*/\s*|;\s*|\|", licence, flags=re.IGNORECASE)
    return any(bool(_PERMISSIVE.search(choice)) and not _OTHER.search(choice) for choice in choices)


def kept_apart(paths: Iterable[Path]) -> set[str]:
    """Lower-case owner/name of every repository that the files name: a list with one a line, or labels as JSON."""
    import json

    names: set[str] = set()
    for path in paths:
        content = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            names |= {str(row["github"]).lower() for row in json.loads(content) if row.get("github")}
        else:
            names |= {
                line.strip().lower() for line in content.splitlines() if re.fullmatch(r"[\w.-]+/[\w.-]+", line.strip())
            }
    return names


def check(packages: list[Package], apart: set[str]) -> list[Package]:
    """The packages that may be used, with licence and repository filled in; says of each other one why not."""
    # Other registries' packages of the same projects: compared without owner too, since a fork or mirror has another.
    short = {name.partition("/")[2] for name in apart}
    kept = []
    for package in packages:
        if not package.archives:
            continue
        package.licence, package.repository = registries.describe(package)
        name = package.repository.lower()
        plain = (
            re.split(r"[/:]", package.name.lower())[-1]
            .removeprefix("php-")
            .removeprefix("ruby-")
            .removeprefix("haskell-")
        )
        if name in apart or (plain in short and not name):
            print(f"left out, kept apart: {package.key} {package.repository}", file=sys.stderr)
        elif not permissive(package.licence):
            print(f"left out, licence {package.licence!r}: {package.key}", file=sys.stderr)
        else:
            kept.append(package)
    return kept


@dataclass
class Corpus:
    """Files and pairs as arrays. Ids of terms are rows of the vocabulary, -1 for none of them.

    File f has lines `lines[f]` to `lines[f + 1]`; line i has code `code[code_at[i]:code_at[i + 1]]` and comments likewise;
    `paths` are the terms of each file's path. A row of `pairs` is (file, kind, first line, last, first hidden line, last)
    with lines counted within the file; sentences and names of pairs are lists of terms.
    """

    terms: list[str]
    counts: NDArray[np.int64]
    code: Ints
    code_at: NDArray[np.int64]
    remarks: Ints
    remarks_at: NDArray[np.int64]
    lines: NDArray[np.int64]
    file_package: Ints
    file_language: Ints
    file_digest: NDArray[np.int64]
    paths: Ints
    paths_at: NDArray[np.int64]
    pairs: Ints
    said: Ints
    said_at: NDArray[np.int64]
    names: Ints
    names_at: NDArray[np.int64]
    packages: list[str]

    def save(self, path: Path) -> None:
        """Writes all of it as one .npz file."""
        arrays: dict[str, Any] = {key: np.asarray(value) for key, value in vars(self).items()}
        np.savez(path, **arrays)

    @staticmethod
    def load(path: Path) -> Corpus:
        """What `save` wrote."""
        with np.load(path) as arrays:
            whole: dict[str, Any] = {key: arrays[key] for key in arrays.files}
        whole["terms"], whole["packages"] = whole["terms"].tolist(), whole["packages"].tolist()
        return Corpus(**whole)


class _Ragged:
    """Lists of terms, one after the other, with where each ends."""

    def __init__(self) -> None:
        self.ids = array("i")
        self.ends = array("i")

    def add(self, ids: Iterable[int]) -> None:
        self.ids.extend(ids)
        self.ends.append(len(self.ids))

    def array(self) -> Ints:
        return np.array(self.ids, np.int32)


class _Part:
    """What one package gives; ids are its own until parts are joined."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.known: dict[str, int] = {}
        self.code, self.remarks, self.paths, self.said, self.names = (_Ragged() for _ in range(5))
        self.lines: list[int] = []
        self.languages: list[int] = []
        self.digests: list[int] = []
        self.pairs: list[tuple[int, ...]] = []

    def numbers(self, terms: Iterable[str]) -> list[int]:
        known = self.known
        return [known.setdefault(term, len(known)) for term in terms]

    def add(self, path: str, language: str, source: str) -> None:
        code, remarks, comments = sources.split(source, path)
        file = len(self.lines)
        for pair in sources.pairs(code, comments, language):
            self.pairs.append((file, pair.kind, pair.start, pair.end, *pair.hidden))
            self.said.add(self.numbers(text.terms(pair.sentence).split()))
            self.names.add(self.numbers(text.terms(pair.name).split()))
        for line in code:
            self.code.add(self.numbers(text.terms(line).split()))
        for line in remarks:
            self.remarks.add(self.numbers(text.terms(line).split()))
        self.paths.add(self.numbers(text.terms(path).split()))
        self.lines.append(len(code))
        self.languages.append(sources.LANGUAGES.index(language))


def _read(package: Package) -> _Part:
    part = _Part(package)
    rules = registries.debian_licences(package)[0] if package.registry == "debian" else []
    found: list[tuple[int, str, bytes]] = []
    for path, data in registries.files(package, lambda name: bool(sources.language(name))):
        # In the order of a digest of the path: a sample that is the same wherever it is made.
        key = int.from_bytes(blake2b(f"{package.key}\0{path}".encode(), digest_size=8).digest(), "big", signed=True)
        if sources.usable(data) and _allowed(path, rules):
            found.append((key, path, data))
    total: dict[bool, int] = {True: 0, False: 0}
    for key, path, data in sorted(found):
        thin = sources.language(path) in _THIN
        total[thin] += len(data)
        if total[thin] > (THIN_BYTES if thin else PACKAGE_BYTES) or len(part.pairs) > PACKAGE_PAIRS:
            continue
        part.digests.append(key)
        part.add(
            path, sources.language(path), data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        )
    return part


def excluded() -> set[int]:
    """The digests of the files in EXCLUDED."""
    rows = EXCLUDED.read_text(encoding="utf-8").splitlines() if EXCLUDED.exists() else []
    return {int(row.split("\t")[1]) for row in rows}


def _allowed(path: str, rules: list[tuple[list[str], str]]) -> bool:
    licence = next((licence for globs, licence in reversed(rules) if any(fnmatch(path, glob) for glob in globs)), "MIT")
    return permissive(licence)


def build(packages: list[Package], workers: int = 2) -> Corpus:
    """Reads all packages, joins them, and keeps the VOCABULARY terms that are in most packages, then most frequent."""
    with ProcessPoolExecutor(workers) as pool:
        parts = [part for part in pool.map(_read, packages) if part.pairs]
    spread: dict[str, int] = {}
    counted: dict[str, int] = {}
    for part in parts:
        every = np.bincount(
            np.concatenate([part.code.array(), part.remarks.array()]), minlength=len(part.known)
        ).tolist()
        for term, count in zip(part.known, every, strict=True):
            spread[term] = spread.get(term, 0) + 1
            counted[term] = counted.get(term, 0) + count
    order = sorted(spread, key=lambda term: (-min(spread[term], 20), -counted[term], term))[:VOCABULARY]
    terms = sorted(order, key=str.encode)
    row = {term: index for index, term in enumerate(terms)}
    joined = _join(parts, row)
    return Corpus(
        terms=terms, counts=np.array([counted[t] for t in terms]), packages=[p.package.key for p in parts], **joined
    )


def _join(parts: list[_Part], row: dict[str, int]) -> dict[str, Any]:
    maps = [np.array([row.get(term, -1) for term in part.known], np.int32) for part in parts]

    def ragged(of: str) -> tuple[Ints, NDArray[np.int64]]:
        ids, ends, base = [], [np.zeros(1, np.int64)], 0
        for part, table in zip(parts, maps, strict=True):
            one: _Ragged = getattr(part, of)
            mapped = table[one.array()]
            kept = np.concatenate([[0], np.cumsum(mapped >= 0)])
            ends.append(base + kept[np.array(one.ends, np.int64)])
            ids.append(mapped[mapped >= 0])
            base += int(kept[-1])
        return np.concatenate(ids), np.concatenate(ends)

    whole: dict[str, Any] = {}
    for of in ("code", "remarks", "paths", "said", "names"):
        whole[of], whole[f"{of}_at"] = ragged(of)
    whole["file_digest"] = np.concatenate([np.array(part.digests, np.int64) for part in parts])
    first = np.cumsum([0] + [len(part.lines) for part in parts])
    whole["lines"] = np.concatenate([[0], np.cumsum(np.concatenate([part.lines for part in parts]))])
    whole["file_package"] = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.lines) for part in parts])
    whole["file_language"] = np.concatenate([np.array(part.languages, np.int32) for part in parts])
    tables = [np.array(part.pairs, np.int32).reshape(-1, 6) for part in parts]
    for table, base in zip(tables, first, strict=False):
        table[:, 0] += base
    whole["pairs"] = np.concatenate(tables)
    return whole


def summary(corpus: Corpus) -> Iterator[str]:
    """Lines for people: pairs by language and kind."""
    languages = corpus.file_language[corpus.pairs[:, 0]]
    for at, name in enumerate(sources.LANGUAGES):
        kinds = corpus.pairs[languages == at, 1]
        if len(kinds):
            by_kind = np.bincount(kinds, minlength=3)
            packages = len(set(corpus.file_package[corpus.pairs[languages == at, 0]].tolist()))
            yield f"{name:12s} {packages:4d} packages {by_kind[0]:7d} definitions {by_kind[1]:7d} remarks {by_kind[2]:6d} heads"
    sizes = f"{len(corpus.lines) - 1} files, {len(corpus.code)} terms of code, {len(corpus.terms)} in the vocabulary"
    yield f"{len(corpus.pairs)} pairs, {sizes}"
