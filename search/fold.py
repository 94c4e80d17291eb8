"""Files that are sides of one thing become one hit: a header with its implementation, source with its declarations or its build.

Twins have one name, in one folder or in folders that differ only in what says which side they are (`include` and `src`, `src` and
`types`, `src` and `dist`). The source stands for them, at the place of the best of them: what is asked for is done there. The
others are its `related` hits, each with its own lines.

A hit takes one place, so what comes after moves up. That is worth it for long texts, which are asked for coverage; short questions
gain nothing by it (bench/reports/fold.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from codequarry.search import features
from codequarry.search.snippets import Group

SOURCE, DECLARATION, BUILT = "source", "declaration", "built"
"""The sides of a thing."""

_ENDINGS = {
    ("c", SOURCE): ".c .cc .cpp .cxx .c++ .m .mm .cu",
    ("c", DECLARATION): ".h .hh .hpp .hxx .h++ .inl .ipp",
    ("script", SOURCE): ".js .mjs .cjs .jsx .ts .mts .cts .tsx",
    ("script", DECLARATION): ".d.ts .d.mts .d.cts",
    ("python", SOURCE): ".py .pyx",
    ("python", DECLARATION): ".pyi",
}
_ENDING_SIDE = {ending: side for side, endings in _ENDINGS.items() for ending in endings.split()}
_LONGEST_FIRST = sorted(_ENDING_SIDE, key=len, reverse=True)

_SIDES = frozenset(
    "include includes inc src source sources lib dist build out types typings @types esm cjs umd es browser".split()
)
"""Folders that say which side of a thing their files are, and not which thing."""

_PUBLIC = frozenset("include includes inc".split())
"""Of them those under which a library's headers have one more folder, its name (`include/spdlog/async.h`, `src/async.cpp`)."""

_MADE = frozenset((features.DECLARATION, features.BUILD, features.GENERATED))
"""Roles in which twins may differ. A test is no twin of what it tests."""

SHARE = "twin"
"""The share that lifts a source to the place of its twin."""


class Side(NamedTuple):
    """What a path says of a file: whose side it is."""

    family: str
    side: str
    name: str
    folders: tuple[str, ...]


def side_of(path: str, roles: frozenset[str] = frozenset()) -> Side | None:
    """The side that a file is, None where its kind has no sides.

    >>> side_of("include/spdlog/async.h")
    Side(family='c', side='declaration', name='async', folders=('include', 'spdlog'))
    """
    *folders, file = path.split("/")
    ending = next((one for one in _LONGEST_FIRST if file.lower().endswith(one)), "")
    if not ending or len(ending) == len(file):
        return None
    family, side = _ENDING_SIDE[ending]
    name = file[: -len(ending)]
    if family == "script":
        name = name.removesuffix(".min")
        if name == "index" and folders and folders[-1].lower() not in _SIDES:
            name = folders.pop()  # what is written as plugin/index.js is plugin.js
        if side == SOURCE and features.BUILD in roles:
            side = BUILT
    return Side(family, side, name, tuple(folders))


def are_twins(one: Side, other: Side) -> bool:
    """Whether two files are sides of one thing."""
    if (one.family, one.name) != (other.family, other.name) or one.side == other.side:
        return False
    return one.folders == other.folders or _same_thing(one, other) or _same_thing(other, one)


def _same_thing(one: Side, other: Side) -> bool:
    mine, its = _things(one), _things(other)
    if len(mine) == len(one.folders) and len(its) == len(other.folders):
        return False  # no folder says a side: the two are different folders
    public = not _PUBLIC.isdisjoint(map(str.lower, one.folders))
    return mine == its or (public and mine[1:] == its)


def _things(side: Side) -> tuple[str, ...]:
    return tuple(folder for folder in side.folders if folder.lower() not in _SIDES)


def folded(groups: Sequence[Group]) -> list[Group]:
    """The groups in order, the twins of an earlier one taken into that as its `related`; nothing is left out."""
    made: dict[int, Group] = {}
    known: dict[
        tuple[str, str, str], dict[int, Side]
    ] = {}  # by repository, family and name: the places where they stand
    for place, group in enumerate(groups):
        path, roles = group.ranked.best.candidate.path, group.ranked.roles
        side = side_of(path, roles)
        if side is None:
            made[place] = group
            continue
        alike = known.setdefault((group.ranked.best.candidate.repo, side.family, side.name), {})
        twins = [
            at for at, other in alike.items() if are_twins(side, other) and (made[at].ranked.roles ^ roles) <= _MADE
        ]
        if twins and side.side == SOURCE:
            # Before it several may have come that are no twins of each other, as builds for two platforms are.
            first = twins[0]
            made[first], alike[first] = _led(group, [made.pop(at) for at in twins]), side
            for at in twins[1:]:
                del alike[at]
        elif twins:
            made[twins[0]].related.append(group)
        else:
            made[place], alike[place] = group, side
    return [made[place] for place in sorted(made)]


def _led(source: Group, twins: Sequence[Group]) -> Group:
    """The source in the place of its first twin, all of which become related; its score is that of the place."""
    for twin in twins:
        source.related += [twin, *twin.related]
        twin.related = []
    lift = twins[0].ranked.score - source.ranked.score
    if lift > 0:
        source.ranked.shares[SHARE] = lift
    return source
