# SPDX-License-Identifier: Apache-2.0
"""Whatever a plugin does, it has an outcome with evidence, and nothing of it is left."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.adapters.plugin.adapter import PluginAdapter
from bpf_isa.adapters.protocol import HelperSpec, Job, MapSpec, Outcome, OutcomeKind, Reason, Unavailable
from bpf_isa.spec.asm.assemble import assemble

from ..survivors import belongings, marked, new_name, survivors
from .conftest import Script

# The program and the memory are only data to these plugins.
JOB = Job("vector", assemble("w0 = 42\nexit"), "little", frozenset({"base32"}), frozenset({"r0"}))


def outcome_of(plugin: Path | str, job: Job = JOB, **options: Any) -> Outcome:
    with PluginAdapter(str(plugin), **options) as adapter:
        (outcome,) = adapter.run([job])
    return outcome


RETURNED = {
    "plain": ("echo 2a", 0x2A),
    "prefix": ("echo 0x2A", 0x2A),
    "no newline": ("printf 2a", 0x2A),
    "carriage return": (r"printf '2a\r\n'", 0x2A),
    "64 bits": ("echo ffffffffffffffff", (1 << 64) - 1),
    "leading zeros": ("echo 0x00000000000000000000002a", 0x2A),
    "a child keeps the pipes": ("sleep 1000 &\necho 2a", 0x2A),
    "ends after its input is closed": ("exec <&-\necho 2a", 0x2A),
}


@pytest.mark.parametrize("text,r0", RETURNED.values(), ids=RETURNED)
def test_r0_on_standard_output_and_exit_status_0_is_a_return(script: Script, text: str, r0: int) -> None:
    outcome = outcome_of(script(text))
    assert (outcome.kind, outcome.r0, str(outcome.reason)) == (OutcomeKind.RETURNED, r0, "")
    assert outcome.seconds is not None


def test_what_else_it_says_is_kept_as_a_note(script: Script) -> None:
    outcome = outcome_of(script("echo first >&2\necho 2a\necho warning: slow >&2"))
    assert (outcome.kind, outcome.r0) == (OutcomeKind.RETURNED, 0x2A)
    assert str(outcome.reason) == "stderr: warning: slow"


FAILURES = {
    "error": (
        "echo trace >&2; echo unknown opcode >&2; exit 1",
        "rejected",
        "error: exit status 1; stderr: unknown op",
    ),
    "error on both streams": (
        "echo 2a; echo bad jump >&2; exit 3",
        "rejected",
        "error: exit status 3; stderr: bad jump",
    ),
    "error on standard output": ("echo Failed to load; exit 1", "rejected", "error: exit status 1; stdout: Failed to"),
    "error without a word": ("exit 9", "rejected", "error: exit status 9, without a message"),
    "error of a Rust program": (
        (
            "printf \"thread 'main' panicked at src/p.rs:9:5:\\ncalled \\`Result::unwrap()\\` on an \\`Err\\` value\\n"
            'note: run with \\`RUST_BACKTRACE=1\\`\\n" >&2; exit 101'
        ),
        "rejected",
        "error: exit status 101; stderr: called `Result::unwrap",
    ),
    "escapes": (r"printf '\033[31mbad\033[0m \001opcode\n' >&2; exit 1", "rejected", "stderr: bad opcode"),
    "no text": (r"printf '\377\376\n' >&2; exit 1", "rejected", "stderr: \N{REPLACEMENT CHARACTER}"),
    "signal": ("echo about to die >&2; kill -SEGV $$", "crashed", "signal: killed by SIGSEGV; stderr: about to die"),
    "abort": ("kill -ABRT $$", "crashed", "signal: killed by SIGABRT"),
    "death of a child of a shell": ("sh -c 'kill -FPE $$'", "crashed", "signal: exit status 136, for SIGFPE"),
    "sanitizer": (
        (
            "printf '==7==ERROR: AddressSanitizer: use-after-free\\nSUMMARY: AddressSanitizer: here\\n' >&2; "
            "printf '==7==ABORTING\\n' >&2; exit 1"
        ),
        "crashed",
        "sanitizer: exit status 1; stderr: SUMMARY: AddressSanitizer: here",
    ),
    "panic": (
        "printf \"thread 'main' panicked at src/jit.rs:9:5:\\nindex out of bounds\\n\" >&2; exit 101",
        "crashed",
        "panic: exit status 101; stderr: index out of bounds",
    ),
    "garbage": ("echo r0 is 42", "crashed", "garbage: it wrote 'r0 is 42"),
    "bytes": (r"printf '\377\000'", "crashed", r"garbage: it wrote '\xff\x00'"),
    "negative": ("echo -1", "crashed", "garbage: it wrote '-1"),
    "two numbers": ("echo 1; echo 2", "crashed", "garbage: it wrote"),
    "65 bits": ("echo 1ffffffffffffffff", "crashed", "garbage: it wrote"),
    "empty": ("exit 0", "crashed", "empty: it wrote nothing to standard output, with exit status 0"),
    "blank": ("echo; echo", "crashed", "empty: it wrote nothing"),
    "error message with exit status 0": ("echo bad program >&2", "crashed", "; stderr: bad program"),
    "oversized": ("yes", "crashed", "oversized: it wrote more than 65536 bytes"),
    "oversized and then a death": ("head -c 70000 /dev/zero; kill -SEGV $$", "crashed", "oversized: it wrote more"),
}


@pytest.mark.parametrize("text,kind,reason", FAILURES.values(), ids=FAILURES)
def test_every_other_end_has_an_outcome_with_its_evidence(script: Script, text: str, kind: str, reason: str) -> None:
    outcome = outcome_of(script(text))
    assert (outcome.kind, outcome.r0) == (kind, None)
    assert reason in str(outcome.reason)
    assert outcome.reason.code
    assert "\n" not in outcome.reason.text


LATE = {
    "sleeps": "echo working >&2; sleep 1000",
    "ignores signals": "trap '' TERM INT HUP QUIT; echo working >&2; while :; do sleep 1; done",
    "has closed its output": "echo working >&2; exec >&- 2>&-; sleep 1000",
    "floods standard error": "while :; do echo working >&2; done",
}


@pytest.mark.parametrize("text", LATE.values(), ids=LATE)
def test_what_does_not_end_is_killed(script: Script, text: str) -> None:
    outcome = outcome_of(script(text), timeout=0.3)
    assert outcome.kind == OutcomeKind.TIMED_OUT
    assert str(outcome.reason) == "timeout: no answer within 0.3 s; stderr: working"


def test_a_daemon_does_not_survive(compiled: Callable[[str], Path], tmp_path: Path, contained: bool) -> None:
    name, note = new_name(), tmp_path / "pid"
    options: dict[str, Any] = {"args": (str(note),), "environment": marked(name), "contained": contained}
    with PluginAdapter(str(compiled("daemon")), **options) as adapter:
        note.unlink()  # of the plugin that was started to try it
        (outcome,) = adapter.run([JOB])
        assert outcome.r0 == 0x2A
        assert note.read_text()
        assert [one for one in survivors(name) if one.endswith("daemon")] == []


def test_no_descendant_survives_in_whatever_group_or_session(
    compiled: Callable[[str], Path], tmp_path: Path, contained: bool
) -> None:
    name, note = new_name(), tmp_path / "pids"
    options: dict[str, Any] = {"args": (str(note),), "environment": marked(name), "contained": contained}
    assert outcome_of(compiled("brood"), **options).r0 == 0x2A
    assert len(note.read_text().split()) == 2 * (3 + 9 + 27)
    assert survivors(name) == []


def test_a_timeout_takes_the_descendants_along(script: Script, tmp_path: Path, contained: bool) -> None:
    name, note = new_name(), tmp_path / "pid"
    plugin = script(f"setsid sh -c 'echo $$ > {note}; trap \"\" TERM; while :; do sleep 1; done' & wait")
    outcome = outcome_of(plugin, timeout=0.3, environment=marked(name), contained=contained)
    assert outcome.kind == OutcomeKind.TIMED_OUT
    assert note.read_text()
    assert survivors(name) == []


def test_no_process_and_no_descriptor_is_left(script: Script) -> None:
    plugin = script("echo 2a")
    outcome_of(plugin)
    before = belongings()
    outcome_of(plugin)
    assert belongings() == before


def test_address_space_is_limited(compiled: Callable[[str], Path]) -> None:
    assert outcome_of(compiled("hungry"), memory="64 MiB").r0 == 0
    assert outcome_of(compiled("hungry"), memory="512 MiB").r0 == 0
    assert outcome_of(compiled("hungry"), memory="4 GiB").r0 == 1
    assert outcome_of(compiled("hungry"), memory="unlimited").r0 == 1


# The contract


def test_memory_comes_first_and_the_program_on_one_line(script: Script, tmp_path: Path) -> None:
    plugin = script(f'for word in "$@"; do echo "<$word>"; done > {tmp_path}/args; cat > {tmp_path}/stdin; echo 0')
    outcome_of(plugin, JOB._replace(memory=b"\x01\x02\xff"), args=("--jit", "two words"))
    assert (tmp_path / "args").read_text() == "<01 02 ff>\n<--jit>\n<two words>\n"
    assert (tmp_path / "stdin").read_text() == "b4 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00\n"
    outcome_of(plugin, args=("--jit",))
    assert (tmp_path / "args").read_text() == "<--jit>\n"
    outcome_of(plugin, args=("--jit",), empty_memory=True)
    assert (tmp_path / "args").read_text() == "<>\n<--jit>\n"


def test_a_program_larger_than_a_pipe_arrives(script: Script, tmp_path: Path) -> None:
    code = assemble("w0 = 1") * 60_000 + assemble("exit")
    outcome = outcome_of(script("wc -c | xargs printf %x"), JOB._replace(code=code))
    assert outcome.r0 == 3 * len(code)
    unread = outcome_of(script("exec <&-\nsleep 0.05\necho 2a"), JOB._replace(code=code))
    assert unread.r0 == 0x2A


def test_what_the_protocol_cannot_carry_is_unsupported(script: Script) -> None:
    plugin = script("echo 2a")
    large = outcome_of(plugin, JOB._replace(memory=bytes(1 << 16)))
    assert large == Outcome(
        OutcomeKind.UNSUPPORTED,
        reason=Reason("protocol", "65536 bytes of memory in hex do not fit into an argument of a program", "harness"),
    )
    map_code = assemble("r0 = map_val(map_by_fd(0)) ll\nexit".replace("map_val(map_by_fd(0))", "0"))
    wide = bytearray(map_code)
    wide[1] |= 2 << 4  # the form that is the address of a map's value
    mapped = outcome_of(plugin, JOB._replace(code=bytes(wide), maps=(MapSpec(bytes(8)),)))
    assert (mapped.kind, str(mapped.reason)) == (OutcomeKind.UNSUPPORTED, "protocol: the plugin protocol has no maps")
    helper = HelperSpec("static", 77, "weigh")
    called = outcome_of(plugin, JOB._replace(code=assemble("call 77\nexit"), helpers=(helper,)))
    assert str(called.reason) == "protocol: the plugin protocol has no helper functions"


def test_maps_that_the_program_does_not_name_do_no_harm(script: Script) -> None:
    # Programs that should be rejected come with maps for runtimes that take them for something else.
    code = assemble("w0 = 42").replace(b"\xb4", b"\xf7", 1) + assemble("exit")
    job = JOB._replace(code=code, maps=(MapSpec(bytes(8)),), wants_rejection=True)
    assert outcome_of(script("echo unknown >&2; exit 1"), job).kind == OutcomeKind.REJECTED


def test_it_runs_in_its_folder_with_its_environment(script: Script, tmp_path: Path) -> None:
    plugin = script('test "$PWD" = "$WANTED" && echo 1 || echo 0')
    outcome = outcome_of("./" + plugin.name, folder=tmp_path, environment={"WANTED": str(tmp_path)})
    assert outcome.r0 == 1


# Plugins that cannot be used


def test_a_missing_plugin_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"/none: there is no such file: build it, or correct its path"):
        PluginAdapter(str(tmp_path / "none"))
    with pytest.raises(Unavailable, match=r"no-such-plugin: there is no such command in PATH: give its path"):
        PluginAdapter("no-such-plugin")
    (tmp_path / "here").write_text("")
    with pytest.raises(Unavailable, match=r"did you mean \./here\?"):
        PluginAdapter("here", folder=tmp_path)


def test_what_cannot_be_executed_is_unavailable(tmp_path: Path, script: Script) -> None:
    with pytest.raises(Unavailable, match="this is no file"):
        PluginAdapter(str(tmp_path))
    plugin = script("echo 1")
    plugin.chmod(0o644)
    with pytest.raises(Unavailable, match=r"not executable: run chmod \+x"):
        PluginAdapter(str(plugin))
    plugin.chmod(0o755)
    plugin.write_text("neither a script nor a program")
    with pytest.raises(Unavailable, match=r"no executable format: a script needs a #! line"):
        PluginAdapter(str(plugin))
    plugin.write_text("#!/no/such/interpreter\n")
    with pytest.raises(Unavailable, match=r"interpreter does not exist"):
        PluginAdapter(str(plugin))
    plugin.write_text("#!/bin/sh\nno-such-command-here\n")
    with pytest.raises(Unavailable, match=r"does not start: .*no-such-command-here"):
        PluginAdapter(str(plugin))


def test_a_plugin_that_goes_away_is_a_failure_of_the_harness(script: Script) -> None:
    plugin = script("echo 1")
    with PluginAdapter(str(plugin)) as adapter:
        plugin.unlink()
        with pytest.raises(OSError, match="does not exist"):
            list(adapter.run([JOB]))


# Identity


def test_identity_is_what_the_user_says_and_what_can_be_seen(script: Script) -> None:
    plugin = script("echo 1")
    with PluginAdapter(f"{plugin}:--jit 'a b'") as adapter:
        info = adapter.info()
    assert (info.name, info.engine, info.groups) == ("plugin --jit 'a b'", "jit", None)
    assert re.fullmatch("sha256:[0-9a-f]{16}", info.version)
    assert info.observes == {"r0"}
    said = {
        "version": "1.2",
        "engine": "interpreter",
        "architecture": "riscv64",
        "byte_order": "big",
        "groups": ("base32",),
    }
    with PluginAdapter(str(plugin), **said) as adapter:
        info = adapter.info()
    assert (info.version, info.engine, info.architecture, info.byte_order) == ("1.2", "interpreter", "riscv64", "big")
    assert info.groups == frozenset({"base32"})
