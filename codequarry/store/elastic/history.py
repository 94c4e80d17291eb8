"""What an entry says at an epoch, and what a source shows through layers: its own entries above those of another.

A source that began with what another showed has no entries but where it differs. Beneath its own *layer* it keeps the other's, as
of the epoch that was shown then; the first layer that has an entry for a path decides. The other source goes on: what its
entries said at that epoch stays in their history as long as someone began there (`Row.snapshots`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Self

from codequarry.errors import StoreError
from codequarry.store.elastic.documents import Mark, back, mark, out, source_id
from codequarry.types import Source


class Moved(StoreError):
    """A source was published anew while it was read."""

    def __init__(self) -> None:
        super().__init__("a source was published anew while it was read", hint="try again", retryable=True)


class Layer(NamedTuple):
    """Entries of a branch of the same repository, as they stood at one of its epochs."""

    branch: str
    since: int  # marks from before this epoch are of an earlier life of the source
    pointer: int
    aborted: tuple[int, ...] = ()  # epochs below the pointer that came to nothing

    def src(self, repo: str) -> str:
        """The id of the branch in other documents."""
        return source_id(Source(repo, self.branch))

    def mark(self, history: History | None) -> Mark | None:
        """What an entry says here; None where it says nothing. Raises Moved where that is forgotten."""
        found = None if history is None else history.at(self.pointer, self.aborted)
        return None if found is None or found.epoch < self.since else found


def resolve(layers: Sequence[Layer], histories: Iterable[History | None]) -> Mark | None:
    """What the uppermost layer says that says something, from the histories of a path's entries in the order of the layers."""
    for layer, history in zip(layers, histories, strict=True):
        if (found := layer.mark(history)) is not None:
            return found
    return None


def layers_out(layers: Iterable[Layer]) -> list[list[Any]]:
    """Layers as they stand in a row."""
    return [[out(layer.branch), layer.since, layer.pointer, layer.aborted] for layer in layers]


def layers_back(values: Iterable[Sequence[Any]]) -> tuple[Layer, ...]:
    """The inverse of `layers_out`."""
    return tuple(Layer(back(branch), since, pointer, tuple(aborted)) for branch, since, pointer, aborted in values)


_ABSENT = Mark(0, "")  # stands in `older` for the time before there was an entry


class History(NamedTuple):
    """The marks of an entry: `cur` since its epoch, `prev` until then, and of those before them what is still needed."""

    cur: Mark
    prev: Mark | None = None
    older: tuple[tuple[Mark, int], ...] = ()  # with the epoch from which each did not count any more, newest first

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """The history in an entry's document."""
        older = tuple((Mark(*said), until) for said, until in document.get("older", ()))
        return cls(Mark(*document["cur"]), mark(document["prev"]), older)

    def at(self, pointer: int, aborted: Collection[int]) -> Mark | None:
        """The mark that counts at a pointer, None where there was none then.

        Raises:
            Moved: later publications have written over it.
        """
        for said in (self.cur, self.prev):
            if said is None or (said.epoch <= pointer and said.epoch not in aborted):
                return said
        for said, until in self.older:
            if said.epoch <= pointer < until:
                return said if said.epoch else None
        raise Moved

    def then(self, new: Mark, pointer: int, aborted: Collection[int], kept: Iterable[int]) -> History:
        """The history with a new mark. What counts at the pointer comes second; what counted at the `kept` ones stays."""
        base = self.at(pointer, aborted)
        older: list[tuple[Mark, int]] = []
        for asked in sorted({asked for asked in kept if base is not None and asked < base.epoch}, reverse=True):
            if base is self.cur and (self.prev is None or self.prev.epoch <= asked):
                older.append((self.prev or _ABSENT, self.cur.epoch))
            else:
                older += [(said, until) for said, until in self.older if said.epoch <= asked < until]
        return History(new, base, tuple(dict.fromkeys(older)))

    def without(self, kept: Iterable[int]) -> History:
        """The history without older marks that count at none of the `kept` pointers."""
        needed = set(kept)
        older = tuple(item for item in self.older if any(item[0].epoch <= asked < item[1] for asked in needed))
        return self._replace(older=older)

    def marks(self) -> list[Mark]:
        """All marks, newest first."""
        return [said for said in (self.cur, self.prev, *(said for said, _ in self.older)) if said is not None]
