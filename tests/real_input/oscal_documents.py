"""Writes plan and results in OSCAL of every hand-made record, and of those that are named, each into its own folder.

`python -m tests.real_input.oscal_documents DIR [RECORD...]`
"""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.report.formats import write_reports
from conformance.report.material import Material
from conformance.report.record_file import read_record
from tests.report.standards import HOSTILE, RECORDS, hostile, large

FORMATS = ("json", "oscal-plan", "oscal-results")


def main(folder: Path, paths: list[Path]) -> None:
    made = {name: Material(make().to_json()) for name, make in RECORDS.items()}
    made |= {f"hostile-{name}": Material(hostile(text).to_json()) for name, text in HOSTILE.items()}
    made |= {"large": large()}
    made |= {f"given-{number}": Material(read_record(path)) for number, path in enumerate(paths, start=1)}
    for name, material in made.items():
        write_reports(material, folder / name, FORMATS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
