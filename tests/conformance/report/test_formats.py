# SPDX-License-Identifier: Apache-2.0
"""Markdown, JUnit, badges and charts; and what the command refuses."""

import copy
import gzip
import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bpf_isa.conformance.report import markdown
from bpf_isa.conformance.report.comparison import compare
from bpf_isa.conformance.results import recorded
from bpf_isa.conformance.suite.suite import load_suite

from .conftest import SAMPLE, BpfIsa, Json, write
from .pages import Page

SVG = "{http://www.w3.org/2000/svg}"


def test_a_document_gives_back_the_vectors_it_was_made_of(measured: Path) -> None:
    read = recorded.read(measured / "r.json")
    suite = load_suite([SAMPLE])
    assert list(read.vectors) == [vector.id for vector in suite.vectors]
    for vector in suite.vectors:
        again = read.vectors[vector.id]
        assert (again.little, again.big) == (vector.little, vector.big), vector.id
        assert (again.groups, again.reported, again.case) == (vector.groups, vector.reported, vector.case)


def test_junit_is_what_the_run_itself_writes(bpf_isa: BpfIsa, measured: Path, tmp_path: Path) -> None:
    done = bpf_isa("report", measured / "r.json", "--format", f"junit={tmp_path / 'r.xml'}")
    assert done.returncode == 0, done.stderr

    def cases(file: Path) -> list[bytes]:
        return [ET.tostring(case) for case in ET.parse(file).iter("testcase")]

    assert cases(tmp_path / "r.xml") == cases(measured / "r.xml")
    assert ET.parse(tmp_path / "r.xml").getroot().get("tests") == "51"


def test_markdown_has_the_numbers_and_the_failures(bpf_isa: BpfIsa, measured: Path) -> None:
    done = bpf_isa("report", measured / "r.json", "--format", "markdown")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "## BPF conformance (RFC 9669)"
    (header,) = (line for line in lines if line.startswith("| runtime"))
    (row,) = (line for line in lines if line.startswith("| **&lt;i&gt;no carry"))
    assert row.count("|") == header.count("|")
    assert "❌ 9/10" in row
    assert any(line.startswith("| 1 | wrong-result | must | `ADD64_X` |") for line in lines)
    assert "| `add64-x/carries` | r0 | `0x100000000` | `0x0` |" in lines
    assert any("gone was not run:" in line and "wait a week" in line for line in lines)
    assert done.stdout.count("<details>") == done.stdout.count("</details>") == 2


def test_markdown_fits_into_a_comment(results: Json, tmp_path: Path) -> None:
    one = results["runtimes"][2]
    results["runtimes"] = [{**one, "name": f"wrong-{number}"} for number in range(400)]
    text = markdown.markdown(compare([recorded.read(write(results, tmp_path / "r.json"))]))
    assert len(text) <= markdown.LONGEST + 100
    assert text.count("<details>") == text.count("</details>") > 0
    assert text.endswith("*This is cut here: the whole would be too long for a comment.*\n")


def test_badges_are_pictures_and_endpoints(bpf_isa: BpfIsa, measured: Path, tmp_path: Path) -> None:
    assert bpf_isa("report", measured / "r.json", "--format", f"badges={tmp_path}").returncode == 0
    endpoints = {
        file.relative_to(tmp_path).with_suffix("").as_posix(): json.loads(file.read_text(encoding="utf-8"))
        for file in tmp_path.rglob("*.json")
    }
    assert endpoints["reference/all"] == {
        "schemaVersion": 1,
        "label": "RFC 9669",
        "message": "10 passed",
        "color": "2f7fc1",
    }
    assert endpoints["i-no-carry-i/base64"]["message"] == "1 of 5 failed"
    assert endpoints["i-no-carry-i/base64"]["isError"] is True
    assert endpoints["claims/base64"]["message"] == "not supported"
    assert endpoints["claims/all"]["message"] == "3 passed, 7 not supported"
    for name, endpoint in endpoints.items():
        root = ET.parse(tmp_path / f"{name}.svg").getroot()
        assert root.tag == f"{SVG}svg"
        assert root.findtext(f"{SVG}title") == f"{endpoint['label']}: {endpoint['message']}"
        right = max(float(text.get("x", "0")) + float(text.get("textLength", "0")) for text in root.iter(f"{SVG}text"))
        assert right < float(root.get("width", "0")), "the text stays inside the badge"


