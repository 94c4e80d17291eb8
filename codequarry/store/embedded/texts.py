"""The texts of chunks, with the frames that were unpacked for one request kept for its other chunks."""

from __future__ import annotations

from bisect import bisect_right
from sqlite3 import Connection

from codequarry.store.embedded import rows
from codequarry.store.embedded.facts import Facts

_KEEP_BYTES = 32 << 20


class Texts:
    """Reads from one connection, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._facts: dict[int, Facts | None] = {}
        self._borders: dict[int, list[int]] = {}
        self._frames: dict[tuple[int, int], bytes] = {}
        self._kept = 0

    def facts(self, file: rows.FileRow) -> Facts | None:
        """The facts of a file version, None when it was removed."""
        if file.id not in self._facts:
            self._facts[file.id] = rows.facts_of(self._connection, file)
        return self._facts[file.id]

    def load_facts(self, files: list[rows.FileRow]) -> None:
        """Reads the facts of many file versions at once."""
        missing = {file.id: file for file in files if file.id not in self._facts}
        ids = list(missing)
        for start in range(0, len(ids), 1_000):
            wanted = rows.in_list(ids[start : start + 1_000])
            query = f"select file, data from facts where file in ({wanted})"  # noqa: S608  numbers only
            for number, data in self._connection.execute(query):
                self._facts[number] = Facts(missing[number].path, data)

    def chunk(self, file: rows.FileRow, number: int) -> bytes | None:
        """The text of a chunk, None when the version was removed."""
        facts = self.facts(file)
        if facts is None:
            return None
        start, end = facts.span(number)
        first, last = self.frames_of(file, start, end)
        borders = self._borders[file.id]
        if first == last:
            return self.frame(file.id, first)[start - borders[first] : end - borders[first]]
        text = b"".join([self.frame(file.id, at) for at in range(first, last + 1)])
        return text[start - borders[first] : end - borders[first]]

    def frames_of(self, file: rows.FileRow, start: int, end: int) -> tuple[int, int]:
        """The first and the last frame that bytes of a file's text lie in."""
        borders = self._borders.get(file.id)
        if borders is None:
            facts = self.facts(file)
            borders = self._borders[file.id] = facts.frames() if facts else [0, 0]
        first = max(0, bisect_right(borders, start, hi=len(borders) - 1) - 1)
        last = max(first, bisect_right(borders, end - 1, hi=len(borders) - 1) - 1)
        return first, last

    def frame(self, file: int, number: int) -> bytes:
        """One frame of a file's text."""
        key = file, number
        text = self._frames.get(key)
        if text is None:
            text = rows.frame(self._connection, file, number)
            if self._kept > _KEEP_BYTES:
                self._frames.clear()
                self._kept = 0
            self._frames[key] = text
            self._kept += len(text)
        return text
