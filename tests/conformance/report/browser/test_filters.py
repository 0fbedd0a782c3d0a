# SPDX-License-Identifier: Apache-2.0
"""Filters, search, and the page of a vector: what they show, and that a view can be shared by its address."""

from pathlib import Path

import pytest
from selenium.webdriver.support.ui import Select

from bpf_isa.spec.table import isa

from .conftest import Chromium

ROWS = "#vectors tbody tr"


def headings(browser: Chromium, selector: str) -> list[str]:
    """The names of the rows that can be seen."""
    return [text.splitlines()[0] for text in browser.texts(f"{selector} th[scope=row]")]


def tick(browser: Chromium, name: str, value: str = "") -> None:
    browser.one(f"input[name={name}]" + (f"[value={value}]" if value else "")).click()


#: The cells that can be seen: their attributes, in order, and what is in them.
CELLS = """
return [...document.querySelectorAll("tbody tr:not([hidden]) td.cell")].map((cell) => {
  delete cell.dataset.href;
  return [[...cell.attributes].map(({name, value}) => [name, value]).sort(), cell.innerHTML];
});
"""


def test_cells_drawn_by_the_script_are_those_of_the_page(browser: Chromium, site: Path) -> None:
    """The look of cells is decided in two places: in Python for the page, in JavaScript for its filters."""
    for page in ("index.html", "instructions.html", "sections/4.1.html"):
        browser.open(site / page)
        delivered = browser.run(CELLS)
        tick(browser, "disagree")
        assert len(browser.run(CELLS)) < len(delivered)
        tick(browser, "disagree")
        assert browser.run(CELLS) == delivered


def test_rows_can_be_filtered_and_the_view_shared(browser: Chromium, site: Path) -> None:
    browser.open(site / "index.html")
    assert "base32" in headings(browser, ".matrix tbody")
    tick(browser, "failures")
    names = headings(browser, ".matrix tbody")
    assert names[0] == "All vectors" and "base64 includes base32" in names and "packet" not in names
    assert browser.hash == "#failures=1"
    for level in ("must", "interpretation", "abi", "extension"):
        tick(browser, "levels", level)
    assert browser.hash == "#failures=1&levels=robustness"
    assert headings(browser, ".matrix tbody") == [], "no runtime fails the vector of the level robustness"
    tick(browser, "failures")
    assert browser.texts(".matrix tbody tr:first-child td")[0].endswith("1/1")
    shared = browser.hash
    view = browser.texts(".matrix tbody")
    browser.open(site / "index.html", shared)
    assert browser.texts(".matrix tbody") == view
    browser.one("button[type=reset]").click()
    browser.until("location.hash === ''")
    assert browser.texts(".matrix tbody tr:first-child td")[0].endswith("10/10")


def test_instructions_can_be_searched_and_chosen_by_group(browser: Chromium, site: Path) -> None:
    browser.open(site / "instructions.html")
    browser.one("[name=q]").send_keys("atomic_fetch")
    assert {name.split()[0] for name in headings(browser, ".matrix tbody")} == {
        name for name in isa().by_name if name.startswith("ATOMIC_FETCH")
    }
    Select(browser.one("[name=group]")).select_by_visible_text("atomic32")
    assert {name.split()[0] for name in headings(browser, ".matrix tbody")} == {
        row.name for row in isa().instructions if row.name.startswith("ATOMIC_FETCH") and "atomic32" in row.groups
    }
    assert browser.hash == "#q=atomic_fetch&group=atomic32"


def test_vectors_can_be_found(browser: Chromium, site: Path) -> None:
    browser.open(site / "vectors.html")
    assert browser.one("#found").text == "10 vectors in 7 entries"
    assert headings(browser, ROWS)[:2] == ["All of these", "add64-x"]
    browser.one("[name=q]").send_keys("the sum wraps")
    browser.until("document.querySelector('#found').textContent === '2 vectors in 1 entry'")
    browser.one("[name=q]").send_keys(" carries")
    browser.until("document.querySelector('#found').textContent === '1 vector in 1 entry'")
    assert headings(browser, ROWS) == ["All of these", "add64-x/carries"]
    assert browser.hash == "#q=the+sum+wraps+carries"
    browser.one(f"{ROWS}:nth-child(2) a").click()
    browser.wait()
    assert browser.one("h1").text == "add64-x/carries"


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("#verdict=fail", ["add64-x/carries", "calls/local"]),
        ("#verdict=fail&runtime=clobbers", ["calls/local"]),
        ("#verdict=fail&runtime=reference", []),
        ("#disagree=1&group=base64", ["add64-x/carries", "calls/local"]),
        ("#group=atomic64", ["atomic-fetch-add64"]),
        ("#levels=interpretation,robustness", ["bswap16/source-bit-set", "calls/local"]),
        ("#section=4.3", ["calls/local"]),
        ("#instruction=STX_MEM_H", ["stx-mem-h/neighbours"]),
        ("#instruction=STX_MEM_H,CALL_LOCAL", ["stx-mem-h/neighbours", "calls/local"]),
        ("#requirement=rfc9669-4.1-add&verdict=unsupported&reason=group", ["add64-x"]),
    ],
)
def test_an_address_is_a_view(browser: Chromium, site: Path, address: str, names: list[str]) -> None:
    browser.open(site / "vectors.html", address)
    assert headings(browser, ROWS) == (["All of these", *names] if names else [])
    assert browser.hash == address
    if not names:
        assert browser.one("#found").text == "No vector is left: take a filter away."


