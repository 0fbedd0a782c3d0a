# SPDX-License-Identifier: Apache-2.0
"""Vector files: what they can say, and that everything else is one clear error with its place."""

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.protocol import HelperSpec, MapSpec, VariableSpec
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.suite.model import Level, Vector, VectorError
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.encoding import decode
from bpf_isa.spec.location import HERE, VARIABLE
from bpf_isa.spec.strict_yaml import YamlError

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: x, method: hand}
vectors:
"""
COVERS = "covers: [rfc9669-4.1-add]"


def load(tmp_path: Path, text: str) -> list[Vector]:
    file = tmp_path / "own.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return list(load_suite([file]).vectors)


def one(tmp_path: Path, *fields: str) -> Vector:
    """The only vector of a file with one entry, whose fields are given a line each."""
    (vector,) = load(tmp_path, entry(*fields))
    return vector


def entry(*fields: str, name: str = "it") -> str:
    return "\n    ".join([f"  - id: {name}", COVERS, *fields]) + "\n"


def by_id(vectors: list[Vector]) -> dict[str, Vector]:
    return {vector.id: vector for vector in vectors}


# What vectors are


def test_the_sample_has_one_vector_per_case() -> None:
    names = [vector.id for vector in load_suite([SAMPLE]).vectors]
    assert names == [
        "add64-x/wraps",
        "add64-x/carries",
        "add32-k/base32-only/small",
        "add32-k/base32-only/wraps",
        "add32-k/base32-only/negative",
        "smod64-k/dividend-negative",
        "stx-mem-h/neighbours/order",
        "atomic-fetch-add64",
        "bswap16/source-bit-set",
        "calls/local",
    ]


def test_holes_are_filled_anywhere(tmp_path: Path) -> None:
    (vector,) = load(
        tmp_path,
        entry(
            "asm: |",
            "  r{d} = {n}",
            "  {op}",
            "  exit",
            'memory: "00 {m} ff"',
            'maps: ["{m}*3"]',
            "expect: {r0: '{n}', registers: {r2: '1'}, memory: '{m} 03 04'}",
            "cases: {only: {op: r0 = r3, d: '3', m: '0102', n: '-7'}}",
        ),
    )
    program = [item for item in decode(vector.little.code) if item is not None]
    assert [(item.instruction.name, item.dst, item.src, item.imm) for item in program] == [
        ("MOV64_K", 3, 0, -7),
        ("MOV64_X", 0, 3, 0),
        ("EXIT", 0, 0, 0),
    ]
    assert vector.little.memory == bytes.fromhex("000102ff")
    assert vector.little.maps == (MapSpec(bytes.fromhex("010201020102")),)
    assert vector.little.expect.registers == {"r0": 2**64 - 7, "r2": 1}
    assert vector.little.expect.memory == bytes.fromhex("01020304")


def test_both_byte_orders(tmp_path: Path) -> None:
    vector = one(
        tmp_path,
        "asm: |",
        "  r0 = *(u16 *)(r1 + 0)",
        "  exit",
        'memory: "0102"',
        'expect: {r0: {little: "0x201", big: "0x102"}}',
    )
    assert vector.little.expect.registers == {"r0": 0x201}
    assert vector.big.expect.registers == {"r0": 0x102}
    assert decode(vector.little.code, "little") == decode(vector.big.code, "big")
    assert vector.little.code != vector.big.code
    assert vector.job("big").byte_order == "big"
    assert vector.job("big").code == vector.big.code


def test_code_is_given_in_little_endian_slots_or_in_both(tmp_path: Path) -> None:
    first, second = load(
        tmp_path,
        entry('code: "b712000001000000 9500000000000000"', "expect: {rejected: true}", name="slots")
        + entry('code: {little: "b7", big: "7b"}', "expect: {rejected: true}", name="bytes"),
    )
    assert first.big.code == bytes.fromhex("b721000000000001 9500000000000000")
    assert (second.little.code, second.big.code) == (b"\xb7", b"\x7b")


def test_cases_by_byte_order_in_mappings_and_tables(tmp_path: Path) -> None:
    program = ["asm: |", "  r0 = {x}", "  exit"]
    vectors = by_id(
        load(
            tmp_path,
            entry(*program, 'cases: {a: {x: {little: "1", big: "2"}, r0: {little: "1", big: "2"}}}', name="mapping")
            + entry(
                *program,
                "table: |",
                "  case  x.little  x.big  r0.little  r0.big  r3",
                "  a     1         2      1          2       -",
                "  b     3         4      3          4       5",
                name="table",
            ),
        )
    )
    for name in ("mapping/a", "table/a"):
        assert vectors[name].little.expect.registers == {"r0": 1}
        assert vectors[name].big.expect.registers == {"r0": 2}
    assert vectors["table/b"].big.expect.registers == {"r0": 4, "r3": 5}


def test_cases_that_differ_in_a_few_registers(tmp_path: Path) -> None:
    program = ["asm: |", "  r{d} = {x}", "  exit", "expect:"]
    holed, plain = "  registers: {r0: '0', r1: '1', r2: '{x}'}", "  registers: {r0: '0', r1: '1', r2: '7'}"
    table = ["table: |", "  case d x changes", "  a 0 5 r0=5", "  b 2 -1 r2=0xffffffffffffffff,r1=3", "  c 2 7 -"]
    cases = ["cases:", "  a: {d: '0', x: '5', changes: r0=5}", "  b: {d: '2', x: '-1', changes: 'r2=-1,r1=3'}"]
    cases += ["  c: {d: '2', x: '7'}"]
    for expect, r2 in ((holed, 5), (plain, 7)):
        for listed in (table, cases):
            vectors = load(tmp_path, entry(*program, expect, *listed))
            found = [tuple(vector.little.expect.registers.values()) for vector in vectors]
            assert found == [(5, 1, r2), (0, 3, (1 << 64) - 1), (0, 1, 7)]
            assert [vector.big.expect for vector in vectors] == [vector.little.expect for vector in vectors]


def test_changes_by_byte_order(tmp_path: Path) -> None:
    rows = ["table: |", "  case r3 changes.little changes.big", "  a 1 r1=5 r2=6"]
    vector = one(tmp_path, "asm: exit", "expect: {registers: {r1: '1', r2: '2'}}", *rows)
    assert vector.little.expect.registers == {"r1": 5, "r2": 2, "r3": 1}
    assert vector.big.expect.registers == {"r1": 1, "r2": 6, "r3": 1}


def test_long_programs_are_repetitions(tmp_path: Path) -> None:
    vector = one(
        tmp_path,
        "asm: |",
        "  r0 = 1",
        "  gotol end",
        "  .rept 65000",
        "  r0 += 1",
        "  .endr",
        "  end: exit",
        "expect: {r0: '1'}",
    )
    assert len(vector.little.code) == 8 * 65003


def test_platform_of_a_vector(tmp_path: Path) -> None:
    vector = one(
        tmp_path,
        "level: extension",
        "extension: test platform",
        "asm: exit",
        'variables: [{number: 7, value: "00*3"}]',
        "helpers: [{by: btf, number: 9, does: weigh}]",
        "expect: {r0: '0'}",
    )
    job = vector.job("little")
    assert job.variables == (VariableSpec(7, bytes(3)),)
    assert job.helpers == (HelperSpec("btf", 9, "weigh"),)
    assert vector.entry.level is Level.EXTENSION


@pytest.mark.parametrize(
    ("asm", "groups", "reported"),
    [
        ("w0 = 1", {"base32"}, {"base32"}),
        ("r0 = 1", {"base64"}, {"base64"}),
        ("w0 *= 3", {"divmul32"}, {"divmul32"}),
        ("r0 /= 3", {"divmul64"}, {"divmul64"}),
        ("lock *(u32 *)(r1 + 0) += r2; r0 = 0", {"base64", "atomic32"}, {"atomic32"}),
        ("lock *(u32 *)(r1 + 0) += r2; lock *(u64 *)(r1 + 0) += r2", {"atomic64"}, {"atomic64"}),
        ("r0 = *(u8 *)skb[0]", {"packet"}, {"packet"}),
    ],
)
def test_groups_are_computed(tmp_path: Path, asm: str, groups: set[str], reported: set[str]) -> None:
    vector = one(tmp_path, "asm: |", f"  {asm}", "  exit", "expect: {r0: '0'}")
    assert vector.groups == groups
    assert vector.reported == reported


@pytest.mark.parametrize(
    ("slot", "groups"),
    [
        ("d710000010000000", {"base32"}),  # BSWAP16 with a source register
        ("c321000010000000", {"atomic32"}),  # an operation that does not exist
        ("db21000010000000", {"atomic64"}),
        ("ff00000000000000", {"base32"}),  # no opcode
        ("1800000001000000 0100000000000000", {"base64"}),  # a malformed second slot
    ],
)
def test_groups_of_what_is_no_instruction(tmp_path: Path, slot: str, groups: set[str]) -> None:
    vector = one(tmp_path, f'code: "{slot} 9500000000000000"', "expect: {rejected: true}")
    assert vector.groups == groups


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(SAMPLE.read_bytes())
    assert load_suite([tmp_path]).digest == load_suite([SAMPLE]).digest
    (tmp_path / "a.yaml").write_bytes(SAMPLE.read_bytes() + b"\n")
    assert load_suite([tmp_path]).digest != load_suite([SAMPLE]).digest


def test_the_digest_depends_on_the_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "isa.yaml").write_bytes((HERE / "isa.yaml").read_bytes())
    digest = load_suite([SAMPLE]).digest
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert load_suite([SAMPLE]).digest == digest
    for name in ("isa.yaml", "requirements.yaml", "errata.yaml"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes() + b"\n")
        assert load_suite([SAMPLE]).digest != digest
        (tmp_path / name).write_bytes((HERE / name).read_bytes())


# What they cannot be

EXIT = ["asm: exit"]
R0 = ["expect: {r0: '0'}"]
HOLE = ["asm: |", "  r0 = {x}", "  exit"]
TABLE = [*HOLE, "table: |"]
BAD_ENTRIES = {
    "unknown field": ([*EXIT, *R0, "expects: {r0: '0'}"], 4, "unknown field 'expects'; did you mean 'expect'?"),
    "unquoted number": ([*EXIT, "expect: {r0: 0}"], 7, "expect.r0: must be a quoted number"),
    "no number": ([*EXIT, "expect: {r0: 'zero'}"], 7, "expect.r0: must be a quoted number"),
    "no byte": ([*EXIT, *R0, "memory: '0g'"], 4, "memory: must be quoted hex bytes"),
    "half a byte": ([*EXIT, *R0, "memory: '000'"], 4, "no hex bytes: '000'"),
    "endless memory": ([*EXIT, *R0, "memory: '00*99999999999'"], 4, "no acceptable repetition of bytes"),
    "one byte order": ([*EXIT, "expect: {r0: {little: '0'}}"], 7, "expect.r0: 'big' is missing"),
    "65 bits": ([*EXIT, "expect: {r0: '0x10000000000000000'}"], 4, "more than 64 bits: 0x10000000000000000"),
    "negative 65 bits": ([*EXIT, "expect: {r0: '-0x8000000000000001'}"], 4, "more than 64 bits"),
    "octal": ([*EXIT, "expect: {r0: '010'}"], 4, "no number: '010'"),
    "register 10": ([*EXIT, "expect: {registers: {r10: '0'}}"], 7, "registers are r0 to r9 here"),
    "no expectation": (EXIT, 4, "expects nothing: say what r0 is"),
    "empty expectation": ([*EXIT, "expect: {}"], 7, "expect"),
    "both expectations": ([*EXIT, "expect: {r0: '0', rejected: true}"], 4, "expects more than one of"),
    "r0 twice": ([*EXIT, "expect: {r0: '0', registers: {r0: '0'}}"], 4, "expects r0 twice"),
    "rejected: false": ([*EXIT, "expect: {rejected: false}"], 7, "expect.rejected"),
    "witness of nothing": ([*EXIT, "expect: {r0: '0', witness: {r0: '1'}}"], 4, "has a witness, but does not expect"),
    "must fault": ([*EXIT, "expect: {faulted: budget}"], 4, "expects a fault, which RFC 9669 does not define"),
    "steady on purpose": ([*EXIT, "level: abi", "expect: {steady: true}"], 4, "level must be robustness"),
    "steady and returned": ([*EXIT, "expect: {r0: '0', steady: true}"], 4, "expects more than one of"),
    "steady case": ([*EXIT, "level: robustness", "expect: {steady: true}", "cases: {a: {r0: '1'}}"], 4, "not to"),
    "unknown fault": ([*EXIT, "expect: {faulted: tired}"], 4, "expects the fault 'tired'; faults are out-of-bounds"),
    "memory from nothing": ([*EXIT, "expect: {memory: '00'}"], 4, "expects a memory, but has none"),
    "memory grows": ([*EXIT, "expect: {memory: '00'}", "memory: '0000'"], 4, "expects 1 bytes of memory, but has 2"),
    "no program": (R0, 4, "needs either asm or code"),
    "two programs": ([*EXIT, "code: '9500000000000000'", *R0], 4, "needs either asm or code, and not both"),
    "unknown level": ([*EXIT, *R0, "level: maybe"], 4, "level"),
    "nameless extension": ([*EXIT, *R0, "level: extension"], 4, "level extension and the field extension"),
    "extension of must": ([*EXIT, *R0, "extension: x"], 4, "level extension and the field extension"),
    "no interpretation": ([*EXIT, *R0, "level: interpretation"], 4, "cite under errata"),
    "unknown erratum": ([*EXIT, *R0, "errata: [x]"], 4, "cites the erratum 'x', which is not in spec/errata.yaml"),
    "syntax": (["asm: |", "  r0 = 1", "  r0 = rr", "  exit", *R0], 8, "asm: expected"),
    "syntax in a case": ([*HOLE, "cases: {a: {x: rr, r0: '1'}}"], 7, "it/a: asm: expected"),
    "too wide": ([*HOLE, "cases: {a: {x: '0x100000000', r0: '1'}}"], 7, "it/a: asm: expected"),
    "no value": ([*HOLE, "cases: {a: {r0: '1'}}"], 4, "it/a: there is no value for the hole {x}"),
    "no hole": ([*HOLE, "cases: {a: {x: '1', y: '2', r0: '1'}}"], 4, "it/a: the value y is not used: there is no {y}"),
    "no case": ([*HOLE, *R0], 4, "it: there is no value for the hole {x}"),
    "hole called r0": (["asm: |", "  r0 = {r0}", "  exit", "cases: {a: {r0: '1'}}"], 4, "this name is for what a case"),
    "r0 here and there": ([*HOLE, *R0, "cases: {a: {x: '1', r0: '1'}}"], 4, "has a value r0, and expect has one too"),
    "changes of nothing": ([*HOLE, "cases: {a: {x: '1', changes: r1=2}}"], 4, "changes of r1, of which expect says no"),
    "changes of another": ([*TABLE, "  case x changes", "  a 1 r1=2", *R0], 4, "it/a: changes of r1, of which"),
    "changes of r10": (
        [*HOLE, *R0, "cases: {a: {x: '1', changes: r10=2}}"],
        4,
        "no registers with numbers (r1=0x5,r2=7)",
    ),
    "changes twice": ([*HOLE, *R0, "cases: {a: {x: '1', changes: 'r0=2,r0=2'}}"], 4, "no registers with numbers"),
    "changes to what": ([*HOLE, *R0, "cases: {a: {x: '1', changes: r0}}"], 4, "it/a: no number: ''"),
    "case without r0": ([*HOLE, "cases: {a: {x: '1'}}"], 4, "it/a: expects nothing"),
    "name of a case": ([*HOLE, "cases: {A b: {x: '1'}}"], 9, "a name is not acceptable: a word of small letters"),
    "both cases": ([*TABLE, "  case x", "cases: {a: {x: '1'}}"], 4, "has both cases and table"),
    "table without names": ([*TABLE, "  x r0", "  1 1"], 4, "the first column must be named case, not 'x'"),
    "table without rows": ([*TABLE, "  case x r0"], 4, "its columns, and one for each case"),
    "table of nothing": ([*HOLE, "table: ' '"], 4, "it needs a line with the names of its columns"),
    "no cases": ([*HOLE, "cases: {}"], 9, "cases"),
    "table with short row": ([*TABLE, "  case x r0", "  a 1 1", "  b 2"], 12, "2 values for 3 columns in the row: b 2"),
    "table with twins": ([*TABLE, "  case x x", "  a 1 1"], 4, "two columns have the same name"),
    "table with one order": ([*TABLE, "  case x r0.little", "  a 1 1"], 4, "need columns r0.little and r0.big"),
    "name of a row": ([*TABLE, "  case x r0", "  A_ 1 1"], 4, "the case 'A_' is not named by small letters"),
    "twin rows": ([*TABLE, "  case x r0", "  a 1 1", "  a 1 1"], 4, "it/a: the id is taken by"),
    "no instruction": (["code: 'ff00000000000000'", *R0], 4, "should return, but slot 0: opcode 0xff is not defined"),
    "half a slot": (["code: '9500'", "expect: {rejected: true}"], 4, "give it as {little: ..., big: ...}"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_a_bad_entry_is_an_error_with_its_place(tmp_path: Path, name: str) -> None:
    fields, line, message = BAD_ENTRIES[name]
    with pytest.raises(VectorError) as caught:
        load(tmp_path, entry(*fields))
    assert message in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "own.yaml"), line)
    assert caught.value.vector is not None and caught.value.vector.startswith("it")


BAD_FILES = {
    "duplicate key": (b"source: {name: x, method: hand}\nsource: {}\n", "2:1: duplicate key 'source'"),
    "tab": (b"source:\n\tname: x\n", "2:1: a tab"),
    "70 bits": (b"source: 0x3fffffffffffffffff\n", "has more than 64 bits"),
    "binary": (bytes(range(256)), "not UTF-8"),
    "laughs": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "anchors"),
    "no YAML": (b"source: [\n", "not YAML"),
    "no mapping": (b"- source\n", "must be object"),
    "empty": (b"", "must be object"),
    "no source": (b"vectors: []\n", "'source' is missing"),
    "no vectors": (b"source: {name: x, method: hand}\nvectors: []\n", "vectors"),
    "generated by nobody": (
        b"source: {name: x, method: generated}\nvectors: [{id: a, covers: [x]}]\n",
        "'generator' is missing",
    ),
    "covers nothing": (
        HEAD.encode() + b"  - {id: a, covers: [], asm: exit, expect: {r0: '0'}}\n",
        "covers: [] has less than 1 item",
    ),
    "unknown requirement": (
        HEAD.encode() + b"  - {id: a, covers: [x], asm: exit, expect: {r0: '0'}}\n",
        "4: a: covers 'x', which is no requirement of spec/requirements.yaml",
    ),
    "twins": (
        HEAD.encode() + 2 * entry(*EXIT, *R0).encode(),
        "8: it: the id is taken by",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_clear_error_and_status_2(tmp_path: Path, name: str) -> None:
    content, message = BAD_FILES[name]
    file = tmp_path / "own.yaml"
    file.write_bytes(content)
    with pytest.raises((VectorError, YamlError)) as caught:
        load_suite([file])
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")
    done = CliRunner().invoke(main, ["run", "--vectors", str(file)])
    assert done.exit_code == 2
    assert done.stderr == f"Error: {caught.value}\n"
    assert done.stdout == ""


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="there is no such file or folder"):
        load_suite([tmp_path / "none.yaml"])
    with pytest.raises(VectorError, match="holds no vector file"):
        load_suite([tmp_path])


def test_a_job_has_all_that_a_vector_has() -> None:
    """A field added to one must not be forgotten in the other."""
    vector = next(vector for vector in load_suite([SAMPLE]).vectors if vector.id.startswith("bswap16"))
    job = vector.job("little")
    assert job.wants_rejection and job.observe == frozenset()
    assert {field.name for field in dataclasses.fields(vector)} >= {"id", "groups"}
    assert (job.id, job.groups, job.code) == (vector.id, vector.groups, vector.little.code)


def test_a_steady_vector_may_be_refused_and_shows_r0(tmp_path: Path) -> None:
    vector = one(tmp_path, "level: robustness", "asm: 'r0 = r7\n\n      exit'", "expect: {steady: true}")
    expect, job = vector.little.expect, vector.job("big")
    assert (expect.steady, expect.returns, vector.entry.returns, vector.entry.steady) == (True, False, False, True)
    assert job.wants_rejection
    assert job.observe == expect.observed == {"r0"}
