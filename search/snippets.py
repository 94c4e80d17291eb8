"""Ranked files become hits: text, the lines that match, where the code stands, a link to it, and where else it stands.

Code that is the same in several places is one hit: the others are in its `also_in`. Other sides of the same thing, which `fold` has
found, are its `related` hits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codequarry import text
from codequarry.ports import Store
from codequarry.search.features import Question, name_terms
from codequarry.search.pool import Found, Ranked
from codequarry.search.retrieve import MORE_MATCHES
from codequarry.types import Candidate, Hit, Pattern, Place, Request, Snippet

if TYPE_CHECKING:
    from codequarry.store.prefilter import LinePattern

MORE_SNIPPETS = 2
"""How many chunks of a file are shown beside the best."""

LONG_MARKS = 12
"""How many terms of a long text mark lines, those that weigh most: one of all its terms stands in every other line."""

_WORTH = 0.4  # of the best chunk's score: a chunk below it is not shown


class Group:
    """Files whose best chunk has the same text: the best ranked of them, and the others."""

    __slots__ = ("others", "ranked", "related", "unranked")

    def __init__(self, ranked: Ranked) -> None:
        self.ranked = ranked
        self.others: list[Ranked] = []
        self.related: list[Group] = []  # see `fold`
        self.unranked: list[Candidate] = []  # chunks of the best that match too, see `complete`


def grouped(files: Iterable[Ranked]) -> list[Group]:
    """The files in order, those whose best chunk stands in an earlier one folded into that."""
    groups: dict[str, Group] = {}
    for ranked in files:
        candidate = ranked.best.candidate
        key = candidate.content_hash or candidate.chunk_id
        if group := groups.get(key):
            group.others.append(ranked)
        else:
            groups[key] = Group(ranked)
    return list(groups.values())


def complete(groups: Iterable[Group], request: Request, store: Store) -> bool:
    """Adds to each group what else of its file matches the request's patterns, where not all matches were ranked.

    Whether that is all: more than `MORE_MATCHES` chunks are not asked for.
    """
    files = {_file(group.ranked.best.candidate): group for group in groups}
    known = {found.candidate.chunk_id for group in files.values() for found in group.ranked.chunks}
    sources = {place.source for group in files.values() for place in group.ranked.best.candidate.places}
    paths = dict.fromkeys(text.glob_of(path) for _, path, _ in files)
    scope = replace(request.scope, sources=tuple(sorted(sources)), paths=tuple(paths))
    found = store.retrieve(Request(scope, words=0, vectors=0, matches=MORE_MATCHES)).candidates
    for candidate in found:
        if candidate.chunk_id not in known and (group := files.get(_file(candidate))):
            group.unranked.append(candidate)
    return len(found) < MORE_MATCHES


def _file(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.repo, candidate.path, candidate.blob


def hits(
    groups: Sequence[Group],
    question: Question,
    patterns: Sequence[Pattern],
    store: Store,
    *,
    explain: bool = False,
    counted: bool = False,
    every: bool = False,
) -> list[Hit]:
    """A hit for each group, with its text; one read of the store for all of them.

    `counted`: the chunks of each group are all that match; the hit then says how many it does not show. `every`: it shows all.
    """
    if not groups:
        return []
    shown = [_shown(group, every) for group in groups]
    beside = [related.ranked.best.candidate for group in groups for related in group.related]
    texts = iter(store.texts([*(candidate for chunks in shown for candidate in chunks), *beside]))
    matcher = Matcher(question, patterns)
    made = []
    for group, chunks in zip(groups, shown, strict=True):
        hit = _hit(group, [(candidate, next(texts)) for candidate in chunks], matcher, explain)
        if counted:
            hit.more_matches = len(group.ranked.chunks) + len(group.unranked) - len(chunks)
        made.append(hit)
    for group, hit in zip(groups, made, strict=True):
        hit.related = [
            _hit(related, [(related.ranked.best.candidate, next(texts))], matcher, explain) for related in group.related
        ]
    return made


def _shown(group: Group, every: bool) -> list[Candidate]:
    """The best chunk of a file and those beside it that are worth showing, or all in order of their lines."""
    best, *others = group.ranked.chunks
    if every:
        rest = [*(found.candidate for found in others), *group.unranked]
        return [best.candidate, *sorted(rest, key=lambda one: one.start_line)]
    more = [found.candidate for found in others if found.score >= _WORTH * best.score]
    return [best.candidate, *more[:MORE_SNIPPETS]]


def _hit(group: Group, shown: list[tuple[Candidate, str]], matcher: Matcher, explain: bool) -> Hit:
    ranked, (candidate, body) = group.ranked, shown[0]
    matched = matcher.lines(body, candidate.start_line)
    place = best_place(candidate.places)
    return Hit(
        repo=candidate.repo,
        commit=place.commit,
        branch=place.head,
        path=candidate.path,
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        language=candidate.language,
        symbol=matcher.symbol(candidate, matched),
        kind=candidate.kind,
        score=ranked.score,
        url=permalink(place, candidate.path, candidate.start_line, candidate.end_line),
        modified=place.modified,
        text=body,
        blob=candidate.blob,
        breadcrumb=candidate.breadcrumb,
        marks=candidate.marks,
        matched_lines=matched,
        snippets=[_snippet(more, its_text, matcher) for more, its_text in shown[1:]],
        also_in=list(_also_in(group, place)),
        why=_why(ranked, ranked.best) if explain else {},
    )


def _snippet(candidate: Candidate, body: str, matcher: Matcher) -> Snippet:
    matched = matcher.lines(body, candidate.start_line)
    return Snippet(
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        text=body,
        symbol=matcher.symbol(candidate, matched),
        kind=candidate.kind,
        breadcrumb=candidate.breadcrumb,
        matched_lines=matched,
    )


def _also_in(group: Group, shown: Place) -> Iterable[dict[str, Any]]:
    for ranked in (group.ranked, *group.others):
        candidate = ranked.best.candidate
        for place in candidate.places:
            if ranked is group.ranked and place == shown:
                continue
            yield {
                "repo": candidate.repo,
                "branch": place.head,
                "commit": place.commit,
                "path": candidate.path,
                "start_line": candidate.start_line,
                "end_line": candidate.end_line,
                "modified": place.modified,
                "url": permalink(place, candidate.path, candidate.start_line, candidate.end_line),
            }


def _why(ranked: Ranked, found: Found) -> dict[str, Any]:
    """Rank and score of the best chunk in each leg, and each signal's share; the shares add up to the score."""
    candidate = found.candidate
    return {
        "words": {
            "rank": found.words_rank,
            "score": found.bm25,
            "content": candidate.content,
            "path": candidate.path_score,
            "names": candidate.names,
        },
        "vectors": {"rank": found.vectors_rank, "cosine": candidate.cosine},
        "signals": dict(ranked.shares),
    }


