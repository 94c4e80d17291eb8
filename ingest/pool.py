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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from codequarry.errors import CodequarryError, Upstream
from codequarry.ingest.files import Entry, FileOptions, Reader
from codequarry.ingest.prepare import Preparer
from codequarry.ports import Embedder
from codequarry.types import FileVersion, Skipped

Prepared = list[FileVersion | Skipped]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a worker needs to know once: the rules for files, and the model (None: it leaves the vectors out)."""

    options: FileOptions
    model: str | None


class Work:
    """Prepares batches of entries, in this process (`processes` 0) or in others."""

    def __init__(self, recipe: Recipe, processes: int, embedder: Embedder | None = None) -> None:
        """`embedder`: the recipe's model where it is open already, for work in this process."""
        self.recipe = recipe
        self._workers = [_Worker(recipe) for _ in range(processes)]
        self._here = None if processes else _Local(recipe, embedder)

    def prepare(self, reader: Reader, batches: Iterable[list[Entry]]) -> Iterator[Prepared]:
        """The prepared files of each batch, in the order in which they get ready. At most two batches a worker are under way."""
        if self._here is not None:
            for batch in batches:
                yield self._here.prepare(reader, batch)
            return
        jobs: queue.Queue[list[Entry] | None] = queue.Queue()
        done: queue.Queue[Prepared | BaseException] = queue.Queue(maxsize=len(self._workers))
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

    def __init__(self, recipe: Recipe, embedder: Embedder | None = None) -> None:
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
        return self.preparer.prepare(items) + lost


class _Worker:
    """One process, and this process's end of its pipes."""

    def __init__(self, recipe: Recipe) -> None:
        self.thread: threading.Thread | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from codequarry.ingest.pool import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._send(recipe)

    def serve(
        self,
        reader: Reader,
        jobs: queue.Queue[list[Entry] | None],
        done: queue.Queue[Prepared | BaseException],
        stop: threading.Event,
    ) -> None:
        """Keeps two batches at the process, so that it works on one while this thread takes over the other's result."""
        assert self.process.stdout is not None
        under_way = 0
        try:
            while not stop.is_set():
                while under_way < 2 and (batch := jobs.get()) is not None:
                    self._send((reader, batch))
                    under_way += 1
                if not under_way:
                    return
                result = pickle.load(self.process.stdout)  # noqa: S301 - our own process wrote it
                under_way -= 1
                _hand_on(result, done, stop)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            broken = Upstream(
                f"a worker process ended while it prepared files ({error or 'killed'})",
                hint="run the same command again, it goes on where it stopped; if memory is short, set CODEQUARRY_WORKERS=1",
                retryable=True,
            )
            _hand_on(broken, done, stop)

    def _send(self, what: Any) -> None:
        assert self.process.stdin is not None
        pickle.dump(what, self.process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        if self.thread is not None:
            self.thread.join()  # its pipe has ended; only then may the pipe be closed under it
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


def main() -> None:
    """A worker: reads jobs until its standard input ends."""
    # Ctrl-C reaches the whole group of processes; the one that started us decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand among the answers
    local = _Local(pickle.load(jobs))  # noqa: S301 - our own process wrote it
    while True:
        try:
            reader, batch = pickle.load(jobs)  # noqa: S301
        except EOFError:
            return
        _answer(answers, _result(local, reader, batch))


def _result(local: _Local, reader: Reader, batch: list[Entry]) -> Prepared | CodequarryError:
    try:
        return local.prepare(reader, batch)
    except CodequarryError as error:
        return error


def _answer(answers: IO[bytes], result: Prepared | CodequarryError) -> None:
    pickle.dump(result, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()
