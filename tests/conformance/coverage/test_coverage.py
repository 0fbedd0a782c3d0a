# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa coverage`: counts, holes, confirmation by results, and the documents it writes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.coverage.docs import BEGIN, END, NOT_MEASURED, DocsError, renew, rows
from bpf_isa.conformance.coverage.document import SCHEMA_FILE, document
from bpf_isa.conformance.coverage.measure import Coverage
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.spec import validate
from bpf_isa.spec.requirements import load_requirements
from bpf_isa.spec.table import isa

FILE = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: x, method: hand, note: worked out by hand}
vectors:
  - id: add
    covers: [rfc9669-4.1-add, rfc9669-4.1-alu32-zero-extends]
    asm: |
      w0 = {a}
      w0 += 1
      exit
    cases:
      one: {a: "1", r0: "2"}
      two: {a: "2", r0: "3"}
  - id: stray
    level: robustness
    covers: [rfc9669-3.1-unused-fields-zero]
    code: "0400010001000000 9500000000000000"
    expect: {rejected: true}
  - id: wide
    covers: [rfc9669-5.4-imm64]
    asm: |
      r0 = 1 ll
      w0 += 1
      exit
    expect: {r0: "2"}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.fixture
def coverage(own: Path) -> Coverage:
    return Coverage(load_suite([own]))


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["coverage", *map(str, arguments)])


def run_results(own: Path, *runtimes: str) -> Path:
    """Results of a run of the file ``own``."""
    results = own.parent / "results.json"
    chosen = [part for name in runtimes for part in ("-r", name)]
    CliRunner().invoke(main, ["run", *chosen, "-j", "1", "--vectors", str(own), "--json", str(results)])
    return results


def test_requirements_have_the_entries_that_cite_them(coverage: Coverage) -> None:
    found = {item.requirement.id: dict(item.entries) for item in coverage.requirements}
    assert list(found) == list(load_requirements())
    assert found["rfc9669-4.1-add"] == {"add": 2}
    assert found["rfc9669-5.4-imm64"] == {"wide": 1}
    assert not found["rfc9669-4.1-sub"]


def test_instructions_have_the_entries_whose_programs_contain_them(coverage: Coverage) -> None:
    found = {item.row.name: item for item in coverage.instructions}
    assert dict(found["ADD32_K"].entries) == {"add": 2, "wide": 1}
    assert dict(found["LD_IMM64"].entries) == {"wide": 1}
    assert found["LD_IMM64"].about == ("wide",)
    assert found["MOV32_K"].about == ("add",)
    assert found["SUB32_K"].is_hole


def test_what_only_the_codec_or_nothing_can_verify_is_no_hole(coverage: Coverage) -> None:
    holes = {item.requirement.id for item in coverage.requirements if item.is_hole}
    assert "rfc9669-4.1-sub" in holes
    assert not any(load_requirements()[name].verified_by != "vector" for name in holes)


@pytest.mark.long
def test_the_suite_has_no_holes() -> None:
    whole = Coverage(load_suite())
    assert not whole.holes
    assert sum(file.vectors for file in whole.files) == len(whole.suite.vectors)
    assert {name for name, items in whole.groups.items() if items} == isa().groups.keys()


def test_the_terminal_and_the_status_show_holes(own: Path) -> None:
    result = invoke("--vectors", own)
    assert result.exit_code == 1
    assert "1 files, 3 entries, 4 vectors: 3 must, 1 robustness" in result.output
    assert "holes: " in result.output
    assert "SUB32_K" in result.output


def test_one_requirement_or_instruction_can_be_asked_for(own: Path) -> None:
    result = invoke("--vectors", own, "rfc9669-4.1-add", "ld_imm64")
    assert result.exit_code == 0
    assert load_requirements()["rfc9669-4.1-add"].text in result.output
    assert "2  add" in result.output
    assert "about it: 1 vectors of 1 entries" in result.output
    assert invoke("--vectors", own, "rfc9669-4.1-ad").exit_code == 2


def test_json_follows_its_schema(own: Path, coverage: Coverage, tmp_path: Path) -> None:
    target = tmp_path / "coverage.json"
    results = run_results(own, "reference")
    assert invoke("--vectors", own, "--json", target, "--confirmed-by", results).exit_code == 1
    data = json.loads(target.read_text(encoding="utf-8"))
    validate.check(data, SCHEMA_FILE)
    assert data["suite"]["vectors"] == 4
    assert {item["id"] for item in data["requirements"]} == load_requirements().keys()
    (runtime,) = data["confirmed"]["runtimes"]
    assert runtime["files"][str(own)]["pass"] == 4
    assert "confirmed" not in document(coverage)


