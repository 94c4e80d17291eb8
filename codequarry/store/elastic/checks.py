"""What `codequarry doctor` says of an Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from codequarry.errors import CodequarryError
from codequarry.store.elastic import mapping
from codequarry.store.elastic.client import Client
from codequarry.store.elastic.ledger import rows
from codequarry.store.elastic.mapping import Names
from codequarry.types import Check


def check(client: Client, names: Names) -> list[Check]:
    """One line for each part; a part that cannot be looked at is a line too, and ends the look at those behind it."""
    found: list[Check] = []
    looks: list[tuple[str, Callable[[Client, Names], Iterator[Check]]]] = [
        ("elasticsearch", _server),
        ("elasticsearch disk", _disk),
        ("index", _index),
        ("sources", _sources),
    ]
    for part, look in looks:
        try:
            found += look(client, names)
        except CodequarryError as error:
            found.append(Check(part, False, error.message, error.hint))
            break
        except Exception as error:  # an answer of a shape that nobody foresaw must not hide the other lines
            found.append(Check(part, False, f"{type(error).__name__}: {error}", "please report this"))
    return found


def _server(client: Client, names: Names) -> Iterator[Check]:
    version = mapping.server_version(client)
    says = f"{'.'.join(map(str, version))} at {client.url}"
    mapping.require(version, client.url)
    first, fixed = mapping.BROKEN
    if first <= version < fixed:
        yield Check(
            "elasticsearch",
            False,
            f"{says}: its copies can diverge under load, and filters can hit falsely",
            "upgrade to 9.5.3 or later",
        )
        return
    status, health = client.call("GET", "/_cluster/health", allow=(403, 404, 405))
    if status == 200 and health.get("status") == "red":
        yield Check("elasticsearch", False, f"{says}: some shards are missing", "see GET /_cluster/allocation/explain")
    else:
        yield Check("elasticsearch", True, says)


def _disk(client: Client, names: Names) -> Iterator[Check]:
    path = f"/{names.prefix}-*/_settings/index.blocks.*?flat_settings=true"
    _, answer = client.call("GET", path, allow=(403, 404, 405))
    blocked = sorted(
        {
            f"{name} on {index}"
            for index, body in answer.items()
            if isinstance(body, dict)
            for name, value in body.get("settings", {}).items()
            if str(value) == "true"
        }
    )
    if blocked:
        hint = (
            "free or add disk space on the server" if "read_only_allow_delete" in str(blocked) else "remove the block"
        )
        yield Check("elasticsearch disk", False, f"writing is blocked: {', '.join(blocked)}", hint)


def _index(client: Client, names: Names) -> Iterator[Check]:
    model = mapping.found_model(client, names)
    if model is None:
        yield Check("index", False, f"nothing is indexed under {names.prefix}-*", "codequarry index PATH")
        return
    if wrong := mapping.differences(client, names, model):
        yield Check(
            "index", False, f"fields differ from what this version makes: {', '.join(wrong)}", "index again elsewhere"
        )
        return
    count = client.call("GET", f"/{names.chunks}/_count")[1]["count"]
    having = {"query": {"exists": {"field": "vector"}}}
    vectors = client.call("POST", f"/{names.chunks}/_count", having)[1]["count"]
    if vectors != count:
        yield Check("index", False, f"{count - vectors} of {count} chunks have no vector", "index again")
    else:
        yield Check("index", True, f"{count} chunks, model {model.name} ({model.dim} dimensions)")


def _sources(client: Client, names: Names) -> Iterator[Check]:
    if mapping.found_model(client, names) is None:
        return
    there = [row for row in rows(client, names) if not row.forgotten]
    if open_ := [str(row.source) for row in there if row.building]:
        yield Check(
            "sources", True, f"{len(there)} sources; not finished: {', '.join(open_)}", "codequarry index goes on"
        )
    elif there:
        yield Check("sources", True, f"{len(there)} sources, all published")
