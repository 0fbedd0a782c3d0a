# SPDX-License-Identifier: Apache-2.0
"""Runtimes that are wrong on purpose, each in one way in which real ones have been: the suite must convict them all.

Each is the reference VM with a row of the instruction table, or the discipline of its frames, exchanged.
``bpf-isa run -r miniature:NAME`` runs one.
"""
