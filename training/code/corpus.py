"""The training corpus: the packages' files as arrays of terms by line, and the pairs among them.

Every package is checked first: its licence must be a permissive one, its repository none of those that are kept apart.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path

import numpy as np
import registries
from registries import Package

from codequarry.models.training import sources
from codequarry.models.training.corpus import Corpus, Part, join

VOCABULARY = 40_000
PACKAGE_BYTES = 2_000_000  # at most so much source of one package, so that none makes the model
THIN_BYTES = 12_000_000  # of each language that few packages are written in
PACKAGE_PAIRS = 6_000
_THIN = {"csharp", "elixir", "kotlin", "lua", "php", "ruby", "scala", "shell", "swift", "zig"}

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

_NOT_OURS = re.compile(
    r"General Public Licen|\bA?GPL|Mozilla Public|\bMPL[ -]|Creative Commons|Eclipse Public|Common Development and Dist"
    r"|proprietary and confidential|Business Source|Server Side Public|Elastic License|Commons Clause",
    re.IGNORECASE,
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


def usable(data: bytes) -> bool:
    """Whether a file's head allows its use and it is written by people."""
    return not _NOT_OURS.search(data[:4000].decode("utf-8", "replace")) and sources.is_written(data)


def _read(package: Package) -> Part:
    part = Part(package.key)
    rules = registries.debian_licences(package)[0] if package.registry == "debian" else []
    found: list[tuple[int, str, bytes]] = []
    for path, data in registries.files(package, lambda name: bool(sources.language(name))):
        # In the order of a digest of the path: a sample that is the same wherever it is made.
        key = int.from_bytes(blake2b(f"{package.key}\0{path}".encode(), digest_size=8).digest(), "big", signed=True)
        if usable(data) and _allowed(path, rules):
            found.append((key, path, data))
    total: dict[bool, int] = {True: 0, False: 0}
    for key, path, data in sorted(found):
        thin = sources.language(path) in _THIN
        total[thin] += len(data)
        if total[thin] > (THIN_BYTES if thin else PACKAGE_BYTES) or len(part.pairs) > PACKAGE_PAIRS:
            continue
        part.add(path, data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"), key)
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
        for term, count in part.counts().items():
            spread[term] = spread.get(term, 0) + 1
            counted[term] = counted.get(term, 0) + count
    order = sorted(spread, key=lambda term: (-min(spread[term], 20), -counted[term], term))[:VOCABULARY]
    terms = sorted(order, key=str.encode)
    return join(parts, terms, np.array([counted[term] for term in terms]))


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
