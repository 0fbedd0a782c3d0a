# SPDX-License-Identifier: Apache-2.0
"""The bundled JIT: compiles the meanings of the instruction table to machine code with LLVM."""
