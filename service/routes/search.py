"""Asking: search, prompt, file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from codequarry.errors import BadInput
from codequarry.service.backend import Backend
from codequarry.service.routes import BranchNamed, Parts, RepoNamed, encoded, exact_value, needs, problems, reply
from codequarry.service.routes.quick import QuickRoute
from codequarry.service.schemas import FileAnswer, PromptRequest, SearchRequest
from codequarry.service.security import Caller
from codequarry.types import Answer, Prompt


def routes(parts: Parts) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["search"], route_class=QuickRoute)

    @router.post(
        "/search",
        summary="Find the code that answers a question",
        responses={200: {"model": Answer}, **problems(404, 409)},
        response_class=Response,
    )
    async def search(asked: SearchRequest, caller: Annotated[Caller, needs("search")]) -> Response:
        answer, times_ms = await parts.ask(_search, caller, asked.query, asked.options())
        parts.metrics.legs_of(times_ms)
        return Response(answer, media_type="application/json")

    @router.post(
        "/prompt",
        summary="Build a context for a language model, with citations",
        responses={200: {"model": Prompt}, **problems(404, 409)},
        response_class=Response,
    )
    async def prompt(asked: PromptRequest, caller: Annotated[Caller, needs("search")]) -> Response:
        return reply(await parts.ask(_prompt, caller, asked.question, asked.options()))

    @router.get(
        "/file",
        summary="Read a file, or some of its lines, as indexed",
        responses={200: {"model": FileAnswer}, **problems(404)},
        response_class=Response,
    )
    async def file(
        request: Request,
        caller: Annotated[Caller, needs("read")],
        repo: RepoNamed,
        path: Annotated[str, Query(min_length=1, max_length=4096, description="From the repository's root.")],
        branch: BranchNamed = None,
        start_line: Annotated[int | None, Query(ge=1, le=1 << 31)] = None,
        end_line: Annotated[int | None, Query(ge=1, le=1 << 31)] = None,
    ) -> Response:
        if start_line and end_line and end_line < start_line:
            raise BadInput(f"The lines {start_line} to {end_line} are in the wrong order.")
        repo, path = exact_value(request, "repo", repo), exact_value(request, "path", path)
        found = await parts.ask(Backend.read, caller, repo, path, branch, start_line, end_line)
        first = start_line or 1
        return reply(
            {
                "repo": found.source.repo,
                "branch": found.source.branch,
                "commit": found.commit,
                "path": found.path,
                "blob": found.blob,
                "language": found.language,
                "text": found.text,
                "modified": found.modified,
                "start_line": first,
                "end_line": first + found.text.removesuffix("\n").count("\n"),
            }
        )

    return router


def _search(backend: Backend, caller: Caller, query: str, options: dict[str, Any]) -> tuple[bytes, dict[str, float]]:
    """An answer as JSON, which is smaller to hand on than the records are, and how long its steps took."""
    answer = backend.search(caller, query, **options)
    return encoded(answer), answer.times_ms


def _prompt(backend: Backend, caller: Caller, question: str, options: dict[str, Any]) -> Prompt:
    return backend.prompt(caller, question, **options)