def test_what_only_a_link_asks_for_can_be_taken_away(browser: Chromium, site: Path) -> None:
    browser.open(site / "vectors.html", "#instruction=STX_MEM_H&verdict=pass")
    (chip,) = browser.all("#chips button")
    assert chip.text.startswith("instruction: STX_MEM_H")
    chip.click()
    browser.until("location.hash === '#verdict=pass'")
    assert len(headings(browser, ROWS)) == 8


def test_a_cell_leads_to_what_did_not_pass(browser: Chromium, site: Path) -> None:
    browser.open(site / "index.html")
    browser.one(".matrix tbody tr:first-child td.fail a").click()
    browser.wait()
    assert browser.hash == "#runtime=i-no-carry-i&verdict=fail"
    assert headings(browser, ROWS) == ["All of these", "add64-x/carries"]
    # On the page of an instruction it is the list below that shows it.
    browser.open(site / "instructions" / "ADD64_X.html")
    assert headings(browser, ROWS) == ["All of these", "add64-x"]
    browser.one(".matrix td.fail a").click()
    browser.until("document.querySelectorAll('#vectors tbody tr').length === 2")
    browser.until("document.querySelector('#vectors tbody tr:last-child a').textContent === 'add64-x/carries'")


def test_a_vector_is_shown_with_all_that_tells_what_is_wrong(browser: Chromium, site: Path) -> None:
    browser.open(site / "vector.html", "#add64-x/carries")
    program = browser.texts(".program tbody tr")
    assert program[2] == "4 r0 += r1 0f 10 00 00 00 00 00 00"
    assert browser.texts(".program tr.subject")[0] == program[2]
    assert "The sum wraps at 64 bits." in browser.one("#vector").text
    assert browser.texts(".demands li")[0].endswith("rfc9669-4.1-add, RFC 9669 section 4.1")
    columns = browser.texts(".outcomes thead th")
    assert columns == ["expected", "reference", "big", "<i>no carry</i>", "clobbers", "claims"]
    rows = {row.text.split()[0]: row for row in browser.all(".outcomes tbody tr")}
    right, wrong = "0x100000000", "0x0000000000000000"
    # What is not said to be wrong is as expected; where nothing was returned there is nothing to show.
    assert rows["r0"].text.split() == ["r0", right, right, right, wrong, right]
    assert "the runtime does not claim base64" in rows["said"].text
    # The digit and the bit that differ are marked, and no other.
    assert [mark.text for mark in browser.all(".outcomes mark")] == ["0"]
    assert [mark.text for mark in browser.all(".bits mark")] == ["1", "0"]
    assert "1 bit differs" in browser.one(".bits p").text
    bits = browser.one(".bits div").text.split()
    assert bits == ["expected", *["00000000"] * 3, "00000001", *["00000000"] * 4]


def test_memory_is_compared_byte_by_byte(browser: Chromium, site: Path) -> None:
    browser.open(site / "vector.html", "#stx-mem-h/neighbours/order")
    assert "ff ff 34 12 ff ff ff ff" in browser.one(".outcomes").text
    assert "memory = ff ff 12 34 ff ff ff ff" in browser.one("#vector").text, "what big-endian runtimes must do"
    assert "8 bytes: ff ff ff ff ff ff ff ff" in browser.one("#vector dl").text


def test_keys_and_links_go_from_vector_to_vector(browser: Chromium, site: Path) -> None:
    browser.open(site / "vector.html", "#add64-x")
    assert browser.one("h1").text == "add64-x/carries", "of several cases, the first that fails is shown"
    browser.one("body").send_keys("k")
    browser.until("document.querySelector('h1').textContent === 'add64-x/wraps'")
    browser.one("body").send_keys("j")
    browser.until("document.querySelector('h1').textContent === 'add64-x/carries'")
    browser.one(".pager a:last-child").click()
    browser.until("document.querySelector('h1').textContent === 'add32-k/base32-only/small'")
    browser.driver.back()
    browser.until("document.querySelector('h1').textContent === 'add64-x/carries'")


def test_links_that_scripts_draw_lead_somewhere(browser: Chromium, site: Path) -> None:
    found: set[str] = set()
    for page in ("vectors.html", "vector.html#add64-x/carries", "vector.html#bswap16/source-bit-set"):
        path, _, fragment = page.partition("#")
        browser.open(site / path, f"#{fragment}")
        found |= set(browser.run("return [...document.querySelectorAll('main a')].map((one) => one.href)"))
    local = [link for link in found if link.startswith(site.resolve().as_uri())]
    assert len(local) > 20
    missing = [link for link in local if not Path(link.partition("#")[0].removeprefix("file://")).is_file()]
    assert missing == []
    elsewhere = {link.partition("#")[0] for link in found} - {link.partition("#")[0] for link in local}
    assert elsewhere == {"https://www.rfc-editor.org/rfc/rfc9669.html"}


def test_without_data_the_page_says_what_is_missing(
    browser: Chromium, bpf_isa: object, site: Path, tmp_path: Path
) -> None:
    for name in ("vectors.html", "static"):
        (tmp_path / name).symlink_to(site / name)
    browser.driver.get((tmp_path / "vectors.html").as_uri())
    browser.until("document.querySelector('#found').textContent.includes('data/index.js is missing')")
