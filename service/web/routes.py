"""The routes of the page. Each makes its view as the caller whose key the request brought.

What shows code is made where searches are, what shows work under way in this process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs, parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from codequarry.service.routes import needs
from codequarry.service.security import ANYONE, Caller
from codequarry.service.web import files, work
from codequarry.service.web.address import BUDGET, FORMATS, Address
from codequarry.service.web.door import COOKIE
from codequarry.service.web.facets import chips
from codequarry.service.web.find import explain, find
from codequarry.service.web.render import html
from codequarry.service.web.tray import build, tray

if TYPE_CHECKING:
    from codequarry.service.backend import Backend
    from codequarry.service.routes import Parts

_Verb = Literal["cancel", "retry", "want"]

_KEPT_S = 30 * 24 * 3600  # how long a browser keeps a key
_MOST_LINES = 200  # that are asked for above or below a hit


def routes(parts: Parts) -> APIRouter:
    """The routes; none is part of the OpenAPI document."""
    router = APIRouter(include_in_schema=False)

    async def asked(make: Callable[..., str], *given: Any) -> Response:
        return _page(await parts.ask(make, *given))

    async def shown(make: Callable[..., str], *given: Any) -> Response:
        return _page(await parts.pool.run(make, parts, *given))

    @router.get("/")
    async def page_search(request: Request, caller: Annotated[Caller, needs("search")]) -> Response:
        address = Address.read(request.url.query)
        is_part = request.query_params.get("part") == "results"
        page, status, times_ms = await parts.ask(_search, caller, address, is_part)
        parts.metrics.legs_of(times_ms)
        return _page(page, status)

    @router.get("/why")
    async def page_why(request: Request, caller: Annotated[Caller, needs("search")]) -> Response:
        return await asked(_why, caller, Address.read(request.url.query), _exact(request))

    @router.get("/file")
    async def page_file(request: Request, caller: Annotated[Caller, needs("read")]) -> Response:
        return await asked(_file, caller, Address.read(request.url.query), _exact(request))

    @router.get("/lines")
    async def page_lines(request: Request, caller: Annotated[Caller, needs("read")]) -> Response:
        return await asked(_lines, caller, _exact(request))

    @router.get("/prompt")
    async def page_prompt(request: Request, caller: Annotated[Caller, needs("search")]) -> Response:
        address = Address.read(request.url.query)
        if request.query_params.get("part") == "text":
            made = await parts.ask(tray, caller, address)
            return Response(made.prompt.text, media_type="text/plain; charset=utf-8")
        return await asked(_prompt, caller, address)

    @router.get("/prompt/build")
    async def page_build(request: Request, caller: Annotated[Caller, needs("search")]) -> Response:
        address = Address.read(request.url.query)
        picks = await parts.ask(build, caller, address)
        return _to(replace(address.with_picks(picks), cursor="").url("/prompt"))

    @router.get("/repositories")
    async def page_repositories(caller: Annotated[Caller, needs("read")]) -> Response:
        return await shown(_repositories, caller)

    @router.get("/repository")
    async def page_repository(request: Request, caller: Annotated[Caller, needs("read")]) -> Response:
        return await shown(_repository, caller, _exact(request))

    @router.get("/events")
    async def page_events(request: Request, caller: Annotated[Caller, needs("read")]) -> Response:
        events = work.stream(parts, caller, request.is_disconnected)
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.post("/jobs/{verb}")
    async def page_steer(verb: _Verb, request: Request, caller: Annotated[Caller, needs("admin")]) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        repo, branch = form.get("repo", ""), form.get("branch", "")
        if verb == "want":
            await parts.pool.run(parts.backend.want, caller, repo)
        else:
            await parts.pool.run(parts.backend.steer, caller, verb, repo, branch)
        return _to("/repositories")

    @router.get("/sign-in")
    async def page_is_signed_in(request: Request) -> Response:
        return _to(_local(parse_qs(request.url.query).get("next", ["/"])[-1]))

    @router.post("/sign-in")
    async def page_sign_in(request: Request) -> Response:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        answer = _to(_local(parse_qs(request.url.query).get("next", ["/"])[-1]))
        if kind.lower() == "bearer" and request.state.caller is not ANYONE:
            is_secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, key, max_age=_KEPT_S, httponly=True, samesite="lax", secure=is_secure)
        return answer

    @router.post("/sign-out")
    async def page_sign_out() -> Response:
        answer = _to("/")
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer

    return router


def _search(backend: Backend, caller: Caller, address: Address, is_part: bool) -> tuple[str, int, dict[str, float]]:
    """The page, its status, and how long the steps of the search took."""
    found = find(backend, caller, address) if address.q.strip() else None
    times_ms = found.answer.times_ms if found is not None and found.answer is not None else {}
    picked = tray(backend, caller, address, path="/") if address.picks and "read" in caller.scopes else None
    states = backend.states(caller) if found is None and "read" in caller.scopes else []
    given = {"address": address, "found": found, "tray": picked, "chips": chips(address), "states": states}
    page = html("results.html" if is_part else "search.html", caller=caller, budget=BUDGET, formats=FORMATS, **given)
    return page, 400 if found is not None and found.error else 200, times_ms


def _why(backend: Backend, caller: Caller, address: Address, asked: dict[str, str]) -> str:
    rank = max(1, _number(asked.get("rank", ""), 1))
    hit, why = explain(backend, caller, address, rank)
    template = "why.html" if asked.get("part") else "why_page.html"
    return html(template, caller=caller, address=address, hit=hit, rank=rank, why=why)


def _file(backend: Backend, caller: Caller, address: Address, asked: dict[str, str]) -> str:
    first = _number(asked.get("from", ""), 1)
    view = files.view(
        backend, caller, address, asked.get("repo", ""), asked.get("path", ""), asked.get("branch", ""), first
    )
    address = replace(address, filters=())
    return html("file.html", caller=caller, address=address, view=view, picks=address.toggled(view.pick))


def _lines(backend: Backend, caller: Caller, asked: dict[str, str]) -> str:
    first, last = _number(asked.get("first", ""), 1), _number(asked.get("last", ""), 1)
    names = (asked.get("repo", ""), asked.get("path", ""), asked.get("branch", ""))
    last = min(last, first + _MOST_LINES)
    return html("rows.html", rows=files.more(backend, caller, *names, first, last))


def _prompt(backend: Backend, caller: Caller, address: Address) -> str:
    made = tray(backend, caller, address)
    return html("prompt.html", caller=caller, address=address, tray=made, budget=BUDGET, formats=FORMATS)


def _repositories(parts: Parts, caller: Caller) -> str:
    return html("repositories.html", caller=caller, work=work.work(parts, caller), share=work.share)


def _repository(parts: Parts, caller: Caller, asked: dict[str, str]) -> str:
    start = _number(asked.get("cursor", ""), 0)
    view = work.repository(parts, caller, asked.get("repo", ""), asked.get("branch", ""), start)
    return html("repository.html", caller=caller, view=view)


def _page(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")


def _to(url: str) -> Response:
    return Response(status_code=303, headers={"Location": url})


def _local(url: str) -> str:
    """A place of this service to go on to; anything else is its front page."""
    return url if re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", url) else "/"


def _exact(request: Request) -> dict[str, str]:
    """The values of the address's query, with bytes that are no UTF-8 kept, as paths may hold them."""
    return dict(parse_qsl(request.url.query, errors="surrogateescape"))


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
