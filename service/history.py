"""The commits of indexed repositories as labelled questions, for `codequarry eval` and `tune`, and for `bench/subjects.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, GitError
from codequarry.ingest.git import Git
from codequarry.ingest.languages import detect, kind_of
from codequarry.ingest.subjects import subjects
from codequarry.search.features import roles
from codequarry.search.labels import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codequarry.ports import Store
    from codequarry.types import SourceState

MOST = 300
"""Questions of a repository, a sample of its history where that has more."""


def answers(path: str) -> bool:
    """Whether a file is one that a question is about: source code, and no test, example, vendored or generated file."""
    language = detect(path)
    return kind_of(language) == "code" and not roles(path, language, "code", ())


def labels_of_commits(states: Iterable[SourceState], store: Store) -> tuple[list[Label], list[str]]:
    """The questions that commits of these sources are, and a note on each repository that gives none.

    Of a repository one source is taken, one that is searched by default before others. What answers are files that it shows.

    Raises:
        BadInput: there is no question at all; the hint says why.
    """
    found: list[Label] = []
    notes: list[str] = []
    chosen: dict[str, SourceState] = {}
    for state in sorted(states, key=lambda state: (not state.default, not state.commit, state.source)):
        chosen.setdefault(state.source.repo, state)
    for repo, state in sorted(chosen.items()):
        labels, why = _labels(state, store)
        found += labels
        notes += [f"{repo}: {why}"] if why else []
    if not found:
        raise BadInput(
            "no commit of the indexed repositories can be asked",
            hint="; ".join(notes) or "codequarry index PATH takes a clone in",
        )
    return found, notes


def _labels(state: SourceState, store: Store) -> tuple[list[Label], str]:
    """The questions of a source, or why there are none."""
    folder = state.source.folder or state.origin
    if not state.commit:
        return [], "it is no git repository, or has no commit yet"
    if not (folder and Path(folder).is_dir()):
        return [], "its history is not on this machine; index a clone of it"
    try:
        found = subjects(Git(), folder, state.commit, set(store.paths(state.source)), answers, limit=MOST)
    except GitError as error:
        return [], error.message
    labels = [
        Label(
            one.text,
            (state.source.repo,),
            tuple({"path": path, "start_line": None, "end_line": None} for path in one.paths),
            where=f"commit {one.commit[:12]}",
            plain=True,
        )
        for one in found
    ]
    if not labels:
        return [], "no commit says what one to three source files do; a shallow clone has few (git fetch --unshallow)"
    return labels, ""
