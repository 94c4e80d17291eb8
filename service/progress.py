"""How far a long command is: a bar with rate and time left on a terminal, else a line every some seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from codequarry.service.terminal import columns, cut, printable

if TYPE_CHECKING:
    from codequarry.service.terminal import Terminal
    from codequarry.types import Progress, Source

_BAR = 16
_EVERY_S = 0.1  # on a terminal
_LINE_EVERY_S = 15.0  # in a log


class Meter:
    """Shows progress records on the error stream. Call it with each; `clear` before anything else is written."""

    def __init__(self, terminal: Terminal, *, patience_s: float = 0.0) -> None:
        """`patience_s`: how long nothing is shown, for what is usually done at once."""
        self._terminal = terminal
        self._silent_until = time.monotonic() + patience_s
        self._phase: tuple[str, str] = ("", "")
        self._began = self._drawn = time.monotonic()
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        """Takes in a record and draws, if it is time to."""
        now = time.monotonic()
        phase = (progress.phase, str(progress.source or ""))
        changed = phase != self._phase
        if changed:
            self._phase, self._began = phase, now
        if self._terminal.err_is_terminal:
            if now >= self._silent_until and (changed or not self._shown or now - self._drawn >= _EVERY_S):
                self._drawn = now
                self._draw(progress, now - self._began)
        elif now - self._drawn >= _LINE_EVERY_S:
            self._drawn = now
            self._terminal.say(describe(progress, now - self._began))

    def _draw(self, progress: Progress, elapsed_s: float) -> None:
        width = _columns_of(self._terminal)
        bar = ""
        if share := _share(progress):
            full = int(share * _BAR)
            bar = f"[{'#' * full}{'.' * (_BAR - full)}] "
        line = cut(bar + describe(progress, elapsed_s), width - 1)
        self._terminal.err.write("\r" + line + " " * max(width - 1 - columns(line), 0) + "\r")
        self._terminal.err.flush()
        self._shown = True

    def clear(self) -> None:
        """Takes the bar away."""
        if self._shown:
            self._terminal.err.write("\r" + " " * (_columns_of(self._terminal) - 1) + "\r")
            self._terminal.err.flush()
            self._shown = False


def describe(progress: Progress, elapsed_s: float) -> str:
    """The record as a line: what is done, of how much, how fast, how long it will take."""
    parts = [progress.phase]
    if progress.phase == "training":
        parts.append(f"{progress.files_done:,}/{progress.files_total:,} steps")
        if progress.files_done and elapsed_s >= 0.5:
            parts.append(f"{progress.files_done / elapsed_s:.1f}/s")
    elif progress.files_total:
        parts.append(f"{progress.files_done:,}/{progress.files_total:,} files")
    elif progress.files_done:
        parts.append(f"{progress.files_done:,} files")
    if progress.bytes_done:
        parts.append(size(progress.bytes_done))
        if elapsed_s >= 0.5:
            parts.append(f"{size(progress.bytes_done / elapsed_s)}/s")
    share = _share(progress)
    if share and elapsed_s >= 1.0 and share < 1.0:
        parts.append(f"{duration(elapsed_s * (1 - share) / share)} left")
    if progress.said:
        parts.append(printable(progress.said))
    if progress.source:
        parts.append(printable(label(progress.source)))
    return "  ".join(parts)


def label(source: Source) -> str:
    """The source for people: its folder says it all where the repository is named after it."""
    folder = source.folder
    return folder if folder and source.repo == f"local{folder}" else str(source)


def _share(progress: Progress) -> float:
    if progress.bytes_total:
        return min(progress.bytes_done / progress.bytes_total, 1.0)
    return min(progress.files_done / progress.files_total, 1.0) if progress.files_total else 0.0


def _columns_of(terminal: Terminal) -> int:
    import os

    try:
        return max(os.get_terminal_size(terminal.err.fileno()).columns or 80, 20)
    except (OSError, ValueError):
        return 80


def counted(number: int, noun: str) -> str:
    """A number of things: 1 file, 1,200 files."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """A length of time for people: 0.4 s, 12 s, 3:05, 1:02:03."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
