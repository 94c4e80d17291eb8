"""The facts and texts of chunks, and what of them is kept for later requests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from sqlite3 import Connection

from codequarry.store.embedded import rows
from codequarry.store.embedded.facts import Facts

_KEEP_BYTES = 8 << 20
_KEEP_FACTS = 4_000


class Frames(dict[tuple[int, int], bytes]):
    """Unpacked frames by file version and number, `_KEEP_BYTES` of them at most."""

    def __init__(self) -> None:
        self._bytes = 0

    def keep(self, key: tuple[int, int], text: bytes) -> None:
        """Adds a frame; where there is no more room, the others go."""
        if self._bytes > _KEEP_BYTES:
            self.clear()
            self._bytes = 0
        self[key] = text
        self._bytes += len(text)


class Kept:
    """What requests have read of file versions, by the ids of these: a version never changes, and no id is used again.

    So it holds through publications. Frames are kept of what was shown: patterns look through very many, each once.
    """

    __slots__ = ("facts", "shown")

    def __init__(self) -> None:
        self.facts: dict[int, Facts] = {}
        self.shown = Frames()

    def of(self, files: Iterable[int]) -> Kept:
        """The same, with the facts of these versions only: those of versions that are gone would gather."""
        kept = Kept()
        kept.facts = {file: facts for file in files if (facts := self.facts.get(file))}
        kept.shown = self.shown
        return kept


class Texts:
    """Reads from one connection, within one transaction. `to_show`: the frames that are unpacked may be asked for again."""

    def __init__(self, connection: Connection, kept: Kept, *, to_show: bool = False) -> None:
        self._connection = connection
        self._facts = kept.facts
        self._borders: dict[int, list[int]] = {}
        self._frames = kept.shown if to_show else Frames()

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
            self._frames.keep(key, text)
        return text
