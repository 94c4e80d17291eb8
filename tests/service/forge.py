"""A forge that posts: deliveries as each provider sends them, signed as it signs them, to the application itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from pathlib import Path

from codequarry.service.app import create_app
from codequarry.service.providers import PROVIDERS
from codequarry.store import open_ledger

PAYLOADS = Path(__file__).parent.parent / "payloads"
NAMES = sorted(f"{file.parent.name}/{file.stem}" for file in PAYLOADS.glob("*/*.json"))
SECRET = "correct horse battery staple"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
SCHEMES = [*PROVIDERS, "gitlab signed"]

REPOSITORIES = {
    "github": "https://github.com/acme/shop",
    "gitlab": "https://gitlab.com/acme/backend/shop.git",
    "bitbucket": "git@bitbucket.org:acme/shop.git",
    "bitbucket-server": "https://bitbucket.corp.example/scm/acme/shop.git",
    "gitea": "https://gitea.corp.example/acme/shop.git",
    "forgejo": "https://codeberg.org/acme/shop.git",
    "azure": "https://dev.azure.com/acme/backend/_git/shop",
}


@dataclass
class Delivery:
    """What a forge posts; `provider` is that of its address."""

    provider: str
    headers: dict[str, str]
    body: bytes

    def lower(self):
        return {name.lower(): value for name, value in self.headers.items()}


def delivery(name, secret=SECRET, change=lambda body: None, now=None, **headers):
    """The payload of that name as it is delivered with the secret; `change` may alter what it says before it is signed."""
    provider, _, _ = name.partition("/")
    stored = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    change(stored["body"])
    body = json.dumps(stored["body"], separators=(",", ":"), ensure_ascii=False).encode()
    return sign(Delivery(provider, stored["headers"] | headers, body), secret, now)


def sign(sent, secret=SECRET, now=None):
    """The delivery with the proof that its provider gives."""
    proof = {name: value for name, value in sent.headers.items() if name.lower() not in _PROOFS}
    digest = hmac.new(secret.encode(), sent.body, hashlib.sha256).hexdigest()
    if sent.provider == "github":
        proof["X-Hub-Signature"] = "sha1=" + hmac.new(secret.encode(), sent.body, hashlib.sha1).hexdigest()
        proof["X-Hub-Signature-256"] = f"sha256={digest}"
    elif sent.provider.startswith("bitbucket"):
        proof["X-Hub-Signature"] = f"sha256={digest}"
    elif sent.provider in ("gitea", "forgejo"):
        names = ["X-Gitea-Signature", "X-Gogs-Signature"] + ["X-Forgejo-Signature"] * (sent.provider == "forgejo")
        proof |= dict.fromkeys(names, digest) | {"X-Hub-Signature-256": f"sha256={digest}"}
    elif sent.provider == "azure":
        proof["Authorization"] = "Basic " + base64.b64encode(f"codequarry:{secret}".encode()).decode()
    elif secret.startswith("whsec_"):
        proof["webhook-id"], proof["webhook-timestamp"] = proof["Idempotency-Key"], str(int(now or time.time()))
        said = f"{proof['webhook-id']}.{proof['webhook-timestamp']}.".encode() + sent.body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        proof["webhook-signature"] = "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    else:
        proof["X-Gitlab-Token"] = secret
    return Delivery(sent.provider, proof, sent.body)


_PROOFS = {
    "x-hub-signature",
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-gogs-signature",
    "x-forgejo-signature",
    "x-gitlab-token",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "authorization",
}


class Posting:
    """The application without a socket, and the ledger that it writes to."""

    def __init__(self, settings, queue=None):
        self.settings = settings
        self.app = create_app(settings, queue=queue)
        self.ledger = open_ledger(settings.store, settings)
        self._loop = asyncio.new_event_loop()

    def close(self):
        self._loop.close()
        self.ledger.close()
        self.app.state.parts.backend.close()
        self.app.state.parts.pool.close()

    def post(self, sent, hook="", **more):
        """Status and JSON of the answer."""
        path = f"/v1/webhooks/{sent.provider}" + (f"/{hook}" if hook else "")
        return self._loop.run_until_complete(self.ask(path, sent.headers, [sent.body], **more))

    def post_all(self, sent, hook=""):
        """The answers to deliveries that all arrive at once."""

        async def together():
            path = "/v1/webhooks/{}" + (f"/{hook}" if hook else "")
            return await asyncio.gather(*(self.ask(path.format(one.provider), one.headers, [one.body]) for one in sent))

        return self._loop.run_until_complete(together())

    def raw(self, path, headers, pieces, **more):
        return self._loop.run_until_complete(self.ask(path, headers, pieces, **more))

    async def ask(self, path, headers, pieces, method="POST"):
        pieces = iter(pieces)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "surrogateescape"),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("192.0.2.1", 1234),
            "server": ("127.0.0.1", 80),
        }

        async def receive():
            piece = next(pieces, None)
            if piece is None:
                return {"type": "http.request", "body": b"", "more_body": False}
            if piece == "gone":
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}

        status, body = 0, b""

        async def send(message):
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await self.app(scope, receive, send)
        return status, json.loads(body)
