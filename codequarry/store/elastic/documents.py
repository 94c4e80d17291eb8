"""What stands in the indices: ids, and the way from records to documents and back.

    chunks   one document a chunk, immutable but for `src`, the sources that may show it: a hint, the entry is the truth
    files    per repository, path, blob and recipe a *version*: which chunks it has, whether all are durable, who holds it;
             per source and path an *entry*: which version the source shows, since which epoch, and the one before; a source
             that began with what another showed has entries only where it differs (`history.py`)
    ledger   per source a *row*: epoch, pointer, lease, state; and *parts*: hints, lists of skipped files and of garbage
    vectors  the cache of vectors over all repositories

A source shows an entry's `cur` if its epoch is at most the row's pointer and was not aborted, else its `prev`. So one
compare-and-set on the row switches all of a source, and what a dead or late writer leaves behind is never shown.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import compress, decompress

from codequarry.types import Candidate, Chunk, FileVersion, Place, Source, SourceState, Symbol

PART_BYTES = 3_000_000  # of compressed data in one document: a request stays well below the server's limit

# Bytes that are not UTF-8 are lone surrogates in our paths, which JSON parsers refuse or replace; they travel as characters
# of a private area, which no file name has.
_OUT = {0xDC80 + byte: 0x10FE80 + byte for byte in range(128)}
_BACK = {out: lone for lone, out in _OUT.items()}


def out(text: str) -> str:
    """A text that may hold lone surrogates as one that JSON can carry."""
    return text if text.isascii() else text.translate(_OUT)


def back(text: str) -> str:
    """The inverse of `out`."""
    return text if text.isascii() else text.translate(_BACK)


def _hash(*parts: str, size: int = 16) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=size).hexdigest()


@lru_cache(4_096)
def source_id(source: Source) -> str:
    """16 hex that name a source in `src` fields and ids."""
    return _hash(*source, size=8)


def entry_id(src: str, path: str) -> str:
    """The id of an entry: one for each source and path."""
    return "e" + _hash(src, path)


class Key(NamedTuple):
    """One version of a file as a store keeps it: equal bytes under another recipe make other chunks."""

    repo: str
    path: str
    blob: str
    recipe: str

    @property
    def id(self) -> str:
        """The id of the version's document."""
        return "v" + _hash(*self)

    def chunk_id(self, start: int, end: int) -> str:
        """The id of a chunk's document."""
        return _hash(*self, str(start), str(end))


class Mark(NamedTuple):
    """What an entry says from an epoch on: a version, or with an empty blob that there is no such file."""

    epoch: int
    blob: str
    recipe: str = ""
    modified: bool = False
    chunks: int = 0
    size: int = 0


def mark(value: Sequence[Any] | None) -> Mark | None:
    """A mark as read from an entry."""
    return None if value is None else Mark(*value)


def entry(
    src: str, repo: str, path: str, cur: Mark, prev: Mark | None, older: Sequence[tuple[Mark, int]] = ()
) -> dict[str, Any]:
    """The document of an entry; `older`: see `codequarry.store.elastic.history.History`."""
    document = {
        "type": "entry",
        "src": src,
        "repo": out(repo),
        "path": out(path),
        "epoch": cur.epoch,
        "cur": cur,
        "prev": prev,
    }
    return {**document, "older": older} if older else document


def version(key: Key, file: FileVersion, src: str, epoch: int) -> dict[str, Any]:
    """The document of a version whose chunks are about to be written."""
    lead = file.text[: file.chunks[0].start_byte] if file.chunks else file.text
    return {
        "type": "version",
        "repo": out(key.repo),
        "path": out(key.path),
        "blob": key.blob,
        "recipe": key.recipe,
        "language": file.language,
        "marks": list(file.marks),
        "size": len(file.text),
        "lead": lead.decode(),
        "lines": [[chunk.start_line, chunk.end_line] for chunk in file.chunks],
        "done": False,
        "srcs": [],
        "pins": {src: epoch},
        "by": [f"{src}:{epoch}"],
    }


def pinned(document: dict[str, Any], src: str, epoch: int) -> dict[str, Any]:
    """The document with a mark that this publication relies on the version: no cleaner removes it then."""
    pins = {**document["pins"], src: epoch}
    return {**document, "pins": pins, "by": [f"{held}:{by}" for held, by in pins.items()]}


