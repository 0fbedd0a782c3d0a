# SPDX-License-Identifier: Apache-2.0
"""What compiled code runs in: LLVM, the code that calls back, memory and faults."""
