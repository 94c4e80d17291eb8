"""Embedders: text to vectors, behind the one port `codequarry.ports.Embedder`.

    code                the model that ships with the package: NumPy for documents, plain Python for one question
    code:FOLDER         another of its layout (`codequarry.term_embedder`)
    static:FOLDER       a folder that model2vec or sentence-transformers' StaticEmbedding saved, or one in our own layout
    transformers:NAME   any model that sentence-transformers loads, by hub name or folder; needs codequarry[transformers]
    hash, hash:DIM      feature hashing, for tests

A name without a prefix is a folder of a static model if it is one, and a sentence-transformers name otherwise.

Vectors are signed bytes: the unit vector times 127, rounded half to even. For `code`, `static` and `hash` they are exact:
all sums are sums of integers small enough to be exact in the floating-point type they are made in, so neither the batch, nor
the BLAS library, nor its threads, nor the way (NumPy or plain Python) can change a byte. That is what lets an index updated in
steps equal one built at once. A transformer's vectors may differ by one step of 127 with the batch they were made in; they
are cached by content, so within an index a content has one vector.

The module is long because each kind of model is one class with what it reads, and the three share only the last section.

Only light modules are imported here: a search from the command line pays for what stands at the top of this file.
"""

# pathlib costs a cold start more than all that this module does for a question.
# ruff: noqa: PTH100, PTH112, PTH113, PTH119, PTH120

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from codequarry import text as words_of
from codequarry.errors import BadInput, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from codequarry.ports import Embedder

Key = TypeVar("Key")
Value = TypeVar("Value")

__all__ = ["HashEmbedder", "StaticEmbedder", "TransformerEmbedder", "open_embedder", "quantise"]

_SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "code")
_RECIPE = 1  # of the way from text to pieces to sums; raise it when equal weights begin to give other vectors
_MEMO = 200_000  # identifiers remembered at once, about 30 MB: more than most repositories have
_BATCH = 64  # texts to one matrix product: 32 to 64 are fastest, with more the matrix gets sparser
_MAX_WEIGHT = 15  # largest row weight of a quantised table; see `quantise`
_EXACT32 = 1 << 24  # integers up to here are exact in float32
_SQUARES64 = 1 << 27  # 256 to 1,024 squares of integers up to here add up within int64
_LONGEST_PART = 100  # characters; longer parts are data, not words (BERT's WordPiece has the same limit)


