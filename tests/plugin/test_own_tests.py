"""Vendors write tests of their own: `probe` and `mesh` are there, on the mesh's loop, and the mesh is put back."""

from __future__ import annotations

OWN = """\
from conformance.mesh import CALLER, WITNESS
from conformance.model.policy import ServicePolicy


async def test_calls_through_the_mesh(probe):
    answer = await probe.call("/things", service="things")
    assert answer.status == 200, answer.summary


async def test_changes_a_policy(probe, mesh):
    nobody = mesh.policies[WITNESS].changed(access=())
    propagation = await mesh.apply(nobody)
    assert propagation.acknowledged
    refused = await probe.eventually(lambda: refusal(probe), what="the call is refused")
    assert refused


async def refusal(probe):
    answer = await probe.call("/")
    return answer.status == 403


async def test_finds_the_mesh_as_it_was(probe):
    answer = await probe.call("/")
    assert answer.status == 200, answer.summary


def test_plain_functions_may_look_at_the_mesh(mesh):
    assert CALLER in mesh.members


async def test_expectations_are_assertions(probe):
    probe.expect("something", False, seen="the opposite")
"""


def test_own_tests_use_the_mesh_and_find_it_as_it_was(workplace, run_pytest):
    workplace.write("test_own.py", OWN)
    done = run_pytest("test_own.py", "--meshmark-run-file", workplace.run_file(), "-v")
    done.assert_outcomes(passed=4, failed=1)
    done.stdout.fnmatch_lines(["*AssertionError: something: seen the opposite"])
    assert not (workplace.folder / "meshmark-report").exists()


def test_own_tests_get_along_with_pytest_asyncio(workplace, run_pytest):
    workplace.write("test_own.py", OWN)
    done = run_pytest(
        *("test_own.py", "--meshmark-run-file", workplace.run_file()),
        *("-p", "pytest_asyncio", "-o", "asyncio_mode=auto", "-k", "calls or changes or finds"),
    )
    done.assert_outcomes(passed=3, deselected=2)


def test_without_a_run_file_the_fixtures_say_what_they_need(workplace, run_pytest):
    workplace.write("test_own.py", "def test_own(probe):\n    pass\n")
    done = run_pytest("test_own.py")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*the fixtures `mesh` and `probe` need --meshmark-run-file FILE"])
