"""Processes that outlive the command that started them: started apart, known again by their start time, stopped for certain."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Write ends of the pipes whose closing, by whatever end of this process, tells a keeper to stop what is tied to it.
_TIES: list[int] = []


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Starts a command in a session of its own, so that Ctrl-C here does not reach it; returns its pid.

    Its output is appended to `log`; its standard input is empty.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    return os.posix_spawn(
        command[0],
        list(command),
        dict(os.environ, **(environment or {})),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def started(pid: int) -> str:
    """What tells this process from a later one of the same pid, or "" when no such process runs (a zombie does not).

    A process that is killed is shown as a zombie as soon as its first thread is gone; the others may hold its ports and files a
    moment longer, and until then it still runs.
    """
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)  # where it is a child of ours that has ended, it goes now
    if sys.platform.startswith("linux"):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        state, threads, ticks = fields[0], int(fields[17]), fields[19]  # fields 3, 20 and 22 of the line
        return "" if state == "X" or (state == "Z" and threads < 2) else ticks  # from boot to start
    reply = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return reply.stdout.strip()


def runs(pid: int, start: str) -> bool:
    """Whether the process that was known by this pid and start time still runs."""
    return pid > 0 and bool(start) and started(pid) == start


def stop(pid: int, start: str, patience_s: float = 30.0) -> bool:
    """Ends the process: asked first, killed after `patience_s`. Returns whether it ran at all."""
    if not runs(pid, start):
        return False
    for number, limit in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if not runs(pid, start):
                return True
            time.sleep(0.05)
    return True


def tie(processes: Sequence[tuple[int, str]], folder: Path) -> None:
    """Ties processes and a folder to this process: when it ends, be it by `kill -9`, a small keeper kills and removes them.

    For tests: nothing stays behind when a run is cut off.
    """
    read, write = os.pipe()
    _TIES.append(write)
    pairs = [f"{pid}:{start}" for pid, start in processes]
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "codequarry.compose.processes", str(folder), *pairs],
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)],
        setsid=True,
    )
    os.close(read)


def _keep(folder: str, pairs: Sequence[str]) -> None:
    """Waits until the other end of standard input is closed, then kills those processes that still run."""
    sys.stdin.buffer.read()
    for pair in pairs:
        pid, _, start = pair.partition(":")
        if runs(int(pid), start):
            stop(int(pid), start, 0)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _keep(sys.argv[1], sys.argv[2:])
