"""The stores that the contract suite runs against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from builders import EMBEDDER, RECIPE

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


def _elastic(url_fixture: str) -> Callable[[pytest.FixtureRequest], Factory]:
    def make(request: pytest.FixtureRequest) -> Factory:
        from codequarry.store.elastic import ElasticStore

        url, prefix = request.getfixturevalue(url_fixture), request.getfixturevalue("elasticsearch_prefix")
        return Factory(
            lambda: ElasticStore(url, prefix=prefix, create=True),
            "from codequarry.store.elastic import ElasticStore",
            f"ElasticStore({url!r}, prefix={prefix!r}, create=True)",
        )

    return make


STORES = {
    "embedded": _embedded,
    "elasticsearch-9": _elastic("elasticsearch_url"),
    "elasticsearch-8": _elastic("elasticsearch_8_url"),
}


@pytest.fixture(
    params=[
        pytest.param("embedded", id="embedded"),
        pytest.param("elasticsearch-9", id="elasticsearch-9", marks=pytest.mark.elasticsearch),
        pytest.param("elasticsearch-8", id="elasticsearch-8", marks=pytest.mark.elasticsearch),
    ]
)
def store_factory(request: pytest.FixtureRequest) -> Iterator[Factory]:
    """An empty store, not prepared, each time it is called the same one."""
    factory = STORES[request.param](request)
    yield factory
    factory.close()


@pytest.fixture
def store(store_factory: Callable[[], Store]) -> Store:
    """A prepared store."""
    made = store_factory()
    made.prepare(EMBEDDER, RECIPE)
    return made
