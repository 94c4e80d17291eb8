"""Repositories and jobs as the page shows them, and the stream that moves their bars."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codequarry.service.backend import Coverage, Overview
from codequarry.service.web.address import with_query
from codequarry.service.web.render import html
from codequarry.types import Hook, Job

if TYPE_CHECKING:
    from codequarry.service.routes import Parts
    from codequarry.service.security import Caller

STREAM_S = 5.0
"""How long a stream lasts; a browser then asks again. So nobody who has left is served on, and the service can stop."""

_EVERY_S = 0.5
_OPEN = ("running", "waiting", "failed", "cancelled")
_SKIPPED = 200  # files that were left out, on a page


@dataclass(slots=True)
class Work:
    """What there is to be seen of the repositories."""

    repositories: list[Overview]
    jobs: list[Job]
    hooks: list[Hook]
    may_steer: bool


@dataclass(slots=True)
class RepositoryView:
    """One repository, and for one of its branches what was left out."""

    overview: Overview
    coverage: Coverage | None
    reasons: dict[str, str]
    after: str = ""
    hooks: list[Hook] = field(default_factory=list)
    may_steer: bool = False


def work(parts: Parts, caller: Caller) -> Work:
    """All repositories that the caller sees, with what is under way."""
    found = parts.backend.repositories(caller)
    jobs = [job for one in found for job in one.jobs if job.state in _OPEN]
    jobs.sort(key=lambda job: (_OPEN.index(job.state), job.source))
    return Work(found, jobs, _hooks(parts, caller), "admin" in caller.scopes)


def repository(parts: Parts, caller: Caller, repo: str, branch: str, start: int) -> RepositoryView:
    """One repository; of the branch, or of the first that is indexed, what was left out and why.

    Raises:
        RepositoryNotFound: there is none that the caller sees.
    """
    from codequarry.ingest.files import REASONS

    one = parts.backend.repository(caller, repo)
    known = [state.source.branch for state in one.sources]
    coverage, after = None, ""
    if known:
        chosen = branch if branch in known else known[0]
        coverage = parts.backend.coverage(caller, repo, chosen, only="skipped", limit=_SKIPPED, start=start)
        if coverage.next_start is not None:
            after = with_query(
                "/repository", [("repo", repo), ("branch", chosen), ("cursor", str(coverage.next_start))]
            )
    hooks = [hook for hook in _hooks(parts, caller) if hook.repo in ("", repo)]
    return RepositoryView(one, coverage, REASONS, after, hooks, "admin" in caller.scopes)


def _hooks(parts: Parts, caller: Caller) -> list[Hook]:
    """The webhooks, for who may manage repositories: what forges deliver names all of them."""
    return parts.backend.ledger.hooks() if "admin" in caller.scopes else []


async def stream(parts: Parts, caller: Caller, has_left: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """The jobs as server-sent events, whenever they have changed, until who asked for them has left."""
    shown, end = "", time.monotonic() + STREAM_S
    yield b"retry: 500\n\n"
    while time.monotonic() < end and not await has_left():
        made = await parts.pool.run(_jobs, parts, caller)
        if made != shown:
            shown = made
            data = "".join(f"data: {line}\n" for line in made.split("\n"))
            yield f"event: jobs\n{data}\n".encode()
        await asyncio.sleep(_EVERY_S)


def _jobs(parts: Parts, caller: Caller) -> str:
    return html("jobs.html", work=work(parts, caller), share=share)


def share(job: Job) -> dict[str, Any] | None:
    """How far a job is, as the values of a bar; None where that is not known."""
    progress = job.progress
    if progress is None:
        return None
    done, total = progress.bytes_done, progress.bytes_total
    if not total:
        done, total = progress.files_done, progress.files_total
    return {"done": done, "total": total}
