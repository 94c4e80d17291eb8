"""The whole way from `git push` to an answer, of real parts: bare repositories whose hook posts, the service, and its workers.

    push ─► post-receive ─► signed webhook ─► service ─► ledger (and Redis ─► worker) ─► store

Without Elasticsearch `codequarry serve` alone does all of it; with it there are a Redis and as many `codequarry worker` as wanted.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LIMIT_S = 300.0


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Of a service that keeps everything in a folder and may index repositories of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
    given = {"data_dir": str(folder / "data"), "local_repositories": "true", "rate_limit": "0"} | settings
    return kept | {f"CODEQUARRY_{name.upper()}": value for name, value in given.items()}


_HOOK = """#!{python} -IS
# Posts a push as GitHub does, one delivery a ref, signed.
import hashlib, hmac, http.client, json, os, subprocess, sys
head = subprocess.run(["git", "symbolic-ref", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
for line in sys.stdin:
    before, after, ref = line.split()
    repository = {{"id": {ident}, "name": {name!r}, "full_name": {name!r}, "clone_url": {url!r}, "default_branch": head}}
    body = json.dumps({{"ref": ref, "before": before, "after": after, "repository": repository}}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", {port}, timeout=60)
    connection.request("POST", {path!r}, body, {{
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": os.urandom(16).hex(),
        "X-Hub-Signature-256": "sha256=" + hmac.new({secret!r}.encode(), body, hashlib.sha256).hexdigest(),
    }})
    answer = connection.getresponse()
    if answer.status not in (200, 202):
        sys.exit(answer.read().decode())
"""


class Forge:
    """A bare repository at the forge, and a clone that is pushed from."""

    def __init__(self, bare: Path, clone: Path, tree: Path | None = None) -> None:
        """`clone`: one that is there already; or it is made of the files of a folder, `tree`."""
        self.bare, self.clone, self.repo = bare, clone, ""
        git(bare.parent, "init", "-q", "--bare", "-b", "main", str(bare))
        if tree is not None:
            shutil.copytree(tree, clone, ignore=shutil.ignore_patterns(".git"), symlinks=True)
            git(clone, "init", "-q", "-b", "main")
            git(clone, "add", "-A")
            git(clone, "commit", "-qm", "first")
            self.push("main")

    def answers_to(self, service: Service, repo: str) -> None:
        """Makes a webhook of the service for this repository, as `codequarry webhooks add` does, and the hook that posts to it."""
        self.repo = repo
        made = service.run("webhooks", "add", repo, "--provider", "github", "--json")
        hook = self.bare / "hooks" / "post-receive"
        ident = int.from_bytes(os.urandom(4))
        hook.write_text(
            _HOOK.format(
                python=sys.executable,
                ident=ident,
                name=self.bare.stem,
                url=self.bare.as_uri(),
                port=service.port,
                path=made["url"][made["url"].index("/v1/") :],
                secret=made["secret"],
            ),
            encoding="utf-8",
        )
        hook.chmod(0o755)

    def push(self, *arguments: str) -> None:
        """Pushes; when it returns the hook has posted."""
        git(self.clone, "push", "-q", str(self.bare), *arguments)

    def post(self) -> None:
        """Has the hook post though nothing was pushed, as a forge does for what is no push: another default branch."""
        nothing = f"{'0' * 40} {'0' * 40} refs/heads/nothing\n"
        subprocess.run([self.bare / "hooks" / "post-receive"], cwd=self.bare, input=nothing, text=True, check=True)

    def heads(self) -> dict[str, str]:
        """The branches at the forge and their commits."""
        lines = git(self.bare, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads").splitlines()
        return {branch: commit for commit, _, branch in (line.partition(" ") for line in lines)}


class Service:
    """`codequarry serve` in a process of its own, and the workers that it has."""

    def __init__(self, folder: Path, env: dict[str, str], workers: int = 0) -> None:
        self.folder, self.env = folder, env
        self._log = folder / "service.log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "codequarry"]
            serve = [*command, "serve", "--port", "0", "--quiet"]
            self._running = [subprocess.Popen(serve, env=env, cwd=folder, stdout=log, stderr=log)]
            work = [*command, "worker", "--concurrency", "1"]
            self._running += [
                subprocess.Popen(work, env=env, cwd=folder, stdout=log, stderr=log) for _ in range(workers)
            ]
        try:
            self.until(lambda: "REST" in self.said())
        except BaseException:
            self.close()
            raise
        self.port = int(self.said().partition("http://127.0.0.1:")[2].split()[0])
        self.pid = self._running[0].pid

    def said(self) -> str:
        """What service and workers have logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What REST answers.

        Raises:
            SystemExit: an error.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def run(self, *words: str) -> Any:
        """What a command prints as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "codequarry", *words], env=self.env, cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)

    def register(self, forge: Forge, branches: Sequence[str] = ()) -> None:
        """Registers the repository over REST and gives it its hook; returns when it is indexed."""
        asked = {"url": str(forge.bare), "branches": list(branches)}
        forge.answers_to(self, self.ask("POST", "/v1/repositories", asked)["repo"])
        self.follow(forge)

    def follow(self, forge: Forge) -> None:
        """Returns when nothing is left to do and all branches of the forge are indexed as they are there."""

        def done() -> bool:
            jobs = self.ask("GET", f"/v1/jobs?limit=1000&repo={forge.repo}")["jobs"]
            indexed = {job["branch"]: job["indexed"] for job in jobs if job["branch"]}
            return all(job["state"] == "done" for job in jobs) and indexed == forge.heads()

        self.until(done)

    def until(self, condition: Any) -> None:
        """Returns when the condition holds; looks again whenever 20 ms have passed.

        Raises:
            SystemExit: it took too long, or a process has ended.
        """
        end = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > end or any(process.poll() is not None for process in self._running):
                raise SystemExit(f"this does not come to be:\n{self.said()[-8000:]}")
            time.sleep(0.02)

    def close(self) -> None:
        """Ends service and workers."""
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(60)
            finally:
                process.kill()


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder."""
    command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()