def key_of(document: dict[str, Any], path: str | None = None) -> Key:
    """The version that a chunk or a version document belongs to."""
    return Key(back(document["repo"]), path or back(document["path"]), document["blob"], document["recipe"])


def chunk_ids(document: dict[str, Any]) -> list[str]:
    """The ids of a version's chunks, in order of lines."""
    key = key_of(document)
    return [key.chunk_id(start, end) for start, end in document["lines"]]


def chunk(key: Key, file: FileVersion, number: int, src: str) -> dict[str, Any]:
    """The document of one chunk. Blank lines that follow it stand in `gap`, so that a file can be put together again."""
    piece: Chunk = file.chunks[number]
    until = file.chunks[number + 1].start_byte if number + 1 < len(file.chunks) else len(file.text)
    path = out(key.path)
    return {
        "repo": out(key.repo),
        "src": [src],
        "path": path,
        "folders": folders(path),
        "blob": key.blob,
        "recipe": key.recipe,
        "language": file.language,
        "marks": list(file.marks),
        "kind": piece.kind,
        "kinds": sorted({piece.kind, *(symbol.kind for symbol in piece.symbols)}),
        "symbols": sorted({out(symbol.name) for symbol in piece.symbols}),
        "defines": [[out(symbol.name), symbol.kind, symbol.line] for symbol in piece.symbols],
        "start": piece.start_line,
        "end": piece.end_line,
        "breadcrumb": out(piece.breadcrumb),
        "content_hash": piece.content_hash,
        "text": file.text[piece.start_byte : piece.end_byte].decode(),
        "gap": file.text[piece.end_byte : until].decode(),
        "t_content": piece.terms,
        "t_path": file.path_terms,
        "t_names": piece.names,
        "raw": piece.raw,
        "vector": piece.vector.hex(),
    }


def folders(path: str) -> list[str]:
    """The folders that a path lies in, outermost first.

    >>> folders("a/b/c.py")
    ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def candidate(document: dict[str, Any], places: Iterable[Place]) -> Candidate:
    """A chunk's document as a candidate without scores; the handle is its text where the document has it."""
    repo, path, blob = back(document["repo"]), back(document["path"]), document["blob"]
    start, end = document["start"], document["end"]
    return Candidate(
        repo=repo,
        path=path,
        blob=blob,
        language=document["language"],
        marks=tuple(document["marks"]),
        kind=document["kind"],
        start_line=start,
        end_line=end,
        breadcrumb=back(document["breadcrumb"]),
        symbols=symbols(document),
        content_hash=document["content_hash"],
        places=tuple(places),
        handle=document.get("text"),
    )


def symbols(document: dict[str, Any]) -> tuple[Symbol, ...]:
    """The symbols that a chunk defines."""
    return tuple(Symbol(back(name), kind, line) for name, kind, line in document["defines"])


def state_out(state: SourceState) -> dict[str, Any]:
    """A source's state as it stands in its row."""
    fields = ("commit", "head", "origin", "web", "default", "files", "chunks", "size_bytes", "skipped", "indexed_at")
    values = {name: getattr(state, name) for name in (*fields, "recipe")}
    values = {name: out(value) if isinstance(value, str) else value for name, value in values.items()}
    return {**values, "access": list(state.access)}


def state_back(source: Source, document: dict[str, Any], *, building: bool) -> SourceState:
    """The inverse of `state_out`."""
    values: dict[str, Any] = {
        name: back(value) if isinstance(value, str) else value for name, value in document.items()
    }
    return SourceState(source, **{**values, "access": tuple(document.get("access", ())), "building": building})


def pack(data: bytes) -> list[str]:
    """Data as texts of documents, compressed; none for none."""
    packed = compress(data, 6) if data else b""
    return [b64encode(packed[at : at + PART_BYTES]).decode() for at in range(0, len(packed), PART_BYTES)]


def unpack(parts: Sequence[str]) -> bytes:
    """The inverse of `pack`."""
    return decompress(b"".join(b64decode(part) for part in parts)) if parts else b""
