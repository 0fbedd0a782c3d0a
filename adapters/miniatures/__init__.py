# SPDX-License-Identifier: Apache-2.0
"""Faulty runtimes, each with one fault that real ones have had: the suite must find all of them.

Each is the reference VM with rows of the instruction table or the calling convention of local calls replaced.
``bpf-isa run -r miniature:NAME`` runs one.
"""
