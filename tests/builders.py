"""Files for tests without git and without the chunker: a text is cut every few lines, its vectors come from the hash embedder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha1
from typing import Any

from codequarry import text
from codequarry.models import open_embedder
from codequarry.ports import Store
from codequarry.types import Chunk, FileVersion, Shown, Skipped, Source, SourceState, Symbol

EMBEDDER = open_embedder("hash:64")
RECIPE = "test-recipe"
LINES = 4

_DEFINITION = re.compile(r"^\s*(def|class|func|type|const) +(\w+)")
_KINDS = {"def": "function", "func": "function", "class": "class", "type": "type", "const": "constant"}
_LANGUAGES = {"py": "python", "go": "go", "md": "markdown", "toml": "toml"}


def blob_of(content: str | bytes) -> str:
    """Git's object id of the content."""
    data = content.encode() if isinstance(content, str) else content
    return sha1(b"blob %d\0" % len(data) + data).hexdigest()


def version(
    path: str,
    content: str,
    *,
    lines: int = LINES,
    kind: str | None = None,
    marks: tuple[str, ...] = (),
    language: str | None = None,
) -> FileVersion:
    """A file version, cut after every `lines` lines; stretches of blank lines are in no chunk."""
    data = content.encode()
    path_terms = text.terms(path)
    if kind is None:
        kind = "docs" if path.endswith(".md") else "config" if path.endswith(".toml") else "code"
    if language is None:
        language = _LANGUAGES.get(path.rpartition(".")[2], "")
    chunks: list[Chunk] = []
    rows = data.split(b"\n")
    if rows and rows[-1] == b"":
        rows.pop()
    at = 0
    for first in range(0, len(rows), lines):
        piece = rows[first : first + lines]
        start, end = at, at + sum(map(len, piece)) + len(piece) - 1
        at = end + 1
        if not b"".join(piece).strip():
            continue
        chunks.append(
            _chunk(path, path_terms, data[start:end].decode(), first + 1, first + len(piece), start, end, kind)
        )
    vectors = EMBEDDER.embed(
        [f"{chunk.breadcrumb}\n{data[chunk.start_byte : chunk.end_byte].decode()}" for chunk in chunks]
    )
    for number, chunk in enumerate(chunks):
        chunk.vector = vectors[number * EMBEDDER.dim : (number + 1) * EMBEDDER.dim]
    identifiers = list(dict.fromkeys(text.words(data)))
    return FileVersion(path, blob_of(data), language, marks, data, chunks, path_terms, identifiers)


def _chunk(path: str, path_terms: str, piece: str, first: int, last: int, start: int, end: int, kind: str) -> Chunk:
    symbols = tuple(
        Symbol(found[2], _KINDS[found[1]], first + number)
        for number, line in enumerate(piece.split("\n"))
        if (found := _DEFINITION.match(line))
    )
    breadcrumb = " › ".join([path, *(symbol.name for symbol in symbols[:1])])
    return Chunk(
        first,
        last,
        start,
        end,
        kind,
        breadcrumb,
        symbols,
        content_hash=text.content_hash(piece.encode()),
        vector_key=text.content_hash(f"{breadcrumb}\n{piece}".encode("utf-8", "surrogateescape")),
        terms=f"{text.terms(piece)} {path_terms}".strip(),
        names=text.names_terms(symbol.name for symbol in symbols),
        raw=text.raw(piece),
    )


def versions(files: Mapping[str, str], *, lines: int = LINES) -> list[FileVersion]:
    """A file version for each path and text."""
    return [version(path, content, lines=lines) for path, content in files.items()]


def state(source: Source, **fields: Any) -> SourceState:
    """A state as a writer gives it to `commit`."""
    given: dict[str, Any] = {"commit": "c" * 40, "head": source.branch, "recipe": RECIPE, **fields}
    return SourceState(source, **given)


def publish(
    store: Store,
    source: Source,
    files: Mapping[str, str],
    *,
    modified: Iterable[str] = (),
    skipped: Iterable[Skipped] = (),
    hints: bytes = b"",
    lines: int = LINES,
    **fields: Any,
) -> SourceState:
    """Makes the source show exactly these files, putting only those that the store does not have yet."""
    wanted = versions(files, lines=lines)
    changed = set(modified)
    with store.publish(source) as publication:
        before = set(publication.shown())
        there = publication.have([file.key for file in wanted])
        missing = [file for file in wanted if file.key not in there]
        if missing:
            publication.put(missing)
        return publication.commit(
            state(source, **fields),
            show=[Shown(file.path, file.blob, file.path in changed) for file in wanted],
            hide=before - set(files),
            skipped=skipped,
            hints=hints,
        )
