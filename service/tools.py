"""The MCP tools, one row each: what they take, what they give, and how that reads as text.

An answer has two forms, compact text for a model and structured content for programs; neither has more than about `MOST_TOKENS`
tokens, and `next_cursor` leads on. An empty answer says why it is empty. Code comes from repositories, where anyone may have
written anything: each line of it stands behind its number, and characters that hide or reorder text are shown as escapes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codequarry.errors import BadInput
from codequarry.search.exact import Definition, Exact, Line
from codequarry.search.query import FILTERS
from codequarry.service.backend import Backend, Overview
from codequarry.service.hits import window
from codequarry.service.security import Caller
from codequarry.text import count_tokens
from codequarry.types import Hit

MOST_TOKENS = 8000
"""Of one form of an answer; a model that asks has other things to keep in mind."""

_LINES = 40  # of a hit or a definition that are shown
_NOTES, _NOTE = 10, 300  # notes, and characters of one
_WIDTH = 400  # characters of a line that are shown: longer ones are data, or minified
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\U000e0000-\U000e0fff]"
)

# ------------------------------------------------------------------------------------------------------------- arguments

Values = str | list[str] | None


class Arguments(BaseModel):
    """Arguments of a tool; one that is not known is an error, so that a misspelt filter never finds everything."""

    model_config = ConfigDict(extra="forbid")


class Filters(Arguments):
    """Arguments that narrow what is looked at."""

    repo: Values = Field(
        None, description="Only these repositories: full name, the end of it, or a glob (list_repos lists them)."
    )
    lang: Values = Field(None, description="Only these languages, such as python.")
    path: Values = Field(None, description="Only these paths, as globs: src/**, *.py, **/test_*.")
    branch: Values = Field(None, description="These branches in place of each repository's default.")
    cursor: Annotated[str, Field(pattern="^[0-9]{1,9}$")] | None = Field(
        None, description="next_cursor of the answer before, to go on there."
    )

    def filters(self) -> dict[str, Any]:
        """Those that are set, as `Engine.search` takes them."""
        return {name: value for name in FILTERS if (value := getattr(self, name, None))}

    @property
    def start(self) -> int:
        """How many come before this page."""
        return int(self.cursor or 0)


class SearchCode(Filters):
    """Arguments of search_code."""

    query: str = Field(
        min_length=1,
        max_length=65536,
        description='What the code does, in words, or names in it. "exact phrase", /regex/ and -word also work.',
    )
    kind: Values = Field(None, description="Only chunks of this kind: code, docs, config, function, class, …")
    symbol: Values = Field(None, description="Only chunks that define this name.")
    limit: int = Field(10, ge=1, le=50)


class Grep(Filters):
    """Arguments of grep."""

    pattern: str = Field(
        min_length=1, max_length=1000, description="A regular expression in re2's syntax, matched within a line."
    )
    literal: bool = Field(False, description="Take the pattern as it stands, not as a regular expression.")
    ignore_case: bool = False
    limit: int = Field(100, ge=1, le=500, description="The most lines.")


class ReadFile(Arguments):
    """Arguments of read_file."""

    repo: str = Field(min_length=1, max_length=1000, description="Full name of the repository, or the end of it.")
    path: str = Field(min_length=1, max_length=4096, description="From the repository's root.")
    branch: str | None = Field(None, max_length=1000)
    start_line: int | None = Field(None, ge=1, description="First line, from 1.")
    end_line: int | None = Field(None, ge=1, description="Last line, included.")
    cursor: Annotated[str, Field(pattern="^[0-9]{1,9}$")] | None = Field(
        None, description="next_cursor of the answer before."
    )


class ListRepos(Arguments):
    """Arguments of list_repos."""

    name: str = Field("", max_length=1000, description="Part of the name, in any case.")
    limit: int = Field(50, ge=1, le=200)
    cursor: Annotated[str, Field(pattern="^[0-9]{1,9}$")] | None = Field(
        None, description="next_cursor of the answer before."
    )


class FindDefinitions(Filters):
    """Arguments of find_definitions."""

    name: str = Field(
        min_length=1, max_length=1000, description="The name as it is written, or qualified: Client.send."
    )
    limit: int = Field(20, ge=1, le=100)


class BuildContext(Filters):
    """Arguments of build_context."""

    question: str = Field(min_length=1, max_length=65536)
    budget: int = Field(6000, ge=100, le=7000, description="The most tokens of the context.")
    format: Literal["markdown", "xml", "json"] = "markdown"


# --------------------------------------------------------------------------------------------------------------- results


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


class FoundCode(Place):
    """A file that answers; `text` are its lines `start_line` to `end_line`, some of its best chunk when `truncated`."""

    start_line: int
    end_line: int
    language: str
    symbol: str
    kind: str
    score: float
    text: str
    truncated: bool


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


class Page:
    """Collects the pieces of an answer until they have as many tokens as it may."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.items: list[Any] = []
        self._tokens = self._structured = 0
        self.is_full = False

    def add(self, text: str, item: BaseModel) -> bool:
        """Adds a piece when there is room for it, and the first one always; whether it did."""
        tokens = self._tokens + count_tokens(text)
        structured = self._structured + count_tokens(item.model_dump_json())
        if self.items and max(tokens, structured) > MOST_TOKENS:
            self.is_full = True
            return False
        self._tokens, self._structured = tokens, structured
        self.text.append(text)
        self.items.append(item)
        return True


