"""Deliveries of forges: how they are answered, and what becomes of them when they repeat, come at once, or find a part missing."""

from __future__ import annotations

import json
import random
import threading

import pytest
from forge import (
    AFTER,
    BEFORE,
    KINDS,
    NAMES,
    REPOSITORIES,
    SCHEMES,
    SECRET,
    Delivery,
    altered,
    delivery,
    hook,
    provider_name,
    secret_of,
)

from codequarry.ingest.jobs import describe
from codequarry.service.providers import PROVIDERS
from codequarry.types import Source

# -------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_payload_has_its_answer_and_only_what_may_change_the_index_is_wanted(posting, provider):
    service = posting()
    for name in NAMES:
        if name.partition("/")[0] != provider:
            continue
        what = name.partition("/")[2]
        kind = KINDS[what][0]
        repo = service.ledger.register(describe(REPOSITORIES[provider], service.settings)).repo
        address = hook(service, provider, repo)
        for at in ("", address):
            status, answer = service.post(delivery(name, change=lambda body, at=at: body.update(at=at)), at)
            if kind in ("ping", "tag", "other"):
                assert (status, answer["outcome"]) == (200, "pong" if kind == "ping" else "ignored")
                assert service.ledger.jobs() == []
            elif kind != "renamed" and what != "push_after_rename":  # those are below: that name is not registered
                assert (status, answer) == (202, {"outcome": "wanted", "repo": repo, "why": ""})
                (job,) = service.ledger.jobs()
                assert (job.source, job.state, job.wanted) == (Source(repo, ""), "waiting", "")
        service.ledger.remove(repo)
        service.ledger.erase(Source(repo, ""))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_altered_delivery_is_answered_with_401_and_leaves_nothing(posting, scheme):
    provider = provider_name(scheme)
    service = posting(register=[provider], webhook_secret=secret_of(scheme))
    address = hook(service, provider, "", secret_of(scheme))
    random_ = random.Random(scheme)
    for number in range(60):
        sent = delivery(f"{provider}/push", secret_of(scheme))
        status, answer = service.post(altered(sent, random_), address if number % 2 else "")
        assert (status, answer["code"]) == (401, "no_key")
    assert service.ledger.jobs() == []
    assert service.ledger.repositories()[0].provider_id == ""


def test_addresses_that_nobody_made_are_not_there(posting):
    service = posting(register=["github"])
    address = hook(service, "github")
    for provider, at in (
        ("github", "nosuchhookid"),
        ("gitlab", address),
        ("github", "x"),
        ("github", "a" * 500),
        ("gogs", ""),
    ):
        sent = Delivery(provider, delivery("github/push").headers, delivery("github/push").body)
        assert service.post(sent, at)[0] == 404
    for method in ("GET", "PUT", "DELETE"):
        assert service.raw(f"/v1/webhooks/github/{address}", {}, [], method=method)[0] == 405
    assert service.ledger.jobs() == []


def test_without_the_global_secret_the_bare_address_takes_nothing(posting):
    service = posting(register=["github"], webhook_secret="")
    for key in ("", "x", SECRET):
        assert service.post(delivery("github/push", key))[0] == 403
    assert service.ledger.jobs() == []


def test_while_a_secret_is_exchanged_both_are_taken_and_then_only_the_new_one(posting):
    service = posting(register=["github"], webhook_secret="")
    address = hook(service, "github", "github.com/acme/shop", "new", "old")
    assert [service.post(delivery("github/push", key), address)[0] for key in ("new", "old", "older")] == [
        202,
        200,
        401,
    ]
    hook(service, "github", "github.com/acme/shop", "new")
    assert [service.post(delivery("github/push", key), address)[0] for key in ("new", "old")] == [200, 401]


def test_a_webhook_of_one_repository_speaks_for_no_other(posting):
    service = posting(register=["github", "gitlab"])
    address = hook(service, "github", "github.com/acme/shop")

    def of_another(body):
        body["repository"] |= {"id": 7, "full_name": "acme/vault", "clone_url": "https://github.com/acme/vault.git"}
        body["repository"] |= {"ssh_url": "git@github.com:acme/vault.git"}

    service.ledger.register(describe("https://github.com/acme/vault", service.settings))
    status, answer = service.post(delivery("github/push", change=of_another), address)
    assert status == 404
    assert "speaks for github.com/acme/shop alone" in answer["detail"]
    assert service.ledger.jobs() == []
    assert service.post(delivery("github/push", change=of_another))[0] == 202  # that of the organisation does


def test_what_a_forge_says_last_is_kept_with_the_webhook(posting):
    service = posting(register=["github"])
    address = hook(service, "github", "github.com/acme/shop")

    def last(outcome):
        while (said := service.ledger.hook(address).last).get("outcome") != outcome:
            pass  # it is written after the answer
        return said

    service.post(delivery("github/push"), address)
    said = last("wanted")
    assert (said["event"], said["id"][:8], said["why"]) == ("push", "72d3162e", "")
    service.post(delivery("github/push", "wrong"), address)
    assert "signature" in last("refused")["why"]
    assert SECRET not in json.dumps(dict(service.ledger.hook(address).last))


# --------------------------------------------------------------------------------------------- replays, bursts, outages


class SlowQueue:
    """A queue that answers nobody until it may."""

    def __init__(self):
        self.may_go, self.poked = threading.Event(), []
        self.has_been_poked = threading.Event()

    def poke(self, kind, source):
        self.may_go.wait(30)
        self.poked.append((kind, source))
        self.has_been_poked.set()


