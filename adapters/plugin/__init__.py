# SPDX-License-Identifier: Apache-2.0
"""Any runtime that is an executable of the bpf_conformance plugin protocol, such as uBPF's and rbpf's.

    plugin [MEMORY] [OPTIONS]

MEMORY is the input memory in hexadecimal bytes; the program arrives on standard input, as hexadecimal bytes on one
line. R0 in hexadecimal on standard output and exit status 0 mean that the program returned; any other exit status is
an error, with a message on standard error. There is no word for what kind of error it is, nor a way to see registers
or memory, or to pass maps.
"""
