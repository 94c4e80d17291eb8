"""The read path: a question becomes a query, the store's candidates, ranked files, hits, and a prompt.

`Engine` is the whole of it on one screen.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codequarry.errors import BadInput, ModelError, PathNotFound
from codequarry.ports import Embedder, Reranker, Store
from codequarry.search import empty, rank, retrieve, snippets
from codequarry.search.feature_set import Weights, tuned_weights
from codequarry.search.query import Query, parse
from codequarry.search.scope import did_you_mean, near, one_source, resolve, visible
from codequarry.types import Answer, FileText, Hit, Prompt, Retrieved, Source

__all__ = ["MAX_LIMIT", "Engine", "Query", "parse"]

MAX_LIMIT = 100
"""The most hits that one answer has; `next_cursor` leads on."""

Some = str | Sequence[str] | None
"""One value of a filter, or several of which any will do."""


class Engine:
    """Answers questions from a store. Without an embedder it searches by words alone.

    `weights_file` may have ranking weights that go before those that ship; where there is none, those that ship rank. A `reranker`
    puts the best hits in order once more (`rerank.reranked`).
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder | None = None,
        *,
        weights_file: str = "",
        reranker: Reranker | None = None,
        reranker_weight: float = 0.2,
    ) -> None:
        self.store, self.embedder, self.weights_file = store, embedder, weights_file
        self.reranker, self.reranker_weight = reranker, reranker_weight
        self._is_checked = False

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        cursor: str | None = None,
        explain: bool = False,
        plain: bool = False,
        syntax: bool = False,
        repo: Some = None,
        lang: Some = None,
        path: Some = None,
        branch: Some = None,
        kind: Some = None,
        symbol: Some = None,
        access: tuple[str, ...] | None = None,
        off: Collection[str] = (),
        all_matches: bool = False,
    ) -> Answer:
        """The files that answer a query, the best first; `docs/query.md` is its language.

        `repo` to `symbol` are filters as in the query, and hold beside it. `cursor` is the `next_cursor` of the answer before.
        `explain` fills `why`; `off` leaves out signals of the ranking, or with `fold` lets related files be hits of their own;
        `access` are the caller's groups (None: sees all).
        `all_matches`: where phrases or regular expressions are asked for, a hit has every chunk of its file that matches, in
        place of the first three.

        Raises:
            QuerySyntax: the query cannot be read; the error has the place.
            BadInput: a limit, cursor or filter that cannot be.
            ModelMismatch, StoreError: the index cannot be asked.
        """
        clock = _Clock()
        self.check_model()
        asked = parse(query, plain=plain, syntax=syntax)
        given = {"repo": repo, "lang": lang, "path": path, "branch": branch, "kind": kind, "symbol": symbol}
        filters = {name: [value] if isinstance(value, str) else list(value) for name, value in given.items() if value}
        start = _start(limit, cursor)
        states = visible(self.store.sources(), access)
        resolved = resolve(asked, states, filters, access)
        clock.lap("query")
        sent = retrieve.ask(asked, resolved, self.embedder)
        clock.lap("embed")
        tuned, note = tuned_weights(self.weights_file) if self.weights_file else ({}, "")
        retrieved, groups = self._groups(sent, start + limit, off, tuned, clock)
        if sent.question.is_long and sent.by_words and "fold" not in off:
            from codequarry.search import fold  # which a short question need not wait for

            groups = fold.folded(groups)
        if self.reranker and sent.by_words and "reranker" not in off:
            groups = self._reranked(groups, start, sent, clock)
        page = groups[start : start + limit]
        exact = bool(sent.request.scope.patterns)  # all chunks that match are asked for, not the best by words
        whole = True
        if exact and page and len(retrieved.candidates) >= retrieve.MATCHES:
            whole = snippets.complete(page, sent.request, self.store)
        patterns, every = resolved.scope.patterns, all_matches and exact
        hits = snippets.hits(page, sent.question, patterns, self.store, explain=explain, counted=exact, every=every)
        clock.lap("snippets")
        notes = [*asked.notes, *resolved.notes, *resolved.dead, *sent.notes, *retrieved.notes]
        notes += empty.building(resolved.states)
        notes += [note] if note else []
        if all_matches and not exact:
            notes.append(
                "Only phrases and regular expressions have a complete set of matches: these are the best chunks."
            )
        if not whole:
            notes.append(f"These files have more than {retrieve.MORE_MATCHES:,} matching chunks; not all are counted.")
        if len(retrieved.candidates) >= retrieve.MORE_MATCHES:
            notes.append(
                f"Only the first {retrieve.MORE_MATCHES:,} matching chunks are ranked; narrow the query for others."
            )
        if not groups:
            notes += empty.reasons(self.store, states, resolved, sent.request, asked.question)
        elif sent.by_words:
            symbol, found = sent.question.symbol, retrieved.candidates
            notes += empty.unknown_names(self.store, asked, symbol, resolved.scope, hits, found)
        return Answer(
            query=query,
            hits=hits,
            notes=list(dict.fromkeys(notes)),
            total=max(retrieved.total, len(groups)),
            next_cursor=str(start + limit) if len(groups) > start + limit else None,
            took_ms=clock.total_ms,
            times_ms={**clock.laps_ms, **{f"store.{leg}": ms for leg, ms in retrieved.times_ms.items()}},
        )

    def _groups(
        self,
        sent: retrieve.Asked,
        needed: int,
        off: Collection[str],
        tuned: Mapping[str, Weights],
        clock: _Clock,
    ) -> tuple[Retrieved, list[snippets.Group]]:
        """The candidates, and all files made from them in order; more matches are asked for where so many files need them."""
        if sent.request.scope.sources == ():
            return Retrieved(), []
        retrieved = self.store.retrieve(sent.request)
        clock.lap("retrieve")
        tiers = [retrieved.candidates]
        groups = snippets.grouped(rank.rank(sent.question, tiers[0], sent.request.weights, off=off, tuned=tuned))
        clock.lap("rank")
        if len(tiers[0]) >= sent.request.matches and len(groups) <= needed:
            # The first matches stay in front, so that the pages of an answer fit together.
            retrieved = self.store.retrieve(replace(sent.request, matches=retrieve.MORE_MATCHES))
            first = len(tiers[0])
            tiers = [retrieved.candidates[:first], retrieved.candidates[first:]]
            groups = snippets.grouped(
                ranked
                for tier in tiers
                for ranked in rank.rank(sent.question, tier, sent.request.weights, off=off, tuned=tuned)
            )
            clock.lap("retrieve")
        return retrieved, groups

    def _reranked(
        self, groups: list[snippets.Group], start: int, sent: retrieve.Asked, clock: _Clock
    ) -> list[snippets.Group]:
        """The groups with the best in order once more, if the page shows any of those. A model that fails costs only that."""
        from codequarry.search import rerank

        assert self.reranker is not None
        if start >= rerank.BEST:
            return groups
        try:
            return rerank.reranked(groups, sent.meant, self.reranker, self.store, self.reranker_weight)
        except ModelError as error:
            sent.notes.append(f"In the order of the ranking alone: {error.message}")
            return groups
        finally:
            clock.lap("rerank")

    def read(
        self,
        repo: str,
        path: str,
        branch: str | None = None,
        start: int | None = None,
        end: int | None = None,
        *,
        access: tuple[str, ...] | None = None,
    ) -> FileText:
        """A file as the index has it, or its lines `start` to `end`, both included. `access`: as in `search`.

        Raises:
            RepositoryNotFound: no repository, or more than one, has this name, with what comes near.
            PathNotFound: it has no such file, with the paths that come near.
        """
        state = one_source(repo, branch, visible(self.store.sources(), access))
        try:
            file = self.store.read_file(state.source, path)
        except PathNotFound as error:
            raise self._no_file(state.source, path) from error
        if start is not None or end is not None:
            lines = file.text.split("\n")
            first, last = max(start or 1, 1), min(end or len(lines), len(lines))
            if first > last:
                raise BadInput(f"{path} has no lines {first} to {end or 'the end'}: it has {len(lines):,}.")
            file = replace(file, text="\n".join(lines[first - 1 : last]))
        return file

    def _no_file(self, source: Source, path: str) -> PathNotFound:
        """The error for a file that a source does not show: why it was left out, or the paths that come near."""
        where = source.folder or str(source)
        for one in self.store.skipped(source):
            if one.path == path:
                why = f"{one.reason}, {one.detail}" if one.detail else one.reason
                return PathNotFound(
                    f"{path} of {where} was left out of the index: {why}",
                    hint="codequarry status --skipped lists all that was",
                )
        paths = self.store.paths(source)
        close = [known for known in paths if known.endswith("/" + path)][:3] or _paths_near(path, paths)
        return PathNotFound(
            f"{where} has no file {path}{did_you_mean(close)}",
            hint="Paths begin at the repository's root; a search for path:GLOB lists files.",
        )

    def whole_file(self, hit: Hit) -> str | None:
        """The text of the file that a hit is from, None where no source shows that version any more."""
        for state in self.store.sources():
            if state.source.repo == hit.repo:
                try:
                    file = self.store.read_file(state.source, hit.path)
                except PathNotFound:
                    continue
                if file.blob == hit.blob:
                    return file.text
        return None

    def prompt(self, question: str, budget: int = 4000, format: str = "markdown", **options: Any) -> Prompt:
        """A context of at most `budget` tokens for a language model; `options` are those of `PromptBuilder.build`."""
        from codequarry.search.prompt import PromptBuilder

        return PromptBuilder(self, budget=budget, format=format).build(question, **options)

    def check_model(self) -> None:
        """A question embedded by another model than the index's would be answered with nonsense.

        Raises:
            ModelMismatch: with the name of the model to use.
        """
        if self._is_checked or self.embedder is None:
            return
        if known := self.store.model():
            name, fingerprint, _ = known
            if fingerprint != self.embedder.fingerprint:
                from codequarry.store.schema import model_mismatch

                raise model_mismatch(self.store.location, built=name, asked=self.embedder.name)
            self._is_checked = True


def _paths_near(path: str, paths: Sequence[str]) -> list[str]:
    """Paths whose file is named nearly so; comparing whole paths would cost seconds in a large repository."""
    by_name: dict[str, str] = {}
    for known in paths:
        by_name.setdefault(known.rsplit("/", 1)[-1], known)
    return [by_name[name] for name in near(path.rsplit("/", 1)[-1], by_name)]


class _Clock:
    """Milliseconds by step; a step that comes again adds up."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps_ms[name] = self.laps_ms.get(name, 0.0) + 1000 * (now - self._last)
        self._last = now

    @property
    def total_ms(self) -> float:
        return 1000 * (time.perf_counter() - self._began)


def _start(limit: int, cursor: str | None) -> int:
    """How many hits come before the page."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadInput(f"The limit is {limit}; it can be 1 to {MAX_LIMIT}.", hint="Follow next_cursor for more.")
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 6):
        raise BadInput(f"{cursor[:40]!r} is no cursor.", hint="Use the next_cursor of an answer as it is.")
    return int(cursor)
