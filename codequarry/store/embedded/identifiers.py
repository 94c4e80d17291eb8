"""The identifiers: all case-kept words that any chunk has, one a line, for parts of words and regular expressions.

An index of words finds whole words only. Here the words that contain a part are found by looking through all of them, which
are some megabytes for a hundred megabytes of code. The file is appended to; words may stand in it more than once, or be of
removed files, until it is written anew.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import re2

from codequarry.store.prefilter import Edge, Piece
from codequarry.text import LONG, LONG_WORD

FILE = "identifiers"
_TOO_LONG = LONG_WORD
_TELLING_BYTES = 6  # a beginning of a word that is longer stands within few others


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


def append(path: str, words: Iterable[str]) -> None:
    """Adds words. Each line begins and ends with a line end, the first too."""
    data = "".join([f"{word}\n" for word in words if len(word) <= _TOO_LONG]).encode("utf-8", "replace")
    if not data:
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        # A line that a stopped writer left unfinished must not swallow the first word.
        view = memoryview(b"\n" + data)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)


def replace(path: str, words: Iterable[str]) -> None:
    """Writes the file anew; readers keep the old one until they open it again."""
    draft = f"{path}.new"
    with open(draft, "wb") as file:
        file.write(b"\n")
        for word in words:
            file.write(word.encode("utf-8", "replace") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)


class Identifiers:
    """The words as they are in the file now."""

    def __init__(self, path: str) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(handle).st_size
            self._map = mmap.mmap(handle, size, prot=mmap.PROT_READ) if size else None
        finally:
            os.close(handle)

    def matching(self, piece: Piece, limit: int) -> list[str] | None:
        """The words that will do for a piece, LONG among them where a longer word could; None when they are too many."""
        if piece.exact and piece.text is not None and len(piece.text.encode()) <= _TOO_LONG:
            return [piece.text]
        found = {LONG}
        part = _literal_part(piece)
        for word in self._literal(part) if part else self._regex(piece.regex):
            found.add(word.decode("utf-8", "replace"))
            if len(found) > limit:
                return None
        return sorted(found)

    def _literal(self, part: bytes) -> Iterable[bytes]:
        data = self._map
        if data is None:
            return
        # re2 looks for a literal several times as fast as `mmap.find`, but not for one that begins with a line end.
        starts_word = part[:1] == b"\n" and len(part) >= _TELLING_BYTES
        wanted = re2.compile(re2.escape(part[1:] if starts_word else part), _options())
        for match in wanted.finditer(data):
            inside = match.start() + (part[:1] == b"\n" and not starts_word)
            start, end = data.rfind(b"\n", 0, inside) + 1, data.find(b"\n", inside)
            if end < 0:
                return
            if not starts_word or start == inside:
                yield data[start:end]

    def _regex(self, regex: str) -> Iterable[bytes]:
        if self._map is None:
            return
        try:
            wanted = re2.compile(f"(?m)^(?:{regex})$".encode(), _options())
        except re2.error:  # too large with the counts that a class was given
            yield from iter(self._map[:].splitlines())
            return
        for match in wanted.finditer(self._map):
            yield match.group()

    def close(self) -> None:
        """Lets go of the map."""
        self._map = None


def _literal_part(piece: Piece) -> bytes:
    """The bytes that only words that will do contain, with the line ends where the word ends; b"" when a regex is needed."""
    if piece.text is None or piece.ignore_case or Edge.ASCII in (piece.left, piece.right):
        return b""
    left, right = b"" if piece.left else b"\n", b"" if piece.right else b"\n"
    return left + piece.text.encode() + right
