"""`python -m codequarry`: the same as the command `codequarry`."""

from __future__ import annotations

from codequarry.service.cli import main

main()
