# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as a runtime, through the bpf(2) system call.

How a vector becomes kernel calls (:mod:`.prepare`, with :mod:`.reading` and :mod:`.wrapping`) and who makes them (the
:mod:`.guest`, a program without a library) meet only in plain data (:mod:`.calls`), which goes both ways as bytes
(:mod:`.packed`). :mod:`.process` runs the guest on the running kernel; :mod:`.conduct` finds out what a guest did not
survive. :mod:`.outcome` reads the report with the help of :mod:`.policy`, the table of what the kernel's verifier says.
:mod:`.kernel` puts these together for any kernel, :mod:`.adapter` for the running one.
"""
