# SPDX-License-Identifier: Apache-2.0
"""Runtimes with an executable for the bpf_conformance plugin protocol, such as uBPF and rbpf.

    plugin [MEMORY] [OPTIONS]

MEMORY is the input memory in hexadecimal bytes; the program arrives on standard input, as hexadecimal bytes on one
line. R0 in hexadecimal on standard output and exit status 0 mean that the program returned; any other exit status is
an error, with a message on standard error. The protocol has neither kinds of errors nor registers, memory or
maps.
"""
