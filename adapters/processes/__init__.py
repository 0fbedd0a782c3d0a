# SPDX-License-Identifier: Apache-2.0
"""Other people's programs as child processes: limited, listened to, and gone afterwards with all that they started."""
