"""What a query may find: its filters, resolved against what is indexed, become the exact `Scope` that a store is asked for.

Names that people write are short (`repo:api`, `lang:py`), names that the index has are exact. Between the two stands this module;
after it nothing is guessed. A filter that nothing satisfies leaves an empty scope and a note that says what would have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from codequarry.errors import BadInput, RepositoryNotFound
from codequarry.search import aliases
from codequarry.search.query import FILTERS, Query, glob_problem
from codequarry.text import glob_test, question_terms
from codequarry.types import Scope, Source, SourceState

_GLOB = re.compile(r"[*?\[{]")
_ADDRESS = re.compile(r"^(?:[a-z][a-z+.-]*://)?(?:[^@/\s]+@)?([^:/\s]+\.[^:/\s]+|localhost)(?::\d+/|[:/])(?=.)")


@dataclass(slots=True)
class Resolved:
    """A scope and how it came about. `states`: the sources in it; `dead`: the filters that nothing satisfies, with the reason."""

    scope: Scope
    states: list[SourceState] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)


def visible(states: Iterable[SourceState], access: tuple[str, ...] | None) -> list[SourceState]:
    """The sources that a caller with these groups may know of; None is no access control."""
    if access is None:
        return list(states)
    return [state for state in states if access and (not state.access or set(state.access) & set(access))]


def resolve(
    query: Query,
    states: Sequence[SourceState],
    given: Mapping[str, Sequence[str]] | None = None,
    access: tuple[str, ...] | None = None,
) -> Resolved:
    """The scope of a query whose caller sees `states`. `given` are filters from outside the query; both must hold.

    Raises:
        BadInput: a filter of a name that does not exist, or one whose two halves a store cannot be asked for together.
    """
    given = {name: tuple(values) for name, values in (given or {}).items() if values}
    if unknown := sorted(set(given) - set(FILTERS)):
        raise BadInput(f"There is no filter {unknown[0]!r}.", hint=f"The filters are {', '.join(FILTERS)}.")
    found = Resolved(Scope())
    sources = _sources(query, states, given, found)
    found.scope = Scope(
        # A store in which nothing was ever indexed need not be asked.
        sources=None if sources is None and states else tuple(sources or ()),
        languages=_languages(query, given),
        paths=_either(query, given, "path"),
        kinds=tuple(map(aliases.kind, _either(query, given, "kind"))),
        symbols=_either(query, given, "symbol"),
        patterns=query.patterns(),
        not_languages=_names(query.values("lang", negated=True)),
        not_paths=query.values("path", negated=True),
        not_kinds=tuple(map(aliases.kind, query.values("kind", negated=True))),
        not_symbols=query.values("symbol", negated=True),
        not_patterns=query.patterns(negated=True),
        not_terms=_not_terms(query),
        access=access,
    )
    for glob in (*found.scope.paths, *found.scope.not_paths):
        _check_glob(glob)
    if query.values("lang") and given.get("lang") and not found.scope.languages:
        found.dead.append("The query and the caller ask for different languages.")
        found.scope = Scope(sources=(), access=access)
    return found


def _not_terms(query: Query) -> tuple[str, ...]:
    # The whole word's term stands first; its parts may stand in what is wanted.
    found = (question_terms(word) for word in query.values("word", negated=True))
    return tuple(dict.fromkeys(terms[0] for terms in found if terms))


def _either(query: Query, given: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    """The values of a filter that stands in the query or outside it."""
    asked, outside = query.values(name), tuple(given.get(name, ()))
    if asked and outside and set(asked) != set(outside):
        raise BadInput(
            f"{name} is asked for twice: {name}:{asked[0]} in the query, {outside[0]!r} as an argument.",
            hint="Give it in one of the two places.",
        )
    return asked or outside


def _languages(query: Query, given: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The languages to look at; a file has only one, so what is asked in the query and outside it can be cut."""
    asked, outside = _names(query.values("lang")), _names(given.get("lang", ()))
    if asked and outside:
        return tuple(name for name in asked if name in outside)
    return asked or outside


