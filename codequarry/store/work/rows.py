"""Rows and hooks, how they are written down, and what a place that keeps them must be able to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Protocol

from codequarry.store import owner as owners
from codequarry.types import Hook, Job, Progress, Repository, Source


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


# ---------------------------------------------------------------------------------------------------------- written down


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
