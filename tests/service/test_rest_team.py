"""Team mode: the service over a real Elasticsearch and a real Redis."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE, publish
from commandline import FILES
from running import SECRET, SHOP, VAULT, Running
from test_mcp import NEWER, Http

from codequarry.hints import RedisQueue
from codequarry.service.security import new_key
from codequarry.settings import Settings
from codequarry.store import open_store
from codequarry.types import Source

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def team(tmp_path, elasticsearch_url, elasticsearch_prefix):
    (key, entry), (ops, administrator) = new_key("guest", ["search", "read"]), new_key("ops", ["admin", "read"])
    settings = Settings(
        tmp_path,
        store=elasticsearch_url,
        elasticsearch_index_prefix=elasticsearch_prefix,
        api_keys=(entry, administrator),
        rate_limit=0,
    )
    store = open_store(elasticsearch_url, create=True, settings=settings)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, SHOP, FILES, lines=20)
    publish(store, VAULT, {"vault.py": SECRET}, access=("staff",))
    store.close()
    return settings, key, ops


def test_it_searches_reads_and_lists_what_the_key_may_see(team):
    settings, key, _ = team
    with Running(settings) as service:
        found = service.ask("POST", "/v1/search", {"query": "where are payments retried"}, key=key).json
        assert found["hits"][0]["path"] == "src/client.py"
        assert VAULT.repo not in str(found)
        assert service.ask("GET", "/v1/file?repo=acme/shop&path=README.md", key=key).json["text"] == FILES["README.md"]
        assert service.ask("GET", "/v1/file?repo=acme/vault&path=vault.py", key=key).status == 404
        assert [one["repo"] for one in service.ask("GET", "/v1/repositories", key=key).json["repositories"]] == [
            SHOP.repo
        ]
        client = Http(service, NEWER, key)
        lines = client.call("grep", pattern="retr")["structuredContent"]["lines"]
        assert {one["repo"] for one in lines} == {SHOP.repo}
        assert client.call("find_definitions", name="unlock")["structuredContent"]["definitions"] == []
        assert client.call("find_definitions", name="charge")["structuredContent"]["definitions"][0]["line"] == 4
        assert service.ask("GET", "/v1/ready").json["ready"]


def test_what_is_registered_stands_in_the_ledger_and_workers_are_told(team, redis_url):
    settings, _, ops = team
    queue = RedisQueue(redis_url, settings.elasticsearch_index_prefix)
    with Running(settings, queue=queue) as service:
        body = {"url": "https://example.org/acme/pay.git"}
        assert service.ask("POST", "/v1/repositories", body, key=ops).status == 201
        assert queue.take(3) == ("sync", Source("example.org/acme/pay", ""))
        parts = {part["part"]: part["ok"] for part in service.ask("GET", "/v1/ready", key=ops).json["parts"]}
        assert parts == {"index": True, "ledger": True, "queue": True}
    with Running(settings) as again:  # another process of the same team
        assert len(again.ask("GET", "/v1/jobs?state=waiting", key=ops).json["jobs"]) == 1
    queue.close()


def test_a_dead_redis_costs_no_request_and_is_told(team):
    settings, key, ops = team
    queue = RedisQueue("redis://127.0.0.1:1", settings.elasticsearch_index_prefix)
    with Running(settings, queue=queue) as service:
        body = {"url": "https://example.org/acme/pay.git"}
        assert service.ask("POST", "/v1/repositories", body, key=ops).status == 201
        assert service.ask("POST", "/v1/search", {"query": "retry"}, key=key).json["hits"]
        ready = service.ask("GET", "/v1/ready", key=ops)
        assert (ready.status, ready.json["ready"]) == (200, True)
        (part,) = [part for part in ready.json["parts"] if part["part"] == "queue"]
        assert not part["ok"]
    queue.close()
