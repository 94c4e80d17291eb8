"""The service: REST, MCP and webhooks as one ASGI application.

    request ─► Gate (id, key, rate, size) ─► route (scope, arguments) ─► Pool or Searchers (threads, processes, time) ─► Backend

Whatever is raised comes out as `application/problem+json`. Nothing here computes in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from codequarry import __version__
from codequarry.errors import CodequarryError, Upstream
from codequarry.service import problems
from codequarry.service.backend import Backend
from codequarry.service.gate import Gate
from codequarry.service.keyring import KEEP_S, Keyring
from codequarry.service.metrics import Metrics
from codequarry.service.pool import Pool, threads_of
from codequarry.service.routes import Parts, feedback, health, jobs, repositories, search
from codequarry.service.searchers import Searchers
from codequarry.service.security import is_loopback
from codequarry.service.web import add_page

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from codequarry.ports import Queue
    from codequarry.settings import Settings

_log = logging.getLogger("codequarry.service")

DESCRIPTION = """Semantic code search over many repositories. Every answer says where the code stands: repository, commit, path,
lines.

Errors are `application/problem+json` (RFC 9457) with a `code` for programs and a `hint` for people. Each answer has an
`X-Request-Id`, which is yours if you send one. Lists go on with `cursor`, the `next_cursor` of the answer before."""


def create_app(
    settings: Settings,
    *,
    location: str | None = None,
    queue: Queue | None = None,
    work: Callable[[Backend], AbstractContextManager[object]] | None = None,
    processes: int = 1,
) -> FastAPI:
    """The application over the index of the settings, or at `location`.

    `queue` is told of work for others to do; `work` is entered while the application runs, for work done in this process. With
    more than one of `processes` searches are made in so many others, else in threads of this one.

    Raises:
        SettingsError: keys that cannot be read.
    """
    keys = Keyring(settings)
    backend = Backend(settings, location=location, queue=queue)
    metrics = Metrics()
    threads = threads_of(settings, backend.location)
    pool = Pool(threads, settings.request_timeout_s)
    searchers = Searchers(settings, backend.location, processes, threads) if processes > 1 else None
    parts = Parts(backend, pool, metrics, searchers)

    from codequarry.service.mcp import over_http

    mcp_route, mcp_running = over_http(parts, settings)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        with (work or (lambda _: nullcontext()))(backend):
            async with mcp_running(), searchers.running() if searchers else nullcontext():
                beside = [asyncio.create_task(_warm(parts)), asyncio.create_task(_every(KEEP_S, keys.keep))]
                yield
                for task in beside:
                    task.cancel()
        keys.keep()
        pool.close()
        backend.close()

    app = FastAPI(
        title="codequarry",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for module in (search, feedback, repositories, jobs, health):
        app.include_router(module.routes(parts), prefix="/v1")
    app.include_router(health.at_root(parts))
    _webhooks(app, backend, settings)
    app.router.routes.append(mcp_route)
    _errors(app, metrics)
    _describe(app, needs_key=bool(keys))
    _put_behind(app, lambda inner: Gate(inner, settings, keys, metrics, only_local=is_loopback(settings.host)))
    add_page(app, parts)
    app.state.parts = parts
    return app


def _put_behind(app: FastAPI, gate: Callable[[ASGIApp], ASGIApp]) -> None:
    """Puts the layer around everything, the answer to errors nobody thought of included: other layers stand inside that."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: gate(build())  # type: ignore[method-assign]  # no other layer is outermost


async def _warm(parts: Parts) -> None:
    """Opens the index and loads the model before somebody waits for it; what fails now is said to whoever asks."""
    with suppress(CodequarryError):
        await parts.ask(_open)


def _open(backend: Backend) -> None:
    _ = backend.engine


async def _every(seconds: float, act: Callable[[], None]) -> None:
    """Does something now and then, beside the event loop."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(act)


def _webhooks(app: FastAPI, backend: Backend, settings: Settings) -> None:
    """The routes that forges post to, where that module is there."""
    from importlib.util import find_spec

    if find_spec("codequarry.service.webhooks") is None:
        return
    from importlib import import_module

    router = import_module("codequarry.service.webhooks").router
    app.include_router(router(_Late(lambda: backend.ledger), backend.queue, settings))


class _Late:
    """The ledger, opened when something of it is first asked for: what it is kept in may be down when the service starts."""

    def __init__(self, opened: Callable[[], object]) -> None:
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened(), name)


def _errors(app: FastAPI, metrics: Metrics) -> None:
    """Every error as a problem."""

    def answer(request: Request, error: CodequarryError, **more: Any) -> Response:
        if isinstance(error, Upstream):
            metrics.failures.add(error.code)
            _log.warning("%s: %s id=%s", error.code, error.message, request.state.request_id)
        return problems.respond(error, request.state.request_id, **more)

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, CodequarryError)
        return answer(request, error)

    async def arguments(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found, places = problems.of_arguments(error.errors())
        return answer(request, found, errors=places)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, CodequarryError):  # the framework wraps what reading the body raised
            return answer(request, error.__cause__)
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := _methods(app.openapi(), request.url.path)):
            headers["Allow"] = ", ".join(methods)  # of all routes with the path: the framework looks at one
        return answer(request, problems.of_status(error.status_code, str(error.detail)), headers=headers)

    async def unknown(request: Request, error: Exception) -> Response:
        metrics.failures.add("internal")
        _log.exception("internal error id=%s", request.state.request_id, exc_info=error)
        return answer(
            request,
            CodequarryError("an error in the service", hint="its log has the details under the request id"),
        )

    app.add_exception_handler(CodequarryError, known)
    app.add_exception_handler(RequestValidationError, arguments)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)


def _describe(app: FastAPI, *, needs_key: bool) -> None:
    """The OpenAPI document: arguments that do not fit are 400 here as everywhere else, and the framework's own form is no part."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            for operation in _operations(document):
                operation["responses"].pop("422", None)
                if "security" in operation and not needs_key:
                    operation["security"].append({})  # OpenAPI's way to say that it may be left out
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual says

    @app.get("/v1/docs", include_in_schema=False)
    async def docs() -> Response:
        from codequarry.service.restdocs import html_page

        return Response(html_page(app.openapi()), media_type="text/html; charset=utf-8")


def _methods(document: dict[str, Any], path: str) -> list[str]:
    """The methods of the paths of the document that fit a path."""
    return [
        method.upper()
        for template, methods in document["paths"].items()
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(template)), path)
        for method in methods
    ]


def _operations(document: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]
