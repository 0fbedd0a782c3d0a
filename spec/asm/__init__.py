# SPDX-License-Identifier: Apache-2.0
"""Assembly: its syntax, the assembler, the disassembler."""
