from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from conformance.model.errors import EnvironmentFault, SubjectFault, UsageError
from conformance.subjects.building_block import CommandSubject, ImageSubject, UrlSubject, start_subject
from conformance.system.deadlines import until

SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", *sys.argv[1:], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


FIRST_GIVEN_AWAY = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
"""The kernel chooses ports for others from this number on."""


def python(code: str, *arguments: str, **more) -> CommandSubject:
    return CommandSubject("registry", (sys.executable, "-c", code, *arguments), **more)


async def start(spec, guard, timeout: float = 20, **values):
    return await start_subject(spec, values=values, guard=guard, ready_timeout=timeout)


async def get(subject, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(subject.origin_url + path)


async def test_a_command_is_started_on_a_free_port_and_stopped_by_sigterm(guard, tmp_path):
    subject = await start(python(SERVER, "{port}", "{member}", folder=tmp_path, ready="/"), guard, member="ministry")
    assert subject.address[0] == "127.0.0.1"
    assert (await get(subject)).status_code == 200
    assert f"serving {subject.address[1]} ministry" in subject.tail()
    assert await subject.stop() == 0
    assert subject.exited.done()


async def test_the_environment_is_added_to_the_runners_own_and_may_hold_placeholders(guard):
    code = "import os; print(os.environ['WHERE'], 'PATH' in os.environ, flush=True);" + SERVER
    spec = python(code, "{port}", environment={"WHERE": "127.0.0.1:{port}"})
    subject = await start(spec, guard)
    assert f"127.0.0.1:{subject.address[1]} True" in subject.tail()
    await subject.stop()


async def test_two_subjects_get_two_ports(guard):
    subjects = await asyncio.gather(*(start(python(SERVER, "{port}"), guard) for _ in range(4)))
    assert len({subject.address for subject in subjects}) == 4
    await asyncio.gather(*(subject.stop() for subject in subjects))


async def test_the_port_is_none_that_the_kernel_gives_to_others_meanwhile(guard):
    subject = await start(python(SERVER, "{port}"), guard)
    assert subject.address[1] < FIRST_GIVEN_AWAY
    await subject.stop()


async def test_a_subject_that_exits_before_it_is_ready_is_told_with_its_last_output(guard):
    code = "import sys; print('Address already in use'); sys.exit(98)"
    with pytest.raises(SubjectFault, match="exited with code 98 before it was ready") as caught:
        await start(python(code), guard)
    assert "Address already in use" in str(caught.value)
    assert "is taken" in caught.value.next_step


async def test_a_subject_that_is_killed_before_it_is_ready_is_told_with_the_signal(guard):
    with pytest.raises(SubjectFault, match="ended by signal 9"):
        await start(python("import os; os.kill(os.getpid(), 9)"), guard)


async def test_a_subject_that_listens_elsewhere_is_told_after_the_timeout_and_ended(guard):
    code = "import signal; print('listening somewhere', flush=True); signal.pause()"
    with pytest.raises(SubjectFault, match=r"not ready within 0\.5 s") as caught:
        await start(python(code), guard, timeout=0.5)
    assert "does not accept a connection" in str(caught.value)
    assert "listening somewhere" in str(caught.value)


async def test_a_subject_that_never_gets_healthy_is_told_with_what_was_seen_last(guard, tmp_path):
    code = SERVER.replace("SimpleHTTPRequestHandler", "BaseHTTPRequestHandler")
    with pytest.raises(SubjectFault, match="not ready") as caught:
        await start(python(code, "{port}", folder=tmp_path, ready="/health"), guard, timeout=0.5)
    assert "seen last: it answers GET /health with 501" in str(caught.value)


async def test_a_subject_that_is_gone_later_is_noticed(guard):
    subject = await start(python(SERVER, "{port}"), guard)
    subject.kill()
    assert await asyncio.wait_for(asyncio.shield(subject.exited), 5) == -9
    assert await subject.stop() == -9


async def test_a_program_that_does_not_exist_is_the_users_to_mend(guard):
    with pytest.raises(UsageError, match="could not be started") as caught:
        await start(CommandSubject("registry", ("/no/such/program",)), guard)
    assert "`command:`" in caught.value.next_step


async def test_an_unknown_placeholder_is_found_before_anything_starts(guard, tmp_path):
    with pytest.raises(UsageError, match="unknown placeholder"):
        await start(CommandSubject("registry", ("touch", str(tmp_path / "started"), "{prot}")), guard)
    assert list(tmp_path.iterdir()) == []


async def test_a_running_subject_is_found_by_its_url_and_left_alone(guard, tmp_path):
    running = await start(python(SERVER, "{port}", folder=tmp_path), guard)
    subject = await start(UrlSubject("registry", running.origin_url + "/", ready="/"), guard)
    assert subject.address == running.address
    assert subject.exited is None
    assert subject.tail() == ""
    assert await subject.stop() is None
    subject.kill()
    assert (await get(running)).status_code == 200
    await running.stop()


async def test_a_url_that_nobody_serves_is_told(guard):
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(SubjectFault, match="not ready") as caught:
            await start(UrlSubject("registry", url), guard, timeout=0.1)
    assert caught.value.where == url
    assert "does not accept a connection" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:80/api",
        "http://127.0.0.1?x=1",
        "http://127.0.0.1/#x",
        "http://[::1",
        "",
    ],
)
async def test_a_malformed_url_is_refused(guard, url):
    with pytest.raises(UsageError, match="not the url of a building block"):
        await start(UrlSubject("registry", url), guard)