def _names(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for value in written for name in aliases.languages(value)))


def _check_glob(glob: str) -> None:
    if problem := glob_problem(glob):
        raise BadInput(f"The glob {glob!r} cannot be read: {problem}.", hint="See docs/query.md for globs.")


# ---------------------------------------------------------------------------------------------------------------- sources


def _sources(
    query: Query, states: Sequence[SourceState], given: Mapping[str, Sequence[str]], found: Resolved
) -> list[Source] | None:
    """The sources to look at, sorted; None for the default ones of every repository."""
    chosen = list(states)
    asks = query.values("repo") or query.values("repo", negated=True) or given.get("repo")
    asks_branch = query.values("branch") or query.values("branch", negated=True) or given.get("branch")
    for values in (query.values("repo"), tuple(given.get("repo", ()))):
        if values:
            chosen = _in_repositories(values, chosen, states, found)
    for value in query.values("repo", negated=True):
        away, folders = _meant(value, states)
        chosen = [state for state in chosen if state.source.repo not in away and state.source not in folders]
    # A folder that was asked for by its path or its name is what is meant, not the other sources of its repository.
    for values in (query.values("branch"), tuple(given.get("branch", ()))):
        if values:
            chosen = _on_branches(values, chosen, found)
    for value in query.values("branch", negated=True):
        chosen = [state for state in chosen if not _is_branch(value, state)]
    if not query.values("branch") and not given.get("branch"):
        named = {
            source for value in (*query.values("repo"), *given.get("repo", ())) for source in _meant(value, states)[1]
        }
        chosen = [state for state in chosen if state.default or state.source in named]
    found.states = sorted(chosen, key=lambda state: state.source)
    return [state.source for state in found.states] if asks or asks_branch else None


def _in_repositories(
    values: Sequence[str],
    chosen: list[SourceState],
    states: Sequence[SourceState],
    found: Resolved,
    *,
    sign: str = "repo:",
) -> list[SourceState]:
    """The sources of the repositories that any of the values means; `sign` is how a note writes the filter."""
    kept: list[SourceState] = []
    for value in values:
        matching, folders = _meant(value, states)
        if not folders and not matching:
            known = {state.source.repo for state in states}
            known |= {
                folder
                for state in states
                if (folder := state.source.folder) and not state.source.repo.endswith(folder)  # that says it already
            }
            found.dead.append(
                f"No repository matches {sign}{value}{did_you_mean(near_repositories(value, known)) or '.'}"
            )
        if len(matching | folders) > 1 and not _GLOB.search(value):
            listed = _listed(sorted(matching) or sorted(source.folder or "" for source in folders))
            found.notes.append(f"{sign}{value} stands for {len(matching | folders)} repositories: {listed}")
        kept += [state for state in chosen if state.source.repo in matching or state.source in folders]
    return list({state.source: state for state in kept}.values())


def _meant(value: str, states: Iterable[SourceState]) -> tuple[set[str], set[Source]]:
    """The repositories that a value means, or the folders: that of this path, or those named so where no repository is.

    A clone's folder is often called otherwise than its remote, and it is what a person sees.
    """
    by_folder = {state.source.folder: state.source for state in states if state.source.folder}
    if by_path := by_folder.get(value.rstrip("/") or "/"):
        return set(), {by_path}
    if matching := match_repositories(value, {state.source.repo for state in states}):
        return matching, set()
    if value.startswith("/"):
        return set(), set()
    return set(), {by_folder[folder] for folder in match_repositories(value, by_folder)}


def match_repositories(value: str, repos: Iterable[str]) -> set[str]:
    """The repositories that a value means.

    That is the one of this identity, else those that end with these path segments, else those below it; for a glob, those
    it matches from the host or from any segment on. Capitals do not count where nothing has them right. An address
    (`https://host/org/api.git`, `git@host:org/api`) means its identity.
    """
    known = set(repos)
    if value in known:
        return {value}
    value = _ADDRESS.sub(r"\1/", value).removesuffix(".git").rstrip("/")
    if not value:
        return set()
    return _match(value, known) or {repo for repo in known if _match(value.lower(), (low := repo.lower(),)) == {low}}


