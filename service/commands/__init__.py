"""The sub-commands, one module each: `DESCRIPTION`, `EXAMPLES`, `arguments(parser)`, and `run(args, terminal)` -> exit status.

What several of them need stands here: opening the index, the filters, a question from standard input.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, IndexMissing, RepositoryNotFound

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from codequarry.code_search import CodeSearch
    from codequarry.service.terminal import Terminal
    from codequarry.types import Answer, Prompt, SourceState

    Found = TypeVar("Found", Answer, Prompt)

_MOST_QUESTION_BYTES = 64 * 1024

FILTERS = {
    "repo": ("NAME", "only this repository: its full name, or the end of it; or the path of an indexed folder"),
    "lang": ("LANGUAGE", "only this language"),
    "path": ("GLOB", "only these paths: * within a folder, ** over folders"),
    "branch": ("NAME", "this branch instead of each repository's default"),
    "kind": ("KIND", "only chunks or definitions of this kind: code, docs, config, function, class, …"),
    "symbol": ("NAME", "only chunks that define this name"),
}


def add_filters(parser: ArgumentParser) -> None:
    """The filters, each repeatable: values of one are alternatives, several must all hold. `ask` reads them."""
    group = parser.add_argument_group("filters", "each may be given several times: one of its values must hold")
    for name, (metavar, says) in FILTERS.items():
        group.add_argument(f"--{name}", action="append", default=[], metavar=metavar, help=says)


def add_no_refresh(parser: ArgumentParser) -> None:
    """The option --no-refresh, which `ask` reads."""
    parser.add_argument("--no-refresh", action="store_true", help="do not look for changed files first")


def add_json(parser: ArgumentParser, says: str = "print JSON") -> None:
    """The option --json."""
    parser.add_argument("--json", action="store_true", help=says)


def question(words: Sequence[str]) -> str:
    """The words as one question; a single `-` stands for standard input.

    Raises:
        BadInput: standard input holds more than any query may have.
    """
    if list(words) != ["-"]:
        return " ".join(words)
    data = sys.stdin.buffer.read(_MOST_QUESTION_BYTES + 1)
    if len(data) > _MOST_QUESTION_BYTES:
        raise BadInput(
            f"standard input holds more than {_MOST_QUESTION_BYTES:,} bytes, the most that a query may have",
            hint="send the part that matters",
        )
    return data.decode("utf-8", "surrogateescape").strip("\n")


def open_quarry(args: Namespace, *, create: bool = False) -> CodeSearch:
    """The index that the options and settings name.

    Raises:
        IndexMissing: there is none, unless `create`; the hint says how to make one.
    """
    from codequarry.api import connect
    from codequarry.settings import load

    settings = load()
    # A model that someone wrote down is what they mean: an index of another one is an error, not a silent choice.
    model = args.model or (settings.model if "model" in settings.given else None)
    try:
        return connect(args.store, model=model, settings=settings, create=create)
    except IndexMissing as missing:
        missing.hint = missing.hint or "codequarry index PATH makes one"
        raise


def ask(args: Namespace, terminal: Terminal, call: Callable[..., Found]) -> Found:
    """What `call(quarry, **given)` finds, after indexing what has changed; its notes begin with what could not be indexed.

    `given` is what every question is asked with: the filters.
    """
    within = {name: tuple(getattr(args, name)) for name in FILTERS}
    within["repo"] = tuple(map(repository_of, args.repo))
    with open_quarry(args) as quarry:
        notes = _refresh(quarry, args, terminal)
        found = call(quarry, refresh=False, **within)
    found.notes[:0] = notes
    return found


def _refresh(quarry: CodeSearch, args: Namespace, terminal: Terminal) -> list[str]:
    """Indexes what has changed in folders, unless that is not wanted; returns notes on what could not be.

    On a terminal a bar shows when it takes long.
    """
    if args.no_refresh:
        return []
    if not terminal.err_is_terminal:
        return quarry.refresh()
    from codequarry.service.progress import Meter

    meter = Meter(terminal, patience_s=0.5)
    try:
        return quarry.refresh(progress=meter)
    finally:
        meter.clear()


def repository_of(name: str) -> str:
    """A repository's name as `CodeSearch` takes it: on a command line a path (`.`, `../web`, `~/src/api`) is the folder there."""
    if name not in (".", "..") and not name.startswith(("/", "./", "../", "~/")):
        return name
    from pathlib import Path

    folder = Path(name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name


def chosen(states: Iterable[SourceState], repo: str | None, branch: str | None = None) -> list[SourceState]:
    """The sources of the repository of that name: its full name, or the last segments of it; all where none is named.

    Where no repository has it, those of the folder of that name or path.

    Raises:
        RepositoryNotFound: none is; the hint names one that comes near.
    """
    states = list(states)
    if repo is None:
        return states
    wanted = repo.strip("/")
    exact = [state for state in states if state.source.repo == repo]
    found = exact or [state for state in states if f"/{state.source.repo}".endswith(f"/{wanted}")]
    found = found or in_folder(states, repo)
    found = [state for state in found if branch is None or branch in (state.source.branch, state.head)]
    if found:
        return found
    import difflib

    # People misremember the last segment; hosts and owners would only blur how near a name is.
    names = {state.source.repo.rpartition("/")[2]: state.source.repo for state in states}
    near = difflib.get_close_matches(wanted.rpartition("/")[2], names, 1)
    hint = f"did you mean {names[near[0]]}?" if near else "codequarry repositories lists what is indexed"
    raise RepositoryNotFound(
        f"no repository {repo!r}{f' with the branch {branch!r}' if branch else ''} is indexed", hint=hint
    )


def in_folder(states: Iterable[SourceState], name: str) -> list[SourceState]:
    """The sources that show the folder of that path, else those whose folder ends with these segments."""
    from pathlib import Path

    here = str(Path(name).expanduser().resolve())
    folders = [(state, state.source.folder) for state in states if state.source.folder]
    return [state for state, folder in folders if folder == here] or [
        state for state, folder in folders if folder.endswith(f"/{name.strip('/')}")
    ]


def flat(record: Any) -> dict[str, Any]:
    """A record as JSON shows it, with `repo` and `branch` in place of its `source`; so too in a state within it."""
    from codequarry.service.records import plain

    fields: dict[str, Any] = plain(record)
    if isinstance(fields.get("state"), dict):
        fields["state"] = {**(fields["state"].pop("source") or {}), **fields["state"]}
    source = fields.pop("source", None)
    return {**source, **fields} if source else fields
