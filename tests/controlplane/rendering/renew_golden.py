"""Writes the golden files anew: `python -m tests.controlplane.rendering.renew_golden`; then read the difference."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rendering_cases import CASES, GOLDEN, Material, golden_text

for stale in GOLDEN.glob("*.json"):
    stale.unlink()
for name, case in CASES.items():
    (GOLDEN / f"{name}.json").write_text(golden_text(case(Material())), "utf-8")
