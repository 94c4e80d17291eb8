"""A run: what its owner may say for as long as nobody else has begun one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from codequarry.store.work.rows import Row, Rows
from codequarry.store.work.rules import cancelled, ended
from codequarry.types import Job, Progress


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
                ended(job, now),
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
            over = replace(ended(job, now), error=error, hint=hint, attempts=attempts)
            if job.cancel:
                over = cancelled(over)
            elif retry_in_s is not None and attempts < self._attempts:
                over = replace(over, state="waiting", next_try_at=now + retry_in_s)
            elif job.again:
                over = replace(over, state="waiting", attempts=0, next_try_at=0.0)
            else:
                over = replace(over, state="failed", wanted_at=0.0)
            return replace(row.with_job(over), lease=None)

        self._held(change)

    def hand_over(self, queue: str) -> None:
        """The run goes on in another queue."""

        def change(row: Row, job: Job) -> Row:
            attempts = max(0, job.attempts - 1)
            moved = replace(ended(job, time.time()), state="waiting", queue=queue, attempts=attempts, next_try_at=0.0)
            return replace(row.with_job(cancelled(moved) if job.cancel else moved), lease=None)

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
