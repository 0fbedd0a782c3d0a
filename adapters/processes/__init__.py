# SPDX-License-Identifier: Apache-2.0
"""Programs under test as child processes, with limits, whose descendants are killed at the end."""
