"""What has an exact answer: the lines that match a pattern, and the places that define a name. No ranking; in order of place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from codequarry.errors import BadInput
from codequarry.ports import Store
from codequarry.search import empty
from codequarry.search.query import Item, Query, regex_problem
from codequarry.search.retrieve import ANYTHING, MORE_MATCHES
from codequarry.search.scope import Resolved, resolve, visible
from codequarry.search.snippets import best_place, permalink
from codequarry.types import Candidate, Request

_BATCH = 64  # of so many chunks the texts are read at once
_MOST_PATTERN = 1000  # characters
_SEPARATOR = re.compile(r"\.|::|#|->")

Filters = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that matches."""

    repo: str
    branch: str
    commit: str
    path: str
    line: int
    text: str
    language: str
    url: str
    modified: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """A place that defines a name. `text` goes from its line to the end of its chunk, `end_line`."""

    name: str
    kind: str
    repo: str
    branch: str
    commit: str
    path: str
    line: int
    end_line: int
    breadcrumb: str
    language: str
    text: str
    url: str
    modified: bool = False


Found = TypeVar("Found", Line, Definition)


@dataclass(slots=True)
class Exact(Generic[Found]):
    """Some of the places. `next_start`: how many come before the next page, None at the end."""

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next_start: int | None = None
    chunks: int = 0  # how many chunks match in all


def grep(
    store: Store,
    pattern: str,
    *,
    regex: bool = True,
    ignore_case: bool = False,
    filters: Filters | None = None,
    limit: int = 100,
    start: int = 0,
    access: tuple[str, ...] | None = None,
) -> Exact[Line]:
    """The lines that a pattern matches, all of them in the end: `start` is the `next_start` of the page before.

    Raises:
        BadInput: a pattern that re2 refuses, that is empty or too long, or a filter that cannot be.
    """
    source = _source(pattern, regex=regex, ignore_case=ignore_case)
    query = Query((Item("regex", source),))
    states = visible(store.sources(), access)
    resolved = resolve(query, states, _listed(filters), access)
    answer: Exact[Line] = Exact(notes=_notes(resolved))
    candidates = _matching(store, Request(resolved.scope, words=0, vectors=0, matches=MORE_MATCHES), answer)
    if not candidates:
        answer.notes += empty.reasons(store, states, resolved, Request(resolved.scope), "")
        return answer
    from codequarry.store.prefilter import LinePattern

    (asked,) = query.patterns()
    matcher, seen = LinePattern(asked), 0
    for candidate, text in _with_texts(store, candidates):
        numbers = matcher.lines(text.encode("utf-8", "surrogateescape"))
        if seen + len(numbers) <= start:
            seen += len(numbers)
            continue
        rows = text.split("\n")
        for number in numbers:
            seen += 1
            if seen <= start:
                continue
            if len(answer.found) == limit:
                answer.next_start = start + limit
                return answer
            answer.found.append(_line(candidate, candidate.start_line + number, rows[number].removesuffix("\r")))
    return answer


