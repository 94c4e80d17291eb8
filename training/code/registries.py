"""Brings packages from their registries through the registries' own clients, and reads what an archive says of itself.

Archives stay packed in the cache folder; `files` reads them in place. Nothing of a package is ever run or installed.
"""

from __future__ import annotations

import email.parser
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

MAX_FILE = 400_000  # bytes; longer sources are generated or bundled
_GITHUB = re.compile(r"github\.com[/:]([\w.-]+)/([\w.-]+)", re.IGNORECASE)


@dataclass
class Package:
    """One row of packages.tsv; `archives` are set by `fetch`, empty when the registry did not have it."""

    registry: str
    name: str
    version: str = "latest"
    licence: str = ""
    repository: str = ""
    archives: list[Path] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What names it among all registries' packages."""
        return f"{self.registry}/{self.name}"


def read_list(path: Path) -> list[Package]:
    rows = path.read_text(encoding="utf-8").splitlines()[1:]
    return [Package(*row.split("\t")[:5]) for row in rows if row.strip()]


def write_list(path: Path, packages: list[Package]) -> None:
    rows = ["registry\tname\tversion\tlicence\trepository"]
    rows += ["\t".join((p.registry, p.name, p.version, p.licence, p.repository)) for p in packages]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def fetch(packages: list[Package], cache: Path) -> None:
    """Downloads what the cache does not have yet, and sets `archives`; a version "latest" becomes the one that came."""
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    for registry, bring in _BRING.items():
        wanted = [package for package in packages if package.registry == registry]
        if wanted:
            bring(wanted, cache / registry)
            missing = [package.name for package in wanted if not package.archives]
            print(f"{registry}: {len(wanted) - len(missing)} packages" + (f", not found: {missing}" if missing else ""))


# ------------------------------------------------------------------------------------------------- one function a registry


def _each(bring: Callable[[Package, Path], None]) -> Callable[[list[Package], Path], None]:
    def run(packages: list[Package], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda package: bring(package, folder), packages))

    return run


def _pip(package: Package, folder: Path) -> None:
    target = folder / package.name
    pinned = "" if package.version == "latest" else f"=={package.version}"
    if not list(target.glob(f"*-{package.version}-*.whl")):
        arguments = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--dest", str(target)]
        _run([sys.executable, "-m", "pip", "download", "-q", *arguments, package.name + pinned])
    package.archives = sorted(target.glob("*.whl"))[:1]
    if package.archives:
        package.version = package.archives[0].name.split("-")[1]


def _npm(package: Package, folder: Path) -> None:
    target = folder / package.name.replace("/", "+")
    target.mkdir(exist_ok=True)
    if not list(target.glob(f"*-{package.version}.tgz")):
        _run(["npm", "pack", "--silent", "--pack-destination", str(target), f"{package.name}@{package.version}"])
    package.archives = sorted(target.glob("*.tgz"))[:1]
    if package.archives:
        about = json.loads(_member(package.archives[0], re.compile(r"[^/]+/package\.json")) or b"{}")
        package.version = about.get("version", package.version)


def _go(package: Package, folder: Path) -> None:
    environment = {"GOMODCACHE": str(folder), "GOFLAGS": "-modcacherw", "GONOSUMDB": "*", "GOTOOLCHAIN": "local"}
    said = _run(["go", "mod", "download", "-json", f"{package.name}@{package.version}"], environment, cwd=folder)
    if said and (about := json.loads(said)).get("Zip"):
        package.archives, package.version = [Path(about["Zip"])], about["Version"]


