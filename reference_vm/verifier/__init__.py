# SPDX-License-Identifier: Apache-2.0
"""What a program must satisfy before it may run: the structural rules of RFC 9669."""
