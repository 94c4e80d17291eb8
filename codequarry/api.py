"""`connect()`: the `CodeSearch` over whatever a location names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.settings import Settings, load

if TYPE_CHECKING:
    from codequarry.code_search import CodeSearch


def connect(
    location: str | Path | None = None,
    *,
    model: str | None = None,
    settings: Settings | None = None,
    create: bool = True,
    api_key: str = "",
) -> CodeSearch:
    """A `CodeSearch` over the index at `location`: a folder, the address of an Elasticsearch, or of a codequarry service.

    The address of a service is `codequarry+http(s)://…`; `api_key` is the key for it, else the setting of that name.

    Without a location the settings say where (environment, `codequarry.toml`, else the user's data folder). `model` names the
    embedding model of a new index; an index that exists has its own.

    Raises:
        IndexMissing: there is no index and `create` is False.
        StoreError: the store cannot be reached.
    """
    settings = settings or load()
    place = str(location) if location is not None else settings.store
    if place.startswith(("codequarry+http://", "codequarry+https://")):
        from codequarry.remote import RemoteCodeSearch

        return RemoteCodeSearch(place, settings, api_key=api_key)
    from codequarry.code_search import CodeSearch
    from codequarry.store import open_store

    return CodeSearch(open_store(place, create=create, settings=settings), settings, model=model)