def test_own_runtimes_confirm_nothing(own: Path, tmp_path: Path) -> None:
    results = run_results(own, "reference", "miniature:ubpf-fields-not-looked-at")
    target = tmp_path / "coverage.json"
    result = invoke("--vectors", own, "--confirmed-by", results, "--json", target)
    assert "made from this table" in result.output
    assert "confirmed by a runtime" not in result.output
    assert json.loads(target.read_text(encoding="utf-8"))["confirmed"]["vectors"] == 0


def test_an_independent_runtime_confirms_what_it_passes(own: Path, tmp_path: Path) -> None:
    results = run_results(own, "other=miniature:ubpf-fields-not-looked-at")
    data = json.loads(results.read_text(encoding="utf-8"))
    data["runtimes"][0]["identity"]["name"] = "other"
    results.write_text(json.dumps(data), encoding="utf-8")
    result = invoke("--vectors", own, "--confirmed-by", results)
    assert "3 of 4 (75.0%) confirmed; 3 pass, 1 fail" in result.output
    assert "confirmed by a runtime that was not made from this table: 3 of 4 (75.0%)" in result.output


def test_results_of_other_vectors_confirm_nothing(own: Path) -> None:
    results = run_results(own, "reference")
    own.write_text(own.read_text(encoding="utf-8").replace('"3"', '"0x3"'), encoding="utf-8")
    result = invoke("--vectors", own, "--confirmed-by", results)
    assert result.exit_code == 2
    assert "results of other vectors" in result.output


class Page(HTMLParser):
    """Collects ids and links; balanced tags are counted."""

    VOID = frozenset(["meta", "link", "br"])

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value] if (value := values.get("id")) else []
        self.links |= {href} if (href := values.get("href")) else set()
        if tag not in self.VOID and tag not in {"li", "p", "td", "th", "tr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"li", "p", "td", "th", "tr"}:
            assert self.open.pop() == tag


def test_the_page_is_sound_and_has_everything(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "coverage.html"
    invoke("--vectors", own, "--html", target, "--confirmed-by", run_results(own, "reference"))
    page = Page()
    page.feed(target.read_text(encoding="utf-8"))
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    assert load_requirements().keys() <= set(page.ids)
    assert isa().by_name.keys() <= set(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


# The table in the documentation

PAGE = f"# Vectors\n\n{BEGIN}\n{END}\n\nMore text.\n"


def test_the_table_is_renewed_and_keeps_what_was_measured(own: Path, coverage: Coverage) -> None:
    fresh = renew(PAGE, coverage)
    (row,) = rows(fresh).values()
    assert row.expectations == "by hand: worked out by hand"
    assert (row.vectors, row.confirmed) == ("4", NOT_MEASURED)
    assert fresh.startswith("# Vectors\n\n")
    assert fresh.endswith("\n\nMore text.\n")
    measured = fresh.replace(NOT_MEASURED, "linux 6.1: 3 (75.0%)")
    assert renew(measured, coverage) == measured
    own.write_text(FILE.replace("worked out", 'made "up" | worked out'), encoding="utf-8")
    assert next(iter(rows(renew(measured, Coverage(load_suite([own])))).values())).confirmed == NOT_MEASURED


def test_a_page_without_a_place_for_the_table_is_refused(own: Path, coverage: Coverage, tmp_path: Path) -> None:
    with pytest.raises(DocsError, match="has no line"):
        renew("# Vectors\n", coverage)
    page = tmp_path / "page.md"
    page.write_text("# Vectors\n", encoding="utf-8")
    result = invoke("--vectors", own, "--docs", page)
    assert result.exit_code == 2
    assert BEGIN in result.output
    page.write_bytes(b"# Vectors\n\xff")
    result = invoke("--vectors", own, "--docs", page)
    assert (result.exit_code, result.output) == (2, f"Error: {page}: not text: byte 10 is 0xff\n")


def test_the_documentation_has_the_vector_files_as_they_are() -> None:
    """If not: bpf-isa run -r linux --json R.json; bpf-isa coverage --confirmed-by R.json --docs docs/vectors.md."""
    page = Path(__file__).parents[3] / "docs" / "vectors.md"
    text = page.read_text(encoding="utf-8")
    whole = Coverage(load_suite([VECTORS]))
    assert renew(text, whole) == text
