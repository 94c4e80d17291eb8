"""What must happen to each repository, as rows say it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codequarry.store import owner as owners
from codequarry.store.work.lease import RowLease
from codequarry.store.work.rows import GONE, Held, Row, Rows
from codequarry.store.work.rules import cancelled, given_up, registered, settled, wished
from codequarry.types import Hook, Job, Repository, Source

ATTEMPTS = 5
"""So often a job is begun without an end or any progress before it is left alone."""


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
            there = registered(row, repo)
            stored = replace(there.repository, **changes)
            return replace(there, repository=stored)

        self._rows.change(repo, change)
        return stored

    def remove(self, repo: str) -> None:
        """Takes it off the list, and asks for the removal of what is indexed of it."""

        def change(row: Row | None) -> Row:
            there = registered(row, repo)
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
            there = settled(registered(row, source.repo))
            known = there.jobs.get(source.branch)
            job = wished(known, source, url or there.repository.url, commit, reason, time.time())
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
            row = settled(row)
            job = row.jobs[source.branch]
            if job.state != "waiting":  # it was to be cancelled, and whoever ran it is gone
                return row
            if job.attempts >= self._attempts:
                return row.with_job(given_up(job, now))
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
            return cancelled(job) if job.state == "waiting" else job

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
            there = settled(row)
            result = change_job(there.jobs[source.branch])
            changed = there.with_job(result)
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
