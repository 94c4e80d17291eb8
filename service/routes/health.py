"""Whether the service works, and what it has counted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from codequarry import __version__
from codequarry.errors import CodequarryError
from codequarry.service.backend import Overview
from codequarry.service.metrics import CONTENT_TYPE, gauge
from codequarry.service.records import plain
from codequarry.service.routes import Parts, needs, problems, reply
from codequarry.service.schemas import HealthAnswer, ReadyAnswer
from codequarry.service.security import Caller
from codequarry.types import Check


def routes(parts: Parts) -> APIRouter:
    """The routes below `/v1`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Whether the process answers", responses={200: {"model": HealthAnswer}})
    async def health() -> Response:
        return reply({"status": "ok", "version": __version__})

    @router.get(
        "/ready",
        summary="Whether searches can be answered now",
        responses={
            200: {"model": ReadyAnswer},
            503: {"model": ReadyAnswer, "description": "They cannot."},
            504: problems()[504],
        },
        response_class=Response,
    )
    async def ready(request: Request) -> Response:
        try:
            found = await parts.pool.run(parts.backend.parts)
        except CodequarryError as error:
            found = [Check("service", False, error.message, error.hint)]
        is_ready = all(check.ok for check in found if check.part != "queue")
        if not request.state.caller.scopes:
            found = [Check(check.part, check.ok, "", "") for check in found]
        return reply({"ready": is_ready, "parts": [plain(check) for check in found]}, 200 if is_ready else 503)

    @router.get(
        "/metrics",
        summary="Counters and lag, for Prometheus",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
        response_class=Response,
    )
    async def metrics(caller: Annotated[Caller, needs("read")]) -> Response:
        return await _metrics(parts, caller)

    return router


def at_root(parts: Parts) -> APIRouter:
    """`/metrics`, where Prometheus looks when it is not told otherwise."""
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def metrics(caller: Annotated[Caller, needs("read")]) -> Response:
        return await _metrics(parts, caller)

    return router


async def _metrics(parts: Parts, caller: Caller) -> Response:
    lines = [*gauge("codequarry_requests_running", "Requests that run or wait.", [({}, parts.busy)])]
    try:
        lines += gauges(await parts.pool.run(parts.backend.repositories, caller))
        lines += gauge("codequarry_up", "Whether index and ledger answer.", [({}, 1)])
    except CodequarryError:  # what has been counted is wanted most when something is down
        lines += gauge("codequarry_up", "Whether index and ledger answer.", [({}, 0)])
    return Response(parts.metrics.text(lines), media_type=CONTENT_TYPE)


def gauges(found: list[Overview]) -> list[str]:
    """What index and ledger say of the repositories that a caller sees."""
    states: dict[str, int] = dict.fromkeys(("waiting", "running", "done", "failed", "cancelled"), 0)
    failed: list[tuple[dict[str, str], float]] = []
    for one in found:
        for job in one.jobs:
            states[job.state] += 1
        failed.append(({"repo": one.repo}, sum(job.state == "failed" for job in one.jobs)))
    sources: list[tuple[dict[str, str], Any]] = [
        ({"repo": state.source.repo, "branch": state.source.branch}, state) for one in found for state in one.sources
    ]
    return [
        *gauge("codequarry_jobs", "Jobs, by state.", (({"state": name}, count) for name, count in states.items())),
        *gauge("codequarry_jobs_failed", "Jobs that failed and are not tried again by themselves.", failed),
        *gauge(
            "codequarry_queue_age_seconds",
            "How long the oldest open wish has been waiting.",
            [({}, max((one.lag_s for one in found), default=0.0))],
        ),
        *gauge(
            "codequarry_repository_lag_seconds",
            "How long the oldest wish for a repository has been open.",
            (({"repo": one.repo}, one.lag_s) for one in found),
        ),
        *gauge(
            "codequarry_repository_ready",
            "Whether all that is wanted of a repository has been indexed once.",
            (({"repo": one.repo}, float(one.ready)) for one in found),
        ),
        *gauge(
            "codequarry_source_indexed_timestamp_seconds",
            "When a branch was last indexed.",
            ((labels, state.indexed_at) for labels, state in sources),
        ),
        *gauge("codequarry_source_files", "Files indexed.", ((labels, state.files) for labels, state in sources)),
        *gauge("codequarry_source_skipped", "Files left out.", ((labels, state.skipped) for labels, state in sources)),
    ]
