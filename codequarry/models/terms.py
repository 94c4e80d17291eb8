"""The code embedding model: a table of vectors of the search's own terms.

A text's vector is the direction of the sum over its distinct terms of gain(n) * weight * row, where n is how often the term
comes and gain(n) = isqrt(256 n), sixteen times its square root. All of it is integers, so that no batch, BLAS library or thread
changes a byte, and NumPy and plain Python agree.

A model is a folder of the layout of `codequarry.models.tables`, its vocabulary the terms, in `terms.txt`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING

from codequarry import text as words_of
from codequarry.errors import BadInput, ModelError
from codequarry.models.tables import read_table
from codequarry.models.vectors import BATCH, exact_float, numpy, unit, units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FILES", "GAIN", "TermEmbedder"]

FILES = ("model.json", "rows.i8", "weights.u8", "terms.txt")
GAIN = 256  # isqrt(GAIN * n): finer than the rounding of the rows, and small enough for float32 sums
_RECIPE = 1  # of the way from text to terms to sums; raise it when equal weights begin to give other vectors


class TermEmbedder:
    """A model in `folder`. `embed_terms` takes what `codequarry.text.terms` returned, for whoever has made the terms already.

    Questions and documents of the same text have the same vector. All methods may be called from threads.

    Raises:
        ModelError: the folder has no such model that can be read.
        BadInput: `truncate_dim` is not one of 1 to the model's dimensions.
    """

    cached = False

    def __init__(self, folder: str, *, name: str = "code", truncate_dim: int | None = None) -> None:
        self.name = name
        try:
            table = read_table(folder, FILES[3])
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelError(
                f"the code model in {folder} cannot be read: {error}", hint="save or install it again"
            ) from error
        if truncate_dim is not None and not 0 < truncate_dim <= table.dim:
            raise BadInput(
                f"truncate_dim is {truncate_dim}, the model {name!r} has {table.dim} dimensions", hint="give fewer"
            )
        self._table = table
        self.find = table.find
        self.dim = truncate_dim or table.dim
        self.fingerprint = f"{table.content}c{_RECIPE:02x}{self.dim:04x}"
        self._of_term: dict[str, bytes] = {}
        self._of_word: words_of.Memo[bytes, bytes] = words_of.Memo(self._pack_word)
        self._arrays: tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int64]] | None = None

    # ------------------------------------------------------------------------------------------------------- documents

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8 in row-major order; empty for no texts."""
        return self.embed_words([words_of.split(text) for text in texts])

    def embed_words(self, words: Sequence[Sequence[bytes]]) -> bytes:
        """The same of documents that are split already (`text.split`)."""
        self._load()
        of_word = self._of_word.__getitem__
        return self._embed_packed([b"".join(map(of_word, some)) for some in words])

    def embed_terms(self, terms: Sequence[str]) -> bytes:
        """`embed` of the texts that these strings of space-separated terms were made of, byte for byte."""
        self._load()
        of_term = self._of_term.get
        return self._embed_packed([b"".join([of_term(term, b"") for term in one.split()]) for one in terms])

    def _load(self) -> None:
        if self._arrays is None:
            np = numpy()
            table = self._table
            rows = np.frombuffer(table.rows, np.int8).reshape(-1, table.dim)[:, : self.dim]
            gains = np.array([isqrt(GAIN * n) for n in range(1024)], np.float32)
            for row, term in enumerate(table.lines.decode().split("\n")):
                self._of_term[term] = row.to_bytes(4, sys.byteorder)
            self._arrays = rows, np.frombuffer(table.weights, np.uint8).astype(np.float32), gains

    def _pack_word(self, word: bytes) -> bytes:
        """The rows of a word's terms, each a number of four bytes."""
        of_term = self._of_term.get
        return b"".join([of_term(term, b"") for term in words_of.word_terms(word).split(" ")])

    def _embed_packed(self, packed: Sequence[bytes]) -> bytes:
        return b"".join([self._product(packed[at : at + BATCH]) for at in range(0, len(packed), BATCH)])

    def _product(self, packed: Sequence[bytes]) -> bytes:
        """Counts the terms of all texts in one sort, then adds up each text's rows: few enough at a time to stay in the cache."""
        np = numpy()
        assert self._arrays is not None
        rows, weights, gains = self._arrays
        ids = np.frombuffer(b"".join(packed), np.int32)
        if not len(ids):
            return bytes(len(packed) * self.dim)
        size = len(weights)
        keys = np.repeat(np.arange(len(packed)) * size, [len(one) // 4 for one in packed]) + ids
        keys.sort()
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        counts = np.diff(first, append=len(keys))
        distinct = keys[first]
        borders = np.searchsorted(distinct, np.arange(len(packed) + 1) * size).tolist()
        terms = distinct % size
        # np.sqrt is correctly rounded, so its floor is isqrt wherever a text has fewer than 2**44 terms.
        gained = gains[counts] if int(counts.max()) < len(gains) else np.floor(np.sqrt(counts * float(GAIN)))
        factors = gained * weights[terms]
        sums = np.zeros((len(packed), self.dim))
        for text, (low, high) in enumerate(pairwise(borders)):
            part = factors[low:high]
            exact = exact_float(float(part.sum(dtype=np.float64)))
            sums[text] = part.astype(exact, copy=False) @ rows.take(terms[low:high], axis=0).astype(exact)
        return units(sums.astype(np.int64))

    # ------------------------------------------------------------------------------------------------------- questions

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8: no NumPy, and only the rows of its terms are touched."""
        table, dim = self._table, self.dim
        rows, stride, weights = table.rows, table.dim, table.weights
        sums = [0] * dim
        for term, count in Counter(words_of.terms(text).split()).items():
            row = table.find(term)
            if row >= 0:
                factor, start = isqrt(GAIN * count) * weights[row], row * stride
                sums = [total + factor * value for total, value in zip(sums, rows[start : start + dim], strict=True)]
        return unit(sums)
