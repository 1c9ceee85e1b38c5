"""The catalogue of this installation: requirements and profiles from `specs/`, checks from the packages beside this
module.

Vendors and governments add checks of their own by an entry point of the group `meshmark.checks` that names a module:
importing it declares them, and may first `CATALOGUE.extend` with requirements and profiles of its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from functools import cache

import conformance.checks
from conformance.model.check import Catalogue
from conformance.model.requirements import parse_profile, parse_requirements
from conformance.model.yaml_source import parse_yaml
from conformance.system.folders import bundled

__all__ = ["CATALOGUE", "check", "complete_catalogue"]


def _declared() -> Catalogue:
    requirements = [
        requirement
        for file in sorted(bundled("specs/requirements").glob("*.yaml"))
        for requirement in parse_requirements(parse_yaml(file.read_text("utf-8"), source=file.name).value, file.name)
    ]
    profiles = [
        parse_profile(parse_yaml(file.read_text("utf-8"), source=file.name).value, file.name)
        for file in sorted(bundled("specs/profiles").glob("*.yaml"))
    ]
    return Catalogue(requirements, profiles)


CATALOGUE = _declared()
check = CATALOGUE.check


@cache
def complete_catalogue() -> Catalogue:
    """The catalogue with every check declared: this suite's, area by area, then those of installed plugins."""
    for area in pkgutil.iter_modules(conformance.checks.__path__):
        if area.ispkg:
            package = importlib.import_module(f"conformance.checks.{area.name}")
            for topic in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{package.__name__}.{topic.name}")
    for plugin in importlib.metadata.entry_points(group="meshmark.checks"):
        plugin.load()
    return CATALOGUE