def _cargo(packages: list[Package], folder: Path) -> None:
    """All crates as the dependencies of one empty crate, without their features."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src" / "lib.rs").write_text("")
    lines = ['[package]\nname = "collection"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]']
    for package in packages:
        version = "*" if package.version == "latest" else f"={package.version}"
        lines.append(f'{package.name} = {{ version = "{version}", default-features = false }}')
    (folder / "Cargo.toml").write_text("\n".join(lines) + "\n")
    _run(["cargo", "fetch", "--manifest-path", str(folder / "Cargo.toml")], {"CARGO_HOME": str(folder / "home")})
    for package in packages:
        pattern = re.compile(re.escape(package.name) + r"-(\d[^/]*)\.crate")
        found = [path for path in folder.glob("home/registry/cache/*/*.crate") if pattern.fullmatch(path.name)]
        if found:
            # Another crate may depend on an older version: take the highest, as the "*" above did.
            best = max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name[len(package.name) :])])
            package.archives, package.version = [best], best.name[len(package.name) + 1 : -len(".crate")]


def _maven(packages: list[Package], folder: Path) -> None:
    """Source jars and POMs (with parents, which often hold the licence)."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {(*package.name.split(":"), package.version) for package in packages}
    _maven_copy([item for item in wanted if not _jar(folder, item).exists()], folder, "jar", "sources")
    poms = wanted
    for _ in range(4):
        _maven_copy([item for item in poms if not _pom(folder, item).exists()], folder, "pom", "")
        poms = {parent for item in poms if (parent := _parent(_pom(folder, item)))}
    for package in packages:
        group, artifact = package.name.split(":")
        jar = _jar(folder, (group, artifact, package.version))
        package.archives = [jar] if jar.exists() else []


def _jar(folder: Path, item: tuple[str, ...]) -> Path:
    return folder / f"{item[0]}.{item[1]}-{item[2]}-sources.jar"


def _pom(folder: Path, item: tuple[str, ...]) -> Path:
    return folder / f"{item[0]}.{item[1]}-{item[2]}.pom"


