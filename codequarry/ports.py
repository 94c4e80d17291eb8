"""The ports: what the flow asks of a store, of an embedding model, and of the ledger of background work.

Each says what must hold; `tests/contracts` checks it.

**Visibility.** A source shows a set of file versions. What it shows changes only in `Publication.commit`, all at once: a search
sees the old set or the new one, never a mix within one file. Publications of one source are ordered by a fencing epoch, so what
it shows never goes back because a late writer finished last.

**Durability.** What `commit` returned from survives anything. Of what was put and not committed, all but the last seconds of work
survives `kill -9`; `have` tells which. A publication that was left without commit leaves the source as it was. The store is the
only truth about what is indexed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from codequarry.types import (
    Candidate,
    Check,
    DumpRow,
    FileKey,
    FileText,
    FileVersion,
    Hook,
    Job,
    Progress,
    Repository,
    Request,
    Retrieved,
    Scope,
    Shown,
    Skipped,
    Source,
    SourceState,
)


class Embedder(Protocol):
    """Turns text into vectors: unit vectors times 127, rounded, as signed bytes.

    Equal texts have equal vectors whatever the batch; a text without a known token has a zero vector.
    """

    name: str  # as written in the settings: "code", "hash:64", "transformers:NAME"
    dim: int
    fingerprint: str  # short hex; equal fingerprints give equal vectors
    cached: bool  # whether a vector costs more to make than to look up

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8 in row-major order; empty for no texts."""
        ...

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8."""
        ...


class Reranker(Protocol):
    """Reads a question together with code: slower than any ranking of what is stored, and only asked about a few hits."""

    name: str  # as written in the settings: "cross-encoder:NAME", "late:NAME"

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, higher is better; comparable within one call only.

        Raises:
            ModelError: the model failed.
        """
        ...