async def test_credentials_in_a_url_are_refused_and_not_repeated(guard):
    with pytest.raises(UsageError, match="credentials") as caught:
        await start(UrlSubject("registry", "http://user:hunter2@127.0.0.1"), guard)
    assert "hunter2" not in str(caught.value)


async def test_a_cancelled_start_leaves_nothing(guard, tmp_path):
    code = f"open({str(tmp_path / 'started')!r}, 'w'); import signal; signal.pause()"
    starting = asyncio.create_task(start(python(code), guard))
    await until((tmp_path / "started").exists, what="it runs", timeout=20)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


def hello(name: str, image: str, **more) -> ImageSubject:
    """Envoy as a building block: says "hello" on the port that its environment and command line name."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
    base = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{base}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "hello",
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{base}.http.router.v3.Router"}}],
    }
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 1234567}}
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    rendered = json.dumps({"static_resources": {"listeners": [{"address": address, "filter_chains": [chain]}]}})
    escaped = rendered.replace("{", "{{").replace("}", "}}").replace("1234567", "{port}")
    return ImageSubject(name, image, 8080, command=("--disable-hot-restart", "--config-yaml", escaped), **more)


async def test_an_image_is_started_as_a_container_that_only_loopback_reaches(guard, image, engine):
    subject = await start(hello("registry", image.name, ready="/"), guard)
    assert (await get(subject)).text == "hello"
    [container] = engine.containers.list(filters={"label": guard.label})
    [binding] = container.attrs["NetworkSettings"]["Ports"]["8080/tcp"]
    assert (binding["HostIp"], int(binding["HostPort"])) == subject.address
    assert binding["HostIp"] == "127.0.0.1"
    assert await subject.stop() == 0
    assert engine.containers.list(all=True, filters={"label": guard.label}) == []


async def test_a_container_that_exits_before_it_is_ready_is_told_with_its_last_output(guard, image, engine):
    spec = ImageSubject("registry", image.name, 8080, command=("--no-such-option",))
    with pytest.raises(SubjectFault, match="exited with code 1 before it was ready") as caught:
        await start(spec, guard)
    assert "Couldn't find match" in str(caught.value)
    assert engine.containers.list(all=True, filters={"label": guard.label}) == []


async def test_a_container_that_is_gone_later_is_noticed(guard, image, engine):
    subject = await start(hello("registry", image.name), guard)
    subject.kill()
    assert await asyncio.wait_for(asyncio.shield(subject.exited), 10) == -9
    await subject.stop()


async def test_a_container_that_listens_on_another_port_is_told_after_the_timeout(guard, image, engine):
    spec = hello("registry", image.name, ready="/")
    with pytest.raises(SubjectFault, match="not ready"):
        await start(
            ImageSubject(
                "registry",
                image.name,
                8081,
                command=tuple(text.replace("{port}", "8080") for text in spec.command),
                ready="/",
            ),
            guard,
            timeout=1.5,
        )
    assert engine.containers.list(all=True, filters={"label": guard.label}) == []


async def test_an_image_that_cannot_be_had_is_named(guard, engine):
    with pytest.raises(EnvironmentFault, match="not on this machine and cannot be fetched") as caught:
        await start(ImageSubject("registry", "127.0.0.1:9/no/such-image:1", 8080), guard)
    assert caught.value.where == "127.0.0.1:9/no/such-image:1"
