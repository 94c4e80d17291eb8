"""Adapts the code model that ships to the code of an index, and says whether that helps.

Pairs come from the indexed files themselves: a sentence of documentation, a comment or a file's head, and the code that it speaks
of. Whether the model is better is judged held out: sentences of files that the table was not trained on are asked for their file
among all of their repository, by words and vectors together, with the sentence itself taken out of the code. What is written then
is the table that was trained on all files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, StoreError
from codequarry.models import SHIPPED
from codequarry.models.tables import Table, read_table, write_table
from codequarry.models.terms import FILES
from codequarry.models.vectors import digest
from codequarry.ports import Store
from codequarry.search.compared import Compared
from codequarry.types import Progress, SourceState

if TYPE_CHECKING:
    from codequarry.models.training.adapt import Beginning
    from codequarry.models.training.contrast import Floats
    from codequarry.models.training.corpus import Part
    from codequarry.search.evaluation import Evaluation

LEAST = 50
"""Sentences about code that adapting needs: fewer say nothing that would hold for others."""

MOST_BYTES = 40_000_000
"""Text that is learnt from, a sample of the files of all repositories where they have more."""

MOST_FILE_BYTES = 400_000
"""Of a file that is learnt from: longer ones are generated or bundled."""

_RESAMPLES = 10_000

Watch = Callable[[Progress], None]


class HeldOutSentences(Compared):
    """NDCG@10 of sentences, with the table that ships and with one that was adapted without their files."""

    def __init__(self, scores: Sequence[tuple[float, float]], files: Sequence[int], repos: Sequence[str]) -> None:
        self.before, self.after = ([score[at] for score in scores] for at in (0, 1))
        self._files, self._repos = files, repos

    @property
    def repos(self) -> Sequence[str]:
        """The repository that each question was asked of."""
        return self._repos

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the gain, in pairs. Files are drawn with all their questions, which are answered alike."""
        import numpy as np

        files, of = np.unique(self._files, return_inverse=True)
        gains = np.bincount(of, np.subtract(self.after, self.before))
        drawn = np.random.default_rng(20261124).integers(len(files), size=(_RESAMPLES, len(files)))
        low, high = np.quantile(gains[drawn].sum(axis=1) / np.bincount(of)[drawn].sum(axis=1), (0.025, 0.975))
        return float(low), float(high)


@dataclass(frozen=True)
class Adaptation:
    """An adapted table, what it was learnt from, and what one like it does for sentences of files that were held out.

    `together`: with words and vectors, as a search has them; `alone`: by vectors alone.
    """

    beginning: Beginning = field(repr=False)
    table: Floats = field(repr=False)
    read: Sequence[tuple[str, int, int]]  # of each repository its name, files and sentences
    together: HeldOutSentences
    alone: HeldOutSentences

    @property
    def content(self) -> str:
        """Twelve hex digits that name the table: of equal repositories they are equal."""
        from codequarry.models.training.adapt import as_integers

        return digest(*as_integers(self.beginning, self.table))

    @property
    def new_terms(self) -> int:
        """Terms that have a row now and had none."""
        return int((self.beginning.is_new & self.table.any(axis=1)).sum())

    def examples(self, count: int) -> list[str]:
        """The most frequent of the terms that have a row now."""
        from codequarry.models.training.adapt import counts_of

        corpus = self.beginning.corpus
        counts = counts_of(corpus) * self.beginning.is_new
        return [corpus.terms[row] for row in (-counts).argsort(kind="stable")[:count] if counts[row]]


@dataclass(frozen=True)
class Searches(Compared):
    """The same labelled questions, asked of two indexes of the same sources."""

    asked: tuple[Evaluation, Evaluation]  # before and after

    def __post_init__(self) -> None:
        before, after = ([row.measures["ndcg"] for row in one.judged] for one in self.asked)
        object.__setattr__(self, "before", before)
        object.__setattr__(self, "after", after)

    @property
    def repos(self) -> Sequence[str]:
        """The repository that each question was asked of."""
        return [row.repo or "(all repositories)" for row in self.asked[0].judged]


