"""The reference system with its policies in PostgreSQL."""

from __future__ import annotations

from postgres_server import PASSWORD
from running_mesh import mesh_up
from workplace import FIXTURES, Workplace


def test_policies_in_postgresql_go_on_to_count_in_the_next_mesh(workplace: Workplace, database: str):
    text = (FIXTURES / "policies" / "citizen-id.yaml").read_text("utf-8") + "timeout_s: 7\n"
    file = workplace.write("citizen-id.yaml", text)
    with mesh_up(workplace, "--store", database, "--services", "citizen-id") as first:
        assert first.policy("apply", file, "--wait").code == 0
        ended = first.end()
        assert ended.code == 0
        assert PASSWORD not in "".join(first.lines) + ended.said
    with mesh_up(workplace, "--store", database, "--services", "citizen-id") as second:
        assert "timeout_s: 7" in second.policy("get", "service/citizen-id").out
        assert second.policy("status", "--wait").code == 0
        assert second.end().code == 0
    assert workplace.left() == []
