"""The JavaScript SDK as npm packs it, as an app installs it, as TypeScript reads it."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from tests.support.process import ROOT

SDK = ROOT / "clients" / "web" / "sdk"
WEB = ROOT / "tests" / "web"
TSC = WEB / "node_modules" / "typescript" / "bin" / "tsc"
STRICT = {
    "compilerOptions": {
        "strict": True, "noEmit": True, "target": "es2022", "module": "nodenext", "moduleResolution": "nodenext",
        "lib": ["es2022", "dom"], "types": [], "exactOptionalPropertyTypes": True, "noUncheckedIndexedAccess": True,
    },
    "files": ["example.ts", "golden.ts"],
}


async def run(*command: str | Path, cwd: Path) -> str:
    """Its output; fails with it if the command does."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    return output


@pytest.fixture
async def app(tmp_path: Path) -> Path:
    """The folder of an app that has the package in its node_modules."""
    packing = ("npm", "pack", "--json", "--silent", "--pack-destination", tmp_path, SDK)
    packed = json.loads(await run(*packing, cwd=tmp_path))
    with tarfile.open(tmp_path / packed[0]["filename"]) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "unpacked" / "package").rename(tmp_path / "node_modules" / "broadcast-sync")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


async def test_the_package_has_its_modules_its_types_and_nothing_else(app: Path) -> None:
    package = app / "node_modules" / "broadcast-sync"
    modules = {path.name for path in SDK.glob("*.js")}
    assert {path.name for path in package.iterdir()} == modules | {"index.d.ts", "package.json", "README.md", "LICENSE"}
    names = "Object.keys(await import('broadcast-sync')).sort().join()"
    exported = await run("node", "--input-type=module", "--eval", f"console.log({names})", cwd=app)
    assert exported.strip() == "BroadcastSync,Refusal,closeWords,plainWords"


async def test_its_types_hold_an_app_and_every_golden_message(app: Path) -> None:
    assert TSC.exists(), "no typescript: `make test` installs it"
    golden = (ROOT / "tests" / "golden" / "messages.json").read_text()
    (app / "example.ts").write_text((WEB / "example.ts").read_text())
    # a literal may have no field that its type does not know, and every type must have its message
    (app / "golden.ts").write_text(
        'import type { Messages } from "broadcast-sync";\n'
        "type Golden = { [K in keyof Messages]: { type: K; data: Messages[K]; timestamp: string; channel: string } };\n"
        f"export const golden: Golden = {golden};\n"
    )
    (app / "tsconfig.json").write_text(json.dumps(STRICT))
    await run("node", TSC, "--project", app, cwd=app)
