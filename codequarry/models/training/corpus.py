"""A corpus: source files as arrays of terms by line, and the pairs of a sentence and its code among them.

It is made in parts, one a package or repository, which number their own terms; `join` puts them together over one vocabulary.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codequarry import text
from codequarry.models.training import sources

Ints = NDArray[np.int32]


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
    packages: list[str]  # or repositories: whatever a part was made of

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


class Part:
    """The files and pairs of one package or repository; ids are its own until parts are joined."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[str, int] = {}
        self.code, self.remarks, self.paths, self.said, self.names = (_Ragged() for _ in range(5))
        self.lines: list[int] = []
        self.languages: list[int] = []
        self.digests: list[int] = []
        self.pairs: list[tuple[int, ...]] = []

    def add(self, path: str, source: str, digest: int) -> None:
        """Takes in a file of a language that `sources.language` knows; `digest` names it."""
        language = sources.language(path)
        code, remarks, comments = sources.split(source, path)
        file = len(self.lines)
        for pair in sources.pairs(code, comments, language):
            self.pairs.append((file, pair.kind, pair.start, pair.end, *pair.hidden))
            self.said.add(self._numbers(pair.sentence))
            self.names.add(self._numbers(pair.name))
        for line in code:
            self.code.add(self._numbers(line))
        for line in remarks:
            self.remarks.add(self._numbers(line))
        self.paths.add(self._numbers(path))
        self.lines.append(len(code))
        self.languages.append(sources.LANGUAGES.index(language))
        self.digests.append(digest)

    def _numbers(self, words: str) -> list[int]:
        known = self.known
        return [known.setdefault(term, len(known)) for term in text.terms(words).split()]

    def counts(self) -> dict[str, int]:
        """How often each term comes in code and comments."""
        ids = np.concatenate([self.code.array(), self.remarks.array()])
        return dict(zip(self.known, np.bincount(ids, minlength=len(self.known)).tolist(), strict=True))


def join(parts: Sequence[Part], terms: list[str], counts: NDArray[np.int64]) -> Corpus:
    """The corpus of all parts, at least one, over a vocabulary; the parts' other terms are left out."""
    row = {term: index for index, term in enumerate(terms)}
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
    first = np.cumsum([0] + [len(part.lines) for part in parts])
    tables = [np.array(part.pairs, np.int32).reshape(-1, 6) for part in parts]
    for table, base in zip(tables, first, strict=False):
        table[:, 0] += base
    return Corpus(
        terms=terms,
        counts=counts,
        lines=np.concatenate([[0], np.cumsum(np.concatenate([part.lines for part in parts]))]),
        file_package=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.lines) for part in parts]),
        file_language=np.concatenate([np.array(part.languages, np.int32) for part in parts]),
        file_digest=np.concatenate([np.array(part.digests, np.int64) for part in parts]),
        pairs=np.concatenate(tables),
        packages=[part.name for part in parts],
        **whole,
    )
