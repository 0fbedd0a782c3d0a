# SPDX-License-Identifier: Apache-2.0
"""Symbolic execution of instructions: the typed tree over z3's bit-vectors. Needs the extra ``adequacy``."""
