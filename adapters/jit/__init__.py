# SPDX-License-Identifier: Apache-2.0
"""The bundled JIT: the meanings of the instruction table compiled to machine code by LLVM."""
