"""The write path on one screen: a tree becomes files, files become chunks with terms and vectors, a store shows them at once.

It only ever does what is missing: what the source shows already stays, what
another branch or a stopped run has put is shown again, and the rest is read, cut and embedded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from codequarry.ingest import RECIPE, recipe, repos
from codequarry.ingest.files import Entry, FileOptions, Tree
from codequarry.ingest.pool import Recipe, Work
from codequarry.ingest.prepare import add_keys, add_vectors
from codequarry.ports import Embedder, Publication, Store
from codequarry.types import FileKey, FileVersion, Progress, Report, Shown, Skipped, Source, SourceState

Watch = Callable[[Progress], None]

BATCH_BYTES, BATCH_FILES = 1_000_000, 120
_ALONE_BYTES, _ALONE_FILES = 3_000_000, 150
"""Up to here one process is done sooner than others have started (about 0.4 s each)."""


class Pipeline:
    """Indexes sources into a store."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        mirrors: Path,
        options: FileOptions | None = None,
        profile: repos.Profile = "local",
        processes: int = 0,
        wait_s: float = 0.0,
        isolate: bool = False,
        is_expendable: bool = False,
    ) -> None:
        """What is common to all runs.

        Args:
            store: what is written.
            embedder: makes the vectors.
            mirrors: folder of the repositories that are named by address.
            options: which files count.
            profile: what git may do.
            processes: workers to start for much work, 0 for one a core.
            wait_s: how long to wait for another writer.
            isolate: prepare files in another process also where it is little work: some end the process that reads them.
            is_expendable: files that take too much processor time may end this process, whose work another one takes up.
        """
        self.store, self.embedder = store, embedder
        self.mirrors, self.profile, self.wait_s = mirrors, profile, wait_s
        self.options = options or FileOptions()
        self.isolate, self.is_expendable = isolate, is_expendable
        self.processes = processes or min(os.cpu_count() or 1, 8)

    def index(
        self, spec: str, *, branches: Sequence[str] = (), name: str | None = None, watch: Watch | None = None
    ) -> list[Report]:
        """Indexes what `spec` names, a folder, a repository or its address; one report for each source.

        Raises:
            BadInput, NotFound, GitError: `spec` or a branch cannot be read.
            WriterBusy, ModelMismatch, StoreError: the store does not take it.
        """
        tell = watch or (lambda _: None)
        self.store.prepare(self.embedder, RECIPE)
        tell(Progress("listing"))
        trees = repos.trees(
            spec,
            branches=branches,
            name=name,
            mirrors=self.mirrors,
            profile=self.profile,
            options=self.options,
            hints=self.store.hints,
            progress=lambda line: tell(Progress("fetching", said=line)),
        )
        return [self.publish(tree, tell) for tree in trees]

    def publish(
        self, tree: Tree, tell: Watch, *, default: bool | None = None, access: tuple[str, ...] | None = None
    ) -> Report:
        """Makes the store show exactly this tree.

        `tell` is called between taking the epoch of the publication and its commit: what it raises ends the run, nothing is shown.

        Args:
            tree: of a source.
            tell: told how far it is.
            default: whether the source is searched when no branch is asked for; None: as it is, of a new one the first branch.
            access: groups that may see it; None: as it is, of a new one everyone.
        """
        started = time.monotonic()
        with self.store.publish(tree.source, wait_s=self.wait_s) as publication:
            tree, shown, stays = self._before(publication, tree)
            changed = [entry for entry in tree.entries if _differs(entry, shown.get(entry.path))]
            have = publication.have(FileKey(entry.path, entry.blob) for entry in changed)
            todo = [entry for entry in changed if (entry.path, entry.blob) not in have]
            show = [
                Shown(entry.path, entry.blob, entry.modified) for entry in changed if (entry.path, entry.blob) in have
            ]
            modified = {entry.path for entry in todo if entry.modified}
            ruled_out: list[Skipped] = []
            for versions, left_out in self._prepared(tree, todo, len(have), tell):
                publication.put(versions)
                show += [Shown(version.path, version.blob, version.path in modified) for version in versions]
                ruled_out += left_out
            skipped = [*stays, *tree.skipped, *ruled_out]
            kept = {entry.path for entry in tree.entries} - {path for path, *_ in ruled_out}
            hide = [path for path in shown if path not in kept]
            tell(Progress("publishing", tree.source, len(changed), len(changed)))
            state = publication.commit(
                self._state(tree, default, access),
                show=show,
                hide=hide,
                skipped=sorted(skipped),
                hints=tree.learnt(ruled_out),
            )
        added = sum(1 for path, *_ in show if path not in shown)
        return Report(
            source=tree.source,
            state=state,
            added=added,
            changed=len(show) - added,
            removed=len(hide),
            unchanged=state.files - len(show),
            reused=len(have),
            skipped=len(skipped),
            bytes=sum(entry.size for entry in todo),
            seconds=time.monotonic() - started,
            notes=[tree.note] if tree.note else [],
        )

    def _before(self, publication: Publication, tree: Tree) -> tuple[Tree, Mapping[str, Shown], list[Skipped]]:
        """The tree as it can be published, what is shown now at the paths that it decides of, and what else stays left out."""
        since = tree.since
        if since is not None and since.hints == self.store.hints(tree.source):
            left_out = self.store.skipped(tree.source)
            stays = [one for one in left_out if one.path not in since.before]
            return tree, since.shown({one.path for one in left_out}), stays
        # Something else was published since it was listed, or it was listed in full.
        tree = tree.whole()
        shown = publication.shown()
        if not shown and (base := self._base(tree)) is not None:
            shown = publication.begin_with(base)
        return tree, shown, []

    def _prepared(
        self, tree: Tree, todo: Sequence[Entry], done: int, tell: Watch
    ) -> Iterator[tuple[list[FileVersion], list[Skipped]]]:
        """The files made from these entries, batch by batch, with their vectors; and those whose content rules them out.

        `done`: how many there were already, so that a run that goes on where another was stopped counts on.
        """
        size = sum(entry.size for entry in todo)
        little = size <= _ALONE_BYTES and len(todo) <= _ALONE_FILES
        processes = (1 if self.isolate and todo else 0) if little else self.processes
        recipe = Recipe(self.options, None if self.embedder.cached else self.embedder.name)
        files, done_bytes = done + len(todo), 0
        tell(Progress("reading", tree.source, done, files, 0, size))
        mine = None if self.embedder.cached else self.embedder
        with Work(recipe, processes, mine, is_expendable=self.is_expendable) as work:
            for prepared in work.prepare(tree.reader, _batches(todo)):
                versions = [item for item in prepared if isinstance(item, FileVersion)]
                if self.embedder.cached:
                    self._embed(versions)
                yield versions, [item for item in prepared if isinstance(item, Skipped)]
                done += len(prepared)
                done_bytes += sum(len(version.text) for version in versions)
                tell(Progress("reading", tree.source, done, files, min(done_bytes, size), size))

    def _embed(self, versions: Sequence[FileVersion]) -> None:
        """Adds the vectors: those of contents that the store has met come from its cache, the others are made and kept."""
        chunks = add_keys(versions)
        met = self.store.vectors(self.embedder.fingerprint, list({chunk.vector_key for chunk in chunks}))
        for chunk in chunks:
            chunk.vector = met.get(chunk.vector_key, b"")
        new = {chunk.vector_key for chunk in chunks if not chunk.vector}
        add_vectors(self.embedder, versions)
        self.store.keep_vectors(
            self.embedder.fingerprint, {chunk.vector_key: chunk.vector for chunk in chunks if chunk.vector_key in new}
        )

    def _state(self, tree: Tree, default: bool | None, access: tuple[str, ...] | None) -> SourceState:
        if default is None or access is None:
            states = self.store.sources()
            before = next((state for state in states if state.source == tree.source), None)
            default = self._is_default(tree.source, states) if default is None else default
            access = (before.access if before else ()) if access is None else access
        return SourceState(
            source=tree.source,
            commit=tree.commit,
            head=tree.head,
            origin=tree.origin,
            web=tree.web,
            default=default,
            access=access,
            recipe=recipe(generated=self.options.generated),
        )

    def _base(self, tree: Tree) -> Source | None:
        """What a new source begins with: another of its repository, of the same commit where there is one, else a default one."""
        made_by = recipe(generated=self.options.generated)
        others = [
            state
            for state in self.store.sources()
            if state.source.repo == tree.source.repo and state.source != tree.source and state.recipe == made_by
        ]
        near = min(others, key=lambda state: (state.commit != tree.commit, not state.default), default=None)
        return near.source if near is not None and near.files else None

    def _is_default(self, source: Source, states: Sequence[SourceState]) -> bool:
        """Folders are what their owner looks at; of the branches of a repository it is the one that was indexed first."""
        if source.folder is not None:
            return True
        branches = [state for state in states if state.source.repo == source.repo and not state.source.folder]
        return not any(state.default and state.indexed_at and state.source != source for state in branches)


def _differs(entry: Entry, shown: Shown | None) -> bool:
    return shown is None or shown.blob != entry.blob or shown.modified != entry.modified


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in batches of about BATCH_BYTES or BATCH_FILES, whichever is reached first."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size
        if size >= BATCH_BYTES or len(batch) >= BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
