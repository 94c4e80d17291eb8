"""The MCP tools, one row each: what they take, what they give, and how that reads as text.

An answer has two forms, compact text for a model and structured content for programs; neither has more than about `MOST_TOKENS`
tokens, and `next_cursor` leads on. An empty answer says why it is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from codequarry.service.backend import Backend
from codequarry.service.security import Caller
from codequarry.service.tools.answers import build_context, find_definitions, grep, list_repos, read_file, search_code
from codequarry.service.tools.arguments import BuildContext, FindDefinitions, Grep, ListRepos, ReadFile, SearchCode
from codequarry.service.tools.page import MOST_TOKENS, clean
from codequarry.service.tools.results import (
    ContextResult,
    DefinitionsResult,
    FileResult,
    GrepResult,
    Reply,
    ReposResult,
    Result,
    SearchResult,
)

__all__ = ["MOST_TOKENS", "TOOLS", "Reply", "Tool", "clean"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A row. `scope`: what a key must have for it."""

    name: str
    title: str
    description: str
    scope: str
    arguments: type[BaseModel]
    result: type[Result]
    answer: Callable[[Backend, Caller, Any], Reply]


TOOLS = (
    Tool(
        "search_code",
        "Search code",
        "Finds the code that answers a question or does what is described, over all repositories, the best first. Ask for what "
        "the code does, with names where you know them. Use grep for an exact text and find_definitions for a name.",
        "search",
        SearchCode,
        SearchResult,
        search_code,
    ),
    Tool(
        "grep",
        "Search lines",
        "Lists every line that matches a regular expression or literal text, by repository and path. For exact strings: error "
        "messages, configuration keys, uses of a name.",
        "search",
        Grep,
        GrepResult,
        grep,
    ),
    Tool(
        "read_file",
        "Read a file",
        "Returns a file, or some of its lines, as indexed, with line numbers. Use repo and path as another tool gave them.",
        "read",
        ReadFile,
        FileResult,
        read_file,
    ),
    Tool(
        "list_repos",
        "List repositories",
        "Lists the repositories that can be searched, with branches, size and how fresh they are.",
        "read",
        ListRepos,
        ReposResult,
        list_repos,
    ),
    Tool(
        "find_definitions",
        "Find definitions",
        "Lists where a function, class, type, constant or the like of this name is defined, with the code.",
        "search",
        FindDefinitions,
        DefinitionsResult,
        find_definitions,
    ),
    Tool(
        "build_context",
        "Build a context",
        "Collects the code that answers a question into one text within a budget of tokens, each piece cited. One call in place "
        "of several searches and reads.",
        "search",
        BuildContext,
        ContextResult,
        build_context,
    ),
)
