# SPDX-License-Identifier: Apache-2.0
"""The batch protocol, with the C example as a good runtime and small scripts as bad ones."""

import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.adapters.batch.adapter import BatchAdapter
from bpf_isa.adapters.batch.conversation import SCHEMAS
from bpf_isa.adapters.protocol import HelperSpec, Job, MapSpec, Outcome, OutcomeKind, Unavailable, VariableSpec
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.validate import check

from ..compiling import compile_c
from ..survivors import marked, new_name, survivors

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "batch_runtime.c"

#: A runtime that returns 42 for everything; each bad one replaces a line of it.
GOOD = """
import json, os, signal, sys, time
IDENTITY = {"protocol": 1, "name": "toy", "version": "3", "byte_order": "little"}
def start(message):
    return IDENTITY
def run(message):
    return {"seq": message["seq"], "outcome": "returned", "r0": "0x2a"}
def say(answer):
    print(json.dumps(answer), flush=True)
# overrides
for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == "stop":
        break
    say(start(message) if message["cmd"] == "start" else run(message))
"""


def job(text: str = "w0 = 42\nexit", **changes: Any) -> Job:
    return Job("toy/vector", assemble(text), "little", frozenset({"base32"}), frozenset({"r0"}))._replace(**changes)


def toy(folder: Path, overrides: str = "") -> str:
    """The command of a runtime that behaves as `overrides` makes it."""
    script = folder / "toy.py"
    script.write_text(GOOD.replace("# overrides", overrides))
    return shlex.join([sys.executable, "-I", "-S", str(script)])


def outcomes(command: str, jobs: list[Job], **options: Any) -> list[Outcome]:
    with BatchAdapter(command, **options) as adapter:
        return list(adapter.run(jobs))


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(EXAMPLE, tmp_path_factory.mktemp("example") / "batch_runtime")


# The example


def test_the_example_runs_programs(example: Path) -> None:
    jobs = [
        job("w0 = 40\nw0 += 2\nexit"),
        job("w0 = w2\nexit", memory=bytes(7)),
        job("*(u8 *)(r1 + 1) = 255\nw0 = 1\nexit", memory=bytes(3), observe=frozenset({"r0", "memory"})),
        job("w0 = 5\nexit", code=assemble("w0 = 5")),
        job("r0 = *(u8 *)(r1 + 9)\nexit", memory=bytes(3)),
        job("r0 s/= 3\nexit"),
        job(code=bytes(12)),
    ]
    with BatchAdapter(str(example)) as adapter:
        info = adapter.info()
        said = [(outcome.kind, outcome.r0, outcome.memory, str(outcome.reason)) for outcome in adapter.run(jobs)]
    assert (info.name, info.version, info.engine, info.byte_order) == ("batch_runtime.c", "1", "interpreter", "little")
    assert info.observes == {"r0", "memory"}
    assert said == [
        ("returned", 42, None, ""),
        ("returned", 7, bytes(7), ""),
        ("returned", 1, b"\0\xff\0", ""),
        ("rejected", None, None, "falls-off-the-end: no EXIT at the end"),
        ("faulted", None, None, "out-of-bounds: an access outside of the input memory"),
        ("unsupported", None, None, "instruction: not one of the few that this example knows"),
        ("rejected", None, None, "bad-length: no multiple of 8 bytes"),
    ]


def test_the_examples_protocol_has_about_sixty_lines() -> None:
    text = EXAMPLE.read_text()
    lines = text[text.index("// The protocol.") :].splitlines()
    assert len([line for line in lines if line.strip()]) <= 70


# What is said


