# SPDX-License-Identifier: Apache-2.0
"""A run: programs given to a runtime, and the verdict on what it answers."""
