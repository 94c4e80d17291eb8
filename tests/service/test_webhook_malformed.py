"""Deliveries that are none, and those that are too large: never an error of ours."""

from __future__ import annotations

import json
import random

import pytest
from forge import (
    NAMES,
    SCHEMES,
    Delivery,
    delivery,
    provider_name,
    secret_of,
    sign,
)

from codequarry.service.webhooks import MOST_BYTES

MALFORMED = {
    "nothing": b"",
    "no JSON": b"<push/>",
    "cut short": b'{"ref": "refs/heads/ma',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "not UTF-8": b'{"ref": "\xff\xfe"}',
    "ten thousand deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists, a hundred thousand deep": b"[" * 100_000 + b"]" * 100_000,
    "a number with five thousand digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "two objects": b"{}{}",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_no_delivery_is_answered_with_400_though_it_is_signed(posting, scheme):
    provider = provider_name(scheme)
    service = posting(register=[provider], webhook_secret=secret_of(scheme))
    headers = delivery(f"{provider}/push", secret_of(scheme)).headers
    for body in MALFORMED.values():
        status, answer = service.post(sign(Delivery(provider, headers, body), secret_of(scheme)))
        assert (status, answer["code"]) == (400, "bad_input")
    for kind in ("application/x-www-form-urlencoded", "text/plain", "", "application/jsonp", "json"):
        sent = sign(
            Delivery(provider, headers | {"Content-Type": kind}, delivery(f"{provider}/push").body), secret_of(scheme)
        )
        assert service.post(sent)[0] == 400
    assert service.ledger.jobs() == []


def places(value, path=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield (*path, at)
            yield from places(inner, (*path, at))


ODD = [
    None,
    True,
    False,
    -1,
    1.5,
    "",
    "x",
    "\x00",
    "\ud800",
    "\udc80",
    "a\nb",
    "../../etc",
    "-x",
    "x" * 10_000,
    [],
    {},
    [None],
    {"a": []},
]


@pytest.mark.parametrize(
    "name",
    [name for name in NAMES if name.endswith(("/push", "/renamed", "/several", "/deleted", "repository_update"))],
)
def test_whatever_stands_in_a_signed_delivery_there_is_never_an_error_of_ours(posting, name):
    provider = name.partition("/")[0]
    service = posting(register=[provider], webhook_register=True, allowed_hosts=("*",))
    stored = json.loads(delivery(name).body)
    random_ = random.Random(name)
    spots = [
        path for path in places(stored) if path[0] not in ("commits", "message", "detailedMessage", "sender", "pusher")
    ]
    sent = []
    for path in spots:
        for odd in random_.sample(ODD, 4):
            body = json.loads(delivery(name).body)
            inner = body
            for part in path[:-1]:
                inner = inner[part]
            inner[path[-1]] = odd
            sent.append(sign(Delivery(provider, delivery(name).headers, json.dumps(body).encode())))
    assert len(sent) >= 60
    statuses = {status for status, _ in service.post_all(sent)}
    assert statuses <= {200, 202, 400, 404}
    for known in service.ledger.repositories():  # nothing else than repositories of addresses came into the ledger
        assert known.url.startswith(("https://", "git@", "ssh://"))


def test_a_body_that_is_too_large_is_refused_whatever_its_header_says(posting):
    service = posting(register=["github"])
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield b" " * 1_000_000

    headers = delivery("github/push").headers
    for length in (None, "10", "0", str(MOST_BYTES), "99999999999"):
        asked = 0
        more = {} if length is None else {"Content-Length": length}
        status, answer = service.raw("/v1/webhooks/github", headers | more, endless())
        assert (status, answer["code"]) == (413, "too_large")
        assert asked <= MOST_BYTES // 1_000_000 + 1
    assert service.ledger.jobs() == []


def test_the_largest_body_is_taken(posting):
    service = posting(register=["github"])
    small = delivery("github/push").body
    body = (
        small[:-1] + b"," + json.dumps("padding").encode() + b":" + b'"' + b"x" * (MOST_BYTES - len(small) - 13) + b'"}'
    )
    assert len(body) == MOST_BYTES
    assert service.post(sign(Delivery("github", delivery("github/push").headers, body)))[0] == 202
    assert service.post(sign(Delivery("github", delivery("github/push").headers, body + b" ")))[0] == 413


def test_the_body_of_one_who_can_prove_nothing_is_not_read(posting):
    service = posting(register=["github"])

    def never():
        raise AssertionError("it was read")
        yield b""

    headers = delivery("github/push").headers
    del headers["X-Hub-Signature-256"]
    assert service.raw("/v1/webhooks/github", headers, never())[0] == 401
    assert service.raw("/v1/webhooks/github/nosuchhookid", delivery("github/push").headers, never())[0] == 404


def test_many_large_bodies_at_once_are_told_to_come_again(posting):
    from codequarry.errors import TooBusy
    from codequarry.service.webhooks import _Room

    room = _Room(100)
    with room.held() as one, room.held() as another:
        one(60)
        with pytest.raises(TooBusy):
            another(50)
        another(40)
    with room.held() as grow:
        grow(100)


def test_a_sender_that_goes_away_leaves_nothing(posting):
    service = posting(register=["github"])
    sent = delivery("github/push")
    assert service.raw("/v1/webhooks/github", sent.headers, [sent.body[:100], "gone"])[0] == 400
    assert service.ledger.jobs() == []
