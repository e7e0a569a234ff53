"""The local S3: started by the first lease, stopped with the last, closed to everybody without the keys."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer

import psutil
import pytest

from netflix_assets.storage import local_s3 as local_s3_module
from netflix_assets.storage.local_s3 import LocalS3, LocalS3Error, lease, local_s3, revive
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.waiting import until

HOLD = """
import sys
from pathlib import Path
from netflix_assets.storage.local_s3 import lease, local_s3
with lease(local_s3(Path(sys.argv[1])), "landing") as server:
    print(server.port, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def leased_by_another_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == str(local_s3(home).port)
        try:
            yield other
        finally:
            if other.poll() is None:
                other.communicate("\n", timeout=30)


def server_pid(home: Path) -> int:
    return int((home / "local-s3.pid").read_text())


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_gone(pid: int) -> None:
    until(lambda: not runs(pid), f"the end of process {pid}")


def answer_to_unsigned(server: LocalS3, path: str, method: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with closing(connection):
        connection.request(method, f"/{path}", body=b"x" if method == "PUT" else None)
        return connection.getresponse().status


def upload(server: LocalS3, key: str, content: bytes) -> None:
    s3_client(server).put_object(Bucket="landing", Key=key, Body=content)


def test_a_lease_starts_and_stops_the_server(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        assert runs(pid)
        upload(server, "a/b.csv", b"x")
        assert (server.folder / "landing" / "a" / "b.csv").read_bytes() == b"x"
    assert not runs(pid)
    assert not (tmp_path / "local-s3.pid").exists()


def test_a_lease_ends_with_an_error_inside_it(tmp_path):
    pids = []

    def fail_inside() -> None:
        with lease(local_s3(tmp_path), "landing"):
            pids.append(server_pid(tmp_path))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert [runs(pid) for pid in pids] == [False]


def test_two_leases_share_one_server_and_the_last_stops_it(tmp_path):
    with lease(local_s3(tmp_path), "landing"):
        pid = server_pid(tmp_path)
        with lease(local_s3(tmp_path), "landing") as server:
            assert server_pid(tmp_path) == pid
        assert runs(pid)
        upload(server, "b.csv", b"x")
    assert not runs(pid)


def test_a_second_process_shares_the_server_and_may_outlive_the_first(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        shared = leased_by_another_process(tmp_path)
        other = shared.__enter__()
        assert server_pid(tmp_path) == pid
    try:
        assert runs(pid)
        upload(server, "c.csv", b"x")
    finally:
        shared.__exit__(None, None, None)
    assert other.returncode == 0
    # Our child, stopped by another process: reaped here.
    os.waitpid(pid, 0)
    assert not runs(pid)


def test_a_server_that_another_process_started_is_stopped_by_us(tmp_path):
    with leased_by_another_process(tmp_path) as other, lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        other.communicate("\n", timeout=30)
        assert runs(pid)
        upload(server, "d.csv", b"x")
    wait_until_gone(pid)


def test_a_killed_holder_does_not_keep_the_server(tmp_path):
    with leased_by_another_process(tmp_path) as other:
        pid = server_pid(tmp_path)
        other.kill()
        other.wait()
        assert runs(pid)  # it cannot stop what it does not know of …
        with lease(local_s3(tmp_path), "landing"):
            assert server_pid(tmp_path) == pid
    wait_until_gone(pid)  # … the next lease that ends does


def test_a_killed_server_is_started_again_by_the_next_lease(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        first = server_pid(tmp_path)
        upload(server, "e.csv", b"x")
        os.kill(first, signal.SIGKILL)
        with lease(local_s3(tmp_path), "landing") as again:
            assert server_pid(tmp_path) != first
            assert again == server
            assert s3_client(again).get_object(Bucket="landing", Key="e.csv")["Body"].read() == b"x"
            last = server_pid(tmp_path)
    assert not runs(last)


def test_a_server_that_does_not_end_when_asked_to_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(local_s3_module, "STOP_TIMEOUT_S", 0.5)
    with lease(local_s3(tmp_path), "landing"):
        pid = server_pid(tmp_path)
        os.kill(pid, signal.SIGSTOP)  # as deaf to SIGTERM as one that waits for a disk
    assert not runs(pid)


def test_a_server_that_ended_under_a_lease_is_revived_and_one_that_runs_is_left_alone(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        assert not revive(server)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert revive(server)
        assert server_pid(tmp_path) != pid
        upload(server, "e.csv", b"x")


@pytest.mark.parametrize("moved_s", [-86_400, 86_400])
def test_a_server_is_recognized_whatever_the_clock_says(tmp_path, monkeypatch, moved_s):
    booted_at = psutil.boot_time()
    with lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        os.utime(tmp_path / "local-s3.pid", (time.time() + moved_s,) * 2)
        monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted_at + moved_s)  # as after a clock step
        assert not revive(server)
        with lease(server, "landing"):
            assert server_pid(tmp_path) == pid
    assert not runs(pid)


def test_a_server_that_is_too_busy_to_answer_is_waited_for_and_not_started_again(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        pid = server_pid(tmp_path)
        os.kill(pid, signal.SIGSTOP)
        assert not revive(server)
        wakes = Timer(3, os.kill, (pid, signal.SIGCONT))
        wakes.start()
        with lease(server, "landing"):
            assert server_pid(tmp_path) == pid
        wakes.join()
    assert not runs(pid)


def test_a_process_that_has_the_pid_of_an_ended_server_is_left_alone(tmp_path):
    server = local_s3(tmp_path)
    # Even its command line has the server's address.
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", server.address]) as other:
        try:
            (tmp_path / "local-s3.pid").write_text(str(other.pid))
            local_s3_module._stop(server)
            assert other.poll() is None
            (tmp_path / "local-s3.pid").write_text(str(other.pid))
            with lease(server, "landing"):
                assert server_pid(tmp_path) != other.pid
            assert other.poll() is None
        finally:
            other.kill()


def test_a_pid_that_means_another_process_here_is_not_killed(tmp_path):
    with lease(local_s3(tmp_path), "landing"), subprocess.Popen(["sleep", "600"]) as other:
        pid = server_pid(tmp_path)
        with (tmp_path / "local-s3.pid").open("r+") as recorded:  # as from a container that shares the home
            recorded.write(f"{other.pid}\n")
            recorded.truncate()
        local_s3_module._stop(local_s3(tmp_path))
        assert other.poll() is None
        other.kill()
        os.kill(pid, signal.SIGKILL)


def test_rclone_settings_and_proxies_of_the_environment_do_not_reach_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    monkeypatch.setenv("RCLONE_RC", "true")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with lease(local_s3(tmp_path), "landing") as server:
        environment = psutil.Process(server_pid(tmp_path)).environ()
        assert set(environment) == {"RCLONE_AUTH_KEY"}
        assert not revive(server)  # it answers, and not through the proxy
        monkeypatch.setenv("no_proxy", "127.0.0.1")  # of boto3 in this test
        upload(server, "g.csv", b"x")


def test_keys_are_random_for_each_home_stay_the_same_and_are_private(tmp_path):
    one, two = local_s3(tmp_path / "one"), local_s3(tmp_path / "two")
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert (len(one.access_key_id), len(one.secret_access_key)) == (20, 40)
    assert local_s3(tmp_path / "one") == one
    assert (tmp_path / "one" / "local-s3.json").stat().st_mode & 0o777 == 0o600


def test_a_copy_of_a_home_has_a_server_with_its_own_files(tmp_path):
    home, copy = tmp_path / "home", tmp_path / "copy"
    with lease(local_s3(home), "landing") as first:
        upload(first, "tags.csv", b"x")
        shutil.copytree(home, copy, symlinks=True)  # while it is used, as with `cp -r`
        with lease(local_s3(copy), "landing") as second:
            upload(second, "tags-copy.csv", b"x")
            assert first.port != second.port
            assert local_s3(copy) == second
        assert [file.name for file in (first.folder / "landing").iterdir()] == ["tags.csv"]
        assert runs(server_pid(home))
    assert local_s3(home) == first


def test_a_home_that_was_moved_keeps_its_address(tmp_path):
    before = local_s3(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert local_s3(tmp_path / "there").endpoint == before.endpoint


def test_a_server_that_is_used_keeps_its_address_when_the_file_has_another_inode(tmp_path):
    """Some network file systems number a file anew each time."""
    with lease(local_s3(tmp_path), "landing") as server:
        state = tmp_path / "local-s3.json"
        shutil.copy(state, tmp_path / "draft")
        (tmp_path / "draft").replace(state)
        assert local_s3(tmp_path) == server


def test_keys_do_not_stand_in_the_command_line_or_the_log(tmp_path):
    with lease(local_s3(tmp_path), "landing") as server:
        upload(server, "f.csv", b"x")
        shown = " ".join(psutil.Process(server_pid(tmp_path)).cmdline())
        shown += (tmp_path / "local-s3.log").read_text()
    assert server.secret_access_key not in shown


@pytest.mark.parametrize(
    ("path", "method"), [("", "GET"), ("landing", "GET"), ("landing/x.csv", "GET"), ("landing/x.csv", "PUT")]
)
def test_an_unsigned_request_is_refused(s3_server, path, method):
    assert answer_to_unsigned(s3_server, path, method) in (400, 403)
    assert not (s3_server.folder / "landing" / "x.csv").exists()


def test_only_this_machine_is_listened_to(s3_server):
    assert s3_server.endpoint.startswith("http://127.0.0.1:")


def test_a_port_that_another_program_holds_is_named(tmp_path):
    with lease(local_s3(tmp_path / "first"), "landing") as other:
        server = LocalS3(tmp_path / "second", other.port, "a" * 20, "b" * 40)
        server.home.mkdir()
        with pytest.raises(LocalS3Error) as raised, lease(server, "landing"):
            pytest.fail("the lease was given though the port was taken")
    assert f"the local S3 did not start on {server.endpoint}" in str(raised.value)
    assert f"remove {server.home / 'local-s3.json'}" in str(raised.value)
