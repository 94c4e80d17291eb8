"""A shorter way into the routes that are asked most.

The framework solves what a route depends on in general: parameters, nested dependencies, bodies of all kinds. A search has a body
and a caller, and here both are read at once. Whatever is not as usual (another content type, a body that does not fit) goes the
framework's way, which says what is wrong with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.params import Security
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect


class QuickRoute(APIRoute):
    """A route whose function takes `asked`, a model of the body, and `caller`, and nothing else; others are as they were."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        usual = super().get_route_handler()
        parameters = inspect.signature(self.endpoint, eval_str=True).parameters
        if parameters.keys() != {"asked", "caller"}:
            return usual
        model: type[BaseModel] = parameters["asked"].annotation
        (needed,) = (one for one in get_args(parameters["caller"].annotation) if isinstance(one, Security))
        scopes, endpoint = tuple(needed.scopes or ()), self.endpoint

        async def handle(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json":
                return await usual(request)
            try:
                asked = model.model_validate_json(await request.body())
            except (ValidationError, ClientDisconnect):
                return await usual(request)
            caller = request.state.caller
            for scope in scopes:
                caller.must(scope)
            response: Response = await endpoint(asked=asked, caller=caller)
            return response

        return handle
