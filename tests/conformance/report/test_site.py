# SPDX-License-Identifier: Apache-2.0
"""The site as files: its numbers, its links, and what it never mixes."""

import copy
from pathlib import Path
from urllib.parse import parse_qs, urldefrag

import pytest

from bpf_isa.conformance.report.sections import ABOUT, address, ordered
from bpf_isa.spec.requirements import load_requirements
from bpf_isa.spec.table import isa

from .conftest import BpfIsa, Json, write
from .pages import Cell, Page, unpack

STATES = ["pass", "fail", "unsupported", "error", "not-run"]


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {file.relative_to(site).as_posix(): Page(file) for file in site.rglob("*.html")}


def shown(cells: list[Cell]) -> list[tuple[str, str]]:
    return [(cell.classes[1], cell.text) for cell in cells]


def test_every_chapter_has_its_pages(pages: dict[str, Page]) -> None:
    assert {"index.html", "vectors.html", "vector.html", "instructions.html", "not-run.html"} <= pages.keys()
    assert {f"instructions/{row.name}.html" for row in isa().instructions} <= pages.keys()
    assert {f"requirements/{name}.html" for name in load_requirements()} <= pages.keys()
    assert {f"groups/{name}.html" for name in isa().groups} <= pages.keys()
    runtimes = {"reference", "big", "i-no-carry-i", "clobbers", "claims"}
    assert {name for name in pages if name.startswith("runtimes/")} == {f"runtimes/{name}.html" for name in runtimes}


def test_links_lead_somewhere(site: Path, pages: dict[str, Page]) -> None:
    vectors = {name for file in (site / "data").glob("vectors-*.js") for name in unpack(file)}
    index = unpack(site / "data" / "index.js")
    known = {
        "runtime": {column["key"] for column in index["columns"]},
        "verdict": set(STATES),
        "group": set(isa().groups),
        "instruction": set(isa().by_name),
        "requirement": set(load_requirements()),
        "section": {name.split("-")[1].partition(".")[0] for name in load_requirements()}
        | {name.split("-")[1] for name in load_requirements()},
        "levels": {"must", "interpretation", "abi", "extension", "robustness"},
        "reason": {one["word"] for one in index["states"]},
        "q": {entry["id"] for entry in index["entries"]},
    }
    broken = []
    for name, page in pages.items():
        for link in page.links:
            if link.startswith("https://www.rfc-editor.org/rfc/rfc9669.html"):
                continue
            path, fragment = urldefrag(link)
            target = (page.file.parent / path).resolve() if path else page.file.resolve()
            relative = target.relative_to(site.resolve()).as_posix()
            if relative not in pages and not target.is_file():
                broken.append(f"{name}: {link}")
            elif relative == "vector.html" and fragment not in pages[relative].ids:
                assert fragment in vectors, f"{name}: {link}"
            elif "=" in fragment:
                for key, values in parse_qs(fragment, strict_parsing=True).items():
                    assert set(values[0].split(",")) <= known[key], f"{name}: {link}"
            elif fragment:
                assert fragment in pages[relative].ids, f"{name}: {link}"
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert all((page.file.parent / name).is_file() for name in page.loads), page.file
    assert "url(" not in (site / "static" / "report.css").read_text(encoding="utf-8")


def test_the_front_page_counts_what_the_results_count(pages: dict[str, Page], results: Json) -> None:
    front = pages["index.html"]
    for group in ("base32", "base64", "atomic64"):
        heading = next(name for name, _ in front.rows if name.split()[:1] == [group])
        for cell, runtime in zip(front.row(heading), results["runtimes"], strict=True):
            counts = runtime["groups"][group]
            assert cell.text == f"{counts['pass']}/{sum(counts.values())}"
            assert cell.failed == (str(counts["fail"]) if counts["fail"] else None)
    assert shown(front.row("All vectors")) == [
        ("pass", "10/10"),
        ("pass", "10/10"),
        ("fail", "9/10"),
        ("fail", "9/10"),
        ("part", "3/10"),
    ]


def test_a_runtime_is_told_by_all_that_tells_it_apart(pages: dict[str, Page]) -> None:
    front = pages["index.html"]
    assert [cell.text for cell in front.row("Byte order")] == ["little", "big", "little", "little", "little"]
    assert [cell.text for cell in front.row("Engine")] == ["interpreter"] * 5
    assert {cell.text for cell in front.row("Architecture")} == {"python"}
    assert {cell.text for cell in front.row("Version")} == {"0.1.0"}


def test_names_are_text_and_not_markup(site: Path, pages: dict[str, Page]) -> None:
    assert "<i>no carry</i>" in pages["index.html"].text
    assert not any("<i>no carry" in page.file.read_text(encoding="utf-8") for page in pages.values())


def test_an_instruction_has_its_encoding_meaning_and_vectors(pages: dict[str, Page]) -> None:
    page = pages["instructions/LD_IMM64.html"]
    assert isa().by_name["LD_IMM64"].means_text in page.text
    assert "0x18" in page.text and "next_imm" in page.text and "reserved" in page.text
    assert "Second slot" in page.text
    assert shown(pages["instructions/ADD64_X.html"].row("All vectors"))[2] == ("fail", "1/2")


def test_a_requirement_says_what_it_demands_or_why_no_vector_shows_it(pages: dict[str, Page]) -> None:
    for item in load_requirements().values():
        text = " ".join(pages[f"requirements/{item.id}.html"].text.split())
        assert " ".join(item.text.split()) in text
        if item.reason:
            assert " ".join(item.reason.split()) in text


