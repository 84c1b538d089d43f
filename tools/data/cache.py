# SPDX-License-Identifier: MIT
"""Where downloads are kept between runs."""

import os


def directory():
    """$LF_CACHE if set, otherwise lorafusion/ below the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("LF_CACHE") or os.path.join(base, "lorafusion")
