# SPDX-License-Identifier: Apache-2.0
"""Coverage: requirements and instructions with their vectors, and runtimes that confirm the vectors."""
