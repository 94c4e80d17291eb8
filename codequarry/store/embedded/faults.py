"""What the parts of the embedded store raise, as errors of ours that say what to do."""

from __future__ import annotations

import errno
import sqlite3
import struct
from types import TracebackType

from codequarry.errors import StoreError
from codequarry.store.embedded.zstd import ZstdError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class WordsError(Exception):
    """tantivy failed: it has no error class of its own."""


class _WordsFaults:
    """A context in which tantivy's errors become `WordsError`."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (ValueError, RuntimeError)) and not isinstance(error, UnicodeError):
            raise WordsError(f"words: {error}") from error


words_faults = _WordsFaults()


class Faults:
    """A context in which errors of SQLite, tantivy and the file system become `StoreError`. Can be entered again and again."""

    def __init__(self, location: str) -> None:
        self._location = location

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (sqlite3.Error, OSError, WordsError, struct.error, ZstdError)):
            raise store_error(self._location, error) from error


def store_error(location: str, error: BaseException) -> StoreError:
    """The error as a `StoreError` with a hint."""
    says = str(error)
    lower = says.lower()
    if _is_full(error) or "disk is full" in lower or "no space left" in lower or "quota exceeded" in lower:
        return StoreError(
            f"the disk that holds {location} is full",
            hint="free some space and run the command again; what was indexed before is still there",
            retryable=True,
        )
    if isinstance(error, sqlite3.OperationalError) and ("locked" in lower or "busy" in lower):
        return StoreError(f"the index at {location} is busy: {says}", hint="try again", retryable=True)
    if (
        isinstance(error, PermissionError)
        or "readonly" in lower
        or "read-only" in lower
        or "permission denied" in lower
    ):
        return StoreError(
            f"the index at {location} cannot be used by this user: {says}",
            hint="check who owns the folder and its permissions",
        )
    return StoreError(
        f"the index at {location} is damaged or cannot be read: {says}",
        hint="run codequarry doctor; if it stays, delete the folder and run codequarry index again",
    )


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
