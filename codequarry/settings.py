"""Every knob of codequarry, in one table: where it is read from, what it may be, what it means.

A setting is taken from its environment variable (`CODEQUARRY_` and its name in capitals), else from the nearest
`codequarry.toml` in the working directory or above it, else from its default. The table makes `docs/settings.md`. Every
start of the command line reads this module, so it imports little, and `tomllib` only when there is a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from codequarry.errors import SettingsError

FILE = "codequarry.toml"
PREFIX = "CODEQUARRY_"


class Setting(NamedTuple):
    """One row of the table. `kind`: text, path, place, url, count, number, size, flag, list; `default` as it would be written."""

    name: str
    kind: str
    default: str
    unit: str
    help: str
    choices: tuple[str, ...] = ()
    secret: bool = False  # its value never appears in a message

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data_dir",
        "path",
        "$XDG_DATA_HOME/codequarry, else ~/.local/share/codequarry",
        "folder",
        "Where the embedded index, the mirrors of remote repositories and downloaded models are kept.",
    ),
    Setting(
        "store",
        "place",
        "elasticsearch_url where that is set, else the folder index in data_dir",
        "folder or http(s) address",
        "The index: a folder for the embedded store, the address of a server for Elasticsearch.",
    ),
    Setting(
        "elasticsearch_url",
        "url",
        "",
        "http(s) address",
        "Elasticsearch server that holds the index, when store does not say another place.",
    ),
    Setting(
        "elasticsearch_index_prefix",
        "text",
        "codequarry",
        "name",
        "What the names of all indices in Elasticsearch begin with.",
    ),
    Setting(
        "elasticsearch_api_key",
        "text",
        "",
        "",
        "API key for Elasticsearch, in the encoded form that Kibana shows.",
        secret=True,
    ),
    Setting(
        "elasticsearch_ca_file",
        "place",
        "",
        "file",
        "Certificates (PEM) of the authorities that may vouch for Elasticsearch over https; empty: those of the system.",
    ),
    Setting(
        "model",
        "text",
        "code",
        "name",
        "The embedding model: code, code:FOLDER (`codequarry adapt`), static:FOLDER or transformers:NAME. An index has one model; "
        "changing it means indexing again.",
    ),
    Setting(
        "model_device",
        "text",
        "auto",
        "",
        "Where a sentence-transformers model runs; auto takes a GPU if there is one.",
        ("auto", "cpu", "cuda", "mps"),
    ),
    Setting(
        "ranking_weights",
        "place",
        "ranking-weights.json in data_dir",
        "file",
        "Weights of the ranking that `codequarry tune` writes; where there is no such file, those that ship are used.",
    ),
    Setting(
        "reranker",
        "text",
        "",
        "cross-encoder:NAME or late:NAME",
        "A model that reads the question with the best 20 hits and changes their order: a hub name or a folder; empty: none.",
    ),
    Setting(
        "reranker_weight",
        "number",
        "0.2",
        "",
        "How much the reranker counts beside the ranking: what one standard deviation of its scores adds to a hit's.",
    ),
    Setting("model_batch", "count", "64", "texts", "How many texts a sentence-transformers model embeds at once."),
    Setting(
        "workers",
        "count",
        "0",
        "processes",
        "How many processes cut and embed files while indexing; 0: as many as there are processors.",
    ),
    Setting(
        "max_file_bytes",
        "size",
        "1MiB",
        "bytes, or with KB, MB, KiB, MiB",
        "Larger files are left out, with a reason that `codequarry status --skipped` shows.",
    ),
    Setting(
        "include_generated",
        "flag",
        "false",
        "true or false",
        "Also index files that .gitattributes marks as generated or vendored.",
    ),
    Setting(
        "redis_url",
        "text",
        "",
        "redis:// or rediss:// address",
        "Redis that carries hints to the workers of a team; without it `codequarry serve` does the work itself. "
        "rediss://:PASSWORD@HOST:6379/0?ssl_ca_certs=FILE speaks TLS.",
        secret=True,
    ),
    Setting(
        "job_attempts",
        "count",
        "5",
        "runs",
        "So often a job is begun without an end or progress before it is left alone, with its error shown.",
    ),
    Setting("job_limit_s", "count", "3600", "seconds", "How long one run of a job may take before it is stopped."),
    Setting(
        "job_nice",
        "count",
        "10",
        "0 to 19",
        "How far jobs give way to other processes of the machine, as `nice` has it: so questions stay quick while indexing runs.",
    ),
    Setting(
        "local_repositories",
        "flag",
        "false",
        "true or false",
        "Let the service index repositories by path or file:// address, with this machine's git configuration: for one's own use.",
    ),
    Setting(
        "host",
        "text",
        "127.0.0.1",
        "address",
        "Where `codequarry serve` listens; others than this machine need api_keys.",
    ),
    Setting("port", "count", "8765", "", "The port where `codequarry serve` listens."),
    Setting(
        "tls_certificate_file",
        "place",
        "",
        "file",
        "With it and tls_key_file `codequarry serve` speaks TLS: its certificate (PEM), then those that lead to its authority.",
    ),
    Setting("tls_key_file", "place", "", "file", "The key (PEM, without a password) of tls_certificate_file."),
    Setting(
        "api_keys",
        "list",
        "",
        "comma-separated id:sha256:scopes",
        "Keys that callers of the service may use, as `codequarry keys new` prints them; without any, everyone is let in.",
        secret=True,
    ),
    Setting(
        "api_keys_file",
        "place",
        "",
        "file",
        "More keys, an entry a line, read anew when the file changes: a key whose line is removed opens nothing a second later.",
    ),
    Setting("api_key", "text", "", "", "The key with which a codequarry+http(s):// service is asked.", secret=True),
    Setting(
        "rate_limit",
        "count",
        "6000",
        "requests a minute",
        "How often one key (without keys: one address) may ask the service; 0: as often as it likes.",
    ),
    Setting(
        "request_timeout_s", "count", "20", "seconds", "How long the service works on one request before it gives up."
    ),
    Setting(
        "max_body_bytes",
        "size",
        "1MiB",
        "bytes, or with KB, MB, KiB, MiB",
        "The largest request that the service reads.",
    ),
    Setting(
        "search_threads",
        "count",
        "0",
        "threads",
        "How many requests the service works on at once; 0: as many as there are processors, twice as many with Elasticsearch.",
    ),
    Setting(
        "webhook_secret",
        "text",
        "",
        "",
        "Secret of the webhooks that are sent to /v1/webhooks/PROVIDER without an id: those of an organisation.",
        secret=True,
    ),
    Setting(
        "webhook_register",
        "flag",
        "false",
        "true or false",
        "Register a repository that such a webhook speaks of and that is not known, if allowed_hosts names its host.",
    ),
    Setting(
        "allowed_hosts",
        "list",
        "",
        "names or globs, comma-separated",
        "The only hosts that a service fetches from, like github.com or *.example.com; empty: every public one.",
    ),
    Setting(
        "private_hosts",
        "list",
        "",
        "names, globs or networks, comma-separated",
        "Hosts that a service may fetch from although their addresses are not public, like git.corp.example or 10.1.0.0/16.",
    ),
    Setting(
        "poll_interval_s",
        "count",
        "600",
        "seconds",
        "How often the service looks for pushes of which no webhook told it, give or take a fifth; 0: never.",
    ),
    Setting(
        "public_url",
        "url",
        "",
        "http(s) address",
        "The address under which forges reach the service, for `codequarry webhooks add`.",
    ),
)


@dataclass(frozen=True, repr=False)
class Settings:
    """The settings as read: one field for each row of `SETTINGS`. `file` is the codequarry.toml that was read, if any."""

    data_dir: Path
    store: str = ""  # where the index is: what `store.open_store` takes
    elasticsearch_url: str = ""
    elasticsearch_index_prefix: str = "codequarry"
    elasticsearch_api_key: str = ""
    elasticsearch_ca_file: str = ""
    model: str = "code"
    model_device: str = "auto"
    ranking_weights: str = ""
    reranker: str = ""
    reranker_weight: float = 0.2
    model_batch: int = 64
    workers: int = 0
    max_file_bytes: int = 1 << 20
    include_generated: bool = False
    redis_url: str = ""
    job_attempts: int = 5
    job_limit_s: int = 3600
    job_nice: int = 10
    local_repositories: bool = False
    host: str = "127.0.0.1"
    port: int = 8765
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    api_keys: tuple[str, ...] = ()
    api_keys_file: str = ""
    api_key: str = ""
    rate_limit: int = 6000
    request_timeout_s: int = 20
    max_body_bytes: int = 1 << 20
    search_threads: int = 0
    webhook_secret: str = ""
    webhook_register: bool = False
    allowed_hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()
    poll_interval_s: int = 600
    public_url: str = ""
    file: Path | None = None
    given: frozenset[str] = frozenset()  # names of those that someone wrote down, also where it is the default's value

    def __post_init__(self) -> None:
        if not self.store:
            object.__setattr__(self, "store", self.elasticsearch_url or str(self.data_dir / "index"))
        if not self.ranking_weights:
            object.__setattr__(self, "ranking_weights", str(self.data_dir / "ranking-weights.json"))

    def __repr__(self) -> str:
        secrets = {row.name for row in SETTINGS if row.secret}
        shown = (f"{name}={'***' if name in secrets and value else repr(value)}" for name, value in vars(self).items())
        return f"Settings({', '.join(shown)})"


def load(folder: str | Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings that hold in a folder (the working directory), with this environment (the process's).

    Raises:
        SettingsError: a value that cannot be used, an unknown name in the file, or a file that cannot be read.
    """
    env = os.environ if env is None else env
    start = Path(folder or ".").absolute()
    file = _nearest(start)
    written = _read(file) if file else {}
    values: dict[str, Any] = {}
    for row in SETTINGS:
        # An empty variable is an unset one: shells and compose files cannot easily leave one out.
        if given := env.get(row.env, ""):
            values[row.name] = _value(row, given, start, row.env)
        elif row.name in written and file is not None:
            values[row.name] = _value(row, written[row.name], file.parent, f"{row.name} in {file}")
    # The nearer answer to "where is the index" wins: a server named in the environment beats a store named in the file.
    if env.get("CODEQUARRY_ELASTICSEARCH_URL") and not env.get("CODEQUARRY_STORE"):
        values.pop("store", None)
    written_down = frozenset(values)
    if "data_dir" not in values:
        values["data_dir"] = _data_home(env)
    return Settings(**values, file=file, given=written_down)


