"""Judgements of answers: which files people found right or wrong for a question, kept to measure and to tune search with.

They are lines of JSON in one file of the data folder, `feedback.jsonl`: question, repo, path, answers (whether it does), at (when).
Nothing of who judged is kept, no key and no code. Several processes may write: each appends whole lines under a lock, and a
judgement that was taken is on the disk.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codequarry.errors import BadInput, StoreError, TooLarge

FILE = "feedback.jsonl"

MOST_QUESTION = 4096
"""Characters of a question that is kept."""

MOST_BYTES = 64 << 20
"""When the file has so many, no more are taken."""


def keep(data_dir: Path, question: str, repo: str, path: str, *, answers: bool) -> dict[str, Any]:
    """Writes one judgement down, and returns it as written, once it is on the disk.

    Raises:
        BadInput: a question that is empty or too long.
        TooLarge: there are too many judgements.
        StoreError: the file cannot be written.
    """
    if not question.strip():
        raise BadInput("the question is empty", hint="give the question whose answer is judged")
    if len(question) > MOST_QUESTION:
        raise BadInput(
            f"the question has more than {MOST_QUESTION:,} characters",
            hint="judge the question itself, without what was pasted into it",
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"question": question, "repo": repo, "path": path, "answers": answers, "at": at}
    line = json.dumps(row).encode() + b"\n"
    file = data_dir / FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _appending(file) as (descriptor, size):
            if size + len(line) > MOST_BYTES:
                raise TooLarge(
                    f"{file} has {MOST_BYTES >> 20} MiB of judgements, and no more are taken",
                    hint="move it away, or take out what is old",
                )
            # What a killed writer has left of a line must not join this one.
            is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            data = b"\n" + line if is_cut else line
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}", hint="is the data folder writable?") from error
    return row


@contextmanager
def _appending(file: Path) -> Iterator[tuple[int, int]]:
    """The descriptor of the file, locked, and its size."""
    # Questions may tell what a team works on: they are for the owner alone.
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def kept(data_dir: Path) -> list[Mapping[str, Any]]:
    """All judgements, in the order in which they were made; a line that a killed writer left unfinished is passed over.

    Raises:
        BadInput: there are none.
        StoreError: the file cannot be read.
    """
    file = data_dir / FILE
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}", hint="is the data folder readable?") from error
    rows = [row for line in lines if (row := _row(line)) is not None]
    if not rows:
        raise BadInput(
            f"there are no judgements in {file}",
            hint='codequarry feedback "QUESTION" --repo NAME --path PATH keeps one',
        )
    return rows


def _row(line: bytes) -> Mapping[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    kinds = {"question": str, "repo": str, "path": str, "answers": bool}
    fits = isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in kinds.items())
    return row if fits else None