def _maven_copy(items: list[tuple[str, ...]], folder: Path, kind: str, classifier: str) -> None:
    """All in one run of the client; what it cannot find is left out and the rest tried again."""
    for _ in range(20):
        if not items:
            return
        rows = "".join(
            f"<artifactItem><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            f"<type>{kind}</type><classifier>{classifier}</classifier></artifactItem>"
            for group, artifact, version in sorted(items)
        )
        plugin = "<groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>"
        (folder / "pom.xml").write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>collection</groupId><artifactId>collection</artifactId>"
            f"<version>0</version><packaging>pom</packaging><build><plugins><plugin>{plugin}<configuration>"
            f"<artifactItems>{rows}</artifactItems></configuration></plugin></plugins></build></project>"
        )
        command = ["mvn", "-q", "-B", "-f", str(folder / "pom.xml"), "dependency:copy", "-Dmdep.prependGroupId=true"]
        done = subprocess.run([*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True)
        if not done.returncode:
            return
        missing = set(re.findall(r"([\w.-]+):([\w.-]+):(?:jar|pom)(?::\w+)?:([\w.-]+)", done.stdout + done.stderr))
        if not missing & set(items):
            print(f"mvn: {done.stdout[-500:]}", file=sys.stderr)
            return
        items = [item for item in items if item not in missing]


def _parent(pom: Path) -> tuple[str, ...] | None:
    if not pom.exists():
        return None
    parent = _xml(pom).find("{*}parent")
    if parent is None:
        return None
    return tuple((parent.findtext(f"{{*}}{part}") or "").strip() for part in ("groupId", "artifactId", "version"))


def _debian(packages: list[Package], folder: Path) -> None:
    """Source packages of the distribution that this machine is set up for; Debian serves one version of each."""
    for part in ("lists/partial", "archives/partial", "packages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    sources = "".join(
        path.read_text().replace("Types: deb\n", "Types: deb-src\n")
        for path in sorted(Path("/etc/apt/sources.list.d").glob("debian*.sources"))
    )
    (folder / "source.sources").write_text(sources)
    (folder / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{folder}/source.sources";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::lists "{folder}/lists";\nDir::Cache "{folder}";\n'
    )
    environment = {"APT_CONFIG": str(folder / "apt.conf")}
    _run(["apt-get", "-q", "update"], environment)

    def bring(package: Package) -> None:
        target = folder / "packages" / package.name
        target.mkdir(exist_ok=True)
        if not list(target.glob("*.dsc")):
            _run(["apt-get", "-q", "source", "--download-only", "--only-source", package.name], environment, target)
        package.archives = sorted(path for path in target.glob("*.tar.*") if not path.name.endswith(".asc"))
        for dsc in target.glob("*.dsc"):
            if found := re.search(r"^Version: (\S+)", dsc.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
                package.version = found[1]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(bring, packages))


_BRING: dict[str, Callable[[list[Package], Path], None]] = {
    "npm": _each(_npm),
    "go": _each(_go),
    "debian": _debian,
    "pypi": _each(_pip),
    "cargo": _cargo,
    "maven": _maven,
}


def _run(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """The standard output; empty, after a line on stderr, when the client failed."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})}, cwd=cwd)
    if done.returncode:
        print(f"{' '.join(command[:3])} … {command[-1]}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return ""
    return done.stdout


# ------------------------------------------------------------------------------------------------------ reading archives


def files(package: Package, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the files of a package that `wanted` accepts; paths without the archive's top folder."""
    for archive in package.archives:
        yield from _members(archive, wanted, package)


def _members(archive: Path, wanted: Callable[[str], bool], package: Package) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(archive):
        # A Go module's files lie below MODULE@VERSION/, those of wheels and jars at the top.
        prefix = f"{package.name}@{package.version}/" if package.registry == "go" else ""
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                name = info.filename.removeprefix(prefix)
                if not info.is_dir() and info.file_size <= MAX_FILE and wanted(name):
                    yield name, packed.read(info)
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            name = name if name.startswith("debian/") else name.partition("/")[2]
            if member.isfile() and member.size <= MAX_FILE and wanted(name):
                stream = tar.extractfile(member)
                if stream is not None:
                    yield name, stream.read()


def _member(archive: Path, pattern: re.Pattern[str]) -> bytes | None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if pattern.fullmatch(name):
                    return packed.read(name)
        return None
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if pattern.fullmatch(member.name.removeprefix("./")) and (stream := tar.extractfile(member)):
                return stream.read()
    return None


# ------------------------------------------------------------------------------------------------------------- what it says


def describe(package: Package) -> tuple[str, str]:
    """Licence (as the package states it, or as its licence text reads) and GitHub repository ("" when it names none)."""
    licence, repository = _DESCRIBE[package.registry](package)
    if not licence and not _debian_file(package, "copyright"):
        for archive in package.archives:
            text = _member(archive, re.compile(r"(?:.*/)?(?:LICEN[CS]E|COPYING)(?:[.-][\w.-]+)?", re.IGNORECASE))
            licence = licence or licence_of_text((text or b"").decode("utf-8", "replace"))
    return " ".join(licence.split()), repository


def licence_of_text(text: str) -> str:
    """The family of a licence text, "" when it is none of those known here."""
    flat = " ".join(text.split())
    for sign, name in (
        ("GNU AFFERO", "AGPL"),
        ("GNU LESSER GENERAL", "LGPL"),
        ("GNU GENERAL PUBLIC", "GPL"),
        ("Mozilla Public License", "MPL-2.0"),
        ("Apache License", "Apache-2.0"),
        ("Permission is hereby granted, free of charge", "MIT"),
        ("Permission to use, copy, modify, and/or distribute", "ISC"),
        ("Permission to use, copy, modify, and distribute", "ISC"),
        ("Redistribution and use in source and binary forms", "BSD"),
        ("Boost Software License", "BSL-1.0"),
    ):
        if sign.lower() in flat.lower():
            return name
    return ""


def _github(*texts: str) -> str:
    for text in texts:
        if found := _GITHUB.search(text):
            return f"{found[1]}/{found[2].removesuffix('.git')}"
    return ""


def _describe_pypi(package: Package) -> tuple[str, str]:
    raw = _member(package.archives[0], re.compile(r"[^/]+\.dist-info/METADATA")) or b""
    head = email.parser.Parser().parsestr(raw.decode("utf-8", "replace"))
    classes = [c.rpartition(" :: ")[2] for c in head.get_all("Classifier", []) if c.startswith("License ::")]
    licence = head.get("License-Expression") or "; ".join(classes) or (head.get("License") or "").strip()
    if len(licence) > 100:
        licence = licence_of_text(licence)
    links = [str(link) for link in head.get_all("Project-URL", [])] + [str(head.get("Home-page", ""))]
    wanted = re.compile("source|repo|code|github|home", re.IGNORECASE)
    return licence, _github(*sorted(links, key=lambda link: not wanted.search(link.partition(",")[0])))


def _describe_npm(package: Package) -> tuple[str, str]:
    about = json.loads(_member(package.archives[0], re.compile(r"[^/]+/package\.json")) or b"{}")
    licence, link = about.get("license", about.get("licenses", "")), about.get("repository", "")
    if isinstance(licence, list):
        licence = licence[0] if licence else ""
    licence = licence.get("type", "") if isinstance(licence, dict) else str(licence)
    link = link.get("url", "") if isinstance(link, dict) else str(link)
    short = re.fullmatch(r"(?:github:)?([\w.-]+/[\w.-]+)", link)
    return licence, short[1] if short else _github(link, str(about.get("homepage", "")))


def _describe_go(package: Package) -> tuple[str, str]:
    return "", _github(package.name) or package.name


def _describe_cargo(package: Package) -> tuple[str, str]:
    about = tomllib.loads((_member(package.archives[0], re.compile(r"[^/]+/Cargo\.toml")) or b"").decode())["package"]
    return str(about.get("license", "")), _github(str(about.get("repository", "")), str(about.get("homepage", "")))


def _describe_maven(package: Package) -> tuple[str, str]:
    group, artifact = package.name.split(":")
    item: tuple[str, ...] | None = (group, artifact, package.version)
    licence = repository = ""
    while item and not (licence and repository):
        pom = _pom(package.archives[0].parent, item)
        if not pom.exists():
            break
        root = _xml(pom)
        names = [name.text or "" for name in root.findall("{*}licenses/{*}license/{*}name")]
        links = [(root.findtext(f"{{*}}{path}") or "") for path in ("scm/{*}url", "scm/{*}connection", "url")]
        licence, repository = licence or "; ".join(names), repository or _github(*links)
        item = _parent(pom)
    return licence, repository


def _describe_debian(package: Package) -> tuple[str, str]:
    rules, source = debian_licences(package)
    main = next((licence for globs, licence in rules if "*" in globs), "")
    control = _debian_file(package, "control")
    homepage = re.search(r"^Homepage:\s*(\S+)", control, re.MULTILINE)
    return main, _github(source, homepage[1] if homepage else "", control)


def _debian_file(package: Package, name: str) -> str:
    for archive in package.archives:
        if ".debian.tar" in archive.name:
            return (_member(archive, re.compile(f"debian/{name}")) or b"").decode("utf-8", "replace")
    return ""


def debian_licences(package: Package) -> tuple[list[tuple[list[str], str]], str]:
    """(globs, licence) of each paragraph of a machine-readable debian/copyright, in order, the last match counts; and Source."""
    text = _debian_file(package, "copyright")
    rules: list[tuple[list[str], str]] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = {
            key.lower(): " ".join(value.split("\n\n")[0].split()) if key.lower() == "files" else value.strip()
            for key, value in re.findall(r"^([A-Za-z-]+):[ \t]*((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
        }
        if "files" in fields and "license" in fields:
            rules.append((fields["files"].split(), fields["license"].splitlines()[0].strip()))
    if not rules and text:  # an older form: one text for all
        rules = [(["*"], licence_of_text(text))]
    found = re.search(r"^Source:\s*(.*)", text, re.MULTILINE)
    return rules, found[1] if found else ""


def _xml(path: Path) -> ElementTree.Element:
    return ElementTree.fromstring(path.read_bytes())  # POMs from the registry's client, not from a stranger


_DESCRIBE: dict[str, Callable[[Package], tuple[str, str]]] = {
    "pypi": _describe_pypi,
    "npm": _describe_npm,
    "go": _describe_go,
    "cargo": _describe_cargo,
    "maven": _describe_maven,
    "debian": _describe_debian,
}
