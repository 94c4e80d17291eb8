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
    _known: set[bytes] = field(default_factory=set)
    _waiting: list[tuple[Chunk, list[bytes]]] = field(default_factory=list)  # chunks without a vector, with their words

    def prepare(self, items: Iterable[tuple[str, str, bytes]]) -> list[FileVersion | Skipped]:
        """Versions of `(path, blob, bytes)`, in order; a file that its content rules out becomes a `Skipped`."""
        made = [self._version(path, blob, data) for path, blob, data in items]
        waiting, self._waiting = self._waiting, []
        embed_words = getattr(self.embedder, "embed_words", None)
        if embed_words is not None and self.embedder is not None:
            _share_out(embed_words([words for _, words in waiting]), self.embedder.dim, [chunk for chunk, _ in waiting])
        elif self.embedder is not None:
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
        met: set[bytes] = set()
        for chunk in cut:
            words = _complete(chunk, encoded[chunk.start_byte : chunk.end_byte], path_terms)
            met.update(words)
            self._waiting.append((chunk, text.split(chunk.breadcrumb) + words))
        return FileVersion(
            path=path,
            blob=blob,
            language=language,
            marks=examined.marks,
            text=encoded,
            chunks=cut,
            path_terms=path_terms or text.FILLER,
            identifiers=self._identifiers(met),
        )

    def _identifiers(self, met: set[bytes]) -> list[str]:
        """Those words that are new, as they stand in `raw`."""
        new = met - self._known
        if len(self._known) > _KNOWN_LIMIT:
            self._known.clear()
        self._known |= new
        return sorted(set(text.raw_of(list(new)).split(" "))) if new else []


def _complete(chunk: Chunk, lines: bytes, path_terms: str) -> list[bytes]:
    """Adds to a chunk what is made from its text, the content's terms with the path's words; returns the words of the text."""
    words = text.split(lines)
    chunk.content_hash = text.content_hash(lines)
    chunk.terms = f"{text.terms_of(words)} {path_terms}".strip() or text.FILLER
    chunk.names = text.names_terms(symbol.name for symbol in chunk.symbols)
    chunk.raw = text.raw_of(words)
    return words


def embedded_text(version: FileVersion, chunk: Chunk) -> str:
    """What a chunk's vector is made from: where it stands, then what it says."""
    lines = version.text[chunk.start_byte : chunk.end_byte].decode()
    return f"{chunk.breadcrumb}\n{lines}"


def add_keys(versions: Sequence[FileVersion]) -> list[Chunk]:
    """The chunks of the versions, each with the key under which its vector is cached."""
    for version in versions:
        for chunk in version.chunks:
            chunk.vector_key = text.content_hash(embedded_text(version, chunk).encode("utf-8", "surrogateescape"))
    return [chunk for version in versions for chunk in version.chunks]


def add_vectors(embedder: Embedder, versions: Sequence[FileVersion]) -> None:
    """Embeds every chunk that has no vector yet, all of them in one call."""
    waiting = [(version, chunk) for version in versions for chunk in version.chunks if not chunk.vector]
    vectors = embedder.embed([embedded_text(version, chunk) for version, chunk in waiting])
    _share_out(vectors, embedder.dim, [chunk for _, chunk in waiting])


def _share_out(vectors: bytes, dim: int, waiting: Sequence[Chunk]) -> None:
    for row, chunk in enumerate(waiting):
        chunk.vector = vectors[row * dim : (row + 1) * dim]
