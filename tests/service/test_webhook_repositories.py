"""What deliveries say of repositories: registered, renamed, deleted, made private."""

from __future__ import annotations

import pytest
from forge import (
    NAMES,
    REPOSITORIES,
    delivery,
    hook,
)

from codequarry.ingest.addresses import parse_address
from codequarry.ingest.jobs import describe
from codequarry.service.providers import PROVIDERS
from codequarry.types import Source


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_registered_is_refused_and_no_webhook_is_turned_off_by_that(posting, provider):
    service = posting()
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
def test_a_repository_is_registered_where_the_settings_allow_it_and_name_its_host(posting, provider):
    host = parse_address(REPOSITORIES[provider]).identity.partition("/")[0]
    for hosts, private in (((), ()), (("other.example",), ()), (("other.example",), ("elsewhere.example",))):
        service = posting(webhook_register=True, allowed_hosts=hosts, private_hosts=private)
        assert service.post(delivery(f"{provider}/push"))[0] in (200, 404)
        assert service.ledger.repositories() == []
    service = posting(webhook_register=False, allowed_hosts=(host,))
    assert service.post(delivery(f"{provider}/push"))[0] in (200, 404)
    service = posting(webhook_register=True, allowed_hosts=(host,))
    assert service.post(delivery(f"{provider}/push"))[0] == 202
    (known,) = service.ledger.repositories()
    assert (known.provider, known.provider_id.partition("/")[0]) == (provider, host)
    assert known.repo == describe(known.url, service.settings).repo
    assert [job.source for job in service.ledger.due()] == [Source(known.repo, "")]


def test_a_webhook_of_one_repository_registers_no_other(posting):
    service = posting(register=["gitlab"], webhook_register=True, allowed_hosts=("*",))
    address = hook(service, "github", "gitlab.com/acme/backend/shop")
    assert service.post(delivery("github/push"), address)[0] == 404
    assert len(service.ledger.repositories()) == 1


def test_addresses_of_our_own_network_are_not_registered_whatever_a_delivery_says(posting):
    service = posting(webhook_register=True, allowed_hosts=("*",))
    for url in ("https://127.0.0.1/a/b", "https://169.254.169.254/a/b", "https://localhost/a/b", "https://2130706433/a/b",
                "http://git.example/a/b", "https://git.example:8443/a/b", "file:///etc", "/etc/passwd", "ext::sh -c x",
                "--upload-pack=x", "https://git.example/a/b?x=y", "ssh://-oProxyCommand=x/a/b", "git.example"):  # fmt: skip

        def change(body, url=url):
            body["repository"] |= {"clone_url": url, "ssh_url": ""}

        assert service.post(delivery("github/push", change=change))[0] in (400, 404)
    assert service.ledger.repositories() == []


def test_the_id_of_the_provider_is_learned_and_finds_the_repository_under_another_name(posting):
    service = posting(register=["gitea"])
    repo = "gitea.corp.example/acme/shop"
    assert service.post(delivery("gitea/push"))[0] == 202
    known = service.ledger.repository(repo)
    assert (known.provider, known.provider_id) == ("gitea", "gitea.corp.example/140")
    assert service.post(delivery("gitea/push_after_rename"))[0] == 202
    new = service.ledger.repository("gitea.corp.example/acme/store")
    assert (new.url, new.provider_id) == ("https://gitea.corp.example/acme/store.git", "gitea.corp.example/140")
    assert service.ledger.repository(repo).told.startswith("renamed gitea.corp.example/acme/store ")
    assert {job.source.repo for job in service.ledger.due()} == {repo, new.repo}


def test_a_ping_is_enough_to_learn_it(posting):
    service = posting(register=["github"])
    assert service.post(delivery("github/ping"))[1] == {"outcome": "pong", "repo": "github.com/acme/shop", "why": ""}
    assert service.ledger.repository("github.com/acme/shop").provider_id == "github.com/186853002"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("/renamed")])
def test_a_rename_is_followed(posting, name):
    provider = name.partition("/")[0]
    service = posting(register=[provider])
    (old,) = service.ledger.repositories()
    assert service.post(delivery(f"{provider}/push"))[0] == 202
    assert service.post(delivery(name))[0] == 202
    new = old.repo.replace("shop", "store")
    assert {known.repo for known in service.ledger.repositories()} == {old.repo, new}
    assert service.ledger.repository(new).url.endswith(("store", "store.git"))
    assert Source(new, "") in {job.source for job in service.ledger.due()}


def test_who_looks_after_one_repository_cannot_open_another_by_saying_that_it_was_renamed(posting):
    service = posting(register=["github"])
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
def test_that_a_repository_is_deleted_or_private_is_kept_and_the_forge_asked(posting, name):
    provider, _, kind = name.partition("/")
    service = posting(register=[provider])
    assert service.post(delivery(name))[0] == 202
    (known,) = service.ledger.repositories()
    assert known.told.startswith(f"{kind} ")
    assert (known.state, service.ledger.job(Source(known.repo, "")).state) == ("active", "waiting")


def test_an_old_delivery_about_a_repository_of_the_same_name_takes_nothing_away(posting):
    service = posting(register=["github"])
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


def test_a_name_in_other_letters_is_the_same_repository(posting):
    service = posting()
    service.ledger.register(describe("https://github.com/Acme/Shop", service.settings))
    address = hook(service, "github", "github.com/Acme/Shop")
    for number, at in enumerate(("", address)):
        sent = delivery("github/push", change=lambda body, n=number: body.update(n=n))
        assert service.post(sent, at)[1]["repo"] == "github.com/Acme/Shop"


def test_a_delivery_without_an_address_is_found_by_its_path_where_only_one_fits(posting):
    service = posting(register=["bitbucket-server"])
    assert service.post(delivery("bitbucket-server/without_links"))[0] == 202
    service.ledger.register(describe("https://other.example/scm/acme/shop", service.settings))
    sent = delivery("bitbucket-server/without_links", change=lambda body: body.update(n=1))
    assert service.post(sent)[0] == 404
