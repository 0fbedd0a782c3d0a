# SPDX-License-Identifier: Apache-2.0
"""What programs say last is not always what happened."""

import pytest

from bpf_isa.adapters.processes.evidence import last_line

# Written by programs that rustc 1.95 has compiled, and shortened.

PANIC = """
thread 'main' (1604) panicked at src/vm.rs:2:38:
index out of bounds: the len is 3 but the index is 99
"""
ASSERTION = """
thread 'main' (1605) panicked at src/vm.rs:7:23:
assertion `left == right` failed: registers differ
  left: 1
 right: 2
"""
HINT = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
FRAMES = """stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_fmt
   2: p::main
             at ./src/vm.rs:6:37
"""
DETAILS = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n"
FULL = """stack backtrace:
   0:     0x563847be756a - std[e28293b1aa0f68bd]::backtrace_rs::backtrace::libunwind::trace
                               at /rustc/59807616/library/std/src/../../backtrace/src/backtrace/libunwind.rs:117:9
   1:     0x563847be756a - <unknown>
  35:     0x563847bb57a1 - _start
  36:                0x0 - <unknown>
"""
BOUNDS = "index out of bounds: the len is 3 but the index is 99"
DIFFER = "assertion `left == right` failed: registers differ left: 1 right: 2"

SAID = {
    "a panic": (PANIC + HINT, BOUNDS),
    "a panic with frames": (PANIC + FRAMES + DETAILS, BOUNDS),
    "a panic with all frames": (PANIC + FULL, BOUNDS),
    "a panic of a program without symbols": (PANIC + "stack backtrace:\n" + DETAILS, BOUNDS),
    "an assertion": (ASSERTION + HINT, DIFFER),
    "an assertion with frames": (ASSERTION + FRAMES + DETAILS, DIFFER),
    "a caught panic": (PANIC + FRAMES + DETAILS + "the other thread has died\n", "the other thread has died"),
    "two panics": (PANIC + FRAMES + DETAILS + ASSERTION + FULL, DIFFER),
    "numbers that are no frames": ("  12: unknown opcode\n", "12: unknown opcode"),
    "a last line without an end": ("bad jump", "bad jump"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("text,line", SAID.values(), ids=SAID)
def test_the_line_that_tells_what_happened_is_kept(text: str, line: str) -> None:
    assert last_line(text.encode()) == line
