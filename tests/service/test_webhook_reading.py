"""Deliveries of forges: what they say, and what proves who sent them."""

from __future__ import annotations

import json
import random

import pytest
from forge import (
    KINDS,
    NAMES,
    PAYLOADS,
    SCHEMES,
    SECRET,
    SIGNING,
    Delivery,
    altered,
    delivery,
    provider_name,
    read,
    secret_of,
)

from codequarry.service.providers import MOST_AGE_S, PROVIDERS, proven, provider_of

# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_is_read_as_what_it_is(name):
    what = name.partition("/")[2]
    notice = read(delivery(name))
    assert (notice.kind, dict(notice.branches)) == KINDS[what]
    assert notice.event
    if notice.kind in ("push", "renamed", "private", "deleted"):
        shop = "store" if what in ("renamed", "push_after_rename") else "shop"
        assert notice.repository.id
        assert notice.repository.path.lower().endswith(shop)
        assert what == "without_links" or all(url.removesuffix(".git").endswith(shop) for url in notice.repository.urls)
        assert all("@" not in url or not url.startswith("http") for url in notice.repository.urls)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("bitbucket-server/")])
def test_bitbucket_is_read_alike_whichever_of_the_two_it_was_taken_for(name):
    sent = delivery(name)
    assert PROVIDERS["bitbucket"].read(sent.lower(), json.loads(sent.body)) == read(sent)


def test_there_are_payloads_of_every_provider_and_every_kind():
    assert {name.partition("/")[0] for name in NAMES} == set(PROVIDERS)
    assert {KINDS[name.partition("/")[2]][0] for name in NAMES} >= set(
        "push tag ping renamed private deleted other".split()
    )
    assert {file.parent.name for file in PAYLOADS.glob("*/*")} == set(PROVIDERS)


def test_a_delivery_has_the_id_that_its_provider_gave_it():
    for name in NAMES:
        sent = delivery(name)
        row = PROVIDERS[sent.provider]
        assert len(row.delivery_id(sent.lower(), json.loads(sent.body))) > 20
        assert row.delivery_id({}, {"id": 7}) == ""


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("github.com", "github"),
        ("github.corp.example", "github"),
        ("gitlab.com", "gitlab"),
        ("gitlab.corp.example", "gitlab"),
        ("bitbucket.org", "bitbucket"),
        ("bitbucket.corp.example", "bitbucket-server"),
        ("codeberg.org", "forgejo"),
        ("gitea.corp.example", "gitea"),
        ("dev.azure.com", "azure"),
        ("acme.visualstudio.com", "azure"),
    ],
)
def test_a_host_tells_its_provider(host, name):
    assert provider_of(host).name == name


def test_a_host_of_no_known_name_tells_none():
    assert provider_of("git.corp.example") is None
    assert provider_of("notgithub.com") is None


# ---------------------------------------------------------------------------------------------------------------- proof


def is_proven(sent, *keys, now=1_800_000_000.0):
    return proven(PROVIDERS[sent.provider], sent.lower(), sent.body, keys, now)


def test_the_signature_that_github_publishes_as_an_example_is_right():
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    sent = Delivery("github", {"X-Hub-Signature-256": signature}, b"Hello, World!")
    assert is_proven(sent, "It's a Secret to Everybody")
    assert not is_proven(sent, "It's a Secret to Nobody")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_live_secret_proves_and_no_other(scheme):
    old, new = secret_of(scheme), secret_of(scheme)[:-4] + "AAAA"
    for key in (old, new):
        sent = delivery(f"{provider_name(scheme)}/push", key, now=1_800_000_000)
        assert is_proven(sent, old, new)
        assert is_proven(sent, new, old)
        assert is_proven(sent, key)
    assert not is_proven(delivery(f"{provider_name(scheme)}/push", old, now=1_800_000_000), new)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_secret_and_an_empty_secret_prove_nothing(scheme):
    for key in ("", secret_of(scheme)):
        sent = delivery(f"{provider_name(scheme)}/push", key)
        assert not is_proven(sent)
        assert not is_proven(sent, "")
        assert not is_proven(sent, "", "")


def test_signatures_of_an_older_kind_are_not_taken():
    sent = delivery("github/push")
    del sent.headers["X-Hub-Signature-256"]  # only SHA-1 is left
    assert not is_proven(sent, SECRET)
    sha1 = sent.headers["X-Hub-Signature"]
    assert not is_proven(Delivery("bitbucket", {"X-Hub-Signature": sha1}, sent.body), SECRET)


def test_a_secret_for_signing_is_no_token():
    sent = Delivery("gitlab", {"X-Gitlab-Token": SIGNING}, b"{}")
    assert not is_proven(sent, SIGNING)
    assert is_proven(Delivery("gitlab", {"X-Gitlab-Token": SECRET}, b"{}"), SIGNING, SECRET)


@pytest.mark.parametrize("late", [-MOST_AGE_S - 1, MOST_AGE_S + 1, -1e9, 1e9])
def test_a_signed_delivery_of_another_time_is_refused(late):
    sent = delivery("gitlab/push", SIGNING, now=1_800_000_000)
    assert is_proven(sent, SIGNING, now=1_800_000_000 + (MOST_AGE_S - 1) * (1 if late > 0 else -1))
    assert not is_proven(sent, SIGNING, now=1_800_000_000 + late)


def test_one_of_several_signatures_is_enough_and_other_versions_are_none():
    sent = delivery("gitlab/push", SIGNING, now=1_800_000_000)
    right = sent.headers["webhook-signature"]
    for given, holds in (
        (f"v1,AAAA {right}", True),
        (f"v1a,AAAA {right} v1,", True),
        (right.replace("v1,", "v2,"), False),
        (right.replace("v1,", ""), False),
        (" ".join(["v1,AAAA"] * 8 + [right]), False),  # more than anyone sends
    ):
        sent.headers["webhook-signature"] = given
        assert is_proven(sent, SIGNING, now=1_800_000_000) is holds


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_thousands_of_altered_deliveries_none_is_proven_and_of_the_true_ones_every_one(scheme):
    random_ = random.Random(f"webhooks {scheme}")
    names = [name for name in NAMES if name.startswith(f"{provider_name(scheme)}/")]
    accepted, refused = [], 0
    for number in range(2_500):
        key = secret_of(scheme)
        sent = delivery(
            random_.choice(names), key, lambda body, number=number: body.update(n=number), now=1_800_000_000
        )
        refused += not is_proven(sent, "another secret", key)
        changed = altered(sent, random_)
        assert (changed.headers, changed.body) != (sent.headers, sent.body)
        if is_proven(changed, "another secret", key):
            accepted.append(changed)
    assert (accepted, refused) == ([], 0)