def adapt(store: Store, states: Sequence[SourceState], watch: Watch) -> Adaptation:
    """The shipped table adapted to what these sources show, and what it does for files that it was not trained on.

    Raises:
        BadInput: there is too little to learn from.
    """
    from codequarry.models.training import adapt as training

    parts = _parts(store, states, watch)
    pairs = sum(len(part.pairs) for part in parts)
    if pairs < LEAST:
        raise BadInput(
            f"{pairs} comments say in a sentence what code does; {LEAST} are needed",
            hint="index more repositories whose functions are documented in English",
        )
    beginning = training.begin(shipped(), parts)
    asked, table = training.adapt(
        beginning, lambda done, steps: watch(Progress("training", files_done=done, files_total=steps))
    )
    if not asked:
        raise BadInput(
            "no sentence of documentation can be asked to measure by", hint="adapt to more repositories at once"
        )
    read = [(part.name, len(part.lines), len(part.pairs)) for part in parts]
    where = [one.file for one in asked], [read[one.repository][0] for one in asked]
    together = HeldOutSentences([one.together for one in asked], *where)
    return Adaptation(beginning, table, read, together, HeldOutSentences([one.alone for one in asked], *where))


def shipped() -> Table:
    """The table of the model that ships, which every adaptation begins with."""
    return read_table(SHIPPED, FILES[3])


def _parts(store: Store, states: Sequence[SourceState], watch: Watch) -> list[Part]:
    """What there is to learn from in each repository, by name."""
    from codequarry.models.training import sources
    from codequarry.models.training.corpus import Part

    parts: dict[str, Part] = {}
    chosen, size = _files(store, states), 0
    for number, (state, path) in enumerate(chosen, 1):
        watch(Progress("reading", state.source, number, len(chosen)))
        file = store.read_file(state.source, path)
        data = file.text.encode("utf-8", "replace")
        if len(data) > MOST_FILE_BYTES or not sources.is_written(data):
            continue
        part = parts.setdefault(state.source.repo, Part(state.source.repo))
        part.add(path, file.text.replace("\r\n", "\n").replace("\r", "\n"), _digest(data))
        size += len(data)
        if size >= MOST_BYTES:
            break
    return [parts[name] for name in sorted(parts) if parts[name].pairs]


def _files(store: Store, states: Sequence[SourceState]) -> list[tuple[SourceState, str]]:
    """The files that may be learnt from, each path of a repository once, in the order of a digest: whoever stops has a sample."""
    from codequarry.models.training import sources

    found: dict[tuple[str, str], SourceState] = {}
    for state in sorted(states, key=lambda state: (not state.default, state.source)):
        for path in store.paths(state.source):
            if sources.language(path):
                found.setdefault((state.source.repo, path), state)
    named = sorted((_digest(path.encode("utf-8", "surrogateescape")), repo, path) for repo, path in found)
    return [(found[repo, path], path) for _, repo, path in named]


def _digest(data: bytes) -> int:
    """A number that names the content, so that copies of a file are held out together."""
    return int.from_bytes(blake2b(data, digest_size=7).digest(), "big")


def write(folder: Path, adapted: Adaptation) -> None:
    """Writes a model that `open_embedder("code:FOLDER")` opens; all of it appears at once, or nothing.

    Raises:
        BadInput: the folder is there already.
        StoreError: it cannot be written.
    """
    from codequarry.models.training.adapt import as_integers

    if folder.exists():
        raise BadInput(f"{folder} exists", hint="name a new folder: an index may use the model in the old one")
    new = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        new.mkdir(parents=True)
        rows, weights, terms = as_integers(adapted.beginning, adapted.table)
        write_table(
            str(new),
            folder.name,
            rows,
            weights,
            FILES[3],
            terms,
            method="codequarry adapt",
            **{"from": adapted.beginning.shipped.content},
            repositories={name: {"files": files, "sentences": pairs} for name, files, pairs in adapted.read},
            held_out={key: value for key, value in adapted.together.compared().items() if key != "repositories"},
        )
        new.rename(folder)
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}", hint="is its folder writable?") from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(new)


def summary(adapted: Adaptation) -> dict[str, Any]:
    """All of it as JSON shows it."""
    return {
        **adapted.together.compared(),
        "vectors_alone": {key: value for key, value in adapted.alone.compared().items() if key != "repositories"},
        "read": {name: {"files": files, "sentences": pairs} for name, files, pairs in adapted.read},
        "new_terms": adapted.new_terms,
    }
