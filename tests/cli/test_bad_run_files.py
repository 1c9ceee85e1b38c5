"""A wrong run file ends with exit code 2, a place, a sentence and a next step; nothing is started or written."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from workplace import CONTRACT, Workplace

GOOD = """\
subject:
  name: things
  vendor: somebody
  version: "1.0"
  contracts: [contract.yaml]
  command: ["{python}", things.py, "{port}"]
runtime: process
"""


@dataclass(frozen=True)
class Mistake:
    """What stands in the run file, and what must be said about it."""

    name: str
    text: str
    where: str
    what: tuple[str, ...]


def instead(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


MISTAKES = [
    Mistake("unknown key", instead("  vendor:", "  vendr:"), "3:3", ("unknown key `vendr`", "did you mean `vendor`?")),
    Mistake("unknown key at the top", GOOD + "profil: mesh\n", "8:1", ("`profil`", "did you mean `profile`?")),
    Mistake(
        "unknown key like no other",
        GOOD + "zzz: 1\n",
        "8:1",
        ("unknown key `zzz`", "known here: bounds, companions, envoy"),
    ),
    Mistake(
        "duplicate key",
        instead("  version:", "  vendor: me\n  version:"),
        "4:3",
        ("the key `vendor` stands already at 3:3",),
    ),
    Mistake("wrong type", instead("[contract.yaml]", "contract.yaml"), "5:3", ("contracts", "list")),
    Mistake("number for text", instead('"1.0"', "1.0"), "4:3", ("version", "in quotes")),
    Mistake("missing key", instead("  vendor: somebody\n", ""), "1:1", ("`subject.vendor` is missing",)),
    Mistake("no subject", "profile: mesh\n", "1:1", ("`subject` is missing",)),
    Mistake("two ways", instead("  command", "  url: http://127.0.0.1:1\n  command"), "1:1", ("url, command",)),
    Mistake("no way", instead('  command: ["{python}", things.py, "{port}"]\n', ""), "1:1", ("exactly one", "none")),
    Mistake("empty file", "", "1:1", ("a mapping with the key `subject`",)),
    Mistake("a list", "- subject\n", "1:1", ("a mapping with the key `subject`",)),
    Mistake("not YAML", "subject: {name: things\nprofile: [", "2:", ()),
    Mistake("a tab", "subject:\n\tname: things\n", "2:1", ()),
    Mistake("two documents", GOOD + "---\n" + GOOD, "8:1", ("document",)),
    Mistake("a custom tag", "subject: !!python/object/apply:os.system [exit]\n", "1:10", ("tag",)),
    Mistake("an ambiguous word", GOOD + "seed: 010\n", "8:7", ("010",)),
    Mistake("reserved name", instead("things\n", "witness\n"), "2:3", ("`witness` is the suite's own",)),
    Mistake("impossible name", instead("things\n", "Things!\n"), "2:3", ("subject.name", "Things!")),
    Mistake(
        "unknown companion",
        instead("  vendor", "  calls: [citizen-id]\n  vendor"),
        "3:11",
        ("`citizen-id` is no companion", "known here: things"),
    ),
    Mistake(
        "companion with the subject's name",
        GOOD + "companions:\n  - {name: things, url: 'http://127.0.0.1:1'}\n",
        "9:6",
        ("two building blocks have the name `things`",),
    ),
    Mistake("unknown profile", GOOD + "profile: mesch\n", "8:1", ("unknown profile `mesch`", "mesh")),
    Mistake("unknown feature", GOOD + "features: [teleportation]\n", "8:12", ("teleportation",)),
    Mistake(
        "a feature of another topology",
        GOOD + "features: [tls-1.2, sidecar]\n",
        "8:21",
        ("the feature `sidecar` needs `topology: sidecar`", "here: inter-proxy"),
    ),
    Mistake(
        "a feature that is judged between hosts",
        GOOD + "features: [inter-proxy]\n",
        "8:12",
        ("`inter-proxy` is judged between hosts: add `hosts: separate`",),
    ),
    Mistake(
        "a topology that shared hosts cannot have",
        GOOD + "topology: sidecar\nhosts: shared\n",
        "9:1",
        ("`topology: sidecar` needs hosts of their own", "leave out `hosts: shared`"),
    ),
    Mistake(
        "a building block as a container on a host that is none",
        instead('  command: ["{python}", things.py, "{port}"]', "  image: things:1") + "topology: sidecar\n",
        "6:3",
        ("beside containers only", "`runtime: container`"),
    ),
    Mistake(
        "a building block that runs elsewhere on a host of its own",
        instead('  command: ["{python}", things.py, "{port}"]', "  url: http://192.0.2.1") + "topology: sidecar\n",
        "6:3",
        ("cannot be put on a host of its own", "use `command:`"),
    ),
    Mistake(
        "unknown timeout", GOOD + "timeouts: {requst: 1}\n", "8:12", ("unknown timeout `requst`", "mean `request`?")
    ),
    Mistake("no time at all", GOOD + "timeouts: {request: 0}\n", "8:12", ("timeouts.request", "greater than 0")),
    Mistake("seed too large", GOOD + "seed: 4294967296\n", "8:1", ("seed",)),
    Mistake("unknown placeholder", instead("{port}", "{prot}"), "6:36", ("unknown placeholder {prot}", "{port}")),
    Mistake("lonely brace", instead("{port}", "{port"), "6:36", ("single brace",)),
    Mistake(
        "unknown placeholder in the environment",
        instead("  vendor", "  environment: {MESH: '{mesch}'}\n  vendor"),
        "3:17",
        ("unknown placeholder {mesch}", "{mesh}"),
    ),
    Mistake(
        "waiver for an unknown check",
        GOOD + "waivers:\n  - {check: MTLS-999, reason: r, owner: o, expires: '2030-01-31'}\n",
        "9:6",
        ("waiver for the unknown check `MTLS-999`",),
    ),
    Mistake(
        "two waivers for one check",
        GOOD + "waivers:\n" + 2 * "  - {check: API-001, reason: r, owner: o, expires: '2030-01-31'}\n",
        "10:6",
        ("second waiver for `API-001`",),
    ),
    Mistake(
        "waiver without an owner",
        GOOD + "waivers:\n  - {check: API-001, reason: r, expires: '2030-01-31'}\n",
        "9:5",
        ("`waivers.0.owner` is missing",),
    ),
    Mistake(
        "waiver until no day",
        GOOD + "waivers:\n  - {check: API-001, reason: r, owner: o, expires: 2030-02-31}\n",
        "9:43",
        ("waivers.0.expires",),
    ),
    Mistake(
        "overlay on no kind of resource",
        GOOD + "overlays:\n  - {type: router, name: '*', patch: [{op: remove, path: /a}]}\n",
        "9:6",
        ("overlays.0.type", "listener"),
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_told_with_its_place_and_a_next_step(mistake, workplace: Workplace, refusal):
    workplace.write("contract.yaml", CONTRACT)
    workplace.write("bad.meshmark.yaml", mistake.text)
    said = refusal("certify", "bad.meshmark.yaml")
    assert said.startswith(f"bad.meshmark.yaml:{mistake.where}"), said
    assert all(part in said for part in mistake.what), said
    assert {path.name for path in workplace.folder.iterdir()} == {"bad.meshmark.yaml", "contract.yaml"}


def test_several_mistakes_are_told_at_once(workplace: Workplace):
    workplace.write("bad.meshmark.yaml", instead("  vendor:", "  vendr:") + "seed: -1\n")
    finished = workplace.meshmark("certify", "bad.meshmark.yaml")
    assert finished.code == 2
    assert "bad.meshmark.yaml:3:3: unknown key `vendr`" in finished.err
    assert "bad.meshmark.yaml:8:1: `seed`" in finished.err
    assert "`subject.vendor` is missing" in finished.err


def test_a_run_file_that_is_not_text_is_refused(workplace: Workplace, refusal):
    (workplace.folder / "bad.meshmark.yaml").write_bytes(b"subject: \xff\xfe\n")
    said = refusal("certify", "bad.meshmark.yaml")
    assert said.startswith("bad.meshmark.yaml: the run file is not UTF-8 text: invalid start byte")


def test_a_run_file_that_is_not_there_is_refused(refusal):
    said = refusal("certify", "nowhere.meshmark.yaml")
    assert said.startswith("nowhere.meshmark.yaml: the run file cannot be read: No such file or directory")


@pytest.mark.parametrize("path", [".", "/dev/zero", "/dev/stdin"])
def test_only_a_regular_file_is_read(path, refusal):
    assert refusal("certify", path).startswith(f"{path}: a run file is a regular file")


def test_a_file_that_is_far_too_large_is_refused(workplace: Workplace, refusal):
    with (workplace.folder / "large.meshmark.yaml").open("wb") as file:
        file.truncate(10**12)
    said = refusal("certify", "large.meshmark.yaml")
    assert said.startswith("large.meshmark.yaml: the run file is larger than 1,048,576 bytes")


def test_a_file_whose_name_pytest_would_not_know_is_refused(workplace: Workplace, refusal):
    workplace.write("things.yaml", GOOD)
    said = refusal("certify", "things.yaml")
    assert said.startswith("things.yaml: the name of a run file ends with .meshmark.yaml")


def test_a_path_that_pytest_would_misunderstand_is_refused(workplace: Workplace, refusal):
    workplace.write("contract.yaml", CONTRACT)
    workplace.write("things[1].meshmark.yaml", GOOD)
    said = refusal("certify", "things[1].meshmark.yaml")
    assert said.startswith("things[1].meshmark.yaml: pytest takes `[` and `::` in a path for something else")
