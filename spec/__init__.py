# SPDX-License-Identifier: Apache-2.0
"""What the ISA is: the instruction table and everything derived from it without running a program."""
