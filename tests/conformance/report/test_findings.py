# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a runtime: failures put together by what they have in common, and the page that tells it."""

from pathlib import Path

import pytest

from bpf_isa.conformance.diagnosis.findings import (
    Finding,
    Weight,
    findings,
    some,
)
from bpf_isa.conformance.report import site
from bpf_isa.conformance.report.comparison import compare
from bpf_isa.conformance.results import recorded

from .conftest import BpfIsa, Json, write
from .pages import Page


def fail(
    results: Json, failure: str, vectors: dict[str, tuple[str, str, str]], reason: str = "", runtime: int = 0
) -> None:
    """Let a runtime fail vectors, each with a difference."""
    for name, difference in vectors.items():
        what, expected, got = difference
        kind = "number" if expected.startswith("0x") else "text"
        results["runtimes"][0]["results"][name] = {
            "outcome": "returned" if failure != "crashed" else "crashed",
            "verdict": "fail",
            "failure": failure,
            "reason": {"code": "", "text": reason or got, "blames": "instruction"},
            "differences": [{"what": what, "kind": kind, "expected": expected, "got": got}],
        }


def found(results: Json, folder: Path) -> list[Finding]:
    """Return the findings about the first runtime."""
    return findings(recorded.read(write(results, folder / "r.json")).runtimes[0])


@pytest.fixture
def listed(results: Json, tmp_path: Path) -> list[Finding]:
    upper = ("r0", "0x1ffffffff", "0xffffffff")
    adds = [name for name in results["vectors"] if name.startswith("add")]
    fail(results, "wrong-result", dict.fromkeys(adds, upper))
    fail(results, "misexecuted", {"bswap16/source-bit-set": ("outcome", "rejected", "returned r0 = 0x100")})
    other = ("r0", "0x2a", "0x2b")
    fail(results, "wrong-result", {"calls/local": other, "smod64-k/dividend-negative": other})
    return found(results, tmp_path)


def test_the_gravest_come_first_and_then_the_most(listed: list[Finding]) -> None:
    assert [(one.weight, one.failure.value, len(one.results)) for one in listed] == [
        (Weight.WRONG, "wrong-result", 6),
        (Weight.WRONG, "wrong-result", 1),
        (Weight.ROBUSTNESS, "misexecuted", 1),
    ]


def test_instructions_that_break_one_requirement_alike_are_one_finding(listed: list[Finding]) -> None:
    adds = listed[0]
    assert adds.instructions == ("ADD32_K", "ADD64_X")
    assert adds.requirement is not None and adds.requirement.id == "rfc9669-4.1-add"
    assert adds.common == "r0: the upper 32 bits are lost (5 of 6)"
    assert adds.query == "verdict=fail&reason=wrong-result&instruction=ADD32_K,ADD64_X"
    assert adds.example.vector.id == "add32-k/base32-only/small", "the shortest program"


def test_what_fails_because_of_an_instruction_is_explained_by_it(listed: list[Finding]) -> None:
    # The function that is called adds, and additions fail.
    assert "calls/local" in {result.vector.id for result in listed[0].results}
    assert listed[0].level == "must, interpretation"


def test_a_finding_of_robustness_stands_alone(listed: list[Finding]) -> None:
    assert (listed[2].subject, listed[2].level, listed[2].common) == ("BSWAP16", "robustness", "")


def test_the_first_names_are_told_and_how_many_more_there_are() -> None:
    assert some(["A", "B", "C"], 3) == "A, B, C"
    assert some(["A", "B", "C", "D", "E"], 3) == "A, B, C and 2 more"
    assert some([], 3) == ""


def test_messages_that_differ_only_in_numbers_are_one(results: Json, tmp_path: Path) -> None:
    got = ("outcome", "returned r0 = 0x0", "crashed: at slot 2")
    fail(results, "crashed", {"add64-x/wraps": got}, "crashed: at slot 2")
    fail(results, "crashed", {"add64-x/carries": got}, "crashed: at slot 3")
    (one,) = found(results, tmp_path)
    assert (len(one.results), one.common) == (2, "")
    fail(results, "crashed", {"add64-x/carries": got}, "crashed: out of memory")
    (one,) = found(results, tmp_path)
    assert one.common.endswith("(1 of 2)")


