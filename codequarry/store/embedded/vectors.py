"""The vectors: one file of signed bytes, row after row, whose row number is the number of the chunk.

The file only grows; the database says which rows mean something. It is read through a memory map and scored exactly: all dot
products by simsimd, as integers, then the best of them without making a Python number of each: the second byte of an integer
counts it in steps of 256, and steps are counted with `bytes.translate`.
"""

from __future__ import annotations

import mmap
import os
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

FILE = "vectors.i8"

Run = tuple[int, int]
"""First row and number of rows."""


def write(path: str, dim: int, pieces: Iterable[tuple[int, bytes]]) -> None:
    """Writes vectors, each piece from a row on. Bytes that a stopped writer left there are overwritten."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        for row, data in pieces:
            at, view = row * dim, memoryview(data)
            while view:
                written = os.pwrite(handle, view, at)
                at, view = at + written, view[written:]
    finally:
        os.close(handle)


class Vectors:
    """The rows as they are in the file now; rows that are written later are not seen."""

    def __init__(self, path: str, dim: int) -> None:
        self.dim = dim
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.rows = os.fstat(handle).st_size // dim
            self._map = mmap.mmap(handle, self.rows * dim, prot=mmap.PROT_READ) if self.rows else None
        finally:
            os.close(handle)

    def row(self, row: int) -> bytes:
        """One vector."""
        return self._map[row * self.dim : (row + 1) * self.dim] if self._map and row < self.rows else b""

    def dots(self, question: bytes, rows: Sequence[int]) -> list[float]:
        """The dot products of these rows with the question, 0.0 for a row that is not in the file."""
        if not rows or self._map is None:
            return [0.0] * len(rows)
        dim, data, zero = self.dim, self._map, bytes(self.dim)
        gathered = b"".join([data[row * dim : (row + 1) * dim] if row < self.rows else zero for row in rows])
        return list(map(float, self._products(question, memoryview(gathered), len(rows))))

    def best(self, question: bytes, count: int, runs: Sequence[Run] | None = None) -> list[tuple[float, int]]:
        """The rows whose dot product is among the `count` best, and all that are equal to the last of them.

        Of the whole file or of the runs of rows only; best first, equal ones by row.
        """
        if self._map is None or count <= 0:
            return []
        if runs is None:
            runs = [(0, self.rows)]
        runs = [(first, min(rows, self.rows - first)) for first, rows in runs if first < self.rows and rows > 0]
        whole = memoryview(self._map)
        parts = [
            self._products(question, whole[first * self.dim : (first + rows) * self.dim], rows) for first, rows in runs
        ]
        if not parts:
            return []
        scores = parts[0] if len(parts) == 1 else memoryview(b"".join(parts)).cast("i")
        places = _best_places(scores, count)
        if len(runs) == 1:
            first = runs[0][0]
            return [(score, first + place) for score, place in places]
        starts = [0, *accumulate(rows for _, rows in runs)]
        found = []
        for score, place in places:
            number = bisect_right(starts, place) - 1
            found.append((score, runs[number][0] + place - starts[number]))
        return found

    def best_of(self, question: bytes, count: int, rows: Sequence[int]) -> list[tuple[float, int]]:
        """As `best`, of these rows only."""
        return _cut(sorted(zip(self.dots(question, rows), rows, strict=True), key=_order), count)

    def _products(self, question: bytes, rows: memoryview, count: int) -> memoryview[int]:
        matrix = rows.cast("b", shape=(count, self.dim))
        asked = memoryview(question).cast("b", shape=(1, self.dim))
        return memoryview(_simsimd().cdist(matrix, asked, metric="dot", out_dtype="int32")).cast("B").cast("i")

    def close(self) -> None:
        """Lets go of the map as soon as nothing reads it."""
        self._map = None


def merged(runs: Iterable[Run]) -> list[Run]:
    """Runs in order, neighbours joined."""
    found: list[Run] = []
    for first, rows in sorted(runs):
        if found and found[-1][0] + found[-1][1] == first:
            found[-1] = (found[-1][0], found[-1][1] + rows)
        else:
            found.append((first, rows))
    return found


def _simsimd() -> Any:
    import simsimd

    return simsimd


def _best_places(scores: memoryview[int], count: int) -> list[tuple[float, int]]:
    """The `count` best scores with their places, and all that equal the last of them, best first."""
    total = len(scores)
    steps = _steps(scores) if total > max(4 * count, 2_000) else None
    if steps is None:
        return _cut(sorted(zip(map(float, scores), range(total), strict=True), key=_order), count)
    # The largest step that at least `count` scores reach. A sample has its best near the place that is looked for.
    step, down = max(steps[::count]), 2
    left = steps.translate(None, _BELOW[step])
    while len(left) < count:
        step, down = max(0, step - down), 2 * down
        left = steps.translate(None, _BELOW[step])
    while len(above := left.translate(None, _BELOW[step + 1])) >= count:
        step, left = step + 1, above
    marked, places = steps.translate(_REACHES[step]), []
    at = marked.find(1)
    while at >= 0:
        places.append(at)
        at = marked.find(1, at + 1)
    return _cut(sorted([(float(scores[place]), place) for place in places], key=_order), count)


_BELOW = [bytes(range(step)) for step in range(257)]
_REACHES = [b"\0" * step + b"\1" * (256 - step) for step in range(257)]
_SIGN = b"\x00" * 0x80 + b"\xff" * 0x80
_UNSIGNED = bytes(range(0x80, 0x100)) + bytes(range(0x80))
_SECOND, _THIRD = (1, 2) if sys.byteorder == "little" else (2, 1)


def _steps(scores: memoryview[int]) -> bytes | None:
    """For each score a byte that grows with it; None when a score does not fit into two bytes.

    Vectors have length 127, and rounding adds at most half a step to each dimension: products are below 21,000.
    """
    data = bytes(scores.cast("B"))
    second = data[_SECOND::4]
    if second.translate(_SIGN) != data[_THIRD::4]:
        return None
    return second.translate(_UNSIGNED)


def _order(pair: tuple[float, int]) -> tuple[float, int]:
    return -pair[0], pair[1]


def _cut(ordered: list[tuple[float, int]], count: int) -> list[tuple[float, int]]:
    end = min(count, len(ordered))
    while end < len(ordered) and ordered[end][0] == ordered[end - 1][0]:
        end += 1
    return ordered[:end]
