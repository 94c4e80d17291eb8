"""The facts and texts of chunks: facts are kept for later requests, the frames that were unpacked for the one request."""

from __future__ import annotations

from bisect import bisect_right
from sqlite3 import Connection

from codequarry.store.embedded import rows
from codequarry.store.embedded.facts import Facts

_KEEP_BYTES = 32 << 20
_KEEP_FACTS = 4_000

FactsMemo = dict[int, Facts]
"""The facts of file versions by their ids. A version never changes and its id is not used again."""


class Texts:
    """Reads from one connection, within one transaction."""

    def __init__(self, connection: Connection, memo: FactsMemo) -> None:
        self._connection = connection
        self._facts = memo
        self._borders: dict[int, list[int]] = {}
        self._frames: dict[tuple[int, int], bytes] = {}
        self._kept = 0

    def facts(self, file: rows.FileRow) -> Facts | None:
        """The facts of a file version, None when it was removed."""
        facts = self._facts.get(file.id)
        if facts is None and (facts := rows.facts_of(self._connection, file)) is not None:
            self._make_room()
            self._facts[file.id] = facts
        return facts

    def _make_room(self) -> None:
        if len(self._facts) > _KEEP_FACTS:
            self._facts.clear()

    def load_facts(self, files: list[rows.FileRow]) -> None:
        """Reads the facts of many file versions at once."""
        missing = {file.id: file for file in files if file.id not in self._facts}
        ids = list(missing)
        self._make_room()
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
        border = self._borders[file.id][first]
        frames = [self.frame(file.id, at) for at in range(first, last + 1)]
        there = [frame for frame in frames if frame is not None]
        if len(there) < len(frames):
            return None
        return (there[0] if len(there) == 1 else b"".join(there))[start - border : end - border]

    def frames_of(self, file: rows.FileRow, start: int, end: int) -> tuple[int, int]:
        """The first and the last frame that bytes of a file's text lie in."""
        borders = self._borders.get(file.id)
        if borders is None:
            facts = self.facts(file)
            borders = self._borders[file.id] = facts.frames() if facts else [0, 0]
        first = max(0, bisect_right(borders, start, hi=len(borders) - 1) - 1)
        last = max(first, bisect_right(borders, end - 1, hi=len(borders) - 1) - 1)
        return first, last

    def frame(self, file: int, number: int) -> bytes | None:
        """One frame of a file's text, None when the version was removed."""
        key = file, number
        text = self._frames.get(key)
        if text is None:
            text = rows.frame(self._connection, file, number)
            if text is None:
                return None
            if self._kept > _KEEP_BYTES:
                self._frames.clear()
                self._kept = 0
            self._frames[key] = text
            self._kept += len(text)
        return text
