"""The installation of a team as written: valid, with settings, commands and paths that exist, closed without passwords."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from doors import ROOT, TEAM, team

from codequarry.compose import certificates, jars, servers
from codequarry.service import cli
from codequarry.settings import SETTINGS

COMPOSE = TEAM.parent
DOCKERFILE = COMPOSE / "Dockerfile"
EXAMPLE = COMPOSE / ".env.example"

MODULE, SCHEMA = "github.com/compose-spec/compose-go/v2@v2.16.2", "schema/compose-spec.json"
DIGEST = "f266dcbb043229405d7cedd5aec918f9102c2b3d5e3850808fdd8edd564a43ff"

_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[-?])?([^}]*)\}")
# What the base images read, which is no setting of ours.
_OF_THE_IMAGE = {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def schema():
    """The schema of the compose specification: from the cache, else from the module that docker compose reads its files with."""
    cache = jars._cache() / f"compose-spec-{DIGEST[:12]}.json"
    if not cache.is_file():
        proxies = re.split(r"[,|]", os.environ.get("GOPROXY", ""))
        proxy = next((one for one in proxies if one.startswith(("https://", "file://"))), "https://proxy.golang.org")
        address = f"{proxy}/{MODULE.replace('@', '/@v/')}.zip"
        with urllib.request.urlopen(address, timeout=60) as reply:
            data = zipfile.ZipFile(io.BytesIO(reply.read())).read(f"{MODULE}/{SCHEMA}")
        assert hashlib.sha256(data).hexdigest() == DIGEST
        cache.parent.mkdir(parents=True, exist_ok=True)
        new = cache.with_name(f".{cache.name}.{os.getpid()}")
        new.write_bytes(data)
        new.replace(cache)
    data = cache.read_bytes()
    assert hashlib.sha256(data).hexdigest() == DIGEST
    return json.loads(data)


def ours():
    """The parts that run codequarry's own images, by name."""
    return {name: part for name, part in team()["services"].items() if part["image"].startswith("codequarry:")}


def filled(text):
    """A text with the defaults of its variables."""
    return _VARIABLE.sub(lambda match: match[3] if match[2] == ":-" else "", text)


def variables(text):
    return [match.groups() for match in _VARIABLE.finditer(text)]


@pytest.mark.parametrize("file", ["team.yaml", "compose.yaml"])
def test_the_file_is_one_that_the_compose_specification_allows(schema, file):
    document = yaml.safe_load((COMPOSE / file).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)


def test_a_wrong_word_in_the_file_would_be_found(schema):
    document = team()
    document["services"]["redis"]["helthcheck"] = {}
    assert not jsonschema.Draft202012Validator(schema).is_valid(document)


def test_docker_compose_takes_the_file_and_refuses_it_without_passwords(tmp_path):
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not here")
    command = ["docker", "compose", "-f", str(TEAM), "--profile", "transformers", "--env-file"]
    refused = subprocess.run([*command, str(EXAMPLE), "config", "--quiet"], capture_output=True, text=True)
    assert refused.returncode
    assert "_PASSWORD" in refused.stderr
    given = tmp_path / "env"
    given.write_text(re.sub(r"(?m)^(\w+_PASSWORD)=$", r"\1=abc", EXAMPLE.read_text()))
    subprocess.run([*command, str(given), "config", "--quiet"], check=True)


def test_each_image_of_ours_is_built_by_one_part_alone_and_pulled_by_none():
    parts = ours().values()
    built = [(part["image"], part["build"]["target"]) for part in parts if "build" in part]
    assert sorted(built) == [(f"codequarry:{target}", target) for target in ("light", "transformers")]
    assert {filled(part["image"]) for part in parts} == {image for image, _ in built}
    assert {part.get("pull_policy") for part in parts} == {"never"}


def test_every_variable_of_our_parts_is_a_setting_and_every_one_of_the_image_too():
    known = {row.env for row in SETTINGS}
    for part in ours().values():
        assert set(part.get("environment", {})) <= known
    image = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    written = {name for line in re.findall(r"(?m)^ENV (.*)$", image) for name in re.findall(r"(\w+)=", line)}
    assert {name for name in written if name.startswith("CODEQUARRY_")}
    assert written <= known | _OF_THE_IMAGE


def test_every_command_of_our_parts_is_one_of_codequarry():
    called = set()
    for name, part in ours().items():
        words = [filled(word) for word in part["command"]]
        if "entrypoint" in part:
            assert part["entrypoint"][:2] == ["python", "-m"]
            assert part["entrypoint"][2] == certificates.__name__
            parts = {part.name: part.user for part in map(certificates.read_part, words[1:])}
            (service,) = re.findall(r"(?m)^USER (\d+):\d+$", DOCKERFILE.read_text(encoding="utf-8"))
            redis, _, _ = team()["services"]["redis"]["user"].partition(":")
            assert parts == {"elasticsearch": 1000, "redis": int(redis), "service": int(service)}
            assert {volume.partition(":")[2] for volume in part["volumes"]} == {
                f"/tls/{name}" for name in ("ca", *parts)
            }
            continue
        parser, _ = cli.build(cli.find(words[0]))
        parser.parse_args(words[1:])
        called.add((name, words[0]))
    assert called == {("service", "serve"), ("sync", "worker"), ("embed", "worker")}


