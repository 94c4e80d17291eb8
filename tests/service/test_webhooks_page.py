"""docs/webhooks.md says what the code does: what to enter, what is answered, and commands that work as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from forge import REPOSITORIES, SECRET, Posting, delivery
from running import Running

from codequarry.ingest.jobs import describe
from codequarry.service.deliveries import Outcome
from codequarry.service.providers import MOST_AGE_S, PROVIDERS, SIGNING_PREFIX
from codequarry.service.webhooks import MOST_BYTES
from codequarry.settings import Settings
from codequarry.store import open_ledger
from codequarry.types import Hook

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def section(title):
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda row: row.name)
def test_what_to_enter_is_what_the_command_prints(provider):
    written = section("What to enter where").partition(f"\n### {provider.title}\n")[2].partition("\n### ")[0]
    (block,) = re.findall(r"^```\n(.*?)^```$", written, re.MULTILINE | re.DOTALL)
    assert block.splitlines() == list(provider.paste)
    assert ("answered with 200" in written) == provider.gives_up
    named = re.findall(r"`([\w-]+)`", written)
    assert any(name.lower() in provider.needs for name in named) or "Proof: the password" in written


def test_every_provider_can_be_checked_by_hand():
    titles = re.findall(r"^([A-Z][\w ]+?)(?:, with a token)?:\n\n```sh", section("Check it by hand"), re.MULTILINE)
    assert sorted(titles) == sorted(row.title for row in PROVIDERS.values())


@pytest.fixture
def listening(tmp_path):
    """A service where every provider's repository is registered, and the addresses of a webhook for each of them."""
    settings = Settings(tmp_path / "data", store=str(tmp_path / "index"))
    ledger = open_ledger(settings.store, settings)
    for name, url in REPOSITORIES.items():
        repo = ledger.register(describe(url, settings)).repo
        ledger.save_hook(Hook(f"hook-of-{name}", name, repo, (SECRET,)))
    ledger.close()
    with Running(settings) as running:
        running.hooks = {name: f"{running.url}/v1/webhooks/{name}/hook-of-{name}" for name in REPOSITORIES}
        yield running


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="the commands are made of curl and openssl"
)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda row: row.name)
def test_the_commands_work_as_they_stand_and_with_another_secret_nothing_does(listening, provider):
    block = re.search(rf"^{provider.title}(?:, with a token)?:\n\n```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]

    def run(secret):
        environment = {**os.environ, "URL": listening.hooks[provider.name], "SECRET": secret}
        done = subprocess.run(["sh", "-eu", "-c", block], env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert run("another")["status"] == 401
    assert run(SECRET)["outcome"] == "wanted"


def test_the_answers_are_all_in_the_table():
    rows = re.findall(r"^\| ([\d, ]+) \| (?:`(\w+)`)? ?\| ", section("What is answered"), re.MULTILINE)
    assert {outcome for _, outcome in rows if outcome} == set(
        re.findall(r"wanted|known|repeated|ignored|refused|pong", Outcome.__doc__)
    )
    assert {status for text, _ in rows for status in text.split(", ")} == {
        "200", "202", "400", "401", "403", "404", "413", "502", "503",
    }  # fmt: skip
    assert f"more than {MOST_BYTES >> 20} MiB" in PAGE
    assert MOST_AGE_S == 300


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda row: row.name)
def test_one_about_a_repository_that_nobody_registered_is_answered_as_the_table_says(tmp_path, provider):
    posting = Posting(Settings(tmp_path / "data", store=str(tmp_path / "index"), webhook_secret=SECRET))
    try:
        status, body = posting.post(delivery(f"{provider.name}/push"))
        assert status == (200 if provider.gives_up else 404)
        assert not provider.gives_up or body["outcome"] == "refused"
    finally:
        posting.close()


def test_a_secret_for_signing_is_entered_elsewhere():
    assert SIGNING_PREFIX not in PAGE
    assert "`Secret token`" in PAGE and "`Signing token`" in PAGE
