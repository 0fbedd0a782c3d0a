# SPDX-License-Identifier: Apache-2.0
"""The museum of historical bugs: which vectors convict them, and the page about it."""
