"""An index again, with the vectors of another model, to see how that would answer: in a folder that is removed afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.types import FileVersion, Progress, Shown, SourceState

if TYPE_CHECKING:
    from codequarry.code_search import CodeSearch
    from codequarry.ports import Embedder, Store

_BATCH = 200  # files


@contextmanager
def reindexed(quarry: CodeSearch, embedder: Embedder, watch: Callable[[Progress], None]) -> Iterator[CodeSearch]:
    """What `quarry` shows, in an embedded index of its own that has this model; it has the same chunks and words."""
    from codequarry.code_search import CodeSearch
    from codequarry.ingest import RECIPE
    from codequarry.store import open_store

    with tempfile.TemporaryDirectory(prefix="codequarry-") as folder:
        store = open_store(str(Path(folder) / "index"), create=True)
        with CodeSearch(store, quarry.settings, model=embedder.name) as copy:
            store.prepare(embedder, RECIPE)
            for state in quarry.repositories():
                _copy(quarry.store, state, store, embedder, watch)
            yield copy


def _copy(old: Store, state: SourceState, new: Store, embedder: Embedder, watch: Callable[[Progress], None]) -> None:
    from codequarry.ingest.files import FileOptions
    from codequarry.ingest.prepare import Preparer

    # What is in the index has passed the rules already; how it is marked is taken over.
    preparer = Preparer(FileOptions(max_bytes=1 << 40, generated=True, vendored=True), embedder)
    paths = old.paths(state.source)
    show: list[Shown] = []
    with new.publish(state.source) as publication:
        for at in range(0, len(paths), _BATCH):
            watch(Progress("indexing", state.source, at, len(paths)))
            files = [old.read_file(state.source, path) for path in paths[at : at + _BATCH]]
            made = preparer.prepare(
                (file.path, file.blob, file.text.encode("utf-8", "surrogateescape")) for file in files
            )
            versions = [version for version in made if isinstance(version, FileVersion)]
            for version in versions:
                chunks = old.chunks_of(state.source, version.path)
                version.marks = chunks[0].marks if chunks else version.marks
            publication.put(versions)
            show += [Shown(version.path, version.blob) for version in versions]
        publication.commit(replace(state, recipe=""), show=show)
