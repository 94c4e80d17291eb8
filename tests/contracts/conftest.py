"""The stores that the contract suite runs against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from codequarry.ports import Store


@dataclass
class Factory:
    """Opens one and the same store again and again, here and in other processes.

    `expression` is Python that opens it, after `imports`.
    """

    open: Callable[[], Store]
    imports: str
    expression: str
    opened: list[Store] = field(default_factory=list)

    def __call__(self) -> Store:
        """The store, opened anew; not prepared."""
        store = self.open()
        self.opened.append(store)
        return store

    def close(self) -> None:
        """Closes all that was opened."""
        for store in self.opened:
            store.close()


def _embedded(request: pytest.FixtureRequest) -> Factory:
    from codequarry.store.embedded import EmbeddedStore

    path = request.getfixturevalue("tmp_path") / "index"
    return Factory(
        lambda: EmbeddedStore(path, create=True),
        "from codequarry.store.embedded import EmbeddedStore",
        f"EmbeddedStore({str(path)!r}, create=True)",
    )


STORES = {"embedded": _embedded}


@pytest.fixture(params=[pytest.param("embedded", id="embedded")])
def store_factory(request: pytest.FixtureRequest) -> Iterator[Factory]:
    """An empty store, not prepared, each time it is called the same one."""
    factory = STORES[request.param](request)
    yield factory
    factory.close()
