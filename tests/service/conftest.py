"""The real command over real repositories."""

from __future__ import annotations

import shutil

import pytest
from commandline import FILES, Command, repository


@pytest.fixture
def command(tmp_path):
    """The command with an empty data folder."""
    return Command(tmp_path / "home")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory):
    """The command over an index of one small repository, `indexed.repo`. Tests that use it change nothing."""
    folder = tmp_path_factory.mktemp("indexed")
    found = Command(folder / "home")
    found.repo = repository(folder / "pay", {**FILES, "logo.bin": b"\0\1\2" * 100})
    done = found("index", found.repo)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="session")
def prepared_index(tmp_path_factory):
    """An index to copy."""
    from running import make_index

    return make_index(tmp_path_factory.mktemp("service") / "index")


@pytest.fixture
def start(tmp_path, prepared_index):
    """Starts a service over its own copy of the index: `start(api_keys=…, rate_limit=…)`."""
    from contextlib import ExitStack

    from running import Running

    from codequarry.settings import Settings

    with ExitStack() as stack:

        def start(work=None, queue=None, index=True, processes=1, **given):
            data = tmp_path / f"data{len(list(tmp_path.iterdir()))}"
            if index:
                shutil.copytree(prepared_index, data / "index")
            settings = Settings(data, **{"rate_limit": 0, **given})
            return stack.enter_context(Running(settings, work=work, queue=queue, processes=processes))

        yield start


@pytest.fixture
def posting(tmp_path):
    """Starts services that a forge posts to: `posting(queue, register=("github",), webhook_secret=…)`."""
    from forge import REPOSITORIES, SECRET, Posting

    from codequarry.ingest.jobs import describe
    from codequarry.settings import Settings

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


@pytest.fixture
def service(start):
    """A service without keys."""
    return start()


@pytest.fixture
def keyed(start):
    """A service with keys, and the keys by name: of one scope each, `ops` with all, `staff` that searches and reads as staff."""
    from codequarry.service.security import SCOPES, new_key

    given = {scope: ((scope,), ()) for scope in SCOPES}
    given |= {"ops": (tuple(SCOPES), ()), "guest": (("search", "read"), ()), "staff": (("search", "read"), ("staff",))}
    made = {name: new_key(name, scopes, groups) for name, (scopes, groups) in given.items()}
    running = start(api_keys=tuple(entry for _, entry in made.values()))
    running.keys = {name: key for name, (key, _) in made.items()}
    return running
