"""An index on disk, and what opens others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from builders import EMBEDDER, RECIPE

from codequarry.store.embedded import EmbeddedStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def opened() -> Iterator[Callable[..., EmbeddedStore]]:
    """Opens stores that are closed at the end."""
    with ExitStack() as stack:
        yield lambda *args, **given: stack.enter_context(closing(EmbeddedStore(*args, **given)))


@pytest.fixture
def store(folder: Path, opened: Callable[..., EmbeddedStore]) -> EmbeddedStore:
    made = opened(folder, create=True)
    made.prepare(EMBEDDER, RECIPE)
    return made