def test_a_delivery_that_comes_again_asks_for_nothing(posting):
    service = posting(register=["github"])
    address = hook(service, "github", "github.com/acme/shop")
    sent = delivery("github/push")
    for at in ("", address):
        assert service.post(sent, at)[0] == 202
        lease = service.ledger.take(Source("github.com/acme/shop", ""), "a test", 60)
        lease.finish()
        before = service.ledger.jobs()
        answers = service.post_all([sent] * 300, at)
        assert {(status, answer["outcome"]) for status, answer in answers} == {(200, "repeated")}
        assert service.ledger.jobs() == before
        assert [job.state for job in before] == ["done"]


def test_a_push_of_what_is_indexed_asks_for_nothing(posting):
    service = posting(register=["github"])
    repo = "github.com/acme/shop"
    service.ledger.update(repo, head="main")
    service.ledger.want(Source(repo, "main"))
    service.ledger.take(Source(repo, "main"), "a test", 60).finish(AFTER)
    before = service.ledger.jobs()
    assert service.post(delivery("github/push"))[1]["outcome"] == "known"
    assert service.ledger.jobs() == before
    for change in ({"after": BEFORE}, {"deleted": True, "after": "0" * 40}):
        assert service.post(delivery("github/push", change=lambda body, change=change: body.update(change)))[0] in (
            200,
            202,
        )
    assert len(service.ledger.jobs()) == 2


@pytest.mark.parametrize("what", ["branch_created", "branch_deleted"])
def test_branches_that_nobody_wants_ask_for_nothing_and_those_that_a_glob_wants_do(posting, what):
    service = posting(register=["github"])
    repo = "github.com/acme/shop"
    assert service.post(delivery(f"github/{what}"))[0] == 202  # which is the default branch is not known yet
    service.ledger.take(Source(repo, ""), "a test", 60).finish()
    service.ledger.update(repo, head="main")
    sent = delivery(f"github/{what}", change=lambda body: body.update(n=1))
    assert service.post(sent)[1] == {"outcome": "ignored", "repo": repo, "why": "the branch is not wanted"}
    service.ledger.update(repo, branches=("main", "feature/*"))
    assert service.post(sent)[0] == 202
    service.ledger.take(Source(repo, ""), "a test", 60).finish()
    service.ledger.update(repo, branches=(), head="master")
    sent = delivery(f"github/{what}", change=lambda body: body.update(n=2))
    assert service.post(sent)[0] == 202  # the payload names another default branch


@pytest.mark.parametrize("where", ["embedded", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def test_a_thousand_pushes_at_once_are_one_wish_and_one_more_while_it_runs(posting, where, request):
    store = {}
    if where == "elasticsearch":
        prefix = request.getfixturevalue("elasticsearch_prefix")
        store = {"store": f"{request.getfixturevalue('elasticsearch_url')}?prefix={prefix}"}
    service = posting(register=["github"], **store)
    sent = [delivery("github/push", change=lambda body, n=n: body.update(after=f"{n:040x}")) for n in range(1, 1001)]
    assert {status for status, _ in service.post_all(sent[:500])} == {202}
    (job,) = service.ledger.jobs()
    assert (job.state, job.again) == ("waiting", False)
    lease = service.ledger.take(job.source, "a test", 60)
    assert {status for status, _ in service.post_all(sent[500:])} == {202}
    (job,) = service.ledger.jobs()
    assert (job.state, job.again) == ("running", True)
    assert service.ledger.take(job.source, "another", 60) is None
    lease.finish()
    (job,) = service.ledger.jobs()
    assert (job.state, job.again) == ("waiting", False)
    service.ledger.take(job.source, "a test", 60).finish()
    assert service.ledger.due() == []


def test_the_answer_does_not_wait_for_the_queue(posting):
    queue = SlowQueue()
    service = posting(queue, register=["github", "bitbucket"])
    for number in range(3):
        assert service.post(delivery("github/push", change=lambda body, n=number: body.update(n=n)))[0] == 202
        assert service.post(delivery("bitbucket/push", change=lambda body, n=number: body.update(n=n)))[0] == 202
    assert queue.poked == []
    assert len(service.ledger.due()) == 2
    queue.may_go.set()
    assert queue.has_been_poked.wait(30)
    while {source.repo for _, source in queue.poked} != {"github.com/acme/shop", "bitbucket.org/acme/shop"}:
        pass
    assert len(queue.poked) <= 4  # what is asked for while the queue does not answer is said once


def test_without_a_queue_what_is_wanted_is_in_the_ledger(posting):
    service = posting(None, register=["github"])
    assert service.post(delivery("github/push"))[0] == 202
    assert [job.source.repo for job in service.ledger.due()] == ["github.com/acme/shop"]


def test_while_the_ledger_cannot_be_used_the_forge_is_told_to_send_it_again(posting, tmp_path):
    service = posting(register=["github"])
    backend = service.app.state.parts.backend
    address = hook(service, "github", "github.com/acme/shop")
    assert service.post(delivery("github/push"))[0] == 202
    backend.ledger.close()
    sent = delivery("github/push", change=lambda body: body.update(n=1))
    for at in ("", address):
        status, answer = service.post(sent, at)
        assert (status, answer["code"]) == (502, "store")
    backend._ledger = None  # as a service that is started again
    assert service.post(sent)[0] == 202  # it was not remembered as taken