# ---------------------------------------------------------------------------------------------------------------- matches


class Matcher:
    """Finds the lines that a query is about: those its patterns match, and where it has none those with its words."""

    def __init__(self, question: Question, patterns: Sequence[Pattern]) -> None:
        self._patterns = _line_patterns(patterns)
        self._text = question.symbol or question.text.strip()
        terms = question.terms[:LONG_MARKS] if question.is_long else question.terms
        self._terms = frozenset(() if patterns else terms)
        self._words = [_Words(self._terms)]
        if question.symbol and not patterns and (whole := text.terms(question.symbol).split()[:1]):
            self._words.insert(
                0, _Words(frozenset(whole))
            )  # the name itself tells more than its parts, where it stands

    def lines(self, body: str, first: int) -> tuple[int, ...]:
        """The numbers of the lines that match, the first line of `body` being number `first`."""
        if self._patterns:
            data = body.encode("utf-8", "surrogateescape")
            return tuple(sorted({first + number for pattern in self._patterns for number in pattern.lines(data)}))
        for words in self._words:
            if found := words.lines(body):
                return tuple([first + number for number in found])
        return ()

    def symbol(self, candidate: Candidate, matched: Sequence[int]) -> str:
        """The name that the chunk is shown under: the one asked for, else the one whose lines match, else its first.

        A chunk can define several names. One that has the question's words says what was found; of those that have equally
        many, the one that was asked for as it is written, then the first.
        """
        symbols = candidate.symbols
        if not symbols:
            return ""
        if self._terms:
            best = max(
                symbols, key=lambda symbol: (symbol.name == self._text, len(self._terms & name_terms(symbol.name)))
            )
            if best.name == self._text or self._terms & name_terms(best.name):
                return best.name
        if self._patterns and (on_them := [symbol for symbol in symbols if symbol.line in matched]):
            return on_them[0].name
        before = [symbol for symbol in symbols if matched and symbol.line <= matched[0]]
        return (before[-1] if before else symbols[0]).name


