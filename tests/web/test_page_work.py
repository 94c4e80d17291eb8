"""Repositories, coverage and jobs, which move by themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from site_content import SHOP

from codequarry.types import Hook, Progress, Repository, Source

PAY = "example.org/acme/pay"


@pytest.fixture
def ledger(site):
    found = site.parts.backend.ledger
    found.register(Repository(PAY, f"https://{PAY}.git"))
    return found


def test_repositories_say_what_is_indexed_and_what_is_left_out(any_site, visit):
    page = visit(any_site, "/")
    page.get_by_role("link", name="Repositories").click()
    one = page.locator(".repositories > li").filter(has_text=SHOP.repo)
    expect(one.locator(".badge").first).to_have_text("ready")
    row = one.locator("tbody tr").filter(has_text="main")
    expect(row.locator("td").nth(0)).to_have_text("19")
    expect(row.locator("td").nth(3)).to_have_text("2")
    row.get_by_role("link", name="main").click()
    expect(page.locator(".reasons li").nth(0)).to_contain_text("1 binary")
    expect(page.locator(".skipped tbody tr").filter(has_text="dist/app.js")).to_contain_text("marked in .gitattributes")


def test_a_running_job_moves_its_bar_and_can_be_cancelled_and_retried(site, visit, ledger):
    source = Source(PAY, "")
    ledger.want(source)
    page = visit(site, "/repositories")
    job = page.locator(".jobs li")
    expect(job).to_contain_text("waiting")
    lease = ledger.take(source, "a worker", 60.0)
    expect(job).to_contain_text("running")
    for done in (10, 70):
        lease.renew(Progress("reading", source, done, 100, done * 1000, 100_000))
        expect(job.locator("progress")).to_have_attribute("value", str(done * 1000))
        expect(job).to_contain_text(f"{done} of 100 files")
    job.get_by_role("button", name="Cancel").click()
    expect(job).to_contain_text("stopping")
    assert not lease.renew()
    lease.fail("stopped")
    expect(job).to_contain_text("cancelled")
    job.get_by_role("button", name="Retry").click()
    expect(job).to_contain_text("waiting")
    assert ledger.job(source).state == "waiting"


def test_a_failed_job_says_why(site, visit, ledger):
    source = Source(PAY, "")
    ledger.want(source)
    ledger.take(source, "a worker", 60.0).fail("the forge says <b>no</b>", hint="Give a credential.")
    page = visit(site, "/repositories")
    expect(page.locator(".jobs p")).to_contain_text([PAY, "the forge says <b>no</b>", "Give a credential."])


def test_the_last_delivery_of_a_webhook_is_shown(site, visit, ledger):
    ledger.save_hook(Hook("hook1", "github", PAY))
    ledger.save_hook(Hook("hook2", "gitlab"))
    ledger.delivery("hook1", {"event": "push", "outcome": "taken", "at": 1.0})
    page = visit(site, "/repositories")
    hooks = page.locator(".hooks li")
    expect(hooks.filter(has_text="hook1")).to_contain_text("push taken")
    expect(hooks.filter(has_text="hook2")).to_contain_text("nothing was delivered yet")


def test_a_registered_repository_can_be_looked_at_now(site, visit, ledger):
    page = visit(site, f"/repository?repo={PAY}")
    page.get_by_role("button", name="Look at it now").click()
    expect(page.locator(".jobs li")).to_contain_text("waiting")


def test_who_may_not_steer_sees_the_job_and_no_way_to_stop_it(keyed_site, visit):
    ledger = keyed_site.parts.backend.ledger
    ledger.register(Repository(PAY, f"https://{PAY}.git"))
    ledger.want(Source(PAY, ""))
    ledger.save_hook(Hook("hook1", "github", PAY))
    for name, buttons in (("guest", 0), ("ops", 1)):
        page = visit(keyed_site, "/repositories")
        page.get_by_label("Key", exact=True).fill(keyed_site.keys[name])
        page.keyboard.press("Enter")
        expect(page.locator(".jobs li")).to_contain_text("waiting")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(buttons)
        expect(page.locator(".hooks li")).to_have_count(buttons)
