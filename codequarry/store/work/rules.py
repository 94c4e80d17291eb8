"""How a job changes: by a wish, by an end, by being given up or cancelled."""

from __future__ import annotations

import time
from dataclasses import replace

from codequarry.errors import RepositoryNotFound
from codequarry.store.work.rows import Row
from codequarry.types import Job, Source


def registered(row: Row | None, repo: str) -> Row:
    """The row of a repository that is registered.

    Raises:
        RepositoryNotFound: it is not.
    """
    if row is None or row.removing:
        raise RepositoryNotFound(f"no repository {repo!r} is registered", hint="codequarry repositories lists them")
    return row


def settled(row: Row) -> Row:
    """The row without a lease that has lapsed: what ran waits again, or is cancelled if it was to be."""
    if row.lease is None or row.is_held(time.time()):
        return row
    row = replace(row, lease=None)
    for job in list(row.jobs.values()):
        if job.state == "running":
            left = replace(job, state="waiting", again=False)
            row = row.with_job(cancelled(left) if job.cancel else left)
    return row


def wished(job: Job | None, source: Source, url: str, commit: str, reason: str, now: float) -> Job:
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


def given_up(job: Job, now: float) -> Job:
    """The job that has ended too often without any progress."""
    error = job.error or "the process was killed, or the machine was short of memory"
    return replace(
        job,
        state="failed",
        error=f"given up after {job.attempts} attempts that ended without any progress: {error}",
        hint=job.hint or "mend the reason, then let it run again: codequarry jobs retry",
        wanted_at=0.0,
        finished_at=now,
    )


def ended(job: Job, now: float) -> Job:
    """The job without a run."""
    return replace(job, owner="", lease_until=0.0, again=False, finished_at=now)


def cancelled(job: Job) -> Job:
    """The job that nobody wants to run any more."""
    return replace(job, state="cancelled", cancel=False, again=False, wanted_at=0.0, owner="", lease_until=0.0)
