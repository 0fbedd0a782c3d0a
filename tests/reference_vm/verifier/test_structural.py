# SPDX-License-Identifier: Apache-2.0
"""The structural verifier finds everything that is wrong, and nothing in what is right."""

from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.reference_vm.verifier.structural import RULES, Finding, is_valid, verify
from bpf_isa.spec.encoding import Decoded, DecodeError, Slot, decode, encode, make, pack, slots_of
from bpf_isa.spec.table import Fixed, isa

ROWS = isa().by_name
EXIT = make(ROWS["EXIT"])
SET_R0 = make(ROWS["MOV64_K"], dst=0)
WIDE = make(ROWS["LD_IMM64"], dst=1, imm=1)


def findings(*program: Decoded, groups: list[str] | None = None) -> list[tuple[int, str]]:
    return [(finding.slot, finding.rule) for finding in verify(encode(program), groups=groups)]


def raw(*slots: Slot) -> list[tuple[int, str]]:
    return [(finding.slot, finding.rule) for finding in verify(pack(slots))]


def test_a_right_program_has_no_findings() -> None:
    assert findings(SET_R0, EXIT) == []


def test_an_empty_program() -> None:
    assert verify(b"") == [Finding(0, "empty-program", "there is no instruction")]


def test_a_length_that_is_no_multiple_of_eight() -> None:
    (finding,) = verify(encode([SET_R0, EXIT]) + b"\0\0\0")
    assert (finding.slot, finding.rule) == (2, "bad-length")


def test_all_findings_are_reported_in_the_order_of_slots() -> None:
    undefined = Slot(0xFF, 0, 0, 0, 0)
    offset_set = slots_of(SET_R0)[0]._replace(offset=7)
    high_register = slots_of(SET_R0)[0]._replace(dst=11)
    assert raw(undefined, offset_set, high_register, *slots_of(EXIT)) == [
        (0, "unknown-opcode"),
        (1, "unused-field"),
        (2, "bad-register"),
    ]


def test_every_unused_field_of_every_instruction_must_be_zero() -> None:
    for row in isa().instructions:
        first = slots_of(make(row))[0]
        for name, rule in row.fields.items():
            if name == "next_imm" or not (isinstance(rule, Fixed) and rule.unused):
                continue
            siblings = [other for other in isa().by_opcode[row.opcode] if other.fields[name].admits(1)]
            if siblings:  # another instruction of this opcode gives the field a meaning
                continue
            slots = [first._replace(**{name: 1}), *slots_of(make(row))[1:], *slots_of(EXIT)]
            rules = {(finding.slot, finding.rule) for finding in verify(pack(slots))}
            assert rules & {(0, "unused-field"), (0, "undefined-value")}, (row.name, name)


def test_writing_the_frame_pointer() -> None:
    for row in isa().instructions:
        for name in row.writes & {"dst", "src"}:
            item = make(row)._replace(dst=10) if name == "dst" else make(row)._replace(src=10)
            assert (0, "write-to-frame-pointer") in findings(item, EXIT), row.name


def test_reading_the_frame_pointer_is_no_finding() -> None:
    assert findings(make(ROWS["MOV64_X"], dst=0, src=10), EXIT) == []


def test_targets_outside_of_the_program() -> None:
    for name in ("JA", "JEQ64_K", "JSLE32_X"):
        assert (0, "jump-out-of-range") in findings(make(ROWS[name], offset=2), SET_R0, EXIT)
        assert (0, "jump-out-of-range") in findings(make(ROWS[name], offset=-2), SET_R0, EXIT)
        assert (0, "jump-out-of-range") not in findings(make(ROWS[name], offset=1), SET_R0, EXIT)
    for name in ("JA32", "CALL_LOCAL", "LD_CODE_ADDR"):
        assert (0, "jump-out-of-range") in findings(make(ROWS[name], imm=1 << 20), SET_R0, EXIT)


def test_targets_inside_a_wide_instruction() -> None:
    into_it = make(ROWS["JEQ64_K"], offset=1)
    assert findings(into_it, WIDE, SET_R0, EXIT) == [(0, "jump-into-second-slot")]
    assert findings(into_it._replace(offset=2), WIDE, SET_R0, EXIT) == []
    assert (0, "jump-into-second-slot") in findings(make(ROWS["CALL_LOCAL"], imm=1), WIDE, SET_R0, EXIT)


def test_a_wide_instruction_without_its_second_slot() -> None:
    assert raw(slots_of(WIDE)[0]) == [(0, "falls-off-the-end"), (0, "missing-second-slot")]


def test_each_field_of_the_second_slot_must_be_zero() -> None:
    first, second = slots_of(WIDE)
    for name in ("opcode", "dst", "src", "offset"):
        assert raw(first, second._replace(**{name: 1}), *slots_of(SET_R0), *slots_of(EXIT)) == [
            (1, "malformed-second-slot")
        ]


def test_next_imm_must_be_zero_where_unused() -> None:
    first, second = slots_of(make(ROWS["LD_MAP_FD"], dst=1))
    assert raw(first, second._replace(imm=1), *slots_of(SET_R0), *slots_of(EXIT)) == [(1, "unused-field")]


def test_falling_off_the_end() -> None:
    assert findings(EXIT, SET_R0) == [(1, "unreachable")]
    assert findings(SET_R0) == [(0, "falls-off-the-end")]
    assert findings(make(ROWS["JEQ64_K"], offset=1), EXIT, SET_R0) == [(2, "falls-off-the-end")]
    assert findings(make(ROWS["JA"], offset=-1)) == []


def test_unreachable_code_is_a_warning() -> None:
    (finding,) = verify(encode([SET_R0, EXIT, EXIT]))
    assert (finding.slot, finding.rule, finding.severity) == (2, "unreachable", "warning")
    assert is_valid([finding])
    assert not is_valid(verify(encode([SET_R0])))


def test_local_functions_and_code_addresses_are_reachable() -> None:
    assert findings(make(ROWS["CALL_LOCAL"], imm=1), EXIT, SET_R0, EXIT) == []
    assert findings(make(ROWS["LD_CODE_ADDR"], dst=1, imm=2), EXIT, SET_R0, EXIT) == []


def test_instructions_outside_of_the_declared_groups() -> None:
    divide = make(ROWS["DIV64_K"], dst=0, imm=1)
    assert findings(divide, EXIT, groups=["base64"]) == [(0, "outside-groups")]
    assert findings(divide, EXIT, groups=["divmul64"]) == []
    divide32 = make(ROWS["DIV32_K"], dst=0, imm=1)
    assert findings(divide32, EXIT, groups=["divmul64"]) == []
    assert findings(SET_R0, EXIT, groups=["base32"]) == [(0, "outside-groups")]


@given(st.binary(max_size=200))
def test_any_bytes_give_findings_with_known_rules_and_agree_with_the_decoder(code: bytes) -> None:
    found = verify(code)
    assert all(finding.rule in RULES for finding in found)
    try:
        decode(code)
        decodes = bool(code)
    except DecodeError as error:
        decodes = False
        assert (error.slot, error.rule) in [(finding.slot, finding.rule) for finding in found]
    if is_valid(found):
        assert decodes
