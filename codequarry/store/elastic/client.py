"""HTTP to Elasticsearch, and the one loop that writes to it.

The standard library speaks it: a kept-alive `http.client` connection costs as much of a question's time as urllib3 does
(2.0 against 1.8 ms) and is imported in 15 ms, where the official client takes 400. Every item of a bulk request is accounted
for: refused ones (429, 503) are sent again with back-off and full jitter, and a request whose answer was lost is sent again
too, since all writes are creations or compare-and-sets: the second try then says 409, and whoever asked reads back.
"""

from __future__ import annotations

import json
import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from codequarry.connections import Connections
from codequarry.errors import BadInput, IndexMissing, SettingsError, StoreError
from codequarry.store.elastic.documents import out
from codequarry.store.elastic.failures import blocked, reason_of, refused, unreachable

loads: Callable[[bytes], Any]
try:  # of a question's time outside the server, reading the answer is the largest part
    from orjson import loads
except ImportError:
    loads = json.loads

BULK_BYTES = 5_000_000  # of one bulk request; more brings no throughput and makes refusals dearer
READ_DOCUMENTS = 1_000  # of one mget request
PATIENCE_S = 120.0  # how long a write is tried again while the server refuses or cannot be reached
ANSWER_S = 90.0
ROUNDS = 30  # of a compare-and-set that others keep winning


class At(NamedTuple):
    """Where a document stands; `routing` is the repository, so that all of one lies in one shard."""

    alias: str
    id: str
    routing: str


class Document(NamedTuple):
    """A document as read, with the token of its compare-and-set."""

    source: dict[str, Any]
    seq_no: int
    term: int


@dataclass(slots=True)
class Write:
    """One write: `create` fails where the document exists; the others where it is not the one that was read (`seen`)."""

    verb: Literal["create", "index", "update", "delete"]
    at: At
    source: dict[str, Any] | None = None
    seen: Document | None = None

    def lines(self) -> bytes:
        """The action and its body as two lines of a bulk request."""
        action: dict[str, Any] = {"_index": self.at.alias, "_id": self.at.id, "routing": out(self.at.routing)}
        if self.seen is not None:
            action |= {"if_seq_no": self.seen.seq_no, "if_primary_term": self.seen.term}
        body = self.source
        if (
            self.verb == "update"
        ):  # without the last option an update that changes nothing would not beat a late cleaner
            body = {"doc": self.source, "detect_noop": False}
        head = dump({self.verb: action})
        return head + b"\n" if self.verb == "delete" else head + b"\n" + dump(body) + b"\n"


class Outcome(NamedTuple):
    """What became of a write: 200, 201, 404 or 409, and the token of what now stands there."""

    status: int
    seq_no: int
    term: int


