"""Static models on disk: which folders have one, and how what other libraries saved becomes a table of integers."""

# pathlib costs a cold start more than all that this module does for a question.
# ruff: noqa: PTH113

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from codequarry.models.tables import Table
from codequarry.models.vectors import digest, numpy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OWN_FILES = ("model.json", "rows.i8", "weights.u8", "tokens.txt")
_MAX_WEIGHT = 15  # largest row weight of a quantised table; see `quantise`


def static_files(folder: str) -> tuple[str, ...] | None:
    """`OWN_FILES` for a folder in our layout, the paths of table and tokenizer for one saved elsewhere, else None."""
    if all(os.path.isfile(os.path.join(folder, file)) for file in OWN_FILES):
        return OWN_FILES
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


def read_saved(weights_file: str, tokenizer_file: str) -> Table:
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
    np = numpy()
    tensors = safetensors(saved)
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
    content = digest(saved, tokenizer)
    return Table(
        matrix.shape[1],
        content,
        memoryview(rows.tobytes()).cast("b"),
        weights.tobytes(),
        b"\n".join(t for t, _ in tokens),
    )


def safetensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file: 8 bytes length, a JSON header, then the data (huggingface.co/docs/safetensors)."""
    import json

    np = numpy()
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


def quantise(matrix: NDArray[Any], step: float | None = None) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """The table as integers: `weights[:, None] * rows` is `matrix` times one positive number, rounded.

    `matrix` is `(n, dim)` floats; gives `(n, dim)` int8 and `(n,)` uint8 from 1 to 15. `step` is what one integer stands for,
    where rows are to stand beside others; without it, the finest that the largest value allows. A weight of its own for each
    row keeps the precision of small rows (frequent pieces are weighted down by a hundred and more); weights are small integers,
    not floats, so that sums stay exact (see the module's text).
    """
    np = numpy()
    largest = np.abs(matrix).max(axis=1)
    if step is None:
        step = float(largest.max()) / (127 * _MAX_WEIGHT) or 1.0
    weights = np.clip(np.ceil(largest / (127 * step)), 1, _MAX_WEIGHT)
    rows = np.clip(np.rint(matrix / (weights[:, None] * step)), -127, 127)
    return rows.astype(np.int8), weights.astype(np.uint8)
