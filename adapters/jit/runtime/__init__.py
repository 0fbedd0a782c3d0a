# SPDX-License-Identifier: Apache-2.0
"""The runtime of compiled code: LLVM, support functions, memory and faults."""
