"""The ledger of background work, whatever it is kept in: one row a repository, changed by compare-and-set.

A row has everything about a repository: what was registered, the jobs of its sources, and the lease of the one that runs. So one
step decides who may run, what waits, and what a late owner may no longer say. The rules stand in this module, once; `Rows` is
what a place to keep rows must be able to do (SQLite in `embedded/ledger.py`, Elasticsearch in `elastic/work.py`).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Protocol

from codequarry.errors import RepositoryNotFound
from codequarry.store import owner as owners
from codequarry.types import Hook, Job, Progress, Repository, Source

ATTEMPTS = 5
"""So often a job is begun without an end or any progress before it is left alone."""


@dataclass(frozen=True, slots=True)
class Held:
    """The lease of a row. The token is what its holder knows and nobody else."""

    token: str
    owner: str
    branch: str
    until: float


@dataclass(frozen=True, slots=True)
class Row:
    """Everything about one repository. `jobs` are by branch; `removing`: it was removed, and only its traces are left."""

    repository: Repository
    jobs: Mapping[str, Job] = field(default_factory=dict)
    epoch: int = 0  # of the last lease
    lease: Held | None = None
    removing: bool = False

    def due_at(self) -> float | None:
        """From when on there may be something to take; None: never, as it stands."""
        if self.lease is not None:
            return self.lease.until
        if self.repository.state == "paused" and not self.removing:
            return None
        return min((job.next_try_at for job in self.jobs.values() if job.state in _OPEN), default=None)

    def host(self) -> str:
        """The machine whose process holds the lease, "" when none does."""
        return owners.host_of(self.lease.owner) if self.lease else ""

    def is_held(self, now: float) -> bool:
        """Whether a lease is held by someone who may be alive."""
        return self.lease is not None and self.lease.until > now and not owners.is_gone(self.lease.owner)

    def due(self, now: float) -> list[Job]:
        """The jobs that can be taken."""
        if self.is_held(now) or (self.repository.state == "paused" and not self.removing):
            return []
        return [job for job in self.jobs.values() if job.state in _OPEN and job.next_try_at <= now]

    def with_job(self, job: Job) -> Row:
        """The row with another state of a job."""
        return replace(self, jobs={**self.jobs, job.source.branch: job})


_OPEN = ("waiting", "running")
GONE: Final = "gone"
Change = Callable[[Row | None], "Row | str | None"]
"""From the row as it stands to what it becomes: None leaves it, GONE deletes it. May be called several times."""


class Rows(Protocol):
    """A place for rows and hooks. Safe for threads; what returns is durable, and every read sees it."""

    def read(self, repo: str) -> Row | None:
        """A row as it is now."""
        ...

    def change(self, repo: str, change: Change) -> None:
        """Compare-and-set until nobody comes between."""
        ...

    def scan(self) -> Iterator[Row]:
        """Every row, in no order."""
        ...

    def waiting(self, now: float, host: str) -> Iterator[Row]:
        """At least the rows that were due by then, or whose lease is held by a process of this machine."""
        ...

    def find(self, provider: str, provider_id: str) -> Row | None:
        """The row of the repository with the provider's id."""
        ...

    def hooks(self) -> list[Hook]:
        """Every hook, with its last delivery."""
        ...

    def hook(self, hook_id: str) -> Hook | None:
        """One hook, with its last delivery."""
        ...

    def save_hook(self, hook: Hook) -> None:
        """Adds or replaces one, but not its `last`."""
        ...

    def delete_hook(self, hook_id: str) -> bool:
        """Removes one, and says whether it was there."""
        ...

    def delivery(self, hook_id: str, summary: Mapping[str, Any]) -> None:
        """Keeps the summary of the last delivery."""
        ...

    def close(self) -> None:
        """Closes what is open."""
        ...


# ----------------------------------------------------------------------------------------------------------------- records