def test_every_message_follows_the_schema(tmp_path: Path) -> None:
    log = tmp_path / "log"
    overrides = f"""
log = open({str(log)!r}, "w")
class Lines:
    def __iter__(self):
        for line in sys.__stdin__:
            log.write(line)
            log.flush()
            yield line
sys.stdin = Lines()
IDENTITY["provides"] = ["maps", "variables", "helpers"]
"""
    rich = job(
        "call 5\nexit",
        memory=b"\x01\xff",
        maps=(MapSpec(b"\x02"),),
        variables=(VariableSpec(-7, b"\x03\x04"),),
        helpers=(HelperSpec("btf", 5, "weigh"),),
    )
    outcomes(toy(tmp_path, overrides), [job(), rich])
    messages = [json.loads(line) for line in log.read_text().splitlines()]
    for message in messages:
        check(message, SCHEMAS / "request.schema.json")
    program = "b40000002a0000009500000000000000"
    assert messages[0] == {"cmd": "start", "protocol": 1}
    assert messages[1] == {"cmd": "run", "seq": 1, "id": "toy/vector", "program": program, "memory": None}
    assert messages[2]["memory"] == "01ff"
    assert messages[2]["maps"] == ["02"]
    assert messages[2]["variables"] == [{"number": -7, "value": "0304"}]
    assert messages[2]["helpers"] == [{"by": "btf", "number": 5, "does": "weigh"}]
    assert messages[3:] == [{"cmd": "stop"}]
    # What makes it readable without a JSON library.
    assert all(" " not in line and "\\" not in line for line in log.read_text().splitlines())


def test_all_that_a_runtime_can_say_is_understood(tmp_path: Path) -> None:
    overrides = """
IDENTITY.update(engine="jit", architecture="sparc", groups=["base32"], observes=["registers", "memory"], later=1)
IDENTITY["byte_order"] = "big"
ANSWERS = iter([
    {"outcome": "returned", "r0": "0xFFFFFFFFFFFFFFFF", "registers": {"r9": "0x1"}, "memory": "00fF"},
    {"outcome": "faulted", "reason": "bounds: too far"},
    {"outcome": "timed_out", "reason": "Budget spent: all of it"},
    {"outcome": "unsupported", "reason": ""},
])
def run(message):
    return {"seq": message["seq"], "later": 1, **next(ANSWERS)}
"""
    with BatchAdapter(toy(tmp_path, overrides)) as adapter:
        info = adapter.info()
        said = list(adapter.run([job()] * 4))
    assert (info.engine, info.architecture, info.byte_order) == ("jit", "sparc", "big")
    assert info.groups == frozenset({"base32"})
    assert info.observes == {"r0", "registers", "memory"}
    assert said[0][:4] == ("returned", (1 << 64) - 1, {"r9": 1}, b"\x00\xff")
    assert [(outcome.kind, str(outcome.reason)) for outcome in said[1:]] == [
        ("faulted", "bounds: too far"),
        ("timed_out", "runtime: Budget spent: all of it"),
        ("unsupported", "runtime: it gives no reason"),
    ]


def test_what_a_runtime_does_not_provide_is_unsupported(tmp_path: Path) -> None:
    helper = job("call 77\nexit", helpers=(HelperSpec("static", 77, "weigh"),))
    (outcome,) = outcomes(toy(tmp_path), [helper])
    assert (outcome.kind, str(outcome.reason)) == ("unsupported", "platform: it provides no helper functions")
    (outcome,) = outcomes(toy(tmp_path, 'IDENTITY["provides"] = ["helpers"]'), [helper])
    assert outcome.kind == "returned"


# What goes wrong

#: What a runtime does at the third program, and the outcome.
TROUBLE = {
    "signal": ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "signal: killed by SIGSEGV"),
    "exit": ("sys.exit('cannot go on')", "crashed", "exit: it ended with exit status 1; stderr: cannot go on"),
    "quiet exit": ("sys.exit(0)", "crashed", "exit: it ended with exit status 0"),
    "half an answer": ("part('{\"seq'); os.abort()", "crashed", "SIGABRT, after '{\"seq' without a newline"),
    "silence": ("time.sleep(1000)", "timed_out", "timeout: no answer within 3 s"),
    "ignores signals": ("signal.signal(15, signal.SIG_IGN); time.sleep(1000)", "timed_out", "timeout: no answer"),
    "no newline": ("part('{}'); time.sleep(1000)", "timed_out", "after '{}' without a newline"),
    "closed output": ("os.close(1); time.sleep(1000)", "crashed", "closed: it has closed its standard output"),
    "no JSON": ("part('r0 = 42\\n')", "crashed", "protocol: it said 'r0 = 42', which is no JSON"),
    "an abyss": ("part(100000 * '[' + 100000 * ']' + '\\n')", "crashed", "which is nested too deeply"),
    "no object": ("part('[]\\n')", "crashed", "protocol: "),
    "another number": ("answer(seq=99)", "crashed", "protocol: asked 3, it answered 99"),
    "unknown outcome": ("answer(outcome='ok')", "crashed", "protocol: outcome: "),
    "r0 is missing": ("answer(r0=None)", "crashed", "protocol: the document: 'r0' is missing"),
    "r0 is a number": ("answer(r0=42)", "crashed", 'protocol: r0: must be a text like "0x2a"'),
    "r0 is too large": ("answer(r0='0x1' + 16 * '0')", "crashed", "protocol: r0: must be"),
    "no reason": ("answer(outcome='rejected')", "crashed", "protocol: the document: 'reason' is missing"),
    "odd memory": ("answer(memory='abc')", "crashed", "protocol: memory: must be"),
}


