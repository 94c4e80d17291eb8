"""A forge that posts: deliveries as each provider sends them, signed as it signs them, to the application itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from codequarry.service.app import create_app
from codequarry.service.providers import PROVIDERS
from codequarry.store import open_ledger
from codequarry.types import Hook

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


BEFORE, AFTER = "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"

# What each payload says: the kind, and the branches with their commits.
KINDS = {
    "push": ("push", {"main": AFTER}),
    "force_push": ("push", {"main": AFTER}),
    "push_after_rename": ("push", {"main": AFTER}),
    "without_links": ("push", {"main": AFTER}),
    "repository_update": ("push", {"main": AFTER}),
    "several": ("push", {"main": AFTER, "feature/x": ""}),
    "branch_created": ("push", {"feature/x": AFTER}),
    "create_branch": ("push", {"feature/x": ""}),  # it does not say which commit
    "branch_deleted": ("push", {"feature/x": ""}),
    "delete_branch": ("push", {"feature/x": ""}),
    "tag": ("tag", {}),
    "create_tag": ("tag", {}),
    "ping": ("ping", {}),
    "renamed": ("renamed", {}),
    "private": ("private", {}),
    "deleted": ("deleted", {}),
    "created": ("created", {}),
    "default_branch": ("changed", {}),
} | dict.fromkeys(("archived", "issue", "merge_request", "comment", "pull_request", "build"), ("other", {}))


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


def secret_of(scheme):
    """The secret that a scheme of SCHEMES uses."""
    return SIGNING if scheme == "gitlab signed" else SECRET


def provider_name(scheme):
    """The provider of a scheme."""
    return scheme.partition(" ")[0]


def read(sent):
    """What the provider reads in the delivery."""
    return PROVIDERS[sent.provider].read(sent.lower(), json.loads(sent.body))


def altered(sent, random_):
    """The delivery with one thing changed that its proof covers, and what was done."""
    headers, body = dict(sent.headers), bytearray(sent.body)
    proofs = [name for name in headers if name.lower() in PROVIDERS[sent.provider].needs]
    covers_body = sent.provider != "azure" and "X-Gitlab-Token" not in headers
    what = random_.choice(["body"] * 3 * covers_body + ["proof"] * 3 + ["missing", "empty", "other secret"] + ["time"])
    if what == "body":
        at = random_.randrange(len(body))
        how = random_.randrange(5)
        if how == 0:
            body[at] ^= 1 << random_.randrange(8)
        elif how == 1:
            del body[at : at + random_.randint(1, 20)]
        elif how == 2:
            body[at:at] = secrets.token_bytes(random_.randint(1, 20))
        elif how == 3:
            body += random_.choice([b" ", b"\n", b"\0", b"{}"])
        else:
            body = body[:at]
    elif what == "proof":
        for name in proofs:
            headers[name] = _other(headers[name], random_)
    elif what == "missing":
        for name in proofs:
            del headers[name]
    elif what == "empty":
        headers |= dict.fromkeys(proofs, "")
    elif what == "time" and "webhook-timestamp" in headers:
        name = random_.choice(["webhook-timestamp", "webhook-id"])
        headers[name] = random_.choice(
            ["", "0", "1800000001", "-1", "1e9", "１８０００００００１", headers[name] + "0"]
        )
        if headers[name].isascii() is False:
            headers[name] = headers[name].encode().decode("latin-1")
    else:
        return sign(
            Delivery(sent.provider, headers, bytes(body)), f"whsec_{'A' * 32}" if "webhook-id" in headers else "wrong"
        )
    return Delivery(sent.provider, headers, bytes(body))


def _other(value, random_):
    """A proof that is another one: a letter of it changed, cut short, made longer, or something else altogether."""
    if value.startswith("Basic "):
        user, _, password = base64.b64decode(value[6:]).decode().partition(":")
        return "Basic " + base64.b64encode(f"{user}:{_other(password, random_)}".encode()).decode()
    prefix, sign_, rest = value.partition("=") if value.startswith("sha256=") else ("", "", value)
    at = random_.randrange(len(rest))
    letter = random_.choice([letter for letter in "0123456789abcdef" if letter != rest[at].lower()])
    return (
        prefix
        + sign_
        + random_.choice(
            [
                rest[:at] + letter + rest[at + 1 :],
                rest[:at],
                rest[1:],
                rest[:-6] + "\xe9" + rest[-5:],
                "0" * len(rest),
                secrets.token_hex(32),
                "",
                "none",
            ]
        )
    )


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


def hook(service, provider, repo="", *keys, name="0123456789abcdef"):
    """Makes a webhook with an address of its own; its name."""
    service.ledger.save_hook(Hook(name, provider, repo, keys or (SECRET,)))
    return name
