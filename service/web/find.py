"""The search view: an answer as cards of code, with facets to narrow it and a way on where it is empty.

One search of `WIDE` files makes a view: ten of them are shown, the facets count all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from codequarry.errors import NotFound, QuerySyntax
from codequarry.search import MAX_LIMIT
from codequarry.service.hits import window
from codequarry.service.problems import of_arguments
from codequarry.service.progress import ago
from codequarry.service.schemas import SearchRequest
from codequarry.service.web.address import Address, file_url, with_query
from codequarry.service.web.code import Marker, Row, rows
from codequarry.service.web.facets import Facet, facets, offers
from codequarry.service.web.tray import pick_of
from codequarry.service.web.why import Why, picture
from codequarry.types import Answer, Hit, Snippet, SourceState

if TYPE_CHECKING:
    from codequarry.service.backend import Backend
    from codequarry.service.security import Caller

PAGE = 10
"""Hits on a page."""

WIDE = MAX_LIMIT
"""Files that a view asks for, and its facets count."""

LINES = 12
"""Lines shown of a hit's best chunk: with its matches among them enough to judge it."""

MORE_LINES = 6
"""Lines shown of each further chunk of the file."""

STEP = 20
"""Lines that come above or below at a time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines of a hit. `above` and `below`: addresses of more of them, where there are any."""

    start_line: int
    end_line: int
    rows: list[Row]
    symbol: str
    url: str
    above: int
    below: int


@dataclass(frozen=True, slots=True)
class Card:
    """A hit as it is shown."""

    rank: int
    hit: Hit
    pieces: list[Piece]
    url: str
    pick: str
    is_picked: bool
    pick_url: str
    freshness: str
    why_url: str
    also: list[tuple[str, dict[str, Any]]]
    related: list[tuple[str, Hit]]


@dataclass(slots=True)
class Found:
    """What the view shows."""

    address: Address
    cards: list[Card] = field(default_factory=list)
    facets: list[Facet] = field(default_factory=list)
    answer: Answer | None = None
    files: str = ""
    error: QuerySyntax | None = None
    offers: list[tuple[str, str, str]] = field(default_factory=list)
    before: str = ""
    after: str = ""


def find(backend: Backend, caller: Caller, address: Address) -> Found:
    """The view of an address with a query; a query that cannot be read is shown with its error.

    Raises:
        BadInput: another argument that cannot be.
    """
    start = int(address.cursor) if address.cursor.isascii() and address.cursor.isdigit() else 0
    wide = start // WIDE * WIDE
    asked = _asked(replace(address, cursor=str(wide) if wide else ""))
    found = Found(address)
    try:
        answer = _search(backend, caller, asked)
    except QuerySyntax as error:
        found.error = error
        return found
    found.answer = answer
    shown = answer.hits[start - wide : start - wide + PAGE]
    states = _states(backend, caller)
    marker = Marker(address.q, plain=address.plain)
    found.cards = [_card(rank, hit, address, marker, states) for rank, hit in enumerate(shown, start + 1)]
    found.facets = facets(answer.hits, address, list(states.values()))
    count = wide + len(answer.hits)
    found.files = f"{count:,}{'+' if answer.next_cursor else ''} file{'s' if count != 1 else ''}"
    if start:
        found.before = replace(address, cursor=str(max(start - PAGE, 0) or "")).url()
    if start - wide + PAGE < len(answer.hits) or answer.next_cursor:
        found.after = replace(address, cursor=str(start + PAGE)).url()
    if not answer.hits:
        found.offers = offers(address, lambda other: _search(backend, caller, _asked(other, limit=1)).total)
    return found


def explain(backend: Backend, caller: Caller, address: Address, rank: int) -> tuple[Hit, Why]:
    """The hit of that rank, from 1, and the picture of why it is there: made when somebody wants it, for it is half a page.

    Raises:
        NotFound: there is no such hit.
        BadInput: an argument that cannot be.
    """
    wide = (rank - 1) // WIDE * WIDE
    asked = _asked(replace(address, cursor=str(wide) if wide else ""), explain=True)
    for hit in _search(backend, caller, asked).hits[rank - 1 - wide :][:1]:
        if made := picture(hit.why):
            return hit, made
    raise NotFound(f"This search has no hit {rank}.", hint="Search again: what is indexed may have changed.")


def _asked(address: Address, *, limit: int = WIDE, explain: bool = False) -> SearchRequest:
    """The request to REST that means the same.

    Raises:
        BadInput: an argument that cannot be; REST says the same of it.
    """
    given = {"query": address.q, "limit": limit, "plain": address.plain, "explain": explain, **address.for_rest}
    try:
        return SearchRequest.model_validate(given | ({"cursor": address.cursor} if address.cursor else {}))
    except ValidationError as error:
        raise of_arguments(error.errors())[0] from error


def _search(backend: Backend, caller: Caller, asked: SearchRequest) -> Answer:
    return backend.search(caller, asked.query, **asked.options())


def _states(backend: Backend, caller: Caller) -> dict[tuple[str, str], SourceState]:
    """What is indexed, by repository and the branch that a hit names; nothing for a key that may only search."""
    if "read" not in caller.scopes:
        return {}
    return {(state.source.repo, state.head): state for state in backend.states(caller)}


def _card(rank: int, hit: Hit, address: Address, marker: Marker, states: dict[tuple[str, str], SourceState]) -> Card:
    state = states.get((hit.repo, hit.branch))
    pick = str(pick_of(hit))
    return Card(
        rank,
        hit,
        list(_pieces(hit, address, marker)),
        _address(hit, address),
        pick,
        pick in address.picks,
        address.toggled(pick).url(),
        ago(max(0.0, time.time() - state.indexed_at)) if state and state.indexed_at else "",
        with_query("/why", [*address.pairs(), ("rank", str(rank))]),
        [(_other(place, hit, address), place) for place in hit.also_in],
        [(_address(one, address), one) for one in hit.related],
    )


def _address(hit: Hit, address: Address) -> str:
    return file_url(hit.repo, hit.path, hit.branch, lines=(hit.start_line, hit.end_line), address=address)


def _other(place: dict[str, Any], hit: Hit, address: Address) -> str:
    lines = (place["start_line"], place["end_line"])
    return file_url(place["repo"], place["path"], place["branch"], lines=lines, address=address)


def _pieces(hit: Hit, address: Address, marker: Marker) -> list[Piece]:
    """The best chunk and those beside it, in the order of the file, each as a window around what matches."""
    chunks: Sequence[tuple[Hit | Snippet, int]] = sorted(
        [(hit, LINES), *((snippet, MORE_LINES) for snippet in hit.snippets)], key=lambda one: one[0].start_line
    )
    made: list[Piece] = []
    for chunk, most in chunks:
        body = chunk.text.split("\n")
        shown = window(chunk.start_line, len(body), sorted(chunk.matched_lines), most, chunk.symbol_line)
        first, last = shown.start, shown.stop - 1
        part = body[first - chunk.start_line : last - chunk.start_line + 1]
        url = file_url(hit.repo, hit.path, hit.branch, lines=(first, last), address=address)
        marked = list(rows(part, first, hit.language, frozenset(chunk.matched_lines), marker))
        made.append(Piece(first, last, marked, chunk.symbol, url, max(0, first - STEP), last + 1))
    return made
