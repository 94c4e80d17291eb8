"""What an answer can be narrowed to, with counts, and what would match where it is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from codequarry.errors import CodequarryError
from codequarry.search.query import FILTERS, Item, Query, parse
from codequarry.service.web.address import Address, exactly, shown_glob
from codequarry.types import Hit, SourceState

MOST = 8
"""Values of a facet that are shown."""

_LONG = 24  # characters that fit beside a count

_TITLES = {
    "repo": "Repository",
    "lang": "Language",
    "path": "Folder",
    "kind": "Kind",
    "branch": "Branch",
    "symbol": "Symbol",
}
_WITHIN = ("word", "phrase", "regex", "text")  # items of a query that are no filters


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a facet; `short` where there is little room. `url`: the search with it, or without it where it is chosen.

    `count`: files of the answer that have it, None where that is not known.
    """

    text: str
    short: str
    count: int | None
    is_chosen: bool
    url: str


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter and its values, the most frequent first."""

    name: str
    title: str
    values: list[Value]


def facets(hits: Sequence[Hit], address: Address, states: Sequence[SourceState]) -> list[Facet]:
    """The facets that there is something to choose in. Branches that are indexed and not searched are offered without a count."""
    repos = {hit.repo for hit in hits}
    others = {state.head for state in states if state.source.repo in repos and state.head}
    counted: dict[str, dict[str, int | None]] = {
        "repo": dict(Counter(hit.repo for hit in hits)),
        "lang": dict(Counter(hit.language for hit in hits if hit.language)),
        "path": dict(_folders([hit.path for hit in hits])),
        "kind": dict(Counter(hit.kind for hit in hits if hit.kind)),
        "branch": dict.fromkeys(sorted(others)) | dict(Counter(hit.branch for hit in hits if hit.branch)),
    }
    found = [_facet(name, counts, address) for name, counts in counted.items()]
    return [facet for facet in found if len(facet.values) > 1 or any(value.is_chosen for value in facet.values)]


def _facet(name: str, counts: dict[str, int | None], address: Address) -> Facet:
    ordered = sorted(counts.items(), key=lambda one: (-(one[1] or 0), one[0]))[:MOST]
    chosen = [(value, counts.get(value)) for value in address.values(name) if value not in dict(ordered)]
    return Facet(name, _TITLES[name], [_value(name, value, count, address) for value, count in [*chosen, *ordered]])


def _value(name: str, value: str, count: int | None, address: Address) -> Value:
    is_chosen = (name, value) in address.filters
    other = address.without_filter(name, value) if is_chosen else address.with_filter(name, value)
    text = shown_glob(value) if name == "path" else value
    return Value(text, _short(text), count, is_chosen, other.url())


def _short(value: str) -> str:
    """A long name by its end, which tells it from others."""
    parts = value.split("/")
    return "…/" + "/".join(parts[-2:]) if len(value) > _LONG and len(parts) > 2 else value


def _folders(paths: Sequence[str]) -> Counter[str]:
    """The folders below the one that all paths are in, as globs."""
    folders = [path.split("/")[:-1] for path in paths]
    depth = 0
    while (
        folders and all(len(folder) > depth for folder in folders) and len({folder[depth] for folder in folders}) == 1
    ):
        depth += 1
    return Counter(exactly("/".join(folder[: depth + 1])) for folder in folders if len(folder) > depth)


def chips(address: Address) -> list[tuple[str, str, str]]:
    """The filters in force beside the query: name, value, and the address without it."""
    found = [
        (name, shown_glob(value) if name == "path" else value, address.without_filter(name, value).url())
        for name, value in address.filters
    ]
    if address.plain:
        found.append(("as", "plain text", replace(address, plain=False, cursor="").url()))
    return found


def offers(address: Address, count: Callable[[Address], int]) -> list[tuple[str, str, str]]:
    """What would match in place of a search that finds nothing: words, address, and how much there is."""
    found = []
    for says, other in _wider(address):
        try:
            matching = count(other)
        except CodequarryError:
            continue
        if matching:
            found.append((says, other.url(), f"{matching:,}"))
    return found


def _wider(address: Address) -> Iterator[tuple[str, Address]]:
    base = replace(address, cursor="")
    for name, value in address.filters:
        yield f"without {name}:{shown_glob(value) if name == 'path' else value}", base.without_filter(name, value)
    if len(address.filters) > 1:
        yield "without any of the filters", replace(base, filters=())
    if address.plain:
        return
    asked = parse(address.q)
    if asked.plain:
        return
    for item in asked.items:
        rest = [one for one in asked.items if one is not item]
        if item.field in FILTERS and any(one.field in _WITHIN for one in rest):
            yield f"without {Query((item,))}", replace(base, q=str(Query(tuple(rest))))
    if any(item.field == "phrase" and not item.negated for item in asked.items):
        yield "the words of the phrase, anywhere", replace(base, q=str(Query(tuple(_loosened(asked.items)))))


def _loosened(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if item.field == "phrase" and not item.negated:
            yield from (Item("word", word) for word in item.value.split())
        else:
            yield item
