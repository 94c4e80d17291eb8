"""A proxy between a store and the nodes of Elasticsearch that does to bulk requests what networks and busy servers do.

It refuses whole requests and single items (429, 503), loses answers of requests that were carried out, sends requests twice or
again seconds later, and changes the order of items. It also is the load balancer: a node that cannot be reached is passed over.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_REFUSED = {"type": "es_rejected_execution_exception", "reason": "refused by the proxy"}

Item = tuple[str, bytes]  # the verb, and the lines of one write of a bulk request
Answer = tuple[int, bytes]


class Lost(Exception):
    """No node answered, or the answer is to be lost."""


class Unreliable:
    """Serves on `port` from its making until `close`; `calm` has it pass everything on as it is."""

    def __init__(self, nodes: Sequence[int], seed: int, *, faulty: bool, late_s: tuple[float, float] = (2, 10)) -> None:
        """`nodes`: ports on this machine. `faulty`: False for a mere load balancer. `late_s`: when a request is sent again."""
        self.nodes = list(nodes)
        self.counts: Counter[str] = Counter()
        self._chance, self._lock, self._faulty = random.Random(seed), threading.Lock(), faulty
        self._late_s = late_s
        self._late: list[threading.Timer] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def calm(self) -> None:
        """No more faults."""
        self._faulty = False

    def close(self) -> None:
        """Ends serving, once what is late has been sent."""
        for timer in list(self._late):
            timer.join()
        self._server.shutdown()
        self._server.server_close()

    def exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to a request. Raises Lost where the client is to get none."""
        if not self._faulty or "/_bulk" not in path:
            return self._send(method, path, headers, body)
        with self._lock:
            fault, seed = self._chance.random(), self._chance.random()
        chance = random.Random(seed)
        if fault < 0.05:
            self._count("requests refused")
            return 429, json.dumps({"error": _REFUSED, "status": 429}).encode()
        if fault < 0.10:
            self._send(method, path, headers, body)
            self._count("answers lost")
            raise Lost
        if fault < 0.15:
            self._send(method, path, headers, body)
            self._count("requests doubled")
            return self._send(method, path, headers, body)
        if fault < 0.20:
            self._count("requests sent again late")
            late = threading.Timer(chance.uniform(*self._late_s), self._again, (method, path, headers, body))
            late.daemon = True
            self._late = [timer for timer in self._late if timer.is_alive()] + [late]
            late.start()
            return self._send(method, path, headers, body)
        return self._mixed(path, headers, body, chance, refuse=fault < 0.35)

    def _mixed(self, path: str, headers: dict[str, str], body: bytes, chance: random.Random, *, refuse: bool) -> Answer:
        """Sends the items in another order, some of them not at all; they are refused in the answer."""
        items = split(body)
        order = list(range(len(items)))
        chance.shuffle(order)
        share = chance.uniform(0.2, 0.9) if refuse else 0.0
        taken = [number for number in order if chance.random() >= share]
        self._count("items refused", len(items) - len(taken))
        answers: list[Any] = [
            {verb: {"status": chance.choice([429, 503]), "error": _REFUSED, "_id": "?"}} for verb, _ in items
        ]
        if taken:
            status, content = self._send("POST", path, headers, b"".join([items[number][1] for number in taken]))
            if status != 200:
                return status, content
            for number, answer in zip(taken, json.loads(content)["items"], strict=True):
                answers[number] = answer
        return 200, json.dumps({"items": answers}).encode()

    def _again(self, *request: Any) -> None:
        try:
            self._send(*request)
        except Lost:
            self._count("late requests that found no node")

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Sends a request to the nodes in turn until one can be reached; an answer that breaks off is a lost one."""
        with self._lock:
            order = self._chance.sample(self.nodes, len(self.nodes))
        for port in order:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
            try:
                connection.connect()
            except OSError:
                continue
            try:
                connection.request(method, path, body or None, headers)
                reply = connection.getresponse()
                return reply.status, reply.read()
            except (OSError, http.client.HTTPException):
                self._count("answers that broke off")
                raise Lost from None
            finally:
                connection.close()
        time.sleep(0.1)
        raise Lost

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number


def split(body: bytes) -> list[Item]:
    """The writes of a bulk request."""
    lines = body.splitlines(keepends=True)
    items: list[Item] = []
    at = 0
    while at < len(lines):
        (verb,) = json.loads(lines[at])
        many = 1 if verb == "delete" else 2
        items.append((verb, b"".join(lines[at : at + many])))
        at += many
    return items


def _handler(proxy: Unreliable) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
            try:
                status, content = proxy.exchange(self.command, self.path, headers, body)
            except Lost:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-elastic-product", "Elasticsearch")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, TimeoutError):  # the client was killed
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
