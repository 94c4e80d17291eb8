"""What background workers do, and in what order; it knows nothing of the queues that wake them.

A ledger says what must happen, a queue merely hints at it. The job of a repository as a whole (branch "") looks at the forge, asks
for the branches that are wanted and not indexed as they are there, and forgets those that are gone. The job of a branch fetches it
and publishes its tree. Both can be run at any time, by anyone, any number of times: what is as it should be costs a look.

Workers of the queue `sync` never import torch. Where the index has a transformer's vectors, they do everything for which the
cache of vectors has what is needed, and hand a job over to the queue `embed` when the first vector is missing; what was done until
then is kept. So a new branch, a deletion or a moved default branch needs no model at all, and texts need not travel.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, CodequarryError, GitError, Upstream, WriterBusy
from codequarry.ingest import RECIPE, credentials, mirrors, network, recipe, remote, repos
from codequarry.ingest.files import FileOptions
from codequarry.ingest.git import Credential, Profile
from codequarry.ingest.pipeline import Pipeline
from codequarry.ingest.runs import Flag, Run, Stopped
from codequarry.models import is_light, open_embedder
from codequarry.store import owner
from codequarry.types import Job, Progress, Repository, Source, SourceState

if TYPE_CHECKING:
    from codequarry.ports import Embedder, Lease, Ledger, Queue, Store
    from codequarry.settings import Settings

LEASE_S = 30.0
MOST_BRANCHES = 1_000
"""Of one repository: their jobs stand in one row of the ledger."""
_AUDIT_S = 600.0  # how often the ledger is compared with the index

log = logging.getLogger("codequarry.jobs")


def describe(
    url: str, settings: Settings, *, name: str | None = None, branches: Sequence[str] = (), generated: bool = False
) -> Repository:
    """The repository at an address, to be registered; its name is that of the address unless one is given.

    Raises:
        BadInput: the address is none that a service may use.
    """
    address = remote.address_of(url, profile_of(settings))
    if profile_of(settings) == "server":
        network.admit(address.host, network.rules_of(settings))
    if address.credential:
        raise BadInput(
            "the address of a repository that is kept indexed holds no user name and password",
            hint="leave them out; credentials are given by reference",
        )
    return Repository(name or address.identity, address.url, tuple(branches), generated)


def profile_of(settings: Settings) -> Profile:
    """What git may do for a service: for one's own use as much as on the command line."""
    return "local" if settings.local_repositories else "server"


class LocalQueue:
    """`codequarry.ports.Queue` within a process: it wakes the loop."""

    def __init__(self) -> None:
        self._poked = threading.Event()

    def poke(self, kind: str, source: Source) -> None:
        """Wakes the loop, or lets it look once more."""
        self.wake()

    def wake(self) -> None:
        """The same, where it is not said what there is to do."""
        self._poked.set()

    def wait(self, limit_s: float) -> bool:
        """Returns when there was a poke since the last time (True), or after so many seconds."""
        poked = self._poked.wait(limit_s)
        self._poked.clear()
        return poked


class NeedsModel(Exception):
    """A vector is missing that only a model can make, and this process has none."""


class _Known:
    """The embedder of a process without the model: the cache of vectors must have everything."""

    cached = True

    def __init__(self, name: str, fingerprint: str, dim: int) -> None:
        self.name, self.fingerprint, self.dim = name, fingerprint, dim

    def embed(self, texts: Sequence[str]) -> bytes:
        """Nothing for no texts."""
        if texts:
            raise NeedsModel
        return b""

    def embed_question(self, text: str) -> bytes:
        """Nobody asks a worker."""
        raise NeedsModel


