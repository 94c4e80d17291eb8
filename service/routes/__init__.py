"""The routes of `/v1`, one module for each noun. What all of them share stands here: the service's parts, the caller, the reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import orjson
from fastapi import Query, Request, Response
from fastapi.params import Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.security.http import HTTPAuthorizationCredentials

from codequarry.service.records import dumps, plain
from codequarry.service.schemas import Problem
from codequarry.service.security import SCOPES, Caller

if TYPE_CHECKING:
    from codequarry.service.backend import Backend
    from codequarry.service.metrics import Metrics
    from codequarry.service.pool import Pool
    from codequarry.service.searchers import Searchers

Given = ParamSpec("Given")
Result = TypeVar("Result")

RepoNamed = Annotated[str, Query(min_length=1, max_length=1000, description="Full name, or the end of it.")]
BranchNamed = Annotated[str | None, Query(max_length=1000)]


@dataclass(slots=True)
class Parts:
    """What the routes work with. `pool`: threads of this process; `searchers`: other processes, where there are any."""

    backend: Backend
    pool: Pool
    metrics: Metrics
    searchers: Searchers | None = None

    async def ask(
        self, ask: Callable[Concatenate[Backend, Given], Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """What the function, one of a module, gives of the backend and these arguments, wherever searches are made.

        Raises:
            TooBusy, TimedOut, Upstream: see `Pool` and `Searchers`.
        """
        if self.searchers is not None:
            return await self.searchers.ask(ask, *args, **options)
        return await self.pool.run(ask, self.backend, *args, **options)

    @property
    def busy(self) -> int:
        """How many requests are worked on or wait."""
        return self.pool.busy + (self.searchers.busy if self.searchers else 0)


_key = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key of `codequarry keys new`. Scopes: "
    + "; ".join(f"**{name}**: {says}" for name, says in SCOPES.items()),
)


async def _caller(
    request: Request,
    scopes: SecurityScopes,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_key)],
) -> Caller:
    caller: Caller = request.state.caller
    for scope in scopes.scopes:
        caller.must(scope)
    return caller


def needs(scope: str) -> Any:
    """What a route's parameter for its caller is annotated with (`Annotated[Caller, …]`): the caller must have the scope."""
    return Security(_caller, scopes=[scope])


def reply(value: Any, status: int = 200) -> Response:
    """The value as JSON."""
    return Response(encoded(value), status, media_type="application/json")


def encoded(value: Any) -> bytes:
    """`records.dumps` as UTF-8, in a fifth of its time where orjson has a form for all of the value."""
    try:
        return orjson.dumps(value, default=plain).replace(b"\x7f", b"\\u007f")
    except TypeError:  # a byte of a path that is no UTF-8, a key that is no text
        return dumps(value).encode()


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer instead, for the OpenAPI document; what any route may is added to these."""
    usual = (400, 401, 403, 413, 429, 500, 502, 503, 504)
    return {
        status: {"model": Problem, "description": _SAYS[status], "content": {"application/problem+json": {}}}
        for status in sorted({*usual, *statuses})
    }


_SAYS = {
    400: "The request cannot be done as asked.",
    401: "No key, or one that is not known.",
    403: "The key lacks a scope.",
    404: "There is no such thing that the caller sees.",
    409: "It cannot be done now.",
    413: "The request is too large.",
    429: "Asked too often; Retry-After says when to ask again.",
    500: "An error in the service; the log has the request id.",
    502: "Something that the service needs has failed.",
    503: "The service has too much to do.",
    504: "No answer in time.",
}


def page(items: Sequence[Any], cursor: str | None, limit: int) -> tuple[Sequence[Any], str | None]:
    """Some of the items from where the cursor says, and the cursor of the next."""
    start = int(cursor or 0)
    return items[start : start + limit], str(start + limit) if len(items) > start + limit else None


def exact_value(request: Request, name: str, value: str) -> str:
    """A value of the address's query with bytes that are no UTF-8 kept, as paths may hold them; the framework replaces them."""
    if "\ufffd" not in value:
        return value
    asked = parse_qsl(request.url.query, keep_blank_values=True, errors="surrogateescape")
    return dict(asked).get(name, value)