class Publication(Protocol):
    """One change of what a source shows. Leaving the `with` block without `commit` changes nothing that is shown."""

    def shown(self) -> Mapping[str, Shown]:
        """What the source shows now, by path; the blob is "" where another recipe than today's made the version."""
        ...

    def begin_with(self, base: Source) -> Mapping[str, Shown]:
        """Has a source that was never published begin with what another of its repository shows now; returns what it shows then.

        Only for searches it shows that not before the commit, which needs to name differences alone. A source that was published
        before stays as it is, and so it is where the store has no cheaper way than to be told of every file.
        """
        ...

    def have(self, keys: Iterable[FileKey]) -> set[FileKey]:
        """Those versions whose chunks are wholly and durably in the store for this repository, shown or not.

        They need not be put again: another source shows them, or an earlier try was stopped after putting them.
        """
        ...

    def put(self, files: Sequence[FileVersion]) -> None:
        """Adds the files; they are not shown yet, and durable before they are. Putting a version twice changes nothing.

        Raises:
            StoreError: not all of it was added; nothing needs to be undone, put it again.
            WriterBusy: a later publication has taken over.
        """
        ...

    def commit(
        self,
        state: SourceState,
        *,
        show: Iterable[Shown],
        hide: Iterable[str] = (),
        skipped: Iterable[Skipped] = (),
        hints: bytes = b"",
    ) -> SourceState:
        """Shows the versions in `show` (each put or had before) in place of what their paths showed, hides the paths in `hide`.

        Everything in `state` but `files`, `chunks`, `size_bytes`, `skipped`, `indexed_at` and `building` is taken as given;
        those the store counts itself. `skipped` replaces the source's list. `hints` are kept for `Store.hints`. Returns the
        state as stored. Afterwards versions that no source shows are removed, now or later.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """An index over many repositories."""

    location: str

    def prepare(self, embedder: Embedder, recipe: str) -> None:
        """Makes the index if there is none, for vectors of this model. Call it before the first `publish`.

        Raises:
            ModelMismatch: the index has vectors of another model.
            SchemaMismatch: the index has a layout that this version cannot read or write.
        """
        ...

    def model(self) -> tuple[str, str, int] | None:
        """Name, fingerprint and dimensions of the model of the index, None when there is no index yet."""
        ...

    def sources(self) -> list[SourceState]:
        """Every source, also those whose first publication is not committed, sorted. Cheap: one read."""
        ...

    def publish(self, source: Source, *, wait_s: float = 0.0) -> Publication:
        """Begins to change what the source shows; the only way to write. Fences off an earlier publication of the source.

        Raises:
            WriterBusy: another process writes there and did not finish within `wait_s` seconds.
        """
        ...

    def forget(self, source: Source) -> None:
        """Removes the source and what no other source shows."""
        ...

    def retrieve(self, request: Request) -> Retrieved:
        """Candidates within the scope: the best by words, then those only the vectors found; scores of both legs where known.

        Every candidate satisfies the scope exactly. `cosine` is set on all candidates when the request has a vector.
        The union of both legs is returned, word leg first by weighted BM25 sum, ties by repository, path, line.
        """
        ...

    def texts(self, candidates: Sequence[Candidate]) -> list[str]:
        """The text of each candidate, in order."""
        ...

    def chunks_of(self, source: Source, path: str) -> list[Candidate]:
        """All chunks of the file that the source shows at `path`, in order of lines, without scores.

        Raises:
            PathNotFound: the source shows no such file.
        """
        ...

    def read_file(self, source: Source, path: str) -> FileText:
        """The whole text of the file as the source shows it.

        Raises:
            PathNotFound: the source shows no such file.
        """
        ...

    def paths(self, source: Source) -> list[str]:
        """The paths that the source shows, sorted."""
        ...

    def unknown_terms(self, terms: Sequence[str], scope: Scope) -> list[str]:
        """Those terms that no chunk of the index has; the scope's sources are considered where that is cheap."""
        ...

    def skipped(self, source: Source) -> list[Skipped]:
        """What the last publication left out, sorted by path."""
        ...

    def hints(self, source: Source) -> bytes:
        """What `commit` was given last, b"" when nothing. Hints are no truth: a writer may find them out of date."""
        ...

    def vectors(self, fingerprint: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The cached vectors of these `vector_key`s, over all repositories; missing ones are left out."""
        ...

    def keep_vectors(self, fingerprint: str, vectors: Mapping[str, bytes]) -> None:
        """Adds to the cache that `vectors` reads."""
        ...

    def dump(self, source: Source | None = None) -> Iterator[DumpRow]:
        """Every visible chunk (of one source), sorted."""
        ...

    def check(self) -> list[Check]:
        """The state of the store's parts, for `codequarry doctor`. Never raises."""
        ...

    def compact(self) -> None:
        """Removes what no source shows any more and merges what was written in pieces."""
        ...

    def close(self) -> None:
        """Frees what the store holds. Closing twice is allowed."""
        ...


class Lease(Protocol):
    """The right to run one job, until another takes it. What a late owner asks for changes nothing."""

    job: Job  # as it stood when it was taken, or last renewed
    repository: Repository
    epoch: int

    def renew(self, progress: Progress | None = None) -> bool:
        """Prolongs the lease and keeps the progress; False when it is lost, or the job is to stop."""
        ...

    def finish(self, commit: str = "", rules: str = "") -> None:
        """The job is done: `commit` is indexed by these rules. It waits again when someone asked meanwhile."""
        ...

    def fail(self, error: str, *, hint: str = "", retry_in_s: float | None = None, counts: bool = True) -> None:
        """The run failed. It is tried again after so many seconds; None, or too many attempts: not by itself.

        `counts`: as an attempt. It does not where the reason lies elsewhere and will pass (no network, another writer).
        """
        ...

    def hand_over(self, queue: str) -> None:
        """The run goes on in another queue, at once; it has not failed and counts as no attempt."""
        ...


class Ledger(Protocol):
    """What must happen: durable before a call returns, and the only truth about it; queues merely hint at it.

    At most one job of a repository runs at a time, and while it runs at most one wish for each source waits. A lease that is not
    renewed lapses, and so does that of a process of this machine that is gone. Safe for threads, not across a fork.
    """

    def repositories(self) -> list[Repository]:
        """Every registered repository, sorted by name; those that are being removed are not among them."""
        ...

    def repository(self, repo: str) -> Repository | None:
        """The repository of that name, as it is now."""
        ...

    def find(self, provider: str, provider_id: str) -> Repository | None:
        """The repository with the provider's id, whatever it is called now; None for an empty id."""
        ...

    def register(self, repository: Repository) -> Repository:
        """Adds it, or replaces what was registered under its name; `added_at` stays the first. Nothing is wanted by that."""
        ...

    def update(self, repo: str, **changes: Any) -> Repository:
        """Changes fields of `Repository` (not its name), and returns it.

        Raises:
            RepositoryNotFound: it is not registered.
        """
        ...

    def remove(self, repo: str) -> None:
        """Takes it off the list; a job that removes what is indexed of it waits then, and a run of it is told to stop.

        Raises:
            RepositoryNotFound: it is not registered.
        """
        ...

    def removing(self, repo: str) -> bool:
        """Whether the repository was removed, and what was indexed of it is not yet."""
        ...

    def erase(self, source: Source) -> None:
        """Drops the job of a source; that of a repository as a whole: all of a repository that was removed."""
        ...

    def want(self, source: Source, url: str = "", commit: str = "", reason: str = "") -> Job:
        """Asks for a run, and returns the job. A wish for what waits already, or for the commit that is indexed, changes nothing.

        A job that failed or was cancelled is only tried again where the commit is another, or none is named. `url`: what git is
        given in place of the repository's.

        Raises:
            RepositoryNotFound: the repository is not registered.
        """
        ...

    def job(self, source: Source) -> Job | None:
        """The job of a source, as it is now."""
        ...

    def jobs(self, repo: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        """The jobs (of one repository, in one of these states), sorted by source."""
        ...

    def due(self, limit: int = 100, queues: Collection[str] = ()) -> list[Job]:
        """Jobs (of these queues) that could be taken now, the longest waiting first: what a reconciler puts into the queues."""
        ...

    def take(self, source: Source, owner: str, lease_s: float) -> Lease | None:
        """Begins a run: the next epoch, one attempt more. None when there is nothing to do now, or the repository is busy.

        A job that was begun too often without an end, or is to be cancelled, gets that state instead.
        """
        ...

    def cancel(self, source: Source) -> Job | None:
        """Stops a job: at once when it waits, at its next step when it runs. Holds over restarts. None: there is no such job."""
        ...

    def retry(self, source: Source) -> Job | None:
        """Lets a job that failed, was cancelled or waits for its next try run now, with all its attempts. None: no such job."""
        ...

    def hook(self, hook_id: str) -> Hook | None:
        """The webhook address of that id, with its last delivery."""
        ...

    def hooks(self, repo: str | None = None) -> list[Hook]:
        """The webhook addresses (of one repository), sorted by id."""
        ...

    def save_hook(self, hook: Hook) -> None:
        """Adds or replaces a webhook address; its `last` is left as it is."""
        ...

    def delete_hook(self, hook_id: str) -> bool:
        """Removes a webhook address; whether there was one."""
        ...

    def delivery(self, hook_id: str, summary: Mapping[str, Any]) -> None:
        """Keeps what the last delivery was: plain values for people, no secrets."""
        ...

    def close(self) -> None:
        """Frees what the ledger holds. Closing twice is allowed."""
        ...


class Queue(Protocol):
    """Tells workers that there is something in the ledger. It may lose and repeat what it is told."""

    def poke(self, kind: str, source: Source) -> None:
        """Hints that a job of this queue (`Job.queue`) can be taken. Never raises: the reconciler pokes again."""
        ...
