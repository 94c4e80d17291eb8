"""Files that end the process that prepares them, by a crash, by its memory or by its time: found, tried alone, and left out.

A process notes which file it is at before it begins with it, where whoever started it can read that after its death. So one death
is enough for a suspect: it is tried alone, the others go on without it, and what ends `ATTEMPTS` processes is left out with the
reason `crashed`. Git's id of its bytes and the recipe are kept with that, so it is tried again when either changes.
"""

from __future__ import annotations

import os
import resource
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import Upstream
from codequarry.ingest.files import Entry
from codequarry.types import Skipped

if TYPE_CHECKING:
    from codequarry.ingest.pool import Prepared

ATTEMPTS = 3
"""So many processes a file may end."""

MOST = 20
"""Of one run: where more files do that, it is not the files."""

CPU_S = 60
"""Processor time for a batch of a megabyte, a hundred times what it takes; a larger one has more."""

_IDLE, _BEHIND = -1, -2  # before the first file, and after the last one: then all of them are worked on at once
_FORM = "<q"


class Mark:
    """Which file of its batch a process is at: a file without a name that both ends hold."""

    def __init__(self, handle: int | None = None) -> None:
        """`handle`: that of the other end."""
        if handle is None:
            handle, path = tempfile.mkstemp(prefix="codequarry-")
            Path(path).unlink()
        self.handle = handle

    def set(self, number: int) -> None:
        """Notes that the process begins with the file of that number."""
        os.pwrite(self.handle, struct.pack(_FORM, number), 0)

    def idle(self) -> None:
        """Notes that no batch is begun."""
        self.set(_IDLE)

    def behind(self) -> None:
        """Notes that the process is behind the last file."""
        self.set(_BEHIND)

    def read(self) -> int:
        """The last note."""
        return int(struct.unpack(_FORM, os.pread(self.handle, 8, 0) or struct.pack(_FORM, _IDLE))[0])

    def close(self) -> None:
        """Gives the file back."""
        os.close(self.handle)


class Died(Exception):
    """The process has ended; `at` is its last note."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


Ask = Callable[[list[Entry]], "Prepared"]
"""Prepares a batch in a fresh process if the last one has ended; raises `Died`."""


class Salvage:
    """Prepares what a process died of. One for a run, since it counts."""

    def __init__(self) -> None:
        self._left_out = 0

    def prepare(self, batch: Sequence[Entry], ask: Ask, at: int | None = None) -> Prepared:
        """The prepared files of a batch, without those that end processes. `at`: the last note of one that ended at this batch.

        Raises:
            Upstream: processes end without having begun, or at too many files.
        """
        if not batch:
            return []
        if at is None:
            try:
                return ask(list(batch))
            except Died as died:
                at = died.at
        if at == _IDLE:
            raise Upstream(
                "a worker process ended before it began to prepare files",
                hint="run the same command again, it goes on where it stopped; if memory is short, set CODEQUARRY_WORKERS=1",
                retryable=True,
            )
        if not 0 <= at < len(batch) and len(batch) > 1:  # at none of them alone
            half = len(batch) // 2
            return [*self.prepare(batch[:half], ask), *self.prepare(batch[half:], ask)]
        suspect = max(0, at)
        return [*self._alone(batch[suspect], ask), *self.prepare([*batch[:suspect], *batch[suspect + 1 :]], ask)]

    def _alone(self, entry: Entry, ask: Ask) -> Prepared:
        """The file by itself, in as many processes as it may end; it has ended one."""
        for _ in range(ATTEMPTS - 1):
            try:
                return ask([entry])
            except Died as died:
                if died.at == _IDLE:
                    return self.prepare([entry], ask, died.at)
        self._left_out += 1
        if self._left_out > MOST:
            raise Upstream(
                f"worker processes ended at more than {MOST} files, the last one {entry.path}",
                hint="is memory short? CODEQUARRY_WORKERS=1 needs less",
            )
        return [Skipped(entry.path, "crashed", f"{ATTEMPTS} processes ended while they read it")]


def limit_time(batch: Sequence[Entry]) -> None:
    """From here on this process has so much processor time as the batch may take: a parser without an end ends with it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    megabytes = max(1.0, sum(entry.size for entry in batch) / 1e6)
    wanted = int(used.ru_utime + used.ru_stime + CPU_S * megabytes) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


@contextmanager
def limited_time(batch: Sequence[Entry]) -> Iterator[None]:
    """The same while the block is entered."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    limit_time(batch)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)
