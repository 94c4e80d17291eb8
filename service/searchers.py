"""Processes that search, behind the one that speaks HTTP: a search computes, and one interpreter computes on one processor.

The process in front reads requests, knows keys and limits, and counts; what an index is asked goes as a pickled call over a socket
to whichever process is free, first come, first served, and its answer comes back the same way. So no process has a queue of its
own while another is idle, and the last client of many waits hardly longer than the first.

A process has a *lane*, a socket and a thread, for each call that it works on at once: one over the embedded store, whose searches
compute, more over a server, for which they wait. It ends when its lanes do, however the process in front ends; one that dies is
replaced.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from codequarry.errors import CodequarryError, TimedOut, TooBusy, Upstream
from codequarry.ingest.allocator import share_one_heap
from codequarry.service.backend import Backend

if TYPE_CHECKING:
    from codequarry.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")

_WAITING_PER_LANE = 64
_LENGTH = 8  # bytes before each message that say how long it is
_AGAIN_S = 1.0  # a process that ended is started again so much later
_END_S = 10.0

_log = logging.getLogger("codequarry.service")


class Searchers:
    """The processes. Use it from one event loop."""

    def __init__(self, settings: Settings, location: str, processes: int, threads: int) -> None:
        """`threads`: how many calls are worked on at once, over all processes; at least one in each."""
        self.timeout_s = settings.request_timeout_s
        self.busy = 0  # calls that are worked on or wait
        self._given = (settings, location, logging.getLogger().getEffectiveLevel())
        self._count, self._lanes_each = processes, max(1, threads // processes)
        self._most = processes * self._lanes_each * (1 + _WAITING_PER_LANE)
        self._waiting: deque[tuple[bytes, asyncio.Future[bytes]]] = deque()
        self._free: list[_Lane] = []
        self._processes: list[_Process] = []
        self._replacing: set[asyncio.Task[None]] = set()
        self._is_ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The processes run while the block is entered."""
        for _ in range(self._count):
            await self._start()
        try:
            yield
        finally:
            self._is_ending = True
            end = time.monotonic() + _END_S
            await asyncio.gather(*(process.end(end) for process in self._processes))

    async def ask(
        self, ask: Callable[Concatenate[Backend, Given], Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """What the function, one of a module, returns or raises there for that process's backend and these arguments.

        Raises:
            TooBusy: too many wait already.
            TimedOut: it took too long; its lane stays busy until it has ended.
            Upstream: the process ended meanwhile.
        """
        if self.busy >= self._most:
            raise TooBusy(f"{self.busy} requests are being worked on or wait", hint="ask again in a second")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((pickle.dumps((ask, args, options), pickle.HIGHEST_PROTOCOL), answer))
        self.busy += 1
        self._hand_out()
        try:
            async with asyncio.timeout(self.timeout_s):
                data = await answer
        except TimeoutError:
            raise TimedOut(
                f"there was no answer within {self.timeout_s:g} s",
                hint="narrow the query, or ask again when the service has less to do",
            ) from None
        finally:
            self.busy -= 1
        is_error, result = pickle.loads(data)  # noqa: S301 - our own process wrote it
        if is_error:
            raise result
        found: Result = result
        return found

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            data, answer = self._waiting.popleft()
            if answer.done():  # whoever asked has given up
                continue
            lane = min(self._free, key=lambda lane: lane.process.busy)
            self._free.remove(lane)
            lane.ask(data, answer)

    async def _start(self) -> None:
        pairs = [socket.socketpair() for _ in range(self._lanes_each)]
        process = _Process(_popen(self._given, [theirs for _, theirs in pairs]))
        self._processes.append(process)
        loop = asyncio.get_running_loop()
        for ours, _ in pairs:
            _, lane = await loop.create_unix_connection(lambda: _Lane(process, self._freed, self._lost), sock=ours)
            process.lanes.append(lane)

    def _freed(self, lane: _Lane) -> None:
        self._free.append(lane)
        self._hand_out()

    def _lost(self, process: _Process) -> None:
        """A lane of the process has ended, and so has the process, or will: it is replaced, once."""
        self._free = [lane for lane in self._free if lane.process is not process]
        if self._is_ending or process not in self._processes:
            return
        self._processes.remove(process)
        task = asyncio.get_running_loop().create_task(self._replace(process))
        self._replacing.add(task)  # the loop itself does not hold on to it
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, process: _Process) -> None:
        await process.end(time.monotonic() + _END_S)
        _log.warning("a process that searches ended with %s and is started again", process.popen.returncode)
        await asyncio.sleep(_AGAIN_S)
        if not self._is_ending:
            await self._start()


@dataclass(slots=True, eq=False)
class _Process:
    """One of them. `busy`: how many of its lanes are."""

    popen: subprocess.Popen[bytes]
    lanes: list[_Lane] = field(default_factory=list)
    busy: int = 0

    async def end(self, until: float) -> None:
        """Ends it, by force where it has not ended by that time of the monotonic clock."""
        for lane in self.lanes:
            lane.close()
        try:
            await asyncio.to_thread(self.popen.wait, max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            await asyncio.to_thread(self.popen.wait)


class _Lane(asyncio.Protocol):
    """This process's end of a lane. It is free when the other end has said so, with a first message, and after each answer."""

    def __init__(self, process: _Process, freed: Callable[[_Lane], None], lost: Callable[[_Process], None]) -> None:
        self.process = process
        self._freed, self._lost = freed, lost
        self._come = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are of no kind of asyncio's

    def ask(self, data: bytes, answer: asyncio.Future[bytes]) -> None:
        """Sends a call, whose answer is the future's result."""
        assert self._transport is not None
        self._answer = answer
        self.process.busy += 1
        self._transport.write(len(data).to_bytes(_LENGTH) + data)

    def data_received(self, data: bytes) -> None:
        self._come += data
        if len(self._come) < _LENGTH or len(self._come) < _LENGTH + int.from_bytes(self._come[:_LENGTH]):
            return
        answer, message, self._answer, self._come = self._answer, bytes(self._come[_LENGTH:]), None, bytearray()
        if answer is not None:
            self.process.busy -= 1
            if not answer.done():
                answer.set_result(message)
        self._freed(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                Upstream("the process that worked on the request ended", hint="ask again", retryable=True)
            )
        self._lost(self.process)

    def close(self) -> None:
        """No more is asked; the other end sees that it has ended."""
        if self._transport is not None:
            self._transport.close()


# -------------------------------------------------------------------------------------------------------------- the process


def _popen(given: tuple[Settings, str, int], lanes: list[socket.socket]) -> subprocess.Popen[bytes]:
    """The process at the other end of the lanes. What it works on, secrets among it, goes through its standard input."""
    numbers = [lane.fileno() for lane in lanes]
    popen = subprocess.Popen(
        [sys.executable, "-c", f"from codequarry.service.searchers import main; main({numbers})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        pass_fds=numbers,
    )
    for lane in lanes:
        lane.close()
    assert popen.stdin is not None
    with popen.stdin as pipe, suppress(OSError):  # it has ended already, as its lanes show
        pickle.dump(given, pipe)
    return popen


def main(lanes: list[int]) -> None:
    """The process: answers on its lanes, sockets of these numbers, until they end."""
    share_one_heap()
    for signalled in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # they reach all of a group; the process in front says what follows
        signal.signal(signalled, signal.SIG_IGN)
    settings, location, level = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own process wrote it
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s [searching] %(message)s")
    backend = Backend(settings, location=location)
    with suppress(CodequarryError):  # whoever asks is told
        _ = backend.engine
    gc.collect()
    gc.freeze()  # what is loaded now stays: looking for garbage in it would stop searches for tens of milliseconds
    first, *others = (socket.socket(fileno=number) for number in lanes)
    threads = [threading.Thread(target=_serve, args=(backend, lane)) for lane in others]
    for thread in threads:
        thread.start()
    _serve(backend, first)
    for thread in threads:
        thread.join()
    backend.close()


def _serve(backend: Backend, lane: socket.socket) -> None:
    with lane, lane.makefile("rb") as calls, suppress(OSError):
        _send(lane, b"")
        while len(length := calls.read(_LENGTH)) == _LENGTH:
            ask, args, options = pickle.loads(calls.read(int.from_bytes(length)))  # noqa: S301 - as above
            _send(lane, _outcome(ask, backend, args, options))


def _send(lane: socket.socket, data: bytes) -> None:
    lane.sendall(len(data).to_bytes(_LENGTH) + data)


def _outcome(ask: Callable[..., Any], backend: Backend, args: tuple[Any, ...], options: dict[str, Any]) -> bytes:
    """Whether it is an error, and the error or the result."""
    try:
        return pickle.dumps((False, ask(backend, *args, **options)), pickle.HIGHEST_PROTOCOL)
    except CodequarryError as error:
        return pickle.dumps((True, error), pickle.HIGHEST_PROTOCOL)
    except Exception:  # a fault of ours: whoever asked logs it, with where it was
        return pickle.dumps((True, RuntimeError(traceback.format_exc())), pickle.HIGHEST_PROTOCOL)
