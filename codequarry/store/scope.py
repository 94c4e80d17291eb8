"""Whether something is in scope: the exact test that every candidate of either store passes, whatever narrowed the search.

This is the one place that decides which sources a caller sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from codequarry.errors import BadInput
from codequarry.text import glob_test
from codequarry.types import Scope, SourceState, Symbol


def sources_in(scope: Scope, states: Iterable[SourceState]) -> list[SourceState]:
    """The sources that the scope asks for and its groups may see, in the order of `states`."""
    wanted = None if scope.sources is None else frozenset(scope.sources)
    groups = None if scope.access is None else frozenset(scope.access)
    if groups is not None and not groups:
        return []
    return [
        state
        for state in states
        if (state.default if wanted is None else state.source in wanted)
        and (groups is None or not state.access or not groups.isdisjoint(state.access))
    ]


class FileTest:
    """Whether a file's path and language are in scope. It is false (`bool`) when every file passes."""

    def __init__(self, scope: Scope) -> None:
        self._languages = frozenset(scope.languages)
        self._not_languages = frozenset(scope.not_languages)
        self._paths = _any_of(scope.paths)
        self._not_paths = _any_of(scope.not_paths)

    def __bool__(self) -> bool:
        return bool(self._languages or self._not_languages or self._paths or self._not_paths)

    @property
    def by_path(self) -> bool:
        """Whether paths matter."""
        return bool(self._paths or self._not_paths)

    def admits(self, path: str, language: str) -> bool:
        """Whether the file passes."""
        if self._languages and language not in self._languages:
            return False
        if language in self._not_languages:
            return False
        if self._paths and not self._paths(path):
            return False
        return not (self._not_paths and self._not_paths(path))


class ChunkTest:
    """Whether a chunk's kind and symbols are in scope. It is false (`bool`) when every chunk passes."""

    def __init__(self, scope: Scope) -> None:
        self._kinds = frozenset(scope.kinds)
        self._symbols = frozenset(scope.symbols)
        self._not_kinds = frozenset(scope.not_kinds)
        self._not_symbols = frozenset(scope.not_symbols)

    def __bool__(self) -> bool:
        return bool(self._kinds or self._symbols or self._not_kinds or self._not_symbols)

    def admits(self, kind: str, symbols: Sequence[Symbol]) -> bool:
        """Whether the chunk passes: its kind or that of a name it defines counts, and names with their case."""
        kinds = {kind, *(symbol.kind for symbol in symbols)}
        names = {symbol.name for symbol in symbols}
        if self._kinds and self._kinds.isdisjoint(kinds):
            return False
        if self._symbols and self._symbols.isdisjoint(names):
            return False
        return self._not_kinds.isdisjoint(kinds) and self._not_symbols.isdisjoint(names)


def _any_of(globs: Sequence[str]) -> Callable[[str], bool] | None:
    if not globs:
        return None
    try:
        return glob_test(globs)
    except re.error as error:
        raise BadInput(f"a path pattern cannot be read: {error}: {' '.join(globs)}") from error
