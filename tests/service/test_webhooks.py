"""Deliveries of forges: who sent them, what they say, and what becomes of them."""

from __future__ import annotations

import base64
import json
import random
import secrets
import threading

import pytest
from forge import NAMES, PAYLOADS, REPOSITORIES, SCHEMES, SECRET, SIGNING, Delivery, Posting, delivery, sign

from codequarry.ingest.addresses import parse_address
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
        settings = {"webhook_secret": SECRET, "rate_limit": 0, "store": str(tmp_path / "index")} | settings
        service = Posting(Settings(tmp_path, **settings), queue)
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


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_payload_has_its_answer_and_only_what_may_change_the_index_is_wanted(start, provider):
    service = start()
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


# ------------------------------------------------------------------------------------------------ replays, bursts, outages


def test_a_delivery_that_comes_again_asks_for_nothing(start):
    service = start(register=["github"])
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


def test_a_push_of_what_is_indexed_asks_for_nothing(start):
    service = start(register=["github"])
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
def test_branches_that_nobody_wants_ask_for_nothing_and_those_that_a_glob_wants_do(start, what):
    service = start(register=["github"])
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
def test_a_thousand_pushes_at_once_are_one_wish_and_one_more_while_it_runs(start, where, request):
    store = {}
    if where == "elasticsearch":
        prefix = request.getfixturevalue("elasticsearch_prefix")
        store = {"store": f"{request.getfixturevalue('elasticsearch_url')}?prefix={prefix}"}
    service = start(register=["github"], **store)
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


def test_the_answer_does_not_wait_for_the_queue(start):
    queue = SlowQueue()
    service = start(queue, register=["github", "bitbucket"])
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


def test_without_a_queue_what_is_wanted_is_in_the_ledger(start):
    service = start(None, register=["github"])
    assert service.post(delivery("github/push"))[0] == 202
    assert [job.source.repo for job in service.ledger.due()] == ["github.com/acme/shop"]


def test_while_the_ledger_cannot_be_used_the_forge_is_told_to_send_it_again(start, tmp_path):
    service = start(register=["github"])
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


# ---------------------------------------------------------------------------------------------------------- repositories


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_registered_is_refused_and_no_webhook_is_turned_off_by_that(start, provider):
    service = start()
    for name in (f"{provider}/push", f"{provider}/renamed"):
        if name not in NAMES:
            continue
        status, answer = service.post(delivery(name))
        if PROVIDERS[provider].gives_up:
            assert (status, answer["outcome"]) == (200, "refused")
        else:
            assert (status, answer["code"]) == (404, "not_found")
    assert service.ledger.repositories() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_repository_is_registered_where_the_settings_allow_it_and_name_its_host(start, provider):
    host = parse_address(REPOSITORIES[provider]).identity.partition("/")[0]
    for hosts, private in (((), ()), (("other.example",), ()), (("other.example",), ("elsewhere.example",))):
        service = start(webhook_register=True, allowed_hosts=hosts, private_hosts=private)
        assert service.post(delivery(f"{provider}/push"))[0] in (200, 404)
        assert service.ledger.repositories() == []
    service = start(webhook_register=False, allowed_hosts=(host,))
    assert service.post(delivery(f"{provider}/push"))[0] in (200, 404)
    service = start(webhook_register=True, allowed_hosts=(host,))
    assert service.post(delivery(f"{provider}/push"))[0] == 202
    (known,) = service.ledger.repositories()
    assert (known.provider, known.provider_id.partition("/")[0]) == (provider, host)
    assert known.repo == describe(known.url, service.settings).repo
    assert [job.source for job in service.ledger.due()] == [Source(known.repo, "")]


def test_a_webhook_of_one_repository_registers_no_other(start):
    service = start(register=["gitlab"], webhook_register=True, allowed_hosts=("*",))
    address = hook(service, "github", "gitlab.com/acme/backend/shop")
    assert service.post(delivery("github/push"), address)[0] == 404
    assert len(service.ledger.repositories()) == 1


def test_addresses_of_our_own_network_are_not_registered_whatever_a_delivery_says(start):
    service = start(webhook_register=True, allowed_hosts=("*",))
    for url in ("https://127.0.0.1/a/b", "https://169.254.169.254/a/b", "https://localhost/a/b", "https://2130706433/a/b",
                "http://git.example/a/b", "https://git.example:8443/a/b", "file:///etc", "/etc/passwd", "ext::sh -c x",
                "--upload-pack=x", "https://git.example/a/b?x=y", "ssh://-oProxyCommand=x/a/b", "git.example"):  # fmt: skip

        def change(body, url=url):
            body["repository"] |= {"clone_url": url, "ssh_url": ""}

        assert service.post(delivery("github/push", change=change))[0] in (400, 404)
    assert service.ledger.repositories() == []


