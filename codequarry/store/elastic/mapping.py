"""The indices: their names, mappings and settings, how they are made, and whether what is there can be read by this version.

Every option is stated, since defaults moved between versions. The same mapping serves 8.19 and 9.x; the two settings that only
the newer ones know are added by version. Vectors are bytes, sent as hex, which both lines take: they are compared as they are,
nothing is quantised, and a byte vector needs a quarter of the room of floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codequarry.errors import IndexMissing, StoreError
from codequarry.ports import Embedder
from codequarry.store.elastic.client import Client
from codequarry.store.schema import BM25_B, BM25_K1, SCHEMA, model_mismatch, schema_mismatch

OLDEST = (8, 19)
BROKEN = ((9, 5, 0), (9, 5, 3))  # from, until: replicas can diverge, must_not + terms can hit falsely

FLAT_UNTIL = 300_000  # chunks; below it scanning all vectors costs less than a graph (servers before 9.4)
FLAT_THRESHOLD = 20_000  # of 9.4 on: not documents but Lucene's k; the graph begins near 250,000 vectors in a segment

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The aliases that everything is addressed by, and the indices behind them."""

    prefix: str

    @property
    def chunks(self) -> str:
        """The searched index."""
        return f"{self.prefix}-chunks"

    @property
    def files(self) -> str:
        """Versions and entries."""
        return f"{self.prefix}-files"

    @property
    def ledger(self) -> str:
        """Rows of sources, and their parts."""
        return f"{self.prefix}-ledger"

    @property
    def vectors(self) -> str:
        """The cache of vectors."""
        return f"{self.prefix}-vectors"

    def real(self, alias: str, fingerprint: str) -> str:
        """The index behind an alias: its name carries schema and model, so that two of them can stand side by side."""
        model = "" if alias == self.vectors else f"-{fingerprint.lower()}"
        return f"{alias}-v{SCHEMA}{model}"


@dataclass(frozen=True, slots=True)
class Model:
    """The model that an index has vectors of."""

    name: str
    fingerprint: str
    dim: int


def server_version(client: Client) -> Version:
    """The server's version, `(9, 5, 3)`; a serverless project counts as newer than all."""
    status, answer = client.call("GET", "/", allow=(400, 403, 404, 405))
    if status == 200 and isinstance(answer, dict) and "version" in answer:
        if answer["version"].get("build_flavor") == "serverless":
            return (999, 0, 0)
        return _numbers(answer["version"].get("number", "0"))
    _, answer = client.call("GET", "/_nodes/_local?filter_path=nodes.*.version", allow=(400, 404, 405))
    found = [_numbers(node["version"]) for node in answer.get("nodes", {}).values()] if isinstance(answer, dict) else []
    if not found:
        raise StoreError(f"{client.url} does not answer as Elasticsearch does", hint="is the address right?")
    return found[0]


def _numbers(text: str) -> Version:
    return tuple(int(part) for part in text.split("-")[0].split(".") if part.isdecimal())


def require(version: Version, url: str) -> None:
    """Raises where the server is too old."""
    if version[:2] < OLDEST:
        raise StoreError(
            f"Elasticsearch {'.'.join(map(str, version))} at {url} is too old",
            hint="8.19 or later is needed, 9.5.3 or later recommended",
        )


def found_model(client: Client, names: Names) -> Model | None:
    """The model of the index behind the aliases, None where there is no index.

    Raises:
        SchemaMismatch: its layout is not this version's.
    """
    status, answer = client.call("GET", f"/{names.chunks}/_mapping?filter_path=*.mappings._meta", allow=(404,))
    if status == 404 or not answer:
        return None
    if len(answer) > 1:
        raise StoreError(
            f"several indices stand behind {names.chunks}: {', '.join(sorted(answer))}",
            hint="take the alias from all but one",
        )
    ((index, body),) = answer.items()
    meta = body.get("mappings", {}).get("_meta", {})
    schema = meta.get("schema")
    if schema != SCHEMA:
        raise schema_mismatch(f"{client.url} ({index})", schema if isinstance(schema, int) else 0)
    return Model(meta["model"], meta["fingerprint"], meta["dim"])


def prepare(client: Client, names: Names, embedder: Embedder) -> Model:
    """Makes the indices that are missing, for this model; checks those that are there.

    Raises:
        StoreError: the server is too old.
        ModelMismatch, SchemaMismatch: the index there is of another model or layout.
    """
    version = server_version(client)
    require(version, client.url)
    wanted = Model(embedder.name, embedder.fingerprint, embedder.dim)
    found = found_model(client, names)
    if found is None:
        # The searched index comes last: where its alias is, all are.
        for alias in (names.files, names.ledger, names.vectors, names.chunks):
            _create(client, names.real(alias, wanted.fingerprint), alias, _definition(names, alias, wanted, version))
        found = found_model(client, names)
        if found is None:
            raise IndexMissing(f"{names.chunks} was deleted while it was made", hint="run again")
    check_model(found, wanted, client.url)
    return found


def check_model(found: Model, wanted: Model, url: str) -> None:
    """Raises where the index was built with another model."""
    if (found.fingerprint, found.dim) != (wanted.fingerprint, wanted.dim):
        raise model_mismatch(url, built=found.name, asked=wanted.name)


