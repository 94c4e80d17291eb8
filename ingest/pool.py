"""Worker processes that prepare files: tree-sitter holds the interpreter's lock, so threads would bring nothing.

Each worker is a fresh `python -m codequarry.ingest.pool` that reads pickled jobs from its standard input and answers on its
standard output. Unlike `multiprocessing` this needs neither a fork of a process that has threads nor a `__main__` guard in the
programs of those who use the library.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from codequarry.errors import CodequarryError
from codequarry.ingest.crashes import Died, Mark, Salvage, limit_time, limited_time
from codequarry.ingest.files import Entry, FileOptions, Reader
from codequarry.ingest.prepare import Preparer
from codequarry.ports import Embedder
from codequarry.types import FileVersion, Skipped

Prepared = list[FileVersion | Skipped]

_AHEAD = 4
"""How many prepared batches a worker may be ahead of the writer, which now and then stops for a second to make all durable."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a worker needs to know once: the rules for files, and the model (None: it leaves the vectors out)."""

    options: FileOptions
    model: str | None


class Work:
    """Prepares batches of entries, in this process (`processes` 0) or in others."""

    def __init__(
        self, recipe: Recipe, processes: int, embedder: Embedder | None = None, *, is_expendable: bool = False
    ) -> None:
        """`embedder`: the recipe's model where it is open already, for work in this process; `is_expendable`: see `Pipeline`."""
        self.recipe, self._is_expendable = recipe, is_expendable
        salvage = Salvage()
        self._workers = [_Worker(recipe, salvage) for _ in range(processes)]
        self._here = None if processes else _Local(recipe, embedder)

    def prepare(self, reader: Reader, batches: Iterable[list[Entry]]) -> Iterator[Prepared]:
        """The prepared files of each batch, in the order in which they get ready. At most two batches a worker are under way."""
        if self._here is not None:
            for batch in batches:
                with limited_time(batch) if self._is_expendable else contextlib.nullcontext():
                    prepared = self._here.prepare(reader, batch)
                yield prepared
            return
        jobs: queue.Queue[list[Entry] | None] = queue.Queue()
        done: queue.Queue[Prepared | BaseException] = queue.Queue(maxsize=_AHEAD * len(self._workers))
        stop = threading.Event()
        count = 0
        for batch in batches:
            jobs.put(batch)
            count += 1
        for _ in self._workers * 2:  # a worker asks for the next batch twice before it gives up
            jobs.put(None)
        for worker in self._workers:
            worker.thread = threading.Thread(target=worker.serve, args=(reader, jobs, done, stop), daemon=True)
            worker.thread.start()
        try:
            for _ in range(count):
                result = done.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            stop.set()

    def close(self) -> None:
        """Ends the workers at once; what they were at is lost and can be asked for again."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Local:
    """The work itself, wherever it runs."""

    def __init__(self, recipe: Recipe, embedder: Embedder | None = None, mark: Mark | None = None) -> None:
        self.mark = mark
        if embedder is None and recipe.model is not None:
            from codequarry.models import open_embedder

            embedder = open_embedder(recipe.model)
        self.preparer = Preparer(recipe.options, embedder)

    def prepare(self, reader: Reader, entries: list[Entry]) -> Prepared:
        lost: Prepared = []
        items: list[tuple[str, str, bytes]] = []
        for entry, data in reader.read(entries):
            if data is None:
                lost.append(Skipped(entry.path, "unreadable", "gone or changed while it was read"))
            else:
                items.append((entry.path, entry.blob, data))
        return self.preparer.prepare(self._noted(items) if self.mark else items) + lost

    def _noted(self, items: list[tuple[str, str, bytes]]) -> Iterator[tuple[str, str, bytes]]:
        """The items, each noted as what this process is at: whoever started it sees after a crash which one it was."""
        assert self.mark is not None
        for number, item in enumerate(items):
            self.mark.set(number)
            yield item
        self.mark.behind()


class _GivenUp(Exception):
    """Nobody waits for the work any more."""


class _Worker:
    """One process, and this process's end of its pipes. A process that died is replaced."""

    def __init__(self, recipe: Recipe, salvage: Salvage) -> None:
        self.thread: threading.Thread | None = None
        self._recipe, self._salvage = recipe, salvage
        self._closed, self._lock = False, threading.Lock()
        self._mark = Mark()
        self._start()

    def _start(self) -> None:
        self._mark.idle()
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from codequarry.ingest.pool import main; main({self._mark.handle})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            pass_fds=[self._mark.handle],
        )
        with contextlib.suppress(OSError):  # it has ended already, as the answer that does not come will show
            self._send(self._recipe)

    def serve(
        self,
        reader: Reader,
        jobs: queue.Queue[list[Entry] | None],
        done: queue.Queue[Prepared | BaseException],
        stop: threading.Event,
    ) -> None:
        """Keeps two batches at the process, so that it works on one while this thread takes over the other's result."""
        under_way: deque[list[Entry]] = deque()
        while not stop.is_set():
            try:
                while len(under_way) < 2 and (batch := jobs.get()) is not None:
                    under_way.append(batch)
                    self._send((reader, batch))
                if not under_way:
                    return
                result = self._answer()
                under_way.popleft()
                _hand_on(result, done, stop)
            except (EOFError, OSError, pickle.UnpicklingError):
                if not self._salvaged(reader, under_way, done, stop):
                    return

    def _salvaged(
        self,
        reader: Reader,
        under_way: deque[list[Entry]],
        done: queue.Queue[Prepared | BaseException],
        stop: threading.Event,
    ) -> bool:
        """Does what the process has left undone when it died, the first of it while it was at it; False when that is not wanted."""

        def ask(batch: list[Entry]) -> Prepared:
            try:
                self._send((reader, batch))
                result = self._answer()
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                at = self._mark.read()
                if not self._replaced():
                    raise _GivenUp from error
                raise Died(at) from error
            if isinstance(result, BaseException):
                raise result
            return result

        at: int | None = self._mark.read()
        if not self._replaced():
            return False
        while under_way:
            result: Prepared | BaseException
            try:
                result = self._salvage.prepare(under_way[0], ask, at)
            except _GivenUp:
                return False
            except CodequarryError as error:
                result = error
            under_way.popleft()
            at = None
            _hand_on(result, done, stop)
        return True

    def _replaced(self) -> bool:
        """A fresh process in place of one that ended; False when none is wanted any more."""
        with self._lock:
            if self._closed:
                return False
            self._end()
            self._start()
            return True

    def _answer(self) -> Prepared | BaseException:
        assert self.process.stdout is not None
        result: Prepared | BaseException = pickle.load(self.process.stdout)  # noqa: S301 - our own process wrote it
        return result

    def _send(self, what: Any) -> None:
        assert self.process.stdin is not None
        pickle.dump(what, self.process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        self.process.stdin.flush()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self.process.kill()
        if self.thread is not None:
            self.thread.join()  # its pipe has ended; only then may the pipe be closed under it
        self._end()
        self._mark.close()

    def _end(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was still to be written has no reader any more
                    pipe.close()
        self.process.wait()


def _hand_on(
    result: Prepared | BaseException, done: queue.Queue[Prepared | BaseException], stop: threading.Event
) -> None:
    """Puts a result where the consumer finds it, and gives up when the consumer has."""
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            done.put(result, timeout=0.2)
            return


def main(handle: int) -> None:
    """A worker: reads jobs until its standard input ends. `handle`: of the file in which it notes what it is at."""
    # Ctrl-C reaches the whole group of processes; the one that started us decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand among the answers
    mark = Mark(handle)
    local = _Local(pickle.load(jobs), mark=mark)  # noqa: S301 - our own process wrote it
    while True:
        try:
            reader, batch = pickle.load(jobs)  # noqa: S301 - the same
        except EOFError:
            return
        limit_time(batch)
        _answer(answers, _result(local, reader, batch))
        mark.idle()


def _result(local: _Local, reader: Reader, batch: list[Entry]) -> Prepared | CodequarryError:
    try:
        return local.prepare(reader, batch)
    except CodequarryError as error:
        return error


def _answer(answers: IO[bytes], result: Prepared | CodequarryError) -> None:
    pickle.dump(result, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()
