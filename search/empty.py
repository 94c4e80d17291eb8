"""Why an answer is empty, and what would match: an empty list without a reason is the worst answer that a search can give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from codequarry import text
from codequarry.ports import Store
from codequarry.search import aliases
from codequarry.search.retrieve import ANYTHING
from codequarry.search.scope import Resolved, did_you_mean, near
from codequarry.types import Request, Scope, SourceState

# The filters of a scope, as they are written and by their field; those on sources are explained where they are resolved.
_FILTERS = (
    ("path", "paths"),
    ("lang", "languages"),
    ("kind", "kinds"),
    ("symbol", "symbols"),
    ("pattern", "patterns"),
    ("-path", "not_paths"),
    ("-lang", "not_languages"),
    ("-kind", "not_kinds"),
    ("-symbol", "not_symbols"),
    ("-pattern", "not_patterns"),
    ("-word", "not_terms"),
)
_LETTERS = "etaoinsrhldcumfpgwybvkxjqz"


def reasons(
    store: Store, visible: Sequence[SourceState], resolved: Resolved, request: Request, words: str
) -> list[str]:
    """Sentences that say why a request found nothing, the first cause first. Costs a few small requests."""
    if not visible:
        return ["Nothing is indexed here that you may see; `codequarry index PATH` adds a folder or a repository."]
    if resolved.dead and not resolved.states:  # whoever resolved the filter has said so
        return []
    found: list[str] = []
    if request.scope.sources == () or not resolved.states:
        return [*found, "The filters on repositories and branches leave no source to look at."]
    if not any(state.files for state in resolved.states):
        return [*found, "The sources that the query looks at have no indexed file."]
    found += _filters(store, resolved.states, request)
    if request.terms and not request.scope.patterns:
        found += unknown_words(store, words, request.scope)
    return found or ["Nothing indexed has these words together with these filters."]


def building(states: Iterable[SourceState]) -> Iterable[str]:
    """A sentence for each source whose index is being made."""
    for state in states:
        if state.building:
            what = "is being indexed again" if state.indexed_at else "is being indexed for the first time"
            yield f"{state.source} {what}: what is missing may come."


def _filters(store: Store, states: Sequence[SourceState], request: Request) -> list[str]:
    """Which filter stands in the way: one without which there are hits, or else each that nothing satisfies."""
    scope = request.scope
    if scope.patterns == (ANYTHING,):
        scope = replace(scope, patterns=())
    used = [(name, field) for name, field in _FILTERS if getattr(scope, field)]
    notes = []
    for name, field in used:
        if field == "patterns" and not request.terms:
            continue  # they are all that is asked for
        without = replace(request, scope=replace(request.scope, **{field: ()}), words=1, vectors=1, matches=1)
        if store.retrieve(without).candidates:
            notes.append(f"{_written(name, scope, field)} leaves nothing: without it there are hits.")
    if len(notes) < len(used) or any(name == "path" for name, _ in used):
        notes += _dead_paths(store, states, scope)
    if unknown := [name for name in scope.languages if name not in aliases.LANGUAGES]:
        notes.append(f"No language is called {unknown[0]}{did_you_mean(near(unknown[0], aliases.LANGUAGES)) or '.'}")
    if not notes and used:
        notes.append(f"Nothing satisfies {' and '.join(_written(name, scope, field) for name, field in used)}.")
    return notes


def _written(name: str, scope: Scope, field: str) -> str:
    values = getattr(scope, field)
    if field.endswith("patterns"):
        sign = name.removesuffix("pattern")
        return " ".join(f'{sign}"{p.literal}"' if p.literal is not None else f"{sign}/{p.regex}/" for p in values)
    return f"{name.removesuffix('word')}{':' if name[-4:] != 'word' else ''}{' or '.join(values)}"


def _dead_paths(store: Store, states: Sequence[SourceState], scope: Scope) -> list[str]:
    """A sentence for each path glob that no path satisfies, with the paths that come near."""
    if not scope.paths:
        return []
    paths = [path for state in states for path in store.paths(state.source)]
    notes = []
    for glob in scope.paths:
        if any(map(text.glob_test([glob]), paths)):
            continue
        # `src/net` is meant from the root; people mean a folder wherever it is.
        if elsewhere := list(filter(text.glob_test(["**/" + glob.strip("/")]), paths)):
            notes.append(f"No path matches path:{glob} from the root on; path:**/{glob.strip('/')} has {elsewhere[0]}.")
            continue
        segments = {segment for path in paths for segment in path.split("/")}
        last = re.sub(r"[*?{}\[\]]+", "", glob.rstrip("/").rsplit("/", 1)[-1]).lstrip(".")
        notes.append(f"No path matches path:{glob}{did_you_mean(near(last, segments)) or '.'}")
    return notes


def unknown_words(store: Store, words: str, scope: Scope) -> list[str]:
    """A sentence on the words that stand nowhere in the index, with known words one letter away."""
    asked = {}
    for word in text.words(words):
        if (terms := text.question_terms(word)) and word.lower() not in text.STOP_WORDS:
            asked[word] = terms[0]
    unknown = set(store.unknown_terms(list(dict.fromkeys(asked.values())), scope))
    missing = [word for word, term in asked.items() if term in unknown]
    if not missing:
        return []
    listed = ", ".join(missing[:5])
    suggestions = [known for word in missing[:3] for known in _known_near(store, word, scope)[:2]]
    verb = "stands" if len(missing) == 1 else "stand"
    return [f"{listed} {verb} nowhere in the index{did_you_mean(suggestions) or '.'}"]


def _known_near(store: Store, word: str, scope: Scope) -> list[str]:
    """Words of the index that one edit makes of this one: two letters swapped, one left out, changed or added."""
    low = word.lower()
    if not 4 <= len(low) <= 24 or not low.isascii():
        return []
    cuts = [(low[:at], low[at:]) for at in range(len(low) + 1)]
    edits = [head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1]
    edits += [head + tail[1:] for head, tail in cuts if tail]
    edits += [head + letter + tail[1:] for head, tail in cuts if tail for letter in _LETTERS]
    edits += [head + letter + tail for head, tail in cuts for letter in _LETTERS]
    terms: dict[str, str] = {}
    for edit in edits:
        if edit != low and (made := text.question_terms(edit)):
            terms.setdefault(made[0], edit)
    unknown = set(store.unknown_terms(list(terms), scope))
    return [edit for term, edit in terms.items() if term not in unknown]
