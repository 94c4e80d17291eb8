"""The jars of an Elasticsearch node, fetched once into the user's cache: whole, and as pinned, or not at all.

A node needs no installer: 53 jars from Maven Central make 9.5.3, 47 make 8.19.21. `jars-VERSION.txt` beside this file names
each with its SHA-256. What is missing against the full distribution (scripts, ES|QL, security, plugins) is not used by us.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from codequarry.errors import BadInput, Upstream

MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
TRIES = 4

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.native.name = org.elasticsearch.nativeaccess
logger.native.level = off
logger.mac.name = io.netty.util.internal.MacAddressUtil
logger.mac.level = error
"""

# A node without a module that speaks HTTP does not answer; the server learns of modules from such a file.
DESCRIPTOR = """\
name=transport-netty4
description=HTTP and transport
version={version}
elasticsearch.version={version}
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""


def versions() -> list[str]:
    """The versions of Elasticsearch that can be started here, oldest first."""
    found = [path.stem.removeprefix("jars-") for path in Path(__file__).parent.glob("jars-*.txt")]
    return sorted(found, key=lambda version: tuple(map(int, version.split("."))))


def distribution(version: str, report: Callable[[str], None] = lambda line: None) -> Path:
    """The folder with lib/, modules/ and config/ of this version; makes it when it is not there yet.

    Raises:
        BadInput: no jars are pinned for this version.
        Upstream: a jar could not be fetched, or is not the one that was pinned; nothing is kept then.
    """
    if version not in versions():
        raise BadInput(f"No jars are known for Elasticsearch {version}", hint=f"one of {', '.join(versions())}")
    home = _cache() / f"elasticsearch-{version}"
    if home.is_dir():
        return home
    from concurrent.futures import ThreadPoolExecutor, as_completed

    lines = (Path(__file__).parent / f"jars-{version}.txt").read_text(encoding="utf-8").splitlines()
    home.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        for part in ("lib", "modules/transport-netty4", "config", "plugins"):
            (new / part).mkdir(parents=True)
        base, done = _repository(), 0
        with ThreadPoolExecutor(8) as pool:
            for fetched in as_completed([pool.submit(_fetch, base, line, new) for line in lines]):
                fetched.result()
                done += 1
                if done % 10 == 0 or done == len(lines):
                    report(f"Elasticsearch {version}: fetched {done} of {len(lines)} jars")
        (new / "config/log4j2.properties").write_text(LOGGING, encoding="utf-8")
        descriptor = new / "modules/transport-netty4/plugin-descriptor.properties"
        descriptor.write_text(DESCRIPTOR.format(version=version), encoding="utf-8")
        try:
            new.rename(home)
        except OSError:
            if not home.is_dir():  # else another process was first, and its folder is as good
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return home


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codequarry"


def _repository() -> str:
    """The Maven repository: MAVEN_MIRROR_URL, else the mirror of the user's Maven settings, else Maven Central."""
    if url := os.environ.get("MAVEN_MIRROR_URL"):
        return url.rstrip("/")
    settings = Path.home() / ".m2" / "settings.xml"
    if settings.is_file():
        text = re.sub(r"(?s)<!--.*?-->", "", settings.read_text(encoding="utf-8"))
        for mirror in re.findall(r"(?s)<mirror>.*?</mirror>", text):
            of = re.search(r"<mirrorOf>\s*(.*?)\s*</mirrorOf>", mirror)
            at = re.search(r"<url>\s*(.*?)\s*</url>", mirror)
            if of and at and {"central", "*", "external:*"} & set(of[1].split(",")):
                return at[1].rstrip("/")
    return MAVEN_CENTRAL


def _fetch(base: str, line: str, folder: Path) -> None:
    """Downloads the jar that one line names (group:artifact:version sha256) into its place under `folder`."""
    import http.client
    import urllib.request

    coordinates, digest = line.split()
    group, artifact, version = coordinates.split(":")
    name = f"{artifact}-{version}.jar"
    url = f"{base}/{group.replace('.', '/')}/{artifact}/{version}/{name}"
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=60) as reply:  # noqa: S310 - the scheme is the user's own choice
                data = reply.read()
            break
        except (OSError, http.client.HTTPException) as error:
            if attempt == TRIES - 1:
                raise Upstream(
                    f"{url} could not be fetched: {error}",
                    hint="check the network; MAVEN_MIRROR_URL names another Maven repository",
                    retryable=True,
                ) from error
            time.sleep(2**attempt)
    if hashlib.sha256(data).hexdigest() != digest:
        raise Upstream(f"{url} is not the file that was pinned", hint="MAVEN_MIRROR_URL names another Maven repository")
    part = "modules/transport-netty4" if artifact.startswith(("netty-", "transport-netty4")) else "lib"
    (folder / part / name).write_bytes(data)
