"""Jobs: what must happen to the repositories, how far it is, and steering it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from codequarry.service.records import plain
from codequarry.service.routes import Parts, needs, page, problems, reply
from codequarry.service.schemas import JobAnswer, JobName, JobRequest, JobsAnswer
from codequarry.service.security import Caller
from codequarry.types import Job

_State = Literal["waiting", "running", "done", "failed", "cancelled"]


def routes(parts: Parts) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["jobs"])

    @router.get(
        "/jobs", summary="List jobs", responses={200: {"model": JobsAnswer}, **problems()}, response_class=Response
    )
    async def list_jobs(
        caller: Annotated[Caller, needs("read")],
        repo: Annotated[str | None, Query(max_length=1000, description="Full name.")] = None,
        state: Annotated[list[_State] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,6}$")] = None,
    ) -> Response:
        found = await parts.pool.run(parts.backend.jobs, caller, repo, tuple(state or ()))
        shown, next_cursor = page(found, cursor, limit)
        return reply({"jobs": [job_answer(job) for job in shown], "total": len(found), "next_cursor": next_cursor})

    @router.post(
        "/jobs",
        summary="Look at a repository now",
        status_code=202,
        responses={202: {"model": JobAnswer, "description": "The wish is kept."}, **problems(404)},
        response_class=Response,
    )
    async def want(asked: JobRequest, caller: Annotated[Caller, needs("webhook")]) -> Response:
        return reply(job_answer(await parts.pool.run(parts.backend.want, caller, asked.repo, asked.commit)), 202)

    @router.post(
        "/jobs/cancel",
        summary="Stop a job: at once when it waits, at its next step when it runs",
        responses={200: {"model": JobAnswer}, **problems(404)},
        response_class=Response,
    )
    async def cancel(asked: JobName, caller: Annotated[Caller, needs("admin")]) -> Response:
        return reply(job_answer(await parts.pool.run(parts.backend.steer, caller, "cancel", asked.repo, asked.branch)))

    @router.post(
        "/jobs/retry",
        summary="Run a job now that has failed, was cancelled, or waits for its next try",
        responses={200: {"model": JobAnswer}, **problems(404)},
        response_class=Response,
    )
    async def retry(asked: JobName, caller: Annotated[Caller, needs("admin")]) -> Response:
        return reply(job_answer(await parts.pool.run(parts.backend.steer, caller, "retry", asked.repo, asked.branch)))

    return router


def job_answer(job: Job) -> dict[str, Any]:
    """The job as REST shows it."""
    fields = plain(job)
    fields |= fields.pop("source")
    for left_out in ("url", "lease_until"):
        fields.pop(left_out, None)
    if fields["progress"]:
        fields["progress"].pop("source", None)
    return {name: fields[name] for name in JobAnswer.model_fields}
