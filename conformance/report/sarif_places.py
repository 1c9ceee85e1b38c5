"""Files and lines as SARIF names them (SARIF 2.1.0, sections 3.4 and 3.29)."""

from __future__ import annotations

import posixpath
from typing import Any

from conformance.report.documents import LONGEST_PATH, filled, uri_path
from conformance.report.findings import RecordJson

__all__ = ["BASES", "Places"]

RUN_FILE_FOLDER, BUNDLED = "RUN_FILE_FOLDER", "MESHMARK"
BASES = {
    RUN_FILE_FOLDER: "the folder of the run file",
    BUNDLED: "the data that meshmark brings along",
}
"""What paths are relative to, by the name that SARIF uses for it."""
FOLDERS = {"{bundled}/": BUNDLED, "{run_file_folder}/": RUN_FILE_FOLDER, "": RUN_FILE_FOLDER}


class Places:
    """The files that a record names: the run file, the contracts and whatever else a result points at."""

    def __init__(self, record: RecordJson) -> None:
        self._run_file: str = record["run_file"]
        digests = {contract["path"]: contract["sha256"] for contract in record["subject"]["contracts"]}
        pointed_at = [result["place"]["path"] for result in record["results"] if result["place"]]
        roles = dict.fromkeys([self._run_file, *digests, *pointed_at], "analysisTarget")
        roles[self._run_file] = "userSpecifiedConfiguration"
        self._artifacts = {
            path: filled(
                {
                    "location": {**_address(path), "index": number},
                    "roles": [role],
                    "hashes": {"sha-256": digests[path]} if path in digests else None,
                }
            )
            for number, (path, role) in enumerate(
                (path, role) for path, role in roles.items() if 0 < len(path) <= LONGEST_PATH
            )
        }

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        """All of them, the run file first."""
        return list(self._artifacts.values())

    def locations(self, result: RecordJson) -> list[dict[str, Any]]:
        """Where a result points: a line, or the run file as a whole; nowhere if not even that has a name."""
        place = result["place"]
        path = place["path"] if place else self._run_file
        if path not in self._artifacts:
            return []
        region = {"startLine": place["line"], "startColumn": place["column"]} if place else None
        return [{"physicalLocation": filled({"artifactLocation": self._artifacts[path]["location"], "region": region})}]


def _address(path: str) -> dict[str, str]:
    """A path relative to a folder with a name, if it lies in one."""
    placeholder = next(each for each in FOLDERS if path.startswith(each))
    inside = posixpath.normpath(path.removeprefix(placeholder))
    if inside.startswith("/"):
        return {"uri": f"file:///{uri_path(inside.lstrip('/'))}"}
    if inside.split("/")[0] == "..":
        return {"uri": uri_path(inside)}
    return {"uri": uri_path(inside), "uriBaseId": FOLDERS[placeholder]}
