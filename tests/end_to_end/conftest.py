"""Where an index of an end-to-end test lies: in a folder, or on a real Elasticsearch."""

import uuid

import pytest


@pytest.fixture(params=["embedded", "elasticsearch"])
def store_location(request, tmp_path):
    """A function from a name to the location of an index of its own, the same for the same name."""
    if request.param == "embedded":
        return lambda name: str(tmp_path / f"index-{name}")
    url, test = request.getfixturevalue("elasticsearch_url"), uuid.uuid4().hex[:8]
    return lambda name: f"{url}?prefix=test-{test}-{name}"
