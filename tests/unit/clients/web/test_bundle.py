"""The phone's modules as one script: it says what they say, in their order, each once."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from clients.web.bundle import bundle
from clients.web.routes import routes


def put_together(**modules: str) -> bytes:
    return bundle("main.js", lambda path: modules[path.removesuffix(".js")].encode())


async def served(path: str) -> str:
    async with AsyncClient(transport=ASGITransport(Starlette(routes=routes())), base_url="http://test") as http:
        return (await http.get(path)).text


def said(script: bytes, folder: Path) -> str:
    file = folder / "made.mjs"
    file.write_bytes(script)
    return subprocess.run(["node", str(file)], capture_output=True, text=True, check=True, timeout=20).stdout


def test_modules_run_once_in_order_with_names_of_their_own(tmp_path: Path) -> None:
    script = put_together(
        base='const KEY = 1;\nconsole.log("base");\nexport const one = KEY;\nexport function two() {\n  return 2;\n}\n',
        side='/** A comment\n * over lines. */\nimport { one as first } from "./base.js";\n// gone\nconst KEY = 5;\n'
        'export class Side {\n  sum = first + KEY;\n}\nexport { two, one as uno } from "./base.js";\n',
        main='import {\n  Side, two,\n  uno,\n} from "./side.js";\nimport { one } from "./base.js";\n'
        'console.log(new Side().sum, two(), uno, one, "https://a/*b*/"); // stays\n',
    )
    assert said(script, tmp_path) == "base\n6 2 1 1 https://a/*b*/\n"
    assert b"A comment" not in script
    assert b"gone" not in script


@pytest.mark.parametrize(
    "line",
    ['import all from "./base.js";', 'import * as all from "./base.js";', 'import "./base.js";', "export default 1;",
     "export let moving = 1;", 'const x = await import("./base.js");',
     'import { a b } from "./base.js";'],
)  # fmt: skip
def test_what_it_does_not_know_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="cannot bundle"):
        put_together(base="export const a = 1;\n", main=f"{line}\n")


def test_circles_and_missing_modules_are_errors() -> None:
    with pytest.raises(ValueError, match="import each other"):
        put_together(base='import { a } from "./main.js";\n', main='import { b } from "./base.js";\n')
    with pytest.raises(KeyError, match="none"):
        put_together(main='import { b } from "./none.js";\n')


def test_the_phone_page_gets_one_script_that_can_be_read(tmp_path: Path) -> None:
    script = asyncio.run(served("/web/phone.js"))
    assert not [line for line in script.splitlines() if line.startswith(("import", "export"))]
    assert "class BroadcastSync" in script
    file = tmp_path / "phone.mjs"
    file.write_text(script)
    subprocess.run(["node", "--check", str(file)], check=True, timeout=20)