def test_the_id_of_the_provider_is_learned_and_finds_the_repository_under_another_name(start):
    service = start(register=["gitea"])
    repo = "gitea.corp.example/acme/shop"
    assert service.post(delivery("gitea/push"))[0] == 202
    known = service.ledger.repository(repo)
    assert (known.provider, known.provider_id) == ("gitea", "gitea.corp.example/140")
    assert service.post(delivery("gitea/push_after_rename"))[0] == 202
    new = service.ledger.repository("gitea.corp.example/acme/store")
    assert (new.url, new.provider_id) == ("https://gitea.corp.example/acme/store.git", "gitea.corp.example/140")
    assert service.ledger.repository(repo).told.startswith("renamed gitea.corp.example/acme/store ")
    assert {job.source.repo for job in service.ledger.due()} == {repo, new.repo}


def test_a_ping_is_enough_to_learn_it(start):
    service = start(register=["github"])
    assert service.post(delivery("github/ping"))[1] == {"outcome": "pong", "repo": "github.com/acme/shop", "why": ""}
    assert service.ledger.repository("github.com/acme/shop").provider_id == "github.com/186853002"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("/renamed")])
def test_a_rename_is_followed(start, name):
    provider = name.partition("/")[0]
    service = start(register=[provider])
    (old,) = service.ledger.repositories()
    assert service.post(delivery(f"{provider}/push"))[0] == 202
    assert service.post(delivery(name))[0] == 202
    new = old.repo.replace("shop", "store")
    assert {known.repo for known in service.ledger.repositories()} == {old.repo, new}
    assert service.ledger.repository(new).url.endswith(("store", "store.git"))
    assert Source(new, "") in {job.source for job in service.ledger.due()}


def test_who_looks_after_one_repository_cannot_open_another_by_saying_that_it_was_renamed(start):
    service = start(register=["github"])
    repo = "github.com/acme/shop"
    service.ledger.update(repo, credential="robot")
    address = hook(service, "github", repo)
    assert service.post(delivery("github/push"), address)[0] == 202
    assert service.post(delivery("github/renamed"), address)[0] == 202
    (known,) = service.ledger.repositories()
    assert (known.repo, known.told) == (repo, "")
    assert "github.com/acme/store" in known.note
    service.ledger.update(repo, credential="")  # what everyone may read is followed
    assert service.post(delivery("github/renamed", change=lambda body: body.update(n=1)), address)[0] == 202
    assert len(service.ledger.repositories()) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("/deleted", "/private"))])
def test_that_a_repository_is_deleted_or_private_is_kept_and_the_forge_asked(start, name):
    provider, _, kind = name.partition("/")
    service = start(register=[provider])
    assert service.post(delivery(name))[0] == 202
    (known,) = service.ledger.repositories()
    assert known.told.startswith(f"{kind} ")
    assert (known.state, service.ledger.job(Source(known.repo, "")).state) == ("active", "waiting")


def test_an_old_delivery_about_a_repository_of_the_same_name_takes_nothing_away(start):
    service = start(register=["github"])
    service.ledger.update("github.com/acme/shop", provider="github", provider_id="github.com/999")
    for name in ("github/deleted", "github/private", "github/renamed"):
        status, answer = service.post(delivery(name))
        assert status in (200, 404)
        assert answer.get("outcome", "ignored") == "ignored"
    (known,) = service.ledger.repositories()
    assert (known.told, known.provider_id) == ("", "github.com/999")
    assert service.ledger.jobs() == []
    assert service.post(delivery("github/push"))[0] == 202  # it was deleted and made anew
    assert service.ledger.repository("github.com/acme/shop").provider_id == "github.com/186853002"


def test_a_name_in_other_letters_is_the_same_repository(start):
    service = start()
    service.ledger.register(describe("https://github.com/Acme/Shop", service.settings))
    address = hook(service, "github", "github.com/Acme/Shop")
    for number, at in enumerate(("", address)):
        sent = delivery("github/push", change=lambda body, n=number: body.update(n=n))
        assert service.post(sent, at)[1]["repo"] == "github.com/Acme/Shop"


def test_a_delivery_without_an_address_is_found_by_its_path_where_only_one_fits(start):
    service = start(register=["bitbucket-server"])
    assert service.post(delivery("bitbucket-server/without_links"))[0] == 202
    service.ledger.register(describe("https://other.example/scm/acme/shop", service.settings))
    sent = delivery("bitbucket-server/without_links", change=lambda body: body.update(n=1))
    assert service.post(sent)[0] == 404
