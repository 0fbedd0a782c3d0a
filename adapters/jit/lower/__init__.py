# SPDX-License-Identifier: Apache-2.0
"""Lowering: from the trees of rows to LLVM IR."""
