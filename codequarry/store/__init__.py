"""The two stores behind one contract (`codequarry.ports.Store`), and the one place that chooses between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import BadInput

if TYPE_CHECKING:
    from codequarry.ports import Ledger, Store
    from codequarry.settings import Settings


def open_store(location: str, *, create: bool = False, settings: Settings | None = None) -> Store:
    """The store at a location: a folder is an embedded index, `http(s)://…[?prefix=NAME]` is Elasticsearch.

    Names of indices and the API key of Elasticsearch are those of the settings. Only the store that is asked for is imported.

    Raises:
        BadInput: the location is neither, or is reserved.
        NotReady: there is no index there (unless `create`), or one that this version does not read.
        Upstream: the store failed.
    """
    scheme, slashes, _ = location.partition("://")
    if not slashes:
        return _embedded(location, create)
    if scheme in ("http", "https"):
        return _elastic(location, create, settings)
    if scheme in ("codequarry+http", "codequarry+https"):
        raise BadInput(
            f"{scheme}:// is reserved for the address of a codequarry service, which this version cannot use as a store",
            hint="give the folder of an embedded index, or the http(s) address of Elasticsearch",
        )
    raise BadInput(
        f"{scheme}:// is no address of a store", hint="give a folder, or the http(s) address of Elasticsearch"
    )


def open_ledger(location: str, settings: Settings | None = None) -> Ledger:
    """The ledger of background work that belongs to the index at a location, as `open_store` takes it; made if there is none.

    Raises:
        BadInput: the location is neither a folder nor an http(s) address.
        NotReady: it was written by another version.
        Upstream: it cannot be read.
    """
    from codequarry.store.work.ledger import ATTEMPTS, RowLedger

    attempts = settings.job_attempts if settings is not None else ATTEMPTS
    if location.partition("://")[0] in ("http", "https"):
        from codequarry.store.elastic.client import Client
        from codequarry.store.elastic.work import ElasticRows

        address, prefix = _prefix_of(location)
        prefix = prefix or (settings.elasticsearch_index_prefix if settings is not None else "codequarry")
        key = settings.elasticsearch_api_key if settings is not None else ""
        ca_file = settings.elasticsearch_ca_file if settings is not None else ""
        return RowLedger(ElasticRows(Client(address, key, ca_file), prefix), attempts)
    if not location or "://" in location:
        raise BadInput(
            f"{location!r} is no address of a store", hint="give a folder, or the http(s) address of Elasticsearch"
        )
    from codequarry.store.embedded.ledger import SqliteRows

    return RowLedger(SqliteRows(Path(location).expanduser().absolute()), attempts)


def _embedded(location: str, create: bool) -> Store:
    if not location:
        raise BadInput(
            "the location of the store is empty", hint="give a folder, or the http(s) address of Elasticsearch"
        )
    path = Path(location).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file; an embedded index is a folder", hint="give another folder with --store")
    from codequarry.store.embedded import EmbeddedStore

    return EmbeddedStore(path, create=create)


def _elastic(location: str, create: bool, settings: Settings | None) -> Store:
    from codequarry.store.elastic import ElasticStore

    location, prefix = _prefix_of(location)
    options: dict[str, str] = {"prefix": prefix} if prefix else {}
    if settings is not None:
        known = {"prefix": settings.elasticsearch_index_prefix, "api_key": settings.elasticsearch_api_key}
        options = known | {"ca_file": settings.elasticsearch_ca_file} | options
    return ElasticStore(location, create=create, **options)


def _prefix_of(location: str) -> tuple[str, str]:
    """The address without `?prefix=NAME`, and the name: several indexes on one server."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(location)
    asked = parse_qs(parts.query, keep_blank_values=True)
    if asked.keys() - {"prefix"}:
        raise BadInput(
            f"the address {location!r} has the parameter {min(asked.keys() - {'prefix'})!r}",
            hint="the only one is prefix, the beginning of the names of the indices: http://host:9200?prefix=team",
        )
    return parts._replace(query="").geturl(), asked.get("prefix", [""])[0]