def definitions(
    store: Store,
    name: str,
    *,
    filters: Filters | None = None,
    limit: int = 20,
    start: int = 0,
    access: tuple[str, ...] | None = None,
) -> Exact[Definition]:
    """The places that define a name; `Class.method` asks for those that stand within `Class`. Case counts.

    Raises:
        BadInput: no name, or a filter that cannot be.
    """
    within, last = _qualified(name)
    states = visible(store.sources(), access)
    resolved = resolve(Query((Item("symbol", last),)), states, _listed(filters), access)
    answer: Exact[Definition] = Exact(notes=_notes(resolved))
    scope = replace(resolved.scope, patterns=(ANYTHING,))
    candidates = _matching(store, Request(scope, words=0, vectors=0, matches=MORE_MATCHES), answer)
    if not candidates:
        answer.notes += empty.reasons(store, states, resolved, Request(scope), "")
        return answer
    places = [
        (candidate, symbol)
        for candidate in candidates
        for symbol in candidate.symbols
        if symbol.name == last and all(part in _words(candidate.breadcrumb, candidate.path) for part in within)
    ]
    if not places:
        answer.notes.append(f"{last} is defined, but nowhere within {' '.join(within)}; ask for {last} alone.")
    page = places[start : start + limit]
    texts = store.texts([candidate for candidate, _ in page])
    for (candidate, symbol), text in zip(page, texts, strict=True):
        place = best_place(candidate.places)
        at = max(min(symbol.line, candidate.end_line), candidate.start_line)
        answer.found.append(
            Definition(
                symbol.name,
                symbol.kind,
                candidate.repo,
                place.head,
                place.commit,
                candidate.path,
                at,
                candidate.end_line,
                candidate.breadcrumb,
                candidate.language,
                "\n".join(text.split("\n")[at - candidate.start_line :]),
                permalink(place, candidate.path, at, candidate.end_line),
                place.modified,
            )
        )
    answer.next_start = start + limit if len(places) > start + limit else None
    return answer


# ------------------------------------------------------------------------------------------------------------------ parts


def _source(pattern: str, *, regex: bool, ignore_case: bool) -> str:
    """The pattern in re2's syntax."""
    if not pattern or not pattern.strip("\n"):
        raise BadInput("The pattern is empty.", hint="Give a text, or a regular expression.")
    if len(pattern) > _MOST_PATTERN:
        raise BadInput(f"The pattern has {len(pattern):,} characters; {_MOST_PATTERN:,} is the most.")
    if "\n" in pattern or "\r" in pattern:
        raise BadInput("A pattern matches within one line.", hint="Ask for each line on its own.")
    source = pattern if regex else re.escape(pattern)
    if problem := regex_problem(source):
        raise BadInput(
            f"The regular expression cannot be read: {problem[0]}.",
            hint="Its syntax is re2's: no look-around, no back-references. Or ask for the text as it stands.",
        )
    return f"(?i){source}" if ignore_case else source


def _qualified(name: str) -> tuple[list[str], str]:
    """What a name stands within, and its last part."""
    parts = [part for part in _SEPARATOR.split(name.strip().removesuffix("()")) if part]
    if not parts or any(char.isspace() for part in parts for char in part):
        raise BadInput(f"{name[:80]!r} is no name.", hint="Give a name as it is written in the code, like Client.send.")
    return parts[:-1], parts[-1]


def _words(breadcrumb: str, path: str) -> set[str]:
    return {*re.findall(r"\w+", breadcrumb), *re.findall(r"\w+", path)}


def _listed(filters: Filters | None) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in (filters or {}).items()}


def _notes(resolved: Resolved) -> list[str]:
    return [*resolved.notes, *resolved.dead, *empty.building(resolved.states)]


def _matching(store: Store, request: Request, answer: Exact[Found]) -> list[Candidate]:
    """Every chunk that matches, in order of its place; a note where there are too many."""
    if request.scope.sources == ():
        return []
    retrieved = store.retrieve(request)
    answer.notes += retrieved.notes
    answer.chunks = max(retrieved.total, len(retrieved.candidates))
    if len(retrieved.candidates) >= request.matches:
        answer.notes.append(f"Only {request.matches:,} of the matching chunks are looked at; narrow the filters.")
    return sorted(retrieved.candidates, key=lambda one: (one.repo, one.path, one.start_line, one.blob))


def _with_texts(store: Store, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, str]]:
    for at in range(0, len(candidates), _BATCH):
        batch = candidates[at : at + _BATCH]
        yield from zip(batch, store.texts(batch), strict=True)


def _line(candidate: Candidate, number: int, text: str) -> Line:
    place = best_place(candidate.places)
    return Line(
        candidate.repo,
        place.head,
        place.commit,
        candidate.path,
        number,
        text,
        candidate.language,
        permalink(place, candidate.path, number, number),
        place.modified,
    )
