# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa export``: the whole suite as JSON Lines, for projects without Python."""

from __future__ import annotations

from pathlib import Path

import click

from .echo import echo
from .options import paths_option, tier_option


@click.command(short_help="Write the whole suite as JSON Lines.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@paths_option("--vectors", help="Vector files, or folders of them, to export instead of the suite.")
@tier_option()
def export(folder: Path, paths: tuple[Path, ...], tier: str) -> None:
    """Write every vector, or those of a tier, expanded and assembled for both byte orders, into DIR.

    DIR gets vectors.jsonl with one vector per line, manifest.json with counts and a digest, and the JSON Schema of a
    line. The same vectors give the same bytes.
    """
    from ..results import export as exporting
    from ..suite.suite import load_tier

    manifest = exporting.export(load_tier(tier, paths), folder, tier)
    file = manifest["file"]
    echo(f"{folder / file['name']}: {manifest['vectors']:,} vectors, {file['bytes']:,} bytes")
    echo(f"sha256:{file['sha256']}")
