"""What is kept of a file version besides its words and vectors: the facts of its chunks, and its text in compressed frames.

The facts of one chunk can be read without those of the others: a search shows a chunk or two of a hundred files. The text is
cut at the starts of chunks into frames of about 64 KB, so that reading a chunk unpacks one frame, and packs well all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

from codequarry.store.embedded.zstd import compress, decompress
from codequarry.store.schema import terms_hash
from codequarry.text import content_hash
from codequarry.types import Chunk, FileVersion, Symbol

FRAME_BYTES = 64 << 10
_LEVEL = 6  # 6 % smaller than level 3, and still 70 MB/s
_HEAD = Struct("<II")  # number of chunks, number of frames
_FRAME = Struct("<I")  # first byte of a frame in the text; one more for the end of the last
_CHUNK = Struct("<IIII16s8sI")  # lines, bytes, hashes of text and terms, start of the details

_PACKED_FROM = 2_000
"""Facts of more bytes than this are compressed: two thirds of all facts, in a tenth of the files, become half as large."""

_PACKED = b"\x28\xb5\x2f\xfd"  # what compressed data begins with; no file has so many chunks

_SEPARATOR = "\x1f"  # between the details of a chunk; no name has it
_PATH = "\x1e"
# The usual kinds are one sign each: a code base has some hundred thousand symbols. An index depends on the order: only add.
_KINDS = (
    "code docs config text function method class struct interface enum trait type constant variable field property module "
    "namespace object constructor macro key heading protocol union record extension"
).split()
_SIGN_OF = {kind: chr(0x21 + place) for place, kind in enumerate(_KINDS)}
_KIND_OF = {sign: kind for kind, sign in _SIGN_OF.items()}
_OTHER = "~"  # before a kind that has no sign, and between it and the name


class ChunkFacts(NamedTuple):
    """One chunk of a file version."""

    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    text_hash: str
    terms_hash: str
    kind: str
    breadcrumb: str
    symbols: tuple[Symbol, ...]


def pack(file: FileVersion) -> tuple[bytes, list[bytes]]:
    """The facts of a file's chunks, and the compressed frames of its text."""
    borders = _borders(len(file.text), [chunk.start_byte for chunk in file.chunks])
    out = [_HEAD.pack(len(file.chunks), len(borders) - 1), *map(_FRAME.pack, borders)]
    details: list[bytes] = []
    at = 0
    for chunk in file.chunks:
        detail = _details(file.path, chunk)
        text_hash = chunk.content_hash or content_hash(file.text[chunk.start_byte : chunk.end_byte])
        hashes = bytes.fromhex(text_hash), bytes.fromhex(terms_hash(chunk, file.path_terms))
        out.append(
            _CHUNK.pack(chunk.start_line, chunk.end_line, chunk.start_byte, chunk.end_byte, hashes[0], hashes[1], at)
        )
        details.append(detail)
        at += len(detail)
    data = b"".join(out + details)
    if len(data) > _PACKED_FROM:
        data = compress(data)
    return data, [compress(file.text[start:end], _LEVEL) for start, end in pairwise(borders)]


def _borders(size: int, starts: Sequence[int]) -> list[int]:
    borders, last = [0], 0
    for start in sorted(starts):
        if start - borders[-1] > FRAME_BYTES and last > borders[-1]:
            borders.append(last)
        last = start
    if size - borders[-1] > FRAME_BYTES and last > borders[-1]:
        borders.append(last)
    return [*borders, size]


def _details(path: str, chunk: Chunk) -> bytes:
    # Most breadcrumbs begin with the path, which is kept once for the file: _PATH stands for it.
    breadcrumb = chunk.breadcrumb
    if path and breadcrumb.startswith(path):
        breadcrumb = _PATH + breadcrumb[len(path) :]
    values = [_sign(chunk.kind), breadcrumb]
    for symbol in chunk.symbols:
        values += (_sign(symbol.kind) + symbol.name, str(symbol.line - chunk.start_line))
    joined = _SEPARATOR.join(values)
    if joined.count(_SEPARATOR) >= len(values):  # a name that has the separator itself
        joined = _SEPARATOR.join([value.replace(_SEPARATOR, " ") for value in values])
    return joined.encode("utf-8", "surrogateescape")


def _sign(kind: str) -> str:
    return _SIGN_OF.get(kind) or f"{_OTHER}{kind}{_OTHER}"


def _kind_and_rest(text: str) -> tuple[str, str]:
    """What `_sign` was given, and what follows the sign."""
    if text[:1] == _OTHER:
        _, kind, rest = text.split(_OTHER, 2)
        return kind, rest
    return _KINDS[ord(text[0]) - 0x21], text[1:]


def _symbols(values: list[str], start_line: int) -> tuple[Symbol, ...]:
    found, kinds = [], _KIND_OF
    for at in range(0, len(values), 2):
        named = values[at]
        kind = kinds.get(named[0])
        if kind is None:
            kind, name = _kind_and_rest(named)
        else:
            name = named[1:]
        found.append(Symbol(name, kind, start_line + int(values[at + 1])))
    return tuple(found)


class Facts:
    """Reads what `pack` made for the file at `path`."""

    __slots__ = ("_data", "_details", "_first", "_frames", "_path", "_read", "chunks")

    def __init__(self, path: str, data: bytes) -> None:
        if data.startswith(_PACKED):
            data = decompress(data)
        self._path = path
        self._data = data
        self._read: dict[int, ChunkFacts] = {}
        self.chunks, self._frames = _HEAD.unpack_from(data)
        self._first = _HEAD.size + (self._frames + 1) * _FRAME.size
        self._details = self._first + self.chunks * _CHUNK.size

    def __getitem__(self, number: int) -> ChunkFacts:
        """The facts of a chunk by its number in the file."""
        found = self._read.get(number)
        if found is None:
            found = self._read[number] = self._unpacked(number)
        return found

    def _unpacked(self, number: int) -> ChunkFacts:
        start_line, end_line, start, end, text_hash, terms, at = _CHUNK.unpack_from(
            self._data, self._first + number * _CHUNK.size
        )
        until = len(self._data)
        if number + 1 < self.chunks:
            until = self._details + _FRAME.unpack_from(self._data, self._first + (number + 2) * _CHUNK.size - 4)[0]
        detail = self._data[self._details + at : until].decode("utf-8", "surrogateescape")
        kind, breadcrumb, *values = detail.split(_SEPARATOR)
        return ChunkFacts(
            start_line,
            end_line,
            start,
            end,
            text_hash.hex(),
            terms.hex(),
            _kind_and_rest(kind)[0],
            self._path + breadcrumb[1:] if breadcrumb[:1] == _PATH else breadcrumb,
            _symbols(values, start_line) if values else (),
        )

    def span(self, number: int) -> tuple[int, int]:
        """First byte and end of a chunk in the text."""
        row: tuple[int, ...] = _CHUNK.unpack_from(self._data, self._first + number * _CHUNK.size)
        return row[2], row[3]

    def start_line(self, number: int) -> int:
        """The first line of a chunk."""
        row: tuple[int, ...] = _CHUNK.unpack_from(self._data, self._first + number * _CHUNK.size)
        return row[0]

    def frames(self) -> list[int]:
        """Where each frame begins in the text, and where the last one ends."""
        return [value for (value,) in _FRAME.iter_unpack(self._data[_HEAD.size : self._first])]


def unpack(frame: bytes) -> bytes:
    """The text of one frame."""
    return decompress(frame)
