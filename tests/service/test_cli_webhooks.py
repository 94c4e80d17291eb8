"""`codequarry webhooks` and `codequarry repositories add`: the real command, its ledger, and a forge of this test's own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from commandline import FILES, repository
from forge import Posting, delivery

from codequarry.service.providers import PROVIDERS
from codequarry.settings import Settings
from codequarry.store import open_ledger
from codequarry.types import Source

CANARY = "ghp_CANARY0123456789"


def ledger_of(command):
    return open_ledger(str(command.data / "index"))


@pytest.fixture
def registered(command):
    """The command, with a repository registered."""
    assert command.json("repositories", "add", "https://github.com/acme/shop")["added"] == ["github.com/acme/shop"]
    return command


@pytest.fixture
def api():
    """A Gitea that lists one organisation."""
    asked = []
    names = {"shop": {}, "api": {}, "old": {"archived": True}, "fork": {"fork": True}, "new": {"empty": True}}
    listed = [
        {
            "id": number,
            "full_name": f"acme/{name}",
            "clone_url": f"https://git.example.org/acme/{name}.git",
            "default_branch": "main",
        }
        | more
        for number, (name, more) in enumerate(names.items())
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers.items())))
            body = json.dumps(listed if self.path.startswith("/api/v1/orgs/acme/repos") else {}).encode()
            self.send_response(200 if body != b"{}" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.url = asked, f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# ------------------------------------------------------------------------------------------------------------ repositories


def test_addresses_are_registered_and_wait_to_be_indexed(command):
    words = ("https://github.com/acme/shop.git", "git@gitlab.com:acme/backend/api.git")
    said = command.json("repositories", "add", *words, "--branch", "main", "--branch", "release-*", "--group", "staff")
    assert said["added"] == ["github.com/acme/shop", "gitlab.com/acme/backend/api"]
    ledger = ledger_of(command)
    shop, api = ledger.repositories()
    assert (shop.provider, shop.branches, shop.access) == ("github", ("main", "release-*"), ("staff",))
    assert api.provider == "gitlab"
    assert [job.source for job in ledger.due()] == [Source(shop.repo, ""), Source(api.repo, "")]
    ledger.close()
    again = command.json("repositories", "add", "https://github.com/acme/shop", "--credential", "robot")
    assert (again["added"], again["known"]) == ([], ["github.com/acme/shop"])
    ledger = ledger_of(command)
    shop = ledger.repository("github.com/acme/shop")
    assert (shop.branches, shop.access, shop.credential) == (("main", "release-*"), ("staff",), "robot")
    ledger.close()
    listed = command("repositories")
    assert listed.returncode == 0
    assert listed.stdout.splitlines()[0] == "github.com/acme/shop\t(registered, not indexed yet)"
    assert command.json("repositories", "list", "acme/shop")["waiting"] == ["github.com/acme/shop"]
    assert command("repositories", "list", "acme/nothing").returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("https://user:hunter22@github.com/acme/shop",),
        ("https://127.0.0.1/acme/shop",),
        ("https://localhost/acme/shop",),
        ("http://github.com/acme/shop",),
        ("https://github.com:8443/acme/shop",),
        ("--upload-pack=x",),
        ("ext::sh",),
        ("https://github.com/acme/shop", "--github-org", "acme"),
        ("--github-org", "acme", "--gitlab-group", "acme"),
        ("https://github.com/acme/shop", "--forks"),
        ("--gitea-org", "acme"),
        ("--github-org", "a b"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_nothing_is_written(command, words):
    done = command("repositories", "add", *words)
    assert done.returncode == 2, done.stderr
    assert "hunter22" not in done.stdout + done.stderr
    assert not (command.data / "index" / "ledger.db").exists()


def test_an_organisation_is_registered_as_its_forge_lists_it(command, api):
    env = {"GITEA_READ": CANARY}
    words = ("repositories", "add", "--gitea-org", "acme", "--api", api.url, "--token-env", "GITEA_READ", "--json")
    done = command(*words, "--dry-run", env=env)
    said = json.loads(done.stdout)
    assert said["added"] == ["git.example.org/acme/api", "git.example.org/acme/shop"]
    assert said["left_out"] == {"archived": ["acme/old"], "fork": ["acme/fork"], "empty": ["acme/new"]}
    assert not (command.data / "index" / "ledger.db").exists()
    assert api.asked[0][1]["Authorization"] == f"token {CANARY}"
    done = command(*words, "--forks", "--archived", "--exclude", "shop", "--ssh", env=env)
    assert json.loads(done.stdout)["added"] == [f"git.example.org/acme/{name}" for name in ("api", "fork", "old")]
    ledger = ledger_of(command)
    known = ledger.repository("git.example.org/acme/api")
    assert (known.url, known.provider) == ("ssh://git@git.example.org/acme/api.git", "gitea")
    assert (known.provider_id, known.head) == ("git.example.org/1", "main")
    ledger.close()
    assert CANARY not in done.stdout + done.stderr
    assert all(CANARY.encode() not in file.read_bytes() for file in command.data.rglob("*") if file.is_file())
    assert command("repositories", "add", "--gitea-org", "nobody", "--api", api.url).returncode == 1
    assert command(*words).returncode == 1  # the variable is not set
    text = command("repositories", "add", "--gitea-org", "acme", "--api", api.url, "--include", "shop")
    assert text.stdout == "added git.example.org/acme/shop\n"
    assert "left out, not wanted: 4" in text.stderr


def test_one_that_is_removed_is_not_indexed_again_by_the_service(command, tmp_path):
    made = repository(tmp_path / "pay", FILES)
    assert command("index", made).returncode == 0
    (state,) = command.json("repositories")["repositories"]
    env = {"CODEQUARRY_LOCAL_REPOSITORIES": "true"}
    added = command("repositories", "add", made, "--json", env=env)
    (repo,) = json.loads(added.stdout)["added"] + json.loads(added.stdout)["known"]
    said = command.json("repositories", "remove", repo)
    assert said["unregistered"] == [repo]
    ledger = ledger_of(command)
    assert ledger.repositories() == []
    ledger.close()
    assert state["branch"].startswith("worktree:")
    assert command("repositories", "remove", repo).returncode == 1


# ---------------------------------------------------------------------------------------------------------------- webhooks


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_to_be_entered_at_the_forge_is_printed_and_works(registered, provider, tmp_path):
    env = {"CODEQUARRY_PUBLIC_URL": "https://search.example.com"}
    done = registered("webhooks", "add", "acme/shop", "--provider", provider, env=env)
    assert done.returncode == 0, done.stderr
    (url,) = [word for word in done.stdout.split() if word.startswith("https://")]
    ledger = ledger_of(registered)
    (hook,) = ledger.hooks("github.com/acme/shop")
    ledger.close()
    (secret,) = hook.secrets
    assert url == f"https://search.example.com/v1/webhooks/{provider}/{hook.id}"
    assert secret in done.stdout.split()
    assert "{" not in done.stdout
    assert len(secret) >= 40
    if provider == "github":
        service = Posting(Settings(registered.data, store=str(registered.data / "index")))
        assert service.post(delivery("github/push", secret), hook.id)[0] == 202
        assert service.post(delivery("github/push", "another"), hook.id)[0] == 401
        service.close()


def test_the_provider_is_told_from_the_host_and_a_secret_for_signing_is_made_on_demand(command):
    command.json("repositories", "add", "https://gitlab.com/acme/backend/shop", "https://git.example.org/acme/shop")
    said = command.json("webhooks", "add", "backend/shop", "--signed", "--url", "https://search.example.com/")
    assert said["url"].startswith("https://search.example.com/v1/webhooks/gitlab/")
    assert said["secret"].startswith("whsec_")
    service = Posting(Settings(command.data, store=str(command.data / "index")))
    assert service.post(delivery("gitlab/push", said["secret"]), said["id"])[0] == 202
    service.close()
    for words in (("git.example.org/acme/shop",), ("git.example.org/acme/shop", "--provider", "gitea", "--signed"), ()):
        assert command("webhooks", "add", *words).returncode == 2
    assert command("webhooks", "add", "nothing").returncode == 1
    assert command.json("webhooks", "add", "--provider", "github")["repo"] == ""


def test_a_secret_is_exchanged_without_losing_a_delivery(registered):
    first = registered.json("webhooks", "add", "acme/shop")
    second = registered.json("webhooks", "rotate", "acme/shop")
    assert second["id"] == first["id"]
    assert second["secret"] != first["secret"]
    service = Posting(Settings(registered.data, store=str(registered.data / "index"), rate_limit=0))

    def answers():
        sent = [delivery("github/issue", key) for key in (first["secret"], second["secret"])]
        return [service.post(one, first["id"])[0] for one in sent]

    assert answers() == [200, 200]
    (listed,) = registered.json("webhooks")["webhooks"]
    assert listed["secrets"] == 2
    assert first["secret"] not in json.dumps(listed) and second["secret"] not in json.dumps(listed)
    assert registered("webhooks", "rotate", first["id"], "--finish").returncode == 0
    assert answers() == [401, 200]
    service.close()
    shown = registered("webhooks", "list", "acme/shop").stdout
    assert first["id"] in shown and "github" in shown and second["secret"] not in shown
    assert registered("webhooks", "remove", "acme/shop").stdout == f"removed {first['id']}\n"
    assert registered("webhooks").returncode == 1
    assert registered("webhooks", "remove", "acme/shop").returncode == 1
    assert registered("webhooks", "rotate", "acme/shop").returncode == 1
    assert registered("webhooks", "rotate").returncode == 2
