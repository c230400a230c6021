"""axe-core in a page of ours: what in it stands in the way of people who do not see it or who use no mouse."""

from __future__ import annotations

from typing import Any, Final

from playwright.async_api import Page

from tests.support.process import ROOT

SOURCE: Final = ROOT / "tests" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""WCAG 2.2 at level AA, and what axe holds to be good practice beyond it."""
SERIOUS: Final = frozenset({"serious", "critical"})

_RUN: Final = """async ([tags, without]) => {
  const about = { exclude: without.map((selector) => [selector]) };
  const { violations } = await axe.run(about, { runOnly: tags, resultTypes: ["violations"] });
  return violations.map(({ id, impact, nodes }) => ({
    id, impact, nodes: nodes.map((node) => ({ target: node.target.join(" "), why: node.failureSummary })),
  }));
}"""


async def findings(page: Page, *, without: tuple[str, ...] = (), impacts: frozenset[str] = SERIOUS) -> list[str]:
    """What axe-core finds in the page as it stands now, of these impacts, one text for each element; empty when all is
    well. Elements that match a selector of `without` are left out. Motion should have come to rest: a colour on its way
    is judged as it is.

    Works in spite of the page's Content-Security-Policy, and looks into open shadow roots.
    """
    if not await page.evaluate("typeof axe === 'object'"):
        assert SOURCE.exists(), "no axe-core: `make clients` installs it"
        await page.evaluate(SOURCE.read_text())
    found: list[dict[str, Any]] = await page.evaluate(_RUN, [TAGS, list(without)])
    return [
        f"{rule['impact']} {rule['id']}: {node['target']}: {node['why']}"
        for rule in found if rule["impact"] in impacts for node in rule["nodes"]
    ]
