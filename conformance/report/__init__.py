# SPDX-License-Identifier: Apache-2.0
"""Reports on results documents: a static site, charts over time, Markdown, JUnit and badges."""