def test_no_badge_of_a_part_claims_the_whole(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    results["suite"]["vectors"] = 1000
    file = write(results, tmp_path / "r.json")
    assert bpf_isa("report", file, "--format", f"badges={tmp_path / 'badges'}").returncode == 0
    endpoint = json.loads((tmp_path / "badges" / "reference" / "all.json").read_text(encoding="utf-8"))
    assert endpoint["message"] == "10 passed (partial)"


def test_results_of_a_tier_say_so(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    results["suite"]["vectors"] = 1000
    results["selection"]["tier"] = "quick"
    file = write(results, tmp_path / "r.json")
    targets = ("--format", f"badges={tmp_path / 'badges'}", "--format", f"junit={tmp_path / 'r.xml'}")
    done = bpf_isa("report", file, *targets, "--format", "markdown", "--html", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "10 of the suite's 1,000 vectors were selected (--tier quick)" in done.stdout.replace("\\", "")
    endpoint = json.loads((tmp_path / "badges" / "reference" / "all.json").read_text(encoding="utf-8"))
    assert endpoint["message"] == "10 passed (tier quick)"
    assert {one.get("value") for one in ET.parse(tmp_path / "r.xml").iter("property") if one.get("name") == "tier"} == {
        "quick"
    }
    assert "tier quick" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    results["selection"]["expression"] = "x"
    assert bpf_isa("report", write(results, file), *targets).returncode == 0
    endpoint = json.loads((tmp_path / "badges" / "reference" / "all.json").read_text(encoding="utf-8"))
    assert endpoint["message"] == "10 passed (partial)"


def test_several_formats_at_once(command: BpfIsa, measured: Path, tmp_path: Path) -> None:
    formats = ("markdown", "junit=r.xml", "badges", "html=site")
    asked = [part for name in formats for part in ("--format", name)]
    done = command("report", measured / "r.json", *asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## BPF conformance")
    assert done.stderr.split() == ["r.xml", "badges", "site/index.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["badges", "r.xml", "site"]


def history(results: Json, folder: Path) -> None:
    """Results of three versions of two runtimes, the last of them of another suite."""
    for number, version in enumerate(("6.1", "6.6", "6.12")):
        data = copy.deepcopy(results)
        data["started"] = f"2026-0{number + 1}-01T00:00:00Z"
        data["runtimes"] = data["runtimes"][0:3:2]
        data["runtimes"][0]["identity"]["version"] = version
        if number == 2:
            data["suite"]["digest"] = f"sha256:{'a' * 64}"
        # The names are in another order than the dates.
        file = folder / f"{9 - number}.json.gz"
        file.write_bytes(gzip.compress(json.dumps(data).encode()))


def test_history_draws_each_runtime_over_its_versions(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    history(results, tmp_path)
    done = bpf_isa("report", "--history", tmp_path, "--html", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    chart = ET.parse(tmp_path / "site" / "history" / "reference.svg").getroot()
    labels = [text.text or "" for text in chart.iter(f"{SVG}text")]
    assert [label for label in labels if label.startswith("6.")] == ["6.1", "6.6", "6.12"]
    assert "suite 0.1.0 (aaaaaaaa)" in labels
    lines = [line.get("points", "") for line in chart.iter(f"{SVG}polyline")]
    assert [len(line.split()) for line in lines] == [2, 1], "no line leads from one suite to another"
    wrong = ET.parse(tmp_path / "site" / "history" / "i-no-carry-i.svg").getroot()
    # Its version was always the same, so of each suite only the newest run counts.
    assert len([text for text in wrong.iter(f"{SVG}text") if text.text == "0.1.0"]) == 2
    page = Page(tmp_path / "site" / "history.html")
    assert "10/10" in page.row("6.12")[2].text and "aaaaaaaa" in page.row("6.12")[1].text
    # Without RESULTS the newest are compared.
    assert len(Page(tmp_path / "site" / "index.html").row("All vectors")) == 2


def test_labels_of_many_versions_do_not_run_into_each_other(bpf_isa: BpfIsa, results: Json, tmp_path: Path) -> None:
    results["runtimes"] = results["runtimes"][:1]
    for number in range(40):
        results["started"] = f"2026-01-01T00:00:{number:02}Z"
        results["runtimes"][0]["identity"]["version"] = f"sha256:{number:016x}"
        write(results, tmp_path / f"{number}.json")
    assert bpf_isa("report", "--history", tmp_path, "--html", tmp_path / "site").returncode == 0
    chart = ET.parse(tmp_path / "site" / "history" / "reference.svg").getroot()
    places: dict[str | None, list[tuple[float, int]]] = {}
    for text in chart.iter(f"{SVG}text"):
        if text.get("text-anchor") == "middle":
            places.setdefault(text.get("y"), []).append((float(text.get("x", "0")), len(text.text or "")))
    assert len(places) == 2
    for labels in places.values():
        assert 5 <= len(labels) < 40
        for (x, length), (after, more) in itertools.pairwise(labels):
            assert after - x > 7 * (length + more) / 2
    assert len(list(chart.iter(f"{SVG}circle"))) == 41, "each version has its mark, and the line its name"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to report"),
        (("missing.json",), "missing.json: cannot be read: No such file or directory"),
        (("broken.json",), "broken.json: not JSON"),
        (("deep.json",), "deep.json: nested too deeply for results"),
        (("broken.gz",), "broken.gz: damaged gzip data"),
        (("other.json",), "other.json: no results of bpf-isa run"),
        (("r.json", "--format", "pdf"), "pdf: the formats are html, markdown, junit, badges"),
        (("r.json", "--format", "junit="), "junit=: the path after '=' is missing"),
        (("r.json", "--format", "junit", "--format", "markdown"), "only one format can go to standard output"),
        (("r.json", "--format", "junit", "--history", "."), "--history is a page of the site"),
        (("r.json", "--format", "junit=missing/r.xml"), "cannot be written: No such file or directory"),
        (("r.json", "--html", "other.json"), "is a file"),
        (("--history", "empty"), "empty: holds no results"),
        (("none.json",), "none.json: no runtime was run, so there is nothing to report"),
        (("r.json", "changed.json"), "add64-x/carries is another vector than in the results of the same suite"),
        (("r.json", "quick.json"), "(r.json of tier full, quick.json of tier quick)"),
        (("r.json", "--history", "tiers"), "(r.json of tier full, tiers/q.json of tier quick)"),
        (("dangling.json",), "refers to the entry 'nothing', which is not there"),
    ],
)
def test_what_cannot_be_used_is_one_error(
    bpf_isa: BpfIsa, results: Json, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "deep.json").write_text(100_000 * "[" + 100_000 * "]", encoding="utf-8")
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    write(results, tmp_path / "r.json")
    write({**results, "runtimes": []}, tmp_path / "none.json")
    quick = {**results, "selection": {**results["selection"], "tier": "quick"}}
    (tmp_path / "tiers").mkdir()
    for place in ("quick.json", "tiers/q.json"):
        write(quick, tmp_path / place)
    changed = copy.deepcopy(results)
    changed["vectors"]["add64-x/carries"]["expect"]["registers"]["r0"] = "0x1"
    write(changed, tmp_path / "changed.json")
    changed["vectors"]["add64-x/carries"]["entry"] = "nothing"
    write(changed, tmp_path / "dangling.json")
    done = bpf_isa("report", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(re.findall("Error", done.stderr)) == 1 and "Traceback" not in done.stderr
