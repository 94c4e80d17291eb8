"""`connect` and `CodeSearch`, where they do more than hand on."""

from __future__ import annotations

import pytest

from codequarry import connect
from codequarry.errors import BadInput, ModelMismatch
from codequarry.models.hashing import HashEmbedder
from codequarry.store.embedded import EmbeddedStore


class _Former(HashEmbedder):
    """A model under a name that no version has any more."""

    def __init__(self) -> None:
        super().__init__(64)
        self.name = "static"


@pytest.fixture
def location(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(_Former(), "recipe")
    store.close()
    return tmp_path / "index"


def test_an_index_whose_model_there_is_no_more_says_so_and_what_to_do(location, tmp_path):
    with connect(location) as quarry:
        for ask in (lambda: quarry.search("retry"), lambda: quarry.index(tmp_path)):
            with pytest.raises(ModelMismatch) as mismatch:
                ask()
            assert f"the index at {location} was built with the model static" in mismatch.value.message
            assert "codequarry index again" in mismatch.value.hint


def test_a_model_that_was_asked_for_and_is_not_there_is_the_caller_s_error(location):
    for name in ("static", "hash:many"):
        with connect(location.with_name("new"), model=name) as quarry, pytest.raises(BadInput):
            quarry.search("retry")
