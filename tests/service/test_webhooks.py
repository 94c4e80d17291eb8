"""Deliveries of forges: who sent them, what they say, and what becomes of them."""

from __future__ import annotations

import base64
import json
import random
import secrets
import threading

import pytest
from forge import NAMES, PAYLOADS, REPOSITORIES, SCHEMES, SECRET, SIGNING, Delivery, Posting, delivery, sign

from codequarry.ingest.jobs import describe
from codequarry.service.providers import MOST_AGE_S, PROVIDERS, proven, provider_of
from codequarry.service.webhooks import MOST_BYTES
from codequarry.settings import Settings
from codequarry.types import Hook, Source

BEFORE, AFTER = "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"

# What each payload says: the kind, and the branches with their commits.
KINDS = {
    "push": ("push", {"main": AFTER}),
    "force_push": ("push", {"main": AFTER}),
    "push_after_rename": ("push", {"main": AFTER}),
    "without_links": ("push", {"main": AFTER}),
    "repository_update": ("push", {"main": AFTER}),
    "several": ("push", {"main": AFTER, "feature/x": ""}),
    "branch_created": ("push", {"feature/x": AFTER}),
    "create_branch": ("push", {"feature/x": ""}),  # it does not say which commit
    "branch_deleted": ("push", {"feature/x": ""}),
    "delete_branch": ("push", {"feature/x": ""}),
    "tag": ("tag", {}),
    "create_tag": ("tag", {}),
    "ping": ("ping", {}),
    "renamed": ("renamed", {}),
    "private": ("private", {}),
    "deleted": ("deleted", {}),
    "created": ("created", {}),
    "default_branch": ("changed", {}),
} | dict.fromkeys(("archived", "issue", "merge_request", "comment", "pull_request", "build"), ("other", {}))


def secret_of(scheme):
    return SIGNING if scheme == "gitlab signed" else SECRET


def provider_name(scheme):
    return scheme.partition(" ")[0]


class SlowQueue:
    """A queue that answers nobody until it may."""

    def __init__(self):
        self.may_go, self.poked = threading.Event(), []
        self.has_been_poked = threading.Event()

    def poke(self, kind, source):
        self.may_go.wait(30)
        self.poked.append((kind, source))
        self.has_been_poked.set()


@pytest.fixture
def start(tmp_path):
    running = []

    def call(queue=None, register=(), **settings):
        settings = {"webhook_secret": SECRET, "rate_limit": 0} | settings
        service = Posting(Settings(tmp_path, store=str(tmp_path / "index"), **settings), queue)
        running.append(service)
        for provider in register:
            service.ledger.register(describe(REPOSITORIES[provider], service.settings))
        return service

    yield call
    for service in running:
        service.close()


def read(sent):
    return PROVIDERS[sent.provider].read(sent.lower(), json.loads(sent.body))


def hook(service, provider, repo="", *keys, name="0123456789abcdef"):
    service.ledger.save_hook(Hook(name, provider, repo, keys or (SECRET,)))
    return name


# ------------------------------------------------------------------------------------------------------------------ reading


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


# -------------------------------------------------------------------------------------------------------------------- proof


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


def altered(sent, random_):
    """The delivery with one thing changed that its proof covers, and what was done."""
    headers, body = dict(sent.headers), bytearray(sent.body)
    proofs = [name for name in headers if name.lower() in PROVIDERS[sent.provider].needs]
    covers_body = sent.provider != "azure" and "X-Gitlab-Token" not in headers
    what = random_.choice(["body"] * 3 * covers_body + ["proof"] * 3 + ["missing", "empty", "other secret"] + ["time"])
    if what == "body":
        at = random_.randrange(len(body))
        how = random_.randrange(5)
        if how == 0:
            body[at] ^= 1 << random_.randrange(8)
        elif how == 1:
            del body[at : at + random_.randint(1, 20)]
        elif how == 2:
            body[at:at] = secrets.token_bytes(random_.randint(1, 20))
        elif how == 3:
            body += random_.choice([b" ", b"\n", b"\0", b"{}"])
        else:
            body = body[:at]
    elif what == "proof":
        for name in proofs:
            headers[name] = _other(headers[name], random_)
    elif what == "missing":
        for name in proofs:
            del headers[name]
    elif what == "empty":
        headers |= dict.fromkeys(proofs, "")
    elif what == "time" and "webhook-timestamp" in headers:
        name = random_.choice(["webhook-timestamp", "webhook-id"])
        headers[name] = random_.choice(
            ["", "0", "1800000001", "-1", "1e9", "１８０００００００１", headers[name] + "0"]
        )
        if headers[name].isascii() is False:
            headers[name] = headers[name].encode().decode("latin-1")
    else:
        return sign(
            Delivery(sent.provider, headers, bytes(body)), f"whsec_{'A' * 32}" if "webhook-id" in headers else "wrong"
        )
    return Delivery(sent.provider, headers, bytes(body))