def _data_home(env: Mapping[str, str]) -> Path:
    home = Path(env.get("XDG_DATA_HOME", ""))
    # The XDG specification: a relative path in the variable is to be ignored.
    return (home if home.is_absolute() else Path("~/.local/share").expanduser()) / "codequarry"


def _nearest(folder: Path) -> Path | None:
    for above in (folder, *folder.parents):
        if (above / FILE).is_file():
            return above / FILE
    return None


def _read(file: Path) -> dict[str, object]:
    import tomllib

    try:
        with file.open("rb") as stream:
            written = tomllib.load(stream)
    except OSError as error:
        raise SettingsError(
            f"cannot read {file}: {error.strerror}", name=FILE, hint="make it readable, or move it away"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file} is not TOML: {error}", name=FILE, hint='one setting a line, like: model = "code"'
        ) from error
    known = [row.name for row in SETTINGS]
    for name in written:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known settings: {', '.join(known)}"
            raise SettingsError(f"{file} has an unknown setting: {name}", name=name, hint=hint)
    return written


def _value(row: Setting, given: object, folder: Path, where: str) -> object:
    """The given value in the row's kind. Relative paths are meant from the folder where they are written."""
    allowed, convert = _KINDS[row.kind]
    try:
        value = convert(given, folder)
        if row.choices and value not in row.choices:
            raise ValueError
    except (ValueError, TypeError):
        allowed = f"one of {', '.join(row.choices)}" if row.choices else allowed
        shown = "its value" if row.secret else repr(_without_password(str(given)))
        raise SettingsError(f"{where}: {shown} is not {allowed}", name=row.env, hint=row.help) from None
    return value


