"""What the contract suite stores, and how it asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from builders import EMBEDDER

from codequarry import text
from codequarry.ports import Store
from codequarry.types import Candidate, Pattern, Request, Scope, Source

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")
OTHER = Source("github.com/acme/web", "main")
FOLDER = Source("github.com/acme/api", "worktree:/home/ada/api")

PARSER = """def parse_json(data):
    # reads a document
    return decode(data)


class JsonError(Exception):
    # raised by the parser
    code = 7
"""
SERVER = """package server

func openSocket(port int) error {
	return listen(port)
}

func closeSocket() {
	shutdown()
}
"""
FILES = {"src/parser.py": PARSER, "server/socket.go": SERVER, "README.md": "# Manual\nHow to parse and to listen.\n"}


def found(store: Store, **fields: Any) -> list[tuple[str, int]]:
    """Path and first line of what a request finds."""
    return [(one.path, one.start_line) for one in candidates(store, **fields)]


def candidates(store: Store, **fields: Any) -> list[Candidate]:
    """What a request finds; `terms` and `near` may be plain words (of which whole forms count), scope fields go there."""
    scope = {name: fields.pop(name) for name in list(fields) if name in Scope.__dataclass_fields__}
    if isinstance(terms := fields.get("terms"), str):
        fields["terms"] = tuple(text.terms(word).split()[0] for word in terms.split())
    if isinstance(near := fields.pop("near", None), str):
        fields["vector"] = EMBEDDER.embed_question(near)
    return store.retrieve(Request(scope=Scope(**scope), **fields)).candidates


def every(store: Store, **scope: Any) -> set[str]:
    """The paths of all chunks in a scope: by words, by vectors and by pattern they must be the same."""
    by_pattern = {one.path for one in candidates(store, patterns=(Pattern(""),), **scope)}
    by_vector = {one.path for one in candidates(store, near="parse json listen port manual", **scope)}
    by_words = {one.path for one in candidates(store, terms="everywhere", **scope)}
    assert by_pattern == by_vector == by_words
    return by_pattern


def with_everywhere(files: Mapping[str, str]) -> dict[str, str]:
    """The files with a word that all chunks have."""
    return {path: re.sub(r"(?m)$", " everywhere", content.rstrip("\n")) + "\n" for path, content in files.items()}
