"""The lock of the one writer: a file that is locked while a process writes, and says which one it is."""

from __future__ import annotations

import fcntl
import json
import os
import time
import weakref

from codequarry.errors import WriterBusy

FILE = "writer.lock"
_POLL_S = 0.02


class WriterLock:
    """Held from its making until `release`, or until the process ends however it ends.

    Raises:
        WriterBusy: another writer holds it and did not let go within `wait_s` seconds.
    """

    def __init__(self, folder: str, purpose: str, *, wait_s: float) -> None:
        self._handle: int | None = os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        until = time.monotonic() + wait_s
        try:
            while True:
                try:
                    fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise _busy(folder, self._handle) from None
                    time.sleep(_POLL_S)
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps({"pid": os.getpid(), "purpose": purpose}).encode(), 0)
        except BaseException:  # also when interrupted while waiting
            os.close(self._handle)
            self._handle = None
            raise
        _held.add(self)

    def release(self) -> None:
        """Lets the next writer in. Releasing twice is allowed."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _held.discard(self)
            os.ftruncate(handle, 0)
            os.close(handle)

    def forked(self) -> None:
        """In a child process: the lock is the parent's alone, else it would outlive a killed parent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock.forked()


os.register_at_fork(after_in_child=_let_go_in_child)


def holder(folder: str) -> str:
    """Which process holds the lock, for people: "process 4711 (indexing …)"; empty when nobody does."""
    try:
        handle = os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return _says(handle)
    finally:
        os.close(handle)


def _says(handle: int) -> str:
    try:
        data = json.loads(os.pread(handle, 4096, 0))
        return f"process {data['pid']} ({data['purpose']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _busy(folder: str, handle: int) -> WriterBusy:
    return WriterBusy(
        f"{_says(handle)} is writing to the index at {folder}",
        hint="wait until it is done; searching is possible all the while",
    )