def test_every_path_and_stage_that_the_image_is_built_from_exists():
    image = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    stages = re.findall(r"(?m)^FROM \S+ AS ([\w-]+)$", image)
    sources = []
    for line in re.findall(r"(?m)^COPY (.*)$", image):
        if line.startswith("--from="):
            assert line.split()[0].removeprefix("--from=") in stages
        else:
            sources += line.split()[:-1]
    assert {"pyproject.toml", "codequarry", "ingest"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    allowed = {line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert set(sources) == allowed
    for base in re.findall(r"(?m)^FROM (\S+)", image):
        assert base in [*stages, "${PYTHON}"]
    assert re.search(r"(?m)^ARG PYTHON=python:\d+\.\d+\.\d+-", image)
    extras = re.findall(r"'\.\[([\w,]+)\]'", image)
    assert extras == ["elasticsearch,service,workers", "transformers"]
    for build in (part["build"] for part in ours().values() if "build" in part):
        assert (COMPOSE / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]) == DOCKERFILE
        assert build["target"] in stages


def test_without_each_password_nothing_starts_and_the_example_gives_none():
    demanded = {name for name, kind, _ in variables(TEAM.read_text(encoding="utf-8")) if kind == ":?"}
    assert demanded == {"ELASTICSEARCH_ADMIN_PASSWORD", "ELASTICSEARCH_PASSWORD", "REDIS_PASSWORD"}
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [f"{name}=" for name in sorted(demanded)]


def test_the_example_names_every_variable_and_the_defaults_it_shows_are_those_of_the_file():
    text = TEAM.read_text(encoding="utf-8")
    assert all(kind in (":?", ":-") for _, kind, _ in variables(text))
    defaults = {name: default for name, kind, default in variables(text) if kind == ":-"}
    shown = dict(re.findall(r"(?m)^#(\w+)=(.*)$", EXAMPLE.read_text(encoding="utf-8")))
    assert set(shown) == set(defaults) | {"COMPOSE_PROFILES"}
    for name, value in shown.items():
        if name.endswith(("_MEMORY", "_CPUS", "_JOBS")):
            assert value == defaults[name]
    assert shown["COMPOSE_PROFILES"] in team()["services"]["embed"]["profiles"]


def test_every_part_is_limited_restarted_and_has_no_more_rights_than_it_needs():
    services = team()["services"]
    once = {"certificates", "access"}
    for name, part in services.items():
        assert part["mem_limit"], name
        assert part["cpus"], name
        assert part["cap_drop"] == ["ALL"]
        assert part["security_opt"] == ["no-new-privileges:true"]
        assert part["restart"] == ("no" if name in once else "unless-stopped")
        assert ("healthcheck" in part) == (name not in once)
        assert part.get("read_only", False) == (name not in {"elasticsearch", "access"})
        for other, how in part.get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if other in once else "service_healthy")
    assert [name for name, part in services.items() if part.get("user") == "0:0"] == ["certificates"]
    assert "USER 10001:10001" in DOCKERFILE.read_text(encoding="utf-8")


def test_only_the_service_is_reached_from_outside_and_by_default_from_this_host_alone():
    services = team()["services"]
    assert {name: [filled(port) for port in part["ports"]] for name, part in services.items() if "ports" in part} == {
        "service": ["127.0.0.1:8765:8765"]
    }
    assert team()["networks"]["inside"]["internal"] is True
    for name in ("elasticsearch", "redis", "access"):
        assert services[name]["networks"] == ["inside"]
    environment = services["service"]["environment"]
    assert environment["CODEQUARRY_ELASTICSEARCH_URL"].startswith("https://")
    assert environment["CODEQUARRY_REDIS_URL"].startswith("rediss://")
    assert environment["CODEQUARRY_TLS_KEY_FILE"]
    assert environment["CODEQUARRY_API_KEYS_FILE"]


def test_elasticsearch_is_the_version_that_the_suite_runs_against():
    images = {part["image"] for name, part in team()["services"].items() if name in ("elasticsearch", "access")}
    assert images == {f"docker.elastic.co/elasticsearch/elasticsearch:{servers.VERSION}"}


def test_what_holds_secrets_is_in_no_commit_image_or_package():
    ignored = Path(ROOT / ".gitignore").read_text().splitlines()
    assert {"/compose/.env", "/compose/credentials.env", "/compose/keys/"} <= set(ignored)
    image = (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines()
    assert {"compose/.env", "compose/credentials.env", "compose/keys"} <= set(image)
    assert image.index("!compose") < image.index("compose/.env")  # the last line that fits a path decides


def test_what_the_image_copies_is_enough_to_build_the_package(tmp_path):
    image = DOCKERFILE.read_text(encoding="utf-8")
    for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", image):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                hidden = shutil.ignore_patterns("__pycache__", ".env", "credentials.env", "keys")
                shutil.copytree(ROOT / source, tmp_path / target, symlinks=True, ignore=hidden)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    (tmp_path / ".git").mkdir()  # else hatchling looks for ignore files in the folders above
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for module in ("service/cli.py", "workers/__main__.py", "ingest/pipeline.py", "compose/certificates.py"):
        assert f"codequarry/{module}" in names
    assert any(name.startswith("codequarry/data/code/") for name in names)
