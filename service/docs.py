"""The pages that are made from the code: `docs/settings.md`, `docs/cli.md` and `docs/rest.md`.

`python -m codequarry.service.docs` writes them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from codequarry.service.cli import COMMANDS, build, overview
from codequarry.settings import FILE, SETTINGS

_MADE = "<!-- Made by `python -m codequarry.service.docs`; a test checks that it is current. -->"


def pages() -> dict[str, str]:
    """The text of each page, by its name in `docs/`."""
    return {"settings.md": settings_page(), "cli.md": command_page(), "rest.md": rest_page()}


def settings_page() -> str:
    """Every setting, as a table."""
    rows = []
    for row in SETTINGS:
        default = f"`{row.default}`" if row.default and " " not in row.default else row.default
        unit = ", ".join(f"`{choice}`" for choice in row.choices) or row.unit
        rows.append(f"| `{row.name}` | `{row.env}` | {default} | {unit} | {row.help} |")
    table = "\n".join(rows)
    return f"""{_MADE}

# Settings

A setting is taken from its environment variable, else from the nearest `{FILE}` in the working directory or above it, else
from its default. An empty variable is an unset one. A relative path is meant from the folder where it is written: that of the
file, or the working directory. `codequarry doctor` says which file was read.

```toml
# {FILE}
model = "code"
max_file_bytes = "2MB"
include_generated = true
```

| in `{FILE}` | environment | default | value | meaning |
|---|---|---|---|---|
{table}

The index is where `store` says, else at `elasticsearch_url`, else in the folder `index` of `data_dir`; `--store` on the command
line goes before all of them.
"""


def command_page() -> str:
    """The help of every command."""
    sections = [f"{_MADE}\n\n# The command line\n\n```text\n{overview()}```\n"]
    for command in COMMANDS:
        parser, _ = build(command)
        sections.append(f"## codequarry {command.name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(sections)


def rest_page() -> str:
    """Every route of the service, with examples."""
    from codequarry.service.app import create_app
    from codequarry.service.restdocs import markdown_page
    from codequarry.settings import Settings

    return markdown_page(create_app(Settings(Path("unused"))).openapi())


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
