"""Bytes to a file version: decode, cut into chunks, make terms, hashes and vectors. Pure work, the same in every process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codequarry import text
from codequarry.ingest import chunks, files, languages
from codequarry.ports import Embedder
from codequarry.types import Chunk, FileVersion, Skipped

_KNOWN_LIMIT = 300_000


@dataclass(slots=True)
class Preparer:
    """Makes file versions. It remembers which identifiers it has met, so that each is handed on about once a run."""

    options: files.FileOptions
    embedder: Embedder | None = None  # None: whoever gets the files adds the vectors
    _known: set[str] = field(default_factory=set)

    def prepare(self, items: Iterable[tuple[str, str, bytes]]) -> list[FileVersion | Skipped]:
        """Versions of `(path, blob, bytes)`, in order; a file that its content rules out becomes a `Skipped`."""
        made = [self._version(path, blob, data) for path, blob, data in items]
        if self.embedder is not None:
            add_vectors(self.embedder, [version for version in made if isinstance(version, FileVersion)])
        return made

    def _version(self, path: str, blob: str, data: bytes) -> FileVersion | Skipped:
        examined = files.examine(path, data, self.options)
        if isinstance(examined, Skipped):
            return examined
        whole = examined.text
        language = languages.detect(path, whole[:4096])
        cut = chunks.cut(whole, language, path)
        encoded = whole.encode()
        path_terms = text.terms(path)
        for chunk in cut:
            _complete(chunk, encoded[chunk.start_byte : chunk.end_byte], path_terms)
        return FileVersion(
            path=path,
            blob=blob,
            language=language,
            marks=examined.marks,
            text=encoded,
            chunks=cut,
            path_terms=path_terms or text.FILLER,
            identifiers=self._identifiers(cut),
        )

    def _identifiers(self, cut: list[Chunk]) -> list[str]:
        met = set().union(*(chunk.raw.split() for chunk in cut)) - self._known
        if len(self._known) > _KNOWN_LIMIT:
            self._known.clear()
        self._known |= met
        return sorted(met)


def _complete(chunk: Chunk, lines: bytes, path_terms: str) -> None:
    """Adds to a chunk what is made from its text: hashes, and the terms of content (with the path's words) and names."""
    chunk.content_hash = text.content_hash(lines)
    chunk.vector_key = text.content_hash(chunk.breadcrumb.encode("utf-8", "surrogateescape") + b"\0" + lines)
    chunk.terms = f"{text.terms(lines)} {path_terms}".strip() or text.FILLER
    chunk.names = text.names_terms(symbol.name for symbol in chunk.symbols)
    chunk.raw = text.raw(lines)


def embedded_text(version: FileVersion, chunk: Chunk) -> str:
    """What a chunk's vector is made from: where it stands, then what it says."""
    lines = version.text[chunk.start_byte : chunk.end_byte].decode()
    return f"{chunk.breadcrumb}\n{lines}"


def add_vectors(embedder: Embedder, versions: Sequence[FileVersion]) -> None:
    """Embeds every chunk that has no vector yet, all of them in one call."""
    waiting = [(version, chunk) for version in versions for chunk in version.chunks if not chunk.vector]
    vectors = embedder.embed([embedded_text(version, chunk) for version, chunk in waiting])
    for row, (_, chunk) in enumerate(waiting):
        chunk.vector = vectors[row * embedder.dim : (row + 1) * embedder.dim]
