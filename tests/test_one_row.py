# SPDX-License-Identifier: Apache-2.0
"""A row is all that an instruction needs: three more rows go through the whole project, and no other line changes.

What takes a table as an argument is given one. Commands read the specification that ``BPF_ISA_SPEC`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.adapters.jit.adapter import JitAdapter
from bpf_isa.adapters.jit.lower.functions import lower_program
from bpf_isa.adapters.jit.lower.state import Style
from bpf_isa.adapters.jit.plan import plan_of
from bpf_isa.adapters.protocol import Job, OutcomeKind
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.safety import prove, surroundings_of
from bpf_isa.reference_vm.verifier.structural import verify
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.asm.disassemble import disassemble
from bpf_isa.spec.asm.syntax import Dialect
from bpf_isa.spec.asm.tokens import AsmError
from bpf_isa.spec.encoding import ByteOrder, decode
from bpf_isa.spec.location import VARIABLE
from bpf_isa.spec.table import Isa, TableError, isa, load

from .extension import NAMES, REQUIREMENTS, RFC, SOURCE, write_specification

ASM = """\
r2 = 0x8122334455667788 ll
r2 <<<= 8
r0 = load_acquire((u64 *)(r1 + 8))
r0 &~= r2
exit
"""
MNEMONICS = """\
rol %r2, 8
load acquire %r0, [%r1+8]
andn %r0, %r2
exit
"""
MEMORY = bytes(range(16))
ORDERS: tuple[ByteOrder, ...] = ("little", "big")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_specification(tmp_path_factory.mktemp("more"))


@pytest.fixture(scope="module")
def table(folder: Path) -> Isa:
    return load(folder / "isa.yaml")


def test_the_rows_are_new(table: Isa) -> None:
    assert {row.name for row in table.instructions} - isa().by_name.keys() == set(NAMES)
    with pytest.raises(AsmError):
        assemble(ASM)


@pytest.mark.parametrize(("dialect", "text"), [("llvm", ASM), ("mnemonic", MNEMONICS)])
def test_assembler_and_disassembler(table: Isa, dialect: Dialect, text: str) -> None:
    for order in ORDERS:
        code = assemble(text, order, table, dialect)
        assert {item.instruction.name for item in decode(code, order, table) if item} >= set(NAMES)
        assert disassemble(code, order, table=table, dialect=dialect) == text


@pytest.mark.parametrize("order", ORDERS)
def test_interpreter_and_jit(table: Isa, order: ByteOrder) -> None:
    expected = int.from_bytes(MEMORY[8:], order) & ~0x2233445566778881
    job = Job("new", assemble(ASM, order, table), order, frozenset(), frozenset(["r0"]), MEMORY)
    for adapter in (ReferenceAdapter(order, table=table), JitAdapter(order, table=table, level="full")):
        (outcome,) = adapter.run([job])
        assert (outcome.kind, outcome.r0) == (OutcomeKind.RETURNED, expected)


@pytest.mark.parametrize("place", [0, 3])
def test_the_jit_reads_misaligned_places_too(table: Isa, place: int) -> None:
    code = assemble(f"r0 = load_acquire((u64 *)(r1 + {place}))\nexit", sys.byteorder, table)
    (outcome,) = JitAdapter(table=table).run([Job("", code, sys.byteorder, frozenset(), frozenset(["r0"]), MEMORY)])
    assert outcome.r0 == int.from_bytes(MEMORY[place : place + 8], sys.byteorder)


def test_the_jit_keeps_the_order_of_a_load_acquire(table: Isa) -> None:
    program = decode(assemble(ASM, sys.byteorder, table), sys.byteorder, table)
    style = Style(sys.byteorder, swapped=False, optimized=True, checked=True, counted=True)
    lines = lower_program(plan_of(program), style, "p0", iter(range(1000)), 1000)
    assert [line for line in lines if "load atomic i64" in line and "seq_cst, align 8" in line]


def test_structural_verifier(table: Isa) -> None:
    code = assemble(ASM, "little", table)
    assert verify(code, "little", ["bits", "atomic64"], table) == []
    assert {finding.rule for finding in verify(code, "little", ["atomic64", "base64"], table)} == {"outside-groups"}
    assert {finding.rule for finding in verify(code, "little")} == {"unknown-opcode", "undefined-value"}
    writes = assemble("r10 <<<= 1\nexit", "little", table)
    assert [finding.rule for finding in verify(writes, "little", None, table)] == ["write-to-frame-pointer"]


def test_safety_verifier(table: Isa) -> None:
    program = decode(assemble(ASM, "little", table), "little", table)
    assert prove(program, "little", surroundings_of(Machine(memory=MEMORY)), 0, table).most_steps == 5
    with pytest.raises(NotProved, match="LOAD_ACQ_DW"):
        prove(program, "little", surroundings_of(Machine(memory=MEMORY[1:])), 0, table)


def test_a_template_that_nobody_could_write_is_an_error_of_the_table(folder: Path, tmp_path: Path) -> None:
    text = (folder / "isa.yaml").read_text(encoding="utf-8")
    (tmp_path / "isa.yaml").write_text(text.replace("<<<=", "//="), encoding="utf-8")
    with pytest.raises(TableError, match=r"ROL64_K \(line \d+\): asm: '//=' begins a comment"):
        assemble(ASM, "little", load(tmp_path / "isa.yaml"))


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command with the specification of ``folder``."""
    command = [sys.executable, "-c", "from bpf_isa.conformance.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, VARIABLE: str(folder), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.long
def test_run_and_report(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    run = call(folder, "run", "-r", "reference,jit", "--vectors", folder / "more.yaml", "--json", results)
    assert run.returncode == 0, run.stderr
    found = json.loads(results.read_text(encoding="utf-8"))
    assert found["suite"]["documents"] == ["RFC 9669", "More instructions"]
    for one in found["runtimes"]:
        assert [result["verdict"] for result in one["results"].values()] == ["pass"] * 3
    report = call(folder, "report", results, "--html", tmp_path / "site")
    assert report.returncode == 0, report.stderr
    pages = {file.name for file in (tmp_path / "site").rglob("*.html")}
    assert {"bits.html", "more-1.1-rotate.html", "more-1.1.html"} <= pages
    for page in ("instructions/ROL64_K.html", "requirements/more-1.1-rotate.html", "sections/more-1.1.html"):
        text = (tmp_path / "site" / page).read_text(encoding="utf-8")
        assert '<a href="https://example.org/more.html">More instructions, section 1.1</a>' in text, page


def test_lint(folder: Path) -> None:
    lint = call(folder, "lint", folder / "more.yaml")
    assert (lint.returncode, lint.stdout) == (0, "3 vectors: no findings\n")


def test_coverage(folder: Path, tmp_path: Path) -> None:
    found = tmp_path / "coverage.json"
    call(folder, "coverage", "--vectors", folder / "more.yaml", "--json", found)  # 1: nothing covers the other rows
    document = json.loads(found.read_text(encoding="utf-8"))
    covered = {item["id"] for item in document["requirements"] if item["vectors"]}
    assert covered == {"more-1.1-rotate", "more-1.2-load-acquire", "more-1.3-and-not"}
    assert not set(NAMES) & set(document["holes"])


@pytest.fixture(scope="module")
def generated(folder: Path) -> Path:
    """Vectors of encodings and of addresses, those of the new rows among them."""
    output = folder / "generated"
    done = call(folder, "generate", "encodings", "addresses", "--output", output)
    assert done.returncode == 0, done.stderr
    return output


def test_generate(folder: Path, generated: Path, tmp_path: Path) -> None:
    """What is generated for the new rows has no findings of lint, and both engines agree with it."""
    lint = call(folder, "lint", generated / "addresses.yaml")
    assert lint.returncode == 0, lint.stdout
    results = tmp_path / "results.json"
    new = "rol64-k or load-acq-dw or andn64-x"
    run = call(folder, "run", "-r", "reference,jit", "--vectors", generated, "-k", new, "--json", results)
    assert run.returncode == 0, run.stdout
    document = json.loads(results.read_text(encoding="utf-8"))
    entries = {vector["entry"].partition("/")[0] for vector in document["vectors"].values()}
    assert entries >= {"rol64-k", "load-acq-dw", "andn64-x"}
    for one in document["runtimes"]:
        assert {result["verdict"] for result in one["results"].values()} == {"pass"}


def test_an_instruction_that_no_requirement_is_about_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "isa.yaml").write_text((folder / "isa.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "requirements.yaml").write_text(f"sources:\n{RFC}{SOURCE}requirements:{REQUIREMENTS}", encoding="utf-8")
    done = call(tmp_path, "generate", "addresses", "--output", tmp_path / "generated")
    assert done.returncode == 2
    assert "no entry of requirements.yaml is about this instruction: add one" in done.stderr


@pytest.mark.long
def test_adequacy(folder: Path, generated: Path, tmp_path: Path) -> None:
    """With the generated vectors of encodings, and those that it suggests, no mutant of the new rows is alive."""
    more = tmp_path / "more.yaml"
    words = ["adequacy", "-j", "1", *(word for name in NAMES for word in ("-i", name))]
    words += ["--vectors", str(folder / "more.yaml"), "--vectors", str(generated / "encodings.yaml")]
    first = call(folder, *words, "--suggest", more)
    assert first.returncode == 1, first.stderr
    second = call(folder, *words, "--vectors", more)
    assert second.returncode == 0, second.stdout + second.stderr


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    refused = call(tmp_path, "asm", "-")
    assert refused.returncode == 2
    assert f"{VARIABLE}={tmp_path}: there is no isa.yaml in this folder" in refused.stderr
