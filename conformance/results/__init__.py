# SPDX-License-Identifier: Apache-2.0
"""Results: the document, its journal and its readers, and what compares it with what is known or was so before."""
