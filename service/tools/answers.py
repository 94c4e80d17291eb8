"""What each tool answers, from the index: one function each."""

from __future__ import annotations

import time

from codequarry.errors import BadInput
from codequarry.search.exact import Definition, Exact, Line
from codequarry.service.backend import Backend, Overview
from codequarry.service.hits import window
from codequarry.service.security import Caller
from codequarry.service.tools.arguments import BuildContext, FindDefinitions, Grep, ListRepos, ReadFile, SearchCode
from codequarry.service.tools.page import (
    LINES,
    MOST_TOKENS,
    WIDTH,
    Page,
    clean,
    numbered,
    place,
    shortened,
    shown,
    shown_line,
    version,
    visible,
)
from codequarry.service.tools.results import (
    Citation,
    ContextResult,
    DefinitionsResult,
    FileResult,
    FoundCode,
    FoundDefinition,
    FoundLine,
    GrepResult,
    RelatedCode,
    Reply,
    Repo,
    ReposResult,
    SearchResult,
)
from codequarry.text import count_tokens
from codequarry.types import Hit


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
    notes = shown(answer.notes)
    hint = "" if page.items else "Ask in other words, leave out a filter, or try grep for an exact text."
    result = SearchResult(
        hits=page.items,
        total=answer.total,
        notes=notes,
        hint=hint,
        next_cursor=page.cursor(asked.start, answer.next_cursor),
    )
    return page.reply(result, "Nothing found.")


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
        title = f"{clean(one.repo)} {clean(one.path)} ({version(one.branch, one.commit, one.modified)})"
        text, _ = shown_line(one.text)
        line = FoundLine(**place(one), line=one.line, text=text)
        if not page.add(f"{'' if title == before else f'{title}{chr(10)}'}{one.line}: {text}", line):
            break
        before = title
    hint = "" if page.items else "Case counts unless ignore_case is set; literal takes the pattern as it stands."
    result = GrepResult(
        lines=page.items, notes=shown(found.notes), hint=hint, next_cursor=page.cursor(asked.start, found.next_start)
    )
    return page.reply(result, "No line matches.")


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
        text, cut = shown_line(row)
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
        notes=[f"Lines of more than {WIDTH} characters are cut."] if is_cut else [],
        next_cursor=str(last + 1) if len(kept) < len(lines) else None,
    )
    page = Page()
    title = f"{result.repo} {result.path}:{first}-{last} ({version(result.branch, file.commit, file.modified)})"
    page.add("\n".join([title, *numbered(kept, first)]), result)
    return page.reply(result, "")


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
    return page.reply(result, "No repositories.")


def find_definitions(backend: Backend, caller: Caller, asked: FindDefinitions) -> Reply:
    """Definitions of a name."""
    found: Exact[Definition] = backend.definitions(
        caller, asked.name, filters=asked.filters(), limit=asked.limit, start=asked.start
    )
    page = Page()
    for one in found.found:
        rows = one.text.split("\n")
        lines = shortened(rows)
        item = FoundDefinition(
            **place(one),
            name=clean(one.name),
            kind=one.kind,
            line=one.line,
            end_line=one.line + len(lines) - 1,
            breadcrumb=clean(one.breadcrumb),
            language=one.language,
            text="\n".join(lines),
            truncated=len(lines) < len(rows),
        )
        title = f"{item.kind} {item.name}  {item.repo} {item.path}:{item.line} ({version(one.branch, one.commit, one.modified)})"
        if not page.add("\n".join([title, *numbered(lines, one.line)]), item):
            break
    hint = "" if page.items else "Case counts. search_code finds names that are written otherwise, grep finds uses."
    result = DefinitionsResult(
        definitions=page.items,
        notes=shown(found.notes),
        hint=hint,
        next_cursor=page.cursor(asked.start, found.next_start),
    )
    return page.reply(result, f"Nothing defines {clean(asked.name)}.")


def build_context(backend: Backend, caller: Caller, asked: BuildContext) -> Reply:
    """A context with citations."""
    prompt = backend.prompt(caller, asked.question, budget=asked.budget, format=asked.format, filters=asked.filters())
    text = visible(prompt.text)
    result = ContextResult(
        text=text,
        tokens=prompt.tokens,
        citations=[
            Citation(**place(block), label=block.label, start_line=block.start_line, end_line=block.end_line)
            for block in prompt.blocks
        ],
        dropped=len(prompt.dropped),
        notes=shown(prompt.notes),
        hint="" if prompt.blocks else "Ask in other words, leave out a filter, or give a larger budget.",
    )
    page = Page()
    if prompt.blocks:
        page.add(text, result)
    return page.reply(result, "Nothing found.")


def _hit(number: int, hit: Hit) -> tuple[FoundCode, str]:
    """The hit in both forms: of a long chunk the lines with the most matches."""
    rows = hit.text.split("\n")
    shown_lines = window(hit.start_line, len(rows), sorted(hit.matched_lines), LINES, hit.symbol_line)
    at = shown_lines.start - hit.start_line
    lines = shortened(rows[at : at + len(shown_lines)])
    found = FoundCode(
        **place(hit),
        start_line=shown_lines.start,
        end_line=shown_lines.start + len(lines) - 1,
        language=hit.language,
        symbol=clean(hit.symbol),
        kind=hit.kind,
        score=round(hit.score, 4),
        text="\n".join(lines),
        truncated=len(lines) < len(rows),
        more_matches=hit.more_matches,
        related=[
            RelatedCode(**place(one), start_line=one.start_line, end_line=one.end_line, symbol=clean(one.symbol))
            for one in hit.related
        ],
    )
    also = f"; also in {len(hit.also_in)} more places" if hit.also_in else ""
    more = f"; {hit.more_matches} more places match, grep lists every line" if hit.more_matches else ""
    beside = "".join(
        f"\n   also lines {one.start_line}-{one.end_line}{f' {clean(one.symbol)}' if one.symbol else ''}"
        for one in hit.snippets
    ) + "".join(
        f"\n   related {one.path}:{one.start_line}-{one.end_line} {one.symbol}".rstrip() for one in found.related
    )
    title = (
        f"{number}. {found.repo} {found.path}:{found.start_line}-{found.end_line} {found.symbol}".rstrip()
        + f" ({version(hit.branch, hit.commit, hit.modified)}{more}{also})"
    )
    return found, "\n".join([title, *numbered(lines, found.start_line)]) + beside


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