# ----------------------------------------------------------------------------------------------------------------- tools


def search_code(backend: Backend, caller: Caller, asked: SearchCode) -> Reply:
    """Ranked code."""
    answer = backend.search(
        caller, asked.query, filters=asked.filters(), limit=asked.limit, cursor=asked.cursor and str(asked.start)
    )
    page = Page()
    for number, hit in enumerate(answer.hits, asked.start + 1):
        found, text = _hit(number, hit)
        if not page.add(text, found):
            break
    cursor = str(asked.start + len(page.items)) if page.is_full else answer.next_cursor
    notes = shown(answer.notes)
    hint = "" if page.items else "Ask in other words, leave out a filter, or try grep for an exact text."
    result = SearchResult(hits=page.items, total=answer.total, notes=notes, hint=hint, next_cursor=cursor)
    return Reply(_text(page, result, "Nothing found."), result)


def grep(backend: Backend, caller: Caller, asked: Grep) -> Reply:
    """Matching lines, by file."""
    found: Exact[Line] = backend.grep(
        caller,
        asked.pattern,
        filters=asked.filters(),
        regex=not asked.literal,
        ignore_case=asked.ignore_case,
        limit=asked.limit,
        start=asked.start,
    )
    page, before = Page(), ""
    for one in found.found:
        title = f"{clean(one.repo)} {clean(one.path)} ({_version(one.branch, one.commit, one.modified)})"
        text, _ = _line(one.text)
        line = FoundLine(**_place(one), line=one.line, text=text)
        if not page.add(f"{'' if title == before else f'{title}{chr(10)}'}{one.line}: {text}", line):
            break
        before = title
    cursor = asked.start + len(page.items) if page.is_full else found.next_start
    hint = "" if page.items else "Case counts unless ignore_case is set; literal takes the pattern as it stands."
    result = GrepResult(
        lines=page.items, notes=shown(found.notes), hint=hint, next_cursor=None if cursor is None else str(cursor)
    )
    return Reply(_text(page, result, "No line matches."), result)


def read_file(backend: Backend, caller: Caller, asked: ReadFile) -> Reply:
    """A file's lines."""
    first = max(asked.start_line or 1, int(asked.cursor or 1))
    if asked.end_line and asked.end_line < first:
        raise BadInput(f"The lines {first} to {asked.end_line} are in the wrong order.")
    file = backend.read(caller, asked.repo, asked.path, asked.branch, first, asked.end_line)
    lines = file.text.removesuffix("\n").split("\n")
    kept: list[str] = []
    tokens, is_cut = 0, False
    for row in lines:
        text, cut = _line(row)
        tokens += count_tokens(text) + 2  # its number, and the end of the line
        if kept and tokens > MOST_TOKENS - 200:
            break
        kept.append(text)
        is_cut |= cut
    last = first + len(kept) - 1
    result = FileResult(
        repo=clean(file.source.repo),
        branch=clean(file.source.branch),
        commit=file.commit,
        path=clean(file.path),
        language=file.language,
        start_line=first,
        end_line=last,
        modified=file.modified,
        text="\n".join(kept),
        notes=[f"Lines of more than {_WIDTH} characters are cut."] if is_cut else [],
        next_cursor=str(last + 1) if len(kept) < len(lines) else None,
    )
    page = Page()
    title = f"{result.repo} {result.path}:{first}-{last} ({_version(result.branch, file.commit, file.modified)})"
    page.add("\n".join([title, *_numbered(kept, first)]), result)
    return Reply(_text(page, result, ""), result)


