# SPDX-License-Identifier: Apache-2.0
"""What is said of a failure: where in a program a byte of the memory comes from, and what to look at first."""

from pathlib import Path

from bpf_isa.adapters.protocol import Outcome, OutcomeKind, Reason
from bpf_isa.conformance.results import explain
from bpf_isa.conformance.results.origin import stored_by
from bpf_isa.conformance.run.runner import Result
from bpf_isa.conformance.run.verdict import judge
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite

_LONG = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: tests, method: hand}
vectors:
  - id: stores/many
    covers: [rfc9669-5.1-stx-mem-b]
    asm: |
      r3 = r1
      .rept 40
      *(u8 *)(r3 + 0) = 7
      r3 += 1
      .endr
      lock *(u64 *)(r1 + 0) += r2
      *(u16 *)(r1 + 20) = 0x909
      r0 = 0
      r1 = 0
      r3 = 0
      exit
    memory: "00*48"
    expect: {memory: {little: "37 07*19 09 09 07*18 00*8", big: "07*7 37 07*12 09 09 07*18 00*8"}}
  - id: stores/none
    level: robustness
    covers: [rfc9669-3.1-unused-offset-zero]
    code: "b700000001000000 0700010005000000 9500000000000000"
    expect: {rejected: true}
"""


def _vectors(folder: Path) -> list[Vector]:
    path = folder / "long.yaml"
    path.write_text(_LONG)
    return list(load_suite([path]).vectors)


def test_a_byte_of_the_memory_is_traced_to_its_last_store(tmp_path: Path) -> None:
    vector = _vectors(tmp_path)[0]
    assert stored_by(vector, "little", 30) == 61
    assert stored_by(vector, "little", 7) == 81
    assert stored_by(vector, "big", 21) == 82
    assert stored_by(vector, "little", 45) is None


def test_a_long_program_is_shown_where_it_went_wrong(tmp_path: Path) -> None:
    vector = _vectors(tmp_path)[0]
    memory = bytearray(vector.little.expect.memory or b"")
    memory[30] ^= 1
    judgement = judge(vector.little.expect, Outcome(OutcomeKind.RETURNED, r0=0, memory=bytes(memory)))
    lines = explain.program(vector, "little", judgement.differences).splitlines()
    (marked,) = (line for line in lines if line.endswith("# leaves memory[30]"))
    assert marked.strip().startswith("/* 61 */ *(u8 *)(r3 + 0) = 7")
    assert len(lines) < 40
    assert sum("more instructions" in line for line in lines) == 2
    assert "leaves" not in explain.program(vector, "little")


def test_a_limit_of_length_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lengths.yaml"
    path.write_text(
        "source: {name: tests, method: hand}\nvectors:\n  - id: lengths/of\n    covers: [rfc9669-4.1-add]\n"
        "    asm: |\n      r0 = 0\n      .rept {n}\n      r0 += 1\n      .endr\n      exit\n"
        "    table: |\n      case n r0\n" + "".join(f"      n{n} {n} {n}\n" for n in (1, 60, 62, 63, 64, 90))
    )
    vectors = load_suite([path]).vectors

    def told(limit: int) -> str:
        results = []
        for vector in vectors:
            outcome = Outcome(OutcomeKind.RETURNED, r0=vector.little.expect.registers["r0"])
            if len(vector.little.code) // 8 > limit:
                outcome = Outcome(OutcomeKind.REJECTED, reason=Reason(text="too long"))
            results.append(Result(vector, outcome, judge(vector.little.expect, outcome)))
        return explain.length_limit(results)

    assert told(64) == "no program of more than 64 slots has run: 3 of 65 and more were refused"
    assert told(66) == ""
    assert told(100) == ""
