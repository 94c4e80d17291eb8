"""`CodeSearch`: the whole product for a Python program, over a store.

This is the one place where the two ways that data flows meet: `CodeSearch` writes through `ingest.Pipeline` and reads through
`search.Engine`, each imported when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from codequarry.errors import BadInput, ModelMismatch, PathNotFound, RepositoryNotFound, WriterBusy
from codequarry.settings import Settings
from codequarry.types import Answer, Check, DumpRow, FileText, Progress, Prompt, Report, Skipped, Source, SourceState

if TYPE_CHECKING:
    from codequarry.ingest.pipeline import Pipeline
    from codequarry.ports import Embedder, Reranker, Store
    from codequarry.search import Engine

Watch = Callable[[Progress], None]


class CodeSearch:
    """An index to search, read, build prompts from and add to. Use it in a `with` block, or `close` it."""

    def __init__(self, store: Store, settings: Settings, *, model: str | None = None) -> None:
        self.store, self.settings = store, settings
        self._model_name = model
        self._embedder: Embedder | None = None
        self._engine: Engine | None = None

    # ------------------------------------------------------------------------------------------------------------ asking

    def search(self, query: str, *, limit: int = 10, refresh: bool = True, **options: Any) -> Answer:
        """The files that answer a query, the best first; `search.Engine.search` says what the options are.

        Folders that were indexed from disk are looked at first, and what changed there is indexed, unless `refresh` is False.

        Raises:
            QuerySyntax: the query cannot be read; the error has the place.
        """
        notes = self.refresh() if refresh else []
        answer = self.engine.search(query, limit=limit, **options)
        answer.notes[:0] = notes
        return answer

    def prompt(
        self, question: str, *, budget: int = 4000, format: str = "markdown", refresh: bool = True, **options: Any
    ) -> Prompt:
        """A context of at most `budget` tokens that answers the question, with citations."""
        notes = self.refresh() if refresh else []
        prompt = self.engine.prompt(question, budget=budget, format=format, **options)
        prompt.notes[:0] = notes
        return prompt

    def read(
        self,
        repo: str,
        path: str,
        *,
        branch: str | None = None,
        start_line: int | None = None,
        end_line: int | None = None,
    ) -> FileText:
        """A file, or some lines of it, as the index has it.

        Raises:
            RepositoryNotFound, PathNotFound: with what comes near.
        """
        return self.engine.read(repo, path, branch=branch, start=start_line, end=end_line)

    # ---------------------------------------------------------------------------------------------------------- indexing

    def index(
        self,
        *specs: str | Path,
        branches: tuple[str, ...] | list[str] = (),
        name: str | None = None,
        include_generated: bool = False,
        progress: Watch | None = None,
    ) -> list[Report]:
        """Indexes folders, repositories or their addresses; running it again only does what has changed since.

        Raises:
            CodequarryError: one of `specs` cannot be indexed; those before it are.
        """
        pipeline = self._pipeline(include_generated=include_generated)
        return [
            report
            for spec in specs
            for report in pipeline.index(str(spec), branches=branches, name=name, watch=progress)
        ]

    def refresh(self, *, progress: Watch | None = None) -> list[str]:
        """Indexes what changed in the folders that are indexed; returns what a reader of the answer should know.

        It never waits: where another process is writing, the note says that the answer may be old.
        """
        notes: list[str] = []
        for state in self.store.sources():
            folder = state.source.folder
            if folder is None or not state.indexed_at:
                continue
            try:
                self.freshen(state, progress=progress)
            except PathNotFound as gone:
                notes.append(f"{gone.message}: its hits are as they were indexed ({gone.hint})")
            except WriterBusy as busy:
                notes.append(f"{folder} has changed and is not indexed yet: {busy.message}")
        return notes

    def freshen(self, state: SourceState, *, progress: Watch | None = None) -> list[Report]:
        """Indexes a folder by the rules it was indexed with, if anything changed there; no report when nothing did.

        Raises:
            PathNotFound: the folder is gone.
            WriterBusy: another process is writing.
        """
        from codequarry.ingest import RECIPE, recipe
        from codequarry.ingest.worktree import is_fresh

        folder = state.source.folder or ""
        if not Path(folder).is_dir():
            raise PathNotFound(f"{folder} is gone", hint="codequarry repositories remove takes it out of the index")
        if state.recipe.startswith(RECIPE) and is_fresh(folder, self.store.hints(state.source)):
            return []
        pipeline = self._pipeline(include_generated=state.recipe == recipe(generated=True))
        return pipeline.index(folder, name=state.source.repo, watch=progress)

    def forget(self, repo: str, branch: str | None = None) -> list[Source]:
        """Removes a repository, or one of its branches; returns the sources that are gone.

        Raises:
            RepositoryNotFound: nothing of that name is indexed.
        """
        gone = [
            state.source
            for state in self.store.sources()
            if state.source.repo == repo and branch in (None, state.source.branch, state.head)
        ]
        if not gone:
            raise RepositoryNotFound(f"no repository {repo!r} is indexed", hint="codequarry repositories lists what is")
        for source in gone:
            self.store.forget(source)
        return gone

    # ----------------------------------------------------------------------------------------------------- looking around

    def repositories(self) -> list[SourceState]:
        """Everything that is indexed, with its state."""
        return self.store.sources()

    def skipped(self, source: Source) -> list[Skipped]:
        """What was left out of a source, and why."""
        return self.store.skipped(source)

    def dump(self, source: Source | None = None) -> Iterator[DumpRow]:
        """Every visible chunk, sorted: equal indexes give equal rows whatever their history."""
        return self.store.dump(source)

    def check(self) -> list[Check]:
        """The state of the store's parts."""
        return self.store.check()

    # ------------------------------------------------------------------------------------------------------------- parts

    @property
    def engine(self) -> Engine:
        """The read path."""
        if self._engine is None:
            from codequarry.search import Engine

            self._engine = Engine(
                self.store,
                self._open_embedder(),
                weights_file=self.settings.ranking_weights,
                reranker=self._open_reranker(),
                reranker_weight=self.settings.reranker_weight,
            )
        return self._engine

    def _open_reranker(self) -> Reranker | None:
        settings = self.settings
        if not settings.reranker:
            return None
        from codequarry.models.rerankers import open_reranker

        return open_reranker(settings.reranker, device=settings.model_device, batch_size=settings.model_batch)

    def _open_embedder(self) -> Embedder:
        """The model asked for, else that of the index, else the settings'; a contradiction is found by `Store.prepare`.

        Raises:
            ModelMismatch: the index was built with a model that there is no more.
        """
        if self._embedder is None:
            from codequarry.models import open_embedder

            known = self.store.model()
            name = self._model_name or (known[0] if known else self.settings.model)
            try:
                self._embedder = open_embedder(
                    name, device=self.settings.model_device, batch_size=self.settings.model_batch
                )
            except BadInput as error:
                if known is None or name != known[0]:
                    raise
                # Nobody asked for that name: the index has it, from a version that knew it.
                raise ModelMismatch(
                    f"the index at {self.store.location} was built with the model {name},"
                    f" which this version does not have: {error.message}",
                    hint="delete the index and run codequarry index again, or use the version that built it",
                ) from error
        return self._embedder

    def _pipeline(self, *, include_generated: bool = False) -> Pipeline:
        from codequarry.ingest.files import FileOptions
        from codequarry.ingest.pipeline import Pipeline

        include_generated = include_generated or self.settings.include_generated
        return Pipeline(
            self.store,
            self._open_embedder(),
            mirrors=self.settings.data_dir / "mirrors",
            options=FileOptions(
                max_bytes=self.settings.max_file_bytes, generated=include_generated, vendored=include_generated
            ),
            processes=self.settings.workers,
        )

    def close(self) -> None:
        """Frees what the store holds."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