def list_repos(backend: Backend, caller: Caller, asked: ListRepos) -> Reply:
    """Repositories."""
    found = [one for one in backend.repositories(caller) if asked.name.lower() in one.repo.lower()]
    start, page = int(asked.cursor or 0), Page()
    for one in found[start : start + asked.limit]:
        repo = _repo(one)
        branches = ", ".join(repo.branches[:8])
        state = "" if repo.ready else f"; not ready: {repo.why}"
        age = f", indexed {_ago(repo.indexed_at)}" if repo.indexed_at else ""
        if not page.add(f"{repo.repo} ({branches}; {repo.files:,} files{age}{state})", repo):
            break
    end = start + len(page.items)
    result = ReposResult(repos=page.items, total=len(found), next_cursor=str(end) if end < len(found) else None)
    if not found:
        result.notes = [
            f"No repository has {asked.name!r} in its name." if asked.name else "Nothing is indexed here yet."
        ]
        result.hint = (
            "list_repos without a name lists all."
            if asked.name
            else "codequarry index, or POST /v1/repositories, adds one."
        )
    return Reply(_text(page, result, "No repositories."), result)


def find_definitions(backend: Backend, caller: Caller, asked: FindDefinitions) -> Reply:
    """Definitions of a name."""
    found: Exact[Definition] = backend.definitions(
        caller, asked.name, filters=asked.filters(), limit=asked.limit, start=asked.start
    )
    page = Page()
    for one in found.found:
        rows = one.text.split("\n")
        lines = _shortened(rows)
        item = FoundDefinition(
            **_place(one),
            name=clean(one.name),
            kind=one.kind,
            line=one.line,
            end_line=one.line + len(lines) - 1,
            breadcrumb=clean(one.breadcrumb),
            language=one.language,
            text="\n".join(lines),
            truncated=len(lines) < len(rows),
        )
        title = f"{item.kind} {item.name}  {item.repo} {item.path}:{item.line} ({_version(one.branch, one.commit, one.modified)})"
        if not page.add("\n".join([title, *_numbered(lines, one.line)]), item):
            break
    cursor = asked.start + len(page.items) if page.is_full else found.next_start
    hint = "" if page.items else "Case counts. search_code finds names that are written otherwise, grep finds uses."
    result = DefinitionsResult(
        definitions=page.items, notes=shown(found.notes), hint=hint, next_cursor=None if cursor is None else str(cursor)
    )
    return Reply(_text(page, result, f"Nothing defines {clean(asked.name)}."), result)


def build_context(backend: Backend, caller: Caller, asked: BuildContext) -> Reply:
    """A context with citations."""
    prompt = backend.prompt(caller, asked.question, budget=asked.budget, format=asked.format, filters=asked.filters())
    text = _HIDDEN.sub(_escape, prompt.text)
    result = ContextResult(
        text=text,
        tokens=prompt.tokens,
        citations=[
            Citation(**_place(block), label=block.label, start_line=block.start_line, end_line=block.end_line)
            for block in prompt.blocks
        ],
        dropped=len(prompt.dropped),
        notes=shown(prompt.notes),
        hint="" if prompt.blocks else "Ask in other words, leave out a filter, or give a larger budget.",
    )
    page = Page()
    if prompt.blocks:
        page.add(text, result)
    return Reply(_text(page, result, "Nothing found."), result)


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

# ----------------------------------------------------------------------------------------------------------------- parts


