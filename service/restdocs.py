"""`docs/rest.md` and the page `/v1/docs`, made from the OpenAPI document and the examples below, which the tests run."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Example:
    """A request that a reader can send as it stands to a service that has indexed `example.org/acme/shop`."""

    operation: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    status: int = 200

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def curl(self) -> str:
        """As a command."""
        words = ["curl"]
        if self.method != "GET" and not (self.method == "POST" and self.body is not None):
            words += ["-X", self.method]
        words += ['-H "Authorization: Bearer $CODEQUARRY_API_KEY"', f"'http://127.0.0.1:8765{self.target}'"]
        if self.body is not None:
            body = json.dumps(self.body, ensure_ascii=False).replace("'", "'\\''")
            words += ["\\\n  --json", f"'{body}'"]
        return " ".join(words)


SHOP = "example.org/acme/shop"

EXAMPLES = (
    Example("health", "GET", "/v1/health"),
    Example("ready", "GET", "/v1/ready"),
    Example("search", "POST", "/v1/search", body={"query": "where are payments retried", "lang": "python", "limit": 3}),
    Example("search", "POST", "/v1/search", body={"query": 'symbol:charge path:src/** "attempts"', "explain": True}),
    Example("prompt", "POST", "/v1/prompt", body={"question": "what happens when a payment fails?", "budget": 1500}),
    Example(
        "file", "GET", "/v1/file", {"repo": "acme/shop", "path": "src/client.py", "start_line": "1", "end_line": "5"}
    ),
    Example(
        "feedback",
        "POST",
        "/v1/feedback",
        body={"question": "where are payments retried", "repo": SHOP, "path": "src/client.py", "answers": True},
        status=201,
    ),
    Example("list_repositories", "GET", "/v1/repositories", {"name": "shop"}),
    Example("one_repository", "GET", f"/v1/repositories/{SHOP}"),
    Example("coverage", "GET", "/v1/coverage", {"repo": SHOP, "only": "skipped"}),
    Example(
        "register",
        "POST",
        "/v1/repositories",
        body={"url": "https://example.org/acme/pay.git", "branches": ["main", "release/*"]},
        status=201,
    ),
    Example("change", "PATCH", "/v1/repositories/example.org/acme/pay", body={"state": "paused"}),
    Example("want", "POST", "/v1/jobs", body={"repo": "example.org/acme/pay"}, status=202),
    Example("list_jobs", "GET", "/v1/jobs", {"repo": "example.org/acme/pay", "state": "waiting"}),
    Example("cancel", "POST", "/v1/jobs/cancel", body={"repo": "example.org/acme/pay"}),
    Example("retry", "POST", "/v1/jobs/retry", body={"repo": "example.org/acme/pay"}),
    Example("remove", "DELETE", "/v1/repositories/example.org/acme/pay", status=204),
    Example("metrics", "GET", "/v1/metrics"),
)
"""In an order in which they can be sent one after another."""


_REQUIRED = ", required"


def markdown_page(document: dict[str, Any]) -> str:
    """`docs/rest.md`."""
    lines = [
        "<!-- Made by `python -m codequarry.service.docs`; a test checks that it is current, another sends every example. -->",
        "",
        "# REST",
        "",
        document["info"]["description"],
        "",
        "```sh",
        "codequarry serve                      # http://127.0.0.1:8765, this machine only",
        "codequarry keys new me --scope search --scope read --scope admin --scope webhook",
        "```",
        "",
        "The OpenAPI document is at `/v1/openapi.json`, this page at `/v1/docs`. A key goes into `Authorization: Bearer KEY` or",
        "`X-Api-Key: KEY`; without `CODEQUARRY_API_KEYS` none is asked for, and only this machine is answered.",
        "",
    ]
    for path, method, operation in _listed(document):
        lines += [f"## {operation['summary']}", "", f"`{method} {path}`{_scope(operation)}", ""]
        lines += _arguments(document, operation)
        for example in EXAMPLES:
            if example.operation == operation["operationId"]:
                lines += ["```sh", example.curl(), "```", ""]
        answers = ", ".join(
            f"{status}" for status in operation["responses"] if int(status) < 400 or status in ("404", "409")
        )
        lines += [f"Answers {answers}.", ""]
    return "\n".join(lines)


def html_page(document: dict[str, Any]) -> str:
    """`/v1/docs`: the same as a page that loads nothing from anywhere."""
    body = []
    for path, method, operation in _listed(document):
        rows = "".join(
            f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(kind)}</td><td>{_prose(says)}</td></tr>"
            for name, kind, says in _rows(document, operation)
        )
        examples = "".join(
            f"<pre>{html.escape(example.curl())}</pre>"
            for example in EXAMPLES
            if example.operation == operation["operationId"]
        )
        body.append(
            f"<h2>{html.escape(operation['summary'])}</h2><p><code>{method} {html.escape(path)}</code>{_scope(operation)}</p>"
            f"{f'<table>{rows}</table>' if rows else ''}{examples}"
        )
    style = (
        "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto;padding:.7rem;"
    )
    style += "background:#8881}td{padding:.1rem .8rem .1rem 0;vertical-align:top}:root{color-scheme:light dark}"
    says = "".join(f"<p>{_prose(part)}</p>" for part in document["info"]["description"].split("\n\n"))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>codequarry</title><style>{style}</style>'
        f"<h1>codequarry {html.escape(document['info']['version'])}</h1>{says}"
        f'<p>The OpenAPI document: <a href="openapi.json">openapi.json</a>.</p>{"".join(body)}</html>'
    )


def _prose(text: str) -> str:
    """Text as HTML: what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _listed(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/v1/webhooks")
    ]


def _scope(operation: dict[str, Any]) -> str:
    scopes = [scope for one in operation.get("security", ()) for names in one.values() for scope in names]
    return f", scope {' '.join(scopes)}" if scopes else ", no key needed"


def _arguments(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    rows = _rows(document, operation)
    if not rows:
        return []
    table = [f"| `{name}` | {kind} | {says} |" for name, kind, says in rows]
    return ["| argument | value | meaning |", "|---|---|---|", *table, ""]


def _rows(document: dict[str, Any], operation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The arguments of an operation, what must be given first: name, kind and meaning."""
    rows = [
        (one["name"], _kind(one["schema"], one.get("required", False)), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        required = schema.get("required", ())
        rows += [
            (name, _kind(one, name in required), one.get("description", ""))
            for name, one in schema["properties"].items()
        ]
    return sorted(rows, key=lambda row: not row[1].endswith(_REQUIRED))


def _kind(schema: dict[str, Any], required: bool) -> str:
    options = schema.get("anyOf", [schema])
    names = []
    for one in options:
        if "enum" in one:
            names.append(" or ".join(one["enum"]))
        elif one.get("type") == "array":
            names.append("list of " + " or ".join(one["items"].get("enum", ["texts"])))
        elif one.get("type") != "null":
            names.append(
                {"string": "text", "integer": "number", "boolean": "true or false"}.get(one.get("type", ""), "value")
            )
    default = schema.get("default")
    ends = _REQUIRED if required else f" ({json.dumps(default)})" if default not in (None, "", []) else ""
    return " or ".join(dict.fromkeys(names)) + ends