def _match(value: str, repos: Iterable[str]) -> set[str]:
    known = set(repos)
    if _GLOB.search(value):
        try:
            return set(filter(glob_test([value, f"**/{value}"]), known))
        except re.error:
            return set()
    if value in known:
        return {value}
    tail, head = "/" + value.lstrip("/"), value + "/"
    return {repo for repo in known if repo.endswith(tail)} or {repo for repo in known if repo.startswith(head)}


def _on_branches(
    values: Sequence[str], chosen: list[SourceState], found: Resolved, *, sign: str = "branch:"
) -> list[SourceState]:
    kept: list[SourceState] = []
    for value in values:
        by_name = [state for state in chosen if _is_branch(value, state)]
        named = {state.source.repo for state in by_name}
        # A folder stands for the branch that is checked out there only where that branch is not indexed itself.
        heads = [
            state for state in chosen if state.source.folder and state.head == value and state.source.repo not in named
        ]
        if chosen and not by_name and not heads:
            known = {state.head if state.source.folder else state.source.branch for state in chosen} - {""}
            others = f"; there is {_listed(sorted(known))}." if known else "; a plain folder has no branches."
            offer = did_you_mean(near(value, known)) or others
            found.dead.append(f"No branch matches {sign}{value}{offer}")
        kept += [*by_name, *heads]
    return list({state.source: state for state in kept}.values())


def _is_branch(value: str, state: SourceState) -> bool:
    branch = state.source.branch
    if value in (branch, state.source.folder):
        return True
    if not _GLOB.search(value) or state.source.folder:
        return False
    _check_glob(value)
    return glob_test(["/" + value])(branch)


def one_source(repo: str, branch: str | None, states: Sequence[SourceState]) -> SourceState:
    """The one source that a repository's name, short or full, and a branch mean; without a branch its default source.

    Raises:
        RepositoryNotFound: none, or more than one, with what comes near.
    """
    found = Resolved(Scope())
    chosen = _in_repositories((repo,), list(states), states, found, sign="")
    if branch is not None and chosen:
        chosen = _on_branches((branch,), chosen, found, sign="")
    if not chosen:
        raise RepositoryNotFound(" ".join(found.dead), hint="`codequarry repositories` lists what is indexed.")
    repos = sorted({state.source.repo for state in chosen})
    if len(repos) > 1:
        raise RepositoryNotFound(f"{repo!r} is not one repository: {_listed(repos)}.", hint="Give its full name.")
    # Default sources first; a folder as it stands on disk before the branches.
    return min(chosen, key=lambda state: (not state.default, state.source.folder is None, state.source))


# ------------------------------------------------------------------------------------------------------------ suggestions


def near_repositories(value: str, repos: Iterable[str]) -> list[str]:
    """Up to three repositories whose name comes near to what was written."""
    known = sorted(repos)
    by_name: dict[str, list[str]] = {}
    for repo in known:
        by_name.setdefault(repo.rsplit("/", 1)[-1].lower(), []).append(repo)
    last = value.rstrip("/").rsplit("/", 1)[-1].lower()
    close = [repo for name in near(last, by_name) for repo in by_name[name]] or near(value, known)
    inside = [repo for repo in known if last and last in repo.lower()]
    return list(dict.fromkeys([*close, *inside]))[:3]


def near(value: str, known: Iterable[str], likeness: float = 0.6) -> list[str]:
    """Up to three of the known names that come near to a value (`likeness`: 1.0 is the same), the nearest first."""
    from difflib import get_close_matches

    return get_close_matches(value, list(known), n=3, cutoff=likeness)


def did_you_mean(close: Sequence[str]) -> str:
    """A clause that offers these, empty when there are none."""
    return f"; did you mean {_listed(close, 'or')}?" if close else ""


def _listed(values: Sequence[str], word: str = "and", limit: int = 5) -> str:
    shown = list(values[:limit])
    if len(values) > limit:
        shown.append(f"{len(values) - limit} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {word} {shown[-1]}"
