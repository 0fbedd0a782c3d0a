# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal: progress, failures, the summary at the end."""
