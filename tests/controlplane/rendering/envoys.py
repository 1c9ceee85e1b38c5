"""Which versions of Envoy the tests ask beside the installed one."""

from __future__ import annotations

import os

OTHERS = ("1.36.2", "1.36.3", "1.36.4", "1.37.0", "1.38.2", "1.38.3", "1.39.0", "1.39.1", "1.39.3")
ALL_ENVOYS = os.environ.get("MESHMARK_ALL_ENVOYS") == "1"
"""Each is a download of some 30 MB, so only where that is wanted."""
