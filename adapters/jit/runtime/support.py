# SPDX-License-Identifier: Apache-2.0
"""Support functions of compiled code, in LLVM IR: the search for a memory region, and calls of Python."""

from __future__ import annotations

import ctypes

from ....reference_vm.frames import FRAME_BYTES
from ....reference_vm.memory import STACK_WINDOW, WINDOW_BITS
from ..layout import FRAMES, READS, REGION_WORDS, WRITES, Word
from ..lower.emit import METADATA

DECLARATIONS = """
declare i16 @llvm.bswap.i16(i16)
declare i32 @llvm.bswap.i32(i32)
declare i64 @llvm.bswap.i64(i64)
declare <4 x i16> @llvm.bswap.v4i16(<4 x i16>)
declare <4 x i32> @llvm.bswap.v4i32(<4 x i32>)
declare <4 x i64> @llvm.bswap.v4i64(<4 x i64>)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.usub.sat.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


def find_source() -> str:
    """Return a module with ``ptr find(ptr ctx, i64 address, i64 access)``.

    ``access`` is the size, with READS and WRITES. The result is null, and the access is noted, if there is no such
    place; else the region is noted as the one found last, and a stack as one to clear when it is given away.
    """
    return f"""{DECLARATIONS}
define ptr @find(ptr %ctx, i64 %address, i64 %access) nounwind {{
entry:
  %size = and i64 %access, {READS - 1}
  %writes0 = and i64 %access, {WRITES}
  %writes = icmp ne i64 %writes0, 0
  %window = lshr i64 %address, {WINDOW_BITS}
  %offset = and i64 %address, {(1 << WINDOW_BITS) - 1}
  %base = sub i64 %address, %offset
  %place = sub i64 %window, {STACK_WINDOW}
  %frame = lshr i64 %place, 1
  %odd = trunc i64 %place to i1
  %depthp = getelementptr i64, ptr %ctx, i64 {int(Word.DEPTH)}
  %depth = load i64, ptr %depthp
  %deep = icmp ugt i64 %frame, %depth
  %other = or i1 %odd, %deep
  br i1 %other, label %search, label %stack
stack:
  %in_range = icmp ult i64 %frame, {FRAMES}
  br i1 %in_range, label %frame_ok, label %fail
frame_ok:
  %flags = getelementptr i64, ptr %ctx, i64 {int(Word.DIRTY)}
  %flagp = getelementptr i64, ptr %flags, i64 %frame
  %stacks = getelementptr i64, ptr %ctx, i64 {int(Word.STACKS)}
  %stackp = getelementptr i64, ptr %stacks, i64 %frame
  %stackhost = load ptr, ptr %stackp
  store i64 1, ptr %flagp
  br label %found
search:
  %tablep = getelementptr i64, ptr %ctx, i64 {int(Word.REGIONS)}
  %table = load ptr, ptr %tablep
  %countp = getelementptr i64, ptr %ctx, i64 {int(Word.REGION_COUNT)}
  %count = load i64, ptr %countp
  br label %loop
loop:
  %low = phi i64 [0, %search], [%low2, %step]
  %high = phi i64 [%count, %search], [%high2, %step]
  %empty = icmp uge i64 %low, %high
  br i1 %empty, label %fail, label %probe
probe:
  %sum = add i64 %low, %high
  %middle = lshr i64 %sum, 1
  %row = mul i64 %middle, {REGION_WORDS}
  %entry_ = getelementptr i64, ptr %table, i64 %row
  %key = load i64, ptr %entry_
  %same = icmp eq i64 %key, %window
  br i1 %same, label %hit, label %step
step:
  %below = icmp ult i64 %key, %window
  %next = add i64 %middle, 1
  %low2 = select i1 %below, i64 %next, i64 %low
  %high2 = select i1 %below, i64 %high, i64 %middle
  br label %loop
hit:
  %hostp = getelementptr i64, ptr %entry_, i64 1
  %host0 = load ptr, ptr %hostp
  %sizep = getelementptr i64, ptr %entry_, i64 2
  %size0 = load i64, ptr %sizep
  %wsizep = getelementptr i64, ptr %entry_, i64 3
  %wsize0 = load i64, ptr %wsizep
  br label %found
found:
  %host = phi ptr [%stackhost, %frame_ok], [%host0, %hit]
  %room0 = phi i64 [{FRAME_BYTES}, %frame_ok], [%size0, %hit]
  %wroom = phi i64 [{FRAME_BYTES}, %frame_ok], [%wsize0, %hit]
  %room = select i1 %writes, i64 %wroom, i64 %room0
  %end = add i64 %offset, %size
  %fits = icmp ule i64 %end, %room
  br i1 %fits, label %give, label %fail
give:
  %bp = getelementptr i64, ptr %ctx, i64 {int(Word.FOUND_BASE)}
  store i64 %base, ptr %bp
  %hp = getelementptr i64, ptr %ctx, i64 {int(Word.FOUND_HOST)}
  store ptr %host, ptr %hp
  %sp = getelementptr i64, ptr %ctx, i64 {int(Word.FOUND_SIZE)}
  store i64 %room0, ptr %sp
  %wp = getelementptr i64, ptr %ctx, i64 {int(Word.FOUND_WRITABLE)}
  store i64 %wroom, ptr %wp
  %result = getelementptr i8, ptr %host, i64 %offset
  ret ptr %result
fail:
  %ap = getelementptr i64, ptr %ctx, i64 {int(Word.ADDRESS)}
  store i64 %address, ptr %ap
  %xp = getelementptr i64, ptr %ctx, i64 {int(Word.ACCESS)}
  store i64 %access, ptr %xp
  ret ptr null
}}
{METADATA}"""


def call_source() -> str:
    """Return a module with ``i64 call(ptr ctx, i64 kind, i64 number, i64 r1, ...)``, which calls a helper function.

    It calls a Python object that has no parameters, and returns whether that raised anything. This goes through
    CPython's C interface: a callback of ctypes would need a page that is writable and executable.
    """
    addresses = {
        name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        for name in ("PyGILState_Ensure", "PyGILState_Release", "PyObject_CallNoArgs", "Py_DecRef", "PyErr_Clear")
    }
    names = ["kind", "number", *(f"r{register}" for register in range(1, 6))]
    stores = "\n".join(
        f"  %p{place} = getelementptr i64, ptr %ctx, i64 {Word.ARGUMENTS + place}\n  store i64 %{name}, ptr %p{place}"
        for place, name in enumerate(names)
    )

    def function(name: str) -> str:
        return f"inttoptr (i64 {addresses[name]} to ptr)"

    return f"""
define i64 @call(ptr %ctx, {", ".join(f"i64 %{name}" for name in names)}) {{
{stores}
  %callablep = getelementptr i64, ptr %ctx, i64 {int(Word.CALLABLE)}
  %callable = load ptr, ptr %callablep
  %state = call i32 {function("PyGILState_Ensure")}()
  %result = call ptr {function("PyObject_CallNoArgs")}(ptr %callable)
  %raised = icmp eq ptr %result, null
  br i1 %raised, label %clear, label %drop
clear:
  call void {function("PyErr_Clear")}()
  br label %done
drop:
  call void {function("Py_DecRef")}(ptr %result)
  br label %done
done:
  call void {function("PyGILState_Release")}(i32 %state)
  %status = zext i1 %raised to i64
  ret i64 %status
}}
"""
