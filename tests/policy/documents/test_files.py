"""Policies in files and folders: all of them are read, and every mistake in all of them has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.model.errors import UsageError
from conformance.model.yaml_source import YamlProblem
from conformance.policy.documents import InvalidPolicies
from conformance.policy.files import read_policy_files

ONE = "{kind: member, name: one, identity: 'spiffe://agency.example/one'}\n"


def test_files_of_a_folder_are_read_in_order_and_others_are_not(tmp_path: Path):
    (tmp_path / "b.yml").write_text(ONE.replace("one", "b"))
    (tmp_path / "a.yaml").write_text(f"{ONE.replace('one', 'a')}---\n{ONE.replace('one', 'aa')}")
    (tmp_path / "c.json").write_text('{"kind": "mesh"}')
    (tmp_path / "notes.txt").write_text("kind: [")
    (tmp_path / "inside.yaml").mkdir()
    assert [each.key[1] for each in read_policy_files([tmp_path])] == ["a", "aa", "b", "mesh"]


def test_mistakes_of_all_files_are_found(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("kind: member\nnaem: a\n")
    (tmp_path / "b.yaml").write_text("kind: service\nname: b\nprovider: 7\n")
    with pytest.raises(InvalidPolicies) as refused:
        read_policy_files([tmp_path])
    places = [problem.where.rpartition("/")[2] for problem in refused.value.problems]
    assert "a.yaml:2:1" in places
    assert "b.yaml:3:1" in places


def test_one_name_in_two_files_is_a_mistake_with_both_places(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(ONE)
    (tmp_path / "b.yaml").write_text(ONE)
    with pytest.raises(InvalidPolicies) as refused:
        read_policy_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    (problem,) = refused.value.problems
    assert problem.document == "member/one"
    assert "b.yaml:1" in problem.where
    assert "a.yaml:1:1" in problem.reason


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"\xff\xfe", "it is not UTF-8"), (b"# nothing\n", "there is no policy")],
)
def test_what_cannot_be_read_is_named(content: bytes | None, said: str, tmp_path: Path):
    file = tmp_path / "policies.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=said) as refused:
        read_policy_files([file])
    assert str(file) in str(refused.value)


def test_a_folder_without_policies_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="no file here ends with"):
        read_policy_files([tmp_path])


def test_what_is_no_yaml_has_its_place(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("kind: [\n")
    with pytest.raises(YamlProblem) as refused:
        read_policy_files([tmp_path])
    assert "a.yaml:" in str(refused.value)
