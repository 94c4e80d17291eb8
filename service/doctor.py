"""The checks of `codequarry doctor`: each part that is needed, whether it is well, and what to do where it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError, IndexMissing, SettingsError
from codequarry.service.progress import label, size
from codequarry.types import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codequarry.ports import Embedder, Store
    from codequarry.settings import Settings

LEAST_FREE_BYTES = 500_000_000
"""An index is about as large as the text in it; with less than this left, the next repository may not fit."""

PARTS = ("ingest", "search", "service", "workers", "compose")


def examine(location: str | None = None, model_name: str | None = None) -> Iterator[Check]:
    """Every check, in the order in which parts depend on each other. Never raises; a part that fails does not stop the others."""
    yield installation()
    yield git()
    yield grammars()
    from codequarry.settings import load

    try:
        settings = load()
    except SettingsError as error:
        yield Check("settings", False, error.message, error.hint)
        return
    yield Check(
        "settings",
        True,
        f"read from {settings.file}" if settings.file else "environment and defaults, no codequarry.toml",
    )
    yield disk(settings.data_dir)
    if settings.redis_url:
        yield redis(settings, location or settings.store)
    yield from index(location or settings.store, settings, model_name or settings.model)


def installation(package: Path | None = None) -> Check:
    """Whether the folders of the flow are there: in a checkout they are symbolic links, which not every file system keeps."""
    import codequarry

    package = package or Path(codequarry.__file__).parent
    broken = [part for part in PARTS if not (package / part / "__init__.py").is_file()]
    says = f"codequarry {codequarry.__version__} in {package}"
    if broken:
        return Check(
            "installation",
            False,
            f"{says}: {', '.join(broken)} cannot be reached",
            "a checkout needs symbolic links: clone it where they work (git config core.symlinks true), or install the wheel",
        )
    return Check("installation", True, says)


def git() -> Check:
    """Whether git is there and young enough."""
    from codequarry.ingest.git import MINIMUM

    hint = f"install git {MINIMUM[0]}.{MINIMUM[1]} or later"
    try:
        run = subprocess.run(
            ["git", "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("git", False, f"git cannot be run: {error}", f"{hint}, and see that it is in PATH")
    said = run.stdout.strip()
    numbers = said.removeprefix("git version ").split(".")
    if run.returncode or len(numbers) < 2 or not (numbers[0].isdecimal() and numbers[1].isdecimal()):
        return Check("git", False, f"git --version says {said or run.stderr.strip()!r}", hint)
    return Check("git", (int(numbers[0]), int(numbers[1])) >= MINIMUM, said, hint)


def grammars() -> Check:
    """Whether the grammar of every language that has one loads."""
    from codequarry.ingest.grammars import load
    from codequarry.ingest.languages import LANGUAGES

    names = sorted({language.grammar for language in LANGUAGES.values() if language.grammar})
    broken = []
    for name in names:
        try:
            load(name)
        except Exception as error:  # whatever a binary wheel does when it does not fit
            broken.append(f"{name} ({type(error).__name__}: {error})")
    if broken:
        return Check(
            "grammars",
            False,
            f"{len(broken)} of {len(names)} do not load: {', '.join(broken)}",
            "pip install --force-reinstall codequarry; until then their files are cut by lines",
        )
    return Check("grammars", True, f"all {len(names)} load")


def disk(folder: Path) -> Check:
    """Whether the data folder can be written and there is room."""
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return Check(
            "data folder", False, f"{folder} cannot be written", "set CODEQUARRY_DATA_DIR to a folder that can"
        )
    free = shutil.disk_usage(above).free
    return Check(
        "data folder",
        free >= LEAST_FREE_BYTES,
        f"{folder}, {size(free)} free",
        f"make room: {size(LEAST_FREE_BYTES)} at least, about as much as the text to index; or set CODEQUARRY_DATA_DIR",
    )


def redis(settings: Settings, location: str) -> Check:
    """Whether workers can be told over the Redis of the settings that there is work."""
    from codequarry.hints import queue_of

    if "://" not in location:
        return Check(
            "redis",
            False,
            f"over it workers are told of work, and no worker writes an index in a folder like {location}",
            "set CODEQUARRY_ELASTICSEARCH_URL too, or leave out CODEQUARRY_REDIS_URL: then codequarry serve indexes by itself",
        )
    try:
        queue = queue_of(settings)
        assert queue is not None
    except ModuleNotFoundError:
        return Check("redis", False, "its client is not installed", "pip install 'codequarry[service]'")
    except SettingsError as error:
        return Check("redis", False, error.message, error.hint)
    address = _without_secrets(settings.redis_url)
    try:
        untaken = queue.untaken()
    except ConnectionError as error:
        return Check("redis", False, f"{address} does not answer: {error}", _REDIS_HINT)
    finally:
        queue.close()
    waits = f"has {untaken} hints that no worker has taken: is codequarry worker running?"
    return Check("redis", True, f"{address} {waits if untaken else 'answers'}")


_REDIS_HINT = (
    "start it there, or set CODEQUARRY_REDIS_URL to where it is, with its password: redis://:password@host:port/0 (rediss:// with "
    "TLS); until then workers find what is due by themselves, some seconds later"
)


def _without_secrets(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2] or parts.path}"


def index(location: str, settings: Settings, model_name: str) -> Iterator[Check]:
    """The store's own checks, the model, and whether they fit each other."""
    from codequarry.store import open_store

    store: Store | None = None
    known: tuple[str, str, int] | None = None
    try:
        store = open_store(location, settings=settings)
        short = _labels(store)
        for check in store.check():
            yield check._replace(part=short.get(check.part, check.part))
        known = store.model()
        if known is None:
            yield Check("index", True, f"{location}: nothing is indexed yet (codequarry index PATH)")
    except IndexMissing:
        yield Check("index", True, f"{location}: nothing is indexed yet (codequarry index PATH)")
    except CodequarryError as error:
        yield Check("store", False, error.message, error.hint)
    finally:
        if store is not None:
            store.close()
    yield from model(known, model_name)
    if settings.reranker:
        yield reranker(settings)


