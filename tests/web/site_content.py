"""Something to look at: an index of a few small repositories, published to whichever store is given."""

from __future__ import annotations

from builders import EMBEDDER, RECIPE, publish
from commandline import FILES

from codequarry.types import Skipped, Source

SHOP = Source("example.org/acme/shop", "main")
SHOP_DEV = Source("example.org/acme/shop", "dev")
COPY = Source("example.org/acme/copy", "main")
VAULT = Source("example.org/acme/vault", "main")  # for the group staff alone

_LONG = "".join(
    f"def step_{number}(value):\n    # the next step\n    return value + {number}\n\n" for number in range(1, 31)
).replace("    # the next step\n    return value + 15", "    # an invoice is rounded here\n    return round(value, 15)")

_JOBS = {
    f"jobs/job_{number:02}.py": f"def backoff_{number}(seconds):\n    return seconds * {number}\n"
    for number in range(14)
}

CONTENT = FILES | _JOBS | {"src/long.py": _LONG, "settings.toml": "[retry]\nattempts = 3\n"}


def fill(store) -> None:
    """Publishes the repositories."""
    store.prepare(EMBEDDER, RECIPE)
    skipped = [Skipped("logo.bin", "binary"), Skipped("dist/app.js", "generated", "marked in .gitattributes")]
    publish(store, SHOP, CONTENT, lines=20, skipped=skipped, web="https://github.com/acme/shop")
    publish(store, SHOP_DEV, FILES | {"src/new.py": "def jitter():\n    return 0\n"}, lines=20, default=False)
    publish(store, COPY, {"lib/client.py": FILES["src/client.py"]}, lines=20)
    publish(store, VAULT, {"vault.py": "def unlock(door):\n    # retry the door\n    return door\n"}, access=("staff",))
    store.close()
