# SPDX-License-Identifier: Apache-2.0
"""The bundled JIT as a runtime: the meanings in spec/isa.yaml, compiled through LLVM."""
