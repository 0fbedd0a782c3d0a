# SPDX-License-Identifier: Apache-2.0
"""Rules for valid vector files: wording, form, and programs that test something."""
