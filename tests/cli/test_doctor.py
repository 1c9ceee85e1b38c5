"""`meshmark doctor` finds before a run what would go wrong in it, and says what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workplace import CONTRACT, Workplace


def in_days(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def test_all_is_well_and_nothing_stays(workplace: Workplace):
    file = workplace.run_file()
    finished = workplace.meshmark("doctor", file)
    assert finished.code == 0
    assert "✘" not in finished.out
    assert f"All is ready: meshmark certify {file}" in finished.out
    for topic in ("run file", "contract", "clock", "ports", "report folder", "Envoy", "building blocks"):
        assert f"✔ {topic}: " in finished.out
    assert not list(workplace.folder.glob("meshmark-report/*"))


def test_the_run_file_that_init_writes_is_accepted_and_only_its_building_block_is_missing(workplace: Workplace):
    workplace.write("contract.yaml", CONTRACT)
    workplace.meshmark("init", "contract.yaml")
    written = workplace.folder / "things.meshmark.yaml"
    filled_in = written.read_text().replace("CHANGE ME", "Example Ltd")
    written.write_text(filled_in + "\ntimeouts: {subject_ready: 1}\n")
    finished = workplace.meshmark("doctor", "things.meshmark.yaml", "--runtime", "process")
    assert "✔ run file: things.meshmark.yaml, profile mesh" in finished.out
    assert finished.code in (0, 4)  # something else may listen on port 8080 of this machine


def test_a_run_file_that_nobody_has_filled_in_is_refused(workplace: Workplace):
    workplace.write("contract.yaml", CONTRACT)
    workplace.meshmark("init", "contract.yaml")
    finished = workplace.meshmark("certify", "things.meshmark.yaml")
    assert finished.code == 2
    assert "nobody answers for the building block yet" in finished.said


def test_a_wrong_run_file_is_the_first_problem_and_the_machine_is_looked_at_anyway(workplace: Workplace):
    workplace.write("bad.meshmark.yaml", "subject: {}\n")
    finished = workplace.meshmark("doctor", "bad.meshmark.yaml")
    assert finished.code == 2
    assert "✘ run file: cannot be used\n    bad.meshmark.yaml:1:1: the key `subject." in finished.out
    assert "✔ Envoy: " in finished.out
    assert "1 of 6 need mending before a run." in finished.out


def test_every_problem_is_found_in_one_go_and_the_first_gives_the_exit_code(workplace: Workplace):
    workplace.write("taken", "a file")
    file = workplace.run_file(subject={"command": ["{python}", "-c", "raise SystemExit('no database')"]})
    finished = workplace.meshmark("doctor", file, "--out", "taken", "--envoy", "./nowhere")
    assert finished.code == 3
    assert "✘ report folder: taken\n    taken: reports cannot be written" in finished.out
    assert "✘ Envoy: not usable\n    --envoy ./nowhere: there is no such file" in finished.out
    assert "✘ building blocks: not usable\n    building block things exited with code 1" in finished.out
    assert "no database" in finished.out
    assert "3 of 8 need mending before a run." in finished.out


def test_containers_without_an_engine_are_a_problem_only_if_asked_for(workplace: Workplace):
    nowhere = f"unix://{workplace.folder}/no-engine.sock"
    without = workplace.meshmark("doctor", workplace.run_file(), DOCKER_HOST=nowhere)
    asked = workplace.meshmark("doctor", workplace.run_file(), "--runtime", "container", DOCKER_HOST=nowhere)
    assert without.code == 0
    assert "! container engine: none answers" in without.out
    assert asked.code == 3
    assert "✘ Envoy: not usable" in asked.out


def test_waivers_and_contracts_get_hints(workplace: Workplace):
    waivers = [
        {"check": check, "reason": "r", "owner": "somebody", "expires": in_days(days)}
        for check, days in (("API-001", -1), ("API-002", 3), ("ROUTE-001", 300))
    ]
    file = workplace.run_file(waivers=waivers)
    workplace.write("contract.yaml", CONTRACT.replace("openapi:", "openapi: 3.0.0\nopenapi:"))
    finished = workplace.meshmark("doctor", file)
    assert finished.code == 0
    assert "! waiver: API-001" in finished.out
    assert "expired: it will fail the run" in finished.out
    assert "! waiver: API-002" in finished.out
    assert "expires in 3 days" in finished.out
    assert "✔ waiver: ROUTE-001" in finished.out
    assert "! contract: contract.yaml" in finished.out
    assert "1 problems, which API-001 will report; the first: " in finished.out