def open_embedder(
    name: str,
    *,
    truncate_dim: int | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    device: str = "auto",
    backend: str = "torch",
    batch_size: int = 64,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Embedder:
    """The embedder of that name. Options that a kind of model has no use for are ignored.

    `truncate_dim` keeps the first dimensions of a table or a transformer: sound where the model was made for it, or where its
    dimensions stand in the order of their variance, as in what model2vec distils; what the shipped model loses by it is
    measured in training/code/README.md. The other options are `TransformerEmbedder`'s.

    Raises:
        BadInput: the name or an option cannot be used.
        ModelError: the model is not installed or cannot be loaded.

    >>> open_embedder("hash:64").dim
    64
    """
    kind, _, rest = name.partition(":")
    if kind == "code" and (rest or name == "code"):
        from codequarry.term_embedder import TermEmbedder

        return TermEmbedder(rest or _SHIPPED, name=name, truncate_dim=truncate_dim)
    if name == "hash":
        return HashEmbedder()
    if kind == "hash" and rest.isdecimal() and rest.isascii():
        return HashEmbedder(int(rest))
    if kind == "hash":
        raise BadInput(f"not a number of dimensions: {name!r}", hint='write "hash" or, for 64 dimensions, "hash:64"')
    model = rest if kind in ("code", "static", "transformers") else name
    if not model.strip():
        raise BadInput(
            f"not an embedding model: {name!r}",
            hint='write "code", "static:FOLDER" or a name that sentence-transformers knows',
        )
    if kind == "static" or (kind != "transformers" and _static_files(model)):
        return StaticEmbedder(model, name=name, truncate_dim=truncate_dim)
    return TransformerEmbedder(
        model,
        name=name,
        truncate_dim=truncate_dim,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        device=device,
        backend=backend,
        batch_size=batch_size,
        revision=revision,
        trust_remote_code=trust_remote_code,
    )


# ---------------------------------------------------------------------------------------------------------------- static


def is_light(name: str) -> bool:
    """Whether the model of that name works without torch: those of terms, static ones in a folder, hashing."""
    kind = name.partition(":")[0]
    return kind in ("code", "static", "hash") or (kind != "transformers" and _static_files(name) is not None)


class StaticEmbedder:
    """A table of word-piece vectors; a text's vector is the direction of the sum of its pieces' vectors.

    Texts are split into words and parts as the search splits them (`codequarry.text`), each part into word pieces
    (WordPiece: longest first). The table is integers (`quantise`).

    Reading one question touches only the rows of its pieces and finds them by binary search, so that it costs a
    millisecond or two from a cold start; `embed` loads NumPy and the whole vocabulary once. Both may be called from threads.

    Raises:
        ModelError: the folder has no static model that can be read, or one whose tokenizer is not WordPiece.
    """

    cached = False

    def __init__(self, folder: str, *, name: str = "", truncate_dim: int | None = None) -> None:
        self.name = name = name or f"static:{folder}"
        files = _static_files(folder)
        if files is None:
            raise ModelError(
                f"no static model in {folder}",
                hint="a folder saved by model2vec or StaticEmbedding has model.safetensors and tokenizer.json",
            )
        try:
            table = _read_own(folder) if files == _OWN_FILES else _read_saved(*files)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelError(
                f"the static model in {folder} cannot be read: {error}", hint="save or install it again"
            ) from error
        self._table = table
        self._stride = table.dim
        if truncate_dim is not None and not 0 < truncate_dim <= table.dim:
            raise BadInput(
                f"truncate_dim is {truncate_dim}, the model {name!r} has {table.dim} dimensions", hint="give fewer"
            )
        self.dim = truncate_dim or table.dim
        self.fingerprint = f"{table.content}{_RECIPE:02x}{self.dim:04x}"
        self._find = table.find
        self._of_word: _Memo[bytes, bytes] = _Memo(self._word)
        self._of_part: _Memo[str, bytes] = _Memo(self._part)
        self._arrays: tuple[NDArray[np.int8], NDArray[np.float32]] | None = None

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return self.embed_words([_words(text) for text in texts])

    def embed_words(self, words: Sequence[Sequence[bytes]]) -> bytes:
        """The same of documents that are split already (`text.split`)."""
        if not words:
            return b""
        np = _numpy()
        if self._arrays is None:
            table = self._table
            rows = np.frombuffer(table.rows, np.int8).reshape(-1, self._stride)[:, : self.dim]
            vocabulary = dict(zip(table.tokens.decode().split("\n"), range(len(rows)), strict=False))
            self._find = lambda piece: vocabulary.get(piece, -1)
            self._arrays = rows, np.frombuffer(table.weights, np.uint8).astype(np.float32)
        return b"".join(
            self._embed_batch(words[at : at + _BATCH], *self._arrays) for at in range(0, len(words), _BATCH)
        )

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8; equal to the vector of a document of the same text."""
        rows, stride, dim, weights = self._table.rows, self._stride, self.dim, self._table.weights
        sums = [0] * dim
        for row in memoryview(self._pieces([_words(text)])[0]).cast("i"):
            weight, start = weights[row], row * stride
            sums = [total + weight * value for total, value in zip(sums, rows[start : start + dim], strict=True)]
        return _unit(sums)

    def _embed_batch(
        self, texts: Sequence[Sequence[bytes]], rows: NDArray[np.int8], weights: NDArray[np.float32]
    ) -> bytes:
        """One matrix product: how often each text has each piece that occurs in the batch, by the vectors of those pieces."""
        np = _numpy()
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
        # Every partial sum of a row of the product is an integer no larger than this bound, so float32 loses nothing below
        # 2**24; very long texts (more than about 30,000 words) take float64, which is exact to 2**53.
        exact = np.float32 if float(weighted.sum(axis=1).max()) * 127 < _EXACT32 else np.float64
        sums = weighted.astype(exact, copy=False) @ rows[local].astype(exact)
        return _units(sums.astype(np.int64))

    def _pieces(self, texts: Sequence[Sequence[bytes]]) -> list[bytes]:
        """The rows of the pieces of each text, as native int32: a look-up for each word, and one join."""
        of_word = self._of_word.ready().__getitem__
        return [b"".join(map(of_word, words)) for words in texts]

    def _word(self, word: bytes) -> bytes:
        parts = words_of.parts(word.decode("utf-8", "replace"))
        return b"".join(map(self._of_part.ready().__getitem__, parts))

    def _part(self, part: str) -> bytes:
        return b"".join([row.to_bytes(4, sys.byteorder) for row in _word_pieces(part, self._find)])


class _Table:
    """A static model as integers: row i is `weights[i] * rows[i * dim : (i + 1) * dim]`, for the i-th line of `tokens`.

    `tokens` is UTF-8, sorted, newline-separated, a leading "##" on pieces that continue a word; `content` 12 hex digits.
    """

    def __init__(self, dim: int, content: str, rows: memoryview, weights: bytes, tokens: bytes) -> None:
        if tokens.count(b"\n") + 1 != len(weights) or len(rows) != dim * len(weights):
            raise ValueError("its parts do not fit together")
        self.dim, self.content = dim, content
        self.rows, self.weights, self.tokens = rows, weights, tokens

    def find(self, piece: str) -> int:
        """The row of the piece, -1 where there is none: binary search over the lines, no dictionary to build first."""
        tokens, wanted = self.tokens, piece.encode("utf-8", "replace")
        low, high = 0, len(tokens)
        while low < high:
            middle = (low + high) // 2
            start = tokens.rfind(b"\n", low, middle) + 1 or low
            end = tokens.find(b"\n", middle)
            line = tokens[start : end if end >= 0 else len(tokens)]
            if line == wanted:
                return tokens.count(b"\n", 0, start)
            if line < wanted:
                low = start + len(line) + 1
            else:
                high = start
        return -1


_OWN_FILES = ("model.json", "rows.i8", "weights.u8", "tokens.txt")


def _static_files(folder: str) -> tuple[str, ...] | None:
    """`_OWN_FILES` for a folder in our layout, the paths of table and tokenizer for one saved elsewhere, else None."""
    if all(os.path.isfile(os.path.join(folder, file)) for file in _OWN_FILES):
        return _OWN_FILES
    # sentence-transformers saves a StaticEmbedding in a folder of its own, model2vec beside modules.json.
    for inner in (folder, os.path.join(folder, "0_StaticEmbedding")):
        saved = os.path.join(inner, "model.safetensors"), os.path.join(inner, "tokenizer.json")
        if all(map(os.path.isfile, saved)) and (inner != folder or _says_static(folder)):
            return saved
    return None


def _says_static(folder: str) -> bool:
    """Whether the folder's own files say that it is a static model: a transformer has files of the same names."""
    import json

    for file, key, value in (("modules.json", "type", "StaticEmbedding"), ("config.json", "model_type", "model2vec")):
        try:
            with open(os.path.join(folder, file), encoding="utf-8") as stream:
                said = json.load(stream)
        except (OSError, ValueError):
            continue
        first = said[0] if isinstance(said, list) and said else said
        if isinstance(first, dict) and str(first.get(key, "")).rpartition(".")[2] == value:
            return True
    return False


def _read_own(folder: str) -> _Table:
    import json
    import mmap

    with open(os.path.join(folder, "model.json"), encoding="utf-8") as stream:
        about = json.load(stream)
    if about.get("format") != 1:
        raise ValueError(f"its format is {about.get('format')!r}, this version reads 1")
    with open(os.path.join(folder, "rows.i8"), "rb") as stream:
        rows = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)).cast("b")
    with (
        open(os.path.join(folder, "weights.u8"), "rb") as weights,
        open(os.path.join(folder, "tokens.txt"), "rb") as tokens,
    ):
        return _Table(int(about["dim"]), str(about["content"]), rows, weights.read(), tokens.read())


