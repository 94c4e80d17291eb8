"""Webhooks: what forges post when something was pushed.

    delivery ─► bytes, counted ─► proof of the sender, over the bytes ─► what it says ─► a wish in the ledger, durable ─► 202

A delivery is only a poke: it says *that* something happened to a repository, and the job that it asks for looks at the forge. So
late, repeated and invented contents are harmless, as long as the sender is proven. `providers` has what that means at each forge,
`deliveries` what follows.

Addresses: `/v1/webhooks/{provider}/{hook_id}` has secrets of its own (two while they are exchanged) and speaks for one repository,
or for any; `/v1/webhooks/{provider}` has the secret of the settings. Queues are told after the answer, and need not be there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from codequarry.errors import BadInput, TooBusy, TooLarge
from codequarry.service.deliveries import Receiver
from codequarry.service.routes import problems, reply

if TYPE_CHECKING:
    from codequarry.ports import Ledger, Queue
    from codequarry.settings import Settings

MOST_BYTES = 26_214_400
"""No forge sends more."""
_MOST_BYTES_AT_ONCE = 8 * MOST_BYTES  # of all deliveries that are being read
_MOST_SECONDS = 30.0  # for one delivery to arrive
_THREADS = 8


class Taken(BaseModel):
    """What became of a delivery."""

    outcome: str = Field(description="wanted, known, repeated, ignored, refused, pong", examples=["wanted"])
    repo: str = Field(default="", description="The repository that it was about, where that is registered.")
    why: str = Field(default="", description="For people.")


def router(ledger: Ledger, queue: Queue | None, settings: Settings) -> APIRouter:
    """The routes. `queue` is told of what is wanted, after the sender has its answer."""
    receiver = Receiver(ledger, queue, settings)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")
    room = _Room(_MOST_BYTES_AT_ONCE)
    routes = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    says: dict[int | str, dict[str, Any]] = {
        200: {"model": Taken, "description": "Taken note of; there is nothing to do."},
        202: {"model": Taken, "description": "The wish is kept."},
        **problems(404),
    }

    async def deliver(request: Request, provider: str, hook_id: str | None) -> Response:
        loop = asyncio.get_running_loop()
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = await loop.run_in_executor(threads, receiver.target, provider, hook_id, headers)
        with room.held() as grow:
            body = await _read(request, grow)
            status, outcome = await loop.run_in_executor(threads, receiver.take, target, headers, body)
        return reply(asdict(outcome), status)

    @routes.post(
        "/{provider}/{hook_id}",
        summary="Deliveries to a webhook that `codequarry webhooks add` made",
        status_code=202,
        responses=says,
        response_class=Response,
    )
    async def deliver_to_hook(request: Request, provider: str, hook_id: str) -> Response:
        return await deliver(request, provider, hook_id)

    @routes.post(
        "/{provider}",
        summary="Deliveries of an organisation's webhook, with the secret of the settings",
        status_code=202,
        responses=says,
        response_class=Response,
    )
    async def deliver_to_all(request: Request, provider: str) -> Response:
        return await deliver(request, provider, None)

    return routes


# ----------------------------------------------------------------------------------------------------------------- reading


class _Room:
    """How much of all deliveries may be in memory at once: the sender of one is only known when all of it is there."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def held(self) -> _Share:
        """A share that grows as a body comes, given back when the block is left."""
        return _Share(self)

    def change(self, count: int) -> None:
        """Takes, or gives back.

        Raises:
            TooBusy: there is not so much left.
        """
        if count > self._left:
            raise TooBusy("too many large deliveries at once", hint="send it again")
        self._left -= count


class _Share:
    def __init__(self, room: _Room) -> None:
        self._room, self._taken = room, 0

    def __enter__(self) -> Callable[[int], None]:
        return self._grow

    def __exit__(self, *_: object) -> None:
        self._room.change(-self._taken)

    def _grow(self, count: int) -> None:
        self._room.change(count)
        self._taken += count


async def _read(request: Request, grow: Callable[[int], None]) -> bytes:
    """The body.

    Raises:
        TooLarge: it is larger than any forge's, whatever its header says.
        BadInput: it does not come to its end.
        TooBusy: others take all the memory.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            async for piece in request.stream():
                if len(body) + len(piece) > MOST_BYTES:
                    raise TooLarge(
                        f"the delivery is larger than {MOST_BYTES:,} bytes", hint="forges send no larger ones"
                    )
                grow(len(piece))
                body += piece
    except (ClientDisconnect, TimeoutError):
        raise BadInput("the delivery does not come to its end", hint="send it again") from None
    return bytes(body)
