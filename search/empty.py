"""Why an answer is empty, and what would match: an empty list without a reason is the worst answer that a search can give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codequarry import text
from codequarry.ports import Store
from codequarry.search import aliases
from codequarry.search.query import Item, Query
from codequarry.search.retrieve import ANYTHING
from codequarry.search.scope import Resolved, did_you_mean, near
from codequarry.types import Candidate, Hit, Pattern, Request, Scope, SourceState

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
_NAME = re.compile(r"[a-z0-9][A-Z]|[A-Za-z0-9]_[A-Za-z0-9]")  # camelCase, snake_case
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
        elsewhere = replace(request, scope=replace(request.scope, sources=None), words=1, vectors=0)
        if request.scope.sources is not None and store.retrieve(elsewhere).candidates:
            found.append("What is looked at has none of these words; other repositories or branches have some.")
    return found or ["Nothing indexed has these words together with these filters."]


def building(states: Iterable[SourceState]) -> Iterable[str]:
    """A sentence for each source whose index is being made, or was when the run that made it was stopped."""
    for state in states:
        if state.building:
            what = "is being indexed again" if state.indexed_at else "is being indexed for the first time"
            where = state.source.folder or str(state.source)
            yield f"{where} {what}: what is missing may come (a run that was stopped goes on with codequarry index)."


def _filters(store: Store, states: Sequence[SourceState], request: Request) -> list[str]:
    """Which filter stands in the way: one without which there are hits, or else each that nothing satisfies."""
    scope = request.scope
    if scope.patterns == (ANYTHING,):
        scope = replace(scope, patterns=())
    dead = {
        "symbols": _dead_symbols(store, scope),
        "kinds": _dead_kinds(store, scope),
        "languages": _dead_languages(scope),
        "paths": _dead_paths(store, states, scope),
    }
    notes = [sentence for sentences in dead.values() for sentence in sentences]
    # Of several globs one may match: then the filter can still be what is in the way.
    gone = {field for field, said in dead.items() if said and (field != "paths" or len(said) == len(scope.paths))}
    used = [(name, field) for name, field in _FILTERS if getattr(scope, field) and field not in gone]
    for name, field in used:
        if field == "patterns" and set(request.terms) <= _terms_of(scope.patterns):
            continue  # they are all that is asked for
        without = replace(request, scope=replace(request.scope, **{field: ()}), words=1, vectors=1, matches=1)
        if store.retrieve(without).candidates:
            notes.append(f"{_written(name, scope, field)} leaves nothing: without it there are hits.")
    if not notes and used:
        notes.append(f"Nothing satisfies {' and '.join(_written(name, scope, field) for name, field in used)}.")
    return notes + _other_capitals(store, request)


def _terms_of(patterns: Iterable[Pattern]) -> set[str]:
    """The terms of phrases: a query of phrases alone is ranked by them, and asks for nothing else."""
    return {term for pattern in patterns if pattern.literal for term in text.question_terms(pattern.literal)}


def _other_capitals(store: Store, request: Request) -> list[str]:
    """A sentence that says so where the patterns match with other capitals."""
    asked = [pattern for pattern in request.scope.patterns if pattern != ANYTHING]
    # A person is to read what a phrase becomes, and an escaped space is no easy reading.
    regexes = [one.regex if one.literal is None else one.regex.replace("\\ ", " ") for one in asked]
    patterns = tuple(Pattern(f"(?i){regex}") for regex in regexes)
    without = replace(request, scope=replace(request.scope, patterns=patterns), words=0, vectors=0, matches=1)
    if not patterns or not store.retrieve(without).candidates:
        return []
    written = Query(tuple(Item("regex", pattern.regex) for pattern in patterns))
    return [f"Case counts; with other capitals there are hits: {written}"]


def _dead_symbols(store: Store, scope: Scope) -> list[str]:
    """A sentence on the names asked for when nothing in the sources defines any of them, with defined names that come near."""
    if not scope.symbols or _exists(store, scope, symbols=scope.symbols):
        return []
    offered: list[str] = []
    for name in scope.symbols[:3]:
        offered += _symbols_near(store, name, scope)
    return [
        f"Nothing defines {_written('symbol', scope, 'symbols')}{did_you_mean(list(dict.fromkeys(offered))) or '.'}"
    ]


def _symbols_near(store: Store, name: str, scope: Scope) -> list[str]:
    """Up to three names that the sources define and that come near to this one."""
    for terms in (text.terms(name).split(), [text.terms(word) for word in _known_near(store, name, scope)[:5]]):
        if terms:
            by_name = Request(_sources_of(scope), terms=tuple(terms), words=100, vectors=0, weights=(0.01, 0.01, 1.0))
            defined = {one.name for found in store.retrieve(by_name).candidates for one in found.symbols}
            if close := names_near(name, defined):
                return close
    return []


def _dead_languages(scope: Scope) -> list[str]:
    """A sentence on the languages asked for when nobody knows any of them, with names that come near."""
    if not scope.languages or any(name in aliases.LANGUAGES for name in scope.languages):
        return []
    name = scope.languages[0]
    close = dict.fromkeys(aliases.LANGUAGES[one] for one in near(name, aliases.LANGUAGES))
    return [f"No language is called {name}{did_you_mean(list(close)) or '.'}"]


def _dead_kinds(store: Store, scope: Scope) -> list[str]:
    """A sentence on the kinds asked for when nothing in the sources is of any of them, with kinds that there are."""
    if not scope.kinds or _exists(store, scope, kinds=scope.kinds):
        return []
    some = store.retrieve(Request(replace(_sources_of(scope), patterns=(ANYTHING,)), words=0, vectors=0, matches=200))
    there = {chunk.kind for chunk in some.candidates}
    there |= {symbol.kind for chunk in some.candidates for symbol in chunk.symbols}
    misspelt = [kind for kind in scope.kinds if kind not in aliases.KINDS]
    close = [aliases.kind(one) for kind in misspelt for one in near(kind, {*there, *aliases.KINDS})]
    offer = did_you_mean(list(dict.fromkeys(close))) or f"; there are {', '.join(sorted(there))}, among others."
    return [f"Nothing is of {_written('kind', scope, 'kinds')}{offer}"]


def _exists(store: Store, scope: Scope, **wanted: Any) -> bool:
    """Whether the sources of a scope have a chunk that satisfies this filter, whatever else the scope asks for."""
    alone = replace(_sources_of(scope), patterns=(ANYTHING,), **wanted)
    return bool(store.retrieve(Request(alone, words=0, vectors=0, matches=1)).candidates)


def _sources_of(scope: Scope) -> Scope:
    return Scope(sources=scope.sources, access=scope.access)


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


# ------------------------------------------------------------------------------------------------------------------ words


def unknown_words(
    store: Store, words: str, scope: Scope, candidates: Sequence[Candidate] = (), found: str = ""
) -> list[str]:
    """A sentence on the words that no indexed code has, with known ones that come near; `found`: what was found all the same."""
    asked = {}
    for word in text.words(words):
        if (terms := text.question_terms(word)) and word.lower() not in text.STOP_WORDS:
            asked[word] = terms[0]
    return _missing(store, asked, scope, candidates, found)


def unknown_names(
    store: Store, query: Query, symbol: str, scope: Scope, hits: Sequence[Hit], candidates: Sequence[Candidate]
) -> list[str]:
    """A sentence on what no indexed code has of a question that has hits: they are not about it, however they look.

    That is each word where only vectors found something; else the one name that the question is (`symbol`), and words that
    are written like names. One that stands in a text that was found costs nothing, the others one or two small requests.
    """
    if not any(one.content or one.path_score or one.names for one in candidates):
        said = unknown_words(store, query.question, scope, candidates, "; these hits are by meaning")
        return said or ["Nothing that is looked at has these words; these hits are by meaning."]
    written = () if query.plain else re.findall(r"\w+", " ".join(query.words))
    names = [symbol] if symbol else [word for word in written if _NAME.search(word)]
    texts = [body.lower() for hit in hits for body in (hit.text, *(one.text for one in hit.snippets))]
    asked = {
        name: terms[0]
        for name in dict.fromkeys(names)
        if (terms := text.terms(name).split()) and not any(name.lower() in body for body in texts)
    }
    by = f"; these hits are by {'its parts' if symbol else 'the other words'} and by meaning"
    if (said := _missing(store, asked, scope, candidates, by)) or not any(
        getattr(scope, field) for _, field in _FILTERS
    ):
        return said
    elsewhere = [name for name, term in asked.items() if not _has(store, scope, term)]
    return [f"Nothing within the filters has the word {' or '.join(elsewhere)}{by}."] if elsewhere else []


def _has(store: Store, scope: Scope, term: str) -> bool:
    """Whether anything in the scope has a term."""
    return bool(store.retrieve(Request(scope, terms=(term,), words=1, vectors=0)).candidates)


def _missing(
    store: Store, asked: Mapping[str, str], scope: Scope, candidates: Sequence[Candidate], found: str
) -> list[str]:
    """A sentence on those of the words, given with their terms, that are unknown; `found` says what was found all the same."""
    unknown = set(store.unknown_terms(list(dict.fromkeys(asked.values())), scope)) if asked else set()
    missing = [word for word, term in asked.items() if term in unknown]
    if not missing:
        return []
    where = "No indexed code" if scope.sources is None else "No code of the sources that are looked at"
    many = "s" if len(missing) > 1 else ""
    offered = [known for word in missing[:3] for known in _words_near(store, word, scope, candidates)[:2]]
    offer = did_you_mean(list(dict.fromkeys(offered))) or "."
    return [f"{where} has the word{many} {' or '.join(missing[:5])}{found}{offer}"]


def _words_near(store: Store, word: str, scope: Scope, candidates: Sequence[Candidate]) -> list[str]:
    """Names of what was found that are written nearly so, else words of the index that one edit makes of it."""
    names = [symbol.name for candidate in candidates for symbol in candidate.symbols]
    # A slip in one part of a name leaves the others, which have found it if it is there.
    return names_near(word, names) or (_known_near(store, word, scope) if len(text.parts(word)) == 1 else [])


def names_near(name: str, known: Iterable[str]) -> list[str]:
    """Up to three names that differ from one in capitals and underscores alone, else those that are written nearly so."""
    by_letters: dict[str, str] = {}
    private, snake = _manner(name)

    def unlike(other: str) -> tuple[bool, bool, int, str]:
        its = _manner(other)
        return its[0] != private, its[1] != snake, len(other), other

    for other in sorted(set(known) - {name}, key=unlike):
        by_letters.setdefault(_letters(other), other)
    letters = _letters(name)
    return (
        [by_letters[letters]] if letters in by_letters else [by_letters[one] for one in near(letters, by_letters, 0.8)]
    )


def _manner(name: str) -> tuple[bool, bool]:
    """How a name is written: with an underscore at its beginning, and within."""
    return name.startswith("_"), "_" in name.strip("_")


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _known_near(store: Store, word: str, scope: Scope) -> list[str]:
    """Words of the index that one edit makes of this one, likely slips first: letters swapped, left out, mistaken, too many."""
    low = word.lower()
    if not 4 <= len(low) <= 24 or not low.isascii():
        return []
    cuts = [(low[:at], low[at:]) for at in range(len(low) + 1)]
    edits = [head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1]
    edits += [head + letter + tail for head, tail in cuts for letter in _LETTERS]
    edits += [head + letter + tail[1:] for head, tail in cuts if tail for letter in _LETTERS]
    edits += [head + tail[1:] for head, tail in cuts if tail]
    terms: dict[str, str] = {}
    for edit in edits:
        if edit != low and (made := text.question_terms(edit)):
            terms.setdefault(made[0], edit)
    unknown = set(store.unknown_terms(list(terms), scope))
    return [edit for term, edit in terms.items() if term not in unknown]