def dump(value: object) -> bytes:
    """JSON as the server wants it: compact UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Client:
    """A server at a URL. Safe for threads: each request takes an idle connection, or opens one.

    Credentials come from the URL (`https://user:password@host`) or are an API key; they never appear in `url`.
    """

    def __init__(self, url: str, api_key: str = "", ca_file: str = "") -> None:
        """`ca_file`: the authorities (PEM) that may vouch for the server; without it those of the system.

        Raises:
            BadInput: the URL is no address of a server, or there are no certificates in that file.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is no address of a server", hint="such as http://localhost:9200")
        secure = parts.scheme == "https"
        try:
            port = parts.port or (443 if secure else 9200)
        except ValueError as error:
            raise BadInput(f"{parts.hostname}: {error}", hint="such as http://localhost:9200") from error
        self._base = parts.path.rstrip("/")
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.url = f"{parts.scheme}://{name}:{port}{self._base}"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"ApiKey {api_key}"
        elif parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        try:
            self._connections = Connections(parts.hostname, port, secure=secure, answer_s=ANSWER_S, ca_file=ca_file)
        except OSError as error:
            raise SettingsError(
                f"no certificates can be read from {ca_file}: {error.strerror or error}",
                name="CODEQUARRY_ELASTICSEARCH_CA_FILE",
                hint="the file that has the certificate of the authority of Elasticsearch, in PEM",
            ) from error
        self._waited = threading.local()

    @property
    def waited_ms(self) -> float:
        """How long this thread has waited for the server's answers so far."""
        return float(getattr(self._waited, "ms", 0.0))

    # ------------------------------------------------------------------------------------------------------- requests

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        allow: Sequence[int] = (),
        patience_s: float = 10.0,
        lines: bool = False,
    ) -> tuple[int, Any]:
        """Sends a request until it is answered with other than "later", and returns status and parsed answer.

        Statuses from 400 on that are not in `allow` raise. `lines`: the body is bytes, lines of JSON.

        Raises:
            StoreError: not reachable, refused, or failed.
            IndexMissing: an index that is asked for does not exist.
        """
        data = None if body is None else body if isinstance(body, bytes) else dump(body)
        headers = {**self._headers, "Content-Type": "application/x-ndjson"} if lines else self._headers
        end, attempt = time.monotonic() + patience_s, 0
        while True:
            failure: StoreError | IndexMissing
            try:
                reply = self._connections.exchange(method, self._base + path, data, headers)
            except (OSError, HTTPException) as error:
                failure = unreachable(self.url, error)
            else:
                self._waited.ms = self.waited_ms + reply.waited_s * 1000
                status, answer = reply.status, _parsed(reply.content)
                if status < 400 or status in allow:
                    return status, answer
                failure = refused(self.url, status, answer)
            if isinstance(failure, IndexMissing) or not failure.retryable or time.monotonic() > end:
                raise failure
            pause(attempt)
            attempt += 1

    # ------------------------------------------------------------------------------------------------------- documents

    def get(self, at: At) -> Document | None:
        """One document as it is now (not as of the last refresh)."""
        path = f"/{at.alias}/_doc/{quote(at.id, safe='')}?routing={quote(out(at.routing), safe='')}"
        status, answer = self.call("GET", path, allow=(404,))
        if status == 404 and "error" in answer:
            raise refused(self.url, status, answer)
        return Document(answer["_source"], answer["_seq_no"], answer["_primary_term"]) if answer.get("found") else None

    def read(self, places: Sequence[At], fields: Sequence[str] | None = None) -> list[Document | None]:
        """Documents as they are now, in order, None where there is none; `fields`: only these of each.

        Raises:
            StoreError: one could not be read, which is not the same as not being there.
        """
        found: list[Document | None] = []
        for first in range(0, len(places), READ_DOCUMENTS):
            asked: list[dict[str, Any]] = [
                {"_index": at.alias, "_id": at.id, "routing": out(at.routing)}
                for at in places[first : first + READ_DOCUMENTS]
            ]
            if fields is not None:
                for item in asked:
                    item["_source"] = list(fields) or False
            _, answer = self.call("POST", "/_mget", {"docs": asked})
            for item in answer["docs"]:
                if "error" in item:
                    kind, reason = reason_of(item["error"])
                    if kind == "index_not_found_exception":
                        raise refused(self.url, 404, item)
                    raise StoreError(f"a document cannot be read: {reason}", hint="try again", retryable=True)
                found.append(
                    Document(item.get("_source", {}), item["_seq_no"], item["_primary_term"])
                    if item.get("found")
                    else None
                )
        return found

    def write(self, writes: Iterable[Write], *, refresh: bool = False) -> list[Outcome]:
        """Sends all writes in requests of at most BULK_BYTES; the outcome of each, in order: done, 404 or 409.

        Raises:
            StoreError: a write could not be made; those before it may have been.
        """
        outcomes: list[Outcome] = []
        batch: list[bytes] = []
        size = 0
        for item in writes:
            lines = item.lines()
            if batch and size + len(lines) > BULK_BYTES:
                outcomes += self._bulk(batch, refresh)
                batch, size = [], 0
            batch.append(lines)
            size += len(lines)
        if batch:
            outcomes += self._bulk(batch, refresh)
        return outcomes

    def _bulk(self, batch: Sequence[bytes], refresh: bool) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(batch)
        waiting = list(range(len(batch)))
        end, attempt = time.monotonic() + PATIENCE_S, 0
        path = "/_bulk?filter_path=items.*.status,items.*.error,items.*._seq_no,items.*._primary_term"
        if refresh:
            path += "&refresh=true"
        while waiting:
            body = b"".join([batch[number] for number in waiting])
            _, answer = self.call("POST", path, body, lines=True, patience_s=PATIENCE_S)
            again, reason = [], ""
            for number, item in zip(waiting, answer["items"], strict=True):
                (result,) = item.values()
                status = result["status"]
                if status in (200, 201, 404, 409):
                    outcomes[number] = Outcome(status, result.get("_seq_no", -1), result.get("_primary_term", -1))
                    continue
                kind, reason = reason_of(result.get("error"))
                if kind == "cluster_block_exception":
                    raise blocked(reason)
                if status not in (429, 503):
                    raise StoreError(f"Elasticsearch did not take a document: {reason}", hint="please report this")
                again.append(number)
            if again and time.monotonic() > end:
                raise StoreError(
                    f"Elasticsearch refused {len(again)} of {len(batch)} writes for {PATIENCE_S:.0f} s: {reason}",
                    hint="the server is overloaded, or a shard is missing; run again when it is well",
                    retryable=True,
                )
            if again:
                pause(attempt)
                attempt += 1
            waiting = again
        return [outcome for outcome in outcomes if outcome is not None]

    def settle(
        self,
        places: Sequence[At],
        change: Callable[[int, Document | None], Write | None],
        fields: Sequence[str] | None = None,
        *,
        refresh: bool = False,
    ) -> None:
        """Compare-and-set on many documents: reads each, asks `change` (by its number) what to write, until nothing is left.

        `change` returns None where all is as it should be; it is asked again when another writer came between or an answer
        was lost, so it must recognise its own work. `refresh`: searches see it afterwards.
        """
        waiting = list(range(len(places)))
        for attempt in range(ROUNDS):
            documents = self.read([places[number] for number in waiting], fields)
            planned = [
                (number, item)
                for number, seen in zip(waiting, documents, strict=True)
                if (item := change(number, seen))
            ]
            outcomes = self.write([item for _, item in planned], refresh=refresh)
            waiting = [
                number for (number, _), outcome in zip(planned, outcomes, strict=True) if outcome.status in (404, 409)
            ]
            if not waiting:
                if refresh and attempt:  # what was there already may be our own, whose answer was lost
                    self.refresh(*sorted({at.alias for at in places}))
                return
            pause(attempt)
        raise StoreError(
            f"{len(waiting)} documents are changed by others all the time", hint="run again later", retryable=True
        )

    # --------------------------------------------------------------------------------------------------------- searches

    def search(self, index: str, body: dict[str, Any], options: str = "") -> dict[str, Any]:
        """One search over an index; partial answers (a shard that failed) are errors."""
        path = f"/{index}/_search?allow_partial_search_results=false{options}"
        answer: dict[str, Any] = self.call("POST", path, body)[1]
        return answer

    def scan(
        self, index: str, query: dict[str, Any], fields: Sequence[str] | bool, *, sort: str = "path", page: int = 5_000
    ) -> Iterator[dict[str, Any]]:
        """Every hit of a query as of the last refresh, in order of a keyword field that has values of its own within it."""
        body = {
            "size": page,
            "query": query,
            "_source": fields,
            "sort": [{sort: "asc"}],
            "track_total_hits": False,
            "seq_no_primary_term": True,
        }
        while True:
            hits = self.search(index, body)["hits"]["hits"]
            yield from hits
            if len(hits) < page:
                return
            body["search_after"] = hits[-1]["sort"]

    def sweep(self, index: str, query: dict[str, Any], fields: Sequence[str] | bool = True) -> Iterator[dict[str, Any]]:
        """Every hit of a query as of now, in no order, from one snapshot of the index."""
        pit = self.call("POST", f"/{index}/_pit?keep_alive=5m")[1]["id"]
        body = {
            "size": 1_000,
            "query": query,
            "_source": fields,
            "sort": ["_shard_doc"],
            "track_total_hits": False,
            "seq_no_primary_term": True,
        }
        try:
            while True:
                answer = self.call(
                    "POST",
                    "/_search?allow_partial_search_results=false",
                    {**body, "pit": {"id": pit, "keep_alive": "5m"}},
                )[1]
                pit = answer.get("pit_id", pit)
                hits = answer["hits"]["hits"]
                yield from hits
                if len(hits) < 1_000:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            self.call("DELETE", "/_pit", {"id": pit}, allow=(404,))

    def refresh(self, *indices: str) -> None:
        """Makes all that was written to the indices visible to searches, on every copy.

        A copy that missed it would show neither the old version of a file nor the new one, so failed copies are asked again.
        """
        for attempt in range(ROUNDS):
            _, answer = self.call("POST", f"/{','.join(indices)}/_refresh", patience_s=PATIENCE_S)
            if not answer["_shards"]["failed"]:
                return
            pause(attempt)
        raise StoreError("some copies of the index do not refresh", hint="see `codequarry doctor`", retryable=True)

    def close(self) -> None:
        """Closes idle connections; the client may be used on."""
        self._connections.close()


def pause(attempt: int) -> None:
    """Waits before the next try: exponential back-off with full jitter, at most 10 s."""
    time.sleep(random.uniform(0, min(10.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter


def _parsed(content: bytes) -> Any:
    try:
        return loads(content) if content else {}
    except ValueError:
        return {"error": content[:300].decode("utf-8", "replace")}
