"""Ranked files become hits: text, the lines that match, where the code stands, a link to it, and where else it stands.

Code that is the same in several places is one hit: the others are in its `also_in`. Other sides of the same thing, which `fold` has
found, are its `related` hits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from codequarry import text
from codequarry.ports import Store
from codequarry.search.features import Question
from codequarry.search.matches import Matcher
from codequarry.search.pool import Found, Ranked
from codequarry.search.retrieve import MORE_MATCHES
from codequarry.types import Candidate, Hit, Pattern, Place, Request, Snippet

MORE_SNIPPETS = 2
"""How many chunks of a file are shown beside the best."""

_WORTH, _LIKELY = 0.4, 0.01
"""Of the best chunk's score, what a chunk of the same file needs to be shown beside it; the second where scores are likelihoods.

On the packages of bench/intent.tsv a name in words then has 1.6 chunks, a description 2.7, and .868 of the functions described are
among them; with the first, by the scores that were before likelihoods, 2.5 and 2.7 chunks, and .842.
"""


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
    worth = _WORTH if question.is_long or question.exact else _LIKELY
    shown = [_shown(group, every, worth) for group in groups]
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


def _shown(group: Group, every: bool, worth: float) -> list[Candidate]:
    """The best chunk of a file and those beside it that are worth showing, or all in order of their lines."""
    best, *others = group.ranked.chunks
    if every:
        rest = [*(found.candidate for found in others), *group.unranked]
        return [best.candidate, *sorted(rest, key=lambda one: one.start_line)]
    more = [found.candidate for found in others if found.score >= worth * best.score]
    return [best.candidate, *more[:MORE_SNIPPETS]]


def _hit(group: Group, shown: list[tuple[Candidate, str]], matcher: Matcher, explain: bool) -> Hit:
    ranked, (candidate, body) = group.ranked, shown[0]
    matched, symbol = matcher.read(candidate, body)
    place = best_place(candidate.places)
    return Hit(
        repo=candidate.repo,
        commit=place.commit,
        branch=place.head,
        path=candidate.path,
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        language=candidate.language,
        symbol=symbol.name if symbol else "",
        kind=candidate.kind,
        score=ranked.score,
        url=permalink(place, candidate.path, candidate.start_line, candidate.end_line),
        modified=place.modified,
        text=body,
        blob=candidate.blob,
        breadcrumb=candidate.breadcrumb,
        marks=candidate.marks,
        matched_lines=matched,
        symbol_line=matcher.begins(symbol),
        snippets=[_snippet(more, its_text, matcher) for more, its_text in shown[1:]],
        also_in=list(_also_in(group, place)),
        why=_why(ranked, ranked.best) if explain else {},
    )


def _snippet(candidate: Candidate, body: str, matcher: Matcher) -> Snippet:
    matched, symbol = matcher.read(candidate, body)
    return Snippet(
        start_line=candidate.start_line,
        end_line=candidate.end_line,
        text=body,
        symbol=symbol.name if symbol else "",
        kind=candidate.kind,
        breadcrumb=candidate.breadcrumb,
        matched_lines=matched,
        symbol_line=matcher.begins(symbol),
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
