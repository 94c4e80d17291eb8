"""A static model: a table of word-piece vectors, as model2vec and sentence-transformers' StaticEmbedding make them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, ModelError
from codequarry.models.saved import OWN_FILES, read_saved, static_files
from codequarry.models.tables import read_table
from codequarry.models.vectors import BATCH, exact_float, numpy, unit, units, words
from codequarry.text import Memo
from codequarry.text import parts as parts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RECIPE = 1  # of the way from text to pieces to sums; raise it when equal weights begin to give other vectors
_LONGEST_PART = 100  # characters; longer parts are data, not words (BERT's WordPiece has the same limit)


class StaticEmbedder:
    """A table of word-piece vectors; a text's vector is the direction of the sum of its pieces' vectors.

    Texts are split into words and parts as the search splits them (`codequarry.text`), each part into word pieces
    (WordPiece: longest first). The table is integers (`saved.quantise`).

    Reading one question touches only the rows of its pieces and finds them by binary search, so that it costs a
    millisecond or two from a cold start; `embed` loads NumPy and the whole vocabulary once. Both may be called from threads.

    Raises:
        ModelError: the folder has no static model that can be read, or one whose tokenizer is not WordPiece.
    """

    cached = False

    def __init__(self, folder: str, *, name: str = "", truncate_dim: int | None = None) -> None:
        self.name = name = name or f"static:{folder}"
        files = static_files(folder)
        if files is None:
            raise ModelError(
                f"no static model in {folder}",
                hint="a folder saved by model2vec or StaticEmbedding has model.safetensors and tokenizer.json",
            )
        try:
            table = read_table(folder, OWN_FILES[3]) if files == OWN_FILES else read_saved(*files)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelError(
                f"the static model in {folder} cannot be read: {error}", hint="save or install it again"
            ) from error
        self._table = table
        if truncate_dim is not None and not 0 < truncate_dim <= table.dim:
            raise BadInput(
                f"truncate_dim is {truncate_dim}, the model {name!r} has {table.dim} dimensions", hint="give fewer"
            )
        self.dim = truncate_dim or table.dim
        self.fingerprint = f"{table.content}{_RECIPE:02x}{self.dim:04x}"
        self._find: Callable[[str], int] = table.find
        self._of_word: Memo[bytes, bytes] = Memo(self._word)
        self._of_part: Memo[str, bytes] = Memo(self._part)
        self._arrays: tuple[NDArray[np.int8], NDArray[np.float32]] | None = None

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return self.embed_words([words(text) for text in texts])

    def embed_words(self, documents: Sequence[Sequence[bytes]]) -> bytes:
        """The same of documents that are split already (`text.split`)."""
        if not documents:
            return b""
        np = numpy()
        if self._arrays is None:
            table = self._table
            rows = np.frombuffer(table.rows, np.int8).reshape(-1, table.dim)[:, : self.dim]
            vocabulary = dict(zip(table.lines.decode().split("\n"), range(len(rows)), strict=False))
            self._find = lambda piece: vocabulary.get(piece, -1)
            self._arrays = rows, np.frombuffer(table.weights, np.uint8).astype(np.float32)
        return b"".join(
            self._embed_batch(documents[at : at + BATCH], *self._arrays) for at in range(0, len(documents), BATCH)
        )

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8; equal to the vector of a document of the same text."""
        table, dim = self._table, self.dim
        rows, stride, weights = table.rows, table.dim, table.weights
        sums = [0] * dim
        for row in memoryview(self._pieces([words(text)])[0]).cast("i"):
            weight, start = weights[row], row * stride
            sums = [total + weight * value for total, value in zip(sums, rows[start : start + dim], strict=True)]
        return unit(sums)

    def _embed_batch(
        self, texts: Sequence[Sequence[bytes]], rows: NDArray[np.int8], weights: NDArray[np.float32]
    ) -> bytes:
        """One matrix product: how often each text has each piece that occurs in the batch, by the vectors of those pieces."""
        np = numpy()
        packed = self._pieces(texts)
        pieces = np.frombuffer(b"".join(packed), np.int32)
        if not len(pieces):
            return bytes(len(texts) * self.dim)
        present = np.zeros(len(rows), np.bool_)
        present[pieces] = True
        local = np.flatnonzero(present)
        position = np.empty(len(rows), np.int32)
        position[local] = np.arange(len(local), dtype=np.int32)
        first = np.repeat(np.arange(len(texts)) * len(local), [len(ids) // 4 for ids in packed])
        counts = np.bincount(first + position[pieces], minlength=len(texts) * len(local)).reshape(
            len(texts), len(local)
        )
        weighted = counts * weights[local]
        exact = exact_float(float(weighted.sum(axis=1).max()))  # float64 from about 30,000 words
        sums = weighted.astype(exact, copy=False) @ rows[local].astype(exact)
        return units(sums.astype(np.int64))

    def _pieces(self, texts: Sequence[Sequence[bytes]]) -> list[bytes]:
        """The rows of the pieces of each text, as native int32: a look-up for each word, and one join."""
        of_word = self._of_word.__getitem__
        return [b"".join(map(of_word, text)) for text in texts]

    def _word(self, word: bytes) -> bytes:
        parts = parts_of(word.decode("utf-8", "replace"))
        return b"".join(map(self._of_part.__getitem__, parts))

    def _part(self, part: str) -> bytes:
        return b"".join([row.to_bytes(4, sys.byteorder) for row in word_pieces(part, self._find)])


def word_pieces(part: str, find: Callable[[str], int]) -> list[int]:
    """Rows of the word pieces of a lower-cased part, longest first; empty when some of it is no piece, as in BERT.

    What BERT's normalizer does before that (accents off, each CJK ideograph a word) is done here for the few parts with it.
    """
    if len(part) > _LONGEST_PART:
        return []
    if not part.isascii():
        plain = _plain(part)
        if plain != [part]:
            return [row for word in plain for row in _word_pieces_of(word, find)]
    return _word_pieces_of(part, find)


def _word_pieces_of(word: str, find: Callable[[str], int]) -> list[int]:
    pieces: list[int] = []
    start, prefix = 0, ""
    while start < len(word):
        for end in range(len(word), start, -1):
            row = find(prefix + word[start:end])
            if row >= 0:
                break
        else:
            return []
        pieces.append(row)
        start, prefix = end, "##"
    return pieces


def _plain(part: str) -> list[str]:
    """The words of a part that has characters beyond ASCII: without accents, CJK ideographs apart, other marks dropped."""
    import unicodedata

    kept: list[str] = []
    for char in unicodedata.normalize("NFD", part):
        category = unicodedata.category(char)
        if category == "Mn" or category[0] == "C":
            continue
        if category[0] in "PSZ":  # dashes, quotes and spaces beyond ASCII end a word
            kept.append(" ")
        elif (
            "\u4e00" <= char <= "\u9fff"
            or "\u3400" <= char <= "\u4dbf"
            or "\uf900" <= char <= "\ufaff"
            or char >= "\U00020000"
        ):
            kept.append(f" {char} ")
        else:
            kept.append(char)
    return "".join(kept).split()
