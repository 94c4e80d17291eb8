"""The rows of the ledger of background work in Elasticsearch: one document a repository, changed by `if_seq_no`.

Documents are read by id, which is realtime, and searched after a refresh of this one small index. A row stands in its document
as JSON of ours; beside it only what is searched for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from codequarry.errors import StoreError
from codequarry.store.elastic.client import At, Client, Document, Write
from codequarry.store.elastic.documents import out
from codequarry.store.work.rows import GONE, Change, Row, hook_back, hook_out, row_back, row_out
from codequarry.types import Hook

_VERSION = 1
_WORD = {"type": "keyword", "norms": False, "ignore_above": 8191}
_KEPT = {"type": "keyword", "index": False, "doc_values": False}
_MAPPING = {
    "dynamic": "strict",
    "properties": {
        "type": _WORD,  # row, hook, delivery
        "key": _WORD,  # its own value for each of a type
        "due_at": {"type": "double"},
        "host": _WORD,
        "provider": _WORD,  # provider and its id of the repository
        "document": _KEPT,
    },
}
# Written rarely and truth for all else, so on as many nodes as there are, up to three.
_SETTINGS = {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-2", "refresh_interval": "1s"}}


class ElasticRows:
    """`codequarry.store.work.rows.Rows` in the index `<prefix>-work`, which is made when it is first needed."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._index = client, f"{prefix}-work"
        self._lock, self._made = threading.Lock(), False

    def _prepared(self) -> Client:
        """The client, once the index is there: a write would make one without our mapping."""
        with self._lock:
            if not self._made:
                self._make()
                self._made = True
        return self._client

    def _make(self) -> None:
        definition = {"settings": _SETTINGS, "mappings": _MAPPING, "aliases": {self._index: {}}}
        status, answer = self._client.call("HEAD", f"/{self._index}", allow=(404,))
        if status == 200:
            return
        status, answer = self._client.call(
            "PUT", f"/{self._index}-v{_VERSION}", definition, allow=(400,), patience_s=60
        )
        error = answer.get("error", {}) if status == 400 else {}
        if error and error.get("type") != "resource_already_exists_exception":
            raise StoreError(
                f"the index {self._index} cannot be made: {error.get('reason')}",
                hint="is the prefix of its name allowed, and may the key create indices?",
            )

    def _at(self, repo: str) -> At:
        name = blake2b(repo.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return At(self._index, f"row:{name}", self._index)

    def _hook_at(self, kind: str, hook_id: str) -> At:
        return At(self._index, f"{kind}:{hook_id}", self._index)

    def read(self, repo: str) -> Row | None:
        """A row as it is now."""
        found = self._prepared().get(self._at(repo))
        return _row(found.source) if found else None

    def change(self, repo: str, change: Change) -> None:
        """Compare-and-set until nobody comes between; what was registered is found by searches at once."""
        at, client = self._at(repo), self._prepared()
        visible = False

        def write(number: int, seen: Document | None) -> Write | None:
            nonlocal visible
            before = _row(seen.source) if seen else None
            row = change(before)
            if row is None or (row == GONE and seen is None):
                return None
            if isinstance(row, str):
                visible = True
                return Write("delete", at, seen=seen)
            visible |= before is None or before.repository != row.repository or before.removing != row.removing
            return Write("index" if seen else "create", at, _document(row), seen)

        client.settle([at], write)
        if visible:
            self._refresh()

    def scan(self) -> Iterator[Row]:
        """Every row as it is now."""
        return self._search({"term": {"type": "row"}})

    def waiting(self, now: float, host: str) -> Iterator[Row]:
        """The rows that are due, and those whose lease is held by a process of this machine."""
        either: list[dict[str, Any]] = [{"range": {"due_at": {"lte": now}}}, {"term": {"host": host}}]
        return self._search({"bool": {"should": either, "minimum_should_match": 1}})

    def find(self, provider: str, provider_id: str) -> Row | None:
        """The row of the repository with the provider's id."""
        query = {"term": {"provider": f"{provider}\n{provider_id}"}}
        hits = self._prepared().search(self._index, {"size": 1, "query": query})["hits"]["hits"]
        return _row(hits[0]["_source"]) if hits else None

    def _search(self, query: dict[str, Any]) -> Iterator[Row]:
        client = self._prepared()
        self._refresh()
        for hit in client.scan(self._index, query, ["document"], sort="key", page=1_000):
            yield _row(hit["_source"])

    def _refresh(self) -> None:
        self._client.call("POST", f"/{self._index}/_refresh")

    def hooks(self) -> list[Hook]:
        """Every hook, with its last delivery."""
        client = self._prepared()
        self._refresh()
        found = list(client.scan(self._index, {"term": {"type": "hook"}}, ["key", "document"], sort="key"))
        last = client.read([self._hook_at("delivery", hit["_source"]["key"]) for hit in found])
        return [
            hook_back(hit["_source"]["document"], delivery.source["document"] if delivery else None)
            for hit, delivery in zip(found, last, strict=True)
        ]

    def hook(self, hook_id: str) -> Hook | None:
        """One hook, with its last delivery."""
        places = [self._hook_at("hook", hook_id), self._hook_at("delivery", hook_id)]
        hook, last = self._prepared().read(places)
        return None if hook is None else hook_back(hook.source["document"], last.source["document"] if last else None)

    def save_hook(self, hook: Hook) -> None:
        """Adds or replaces a hook."""
        self._put("hook", hook.id, hook_out(hook))

    def delete_hook(self, hook_id: str) -> bool:
        """Removes a hook."""
        places = [self._hook_at("hook", hook_id), self._hook_at("delivery", hook_id)]
        outcomes = self._prepared().write([Write("delete", at) for at in places])
        return outcomes[0].status == 200

    def delivery(self, hook_id: str, summary: Mapping[str, Any]) -> None:
        """Keeps the summary of the last delivery: whoever writes last wins, it is for people."""
        self._put("delivery", hook_id, json.dumps(dict(summary)))

    def _put(self, kind: str, hook_id: str, document: str) -> None:
        source = {"type": kind, "key": hook_id, "document": document}
        self._prepared().write([Write("index", self._hook_at(kind, hook_id), source)])

    def close(self) -> None:
        """Closes connections."""
        self._client.close()


def _document(row: Row) -> dict[str, Any]:
    known = row.repository
    document: dict[str, Any] = {"type": "row", "key": out(known.repo), "document": row_out(row)}
    if (due_at := row.due_at()) is not None:
        document["due_at"] = due_at
    if host := row.host():
        document["host"] = host
    if known.provider_id:
        document["provider"] = f"{known.provider}\n{known.provider_id}"
    return document


def _row(document: Mapping[str, Any]) -> Row:
    return row_back(document["document"])
