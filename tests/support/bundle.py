"""JavaScript of the examples as a page loads it: bundled by esbuild, with our SDK and the libraries of tests/web."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from tests.support.process import ROOT

MODULES: Final = ROOT / "tests" / "web" / "node_modules"
SDK: Final = ROOT / "clients" / "web" / "sdk" / "index.js"

_BUILD: Final = """
import { build } from "esbuild";
const [, options] = process.argv;
await build(JSON.parse(options));
"""


def bundle(entry: Path, out: Path) -> None:
    """Writes `entry` and all that it imports to `out`. CalledProcessError with esbuild's own words if it cannot."""
    options = {
        "entryPoints": [str(entry)], "outfile": str(out), "bundle": True, "format": "esm", "jsx": "automatic",
        "nodePaths": [str(MODULES)], "alias": {"broadcast-sync": str(SDK)}, "logLevel": "warning",
    }  # fmt: skip
    subprocess.run(
        ["node", "--input-type=module", "-e", _BUILD, json.dumps(options)],
        cwd=MODULES.parent, check=True, timeout=30,
    )
