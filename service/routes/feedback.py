"""Judgements of answers: whether a file answers a question."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from codequarry.service.backend import Backend
from codequarry.service.routes import Parts, needs, problems, reply
from codequarry.service.schemas import FeedbackAnswer, FeedbackRequest
from codequarry.service.security import Caller


def routes(parts: Parts) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["search"])

    @router.post(
        "/feedback",
        summary="Keep whether a file answers a question",
        status_code=201,
        responses={201: {"model": FeedbackAnswer, "description": "Kept, on the disk."}, **problems(404)},
        response_class=Response,
    )
    async def feedback(asked: FeedbackRequest, caller: Annotated[Caller, needs("search")]) -> Response:
        kept = await parts.ask(Backend.judge, caller, asked.question, asked.repo, asked.path, answers=asked.answers)
        return reply(kept, 201)

    return router