def _create(client: Client, index: str, alias: str, definition: dict[str, Any]) -> None:
    status, answer = client.call(
        "PUT", f"/{index}", {**definition, "aliases": {alias: {}}}, allow=(400,), patience_s=60
    )
    if status == 400:
        error = answer.get("error", {})
        if error.get("type") != "resource_already_exists_exception":
            raise StoreError(
                f"the index {index} cannot be made: {error.get('reason')}", hint="is the prefix of its name allowed?"
            )
        # Another process was first, or the alias was taken away from it: both are well after this.
        client.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": alias}}]})


def _definition(names: Names, alias: str, model: Model, version: Version) -> dict[str, Any]:
    meta = {"schema": SCHEMA, "model": model.name, "fingerprint": model.fingerprint, "dim": model.dim}
    index: dict[str, Any] = {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",  # a copy where there is a second node
        "refresh_interval": "1s" if alias == names.ledger else "30s",  # commits refresh by themselves
    }
    if alias == names.chunks:
        index["similarity"] = {"bm25": {"type": "BM25", "k1": BM25_K1, "b": BM25_B}}
        if version >= (9, 2):
            index["mapping"] = {"exclude_source_vectors": False}  # a partial update would lose them
        return {"settings": {"index": index}, "mappings": {"_meta": meta, **chunk_mapping(model.dim, version)}}
    fields = {names.files: FILE_FIELDS, names.ledger: LEDGER_FIELDS, names.vectors: {}}[alias]
    return {"settings": {"index": index}, "mappings": {"_meta": meta, "dynamic": False, "properties": fields}}


_SORTED = {"type": "keyword", "norms": False, "ignore_above": 8191}
_WORD = {**_SORTED, "doc_values": False}
_LONG = {"type": "long", "doc_values": False}
_KEPT_TEXT = {"type": "keyword", "index": False, "doc_values": False}
_KEPT_NUMBER = {"type": "integer", "index": False, "doc_values": False}
_TERMS = {"type": "text", "analyzer": "whitespace", "similarity": "bm25", "norms": True, "index_options": "freqs"}

FILE_FIELDS: dict[str, Any] = {
    "type": _WORD,
    "src": _WORD,
    "repo": _SORTED,
    "path": _SORTED,
    "epoch": _LONG,
    "by": _WORD,
}
LEDGER_FIELDS: dict[str, Any] = {"type": _WORD, "key": _SORTED, "repo": _WORD}


def chunk_mapping(dim: int, version: Version) -> dict[str, Any]:
    """Mapping of the searched index."""
    graph: dict[str, Any] = {"type": "hnsw", "m": 16, "ef_construction": 100}
    vectors = {**graph, "flat_index_threshold": FLAT_THRESHOLD} if version >= (9, 4) else {"type": "flat"}
    return {
        "dynamic": "strict",
        "properties": {
            "repo": _SORTED,
            "src": _WORD,
            "path": _SORTED,
            "folders": _WORD,
            "blob": _KEPT_TEXT,
            "recipe": _KEPT_TEXT,
            "language": _WORD,
            "marks": _KEPT_TEXT,
            "kind": _KEPT_TEXT,
            "kinds": _WORD,
            "symbols": _WORD,
            "defines": {"type": "object", "enabled": False},
            "start": {"type": "integer", "index": False, "doc_values": True},
            "end": _KEPT_NUMBER,
            "breadcrumb": _KEPT_TEXT,
            "content_hash": _KEPT_TEXT,
            "text": _KEPT_TEXT,
            "gap": _KEPT_TEXT,
            "t_content": _TERMS,
            "t_path": _TERMS,
            "t_names": _TERMS,
            "raw": {
                "type": "text",
                "analyzer": "whitespace",
                "norms": False,
                "index_options": "positions",
                "similarity": "boolean",
            },
            "vector": {
                "type": "dense_vector",
                "dims": dim,
                "element_type": "byte",
                "index": True,
                "similarity": "dot_product",
                "index_options": vectors,
            },
        },
    }


def grow(client: Client, names: Names, model: Model) -> None:
    """On servers before 9.4: gives the vectors a graph once there are too many to scan. In place; merges build it."""
    version = server_version(client)
    if version >= (9, 4) or client.call("GET", f"/{names.chunks}/_count")[1]["count"] < FLAT_UNTIL:
        return
    vector = chunk_mapping(model.dim, version)["properties"]["vector"]
    graph = {**vector, "index_options": {"type": "hnsw", "m": 16, "ef_construction": 100}}
    client.call("PUT", f"/{names.chunks}/_mapping", {"properties": {"vector": graph}}, patience_s=60)


def differences(client: Client, names: Names, model: Model) -> list[str]:
    """Fields of the searched index that are not as this version makes them; empty when all is well."""
    _, answer = client.call("GET", f"/{names.chunks}/_mapping")
    (body,) = answer.values()
    there = body["mappings"].get("properties", {})
    wanted = chunk_mapping(model.dim, server_version(client))["properties"]
    compared = ("type", "analyzer", "similarity", "index_options", "dims", "element_type")
    found = []
    for name, options in wanted.items():
        # A server leaves out what is its default, so only what it states is compared; the vectors' graph may have been added.
        stated = there.get(name)
        if stated is None or any(
            stated[option] != options[option]
            for option in compared
            if option in options and option in stated and (name, option) != ("vector", "index_options")
        ):
            found.append(name)
    return found