@pytest.mark.parametrize("deed,kind,reason", TROUBLE.values(), ids=TROUBLE)
def test_the_program_that_made_the_trouble_is_blamed_and_another_process_takes_the_rest(
    tmp_path: Path, deed: str, kind: str, reason: str
) -> None:
    name = new_name()
    overrides = f"""
def part(text):
    sys.stdout.write(text)
    sys.stdout.flush()
def answer(**changes):
    say({{key: value for key, value in {{"seq": 3, "outcome": "returned", "r0": "0x2a", **changes}}.items() if value}})
def run(message):
    if message["id"] == "bad":
        {deed}
        return {{"seq": message["seq"], "outcome": "returned", "r0": "0x0"}}
    return {{"seq": message["seq"], "outcome": "returned", "r0": "0x2a"}}
"""
    jobs = [job(), job(), job(id="bad"), job(), job()]
    good, also_good, bad, *rest = outcomes(toy(tmp_path, overrides), jobs, timeout=3, environment=marked(name))
    assert (bad.kind, bad.r0) == (kind, None)
    assert reason in str(bad.reason)
    assert [outcome.r0 for outcome in (good, also_good, *rest)] == [42] * 4
    assert survivors(name) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_runtime_that_attacks_what_watches_over_it(tmp_path: Path, contained: bool, number: signal.Signals) -> None:
    name = new_name()
    overrides = f"""
def run(message):
    if message["id"] == "bad":
        os.kill(os.getppid(), {number:d})
        time.sleep(0 if {contained} else 1000)
    return {{"seq": message["seq"], "outcome": "returned", "r0": "0x2a"}}
"""
    jobs = [job(), job(id="bad"), job()]
    first, bad, last = outcomes(toy(tmp_path, overrides), jobs, contained=contained, environment=marked(name))
    assert first.r0 == last.r0 == 42
    if contained:
        assert bad.r0 == 42
    else:
        assert bad.kind == OutcomeKind.CRASHED
        assert str(bad.reason) == "abandoned: the process that watches over it was killed or stopped"
    assert survivors(name) == []


def test_words_that_no_report_could_hold_are_made_readable(tmp_path: Path) -> None:
    overrides = """
IDENTITY["name"] = "to\\ud800y\\0"
def run(message):
    return {"seq": message["seq"], "outcome": "rejected", "reason": "odd: \\x1b[31mred\\x1b[0m\\nand \\udfffmore"}
"""
    with BatchAdapter(toy(tmp_path, overrides)) as adapter:
        assert adapter.info().name == "toy"
        assert [str(outcome.reason) for outcome in adapter.run([job()])] == ["odd: red and more"]


def test_what_is_said_without_being_asked_is_no_answer_to_the_next_question(tmp_path: Path) -> None:
    overrides = """
def say(answer):
    line = json.dumps(answer) + "\\n"
    sys.stdout.write(line * 2 if "seq" in answer else line)
    sys.stdout.flush()
"""
    first, second, third = outcomes(toy(tmp_path, overrides), [job()] * 3)
    assert first.r0 == third.r0 == 42
    assert second.kind == OutcomeKind.CRASHED
    assert "without being asked" in second.reason.text


#: Replacements in the example: what a library in it prints, and the taking away of what shields it from that.
PRINT_BEFORE = ("long long seq", 'puts("loading"); long long seq')
PRINT_A_PART_BEFORE = ("long long seq", 'fputs("loading", stdout); fflush(stdout); long long seq')
PRINT_AFTER = ("} else {\n            break;", 'puts("done"); } else {\n            break;')
UNSHIELD = (('fdopen(dup(1), "w")', "stdout"), ("dup2(2, 1);", ""))


