"""The file view: a file as indexed, with line numbers that can be linked to, its outline, and the lines that a search matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError
from codequarry.search.features import question_of
from codequarry.search.matches import Matcher
from codequarry.search.query import parse
from codequarry.search.retrieve import question_terms
from codequarry.search.snippets import permalink
from codequarry.service.web.address import Address, Pick, file_url
from codequarry.service.web.code import Marker, Row, rows
from codequarry.types import FileText, Place, SourceState, Symbol

if TYPE_CHECKING:
    from codequarry.service.backend import Backend
    from codequarry.service.security import Caller

PART = 4000
"""Lines on a page: a browser is slow with more."""

OUTLINE = 500
"""Definitions in an outline at most."""


@dataclass(slots=True)
class FileView:
    """A part of a file. `parts`: first and last line of each part, and its address."""

    file: FileText
    state: SourceState | None
    rows: list[Row]
    first: int
    count: int
    matched: list[int]
    outline: list[Symbol]
    parts: list[tuple[int, int, str]]
    permalink: str
    pick: str


def view(backend: Backend, caller: Caller, address: Address, repo: str, path: str, branch: str, first: int) -> FileView:
    """The part of a file in which line `first` is.

    Raises:
        RepositoryNotFound, PathNotFound: there is none that the caller sees.
    """
    file = backend.read(caller, repo, path, branch or None)
    body = file.text.removesuffix("\n").split("\n")
    begin = (min(max(first, 1), len(body)) - 1) // PART * PART
    matched = _matched(file.text, address)
    shown = body[begin : begin + PART]
    state = next((one for one in backend.states(caller) if one.source == file.source), None)
    head = state.head if state else ""
    place = Place(file.source, file.commit, head, file.modified, state.web if state else "")
    spans = [(start + 1, min(start + PART, len(body))) for start in range(0, len(body), PART)]
    return FileView(
        file,
        state,
        list(rows(shown, begin + 1, file.language, frozenset(matched), Marker(address.q, plain=address.plain))),
        begin + 1,
        len(body),
        matched,
        _outline(file),
        [(start, end, _part(file, head, address, start)) for start, end in spans] if len(spans) > 1 else [],
        permalink(place, file.path, 1, len(body)).partition("#")[0],
        str(Pick(file.source.repo, head, file.path, file.blob, 1, len(body))),
    )


def more(backend: Backend, caller: Caller, repo: str, path: str, branch: str, first: int, last: int) -> list[Row]:
    """Some lines of a file, as they are wanted above or below a hit; none where the file has no such lines."""
    file = backend.read(caller, repo, path, branch or None)
    body = file.text.removesuffix("\n").split("\n")
    first = max(first, 1)
    return list(rows(body[first - 1 : last], first, file.language)) if first <= last else []


def _part(file: FileText, branch: str, address: Address, start: int) -> str:
    url = file_url(file.source.repo, file.path, branch, address=address)
    return f"{url}&from={start}#L{start}"


def _matched(body: str, address: Address) -> list[int]:
    """The lines of the whole file that the search is about, by the rule that marks lines in its answer."""
    if not address.q.strip():
        return []
    try:
        asked = parse(address.q, plain=address.plain)
    except CodequarryError:
        return []
    question = question_of(asked, question_terms(asked.question, set()))
    return list(Matcher(question, asked.patterns()).lines(body, 1))


def _outline(file: FileText) -> list[Symbol]:
    """What the file defines, as it was found when the file was cut into chunks."""
    from codequarry.ingest.chunks import cut

    found = [symbol for chunk in cut(file.text, file.language, file.path) for symbol in chunk.symbols]
    return sorted(found, key=lambda symbol: symbol.line)[:OUTLINE]