def row_out(row: Row) -> str:
    """A row as ASCII JSON, in which also names that are no UTF-8 have a form."""
    jobs = {branch: _plain(job) for branch, job in row.jobs.items()}
    lease = None if row.lease is None else _plain(row.lease)
    known = {"repository": _plain(row.repository), "jobs": jobs, "lease": lease}
    return json.dumps(known | {"epoch": row.epoch, "removing": row.removing}, separators=(",", ":"))


def row_back(text: str) -> Row:
    """The inverse of `row_out`. What an older version did not write has its default, what a newer one did is left out."""
    known = json.loads(text)
    repository = _record(Repository, known["repository"])
    jobs = {}
    for branch, values in known["jobs"].items():
        progress = _record(Progress, values["progress"]) if values.get("progress") else None
        jobs[branch] = _record(Job, values | {"source": Source(repository.repo, branch), "progress": progress})
    lease = known["lease"] and _record(Held, known["lease"])
    return Row(repository, jobs, known["epoch"], lease, known["removing"])


def hook_out(hook: Hook) -> str:
    """A hook as JSON, without its last delivery."""
    return json.dumps({name: value for name, value in _plain(hook).items() if name != "last"})


def hook_back(text: str, last: str | None) -> Hook:
    """The inverse of `hook_out`."""
    hook: Hook = _record(Hook, json.loads(text) | {"last": json.loads(last) if last else {}})
    return hook


def _plain(record: Any) -> dict[str, Any]:
    values = {entry.name: getattr(record, entry.name) for entry in fields(record) if entry.name != "source"}
    if isinstance(values.get("progress"), Progress):
        values["progress"] = _plain(values["progress"])
    return values


def _record(kind: Any, values: Mapping[str, Any]) -> Any:
    names = {entry.name for entry in fields(kind)}
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names}
    )


# ------------------------------------------------------------------------------------------------------------------ ledger