def _labels(store: Store) -> dict[str, str]:
    """How people know each source, by the name that the store's checks have for it."""
    try:
        return {str(state.source): label(state.source) for state in store.sources()}
    except CodequarryError:  # what is wrong is among the checks
        return {}


def model(known: tuple[str, str, int] | None, model_name: str) -> Iterator[Check]:
    """Whether the model of the index, else the one of that name, loads and embeds, and is the one the index was made with."""
    from codequarry.models import open_embedder

    name = known[0] if known else model_name
    embedder: Embedder
    try:
        embedder = open_embedder(name)
        vectors = embedder.embed(["def parse(text): return text"])
        question = embedder.embed_question("parse text")
    except CodequarryError as error:
        yield Check("model", False, error.message, error.hint)
        return
    except Exception as error:  # a model's own libraries raise what they like
        yield Check(
            "model",
            False,
            f"{name}: {type(error).__name__}: {error}",
            "choose another with CODEQUARRY_MODEL, and index again",
        )
        return
    whole = len(vectors) == len(question) == embedder.dim
    yield Check(
        "model", whole, f"{name}, {embedder.dim} dimensions", "the model gives vectors of another length; reinstall it"
    )
    if known and known[1] != embedder.fingerprint:
        yield Check(
            "model",
            False,
            f"the index was made with another version of {name} ({known[1]}, here {embedder.fingerprint})",
            "install that version, or index again into another folder",
        )


def reranker(settings: Settings) -> Check:
    """Whether the reranker of the settings loads and scores."""
    from codequarry.models.rerankers import open_reranker

    try:
        opened = open_reranker(settings.reranker, device=settings.model_device, batch_size=settings.model_batch)
        opened.scores("where is text parsed", ["def parse(text): return text"])
    except CodequarryError as error:
        return Check("reranker", False, error.message, error.hint)
    return Check("reranker", True, f"{opened.name}, loads and scores")
