"""The real service on a real socket. Every answer is compared with the OpenAPI document that the service gives of itself."""

from __future__ import annotations

import http.client
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import uvicorn
from builders import EMBEDDER, RECIPE, publish
from commandline import FILES

from codequarry.service.app import create_app
from codequarry.service.commands.serve import listen
from codequarry.settings import Settings
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Skipped, Source

SHOP = Source("example.org/acme/shop", "main")
SHOP_DEV = Source("example.org/acme/shop", "dev")
VAULT = Source("example.org/acme/vault", "main")  # for the group staff alone
SECRET = "def unlock(door):\n    # the only way into the vault is retry after retry\n    return door\n"


def make_index(folder: Path) -> Path:
    """An index of a repository that everyone sees, on two branches, and one that staff sees."""
    store = EmbeddedStore(folder, create=True)
    store.prepare(EMBEDDER, RECIPE)
    skipped = [Skipped("logo.bin", "binary"), Skipped("dist/app.js", "generated", "marked in .gitattributes")]
    publish(store, SHOP, FILES, lines=20, skipped=skipped, web="https://github.com/acme/shop")
    publish(store, SHOP_DEV, FILES | {"src/new.py": "def jitter():\n    return 0\n"}, lines=20, default=False)
    publish(store, VAULT, {"vault.py": SECRET}, access=("staff",))
    store.close()
    return folder


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Running:
    """A service in a thread of this process."""

    def __init__(self, settings: Settings, **options) -> None:
        self.app = create_app(settings, **options)
        self.parts = self.app.state.parts
        self._listening = listen("127.0.0.1", 0)
        self.port = self._listening.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, access_log=False, lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]})

    def __enter__(self):
        self._thread.start()
        assert self.ask("GET", "/v1/health").status == 200
        return self

    def __exit__(self, *_) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, target, body=None, *, key="", headers=None, raw=None, check=True) -> Reply:
        """A request; `body` goes as JSON, `raw` as it stands (an iterable of bytes in pieces without a length)."""
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, data, sent | (headers or {}))
            answer = connection.getresponse()
            reply = Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        if check:
            fits(self.app.openapi(), method, target, reply)
        return reply


def fits(document, method, target, reply: Reply) -> None:
    """Whether an answer is one that the OpenAPI document promises."""
    path = unquote(urlsplit(target).path)
    assert reply.headers["X-Request-Id"]
    operation = next(
        (
            methods[method.lower()]
            for template, methods in document["paths"].items()
            if method.lower() in methods and re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(template)), path)
        ),
        None,
    )
    if operation is None:
        return
    promised = operation["responses"].get(str(reply.status))
    assert promised, f"{method} {target}: {reply.status} is not in the document: {reply.body[:300]!r}"
    if not reply.body:
        return
    kind = reply.headers["Content-Type"].partition(";")[0]
    assert kind in promised["content"], (kind, promised["content"].keys())
    if kind.endswith("json"):
        schema = promised["content"].get("application/json", promised["content"][kind])["schema"]
        jsonschema.validate(reply.json, {**schema, "components": document["components"]})