def _read_saved(weights_file: str, tokenizer_file: str) -> _Table:
    """Reads what model2vec and StaticEmbedding save (safetensors, Hugging Face tokenizer) without either of them."""
    import json

    with open(weights_file, "rb") as stream:
        saved = stream.read()
    with open(tokenizer_file, "rb") as stream:
        tokenizer = stream.read()
    model = json.loads(tokenizer)["model"]
    if model.get("type", "WordPiece") != "WordPiece" or model.get("continuing_subword_prefix", "##") != "##":
        raise ValueError(
            f"its tokenizer is {model.get('type')}, only WordPiece is read; transformers:FOLDER loads every kind"
        )
    np = _numpy()
    tensors = _safetensors(saved)
    matrix = tensors["embedding.weight" if "embedding.weight" in tensors else "embeddings"].astype(np.float32)
    if "mapping" in tensors:  # a vocabulary that was clustered: several tokens have one row
        matrix = matrix[tensors["mapping"]]
    if "weights" in tensors:
        matrix = matrix * tensors["weights"].astype(np.float32)[:, None]
    if not np.isfinite(matrix).all():
        raise ValueError("its table has values that are no numbers")
    vocabulary: dict[str, int] = model["vocab"]
    tokens = sorted((token.encode(), row) for token, row in vocabulary.items() if "\n" not in token)
    rows, weights = quantise(matrix[[row for _, row in tokens]])
    content = _digest(saved, tokenizer)
    return _Table(
        matrix.shape[1],
        content,
        memoryview(rows.tobytes()).cast("b"),
        weights.tobytes(),
        b"\n".join(t for t, _ in tokens),
    )


