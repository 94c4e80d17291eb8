"""What each tool gives, as structured content, and an answer in both of its forms."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel


class Result(BaseModel):
    """What every structured answer has. `hint`: what to do next, where there is nothing to show."""

    notes: list[str] = []
    hint: str = ""
    next_cursor: str | None = None


class Place(BaseModel):
    """Where code stands."""

    repo: str
    branch: str
    commit: str
    path: str
    url: str
    modified: bool


class RelatedCode(Place):
    """Another side of a file that answers: its header, its implementation, its declarations; its lines that answer best."""

    start_line: int
    end_line: int
    symbol: str


class FoundCode(Place):
    """A file that answers; `text` are its lines `start_line` to `end_line`, some of its best chunk when `truncated`.

    `more_matches`: how many more of its chunks match an exact query; `grep` lists every line. `related`: read them with read_file.
    """

    start_line: int
    end_line: int
    language: str
    symbol: str
    kind: str
    score: float
    text: str
    truncated: bool
    more_matches: int
    related: list[RelatedCode]


class SearchResult(Result):
    """Of search_code."""

    hits: list[FoundCode]
    total: int


class FoundLine(Place):
    """A line that matches."""

    line: int
    text: str


class GrepResult(Result):
    """Of grep."""

    lines: list[FoundLine]


class FileResult(Result):
    """Of read_file: the lines `start_line` to `end_line`."""

    repo: str
    branch: str
    commit: str
    path: str
    language: str
    start_line: int
    end_line: int
    modified: bool
    text: str


class Repo(BaseModel):
    """A repository. `ready`: wholly indexed; else `why` says what is missing."""

    repo: str
    branches: list[str]
    files: int
    commit: str
    indexed_at: float
    ready: bool
    why: str
    lag_s: float


class ReposResult(Result):
    """Of list_repos."""

    repos: list[Repo]
    total: int


class FoundDefinition(Place):
    """A definition: `text` begins at `line`."""

    name: str
    kind: str
    line: int
    end_line: int
    breadcrumb: str
    language: str
    text: str
    truncated: bool


class DefinitionsResult(Result):
    """Of find_definitions."""

    definitions: list[FoundDefinition]


class Citation(Place):
    """A piece of the context."""

    label: str
    start_line: int
    end_line: int


class ContextResult(Result):
    """Of build_context."""

    text: str
    tokens: int
    citations: list[Citation]
    dropped: int


@dataclass(slots=True)
class Reply:
    """An answer in both forms."""

    text: str
    result: Result