@pytest.mark.parametrize("noise,lost", [(PRINT_BEFORE, 0), (PRINT_A_PART_BEFORE, 0), (PRINT_AFTER, 1)])
def test_what_libraries_print_is_in_the_way_unless_the_runtime_shields_itself(
    tmp_path: Path, noise: tuple[str, str], lost: int
) -> None:
    jobs = [job()] * 2
    for name, changes in {"shielded": (noise,), "open": (noise, *UNSHIELD)}.items():
        text = EXAMPLE.read_text()
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        source = tmp_path / f"{name}.c"
        source.write_text(text)
        said = outcomes(str(compile_c(source, tmp_path / name)), jobs)
        if name == "shielded":
            assert [outcome.r0 for outcome in said] == [42, 42]
        else:
            assert said[lost].kind == OutcomeKind.CRASHED
            assert re.search("protocol: it said '(loading|done)", str(said[lost].reason))


def test_a_runtime_that_floods_standard_error_is_listened_to(tmp_path: Path) -> None:
    overrides = "start = lambda message: sys.stderr.write('x' * 1_000_000 + '\\n') and IDENTITY"
    assert [outcome.r0 for outcome in outcomes(toy(tmp_path, overrides), [job()] * 3)] == [42] * 3


def test_a_long_program_arrives(tmp_path: Path) -> None:
    overrides = "run = lambda m: {'seq': m['seq'], 'outcome': 'returned', 'r0': hex(len(m['program']))}"
    code = assemble("w0 = 1") * 100_000
    (outcome,) = outcomes(toy(tmp_path, overrides), [job(code=code)])
    assert outcome.r0 == 2 * len(code)


def test_a_runtime_that_does_not_start_again_is_a_failure_of_the_harness(tmp_path: Path) -> None:
    overrides = f"""
if os.path.exists({str(tmp_path / "once")!r}):
    sys.exit("no second time")
open({str(tmp_path / "once")!r}, "w")
run = lambda message: os.abort()
"""
    with BatchAdapter(toy(tmp_path, overrides)) as adapter:
        results: Iterator[Outcome] = adapter.run([job()] * 2)
        assert next(results).kind == OutcomeKind.CRASHED
        with pytest.raises(OSError, match=r"does not start again: exit: .*; stderr: no second time"):
            next(results)


BAD_STARTS = {
    "dies": ("sys.exit('no licence')", "exit: it ended with exit status 1; stderr: no licence"),
    "another version": ("IDENTITY['protocol'] = 2", "protocol: protocol: "),
    "nameless": ("del IDENTITY['name']", "'name' is missing"),
    "no byte order": ("IDENTITY['byte_order'] = 'middle'", "protocol: byte_order: "),
    "unknown group": ("IDENTITY['groups'] = ['base128']", "toy claims 'base128', which is none of base32, "),
    "silence": ("time.sleep(1000)", "timeout: no answer within 3 s"),
}


@pytest.mark.parametrize("overrides,reason", BAD_STARTS.values(), ids=BAD_STARTS)
def test_a_runtime_that_does_not_introduce_itself_is_unavailable(tmp_path: Path, overrides: str, reason: str) -> None:
    with pytest.raises(Unavailable) as error:
        BatchAdapter(toy(tmp_path, overrides), timeout=3)
    assert reason in str(error.value)


def test_a_missing_command_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="there is no such command in PATH"):
        BatchAdapter("no-such-command --batch")
    with pytest.raises(Unavailable, match="no command is given"):
        BatchAdapter(" ")


def test_memory_limit_and_environment_reach_the_process(tmp_path: Path) -> None:
    overrides = """
import resource
limit = resource.getrlimit(resource.RLIMIT_AS)[0] >> 20
run = lambda m: {"seq": m["seq"], "outcome": "returned", "r0": hex(limit * 10 + int(os.environ["DIGIT"]))}
"""
    (outcome,) = outcomes(toy(tmp_path, overrides), [job()], memory="512 MiB", environment={"DIGIT": "7"})
    assert outcome.r0 == 5127