def test_what_was_not_run_has_its_reason(pages: dict[str, Page]) -> None:
    page = pages["not-run.html"]
    assert "the moon is in the wrong phase: wait a week" in page.text
    assert "the runtime does not claim base64" in page.text
    assert "Every one of the 10 vectors gave a verdict." in page.text


def test_the_data_hold_every_vector_and_what_went_wrong(site: Path, results: Json) -> None:
    details = {name: one for file in (site / "data").glob("vectors-*.js") for name, one in unpack(file).items()}
    assert details.keys() == results["vectors"].keys()
    failed = details["add64-x/carries"]
    assert failed["expect"] == {"outcome": "returned", "values": {"r0": "0x100000000"}}
    assert failed["results"]["2"]["differences"] == [["r0", "0x100000000", "0x0"]]
    assert failed["results"]["4"]["reason"].startswith("group: ")
    assert failed["results"].keys() == {"2", "4"}, "only what did not pass is told"
    assert [line[1] for line in failed["program"]] == ["r0 = 0xffffffff ll", "r1 = 0x1 ll", "r0 += r1", "exit"]
    assert "".join(line[0] for line in failed["program"]) == results["vectors"]["add64-x/carries"]["code"]
    store = details["stx-mem-h/neighbours/order"]
    assert store["expect_big"]["values"]["memory"] == "ffff1234ffffffff"
    assert details["calls/local"]["results"]["3"]["differences"] == [["r6", "0x1", "0x7"]]


def test_the_index_gives_each_result_a_state(site: Path, results: Json) -> None:
    index = unpack(site / "data" / "index.js")
    for entry in index["entries"]:
        for runtime, row in zip(results["runtimes"], entry["states"], strict=True):
            for case, character in zip(entry["cases"], row, strict=True):
                name = entry["id"] if case is None else f"{entry['id']}/{case}"
                state = index["states"][ord(character) - ord("!")]
                assert state["state"] == runtime["results"][name]["verdict"]


def test_equal_results_make_equal_sites(bpf_isa: BpfIsa, measured: Path, site: Path, tmp_path: Path) -> None:
    assert bpf_isa("report", measured / "r.json", "--html", tmp_path).returncode == 0
    files = {file.relative_to(site): file.read_bytes() for file in site.rglob("*") if file.is_file()}
    again = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert files == again


def test_results_of_two_suites_are_not_mixed(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    other = copy.deepcopy(results)
    other["suite"]["digest"] = f"sha256:{'0' * 64}"
    for one in other["runtimes"]:
        one["results"].pop("add64-x/carries")
    del other["vectors"]["add64-x/carries"]
    folder = tmp_path / "site"
    done = bpf_isa("report", write(results, tmp_path / "a.json"), write(other, tmp_path / "b.json"), "--html", folder)
    assert done.returncode == 0, done.stderr
    front = Page(folder / "index.html")
    assert "These results come from 2 different suites." in front.text
    one, two = sorted(folder.glob("suite-*"))
    assert Page(one / "index.html").row("All vectors")[0].text == "9/9"
    assert Page(two / "index.html").row("All vectors")[0].text == "10/10"
    assert "../index.html" in Page(two / "index.html").links
    assert {"suite-00000000/index.html", f"{two.name}/index.html"} <= set(front.links)


def test_partial_results_say_so(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    part = copy.deepcopy(results)
    part["complete"] = part["runtimes"][0]["complete"] = False
    reason = {"code": "not-run", "text": "the run was interrupted", "blames": "harness"}
    not_run = {"verdict": "error", "outcome": None, "reason": reason}
    part["runtimes"][0]["results"]["calls/local"] = not_run
    part["runtimes"] = part["runtimes"][:1]
    chosen = copy.deepcopy(results)
    chosen["runtimes"] = chosen["runtimes"][1:2]
    chosen["selection"] = {"expression": "add", "groups": ["base64"], "sections": [], "vectors": 9}
    for data in (chosen["vectors"], chosen["runtimes"][0]["results"]):
        del data["calls/local"]
    files = write(part, tmp_path / "part.json"), write(chosen, tmp_path / "chosen.json")
    assert bpf_isa("report", *files, "--html", tmp_path / "site").returncode == 0
    front = Page(tmp_path / "site" / "index.html")
    assert "the run was interrupted after 9 of 10 vectors" in front.text
    assert "9 of the suite's 10 vectors were selected (-k 'add' --group base64)" in front.text
    assert shown(front.row("All vectors")) == [("part", "9/10"), ("part", "9/10")]
    reasons = Page(tmp_path / "site" / "not-run.html").text
    assert "not selected for this run" in reasons and "the run was interrupted" in reasons


def test_runs_of_one_runtime_keep_apart(bpf_isa: BpfIsa, measured: Path, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_bytes((measured / "r.json").read_bytes())
    assert bpf_isa("report", measured / "r.json", tmp_path / "again.json", "--html", tmp_path / "site").returncode == 0
    text = Page(tmp_path / "site" / "index.html").text
    assert "reference (r)" in text and "reference (again)" in text
    assert len(Page(tmp_path / "site" / "index.html").row("All vectors")) == 10


def test_what_else_is_in_the_folder_stays(bpf_isa: BpfIsa, measured: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine", encoding="utf-8")
    assert bpf_isa("report", measured / "r.json", "--html", tmp_path).returncode == 0
    assert (tmp_path / "data" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_every_section_has_a_title_and_an_address() -> None:
    assert {item.section for item in load_requirements().values()} <= ABOUT.keys()
    assert ordered(["A", "5.4.1", "10", "5.4", "5", "2.4"]) == ["2.4", "5", "5.4", "5.4.1", "10", "A"]
    assert address("4.3.1").endswith("rfc9669.html#section-4.3.1")
    assert address("A").endswith("rfc9669.html#appendix-A")
