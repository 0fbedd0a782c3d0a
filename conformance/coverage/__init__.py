# SPDX-License-Identifier: Apache-2.0
"""What the suite covers: requirements and instructions with their vectors, and what has confirmed the vectors."""
