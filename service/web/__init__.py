"""The page at `/`: a person types a question, reads code, and takes what they pick into a prompt.

    request ─► Door (assets, cookie, cross-site check, errors as pages) ─► Gate ─► route ─► Pool ─► Backend ─► template

Every view is made on the server from one `Address`, which is the whole state of the page: it can be shared, reloaded and gone
back to. The script only fetches parts of the same views earlier than a click would. The routes call what REST calls, as the same
caller, through the same gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.web.door import Door
from codequarry.service.web.routes import routes

if TYPE_CHECKING:
    from fastapi import FastAPI

    from codequarry.service.routes import Parts


def add_page(app: FastAPI, parts: Parts) -> None:
    """Adds the page to the application. The door stands outside of whatever has been put around it before, the gate included."""
    app.include_router(routes(parts))
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Door(build())  # type: ignore[method-assign]  # no other layer is outermost
