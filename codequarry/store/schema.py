"""What both stores have in common: the version of their layout, ids, hashes, and what their numbers mean.

The version counts changes after which an older program would misread an index: then it must refuse, and say what to do.
"""

from __future__ import annotations

from itertools import repeat

from codequarry.errors import IndexMissing, ModelMismatch, SchemaMismatch
from codequarry.types import Chunk, Request

SCHEMA = 2
"""Version of the layout. Raise it when the meaning of anything stored changes."""

BM25_K1, BM25_B = 1.2, 0.75
"""Of the BM25 formula, as Lucene and tantivy have them; lengths are stored in one byte by both."""

FIELDS = ("content", "path", "names")
"""The three fields that BM25 counts, in the order of `Request.weights`."""

_UNIT = 127.0 * 127.0


def cosine(dot: float) -> float:
    """The cosine of two vectors from the dot product of their bytes: they are unit vectors times 127."""
    return dot / _UNIT


def term_weights(request: Request) -> dict[str, float]:
    """What each term of a request counts in all: its BM25 score is multiplied by that."""
    weights: dict[str, float] = {}
    for term, weight in zip(request.terms, request.term_weights or repeat(1.0), strict=False):
        weights[term] = weights.get(term, 0.0) + weight
    return weights


def terms_hash(chunk: Chunk, path_terms: str) -> str:
    """16 hex digits of everything that the words of a chunk are made of, for `DumpRow`."""
    from hashlib import blake2b  # only writers need it

    parts = "\0".join((chunk.terms, chunk.names, path_terms, chunk.raw))
    return blake2b(parts.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def index_missing(location: str) -> IndexMissing:
    """Nothing has been indexed there."""
    return IndexMissing(f"there is no index at {location}", hint="run: codequarry index PATH")


def schema_mismatch(location: str, found: int) -> SchemaMismatch:
    """The index has the layout of another version, newer or older."""
    if found > SCHEMA:
        return SchemaMismatch(
            f"the index at {location} has layout {found}, this codequarry knows {SCHEMA}",
            hint="upgrade codequarry (pip install --upgrade codequarry), or index into another place",
        )
    return SchemaMismatch(
        f"the index at {location} has the old layout {found}, this codequarry writes {SCHEMA}",
        hint="delete the index and run codequarry index again",
    )


def model_mismatch(location: str, *, built: str, asked: str) -> ModelMismatch:
    """The index has vectors of the model `built`, and the caller uses `asked`: their vectors cannot be compared."""
    if built == asked:
        return ModelMismatch(
            f"the index at {location} was built with another version of the model {built}",
            hint="delete the index and run codequarry index again",
        )
    return ModelMismatch(
        f"the index at {location} was built with the model {built}, not with {asked}",
        hint=f"use --model {built}, or delete the index and run codequarry index again with --model {asked}",
    )
