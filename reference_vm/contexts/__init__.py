# SPDX-License-Identifier: Apache-2.0
"""Contexts: where an instruction is in its program, and when it is executed.

A code generator may be right about an instruction and wrong about it in one context: before a 32-bit conditional jump,
with an immediate that just does not fit, in its 34th execution. A :class:`~.context.Context` is one such condition; a
machine whose fault is confined to it is made by :mod:`.confine`.
"""
