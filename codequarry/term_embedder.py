"""The code embedding model behind the port `codequarry.ports.Embedder`: a table of vectors of the search's own terms.

A text's vector is the direction of the sum over its distinct terms of gain(n) * weight * row, where n is how often the term
comes and gain(n) = isqrt(256 n), sixteen times its square root. All of it is integers, so that no batch, BLAS library or thread
changes a byte, and NumPy and plain Python agree.

Files of a model: `rows.i8` `(n, dim)` int8; `weights.u8` `(n,)` uint8; `terms.txt` the n terms, UTF-8, sorted by bytes, one a
line; `model.json` format, dimensions and `content`, a digest of the other three.
"""

# pathlib costs a cold start more than all that this module does for a question.

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from math import isqrt, sqrt
from typing import TYPE_CHECKING, Any

from codequarry import text as words_of
from codequarry.errors import BadInput, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FILES", "GAIN", "TermEmbedder"]

FILES = ("model.json", "rows.i8", "weights.u8", "terms.txt")
GAIN = 256  # isqrt(GAIN * n): finer than the rounding of the rows, and small enough for float32 sums
_RECIPE = 1  # of the way from text to terms to sums; raise it when equal weights begin to give other vectors
_BATCH = 64  # texts to one matrix product
_MEMO = 200_000
_BLOCK = 1 << 12  # bytes of terms
_EXACT32 = 1 << 24  # integers up to here are exact in float32
_SQUARES64 = 1 << 27  # 256 to 1,024 squares of integers up to here add up within int64


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
            self._read(folder)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelError(
                f"the code model in {folder} cannot be read: {error}", hint="save or install it again"
            ) from error
        if truncate_dim is not None and not 0 < truncate_dim <= self._stride:
            raise BadInput(
                f"truncate_dim is {truncate_dim}, the model {name!r} has {self._stride} dimensions", hint="give fewer"
            )
        self.dim = truncate_dim or self._stride
        self.fingerprint = f"{self._content}c{_RECIPE:02x}{self.dim:04x}"
        self._of_term: dict[str, bytes] = {}
        self._of_word: _Memo = _Memo(self._pack_word)
        self._of_part: _Memo = _Memo(self._pack_part)
        self._stem: Callable[[str], str] = str
        self._arrays: tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int64]] | None = None

    def _read(self, folder: str) -> None:
        import json
        import mmap

        with open(os.path.join(folder, "model.json"), encoding="utf-8") as stream:
            about = json.load(stream)
        if about.get("format") != 1:
            raise ValueError(f"its format is {about.get('format')!r}, this version reads 1")
        with open(os.path.join(folder, "rows.i8"), "rb") as stream:
            self._rows = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)).cast("b")
        with (
            open(os.path.join(folder, "weights.u8"), "rb") as weights,
            open(os.path.join(folder, "terms.txt"), "rb") as terms,
        ):
            self._weights, self._terms = weights.read(), terms.read()
        self._stride, self._content = int(about["dim"]), str(about["content"])
        size = len(self._weights)
        # How many lines end before each block: counting them anew for each term is most of the time of a vector.
        counts = [self._terms.count(b"\n", at, at + _BLOCK) for at in range(0, len(self._terms), _BLOCK)]
        self._before = list(accumulate(counts, initial=0))
        if self._before[-1] + 1 != size or len(self._rows) != self._stride * size:
            raise ValueError("its parts do not fit together")

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
            np = _numpy()
            self._stem = words_of._terms().stem
            rows = np.frombuffer(self._rows, np.int8).reshape(-1, self._stride)[:, : self.dim]
            gains = np.array([isqrt(GAIN * n) for n in range(1024)], np.float32)
            for row, term in enumerate(self._terms.decode().split("\n")):
                self._of_term[term] = row.to_bytes(4, sys.byteorder)
            self._arrays = rows, np.frombuffer(self._weights, np.uint8).astype(np.float32), gains
        for memo in (self._of_word, self._of_part):
            if len(memo) > _MEMO:
                memo.clear()

    def _pack_word(self, word: bytes) -> bytes:
        """The rows of a word's terms, as `codequarry.text.terms` makes them: its parts, and itself whole if it has several."""
        kept = word[: words_of.LONG_WORD].decode("utf-8", "ignore")
        if word.isalpha() and word.islower():  # ASCII only, as bytes see it: one part
            return self._of_part[kept]
        parts = words_of.parts(kept)
        packed = b"".join(map(self._of_part.__getitem__, parts))
        if len(parts) > 1 and kept.isascii():
            packed += self._of_term.get(self._stem("".join(parts)), b"")
        return packed

    def _pack_part(self, part: str) -> bytes:
        return self._of_term.get(self._stem(part), b"")

    def _embed_packed(self, packed: Sequence[bytes]) -> bytes:
        return b"".join([self._product(packed[at : at + _BATCH]) for at in range(0, len(packed), _BATCH)])

    def _product(self, packed: Sequence[bytes]) -> bytes:
        """Counts the terms of all texts in one sort, then adds up each text's rows: few enough at a time to stay in the cache."""
        np = _numpy()
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
            # Every partial sum is an integer no larger than this bound: below 2**24 float32 loses nothing, and float64 never does.
            exact = np.float32 if float(part.sum(dtype=np.float64)) * 127 < _EXACT32 else np.float64
            sums[text] = part.astype(exact, copy=False) @ rows.take(terms[low:high], axis=0).astype(exact)
        return _units(sums.astype(np.int64))

    # ------------------------------------------------------------------------------------------------------- questions

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8: no NumPy, and only the rows of its terms are touched."""
        rows, stride, dim, weights = self._rows, self._stride, self.dim, self._weights
        sums = [0] * dim
        for term, count in Counter(words_of.terms(text).split()).items():
            row = self.find(term)
            if row >= 0:
                factor, start = isqrt(GAIN * count) * weights[row], row * stride
                sums = [total + factor * value for total, value in zip(sums, rows[start : start + dim], strict=True)]
        return _unit(sums)

    def find(self, term: str) -> int:
        """The row of the term, -1 where there is none: binary search over the lines, no dictionary to build first."""
        terms, wanted = self._terms, term.encode("utf-8", "replace")
        low, high = 0, len(terms)
        while low < high:
            middle = (low + high) // 2
            start = terms.rfind(b"\n", low, middle) + 1 or low
            end = terms.find(b"\n", middle)
            line = terms[start : end if end >= 0 else len(terms)]
            if line == wanted:
                block = start // _BLOCK
                return self._before[block] + terms.count(b"\n", block * _BLOCK, start)
            if line < wanted:
                low = start + len(line) + 1
            else:
                high = start
        return -1


class _Memo(dict[Any, bytes]):
    """A dictionary that makes what it lacks."""

    def __init__(self, make: Callable[[Any], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> bytes:
        made = self[key] = self._make(key)
        return made


def _unit(sums: Iterable[int]) -> bytes:
    """The unit vector of integers, times 127, rounded half to even, as signed bytes; zeros stay zeros."""
    values = list(sums)
    length = sqrt(sum(value * value for value in values))
    if not length:
        return bytes(len(values))
    return bytes(round(value * 127 / length) & 0xFF for value in values)


def _units(sums: NDArray[np.int64]) -> bytes:
    """`_unit` of each row, byte for byte: the squares add up as integers, and IEEE 754 leaves no choice in the rest."""
    np = _numpy()
    if len(sums) and int(np.abs(sums).max()) >= _SQUARES64:
        return b"".join([_unit(row) for row in sums.tolist()])
    lengths = np.sqrt((sums * sums).sum(axis=1).astype(np.float64))
    lengths[lengths == 0.0] = 1.0
    return bytes(np.rint(sums * 127 / lengths[:, None]).astype(np.int8).tobytes())


def _numpy() -> Any:
    # OpenBLAS starts a thread for each core when it is loaded; for products of this size they only cost.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy

    return numpy
