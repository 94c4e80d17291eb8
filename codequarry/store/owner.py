"""Who holds a lease: a name for this process, and whether one of this machine is gone, so that nobody waits for the dead."""

from __future__ import annotations

import contextlib
import os
import socket
from functools import cache
from hashlib import blake2b
from pathlib import Path


def me() -> str:
    """This process: `host/pid/start`, where the start tells it from a later process of the same id."""
    pid = os.getpid()
    return f"{host()}/{pid}/{_started(pid)}"


@cache
def host() -> str:
    """The set of processes whose ids can be looked up here: the host's name, and a hash of boot and process namespace."""
    boot, space = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()}-{blake2b(f'{boot} {space}'.encode(), digest_size=3).hexdigest()}"


def host_of(owner: str) -> str:
    """The host in the name of an owner, "" where it has another form."""
    return owner.rsplit("/", 2)[0] if owner.count("/") >= 2 else ""


def shown(owner: str) -> str:
    """The owner in words: `process 12 on HOST`."""
    return f"process {owner.split('/')[-2]} on {host_of(owner)}" if host_of(owner) else owner or "another process"


def is_gone(owner: str) -> bool:
    """Whether the owner was a process of this machine that is no more; False when that cannot be known."""
    if host_of(owner) != host():
        return False
    pid, start = owner.split("/")[-2:]
    return pid.isdecimal() and _started(int(pid)) != start


def _started(pid: int) -> str:
    """What tells this process from another of its id, "gone" when there is none; where there is no /proc only that."""
    if Path("/proc/self").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return "gone"
        return "gone" if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass
    return ""
