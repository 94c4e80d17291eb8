"""REST: limits of size, time and rate, and what is said when something that the service needs is down."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import fields
from pathlib import Path

import pytest
from running import Running

from codequarry import errors
from codequarry.errors import CodequarryError, StoreError, TimedOut, TooBusy
from codequarry.service.pool import Pool
from codequarry.service.problems import problem
from codequarry.settings import Settings


def test_a_body_that_is_too_large_is_not_read(start):
    service = start(max_body_bytes=1000)
    body = b'{"query": "' + b"x" * 2000 + b'"}'
    for raw in (body, iter([body[:500], body[500:1500], body[1500:]])):
        reply = service.ask("POST", "/v1/search", raw=raw)
        assert (reply.status, reply.json["code"]) == (413, "too_large")
    lies = service.ask("GET", "/v1/health", headers={"Content-Length": "9" * 30}, check=False)
    assert lies.status in (400, 413)


def test_whoever_asks_too_often_is_told_when_to_come_again(start):
    service = start(rate_limit=6)  # one at once
    replies = [service.ask("POST", "/v1/search", {"query": "retry"}) for _ in range(3)]
    assert 429 in [reply.status for reply in replies]
    refused = next(reply for reply in replies if reply.status == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert refused.json["code"] == "too_often"


def test_a_key_is_limited_and_not_the_others(start):
    from codequarry.service.security import new_key

    (one, first), (two, second) = new_key("one", ["read"]), new_key("two", ["read"])
    service = start(rate_limit=6, api_keys=(first, second))
    assert [service.ask("GET", "/v1/jobs", key=one).status for _ in range(2)] == [200, 429]
    assert service.ask("GET", "/v1/jobs", key=two).status == 200


def test_what_takes_too_long_is_answered_for():
    async def main():
        pool, goes_on = Pool(1, 0.05), threading.Event()
        with pytest.raises(TimedOut):
            await pool.run(goes_on.wait, 30)
        assert pool.busy == 1  # nothing stops a thread: it counts until it ends
        goes_on.set()
        while pool.busy:
            await asyncio.sleep(0)
        assert await pool.run(lambda: 7) == 7
        pool.close()

    asyncio.run(main())


def test_more_than_can_wait_is_refused_at_once():
    async def main():
        pool, goes_on = Pool(1, 30), threading.Event()
        waiting = [asyncio.create_task(pool.run(goes_on.wait)) for _ in range(pool._most)]
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await pool.run(lambda: None)
        goes_on.set()
        assert all(await asyncio.gather(*waiting))
        pool.close()

    asyncio.run(main())


def test_an_error_of_the_work_is_not_taken_for_a_late_answer():
    async def main():
        pool = Pool(1, 30)

        def fail():
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            await pool.run(fail)
        pool.close()

    asyncio.run(main())


def every(kind):
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


@pytest.mark.parametrize("kind", list(every(CodequarryError)), ids=lambda kind: kind.__name__)
def test_every_error_is_a_problem_with_the_status_of_its_class(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "it went wrong")
    error.__dict__.update(message="it went wrong", hint="do this", query="q", position=0)
    found = problem(error, "id")
    assert (found["status"], found["code"], found["detail"], found["hint"]) == (
        kind.status,
        kind.code,
        "it went wrong",
        "do this",
    )
    assert 400 <= kind.status < 600


def test_a_dead_elasticsearch_is_told_and_the_service_lives(tmp_path):
    settings = Settings(tmp_path, store="http://127.0.0.1:1", request_timeout_s=3, rate_limit=0)
    with Running(settings) as service:
        assert service.ask("GET", "/v1/health").status == 200
        reply = service.ask("POST", "/v1/search", {"query": "retry"})
        assert reply.status in (502, 504)
        assert reply.json["hint"]
        ready = service.ask("GET", "/v1/ready")
        assert ready.status == 503
        assert not ready.json["ready"]
        metrics = service.ask("GET", "/metrics").body.decode()
        assert "codequarry_up 0" in metrics
        assert "codequarry_failures_total" in metrics


def test_an_error_nobody_thought_of_is_a_problem_without_its_text(start, caplog):
    service = start()

    @service.app.get("/v1/broken")
    async def broken():
        raise RuntimeError("the password is hunter2")

    reply = service.ask("GET", "/v1/broken")
    assert (reply.status, reply.json["code"]) == (500, "error")
    assert "hunter2" not in reply.body.decode()
    assert reply.json["request_id"] in caplog.text


def test_failures_of_what_the_service_needs_are_counted(start, monkeypatch):
    service = start()
    store = service.parts.backend.quarry.store

    def fail(*_):
        raise StoreError("the disk is gone", hint="put it back")

    monkeypatch.setattr(store, "sources", fail)
    reply = service.ask("POST", "/v1/search", {"query": "retry"})
    assert (reply.status, reply.json["detail"], reply.json["hint"]) == (502, "the disk is gone", "put it back")
    assert service.parts.metrics.failures.value("store") == 1


def test_settings_of_the_service_have_no_secret_in_their_text():
    shown = repr(Settings(Path("x"), api_keys=("ci:abc:search",), api_key="cq_me_secret"))
    assert "abc" not in shown
    assert "cq_me_secret" not in shown
    assert {field.name for field in fields(Settings)} >= {"api_keys", "api_key"}
    assert errors.NoKey.status == 401
