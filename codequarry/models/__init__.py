"""Embedders: text to vectors, behind the one port `codequarry.ports.Embedder`.

    code                the model that ships with the package (`terms`): NumPy for documents, plain Python for one question
    code:FOLDER         another of its layout, such as `codequarry adapt` writes
    static:FOLDER       a folder that model2vec or sentence-transformers' StaticEmbedding saved, or one in our own layout (`static`)
    transformers:NAME   any model that sentence-transformers loads, by hub name or folder; needs codequarry[transformers]
    hash, hash:DIM      feature hashing, for tests

A name without a prefix is a folder of a static model if it is one, and a sentence-transformers name otherwise.

Vectors are signed bytes: the unit vector times 127, rounded half to even. For `code`, `static` and `hash` they are exact:
all sums are sums of integers small enough to be exact in the floating-point type they are made in, so neither the batch, nor
the BLAS library, nor its threads, nor the way (NumPy or plain Python) can change a byte. That is what lets an index updated in
steps equal one built at once. A transformer's vectors may differ by one step of 127 with the batch they were made in; they
are cached by content, so within an index a content has one vector.

Each kind of model is a module, imported when it is opened: a search from the command line pays for what it imports.
"""

# pathlib costs a cold start more than all that these modules do for a question.
# ruff: noqa: PTH100, PTH120

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codequarry.errors import BadInput

if TYPE_CHECKING:
    from codequarry.ports import Embedder

__all__ = ["SHIPPED", "is_light", "open_embedder"]

SHIPPED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "code")
"""The folder of the model that ships."""


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
    measured in training/code/README.md. The other options are `transformer.TransformerEmbedder`'s.

    Raises:
        BadInput: the name or an option cannot be used.
        ModelError: the model is not installed or cannot be loaded.

    >>> open_embedder("hash:64").dim
    64
    """
    kind, _, rest = name.partition(":")
    if kind == "code" and (rest or name == "code"):
        from codequarry.models.terms import TermEmbedder

        return TermEmbedder(rest or SHIPPED, name=name, truncate_dim=truncate_dim)
    if kind == "hash":
        from codequarry.models.hashing import HashEmbedder

        if name == "hash":
            return HashEmbedder()
        if rest.isdecimal() and rest.isascii():
            return HashEmbedder(int(rest))
        raise BadInput(f"not a number of dimensions: {name!r}", hint='write "hash" or, for 64 dimensions, "hash:64"')
    model = rest if kind in ("code", "static", "transformers") else name
    if not model.strip():
        raise BadInput(
            f"not an embedding model: {name!r}",
            hint='write "code", "static:FOLDER" or a name that sentence-transformers knows',
        )
    if kind == "static" or (kind != "transformers" and _is_static(model)):
        from codequarry.models.static import StaticEmbedder

        return StaticEmbedder(model, name=name, truncate_dim=truncate_dim)
    from codequarry.models.transformer import TransformerEmbedder

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


def is_light(name: str) -> bool:
    """Whether the model of that name works without torch: those of terms, static ones in a folder, hashing."""
    kind = name.partition(":")[0]
    return kind in ("code", "static", "hash") or (kind != "transformers" and _is_static(name))


def _is_static(folder: str) -> bool:
    from codequarry.models.saved import static_files

    return static_files(folder) is not None