class Runner:
    """Runs jobs, one at a time. Give it a store of its own; the ledger may be shared with other threads."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        queue: Queue,
        settings: Settings,
        *,
        queues: Collection[str] = ("sync", "embed"),
        embedder: Embedder | None = None,
        lease_s: float = LEASE_S,
        beat_s: float = 2.0,
        on_hang: Callable[[], None] | None = None,
    ) -> None:
        """What runs where.

        Args:
            store: what is written.
            ledger: what must be done.
            queue: told what is to be done next.
            settings: rules for files, model, limits.
            queues: the jobs that are taken; without `embed` no transformer is loaded.
            embedder: the model, opened when it is first needed unless given.
            lease_s: how long a lease lasts without a sign of life.
            beat_s: how often there is one, and how soon a cancelled job notices.
            on_hang: called from a thread when a run does not end at its limit; where it is given, a file that takes too much
                processor time ends this process.
        """
        self.store, self.ledger, self.queue, self.settings = store, ledger, queue, settings
        self._queues, self._embedder = frozenset(queues), embedder
        self._lease_s, self._beat_s, self._on_hang = lease_s, beat_s, on_hang
        self.ending: Flag = threading.Event()  # once set, a run stops at its next step and nothing is begun
        self._profile, self._rules = profile_of(settings), network.rules_of(settings)
        self._mirrors = settings.data_dir / "mirrors"

    # --------------------------------------------------------------------------------------------------------------- runs

    def run_one(self, source: Source) -> bool:
        """Runs the job of a source if there is one to run here and now; whether it did. Errors go into the ledger.

        Raises:
            StoreError: the ledger cannot be used.
        """
        job = self.ledger.job(source)
        if job is None or job.queue not in self._queues or self.ending.is_set():
            return False
        lease = self.ledger.take(source, owner.me(), self._lease_s)
        if lease is None:
            return False
        log.info("%s: run %d begins (%s)", source, lease.epoch, lease.job.reason or "no reason given")
        limits = {"lease_s": self._lease_s, "beat_s": self._beat_s, "limit_s": float(self.settings.job_limit_s)}
        with Run(lease, ending=self.ending, on_hang=self._on_hang or (lambda: None), **limits) as run:
            try:
                self._run(lease, run)
            except Stopped as stopped:
                self._stopped(lease, stopped.reason)
            except NeedsModel:
                lease.hand_over("embed")
            except Exception as error:  # whatever a run dies of is kept with the job, and the next job is run
                self._failed(lease, error)
        done = self.ledger.job(source)
        log.info(
            "%s: run %d ended: %s", source, lease.epoch, f"{done.state} {done.error}".rstrip() if done else "removed"
        )
        for waiting in self.ledger.jobs(source.repo, ["waiting"]):
            if waiting.next_try_at <= time.time():
                self.queue.poke(waiting.queue, waiting.source)
        return True

    def _run(self, lease: Lease, run: Run) -> None:
        if self.ledger.removing(lease.job.source.repo):
            self._remove(lease)
        elif lease.job.source.branch:
            self._index(lease, run)
        else:
            self._look(lease, run)

    def _stopped(self, lease: Lease, reason: str) -> None:
        if reason == "limit":
            error = f"stopped after {self.settings.job_limit_s} s; what it had done is kept"
            lease.fail(error, hint="a larger job_limit_s allows more", retry_in_s=_backoff(lease.job.attempts))
        else:
            lease.fail("", retry_in_s=0.0, counts=False)

    def _failed(self, lease: Lease, error: Exception) -> None:
        job = lease.job
        if isinstance(error, WriterBusy):
            lease.fail(error.message, hint=error.hint, retry_in_s=_jitter(3.0), counts=False)
        elif isinstance(error, Upstream) and error.retryable:
            # As long again as it waits already: 5 s at first, 10 min at last, for as long as it takes.
            waited = time.time() - (job.wanted_at or job.started_at)
            delay = min(600.0, max(5.0, waited))
            lease.fail(error.message, hint=error.hint, retry_in_s=_jitter(delay), counts=False)
        elif isinstance(error, GitError) and (state := remote.trouble(error)):
            if state == "denied":
                credentials.forget_tokens()
            self.ledger.update(job.source.repo, state=state, note=error.message)
            lease.fail(error.message, hint=error.hint)
        elif isinstance(error, CodequarryError) and not isinstance(error, Upstream):
            lease.fail(error.message, hint=error.hint)
        elif isinstance(error, CodequarryError):
            lease.fail(error.message, hint=error.hint, retry_in_s=_backoff(job.attempts))
        else:
            log.exception("job %s failed", job.source, exc_info=error)
            lease.fail(f"{type(error).__name__}: {error}", retry_in_s=_backoff(job.attempts))

    # ------------------------------------------------------------------------------------------------- the whole repository

    def _look(self, lease: Lease, run: Run) -> None:
        """Compares what the forge has with what is indexed, and asks for the difference."""
        repository, reason = lease.repository, lease.job.reason
        heads = remote.look(self._url(lease), self._profile, self._credential(repository), self._rules)
        run.check()
        wanted = [branch for branch in heads.branches if remote.is_wanted(branch, repository.branches, heads.default)]
        note = "" if heads.branches else "it has no commits yet"
        if len(wanted) > MOST_BRANCHES:
            note = f"{len(wanted):,} branches match, of which the first {MOST_BRANCHES:,} are indexed"
            wanted = sorted(wanted, key=lambda branch: (branch != heads.default, branch))[:MOST_BRANCHES]
        state = "active" if repository.state in ("gone", "denied") else repository.state
        repository = self.ledger.update(
            repository.repo, state=state, note=note, head=heads.default, polled_at=time.time()
        )
        states = {shown.source: shown for shown in self.store.sources()}
        jobs = {job.source: job for job in self.ledger.jobs(repository.repo)}
        default = default_of(repository, wanted)
        complete = True
        for branch in wanted:
            source = Source(repository.repo, branch)
            shown, known = states.get(source), jobs.get(source)
            complete &= shown is not None and shown.indexed_at > 0
            if not self._is_current(repository, shown, known, heads.branches[branch], branch == default):
                # The commit may well be the one that is indexed, and what it is indexed by has changed.
                moved = known is None or known.state != "done" or known.indexed != heads.branches[branch]
                self.ledger.want(source, commit=heads.branches[branch] if moved else "", reason=reason)
        if complete and heads.branches:  # until then what is gone is better than nothing
            for source in jobs:
                if source.branch and source.branch not in wanted:
                    self._forget(source, run)
        lease.finish()

    def _is_current(
        self, repository: Repository, shown: SourceState | None, job: Job | None, head: str, is_default: bool
    ) -> bool:
        """Whether a branch is indexed as it is at the forge, by the rules that hold now."""
        if shown is None or job is None or job.state != "done":
            return False
        as_wanted = (head, recipe(generated=self._options(repository).generated), is_default, repository.access)
        return (
            (shown.commit, shown.recipe, shown.default, shown.access) == as_wanted
            and job.rules == self._options(repository).fingerprint
            and not shown.building
            and job.indexed == head
        )

    def _forget(self, source: Source, run: Run) -> None:
        run.check()
        self.store.forget(source)
        self.ledger.erase(source)

    def _remove(self, lease: Lease) -> None:
        """Removes everything of a repository that was taken off the list."""
        repo = lease.job.source.repo
        for state in self.store.sources():
            if state.source.repo == repo and state.source.folder is None:
                self.store.forget(state.source)
        try:
            mirrors.remove(remote.address_of(lease.repository.url, self._profile).identity, self._mirrors)
        except BadInput:
            log.info("the address of %s cannot be used any more; its mirror is left", repo)
        self.ledger.erase(lease.job.source)
        lease.finish()

    # ---------------------------------------------------------------------------------------------------------- one branch

    def _index(self, lease: Lease, run: Run) -> None:
        """Makes the index show the head of a branch."""
        source, repository = lease.job.source, lease.repository
        if repository.head and not remote.is_wanted(source.branch, repository.branches, repository.head):
            self._give_back(lease)
            return
        embedder = self._model()
        self.store.prepare(embedder, RECIPE)
        options, url = self._options(repository), self._url(lease)
        run(Progress("fetching"))
        try:
            (tree,) = repos.trees(
                url,
                branches=[f"refs/heads/{source.branch}"],
                name=repository.repo,
                mirrors=self._mirrors,
                profile=self._profile,
                rules=self._rules,
                options=options,
                hints=self.store.hints,
                progress=lambda line: run(Progress("fetching", said=line)),
                credential=self._credential(repository),
            )
        except BadInput:
            heads = remote.look(url, self._profile, self._credential(repository), self._rules)
            if source.branch in heads.branches:
                raise
            self._give_back(lease)
            return
        pipeline = Pipeline(
            self.store,
            embedder,
            mirrors=self._mirrors,
            options=options,
            profile=self._profile,
            processes=self.settings.workers,
            wait_s=5.0,
            isolate=lease.job.attempts > 1,  # a run that began and did not end may have died of a file
            is_expendable=self._on_hang is not None,
        )
        before = {state.source: state for state in self.store.sources() if state.source.repo == source.repo}
        is_default = source.branch == default_of(repository, [*(known.branch for known in before), source.branch])
        pipeline.publish(tree, run, default=is_default, access=repository.access)
        if source not in before or not before[source].indexed_at:
            # Branches that are gone may have waited for this one to be there.
            self.ledger.want(Source(source.repo, ""), reason="branches")
        lease.finish(tree.commit, options.fingerprint)

    def _give_back(self, lease: Lease) -> None:
        """The branch is not there, or not wanted: the job of the whole repository says what follows."""
        self.ledger.want(Source(lease.job.source.repo, ""), reason="branches")
        lease.finish()

    # ---------------------------------------------------------------------------------------------------------------- parts

    def _url(self, lease: Lease) -> str:
        return lease.repository.url or lease.job.url

    def _credential(self, repository: Repository) -> Credential | None:
        return credentials.find(repository.credential, remote.address_of(repository.url, self._profile), self.settings)

    def _options(self, repository: Repository) -> FileOptions:
        generated = repository.include_generated or self.settings.include_generated
        return FileOptions(max_bytes=self.settings.max_file_bytes, generated=generated, vendored=generated)

    def _model(self) -> Embedder:
        """The model of the index, else of the settings; without the queue `embed` a transformer's stand-in.

        Raises:
            NeedsModel: there are no vectors yet, or of another model: only who has it can say more.
        """
        if self._embedder is not None:
            return self._embedder
        known = self.store.model()
        name = self.settings.model if "model" in self.settings.given or known is None else known[0]
        if "embed" in self._queues or is_light(name):
            self._embedder = open_embedder(
                name, device=self.settings.model_device, batch_size=self.settings.model_batch
            )
            return self._embedder
        if known is None or known[0] != name:
            raise NeedsModel
        return _Known(*known)

    # ------------------------------------------------------------------------------------------------------------ the loop

    def reconcile(self, queues: Collection[str] = (), limit: int = 100) -> list[Job]:
        """Puts what is due into its queue (one of these), and returns it: this is what makes lost messages harmless."""
        due = self.ledger.due(limit, queues)
        for job in due:
            self.queue.poke(job.queue, job.source)
        return due

    def audit(self) -> int:
        """Asks again for what the ledger calls done and the index does not show so; how many there were.

        The index is the only truth about what is indexed: it may have been restored, made anew, or written by hand.
        """
        states = {state.source: state for state in self.store.sources()}
        wanted = 0
        for job in self.ledger.jobs(states=["done"]):
            shown = states.get(job.source)
            if job.source.branch and job.indexed and (shown is None or shown.commit != job.indexed):
                self.ledger.want(job.source, reason="audit")
                wanted += 1
        return wanted

    def loop(self, stop: threading.Event, *, idle_s: float = 1.0) -> None:
        """Does everything that is due, in this thread, until `stop` is set; a run that is under way stops at its next step."""
        self.ending = stop
        audited = float("-inf")
        while not stop.is_set():
            ran = False
            try:
                if time.monotonic() - audited > _AUDIT_S:
                    audited = time.monotonic()
                    self.audit()
                for job in self.ledger.due(20):
                    ran |= self.run_one(job.source)
            except CodequarryError as error:
                log.warning("the ledger or the index cannot be used: %s", error)
            if not ran:
                self._idle(stop, idle_s)

    def _idle(self, stop: threading.Event, idle_s: float) -> None:
        if isinstance(self.queue, LocalQueue):
            self.queue.wait(idle_s)
        else:
            stop.wait(idle_s)


def default_of(repository: Repository, branches: Collection[str]) -> str:
    """The branch that is searched when none is asked for: the forge's default one where it is indexed, else the first named."""
    if repository.head in branches or not branches:
        return repository.head
    named = [branch for branch in repository.branches if branch in branches]
    return named[0] if named else min(branches)


def _backoff(attempts: int) -> float:
    return _jitter(min(300.0, 5.0 * 2 ** (attempts - 1)))


def _jitter(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