def _other(value, random_):
    """A proof that is another one: a letter of it changed, cut short, made longer, or something else altogether."""
    if value.startswith("Basic "):
        user, _, password = base64.b64decode(value[6:]).decode().partition(":")
        return "Basic " + base64.b64encode(f"{user}:{_other(password, random_)}".encode()).decode()
    prefix, sign_, rest = value.partition("=") if value.startswith("sha256=") else ("", "", value)
    at = random_.randrange(len(rest))
    letter = random_.choice([letter for letter in "0123456789abcdef" if letter != rest[at].lower()])
    return (
        prefix
        + sign_
        + random_.choice(
            [
                rest[:at] + letter + rest[at + 1 :],
                rest[:at],
                rest[1:],
                rest[:-6] + "\xe9" + rest[-5:],
                "0" * len(rest),
                secrets.token_hex(32),
                "",
                "none",
            ]
        )
    )


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


# ------------------------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("name", NAMES)
def test_every_payload_has_its_answer_and_only_what_may_change_the_index_is_wanted(start, name):
    provider, _, what = name.partition("/")
    service = start(register=[provider])
    (repo,) = [known.repo for known in service.ledger.repositories()]
    address = hook(service, provider, repo)
    for at in ("", address):
        status, answer = service.post(delivery(name, change=lambda body, at=at: body.update(at=at)), at)
        kind = KINDS[what][0]
        if kind in ("ping", "tag", "other"):
            assert (status, answer["outcome"]) == (200, "pong" if kind == "ping" else "ignored")
            assert service.ledger.jobs() == []
        elif kind == "renamed" or what == "push_after_rename":
            continue  # below: what it is called now is not registered
        else:
            assert (status, answer) == (202, {"outcome": "wanted", "repo": repo, "why": ""})
            (job,) = service.ledger.jobs()
            assert (job.source, job.state, job.wanted) == (Source(repo, ""), "waiting", "")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_altered_delivery_is_answered_with_401_and_leaves_nothing(start, scheme):
    provider = provider_name(scheme)
    service = start(register=[provider], webhook_secret=secret_of(scheme))
    address = hook(service, provider, "", secret_of(scheme))
    random_ = random.Random(scheme)
    for number in range(60):
        sent = delivery(f"{provider}/push", secret_of(scheme))
        status, answer = service.post(altered(sent, random_), address if number % 2 else "")
        assert (status, answer["code"]) == (401, "no_key")
    assert service.ledger.jobs() == []
    assert service.ledger.repositories()[0].provider_id == ""


def test_addresses_that_nobody_made_are_not_there(start):
    service = start(register=["github"])
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


def test_without_the_global_secret_the_bare_address_takes_nothing(start):
    service = start(register=["github"], webhook_secret="")
    for key in ("", "x", SECRET):
        assert service.post(delivery("github/push", key))[0] == 403
    assert service.ledger.jobs() == []


def test_while_a_secret_is_exchanged_both_are_taken_and_then_only_the_new_one(start):
    service = start(register=["github"], webhook_secret="")
    address = hook(service, "github", "github.com/acme/shop", "new", "old")
    assert [service.post(delivery("github/push", key), address)[0] for key in ("new", "old", "older")] == [
        202,
        200,
        401,
    ]
    hook(service, "github", "github.com/acme/shop", "new")
    assert [service.post(delivery("github/push", key), address)[0] for key in ("new", "old")] == [200, 401]


def test_a_webhook_of_one_repository_speaks_for_no_other(start):
    service = start(register=["github", "gitlab"])
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


def test_what_a_forge_says_last_is_kept_with_the_webhook(start):
    service = start(register=["github"])
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


# ------------------------------------------------------------------------------------------------- malformed and oversized

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
def test_what_is_no_delivery_is_answered_with_400_though_it_is_signed(start, scheme):
    provider = provider_name(scheme)
    service = start(register=[provider], webhook_secret=secret_of(scheme))
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
def test_whatever_stands_in_a_signed_delivery_there_is_never_an_error_of_ours(start, name):
    provider = name.partition("/")[0]
    service = start(register=[provider], webhook_register=True, allowed_hosts=("*",))
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


def test_a_body_that_is_too_large_is_refused_whatever_its_header_says(start):
    service = start(register=["github"])
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


def test_the_largest_body_is_taken(start):
    service = start(register=["github"])
    small = delivery("github/push").body
    body = (
        small[:-1] + b"," + json.dumps("padding").encode() + b":" + b'"' + b"x" * (MOST_BYTES - len(small) - 13) + b'"}'
    )
    assert len(body) == MOST_BYTES
    assert service.post(sign(Delivery("github", delivery("github/push").headers, body)))[0] == 202
    assert service.post(sign(Delivery("github", delivery("github/push").headers, body + b" ")))[0] == 413


def test_the_body_of_one_who_can_prove_nothing_is_not_read(start):
    service = start(register=["github"])

    def never():
        raise AssertionError("it was read")
        yield b""

    headers = delivery("github/push").headers
    del headers["X-Hub-Signature-256"]
    assert service.raw("/v1/webhooks/github", headers, never())[0] == 401
    assert service.raw("/v1/webhooks/github/nosuchhookid", delivery("github/push").headers, never())[0] == 404


def test_many_large_bodies_at_once_are_told_to_come_again(start):
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


def test_a_sender_that_goes_away_leaves_nothing(start):
    service = start(register=["github"])
    sent = delivery("github/push")
    assert service.raw("/v1/webhooks/github", sent.headers, [sent.body[:100], "gone"])[0] == 400
    assert service.ledger.jobs() == []
