"""The real command, in a process of its own, on real repositories."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path


class Command:
    """`codequarry` with a data folder and a working directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
        self.env = kept | {"CODEQUARRY_DATA_DIR": str(self.data), "TERM": "xterm", "PYTHONWARNDEFAULTENCODING": "1"}
        for name in ("NO_COLOR", "COLUMNS"):
            self.env.pop(name, None)

    def start(self, *words, env=None, **options):
        command = [sys.executable, "-m", "codequarry", *map(os.fspath, words)]
        return subprocess.Popen(command, cwd=self.home, env=self.env | (env or {}), **options)

    def __call__(self, *words, stdin: bytes = b"", env=None):
        """Runs it to its end; output and errors as text, bytes that are not UTF-8 as surrogates."""
        process = self.start(*words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=120)
        decoded = [data.decode("utf-8", "surrogateescape") for data in (out, err)]
        return subprocess.CompletedProcess(words, process.returncode, *decoded)

    def json(self, *words, code=0):
        done = self(*words, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def on_terminal(self, *words, env=None, until=None):
        """Runs it on a pseudo-terminal of 80 columns; its exit status and what it wrote. `until` is called after each read."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        process = self.start(*words, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        written = b""
        while select.select([ours], [], [], 120)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            written += data
            if until:
                until(written.decode("utf-8", "replace"), process)
        os.close(ours)
        return process.wait(120), written.decode("utf-8", "replace")


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    run = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return run.stdout.strip()


FILES = {
    "src/client.py": (
        "class Client:\n"
        '    """Talks to the payment service."""\n'
        "\n"
        "    def charge(self, amount):\n"
        "        return self.retry(lambda: self.post(amount), attempts=3)\n"
        "\n"
        "    def retry(self, call, attempts):\n"
        "        for attempt in range(attempts):\n"
        "            try:\n"
        "                return call()\n"
        "            except ConnectionError:\n"
        "                continue\n"
    ),
    "src/parse.go": (
        "package parse\n\n// ParseConfig reads the configuration file.\nfunc ParseConfig(path string) error {\n\treturn nil\n}\n"
    ),
    "README.md": "# Payments\n\nCharges cards and retries when the connection breaks.\n",
}


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def repository(folder: Path, files: dict[str, str | bytes]) -> Path:
    fill(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", f"https://example.org/acme/{folder.name}.git")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder
