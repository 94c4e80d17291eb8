"""A small index: what is in it, what is found in it, and another Python that works on it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import builders

from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Request, Scope, Source

MAIN = Source("github.com/acme/api", "main")
OTHER = Source("github.com/acme/web", "main")
FILES = {"a.py": "def lock():\n    return 1\n", "b.py": "unlock = lock()\n"}


def names(store: EmbeddedStore, *terms: str, **scope: Any) -> set[str]:
    return {one.path for one in store.retrieve(Request(Scope(**scope), terms)).candidates}


def run(code: str, *args: object) -> str:
    """What another Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(builders.__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dot(one: bytes, two: bytes) -> int:
    """The product of two vectors."""
    return sum(a * b for a, b in zip(memoryview(one).cast("b"), memoryview(two).cast("b"), strict=True))