def _safetensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file: 8 bytes length, a JSON header, then the data (huggingface.co/docs/safetensors)."""
    import json

    np = _numpy()
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "i1", "U8": "u1"}
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[start + begin : start + end], kinds[entry["dtype"]]).reshape(
                entry["shape"]
            )
    return tensors


def quantise(matrix: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """The table as integers: `weights[:, None] * rows` is `matrix` times one positive number, rounded.

    `matrix` is `(n, dim)` floats; gives `(n, dim)` int8 and `(n,)` uint8 from 1 to 15. A weight of its own for each row keeps
    the precision of small rows (frequent pieces are weighted down by a hundred and more); weights are small integers, not
    floats, so that sums stay exact (see the module's text).
    """
    np = _numpy()
    largest = np.abs(matrix).max(axis=1)
    step = float(largest.max()) / (127 * _MAX_WEIGHT) or 1.0
    weights = np.clip(np.ceil(largest / (127 * step)), 1, _MAX_WEIGHT)
    rows = np.clip(np.rint(matrix / (weights[:, None] * step)), -127, 127)
    return rows.astype(np.int8), weights.astype(np.uint8)


def _word_pieces(part: str, find: Callable[[str], int]) -> list[int]:
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


# ------------------------------------------------------------------------------------------------------------------ hash


class HashEmbedder:
    """Feature hashing: each part of a word adds or subtracts one in eight places that its hash chooses. For tests.

    Texts that share words are near each other, nothing else is. No model file, no NumPy, the same on every machine.
    """

    cached = False

    def __init__(self, dim: int = 256) -> None:
        if not 8 <= dim <= 4096:
            raise BadInput(f"hash:{dim} is not between 8 and 4096 dimensions", hint='write "hash:64"')
        self.dim = dim
        self.name = "hash" if dim == 256 else f"hash:{dim}"
        self.fingerprint = _digest(b"hash", str((dim, _RECIPE)).encode())
        self._memo: _Memo[bytes, list[int]] = _Memo(self._places)

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return b"".join(map(self.embed_question, texts))

    def embed_question(self, text: str) -> bytes:
        """The vector of one text, `(dim,)` int8."""
        sums, memo = [0] * self.dim, self._memo.ready()
        for word in _words(text):
            for place in memo[word]:
                if place >= 0:
                    sums[place] += 1
                else:
                    sums[~place] -= 1
        return _unit(sums)

    def _places(self, whole: bytes) -> list[int]:
        """Where the parts of `word` add one; ~place where they subtract one."""
        import hashlib

        places = []
        for part in words_of.parts(whole.decode("utf-8", "replace")):
            digest = hashlib.blake2b(part.encode("utf-8", "replace"), digest_size=32).digest()
            for at in range(0, 32, 4):
                number = int.from_bytes(digest[at : at + 4], "little")
                places.append((number >> 1) % self.dim if number & 1 else ~((number >> 1) % self.dim))
        return places


# ---------------------------------------------------------------------------------------------------------- transformers


class TransformerEmbedder:
    """Any model that sentence-transformers loads: `model` is a hub name or a folder.

    Prompts are the model's own (`encode_query`, `encode_document`) unless given; `""` is no prompt. `device` "auto" takes
    a GPU if there is one. `backend` is torch, onnx or openvino. Texts go through sorted by length, `batch_size` at a time, longest
    first, so that little is padded; what is longer than the model reads is cut there. A blank text has a zero vector.

    The fingerprint has what the vectors depend on: the content of a local folder, or name and commit of a hub model, with
    prompts, dimensions, the length at which texts are cut, and the backend. The device is left out: it only moves rounding.

    Raises:
        ModelError: sentence-transformers is not installed, or the model cannot be loaded or fails.
    """

    cached = True

    def __init__(
        self,
        model: str,
        *,
        name: str | None = None,
        truncate_dim: int | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        device: str = "auto",
        backend: str = "torch",
        batch_size: int = 64,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        from threading import Lock

        self.name = name or f"transformers:{model}"
        self._batch_size = batch_size
        self._prompts = {"query": query_prompt, "document": document_prompt}
        self._lock = Lock()  # the tokenizers of transformers cannot be used by two threads at once
        self._model = _load_transformer(
            model,
            device=None if device == "auto" else device,
            backend=backend,
            truncate_dim=truncate_dim,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        self.dim = len(self._encode(["dimensions"], "document"))
        own = dict(getattr(self._model, "prompts", None) or {})
        self.fingerprint = _digest(
            b"transformers",
            _identity(model, revision).encode(),
            repr((self.dim, truncate_dim, backend, getattr(self._model, "max_seq_length", None))).encode(),
            repr(
                (query_prompt, document_prompt, sorted(own.items()), getattr(self._model, "default_prompt_name", None))
            ).encode(),
        )

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return self._encode(texts, "document")

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8, with the model's prompt for questions."""
        return self._encode([text], "query")

    def _encode(self, texts: Sequence[str], side: str) -> bytes:
        if not texts:
            return b""
        np = _numpy()
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        try:
            with self._lock:
                vectors = encode(
                    list(texts),
                    prompt=self._prompts[side],
                    batch_size=self._batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
        except Exception as error:  # whatever torch, onnxruntime or the model's own code raises
            raise ModelError(
                f"the embedding model {self.name!r} failed: {error}",
                hint="if memory ran out, choose a smaller batch size or a smaller model",
                retryable=True,
            ) from error
        floats = np.asarray(vectors, np.float64)
        if not np.isfinite(floats).all():
            raise ModelError(
                f"the embedding model {self.name!r} gave values that are no numbers", hint="try another precision"
            )
        floats[[not text.strip() for text in texts]] = 0.0
        lengths = np.sqrt((floats * floats).sum(axis=1, keepdims=True))
        lengths[lengths == 0.0] = 1.0
        return bytes(np.rint(floats * 127.0 / lengths).astype(np.int8).tobytes())


def _load_transformer(model: str, *, backend: str, **options: Any) -> Any:
    try:
        with _quiet():
            import sentence_transformers
    except ImportError as error:
        raise ModelError(
            f"the embedding model {model!r} needs sentence-transformers: {error}",
            hint='pip install "codequarry[transformers]", or use the model "code"',
        ) from error
    try:
        with _quiet():
            return sentence_transformers.SentenceTransformer(model, backend=backend, **options)
    except Exception as error:  # OSError, ValueError, ImportError, the hub's and torch's own errors
        said = str(error).strip().partition("\n")[0]
        hint = "check the name or the path; a model from the hub needs the network the first time"
        if "pip install" in said:  # a backend or a model that needs one more package says so in its first line
            hint = "install what the message names"
        raise ModelError(f"the embedding model {model!r} cannot be loaded: {said}", hint=hint) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps warnings, progress bars and load reports off a terminal that shows search results; restores them afterwards."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from transformers.utils import logging  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            yield
            return
        level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bar:
                logging.enable_progress_bar()


def _identity(model: str, revision: str | None) -> str:
    """What the weights are: a digest of a folder's files, or the name and, as far as it is known, the commit of a hub model."""
    if os.path.isdir(model):
        return _folder_digest(model)
    name = model if "/" in model else f"sentence-transformers/{model}"  # as sentence-transformers reads a bare name
    try:
        from huggingface_hub import try_to_load_from_cache  # type: ignore[import-not-found, unused-ignore]

        for file in ("modules.json", "config.json"):
            found = try_to_load_from_cache(name, file, revision=revision)
            if isinstance(found, str):
                # .../snapshots/COMMIT/modules.json
                return f"{name}@{os.path.basename(os.path.dirname(found))}"
    except (ImportError, ValueError):
        pass
    return f"{name}@{revision or 'main'}"


def _folder_digest(folder: str) -> str:
    """A digest of the names and contents of a folder's files; hidden files and texts for people are left out."""
    import hashlib

    whole = hashlib.blake2b(digest_size=16)
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if file.startswith(".") or file.endswith(".md"):
                continue
            path = os.path.join(base, file)
            with open(path, "rb") as stream:
                content = hashlib.file_digest(stream, "blake2b").digest()
            whole.update(os.path.relpath(path, folder).encode("utf-8", "surrogateescape") + b"\0" + content)
    return whole.hexdigest()


# ---------------------------------------------------------------------------------------------------------- shared parts


def _words(text: str) -> list[bytes]:
    # The bytes are made here because half a surrogate pair, which JSON can bring, cannot be encoded in the strict way.
    return words_of.split(text.encode("utf-8", "replace"))


class _Memo(dict[Key, Value]):
    """A dictionary that makes what it lacks, and is emptied when it has grown too large."""

    def __init__(self, make: Callable[[Key], Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: Key) -> Value:
        made = self[word] = self._make(word)
        return made

    def ready(self) -> _Memo[Key, Value]:
        """Itself, emptied if it is full; asked once for each batch, so one batch may go beyond the limit."""
        if len(self) > _MEMO:
            self.clear()
        return self


def _unit(sums: Iterable[int]) -> bytes:
    """The unit vector of integers, times 127, rounded half to even, as signed bytes; zeros stay zeros."""
    values = list(sums)
    length = sqrt(sum(value * value for value in values))
    if not length:
        return bytes(len(values))
    return bytes(round(value * 127 / length) & 0xFF for value in values)


def _units(sums: NDArray[np.int64]) -> bytes:
    """`_unit` of each row, byte for byte: the squares add up as integers, and IEEE 754 leaves no choice in the rest."""
    np = _numpy()
    if len(sums) and int(np.abs(sums).max()) >= _SQUARES64:
        return b"".join(_unit(row) for row in sums.tolist())
    lengths = np.sqrt((sums * sums).sum(axis=1).astype(np.float64))
    lengths[lengths == 0.0] = 1.0
    return bytes(np.rint(sums * 127 / lengths[:, None]).astype(np.int8).tobytes())


def _digest(*parts: bytes) -> str:
    """Twelve hex digits of the parts and their borders."""
    import hashlib

    whole = hashlib.blake2b(digest_size=6)
    for part in parts:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.hexdigest()


def _numpy() -> Any:
    # OpenBLAS starts a thread for each core when it is loaded; for products of this size they only cost start-up time and
    # fight with the other workers. Only the first import in a process counts, and a user's own setting stands.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy

    return numpy
