"""A reranker gives one order whatever store the hits are from."""

from __future__ import annotations

from builders import EMBEDDER, publish
from stored import MAIN

from codequarry.ports import Store
from codequarry.search import Engine


class Largest:
    """Prefers the text with the largest number."""

    name = "largest"

    def scores(self, question: str, texts: list[str]) -> list[float]:
        return [float(text.rstrip().rsplit(" ", 1)[-1]) for text in texts]


def test_the_order_is_that_of_the_reranker_and_the_hits_are_those_of_the_ranking(store: Store) -> None:
    files = {f"src/{name}.py": f"def {name}():\n    # retry a request\n    return {size}\n"
             for name, size in (("one", 3), ("two", 9), ("three", 5), ("four", 1))}  # fmt: skip
    publish(store, MAIN, files)
    plain = Engine(store, EMBEDDER).search("how does a request retry")
    again = Engine(store, EMBEDDER, reranker=Largest(), reranker_weight=100.0).search("how does a request retry")
    assert [hit.path for hit in again.hits] == ["src/two.py", "src/three.py", "src/one.py", "src/four.py"]
    assert sorted(hit.path for hit in plain.hits) == sorted(hit.path for hit in again.hits)
