"""Repositories: what is kept indexed, how far that is, and which of its files are not, with the reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from codequarry.service.backend import Overview
from codequarry.service.records import plain
from codequarry.service.routes import BranchNamed, Parts, RepoNamed, exact_value, needs, page, problems, reply
from codequarry.service.routes.jobs import job_answer
from codequarry.service.schemas import (
    CoverageAnswer,
    RepositoriesAnswer,
    RepositoryAnswer,
    RepositoryChange,
    RepositoryRequest,
    SourceAnswer,
)
from codequarry.service.security import Caller
from codequarry.types import Repository

_Name = Annotated[str, Path(min_length=1, max_length=1000, description="Full name: host and path.")]


def routes(parts: Parts) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["repositories"])

    @router.get(
        "/repositories",
        summary="List repositories",
        responses={200: {"model": RepositoriesAnswer}, **problems()},
        response_class=Response,
    )
    async def list_repositories(
        caller: Annotated[Caller, needs("read")],
        name: Annotated[str, Query(max_length=1000, description="Part of the name, in any case.")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,6}$")] = None,
    ) -> Response:
        found = await parts.pool.run(parts.backend.repositories, caller)
        fitting = [one for one in found if name.lower() in one.repo.lower()]
        shown, next_cursor = page(fitting, cursor, limit)
        return reply(
            {
                "repositories": [repository_answer(one, caller) for one in shown],
                "total": len(fitting),
                "next_cursor": next_cursor,
            }
        )

    @router.post(
        "/repositories",
        summary="Keep a repository indexed",
        status_code=201,
        responses={
            201: {"model": RepositoryAnswer, "description": "Registered; it waits to be indexed."},
            200: {"model": RepositoryAnswer, "description": "It was registered already, and is wanted as given now."},
            **problems(409),
        },
        response_class=Response,
    )
    async def register(asked: RepositoryRequest, caller: Annotated[Caller, needs("admin")]) -> Response:
        one, new = await parts.pool.run(
            parts.backend.register,
            caller,
            asked.url,
            branches=tuple(asked.branches),
            include_generated=asked.include_generated,
            access=tuple(asked.access),
            credential=asked.credential,
        )
        return reply(repository_answer(one, caller), 201 if new else 200)

    @router.get(
        "/coverage",
        summary="What of a repository is indexed, and what is not and why",
        responses={200: {"model": CoverageAnswer}, **problems(404)},
        response_class=Response,
    )
    async def coverage(
        request: Request,
        caller: Annotated[Caller, needs("read")],
        repo: RepoNamed,
        branch: BranchNamed = None,
        path: Annotated[str | None, Query(max_length=1000, description="Only paths that this glob matches.")] = None,
        only: Annotated[Literal["all", "indexed", "skipped"], Query()] = "all",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,9}$")] = None,
    ) -> Response:
        repo = exact_value(request, "repo", repo)
        found = await parts.pool.run(
            parts.backend.coverage,
            caller,
            repo,
            branch,
            path=path,
            only=only,
            limit=limit,
            start=int(cursor or 0),
        )
        state = found.state
        return reply(
            {
                "repo": state.source.repo,
                "branch": state.source.branch,
                "commit": state.commit,
                "complete": state.indexed_at > 0,
                "files": state.files,
                "skipped": state.skipped,
                "reasons": found.reasons,
                "paths": [
                    {
                        "path": name,
                        "indexed": left_out is None,
                        "reason": left_out.reason if left_out else "",
                        "detail": left_out.detail if left_out else "",
                    }
                    for name, left_out in found.entries
                ],
                "next_cursor": None if found.next_start is None else str(found.next_start),
            }
        )

    @router.get(
        "/repositories/{repo:path}",
        summary="One repository",
        responses={200: {"model": RepositoryAnswer}, **problems(404)},
        response_class=Response,
    )
    async def one_repository(repo: _Name, caller: Annotated[Caller, needs("read")]) -> Response:
        return reply(repository_answer(await parts.pool.run(parts.backend.repository, caller, repo), caller))

    @router.patch(
        "/repositories/{repo:path}",
        summary="Change what is wanted of a repository",
        responses={200: {"model": RepositoryAnswer}, **problems(404)},
        response_class=Response,
    )
    async def change(repo: _Name, asked: RepositoryChange, caller: Annotated[Caller, needs("admin")]) -> Response:
        given = asked.model_dump(exclude_none=True)
        changes = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        if "state" in changes:
            changes["note"] = ""
        return reply(repository_answer(await parts.pool.run(parts.backend.update, caller, repo, **changes), caller))

    @router.delete(
        "/repositories/{repo:path}",
        summary="Remove a repository, and what is indexed of it",
        status_code=204,
        responses=problems(404, 409),
        response_class=Response,
    )
    async def remove(repo: _Name, caller: Annotated[Caller, needs("admin")]) -> Response:
        await parts.pool.run(parts.backend.remove, caller, repo)
        return Response(status_code=204)

    return router


def repository_answer(one: Overview, caller: Caller) -> dict[str, Any]:
    """The repository as REST shows it; who may see it, and with what git gets at it, is for administrators."""
    wanted = one.registered or Repository(one.repo, "")
    is_admin = "admin" in caller.scopes
    return {
        "repo": one.repo,
        "ready": one.ready,
        "why": one.why,
        "lag_s": one.lag_s,
        "registered": one.registered is not None,
        "url": wanted.url,
        "state": wanted.state if one.registered else "",
        "note": wanted.note,
        "provider": wanted.provider,
        "branches": list(wanted.branches),
        "include_generated": wanted.include_generated,
        "access": list(wanted.access) if is_admin else [],
        "credential": wanted.credential if is_admin else "",
        "added_at": wanted.added_at,
        "polled_at": wanted.polled_at,
        "sources": [
            {
                "branch": state.source.branch,
                **{name: plain(getattr(state, name)) for name in SourceAnswer.model_fields if name != "branch"},
            }
            for state in one.sources
        ],
        "jobs": [job_answer(job) for job in one.jobs],
    }
