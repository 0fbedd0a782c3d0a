# SPDX-License-Identifier: Apache-2.0
"""The instruction set: the table of instructions, and what is derived from it without running a program."""
