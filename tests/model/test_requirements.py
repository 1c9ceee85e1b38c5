"""The catalogue of requirements keeps its own rules, and a slip in it is named by file, entry and field."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.model.errors import SuiteFault
from conformance.model.requirements import (
    Area,
    Feature,
    Level,
    Profile,
    Requirement,
    parse_profile,
    parse_requirements,
)

REPOSITORY = Path(__file__).resolve().parents[2]
SPECS = REPOSITORY / "specs"
FILES = sorted(SPECS.glob("*/*.yaml"))
GOVSTACK_DIR = Path(os.environ.get("MESHMARK_GOVSTACK_DIR", REPOSITORY.parent / "shared" / "govstack"))
GOVSTACK_REQUIREMENTS = GOVSTACK_DIR / "cfr-requirements.json"
SOURCE_FORMS = re.compile(
    r"govstack-cfr-[a-z]+#req-[1-9]\d*"
    r"|(govstack-im-1\.1\.1|govstack-sec|SPIFFE X\.509-SVID|W3C Trace Context) §\d+(\.\d+)*"
    r"|RFC \d{4} §\d+(\.\d+)*"
    r"|OpenAPI Specification 3\.[01]"
    r"|(OpenTelemetry|Envoy docs), [A-Z].*|Envoy docs, (gRPC|xDS) ?.*"
    r"|X-Road: Message Protocol for REST"
)


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def read_requirements() -> list[Requirement]:
    files = [SPECS / "requirements" / f"{area}.yaml" for area in Area]
    return [requirement for file in files for requirement in parse_requirements(read(file), file.name)]


REQUIREMENTS = read_requirements()
PROFILES = [parse_profile(read(file), file.name) for file in FILES if file.parent.name == "profiles"]
GOVSTACK = next(profile for profile in PROFILES if profile.id == "govstack")


@pytest.fixture(scope="module")
def govstack_levels() -> dict[str, str]:
    if not GOVSTACK_REQUIREMENTS.is_file():
        pytest.skip("GovStack's list of requirements is not here; MESHMARK_GOVSTACK_DIR names its folder")
    listed = json.loads(GOVSTACK_REQUIREMENTS.read_text(encoding="utf-8"))["requirements"]
    return {entry["id"]: entry["level"] for entry in listed}


@pytest.fixture
def area_file() -> dict[str, Any]:
    return {
        "area": "MTLS",
        "requirements": [
            {
                "id": "MTLS-R1",
                "level": "MUST",
                "text": "A security server refuses a stranger.",
                "sources": [{"id": "RFC 8446 §4.4.2"}],
                "features": ["mtls"],
                "profiles": {"mesh": "MUST"},
            }
        ],
    }


@pytest.fixture
def profile_file() -> dict[str, Any]:
    return {
        "id": "small",
        "title": "Small",
        "text": "For trying things out.",
        "mandatory": ["mtls"],
        "optional": ["grpc"],
        "reasons": ["It is small."],
    }


# --- the catalogue as it is -------------------------------------------------------------------------------------------


def test_every_area_has_a_file_and_every_file_an_area() -> None:
    assert {file.stem for file in FILES if file.parent.name == "requirements"} == set(Area)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_mapping_names_a_key_twice(file: Path) -> None:
    nodes = [yaml.compose(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{node.start_mark}: {keys}"
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def test_ids_are_unique() -> None:
    ids = [requirement.id for requirement in REQUIREMENTS]
    assert len(ids) == len(set(ids))


def test_no_two_requirements_say_the_same() -> None:
    texts = [requirement.text.lower() for requirement in REQUIREMENTS]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.id)
def test_each_text_is_one_sentence(requirement: Requirement) -> None:
    assert re.fullmatch(r"[A-Z].*[^.]\.", requirement.text), "it begins with a capital and ends with one full stop"
    assert not re.search(r"[.!?] +[A-Z]", requirement.text), "one sentence, not two"
    assert not re.search(r"\b(etc|e\.g|i\.e)\b", requirement.text), "it names what it means"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.id)
def test_each_source_is_written_in_a_known_form_and_once(requirement: Requirement) -> None:
    ids = [source.id for source in requirement.sources]
    assert [source for source in ids if not SOURCE_FORMS.fullmatch(source)] == []
    assert len(ids) == len(set(ids))


def test_each_cross_functional_source_is_one_of_govstacks(govstack_levels: dict[str, str]) -> None:
    cited = {source.id for requirement in REQUIREMENTS for source in requirement.sources}
    assert {source for source in cited if source.startswith("govstack-cfr")} - govstack_levels.keys() == set()


def test_every_feature_is_needed_by_a_requirement() -> None:
    assert set(Feature) == {feature for requirement in REQUIREMENTS for feature in requirement.features}


def test_requirements_name_only_profiles_that_exist() -> None:
    named = {profile for requirement in REQUIREMENTS for profile in requirement.profiles}
    assert named == {profile.id for profile in PROFILES}


def test_each_profile_is_in_the_file_of_its_name() -> None:
    assert {profile.id for profile in PROFILES} == {file.stem for file in FILES if file.parent.name == "profiles"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_a_profile_has_every_feature_that_its_requirements_need_and_no_other(profile: Profile) -> None:
    weighed = [requirement for requirement in REQUIREMENTS if profile.level_of(requirement)]
    needed = {feature for requirement in weighed for feature in requirement.features}
    assert needed == {*profile.mandatory, *profile.optional}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_a_profile_allows_only_what_depends_on_an_optional_feature(profile: Profile) -> None:
    allowed = [requirement for requirement in REQUIREMENTS if profile.level_of(requirement) is Level.MAY]
    assert [requirement.id for requirement in allowed if not set(requirement.features) & set(profile.optional)] == []


def test_the_mesh_profile_weighs_every_requirement_by_its_own_level() -> None:
    mesh = next(profile for profile in PROFILES if profile.id == "mesh")
    assert [requirement.id for requirement in REQUIREMENTS if mesh.level_of(requirement) is not requirement.level] == []


def test_what_the_govstack_profile_demands_is_required_by_a_govstack_document(govstack_levels: dict[str, str]) -> None:
    def requires(source: str) -> bool:
        return govstack_levels.get(source) == "REQUIRED" or source.startswith(("govstack-im", "govstack-sec"))

    demanded = [requirement for requirement in REQUIREMENTS if GOVSTACK.level_of(requirement) is Level.MUST]
    assert [item.id for item in demanded if not any(requires(source.id) for source in item.sources)] == []


def test_what_the_govstack_profile_recommends_beyond_govstack_is_about_mutual_tls() -> None:
    weighed = [requirement for requirement in REQUIREMENTS if GOVSTACK.level_of(requirement)]
    beyond = [item for item in weighed if not any(source.id.startswith("govstack") for source in item.sources)]
    assert {requirement.area for requirement in beyond} == {Area.MTLS}


@pytest.mark.parametrize("requirement", [item for item in REQUIREMENTS if item.unchecked], ids=lambda item: item.id)
def test_each_reason_for_a_missing_check_says_what_it_would_need(requirement: Requirement) -> None:
    assert requirement.unchecked is not None
    assert re.fullmatch(r"needs (\S+ ){4,}\S*[^.]", requirement.unchecked)


# --- slips in the catalogue -------------------------------------------------------------------------------------------


def test_a_sound_entry_is_read_as_written(area_file: dict[str, Any]) -> None:
    (requirement,) = parse_requirements(area_file, "MTLS.yaml")
    assert (requirement.area, requirement.level, requirement.features) == (Area.MTLS, Level.MUST, (Feature.MTLS,))
    assert requirement.unchecked is None


def test_a_requirement_that_does_not_name_the_profile_is_no_part_of_it(
    area_file: dict[str, Any], profile_file: dict[str, Any]
) -> None:
    (requirement,) = parse_requirements(area_file, "MTLS.yaml")
    assert parse_profile(profile_file, "small.yaml").level_of(requirement) is None


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("level", "must", "MTLS-R1: field 'level'"),
        ("text", "", "MTLS-R1: field 'text'"),
        ("text", " A security server refuses a stranger.", "MTLS-R1: field 'text'"),
        ("text", 7, "MTLS-R1: field 'text'"),
        ("sources", [], "MTLS-R1: field 'sources'"),
        ("sources", "RFC 8446", "MTLS-R1: field 'sources'"),
        ("sources", ["RFC 8446"], "MTLS-R1: source 1"),
        ("sources", [{"id": "RFC 8446", "page": "9"}], "MTLS-R1: source 1: field 'page'"),
        ("features", ["mtls", "mtls"], "MTLS-R1: field 'features'"),
        ("features", ["teleport"], "MTLS-R1: field 'features'"),
        ("features", [["mtls"]], "MTLS-R1: field 'features'"),
        ("profiles", {}, "MTLS-R1: field 'profiles'"),
        ("profiles", {"mesh": "REQUIRED"}, "MTLS-R1: field 'profiles': field 'mesh'"),
        ("profiles", {1: "MUST"}, "MTLS-R1: field 'profiles'"),
        ("unchecked", None, "MTLS-R1: field 'unchecked'"),
        ("colour", "red", "entry 1: field 'colour'"),
    ],
)
def test_a_wrong_field_is_refused_by_file_entry_and_name(
    area_file: dict[str, Any], field: str, value: object, named: str
) -> None:
    area_file["requirements"][0][field] = value
    with pytest.raises(SuiteFault) as refusal:
        parse_requirements(area_file, "MTLS.yaml")
    assert refusal.value.where == f"MTLS.yaml: {named}"


@pytest.mark.parametrize("field", ["id", "level", "text", "sources", "features", "profiles"])
def test_a_missing_field_is_refused_by_file_entry_and_name(area_file: dict[str, Any], field: str) -> None:
    del area_file["requirements"][0][field]
    with pytest.raises(SuiteFault, match=rf"^MTLS\.yaml: entry 1: field '{field}': is missing"):
        parse_requirements(area_file, "MTLS.yaml")


def test_a_gap_in_the_numbers_is_refused(area_file: dict[str, Any]) -> None:
    area_file["requirements"].append(copy.deepcopy(area_file["requirements"][0]) | {"id": "MTLS-R3"})
    with pytest.raises(SuiteFault, match=r"entry 2: field 'id': is 'MTLS-R3'; by its place it is 'MTLS-R2'"):
        parse_requirements(area_file, "MTLS.yaml")


def test_an_id_of_another_area_is_refused(area_file: dict[str, Any]) -> None:
    area_file["requirements"][0]["id"] = "ROUTE-R1"
    with pytest.raises(SuiteFault, match="field 'id': is 'ROUTE-R1'"):
        parse_requirements(area_file, "MTLS.yaml")


@pytest.mark.parametrize("values", [None, [], "text", {}])
def test_a_file_that_is_no_catalogue_is_refused(values: object) -> None:
    with pytest.raises(SuiteFault, match=r"^MTLS\.yaml"):
        parse_requirements(values, "MTLS.yaml")


def test_a_feature_both_mandatory_and_optional_is_refused(profile_file: dict[str, Any]) -> None:
    profile_file["optional"] = ["grpc", "mtls"]
    with pytest.raises(SuiteFault, match=r"^small\.yaml: field 'optional': mtls: mandatory as well"):
        parse_profile(profile_file, "small.yaml")


def test_a_profile_id_that_no_run_file_could_name_is_refused(profile_file: dict[str, Any]) -> None:
    profile_file["id"] = "My Profile"
    with pytest.raises(SuiteFault, match=r"^small\.yaml: field 'id'"):
        parse_profile(profile_file, "small.yaml")


def test_a_conflict_without_a_ruling_is_refused(profile_file: dict[str, Any]) -> None:
    profile_file["conflicts"] = [{"topic": "Tokens", "contradiction": "One says yes, one says no."}]
    with pytest.raises(SuiteFault, match=r"^small\.yaml: conflict 1: field 'ruling': is missing"):
        parse_profile(profile_file, "small.yaml")