class _Words:
    """Finds the lines that have one of some terms."""

    def __init__(self, terms: frozenset[str]) -> None:
        self._telling = _Telling(terms)
        # What every word of a term begins with: stems are where their words begin, but for letters that stemming changes
        # (query: queri, hoping: hope, possibility: possibl).
        beginnings = {term[:-1] if term[-1:] in "eily" else term for term in terms} - {""}
        self._beginnings = sorted(beginning.encode("utf-8", "replace") for beginning in beginnings)
        self._ascii = all(map(bytes.isascii, self._beginnings))

    def lines(self, body: str) -> list[int]:
        """The numbers of the lines, from 0, in order.

        The whole text is searched for the beginnings, and only the words around them are looked at: a text has some hundred
        words, of which a few tell.
        """
        data, telling = body.encode("utf-8", "replace"), self._telling
        if not self._ascii:  # what is a capital, and what a word begins with, is not so simple there
            return [
                number
                for number, line in enumerate(data.split(b"\n"))
                if any(map(telling.__getitem__, text.split(line)))
            ]
        words = b" %b " % text.spaced(data)
        low, found = words.lower(), set[int]()
        for beginning in self._beginnings:
            number = counted = 0
            at = low.find(beginning)
            while at >= 0:
                end = low.find(b" ", at)
                if telling[words[words.rfind(b" ", 0, at) + 1 : end]]:
                    number += data.count(b"\n", counted, at - 1)
                    counted = at - 1
                    found.add(number)
                    end = data.find(b"\n", counted) + 1
                    if not end:
                        break
                at = low.find(beginning, end)
        return sorted(found)


class _Telling(dict[bytes, bool]):
    """Whether a word has one of the terms of a question: the lines of an answer have the same words again and again."""

    def __init__(self, terms: frozenset[str]) -> None:
        self._terms = terms

    def __missing__(self, word: bytes) -> bool:
        found = self[word] = not self._terms.isdisjoint(text.terms_of([word]).split())
        return found


def _line_patterns(patterns: Sequence[Pattern]) -> list[LinePattern]:
    if not patterns:
        return []
    from codequarry.store.prefilter import LinePattern

    return [LinePattern(pattern) for pattern in patterns]


# ----------------------------------------------------------------------------------------------------------------- places


def best_place(places: Sequence[Place]) -> Place:
    """The place to name for code that several sources show: one with a commit that has it, before a folder that was edited."""
    return min(places, key=lambda place: (place.modified, not place.commit, place.source.folder is not None))


def permalink(place: Place, path: str, start_line: int, end_line: int) -> str:
    """The address of the lines at their commit on the forge; "" where the forge is unknown or the file is edited there."""
    if not place.web or not place.commit or place.modified:
        return ""
    from urllib.parse import quote

    web = place.web.rstrip("/")
    file = quote(path.encode("utf-8", "surrogateescape"))
    host = web.split("://", 1)[-1].split("/", 1)[0].lower()
    for sign, form in _FORGES:
        if sign in host:
            # A document is shown rendered, without lines, unless its source is asked for.
            plain = "?plain=1" if sign == "github" and path.lower().endswith((".md", ".rst", ".adoc")) else ""
            return form.format(web=web, commit=place.commit, file=file + plain, start=start_line, end=end_line)
    return ""


def with_lines(url: str, start_line: int, end_line: int) -> str:
    """A permalink to other lines of the same file; "" stays ""."""
    numbers = iter((start_line, end_line))
    file, mark, lines = url.rpartition("#")
    return file + mark + re.sub(r"\d+", lambda _: str(next(numbers)), lines, count=2) if mark else ""


_FORGES = (
    ("github", "{web}/blob/{commit}/{file}#L{start}-L{end}"),
    ("gitlab", "{web}/-/blob/{commit}/{file}#L{start}-{end}"),
    ("bitbucket.org", "{web}/src/{commit}/{file}#lines-{start}:{end}"),
    ("gitea", "{web}/src/commit/{commit}/{file}#L{start}-L{end}"),
    ("forgejo", "{web}/src/commit/{commit}/{file}#L{start}-L{end}"),
    ("codeberg.org", "{web}/src/commit/{commit}/{file}#L{start}-L{end}"),
)
