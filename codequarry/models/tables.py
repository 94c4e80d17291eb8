"""A table of vectors as integers, in a folder of our own layout: the rows of a vocabulary, found without building a dictionary.

`rows.i8` `(n, dim)` int8; `weights.u8` `(n,)` uint8; a file of the n entries of the vocabulary, UTF-8, sorted by bytes, one a
line; `model.json` format, dimensions and `content`, a digest of the other three.
"""

from __future__ import annotations

import os
from itertools import accumulate

_BLOCK = 1 << 12  # bytes of lines


class Table:
    """Row i is `weights[i] * rows[i * dim : (i + 1) * dim]`, for the i-th line of `lines`; `content` is 12 hex digits.

    Raises:
        ValueError: the parts do not fit together.
    """

    def __init__(self, dim: int, content: str, rows: memoryview, weights: bytes, lines: bytes) -> None:
        self.dim, self.content = dim, content
        self.rows, self.weights, self.lines = rows, weights, lines
        # How many lines end before each block: counting them anew for each line is most of the time of a vector.
        counts = [lines.count(b"\n", at, at + _BLOCK) for at in range(0, len(lines), _BLOCK)]
        self._before = list(accumulate(counts, initial=0))
        if self._before[-1] + 1 != len(weights) or len(rows) != dim * len(weights):
            raise ValueError("its parts do not fit together")

    def find(self, entry: str) -> int:
        """The row of the entry, -1 where there is none: binary search over the lines, no dictionary to build first."""
        lines, wanted = self.lines, entry.encode("utf-8", "replace")
        low, high = 0, len(lines)
        while low < high:
            middle = (low + high) // 2
            start = lines.rfind(b"\n", low, middle) + 1 or low
            end = lines.find(b"\n", middle)
            line = lines[start : end if end >= 0 else len(lines)]
            if line == wanted:
                block = start // _BLOCK
                return self._before[block] + lines.count(b"\n", block * _BLOCK, start)
            if line < wanted:
                low = start + len(line) + 1
            else:
                high = start
        return -1


def write_table(
    folder: str, name: str, rows: bytes, weights: bytes, lines_file: str, lines: bytes, **about: object
) -> str:
    """Writes a folder of our layout, which must exist, and returns `content`; `about` goes into `model.json`, for people.

    Raises:
        OSError: it cannot be written.
    """
    import json

    from codequarry.models.vectors import digest

    content = digest(rows, weights, lines)
    sizes = {"dim": len(rows) // len(weights), "terms": len(weights)}
    said = {"format": 1, "name": name, **sizes, **about, "content": content}
    for name, data in (
        ("rows.i8", rows),
        ("weights.u8", weights),
        (lines_file, lines),
        ("model.json", (json.dumps(said, indent=2) + "\n").encode()),
    ):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
    return content


def read_table(folder: str, lines_file: str) -> Table:
    """The table in a folder of our layout, its rows mapped: only those that are asked for are read.

    Raises:
        OSError, ValueError, TypeError, LookupError, AttributeError: there is none, or none that this version reads.
    """
    import json
    import mmap

    with open(os.path.join(folder, "model.json"), encoding="utf-8") as stream:
        about = json.load(stream)
    if about.get("format") != 1:
        raise ValueError(f"its format is {about.get('format')!r}, this version reads 1")
    with open(os.path.join(folder, "rows.i8"), "rb") as stream:
        rows = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)).cast("b")
    with (
        open(os.path.join(folder, "weights.u8"), "rb") as weights,
        open(os.path.join(folder, lines_file), "rb") as lines,
    ):
        return Table(int(about["dim"]), str(about["content"]), rows, weights.read(), lines.read())
