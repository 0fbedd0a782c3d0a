# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa smoke` acquits the example and convicts each bad runtime of the one thing that it does wrong."""

import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.batch.smoke import CHECKS
from bpf_isa.conformance.cli import main

from .test_batch import example, toy

__all__ = ["example"]

#: A toy that runs what the checks ask for.
MACHINE = """
def run(message):
    code, memory = bytes.fromhex(message["program"]), bytearray.fromhex(message["memory"] or "")
    if not code or len(code) % 8:
        return {"seq": message["seq"], "outcome": "rejected", "reason": "length"}
    r = [0, 0, len(memory)] + [0] * 8
    for at in range(0, len(code), 8):
        opcode, dst, src, offset = code[at], code[at + 1] & 15, code[at + 1] >> 4, code[at + 2]
        imm = int.from_bytes(code[at + 4:at + 8], "little")
        if opcode == 0xb4: r[dst] = imm
        elif opcode == 0xbc: r[dst] = r[src]
        elif opcode == 0x71: r[dst] = memory[offset]
        elif opcode == 0x72: memory[offset] = imm
        elif opcode == 0x95: break
        else: return {"seq": message["seq"], "outcome": "rejected", "reason": "opcode"}
    shown = {"registers": {f"r{number}": hex(r[number]) for number in range(10)}, "memory": memory.hex()}
    return {"seq": message["seq"], "outcome": "returned", "r0": hex(r[0]), **shown}
right = run
"""

#: What is wrong with a runtime, and the demand that notices; all others are met.
WRONG = {
    "It runs a program and tells R0": """
        def run(message):
            first = message["seq"] == 1 and message["program"][8:10] == "2a"
            return {**right(message), "r0": "0x2b"} if first else right(message)
    """,
    "It repeats the number of each question": """
        def run(message):
            return {**right(message), "seq": message["seq"] & 0xffffffff}
    """,
    "R1 and R2 are address and length of the memory": """
        def run(message):
            return {**right(message), "r0": "0x9"} if len(message["memory"] or "") == 10 else right(message)
    """,
    "Each program gets its memory as it was sent": """
        kept = []
        def run(message):
            answer = right({**message, "memory": kept.pop()} if kept else message)
            if message["memory"] == "0102":
                kept.append(answer["memory"])
            return answer
    """,
    "What is no program does not return, and does no harm": """
        def run(message):
            return right({**message, "program": message["program"] or "b4000000010000009500000000000000"})
    """,
    "It shows what it observes": """
        IDENTITY["observes"] = ["memory"]
        def run(message):
            return {key: value for key, value in right(message).items() if key != "memory"}
    """,
    "It answers 500 questions in a row": """
        count = []
        def run(message):
            count.append(message)
            return right(message) if len(count) < 400 else os.abort()
    """,
    "It reads a program of 65536 slots": """
        def run(message):
            return right(message) if len(message["program"]) < 100_000 else os.abort()
    """,
    "It ignores members that it does not know": """
        def run(message):
            return right(message) if len(message) == 5 else os.abort()
    """,
    "It stops when it is told to, with exit status 0": """
        import atexit
        atexit.register(lambda: say({"bye": 1}))
    """,
    "It ends with its standard input": """
        import atexit
        atexit.register(lambda: message["cmd"] == "stop" or time.sleep(1000))
    """,
}


def test_the_example_meets_all_demands(example: Path) -> None:
    result = CliRunner().invoke(main, ["smoke", str(example)])
    assert result.exit_code == 0, result.output
    assert result.output.count("ok    ") == len(CHECKS) + 1


def test_a_runtime_that_shows_everything_meets_all_demands(tmp_path: Path) -> None:
    overrides = MACHINE + "IDENTITY['observes'] = ['registers', 'memory']"
    result = CliRunner().invoke(main, ["smoke", toy(tmp_path, overrides)])
    assert (result.exit_code, result.output.count("ok    ")) == (0, len(CHECKS) + 1), result.output


def test_every_demand_has_a_runtime_that_does_not_meet_it() -> None:
    assert WRONG.keys() == CHECKS.keys()


@pytest.mark.parametrize("demand", WRONG)
def test_a_runtime_that_does_one_thing_wrong_is_told_so(tmp_path: Path, demand: str) -> None:
    command = toy(tmp_path, MACHINE + textwrap.dedent(WRONG[demand]))
    result = CliRunner().invoke(main, ["smoke", command, "--timeout", "2"])
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert result.exit_code == 1
    assert [line.removeprefix("FAIL  ").partition(": ")[0] for line in failed] == [demand], result.output
    assert result.output.endswith("1 demand is not met\n")


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    overrides = MACHINE.replace("0xbc", "0xbb").replace("0x71", "0xba") + (
        "run = lambda m: {**right(m), 'outcome': 'unsupported', 'reason': 'x'}"
        " if m['program'][:2] in ('bc', '71', '72') else right(m)"
    )
    result = CliRunner().invoke(main, ["smoke", toy(tmp_path, overrides)])
    assert result.exit_code == 0, result.output
    assert "note  R1 and R2 are address and length of the memory: it does not support `w0 = w2`" in result.output
    assert "note  It shows what it observes: it shows r0 only" in result.output


def test_a_runtime_that_does_not_introduce_itself_is_asked_nothing_more(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["smoke", toy(tmp_path, "del IDENTITY['version']")])
    assert result.exit_code == 1
    assert result.output.startswith("FAIL  It introduces itself: protocol: the document: 'version' is missing")
    assert len(result.output.splitlines()) == 2


@pytest.mark.parametrize(
    "words,message",
    [
        (["no-such-command"], "there is no such command in PATH"),
        (["'"], "No closing quotation"),
        ([""], "the command is empty"),
    ],
)
def test_a_command_that_does_not_exist(words: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["smoke", *words])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    "text,message", [("#!/no/interpreter\n", "interpreter does not exist"), ("exit 0\n", "no executable format")]
)
def test_a_file_that_cannot_be_executed(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "runtime"
    file.write_text(text)
    file.chmod(0o755)
    result = CliRunner().invoke(main, ["smoke", str(file)])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count(str(file)) == 1