class RowLedger:
    """`codequarry.ports.Ledger` over rows."""

    def __init__(self, rows: Rows, attempts: int = ATTEMPTS) -> None:
        self._rows, self._attempts = rows, attempts

    # ------------------------------------------------------------------------------------------------------- repositories

    def repositories(self) -> list[Repository]:
        """Every registered repository, sorted by name."""
        found = [row.repository for row in self._rows.scan() if not row.removing]
        return sorted(found, key=lambda repository: repository.repo)

    def repository(self, repo: str) -> Repository | None:
        """The repository of that name."""
        row = self._rows.read(repo)
        return None if row is None or row.removing else row.repository

    def find(self, provider: str, provider_id: str) -> Repository | None:
        """The repository with the provider's id."""
        row = self._rows.find(provider, provider_id) if provider_id else None
        return None if row is None or row.removing else row.repository

    def register(self, repository: Repository) -> Repository:
        """Adds it, or replaces what was registered under its name."""
        stored = repository

        def change(row: Row | None) -> Row:
            nonlocal stored
            added = (row.repository.added_at if row and not row.removing else 0.0) or repository.added_at or time.time()
            stored = replace(repository, added_at=added)
            return replace(row, repository=stored, removing=False) if row else Row(stored)

        self._rows.change(repository.repo, change)
        return stored

    def update(self, repo: str, **changes: Any) -> Repository:
        """Changes fields of a repository."""
        if "repo" in changes:
            raise TypeError("the name of a repository is what it is known by; register the new one and remove this")
        stored: Repository

        def change(row: Row | None) -> Row:
            nonlocal stored
            there = _registered(row, repo)
            stored = replace(there.repository, **changes)
            return replace(there, repository=stored)

        self._rows.change(repo, change)
        return stored

    def remove(self, repo: str) -> None:
        """Takes it off the list, and asks for the removal of what is indexed of it."""

        def change(row: Row | None) -> Row:
            there = _registered(row, repo)
            job = Job(Source(repo, ""), there.repository.url, reason="removed", wanted_at=time.time())
            return replace(there, jobs={"": job}, removing=True)

        self._rows.change(repo, change)
        for hook in self.hooks(repo):
            self.delete_hook(hook.id)

    def removing(self, repo: str) -> bool:
        """Whether it was removed, and its traces are not."""
        row = self._rows.read(repo)
        return row is not None and row.removing

    def erase(self, source: Source) -> None:
        """Drops a job, or all of a repository that was removed."""

        def change(row: Row | None) -> Row | str | None:
            if row is None or source.branch not in row.jobs:
                return None
            if not source.branch:
                return GONE if row.removing else None
            return replace(row, jobs={branch: job for branch, job in row.jobs.items() if branch != source.branch})

        self._rows.change(source.repo, change)

    # --------------------------------------------------------------------------------------------------------------- jobs

    def want(self, source: Source, url: str = "", commit: str = "", reason: str = "") -> Job:
        """Asks for a run, and returns the job."""
        job: Job

        def change(row: Row | None) -> Row | None:
            nonlocal job
            there = _settled(_registered(row, source.repo))
            known = there.jobs.get(source.branch)
            job = _wished(known, source, url or there.repository.url, commit, reason, time.time())
            return None if job is known else there.with_job(job)

        self._rows.change(source.repo, change)
        return job

    def job(self, source: Source) -> Job | None:
        """The job of a source."""
        row = self._rows.read(source.repo)
        return row.jobs.get(source.branch) if row else None

    def jobs(self, repo: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        """The jobs, sorted by source."""
        row = None if repo is None else self._rows.read(repo)
        rows = self._rows.scan() if repo is None else [row] if row else []
        found = [job for row in rows for job in row.jobs.values() if not states or job.state in states]
        return sorted(found, key=lambda job: job.source)

    def due(self, limit: int = 100, queues: Collection[str] = ()) -> list[Job]:
        """Jobs that could be taken now, the longest waiting first."""
        now = time.time()
        found = [
            job
            for row in self._rows.waiting(now, owners.host())
            for job in row.due(now)
            if not queues or job.queue in queues
        ]
        return sorted(found, key=lambda job: (job.wanted_at, job.source))[:limit]

    def take(self, source: Source, owner: str, lease_s: float) -> RowLease | None:
        """Begins a run, if there is one to begin."""
        token = secrets.token_hex(8)
        taken: Row | None = None

        def change(row: Row | None) -> Row | None:
            nonlocal taken
            taken = None
            if row is None:
                return None
            if row.lease is not None and row.lease.token == token:
                taken = row  # the answer to our own write was lost
                return None
            now = time.time()
            job = row.jobs.get(source.branch)
            if job is None or job not in row.due(now):
                return None
            row = _settled(row)
            job = row.jobs[source.branch]
            if job.state != "waiting":  # it was to be cancelled, and whoever ran it is gone
                return row
            if job.attempts >= self._attempts:
                return row.with_job(_given_up(job, now))
            held = Held(token, owner, source.branch, now + lease_s)
            job = replace(
                job,
                state="running",
                attempts=job.attempts + 1,
                owner=owner,
                lease_until=held.until,
                epoch=row.epoch + 1,
                progress=None,
                started_at=now,
                finished_at=0.0,
            )
            taken = replace(row.with_job(job), epoch=row.epoch + 1, lease=held)
            return taken

        self._rows.change(source.repo, change)
        return None if taken is None else RowLease(self._rows, taken, token, lease_s, self._attempts)

    def cancel(self, source: Source) -> Job | None:
        """Stops a job."""

        def stop(job: Job) -> Job:
            if job.state == "running":
                return replace(job, cancel=True, again=False)
            return _cancelled(job) if job.state == "waiting" else job

        return self._job_change(source, stop)

    def retry(self, source: Source) -> Job | None:
        """Lets a job run again."""

        def again(job: Job) -> Job:
            if job.state == "running":
                return job
            return replace(
                job,
                state="waiting",
                attempts=0,
                next_try_at=0.0,
                reason="retry",
                wanted_at=job.wanted_at or time.time(),
            )

        return self._job_change(source, again)

    def _job_change(self, source: Source, change_job: Callable[[Job], Job]) -> Job | None:
        result: Job | None = None

        def change(row: Row | None) -> Row | None:
            nonlocal result
            result = None
            if row is None or source.branch not in row.jobs:
                return None
            settled = _settled(row)
            result = change_job(settled.jobs[source.branch])
            changed = settled.with_job(result)
            return None if changed == row else changed

        self._rows.change(source.repo, change)
        return result

    # -------------------------------------------------------------------------------------------------------------- hooks

    def hook(self, hook_id: str) -> Hook | None:
        """One hook, with its last delivery."""
        return self._rows.hook(hook_id)

    def hooks(self, repo: str | None = None) -> list[Hook]:
        """The hooks, sorted by id."""
        return sorted((hook for hook in self._rows.hooks() if repo in (None, hook.repo)), key=lambda hook: hook.id)

    def save_hook(self, hook: Hook) -> None:
        """Adds or replaces a hook."""
        self._rows.save_hook(hook if hook.added_at else replace(hook, added_at=time.time()))

    def delete_hook(self, hook_id: str) -> bool:
        """Removes a hook."""
        return self._rows.delete_hook(hook_id)

    def delivery(self, hook_id: str, summary: Mapping[str, Any]) -> None:
        """Keeps the summary of the last delivery."""
        self._rows.delivery(hook_id, summary)

    def close(self) -> None:
        """Frees what the ledger holds."""
        self._rows.close()


class RowLease:
    """`codequarry.ports.Lease` over rows."""

    def __init__(self, rows: Rows, row: Row, token: str, lease_s: float, attempts: int) -> None:
        assert row.lease is not None
        self._rows, self._token, self._lease_s, self._attempts = rows, token, lease_s, attempts
        self._reading = False
        self.repository = row.repository
        self.job = row.jobs[row.lease.branch]
        self.epoch = row.epoch

    def renew(self, progress: Progress | None = None) -> bool:
        """Prolongs the lease and keeps the progress."""
        begins = progress is not None and progress.phase == "reading" and not self._reading
        self._reading |= begins

        def change(row: Row, job: Job) -> Row | None:
            if job.cancel:
                return None
            until = time.time() + self._lease_s
            if begins and progress is not None:
                # Where the last run left more than it found, it was not in vain, whatever ended it: kills cannot starve a long run.
                attempts = min(job.attempts, 1) if progress.files_done > job.reached else job.attempts
                job = replace(job, attempts=attempts, reached=progress.files_done)
            job = replace(job, lease_until=until, progress=progress or job.progress)
            assert row.lease is not None
            return replace(row.with_job(job), lease=replace(row.lease, until=until))

        job = self._held(change)
        if job is not None:
            self.job = job
        return job is not None and not job.cancel

    def finish(self, commit: str = "", rules: str = "") -> None:
        """The job is done."""

        def change(row: Row, job: Job) -> Row:
            now = time.time()
            done = replace(
                _ended(job, now),
                state="waiting" if job.again else "done",
                queue="sync",
                indexed=commit or job.indexed,
                rules=rules or job.rules,
                attempts=0,
                reached=0,
                error="",
                hint="",
                wanted_at=job.started_at if job.again else 0.0,
                next_try_at=0.0,
            )
            return replace(row.with_job(done), lease=None)

        self._held(change)

    def fail(self, error: str, *, hint: str = "", retry_in_s: float | None = None, counts: bool = True) -> None:
        """The run failed, or was stopped because it was to be cancelled."""

        def change(row: Row, job: Job) -> Row:
            now = time.time()
            attempts = job.attempts if counts else max(0, job.attempts - 1)
            ended = replace(_ended(job, now), error=error, hint=hint, attempts=attempts)
            if job.cancel:
                ended = _cancelled(ended)
            elif retry_in_s is not None and attempts < self._attempts:
                ended = replace(ended, state="waiting", next_try_at=now + retry_in_s)
            elif job.again:
                ended = replace(ended, state="waiting", attempts=0, next_try_at=0.0)
            else:
                ended = replace(ended, state="failed", wanted_at=0.0)
            return replace(row.with_job(ended), lease=None)

        self._held(change)

    def hand_over(self, queue: str) -> None:
        """The run goes on in another queue."""

        def change(row: Row, job: Job) -> Row:
            attempts = max(0, job.attempts - 1)
            moved = replace(_ended(job, time.time()), state="waiting", queue=queue, attempts=attempts, next_try_at=0.0)
            return replace(row.with_job(_cancelled(moved) if job.cancel else moved), lease=None)

        self._held(change)

    def _held(self, change: Callable[[Row, Job], Row | None]) -> Job | None:
        """Changes the row if the lease is still ours; returns the job as it was, None when it is not."""
        ours: Job | None

        def guarded(row: Row | None) -> Row | None:
            nonlocal ours
            ours = None
            if row is None or row.lease is None or row.lease.token != self._token:
                return None
            job = row.jobs.get(row.lease.branch)
            if job is None or job.epoch != self.epoch:
                return replace(row, lease=None)  # the job was dropped meanwhile
            ours = job
            return change(row, job)

        self._rows.change(self.job.source.repo, guarded)
        return ours


# ------------------------------------------------------------------------------------------------------------------- rules


def _registered(row: Row | None, repo: str) -> Row:
    if row is None or row.removing:
        raise RepositoryNotFound(f"no repository {repo!r} is registered", hint="codequarry repositories lists them")
    return row


def _settled(row: Row) -> Row:
    """The row without a lease that has lapsed: what ran waits again, or is cancelled if it was to be."""
    if row.lease is None or row.is_held(time.time()):
        return row
    row = replace(row, lease=None)
    for job in list(row.jobs.values()):
        if job.state == "running":
            left = replace(job, state="waiting", again=False)
            row = row.with_job(_cancelled(left) if job.cancel else left)
    return row


def _wished(job: Job | None, source: Source, url: str, commit: str, reason: str, now: float) -> Job:
    """The job after a wish; the same object when that changes nothing."""
    if job is None:
        return Job(source, url, commit, reason=reason, wanted_at=now)
    fresh = not commit or commit != job.wanted
    if job.state == "waiting":
        return replace(job, wanted=commit) if commit and fresh else job
    if job.state == "running":
        # The run may have looked at the forge already, so it cannot be what the wish asks for.
        if job.cancel or (job.again and not (commit and fresh)) or not fresh:
            return job
        return replace(job, again=True, wanted=commit or job.wanted)
    if (job.state == "done" and commit and commit == job.indexed) or (job.state != "done" and not fresh):
        return job
    return replace(
        job,
        url=url,
        wanted=commit,
        state="waiting",
        queue="sync",
        reason=reason,
        attempts=0,
        reached=0,
        next_try_at=0.0,
        cancel=False,
        wanted_at=now,
    )


def _given_up(job: Job, now: float) -> Job:
    error = job.error or "the process was killed, or the machine was short of memory"
    return replace(
        job,
        state="failed",
        error=f"given up after {job.attempts} attempts that ended without any progress: {error}",
        hint=job.hint or "mend the reason, then let it run again: codequarry jobs retry",
        wanted_at=0.0,
        finished_at=now,
    )


def _ended(job: Job, now: float) -> Job:
    return replace(job, owner="", lease_until=0.0, again=False, finished_at=now)


def _cancelled(job: Job) -> Job:
    return replace(job, state="cancelled", cancel=False, again=False, wanted_at=0.0, owner="", lease_until=0.0)
