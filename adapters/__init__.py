# SPDX-License-Identifier: Apache-2.0
"""Who else runs programs: one adapter per runtime, all speaking the protocol of this package."""
