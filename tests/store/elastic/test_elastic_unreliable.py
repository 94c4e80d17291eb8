"""The store on Elasticsearch behind a proxy that refuses, repeats, loses and mixes writes; `bench/nemesis.py` does so at length."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from builders import EMBEDDER, RECIPE, publish, versions

from codequarry.store.elastic import ElasticStore
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Source

sys.path.append(str(Path(__file__).parents[3] / "bench"))

from unreliable import Unreliable, split

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")


@pytest.fixture
def proxy(elasticsearch_url):
    port = urlsplit(elasticsearch_url).port
    made = Unreliable([port], 5, faulty=True, late_s=(0.05, 1.0))
    yield made
    made.close()


def test_whatever_becomes_of_its_requests_the_index_is_that_of_a_clean_build(proxy, elasticsearch_prefix, tmp_path):
    store = ElasticStore(f"http://127.0.0.1:{proxy.port}", prefix=elasticsearch_prefix, create=True)
    store.prepare(EMBEDDER, RECIPE)
    chance, files = random.Random(5), {}
    for number in range(7):
        for _ in range(3):
            path = f"f{chance.randrange(8)}.py"
            files[path] = f"value = {chance.randrange(4)}\n" * 9
        if number == 3:
            with store.publish(NEXT) as publication:
                publication.begin_with(MAIN)
                publication.put(versions({"left.py": "left = 1\n"}))
        publish(store, NEXT if number % 3 == 1 else MAIN, files)
        if number == 4:
            files.pop(min(files))
            store.forget(NEXT)
    publish(store, MAIN, files)
    publish(store, NEXT, files)
    store.compact()
    clean = EmbeddedStore(tmp_path / "clean", create=True)
    clean.prepare(EMBEDDER, RECIPE)
    for source in (MAIN, NEXT):
        publish(clean, source, files)
    assert list(store.dump()) == list(clean.dump())
    counts = proxy.counts
    kinds = ("requests refused", "items refused", "answers lost", "requests doubled", "requests sent again late")
    assert all(counts[kind] for kind in kinds), counts
    chunks = list(store._client.sweep(store._names.chunks, {"match_all": {}}))
    assert len(chunks) == len(list(clean.dump(MAIN)))
    store.close()
    clean.close()


def test_the_proxy_takes_a_bulk_request_apart_into_its_writes():
    lines = [
        b'{"create":{"_id":"a"}}\n',
        b'{"x":1}\n',
        b'{"delete":{"_id":"b"}}\n',
        b'{"index":{"_id":"c"}}\n',
        b"{}\n",
    ]
    assert split(b"".join(lines)) == [
        ("create", b"".join(lines[:2])),
        ("delete", lines[2]),
        ("index", b"".join(lines[3:])),
    ]
