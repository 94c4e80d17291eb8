"""The one way from a request to the index and the ledger: whatever a caller is shown passes here, with the caller's access.

REST and MCP are two forms of the same calls. All methods block, are safe for threads, and raise the errors of `codequarry.errors`.
Store and ledger are opened once for the process, when they are first needed: a service whose Elasticsearch is down starts, says
so, and works as soon as it is back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from codequarry.errors import BadInput, CodequarryError, ModelMismatch, NotFound, RepositoryNotFound
from codequarry.search.scope import did_you_mean, near_repositories, one_source, visible
from codequarry.types import Answer, Check, FileText, Job, Prompt, Repository, Skipped, Source, SourceState

if TYPE_CHECKING:
    from codequarry.code_search import CodeSearch
    from codequarry.ports import Ledger, Queue, Reranker
    from codequarry.search import Engine
    from codequarry.search.exact import Definition, Exact, Line
    from codequarry.service.security import Caller
    from codequarry.settings import Settings

Filters = Mapping[str, Any]  # of a name of search.query.FILTERS: values, any of which will do
Opened = TypeVar("Opened")
Found = TypeVar("Found", bound="_Noted")

_MODEL_EVERY_S = 5.0  # how often it is seen which model the index has
_REFRESH_EVERY_S = 2.0  # folders on disk are looked at so often at most


class _Noted(Protocol):
    notes: list[str]


@dataclass(slots=True)
class Overview:
    """A repository as a caller sees it. `ready`: all that is wanted of it has been indexed once; `why`: why it is not.

    `lag_s`: how long the oldest wish for it has been open, 0.0 when there is none.
    """

    repo: str
    ready: bool = False
    why: str = ""
    lag_s: float = 0.0
    registered: Repository | None = None
    sources: list[SourceState] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


@dataclass(slots=True)
class Coverage:
    """What of a source is indexed: paths with None, or the reason why they are not. Counts are of the whole source."""

    state: SourceState
    reasons: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[str, Skipped | None]] = field(default_factory=list)
    next_start: int | None = None


class Backend:
    """Index and ledger, opened when they are needed. Without `jobs` there is no ledger: only what is indexed can be asked."""

    def __init__(
        self,
        settings: Settings,
        *,
        location: str | None = None,
        model: str | None = None,
        jobs: bool = True,
        queue: Queue | None = None,
    ) -> None:
        self.settings = settings
        self.location = location or settings.store
        self.queue = queue
        self._model, self._jobs = model, jobs
        self._quarry: CodeSearch | None = None
        self._ledger: Ledger | None = None
        self._engine: Engine | None = None
        self._model_seen_at = 0.0
        self._reranker: Reranker | None = None
        self._opening, self._engines, self._refreshing, self._loading = Lock(), Lock(), Lock(), Lock()
        self._refreshed_at = 0.0

    @property
    def quarry(self) -> CodeSearch:
        """The index."""
        if self._quarry is None:
            from codequarry.api import connect

            with self._opening:
                if self._quarry is None:
                    self._quarry = connect(self.location, model=self._model, settings=self.settings)
        return self._quarry

    @property
    def ledger(self) -> Ledger:
        """The ledger.

        Raises:
            BadInput: this process has none.
        """
        if self._ledger is None:
            if not self._jobs:
                raise BadInput("there are no jobs here", hint="codequarry serve has a ledger of work")
            from codequarry.store import open_ledger

            with self._opening:
                if self._ledger is None:
                    self._ledger = open_ledger(self.location, self.settings)
        return self._ledger

    @property
    def engine(self) -> Engine:
        """The read path, with the model that the index has now: it may be made anew with another while the service runs."""
        engine = self._engine
        if engine is not None and time.monotonic() - self._model_seen_at < _MODEL_EVERY_S:
            return engine
        with self._engines:
            known = self.quarry.store.model()
            if self._engine is None or (known and self._is_other(self._engine, known[1])):
                self._engine = self._open_engine(known[0] if known else None)
            self._model_seen_at = time.monotonic() if known else 0.0
            return self._engine

    def _is_other(self, engine: Engine, fingerprint: str) -> bool:
        return not self._named and engine.embedder is not None and engine.embedder.fingerprint != fingerprint

    @property
    def _named(self) -> str | None:
        """The model that someone wrote down: it is what they mean, and an index of another one an error."""
        return self._model or (self.settings.model if "model" in self.settings.given else None)

    def _open_engine(self, known: str | None) -> Engine:
        from codequarry.models import open_embedder
        from codequarry.search import Engine

        settings = self.settings
        name = self._named or known or settings.model
        try:
            embedder = open_embedder(name, device=settings.model_device, batch_size=settings.model_batch)
        except BadInput as error:  # not of whoever asks: the index, or the settings, name a model that is not there
            raise ModelMismatch(f"the model of the index cannot be used: {error.message}", hint=error.hint) from error
        return Engine(
            self.quarry.store,
            embedder,
            weights_file=settings.ranking_weights,
            reranker=self.reranker,
            reranker_weight=settings.reranker_weight,
        )

    @property
    def reranker(self) -> Reranker | None:
        """The reranker of the settings, loaded once for the process; None where there is none.

        Raises:
            BadInput, ModelError: it cannot be loaded.
        """
        settings = self.settings
        if self._reranker is None and settings.reranker:
            from codequarry.models.rerankers import open_reranker

            with self._loading:
                if self._reranker is None:
                    self._reranker = open_reranker(
                        settings.reranker, device=settings.model_device, batch_size=settings.model_batch
                    )
        return self._reranker

    def close(self) -> None:
        """Frees what was opened."""
        for opened in (self._quarry, self._ledger):
            if opened is not None:
                opened.close()

    # ------------------------------------------------------------------------------------------------------------- asking

    def search(self, caller: Caller, query: str, *, filters: Filters, **options: Any) -> Answer:
        """`Engine.search`, of what the caller sees."""
        return self._found(caller, lambda: self.engine.search(query, access=caller.access, **filters, **options))

    def prompt(
        self, caller: Caller, question: str, *, budget: int, format: str, filters: Filters, **options: Any
    ) -> Prompt:
        """`Engine.prompt`, of what the caller sees."""
        return self._found(
            caller, lambda: self.engine.prompt(question, budget, format, access=caller.access, **filters, **options)
        )

    def grep(self, caller: Caller, pattern: str, *, filters: Filters, **options: Any) -> Exact[Line]:
        """`search.exact.grep`, of what the caller sees."""
        from codequarry.search import exact

        return self._found(
            caller,
            lambda: exact.grep(self.quarry.store, pattern, filters=filters, access=caller.access, **options),
        )

    def definitions(self, caller: Caller, name: str, *, filters: Filters, **options: Any) -> Exact[Definition]:
        """`search.exact.definitions`, of what the caller sees."""
        from codequarry.search import exact

        return self._found(
            caller,
            lambda: exact.definitions(self.quarry.store, name, filters=filters, access=caller.access, **options),
        )

    def read(
        self,
        caller: Caller,
        repo: str,
        path: str,
        branch: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> FileText:
        """`Engine.read`, of what the caller sees; a repository that it does not see is one that is not there."""
        caller.must("read")
        return self.engine.read(repo, path, branch, start, end, access=caller.access)

    def judge(self, caller: Caller, question: str, repo: str, path: str, *, answers: bool) -> dict[str, Any]:
        """Keeps whether a file that the caller sees answers a question, in the data folder; returns what was kept."""
        caller.must("search")
        from codequarry.service.feedback import keep

        file = self.engine.read(repo, path, access=caller.access)
        return keep(self.settings.data_dir, question, file.source.repo, file.path, answers=answers)

    def states(self, caller: Caller) -> list[SourceState]:
        """Everything that is indexed and that the caller sees."""
        return visible(self.quarry.store.sources(), caller.access)

    def _found(self, caller: Caller, ask: Callable[[], Found]) -> Found:
        """What a caller who may search is answered; the notes begin with what could not be indexed before."""
        caller.must("search")
        notes = self._fresh()
        found = ask()
        found.notes[:0] = notes
        return found

    def _fresh(self) -> list[str]:
        """Indexes what changed in folders on this machine, now and then, and never twice at once; notes on what could not be."""
        if "://" in self.location or not self._refreshing.acquire(blocking=False):
            return []
        try:
            if time.monotonic() - self._refreshed_at < _REFRESH_EVERY_S:
                return []
            return self.quarry.refresh()
        finally:
            self._refreshed_at = time.monotonic()
            self._refreshing.release()

    # ------------------------------------------------------------------------------------------------------- looking around

    def repositories(self, caller: Caller, repo: str | None = None) -> list[Overview]:
        """Every repository that is indexed or registered and that the caller sees, or the one of that full name."""
        caller.must("read")
        return self._overviews(caller, repo)

    def _overviews(self, caller: Caller, repo: str | None = None) -> list[Overview]:
        found: dict[str, Overview] = {}
        for state in self.states(caller):
            found.setdefault(state.source.repo, Overview(state.source.repo)).sources.append(state)
        if self._jobs:
            jobs: dict[str, list[Job]] = {}
            for job in self.ledger.jobs(repo):
                jobs.setdefault(job.source.repo, []).append(job)
            for registered in self._registered(caller):
                one = found.setdefault(registered.repo, Overview(registered.repo))
                one.registered, one.jobs = registered, jobs.get(registered.repo, [])
        now = time.time()
        for one in found.values():
            _judge(one, now)
        return [one for name, one in sorted(found.items()) if repo in (None, name)]

    def repository(self, caller: Caller, repo: str) -> Overview:
        """The repository of that full name.

        Raises:
            RepositoryNotFound: there is none that the caller sees.
        """
        caller.must("read")
        return self._overview(caller, repo)

    def _overview(self, caller: Caller, repo: str) -> Overview:
        found = self._overviews(caller, repo)
        if not found:
            raise self._no_repository(caller, repo)
        return found[0]

    def coverage(
        self,
        caller: Caller,
        repo: str,
        branch: str | None = None,
        *,
        path: str | None = None,
        only: str = "all",
        limit: int = 1000,
        start: int = 0,
    ) -> Coverage:
        """What is indexed of a source and what is not, with the reason; `path` is a glob, `only` is all, indexed or skipped."""
        caller.must("read")
        store = self.quarry.store
        state = one_source(repo, branch, self.states(caller))
        skipped = store.skipped(state.source)
        entries: list[tuple[str, Skipped | None]] = []
        if only in ("all", "indexed"):
            entries += [(name, None) for name in store.paths(state.source)]
        if only in ("all", "skipped"):
            entries += [(one.path, one) for one in skipped]
        if path is not None:
            fits = _glob(path)
            entries = [entry for entry in entries if fits(entry[0])]
        entries.sort(key=lambda entry: entry[0])
        return Coverage(
            state,
            dict(sorted(Counter(one.reason for one in skipped).items())),
            entries[start : start + limit],
            start + limit if len(entries) > start + limit else None,
        )

    def _registered(self, caller: Caller) -> list[Repository]:
        return [one for one in self.ledger.repositories() if _sees(caller, one.access)]

    def _no_repository(self, caller: Caller, repo: str) -> RepositoryNotFound:
        known = {state.source.repo for state in self.states(caller)}
        if self._jobs:
            known |= {one.repo for one in self._registered(caller)}
        close = did_you_mean(near_repositories(repo, known)) or "."
        return RepositoryNotFound(
            f"There is no repository {repo!r} here{close}", hint="GET /v1/repositories lists them."
        )

    # ------------------------------------------------------------------------------------------------------------ changing

    def register(self, caller: Caller, url: str, **given: Any) -> tuple[Overview, bool]:
        """Registers a repository by its address and asks for it to be indexed; whether it is new.

        Raises:
            BadInput: an address that this service may not speak to, or that holds credentials.
        """
        caller.must("admin")
        from codequarry.ingest.jobs import describe

        asked = describe(url, self.settings)
        before = self.ledger.repository(asked.repo)
        base = asked if before is None else replace(before, url=asked.url)
        self.ledger.register(replace(base, **given))
        self._want(Source(asked.repo, ""), asked.url)
        return self._overview(caller, asked.repo), before is None

    def update(self, caller: Caller, repo: str, **changes: Any) -> Overview:
        """Changes what is wanted of a registered repository, and asks for it to be indexed so.

        Raises:
            RepositoryNotFound: it is not registered.
        """
        caller.must("admin")
        registered = self._must_be_registered(caller, repo)
        self.ledger.update(repo, **changes)
        if self.ledger.repository(repo) != registered:
            self._want(Source(repo, ""))
        return self._overview(caller, repo)

    def remove(self, caller: Caller, repo: str) -> None:
        """Takes a repository off the list, and what is indexed of it out of the index: at once, or by the next worker.

        Raises:
            RepositoryNotFound: it is neither registered nor indexed.
        """
        caller.must("admin")
        if self.ledger.repository(repo) is not None:
            self.ledger.remove(repo)
            self._poke(Source(repo, ""))
            return
        self._overview(caller, repo)
        self.quarry.forget(repo)

    def want(self, caller: Caller, repo: str, commit: str = "") -> Job:
        """Asks for a repository to be looked at now.

        Raises:
            RepositoryNotFound: it is not registered.
        """
        caller.must("webhook")
        self._must_be_registered(caller, repo)
        return self._want(Source(repo, ""), commit=commit)

    def jobs(self, caller: Caller, repo: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        """The jobs of the repositories that the caller sees."""
        caller.must("read")
        seen = {one.repo for one in self._registered(caller)}
        return [job for job in self.ledger.jobs(repo, states) if job.source.repo in seen]

    def steer(self, caller: Caller, verb: str, repo: str, branch: str) -> Job:
        """Cancels a job, or lets it run again now (`verb`: cancel, retry); returns it as it stands then.

        Raises:
            NotFound: there is no such job.
        """
        caller.must("admin")
        source = Source(repo, branch)
        job = self.ledger.cancel(source) if verb == "cancel" else self.ledger.retry(source)
        if job is None:
            raise NotFound(f"There is no job of {source}.", hint="GET /v1/jobs lists them.")
        if verb == "retry":
            self._poke(source, job.queue)
        return job

    def _must_be_registered(self, caller: Caller, repo: str) -> Repository:
        registered = self.ledger.repository(repo)
        if registered is None or not _sees(caller, registered.access):
            raise self._no_repository(caller, repo)
        return registered

    def _want(self, source: Source, url: str = "", commit: str = "") -> Job:
        job = self.ledger.want(source, url, commit, reason="request")
        self._poke(source, job.queue)
        return job

    def _poke(self, source: Source, queue: str = "sync") -> None:
        if self.queue is not None:
            self.queue.poke(queue, source)

    # -------------------------------------------------------------------------------------------------------------- health

    def parts(self) -> list[Check]:
        """Whether index, ledger and queue can be asked now. Never raises. Without the queue, workers find work a little later."""
        found = [_try("index", lambda: f"{len(self.quarry.store.sources())} sources")]
        if self._jobs:
            found.append(_try("ledger", lambda: f"{len(self.ledger.repositories())} repositories"))
        if self.settings.reranker:
            kind = self.settings.reranker.partition(":")[0]
            found.append(_try("reranker", lambda: f"{kind}, loaded" if self.reranker else ""))
        if check := getattr(self.queue, "check", None):
            found.append(_try("queue", lambda: check() or "Redis answers"))
        return found


def _try(part: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(part, True, ask())
    except CodequarryError as error:
        return Check(part, False, error.message, error.hint)
    except Exception as error:  # whatever is broken is what is asked for
        return Check(part, False, f"{type(error).__name__}: {error}")


def _sees(caller: Caller, access: Sequence[str]) -> bool:
    return caller.access is None or not access or not set(access).isdisjoint(caller.access)


def _judge(one: Overview, now: float) -> None:
    """Says whether the repository is ready, and why not: what is not wholly indexed is never called so."""
    open_since = [job.wanted_at for job in one.jobs if job.wanted_at]
    one.lag_s = max(0.0, round(now - min(open_since), 3)) if open_since else 0.0
    done = {state.source.branch for state in one.sources if state.indexed_at}
    begun = [state.source.branch for state in one.sources if not state.indexed_at]
    missing = [job for job in one.jobs if job.source.branch and job.source.branch not in done]
    failed = [job for job in one.jobs if job.state == "failed"]
    if begun or missing:
        names = sorted({*begun, *(job.source.branch for job in missing)})
        one.why = f"not indexed yet: {', '.join(names[:5])}"
    elif not done:
        one.why = "nothing of it is indexed yet"
    one.ready = not one.why
    if failed:
        one.why = "; ".join(filter(None, (one.why, f"the last run failed: {failed[0].error}")))
    elif one.registered is not None and one.registered.state != "active":
        one.why = "; ".join(filter(None, (one.why, f"{one.registered.state}: {one.registered.note}".rstrip(": "))))


def _glob(glob: str) -> Callable[[str], bool]:
    from codequarry.search.query import glob_problem
    from codequarry.text import glob_test

    if problem := glob_problem(glob):
        raise BadInput(f"The glob {glob!r} cannot be read: {problem}.", hint="See docs/query.md for globs.")
    return glob_test([glob])