def _without_password(text: str) -> str:
    before, at, after = text.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return f"{scheme}://***@{after}" if at and slashes else text


def _text(given: object, folder: Path) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given.strip()


def _path(given: object, folder: Path) -> Path:
    return folder / Path(_text(given, folder)).expanduser()


def _place(given: object, folder: Path) -> str:
    text = _text(given, folder)
    return text if "://" in text or not text else str(_path(text, folder))


def _url(given: object, folder: Path) -> str:
    text = _text(given, folder)
    scheme, slashes, rest = text.partition("://")
    if text and (scheme not in ("http", "https") or not slashes or not rest.strip("/")):
        raise ValueError
    return text


def _count(given: object, folder: Path) -> int:
    if isinstance(given, (bool, float)):
        raise TypeError
    number = int(given) if isinstance(given, int) else int(_text(given, folder))
    if not 0 <= number < 1 << 31:
        raise ValueError
    return number


def _number(given: object, folder: Path) -> float:
    if isinstance(given, bool):
        raise TypeError
    number = float(given) if isinstance(given, (int, float)) else float(_text(given, folder))
    if not 0 <= number < 1 << 31:  # neither is what is no number
        raise ValueError
    return number


_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1000,
    "kib": 1 << 10,
    "m": 10**6,
    "mb": 10**6,
    "mib": 1 << 20,
    "g": 10**9,
    "gb": 10**9,
    "gib": 1 << 30,
}


def _size(given: object, folder: Path) -> int:
    if isinstance(given, int):
        return _count(given, folder)
    text = _text(given, folder).lower()
    number = text.rstrip("bgikm ")
    unit = text[len(number) :].strip()
    if unit not in _UNITS:
        raise ValueError
    return _count(number, folder) * _UNITS[unit]


def _flag(given: object, folder: Path) -> bool:
    text = str(given).lower() if isinstance(given, bool) else _text(given, folder).lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise ValueError


def _list(given: object, folder: Path) -> tuple[str, ...]:
    items = given if isinstance(given, list) else _text(given, folder).split(",")
    return tuple(text for item in items if (text := _text(item, folder)))


_KINDS: dict[str, tuple[str, Callable[[object, Path], object]]] = {
    "text": ("a text", _text),
    "path": ("a path", _path),
    "place": ("a folder or an http(s) address", _place),
    "url": ("an address that begins with http:// or https://", _url),
    "count": ("a whole number from 0", _count),
    "number": ("a number from 0", _number),
    "size": ("a size in bytes, like 500000, 500KB or 1MiB", _size),
    "flag": ("true or false", _flag),
    "list": ("a list of texts (comma-separated in the environment)", _list),
}
