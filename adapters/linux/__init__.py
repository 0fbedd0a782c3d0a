# SPDX-License-Identifier: Apache-2.0
"""The running Linux kernel as a runtime, through the bpf(2) system call.

How a vector becomes kernel calls (:mod:`.prepare`, with :mod:`.reading` and :mod:`.wrapping`) and who makes them
(:mod:`.executor`, on :mod:`.syscall`) meet only in plain data (:mod:`.calls`). :mod:`.outcome` reads the report with
the help of :mod:`.policy`, the table of what the kernel's verifier says. :mod:`.adapter` puts these together.
"""