def clean(text: str) -> str:
    """The text with characters that hide or reorder others, and what is no Unicode, as visible escapes; on one line."""
    return _HIDDEN.sub(_escape, text.replace("\n", "\\n"))


def shown(notes: Iterable[str]) -> list[str]:
    """Notes as they may be shown, and not more than anyone reads: some repeat what was asked."""
    return [note if len(note) <= _NOTE else f"{note[:_NOTE]}…" for note in map(clean, islice(notes, _NOTES))]


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return "" if code == 13 else f"\\u{{{code:x}}}"


def _line(text: str) -> tuple[str, bool]:
    """A line as it may be shown, and whether it was cut."""
    safe = clean(text)
    return (f"{safe[:_WIDTH]}…", True) if len(safe) > _WIDTH else (safe, False)


def _shortened(rows: Sequence[str]) -> list[str]:
    """The first of these lines, as they may be shown: no piece of an answer is more than half of it."""
    kept: list[str] = []
    tokens = 0
    for row in rows[:_LINES]:
        text, _ = _line(row)
        tokens += count_tokens(text) + 2
        if kept and tokens > MOST_TOKENS // 2:
            break
        kept.append(text)
    return kept


def _numbered(lines: Sequence[str], first: int) -> list[str]:
    width = len(str(first + len(lines)))
    return [f"{number:>{width}}| {line}" for number, line in enumerate(lines, first)]


def _version(branch: str, commit: str, modified: bool) -> str:
    return f"{clean(branch)}{f'@{commit[:8]}' if commit else ''}{', modified' if modified else ''}"


def _place(one: Any) -> dict[str, Any]:
    return {
        "repo": clean(one.repo),
        "branch": clean(one.branch),
        "commit": one.commit,
        "path": clean(one.path),
        "url": one.url,
        "modified": one.modified,
    }


def _hit(number: int, hit: Hit) -> tuple[FoundCode, str]:
    """The hit in both forms: of a long chunk the lines with the most matches."""
    rows = hit.text.split("\n")
    shown_lines = window(hit.start_line, len(rows), sorted(hit.matched_lines), _LINES)
    at = shown_lines.start - hit.start_line
    lines = _shortened(rows[at : at + len(shown_lines)])
    found = FoundCode(
        **_place(hit),
        start_line=shown_lines.start,
        end_line=shown_lines.start + len(lines) - 1,
        language=hit.language,
        symbol=clean(hit.symbol),
        kind=hit.kind,
        score=round(hit.score, 4),
        text="\n".join(lines),
        truncated=len(lines) < len(rows),
    )
    also = f"; also in {len(hit.also_in)} more places" if hit.also_in else ""
    beside = "".join(
        f"\n   also lines {one.start_line}-{one.end_line}{f' {clean(one.symbol)}' if one.symbol else ''}"
        for one in hit.snippets
    )
    title = (
        f"{number}. {found.repo} {found.path}:{found.start_line}-{found.end_line} {found.symbol}".rstrip()
        + f" ({_version(hit.branch, hit.commit, hit.modified)}{also})"
    )
    return found, "\n".join([title, *_numbered(lines, found.start_line)]) + beside


def _repo(one: Overview) -> Repo:
    done = [state for state in one.sources if state.indexed_at]
    newest = max(done, key=lambda state: (state.default, state.indexed_at), default=None)
    return Repo(
        repo=clean(one.repo),
        branches=[clean(state.source.branch) for state in one.sources],
        files=sum(state.files for state in done),
        commit=newest.commit if newest else "",
        indexed_at=newest.indexed_at if newest else 0.0,
        ready=one.ready,
        why=clean(one.why),
        lag_s=one.lag_s,
    )


def _ago(at: float) -> str:
    seconds = max(0, int(time.time() - at))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


def _text(page: Page, result: Result, empty: str) -> str:
    """The pieces, then what is to be known about them."""
    ends = [f"note: {note}" for note in result.notes]
    if result.hint:
        ends.append(f"hint: {result.hint}")
    if result.next_cursor:
        ends.append(f"more with cursor={result.next_cursor}")
    return "\n".join(["\n".join(page.text) if page.text else empty, *ends])
