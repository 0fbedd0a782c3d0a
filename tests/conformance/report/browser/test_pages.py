# SPDX-License-Identifier: Apache-2.0
"""The site in a browser: nothing fails, everyone can use it, on paper and on a phone too."""

import json
from pathlib import Path

import pytest

from ..conftest import BpfIsa, Json, write
from .conftest import Chromium

PAGES = [
    "index.html",
    "instructions.html",
    "vectors.html",
    "vector.html#add64-x/carries",
    "vector.html#stx-mem-h/neighbours/order",
    "vector.html#bswap16/source-bit-set",
    "vector.html#no/such-vector",
    "not-run.html",
    "history.html",
    "sections/4.1.html",
    "requirements/rfc9669-4.1-add.html",
    "requirements/rfc9669-2.1-widths.html",
    "instructions/ADD64_X.html",
    "instructions/LD_IMM64.html",
    "groups/base32.html",
    "runtimes/clobbers.html",
]


@pytest.fixture(scope="module")
def whole(bpf_isa: BpfIsa, measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with everything that a site can have: partial results and history, too."""
    folder = tmp_path_factory.mktemp("whole")
    data: Json = json.loads((measured / "r.json").read_text(encoding="utf-8"))
    data["suite"]["vectors"] = 1000
    past = folder / "past"
    past.mkdir()
    write(data, past / "one.json")
    assert bpf_isa("report", "--history", past, "--html", folder / "site").returncode == 0
    return folder / "site"


def open_page(browser: Chromium, site: Path, page: str) -> None:
    path, _, fragment = page.partition("#")
    browser.open(site / path, f"#{fragment}" if fragment else "")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_complaints(browser: Chromium, whole: Path, page: str) -> None:
    if page == "vector.html#no/such-vector":
        browser.open(whole / "vector.html", "#add64-x/wraps")
        browser.run("location.hash = 'no/such-vector'")
        browser.until("document.querySelector('#title').textContent === 'no/such-vector'")
        assert "look for it in the list of vectors" in browser.one("#vector").text
    else:
        open_page(browser, whole, page)
        assert browser.one("h1").is_displayed()
    assert browser.console() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", [page for page in PAGES if "such" not in page])
def test_nothing_serious_keeps_people_out(browser: Chromium, whole: Path, axe: str, page: str, dark: bool) -> None:
    browser.emulate(1280, 900, dark=dark)
    open_page(browser, whole, page)
    browser.run(axe)
    # What axe loads by itself a page from a file may not load.
    violations = browser.driver.execute_async_script(
        "axe.run({preload: false}).then(({violations}) => arguments[0](violations))"
    )
    grave = [one for one in violations if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in grave] == []


@pytest.mark.parametrize("page", [page for page in PAGES if "such" not in page])
def test_a_page_fits_a_phone(browser: Chromium, whole: Path, page: str) -> None:
    browser.emulate(360, 740, phone=True)
    open_page(browser, whole, page)
    wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "only tables scroll sideways, each in its own frame"


def test_a_page_prints_without_what_only_a_screen_needs(browser: Chromium, whole: Path) -> None:
    browser.emulate(800, 1100, media="print")
    open_page(browser, whole, "vector.html#add64-x/carries")
    assert browser.texts(".top nav, #theme, .pager, .filters") == []
    assert "r0 += r1" in browser.one(".program").text
    browser.emulate(1280, 900)
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert len(printed["data"]) > 10_000


def test_the_theme_can_be_chosen_and_is_kept(browser: Chromium, whole: Path) -> None:
    open_page(browser, whole, "index.html")
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(colour)
    assert browser.one("#theme").text == "Theme: auto"
    browser.one("#theme").click()
    assert browser.one("#theme").text == "Theme: light"
    browser.one("#theme").click()
    assert browser.one("#theme").text == "Theme: dark"
    assert browser.run(colour) != light
    open_page(browser, whole, "not-run.html")
    assert browser.run(colour) != light, "another page is dark too"
    browser.one("#theme").click()
    assert browser.run(colour) == light


def test_the_keyboard_reaches_everything(browser: Chromium, whole: Path) -> None:
    open_page(browser, whole, "instructions.html")
    active = "return document.activeElement.textContent || document.activeElement.name"
    browser.one("body").send_keys("\ue004")
    assert browser.run(active) == "Skip to the content"
    browser.one("body").send_keys("/")
    assert browser.run("return document.activeElement.name") == "q"
    unreachable = browser.run(
        "return [...document.querySelectorAll('.scroll')].filter((one) => one.tabIndex < 0 || !one.ariaLabel).length"
    )
    assert unreachable == 0, "what scrolls can be scrolled without a mouse"
