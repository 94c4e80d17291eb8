"""REST: repositories, what of them is indexed and what is not, jobs, and who sees which."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from commandline import FILES, repository
from running import SHOP

from codequarry.ingest.jobs import LocalQueue
from codequarry.service.work import working
from codequarry.types import Source

PAY = "example.org/acme/pay"


def register(service, key="", **given):
    return service.ask("POST", "/v1/repositories", {"url": f"https://{PAY}.git", **given}, key=key)


def wait_until(ask, fits, tries=2000):
    """What `ask` says when it fits; asking again is what passes the time."""
    for _ in range(tries):
        if fits(said := ask()):
            return said
    raise AssertionError(said)


def test_an_indexed_repository_is_listed_with_its_branches(service):
    found = service.ask("GET", "/v1/repositories?name=SHOP").json
    (one,) = found["repositories"]
    assert (one["repo"], one["ready"], one["registered"]) == (SHOP.repo, True, False)
    assert [source["branch"] for source in one["sources"]] == ["dev", "main"]
    assert service.ask("GET", f"/v1/repositories/{SHOP.repo}").json == one
    assert service.ask("GET", f"/v1/repositories/{quote(SHOP.repo, safe='')}").json == one


def test_a_list_goes_on_with_its_cursor(service):
    first = service.ask("GET", "/v1/repositories?limit=1").json
    second = service.ask("GET", f"/v1/repositories?limit=1&cursor={first['next_cursor']}").json
    names = [one["repo"] for page in (first, second) for one in page["repositories"]]
    assert names == ["example.org/acme/shop", "example.org/acme/vault"]
    assert (first["total"], second["next_cursor"]) == (2, None)


def test_coverage_says_of_every_path_whether_it_is_indexed_and_why_not(service):
    found = service.ask("GET", f"/v1/coverage?repo={SHOP.repo}").json
    assert found["complete"]
    assert found["reasons"] == {"binary": 1, "generated": 1}
    assert {one["path"]: one["reason"] for one in found["paths"]} == dict.fromkeys(FILES, "") | {
        "logo.bin": "binary",
        "dist/app.js": "generated",
    }
    one = service.ask("GET", "/v1/coverage?repo=acme/shop&path=dist/app.js").json["paths"]
    assert one == [
        {"path": "dist/app.js", "indexed": False, "reason": "generated", "detail": "marked in .gitattributes"}
    ]
    assert len(service.ask("GET", "/v1/coverage?repo=acme/shop&only=skipped").json["paths"]) == 2
    assert len(service.ask("GET", "/v1/coverage?repo=acme/shop&path=src/**").json["paths"]) == 2
    assert service.ask("GET", "/v1/coverage?repo=acme/shop&path=[z-a]").status == 400
    pages = service.ask("GET", "/v1/coverage?repo=acme/shop&limit=3").json
    rest = service.ask("GET", f"/v1/coverage?repo=acme/shop&limit=3&cursor={pages['next_cursor']}").json
    assert len(pages["paths"]) + len(rest["paths"]) == len(FILES) + 2


def test_a_glob_made_to_take_for_ever_does_not(service):
    hostile = quote("**a" * 300 + "b")
    assert service.ask("GET", f"/v1/coverage?repo=acme/shop&path={hostile}").json["paths"] == []


def test_a_registered_repository_waits_and_is_not_ready(service):
    reply = register(service, branches=["main", "release/*"], access=["staff"])
    assert reply.status == 201
    one = reply.json
    assert (one["repo"], one["ready"], one["state"]) == (PAY, False, "active")
    assert "nothing of it is indexed" in one["why"]
    assert [(job["branch"], job["state"]) for job in one["jobs"]] == [("", "waiting")]
    assert (one["branches"], one["access"]) == (["main", "release/*"], ["staff"])
    again = register(service, branches=["main"])
    assert (again.status, again.json["branches"], len(again.json["jobs"])) == (200, ["main"], 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@example.org/acme/pay.git",
        "file:///etc",
        "/etc",
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "http://169.254.169.254/latest",
        "https://example.org:8443/a/b",
        "nonsense",
        "",
    ],
)
def test_an_address_that_a_server_must_not_ask_is_refused(service, url):
    reply = service.ask("POST", "/v1/repositories", {"url": url})
    assert reply.status == 400
    assert b"hunter2" not in reply.body
    assert service.ask("GET", "/v1/jobs").json["jobs"] == []


def test_what_is_wanted_of_a_repository_can_be_changed(service):
    register(service)
    changed = service.ask("PATCH", f"/v1/repositories/{PAY}", {"branches": ["main"], "include_generated": True}).json
    assert (changed["branches"], changed["include_generated"], changed["url"]) == (["main"], True, f"https://{PAY}.git")
    assert service.ask("PATCH", f"/v1/repositories/{PAY}", {"state": "paused"}).json["state"] == "paused"
    assert service.ask("PATCH", f"/v1/repositories/{PAY}", {"state": "gone"}).status == 400
    assert service.ask("PATCH", f"/v1/repositories/{PAY}", {"url": "https://example.org/x"}).status == 400
    assert service.ask("PATCH", f"/v1/repositories/{SHOP.repo}", {"branches": ["main"]}).status == 404


def test_a_removed_repository_is_gone(service):
    register(service)
    assert service.ask("DELETE", f"/v1/repositories/{PAY}").status == 204
    assert service.ask("GET", f"/v1/repositories/{PAY}").status == 404
    assert service.ask("DELETE", f"/v1/repositories/{PAY}").status == 404
    assert service.ask("DELETE", f"/v1/repositories/{SHOP.repo}").status == 204  # indexed by hand
    assert service.ask("POST", "/v1/search", {"query": "retry", "repo": "acme/shop"}).json["hits"] == []


def test_jobs_can_be_asked_for_cancelled_and_tried_again(service):
    assert service.ask("POST", "/v1/jobs", {"repo": PAY}).status == 404
    register(service)
    wanted = service.ask("POST", "/v1/jobs", {"repo": PAY, "commit": "a" * 40})
    assert (wanted.status, wanted.json["state"]) == (202, "waiting")
    assert service.ask("POST", "/v1/jobs", {"repo": PAY, "commit": "main"}).status == 400
    assert service.ask("POST", "/v1/jobs/cancel", {"repo": PAY}).json["state"] == "cancelled"
    assert service.ask("GET", "/v1/jobs?state=waiting").json["jobs"] == []
    assert len(service.ask("GET", f"/v1/jobs?repo={PAY}&state=waiting&state=cancelled").json["jobs"]) == 1
    assert service.ask("POST", "/v1/jobs/retry", {"repo": PAY}).json["state"] == "waiting"
    assert service.ask("POST", "/v1/jobs/retry", {"repo": PAY, "branch": "nope"}).status == 404
    assert service.ask("GET", "/v1/jobs?state=lost").status == 400


def test_the_queue_is_told_of_every_wish(start):
    class Heard:
        def __init__(self):
            self.pokes = []

        def poke(self, kind, source):
            self.pokes.append((kind, source))

    heard = Heard()
    service = start(queue=heard)
    register(service)
    service.ask("POST", "/v1/jobs", {"repo": PAY})
    service.ask("DELETE", f"/v1/repositories/{PAY}")
    assert heard.pokes == [("sync", Source(PAY, ""))] * 3


def test_a_service_without_redis_indexes_what_is_registered(start, tmp_path):
    folder = repository(tmp_path / "pay", {**FILES, "logo.bin": b"\0" * 100})
    service = start(work=working, queue=LocalQueue(), local_repositories=True, index=False, model="hash:64")
    registered = service.ask("POST", "/v1/repositories", {"url": str(folder)})
    assert registered.status == 201
    repo = registered.json["repo"]
    one = wait_until(lambda: service.ask("GET", f"/v1/repositories/{repo}").json, lambda one: one["ready"])
    assert [source["files"] for source in one["sources"]] == [3]
    found = service.ask("POST", "/v1/search", {"query": "charge attempts", "repo": repo}).json
    assert found["hits"][0]["path"] == "src/client.py"
    left_out = service.ask("GET", f"/v1/coverage?repo={repo}&only=skipped").json["paths"]
    assert [(path["path"], path["reason"]) for path in left_out] == [("logo.bin", "binary")]
    service.ask("DELETE", f"/v1/repositories/{repo}")
    wait_until(
        lambda: service.ask("POST", "/v1/search", {"query": "charge attempts"}).json, lambda found: not found["hits"]
    )


# ---------------------------------------------------------------------------------------------------------------- access


def test_nothing_shows_a_repository_to_whom_it_is_hidden(keyed):
    """The repository `vault` is for staff: to others it is one that does not exist, in every answer of every route."""
    hidden = keyed.ask(
        "POST",
        "/v1/repositories",
        {"url": "https://example.org/acme/secrets", "access": ["staff"]},
        key=keyed.keys["ops"],
    )
    assert hidden.status == 201
    guest, staff = keyed.keys["guest"], keyed.keys["staff"]
    asked = [
        ("POST", "/v1/search", {"query": "unlock the vault door"}),
        ("POST", "/v1/search", {"query": "symbol:unlock"}),
        ("POST", "/v1/search", {"query": "/the only way into/"}),
        ("POST", "/v1/search", {"query": "retry", "repo": "acme/vault"}),
        ("POST", "/v1/prompt", {"question": "how is the vault unlocked?"}),
        ("GET", "/v1/repositories", None),
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/metrics", None),
        ("GET", "/metrics", None),
    ]
    seen_by_staff = b""
    for method, path, body in asked:
        reply = keyed.ask(method, path, body, key=guest)
        assert reply.status == 200
        told = reply.body.replace(b"unlock the vault door", b"").replace(b"how is the vault unlocked?", b"")
        told = told.replace(b"repo:acme/vault", b"").replace(b"symbol:unlock", b"")
        told = told.replace(b"Nothing satisfies /the only way into/", b"").replace(b"/the only way into/", b"")
        for word in (b"acme/vault", b"acme/secrets", b"unlock(", b"only way"):
            assert word not in told, (path, body, word)
        seen_by_staff += keyed.ask(method, path, body, key=staff).body
    for word in (b"acme/vault", b"acme/secrets", b"unlock("):
        assert word in seen_by_staff


def test_a_hidden_repository_is_answered_as_one_that_is_not_there(keyed):
    def said(target, name):
        reply = keyed.ask("GET", target.format(name), key=keyed.keys["guest"])
        problem = reply.json
        del problem["request_id"]
        return reply.status, {key: str(value).replace(name, "NAME") for key, value in problem.items()}

    for target in (
        "/v1/repositories/example.org/acme/{}",
        "/v1/file?repo=acme/{}&path=vault.py",
        "/v1/coverage?repo=acme/{}",
    ):
        assert said(target, "vault") == said(target, "vaulX")
        assert said(target, "vault")[0] == 404


def test_who_may_see_a_repository_is_told_to_administrators_alone(keyed):
    register(keyed, key=keyed.keys["ops"], credential="forge")
    for name, expected in (("ops", "forge"), ("guest", "")):
        assert keyed.ask("GET", f"/v1/repositories/{PAY}", key=keyed.keys[name]).json["credential"] == expected


# --------------------------------------------------------------------------------------------------------------- metrics


def test_metrics_count_requests_and_say_how_far_repositories_are(service):
    register(service)
    service.ask("POST", "/v1/search", {"query": "retry"})
    service.ask("POST", "/v1/search", {"query": '"'})
    reply = service.ask("GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    assert 'codequarry_requests_total{route="/v1/search",method="POST",status="200"} 1' in lines
    assert 'codequarry_requests_total{route="/v1/search",method="POST",status="400"} 1' in lines
    assert 'codequarry_search_leg_seconds_count{leg="retrieve"} 1' in lines
    assert 'codequarry_jobs{state="waiting"} 1' in lines
    assert f'codequarry_repository_ready{{repo="{PAY}"}} 0' in lines
    assert f'codequarry_repository_ready{{repo="{SHOP.repo}"}} 1' in lines
    assert f'codequarry_source_files{{repo="{SHOP.repo}",branch="main"}} 3' in lines
    assert any(line.startswith("codequarry_queue_age_seconds ") for line in lines)
    assert any(line.startswith(f'codequarry_repository_lag_seconds{{repo="{PAY}"}} ') for line in lines)
    assert "codequarry_up 1" in lines


def test_the_format_of_metrics_is_prometheus(service):
    import re

    service.ask("POST", "/v1/search", {"query": "retry"})
    typed = {}
    for line in service.ask("GET", "/v1/metrics").body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in typed
            typed[name] = kind
        elif not line.startswith("# HELP "):
            found = re.fullmatch(r'(\w+)(\{(\w+="([^"\\]|\\.)*",?)*\})? [-+0-9.e]+', line)
            assert found, line
            assert found[1] in typed or re.sub("_(bucket|sum|count)$", "", found[1]) in typed
    assert typed["codequarry_request_seconds"] == "histogram"
