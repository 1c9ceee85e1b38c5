"""`meshmark policy` against a running mesh: changes come into force, and what is wrong is said with its place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from running_mesh import RunningMesh, private_states, states
from workplace import FIXTURES, Finished, Workplace

from conformance.cli.main import main
from conformance.cli.running import claimed
from conformance.system.guard import Guard

POLICIES = FIXTURES / "policies"
DEATHS = "service/death-registry"


@pytest.fixture
def asked(
    reference: RunningMesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Runs `meshmark policy` in this process, for speed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", reference.workplace.environment["XDG_RUNTIME_DIR"])
    monkeypatch.chdir(reference.workplace.folder)

    def run(*arguments: str | Path) -> Finished:
        with pytest.raises(SystemExit) as ended:
            main(["policy", *map(str, arguments)])
        said = capsys.readouterr()
        return Finished(int(ended.value.code), said.out, said.err)

    return run


@pytest.fixture
def policy(asked: Callable[..., Finished]) -> Iterator[Callable[..., Finished]]:
    """The same; afterwards the policies are as before."""
    before = version_of(asked("status", "--format", "json"))
    yield asked
    assert asked("rollback", str(before), "--wait").code == 0


def version_of(finished: Finished) -> int:
    return int(json.loads(finished.out)["version"])


def closed(reference: RunningMesh, name: str = "closed.yaml") -> Path:
    """The death registry, closed to the office."""
    text = (POLICIES / "death-registry.yaml").read_text("utf-8")
    return reference.workplace.write(name, text.replace("caller: registration-office", "caller: citizen-id"))


# ---------------------------------------------------------------------- changes


def test_a_change_is_shown_made_and_waited_for(reference: RunningMesh, policy: Callable[..., Finished]):
    file = closed(reference)
    shown = [
        f"{DEATHS} is changed",
        '  - /access/0/caller: "registration-office"',
        '  + /access/0/caller: "citizen-id"',
    ]
    assert policy("diff", file).out.splitlines() == shown

    before = version_of(policy("status", "--format", "json"))
    tried = policy("apply", file, "--dry-run")
    assert tried.out.splitlines() == [*shown, f"version {before} stays: this was a dry run"]
    assert policy("diff", file).out.splitlines() == shown

    made = policy("apply", file, "--wait", "--note", "only citizens")
    assert made.code == 0
    assert made.out.splitlines()[:4] == [*shown, f"version {before + 1}"]
    assert made.out.splitlines()[4].split()[:4] == ["death-registry", "version", str(before + 1), "applied"]
    assert len(made.out.splitlines()) == 5

    assert policy("diff", file).out == "nothing differs\n"
    again = policy("apply", file, "--wait")
    assert f"version {before + 1}, as before: nothing was changed" in again.out
    assert policy("diff", "--from", str(before)).out.splitlines() == shown
    (difference,) = json.loads(policy("diff", "--from", str(before), "--to", str(before + 1), "--format", "json").out)
    assert (difference["policy"], difference["after"]["access"][0]["caller"]) == (DEATHS, "citizen-id")


def test_a_folder_is_applied_as_a_whole_and_endpoints_stay(reference: RunningMesh, policy: Callable[..., Finished]):
    applied = policy("apply", POLICIES, "--wait")
    assert applied.code == 0
    assert applied.out.splitlines()[0] == "nothing differs"
    assert yaml.safe_load(policy("get", DEATHS).out)["endpoints"][0]["host"] == "127.0.0.1"


def test_endpoints_that_a_document_names_count(reference: RunningMesh, policy: Callable[..., Finished]):
    text = (POLICIES / "death-registry.yaml").read_text("utf-8") + "endpoints: []\n"
    file = reference.workplace.write("nowhere.yaml", text)
    assert policy("apply", file, "--wait").code == 0
    assert yaml.safe_load(policy("get", DEATHS).out)["endpoints"] == []


def test_what_is_got_can_be_applied_again(reference: RunningMesh, policy: Callable[..., Finished]):
    everything = reference.workplace.write("everything.yaml", policy("get", "--format", "yaml").out)
    assert policy("apply", everything).out.startswith("nothing differs\n")
    one = policy("get", DEATHS, "--format", "json").out
    assert yaml.safe_load(policy("get", DEATHS).out) == json.loads(one)
    assert len(json.loads(policy("get", "--format", "json").out)) == 10


def test_older_versions_can_be_seen_and_gone_back_to(reference: RunningMesh, policy: Callable[..., Finished]):
    before = version_of(policy("status", "--format", "json"))
    assert policy("apply", closed(reference), "--wait").code == 0
    old = yaml.safe_load(policy("get", DEATHS, "--version", str(before)).out)
    new = yaml.safe_load(policy("get", DEATHS).out)
    assert [each["access"][0]["caller"] for each in (old, new)] == ["registration-office", "citizen-id"]
    back = policy("rollback", str(before), "--wait", "--note", "too strict")
    assert back.code == 0
    assert back.out.splitlines()[:2] == [f"{DEATHS} changed", f"version {before + 2}"]
    assert yaml.safe_load(policy("get", DEATHS).out) == old


def test_the_history_says_who_when_and_why(reference: RunningMesh, policy: Callable[..., Finished]):
    assert policy("apply", closed(reference), "--note", "only citizens").code == 0
    newest, *others = json.loads(policy("history", DEATHS, "--format", "json").out)
    assert newest["note"] == "only citizens"
    assert newest["author"] == {"identity": "spiffe://mesh.test/operator", "role": "editor"}
    assert len(others) >= 2
    first, second, third = policy("history", "--limit", "1").out.splitlines()
    assert first == f"version {newest['version']}  {newest['at']}  spiffe://mesh.test/operator"
    assert (second, third) == ("  note: only citizens", f"  {DEATHS} changed")


def test_policies_come_and_go(reference: RunningMesh, policy: Callable[..., Finished]):
    service = "{kind: service, name: spare, provider: citizen-id}"
    assert policy("apply", reference.workplace.write("spare.yaml", service), "--wait").code == 0
    assert "service/spare" in policy("get").out
    gone = policy("delete", "service/spare", "--wait", "--note", "not needed")
    assert gone.code == 0
    assert gone.out.startswith("service/spare is deleted\n")
    assert "service/spare" not in policy("get").out


def test_nobody_is_waited_for_whom_a_change_does_not_concern(reference: RunningMesh, policy: Callable[..., Finished]):
    member = "{kind: member, name: visitor, identity: 'spiffe://elsewhere.example/visitor'}"
    rule = (POLICIES / "mesh.yaml").read_text("utf-8")
    assert policy("apply", reference.workplace.write("mesh.yaml", rule), "--wait").code == 0
    answered = policy("apply", reference.workplace.write("member.yaml", member), "--wait")
    assert answered.code == 0, answered.said


def test_how_each_security_server_stands_is_shown(reference: RunningMesh, policy: Callable[..., Finished]):
    shown = policy("status")
    assert shown.code == 0
    assert sorted(line.split()[0] for line in shown.out.splitlines()[1:]) == sorted(
        ["birth-registry", "citizen-id", "death-registry", "patient-registry", "registration-office"]
    )
    assert policy("status", "1", "--wait").out.startswith(
        "version 1: every security server that it concerns has applied it\n"
    )


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "kind: service\nname: citizen-id\nprovider: nobody\n",
            "bad.yaml:3:1: service/citizen-id /provider: there is no",
        ),
        (
            "kind: service\nname: citizen-id\nacess: []\n",
            "bad.yaml:3:1: service/citizen-id /acess: unknown key `acess`",
        ),
        ("kind: service\nname: no\nname: yes\n", "bad.yaml:"),
        ("kind: [", "bad.yaml:"),
    ],
)
@pytest.mark.parametrize("option", ["--dry-run", "--wait"])
def test_bad_documents_are_refused_with_their_place(
    text: str, place: str, option: str, reference: RunningMesh, asked: Callable[..., Finished]
):
    before = asked("status").out
    reference.workplace.write("bad.yaml", text)
    refused = asked("apply", "bad.yaml", option)
    assert refused.code == 2
    assert place in refused.err
    assert asked("status").out == before


def test_somebody_elses_change_is_not_overwritten(reference: RunningMesh, policy: Callable[..., Finished]):
    known = version_of(policy("status", "--format", "json"))
    assert policy("apply", closed(reference), "--wait").code == 0
    conflict = policy("apply", POLICIES / "death-registry.yaml", "--since", str(known))
    assert conflict.code == 2
    assert "somebody else changed what you are about to change" in conflict.err
    assert DEATHS in conflict.err
    assert policy("apply", POLICIES / "death-registry.yaml", "--since", str(known + 1)).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "service/nobody"], "there is no policy service/nobody"),
        (["get", "service/citizen-id", "--version", "0"], "there is no policy service/citizen-id in version 0"),
        (["get", "--version", "999"], "there is no such version"),
        (["get", "nonsense"], "'nonsense' names no policy"),
        (["history", "service"], "'service' names no policy"),
        (["status", "999"], "there is no such version"),
        (["rollback", "999"], "there is no version to go back to"),
        (["diff", "--from", "1", "--to", "999"], "there is no such version"),
        (["diff"], "either files or versions are compared"),
        (["diff", "file.yaml", "--from", "1"], "either files or versions are compared"),
        (["diff", "file.yaml", "--to", "1"], "either files or versions are compared"),
        (["apply", "missing.yaml"], "missing.yaml: policies cannot be read: No such file or directory"),
        (["apply", "empty"], "no file here ends with .json, .yaml, .yml"),
        (["delete", "service/nobody"], "there is no policy service/nobody"),
        (["delete", "service/citizen-id"], "service/citizen-id is deleted and still needed here"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: list[str], said: str, reference: RunningMesh, asked: Callable[..., Finished]
):
    (reference.workplace.folder / "empty").mkdir(exist_ok=True)
    refused = asked(*arguments)
    assert refused.code == 2
    assert said in refused.err
    assert refused.err.splitlines()[-1].startswith("  next: ")


def test_a_version_that_is_no_number_is_a_usage_error(asked: Callable[..., Finished]):
    refused = asked("rollback", "yesterday")
    assert refused.code == 2
    assert "'yesterday' is not a valid integer" in refused.err


# ---------------------------------------------------------------------- finding the mesh


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it stands which meshes run."""
    folder = Path(private_states(workplace).environment["XDG_RUNTIME_DIR"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder / "meshmark" / "meshes"


def test_without_a_mesh_the_way_to_one_is_said(here: Path, refusal: Callable[..., str]):
    assert "no mesh runs" in refusal("policy", "get", code=3)
    assert "`meshmark mesh up --name mine`" in refusal("policy", "get", "--mesh", "mine", code=3)


def test_a_mesh_that_was_killed_is_recognised(here: Path, refusal: Callable[..., str]):
    # The process id belongs to somebody else by now: this very process, which was started at another time.
    here.joinpath("ghost").mkdir(parents=True, mode=0o700)
    file = here / "ghost" / "mesh.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"name": "ghost", "pid": os.getpid(), "started": 1, "url": "https://127.0.0.1:9"}))
    said = refusal("policy", "get", code=3)
    assert "no mesh runs" in said
    assert "ghost: its process is gone, so it was killed" in said


def test_which_mesh_must_be_said_if_several_run(here: Path, refusal: Callable[..., str]):
    guard = Guard()
    try:
        with ExitStack() as names:
            for name in ("one", "two"):
                names.enter_context(claimed(name, guard))
            assert "say which by --mesh: one, two" in refusal("policy", "get")
            assert "or name one that runs: one, two" in refusal("policy", "get", "--mesh", "three", code=3)
            assert "the mesh two is still starting" in refusal("policy", "get", "--mesh", "two", code=3)
    finally:
        guard.close()


def test_a_file_that_others_can_read_is_not_believed(reference: RunningMesh, asked: Callable[..., Finished]):
    (file,) = states(reference.workplace)
    file.chmod(0o640)
    try:
        refused = asked("get")
    finally:
        file.chmod(0o600)
    assert refused.code == 3
    assert "others than you can read or write this, so it is not believed" in refused.err


def test_a_file_that_says_nothing_sensible_is_named(reference: RunningMesh, asked: Callable[..., Finished]):
    (file,) = states(reference.workplace)
    text = file.read_text("utf-8")
    try:
        file.write_text("{}", "utf-8")
        refused = asked("get")
    finally:
        file.write_text(text, "utf-8")
    assert refused.code == 3
    assert str(file) in refused.err


def test_a_link_in_its_place_is_not_followed(reference: RunningMesh, asked: Callable[..., Finished]):
    (file,) = states(reference.workplace)
    moved = file.rename(file.with_name("moved.json"))
    try:
        file.symlink_to(moved)
        refused = asked("get")
    finally:
        file.unlink()
        moved.rename(file)
    assert refused.code == 3
    assert str(file) in refused.err


def test_a_mesh_that_does_not_answer_is_an_error_of_the_environment(here: Path, refusal: Callable[..., str]):
    guard = Guard()
    try:
        with claimed("silent", guard) as claim:
            nowhere = here / "nowhere.pem"
            claim.announce(
                url="https://127.0.0.1:9", page="http://127.0.0.1:9/", authority=nowhere, certificate=nowhere
            )
            assert "the operator's certificate cannot be used" in refusal("policy", "get", code=3)
    finally:
        guard.close()
