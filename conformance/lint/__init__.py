# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with vectors although they can be read: words, form, and programs that test nothing."""