def test_what_no_instruction_is_to_blame_for_is_told_by_its_entry(
    bpf_isa: BpfIsa, results: Json, tmp_path: Path
) -> None:
    # No instruction has the opcode 0xff.
    results["vectors"]["bswap16/source-bit-set"] |= {"entry": "odd/one", "code": "ff" + 7 * "00"}
    results["entries"]["odd/one"] = results["entries"]["bswap16/source-bit-set"]
    fail(results, "lenient", {"bswap16/source-bit-set": ("outcome", "rejected", "returned r0 = 0x1")})
    (one,) = found(results, tmp_path)
    assert (one.instructions, one.subject) == ((), "odd/one")
    assert one.query == "verdict=fail&reason=lenient&q=odd/one"


def test_what_the_package_knows_is_said(results: Json, tmp_path: Path) -> None:
    results["runtimes"][0]["identity"] |= {"name": "linux", "version": "6.18.0"}
    vector = results["vectors"].pop("bswap16/source-bit-set")
    entry = results["entries"].pop("bswap16/source-bit-set")
    name = "malformed/exit-with-offset/offset"
    results["entries"]["malformed/exit-with-offset"] = entry
    results["vectors"][name] = {**vector, "entry": "malformed/exit-with-offset"}
    for one in results["runtimes"]:
        one["results"][name] = one["results"].pop("bswap16/source-bit-set")
    fail(results, "lenient", {name: ("outcome", "rejected", "returned r0 = 0x1")})
    (one,) = found(results, tmp_path)
    assert one.known == "the kernel checks every field of EXIT but offset, and runs it whatever offset holds"


def test_the_page_of_a_runtime_says_what_to_look_at(site: Path) -> None:
    page = Page(site / "runtimes" / "i-no-carry-i.html")
    text = " ".join(page.text.split())
    assert "Of 10 vectors: 9 passed, 1 failed." in text
    assert "✗ 1 Wrong results, by the text of the RFC" in text
    assert "wrong-result: the runtime computed something else; r0: the upper 32 bits are lost" in text
    assert "1 ADD64_X of 3 vectors with it 1 fail" in text
    assert "r0 = 0x100000000" in text and "r0 = 0x0" in text and "the upper 32 bits are lost" in text
    assert "r0 += r1" in text, "the program"
    assert "../instructions/ADD64_X.html" in page.links
    assert "../vector.html#add64-x/carries" in page.links
    assert "../vectors.html#runtime=i-no-carry-i&verdict=fail&reason=wrong-result&instruction=ADD64_X" in page.links
    assert page.row("base64 includes base32")[0].text == "4/5"


def test_a_page_has_the_first_findings_of_each_weight(
    monkeypatch: pytest.MonkeyPatch, listed: list[Finding], tmp_path: Path
) -> None:
    monkeypatch.setattr(site, "MOST_FINDINGS", 1)
    site.write_site(compare([recorded.read(tmp_path / "r.json")]), tmp_path / "site")
    page = Page(tmp_path / "site" / "runtimes" / "reference.html")
    assert sum(one.weight is Weight.WRONG for one in listed) == 2
    assert "… and 1 more findings: all vectors that fail" in " ".join(page.text.split())
    assert "../vectors.html#runtime=reference&verdict=fail" in page.links


def test_the_page_of_a_runtime_says_what_it_lacks_and_that_nothing_is_wrong(site: Path) -> None:
    text = " ".join(Page(site / "runtimes" / "claims.html").text.split())
    assert "Nothing that this suite would notice: no vector failed." in text
    assert "It claims base32." in text
    assert "the runtime does not claim base64" in text
    assert "Every one of the 10 vectors gave a verdict." in Page(site / "runtimes" / "reference.html").text


def test_a_runtime_on_which_nothing_was_run_is_not_praised(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    one = results["runtimes"][0]
    results["complete"] = one["complete"] = False
    reason = {"code": "not-run", "text": "the run was interrupted", "blames": "harness"}
    not_run = {"verdict": "error", "outcome": None, "reason": reason}
    one["results"] = dict.fromkeys(one["results"], not_run)
    results["runtimes"] = [one]
    assert bpf_isa("report", write(results, tmp_path / "r.json"), "--html", tmp_path / "site").returncode == 0
    text = Page(tmp_path / "site" / "runtimes" / "reference.html").text
    assert "Nothing is known: no vector was run." in text and "no vector failed" not in text


def test_the_front_page_leads_to_what_is_wrong(site: Path) -> None:
    page = Page(site / "index.html")
    assert "runtimes/i-no-carry-i.html" in page.links
    assert "1 wrong-result: ADD64_X" in " ".join(page.text.split())
