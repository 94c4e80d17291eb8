"""An index on a real node, under a prefix of its own."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE

from codequarry.store.elastic import ElasticStore


@pytest.fixture
def store(elasticsearch_url, elasticsearch_prefix):
    made = ElasticStore(elasticsearch_url, prefix=elasticsearch_prefix, create=True)
    made.prepare(EMBEDDER, RECIPE)
    yield made
    made.close()
