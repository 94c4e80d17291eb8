"""The pages that are made from the code: `docs/settings.md`, `docs/cli.md`, `docs/rest.md` and `docs/mcp.md`.

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
    return {"settings.md": settings_page(), "cli.md": command_page(), "rest.md": rest_page(), "mcp.md": mcp_page()}


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


def mcp_page() -> str:
    """Every tool for language models."""
    from codequarry.service.tools import MOST_TOKENS, TOOLS

    sections = []
    for tool in TOOLS:
        rows = []
        schema = tool.arguments.model_json_schema()
        for name, one in schema["properties"].items():
            kinds = [inner.get("type", "") for inner in one.get("anyOf", [one])]
            kind = " or ".join(_KINDS[kind] for kind in kinds if kind != "null")
            need = ", required" if name in schema.get("required", ()) else ""
            default = f" ({one['default']})" if one.get("default") not in (None, "", False) else ""
            rows.append(f"| `{name}` | {kind}{need}{default} | {one.get('description', '')} |")
        table = "\n".join(rows)
        sections.append(
            f"## {tool.name}\n\n{tool.description} Scope {tool.scope}.\n\n| argument | value | meaning |\n|---|---|---|\n{table}\n"
        )
    tools = "\n".join(sections)
    return f"""{_MADE}

# MCP

The index as tools for a language model. On one's own machine the client starts `codequarry mcp`:

```json
{{"mcpServers": {{"codequarry": {{"command": "codequarry", "args": ["mcp"]}}}}}}
```

A service has the same tools at `/mcp`, with the same keys as REST, and shows each key what it may see:

```json
{{"mcpServers": {{"codequarry": {{"url": "https://search.internal/mcp", "headers": {{"Authorization": "Bearer KEY"}}}}}}}}
```

Clients of the specification of 2026-07-28 (no handshake, `server/discover`) and of those from 2024-11-05 to 2025-11-25 are
served. There are no sessions: each request stands alone, and answers come as JSON, not as a stream.

Every answer has compact text and structured content of the same, neither longer than about {MOST_TOKENS:,} tokens; `next_cursor`
leads on. An argument that is not known is an error. An empty answer says why, an error what to do. Lines of code stand behind
their numbers, and characters that hide or reorder text are written as escapes.

{tools}"""


_KINDS = {"string": "text", "integer": "number", "boolean": "true or false", "array": "list of texts"}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
