# SPDX-License-Identifier: Apache-2.0
"""The program that makes prepared calls where they are to be made: a process here, or the first one of a machine."""
