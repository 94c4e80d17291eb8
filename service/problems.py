"""Errors as HTTP says them: `application/problem+json` (RFC 9457), made from the one error tree.

Beside the standard's members a problem has `code` (the slug of the error's class, for programs), `hint` (what to do, for people)
and `request_id` (what to look for in the log); a query that cannot be read also has `query` and `position`, arguments that cannot
be used have `errors` with the place of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, CodequarryError, NoKey, QuerySyntax, TooBusy
from codequarry.service.records import dumps

if TYPE_CHECKING:
    from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_SHOWN = 300  # characters of what somebody sent that a problem repeats at most


def problem(error: CodequarryError, request_id: str = "", **more: Any) -> dict[str, Any]:
    """The error as a problem document."""
    found: dict[str, Any] = {
        "type": f"urn:codequarry:error:{error.code}",
        "title": title(error.status),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        "request_id": request_id,
    }
    if isinstance(error, QuerySyntax):
        found |= {"query": error.query, "position": error.position}
    return found | more


def title(status: int) -> str:
    """What HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def headers_of(error: CodequarryError) -> dict[str, str]:
    """What HTTP wants said beside an error."""
    if isinstance(error, TooBusy):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, NoKey):
        return {"WWW-Authenticate": 'Bearer realm="codequarry"'}
    return {}


def respond(
    error: CodequarryError, request_id: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """The error as a response; `more` are members of the document."""
    from starlette.responses import Response

    said = {**headers_of(error), **(headers or {})}
    return Response(dumps(problem(error, request_id, **more)), error.status, headers=said, media_type=MEDIA_TYPE)


def of_status(status: int, detail: str) -> CodequarryError:
    """An error for a status that the web framework came up with: an unknown path, a method that is not allowed."""
    error = CodequarryError(detail, hint="/v1/docs lists what there is" if status in (404, 405) else "")
    error.status = status
    error.code = title(status).lower().replace(" ", "_").replace("'", "")
    return error


def of_arguments(found: Iterable[Mapping[str, Any]]) -> tuple[CodequarryError, list[dict[str, Any]]]:
    """An error for arguments that do not fit, and the place and reason of each."""
    places = [
        {"at": ".".join(str(part) for part in one["loc"])[:_SHOWN], "says": str(one["msg"])[:_SHOWN]} for one in found
    ]
    first = places[0] if places else {"at": "the request", "says": "it cannot be read"}
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    error = BadInput(f"{first['at']}: {first['says']}{more}", hint="/v1/docs shows what can be asked")
    return error, places
