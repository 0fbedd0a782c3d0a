# SPDX-License-Identifier: Apache-2.0
"""Analysis of natural loops: strides of their accesses, and conditions that bound them."""
