"""The command line of the suite, and the relay that it is run against."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.promises import complaint_about, sentences_of

if TYPE_CHECKING:
    from tests.conformance.scene import Scene
    from tests.conformance.target import Options, Target

HERE = Path(__file__).parent
ORIGIN = "http://page.example"
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "a relay's conformance to docs/PROTOCOL.md (tests/conformance)")
    group.addoption("--relay-url", default="", help="relay to test, http://HOST:PORT; without it our own is started")
    group.addoption("--second-relay-url", default="", help="another relay of the same topic")
    group.addoption("--kafka", default="", help="broker, HOST:PORT, whose events topic the relay reads")
    group.addoption("--ticket-key", default="", help="Ed25519 private key (PEM) that signs tickets")
    group.addoption("--topic-prefix", default="generation", help="what stands before `.events`")
    group.addoption("--partition-count", type=int, default=12, help="partitions of the topic")
    group.addoption("--heartbeat-seconds", type=float, default=20.0, help="a comment is waited for as long as this")
    group.addoption("--streams-per-owner", type=int, default=0, help="how many open streams one owner may have")
    group.addoption("--allowed-origin", default="", help="an origin whose pages may read")
    group.addoption("--opaque-cursors", action="store_true", help="the relay's cursors are not PARTITION-OFFSET")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promises(sentence, ...): what of docs/PROTOCOL.md the test checks")
    config.addinivalue_line("markers", "needs_option(name): with another relay, runs only when the option is given")
    config.stash[_LEFT_OUT] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse tests that quote nothing, and leave out, to be told at the end, what lacks an option."""
    options = _options(config)
    if problem := options.problem():
        raise pytest.UsageError(problem)
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    if complaints := [text for item in ours if (text := complaint_about(item))]:
        raise pytest.UsageError("\n".join(complaints))
    left_out = [item for item in ours if _lacking(item, options)]
    for item in left_out:
        config.stash[_LEFT_OUT].update(_lacking(item, options))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _lacking(item: pytest.Item, options: "Options") -> list[str]:
    return [name for mark in item.iter_markers("needs_option") for name in mark.args if options.lacks(name)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for option, count in sorted(config.stash[_LEFT_OUT].items()):
        terminalreporter.write_line(f"NOT RUN: {count} conformance tests need {option}", yellow=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure begin with the sentences that are not kept."""
    report = yield
    if report.failed and item.path.is_relative_to(HERE):
        broken = "\n".join(f"  “{sentence}”" for sentence in sentences_of(item))
        report.sections.insert(0, ("docs/PROTOCOL.md, not kept", broken))
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = f"docs/PROTOCOL.md: {' / '.join(sentences_of(item))} — {crash.message}"
    return report


def _options(config: pytest.Config) -> "Options":
    from tests.conformance.target import Options

    return Options.of(config)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Target]":
    """Return the relay that the command line names, or two of our own on the session's broker."""
    options = _options(request.config)
    if options.relay_url:
        yield _foreign(options)
        return
    target = _own(request.getfixturevalue("kafka"), tmp_path_factory.mktemp("conformance"))
    try:
        yield target
    finally:
        for relay in target.own:
            relay.kill()


@pytest.fixture
def scene(target: "Target") -> "Scene":
    """Return an owner of this test's own."""
    from tests.conformance.scene import Scene

    return Scene(target)


def _foreign(options: "Options") -> "Target":
    from contracts.ticket import load_private_key
    from contracts.topics import Topics
    from tests.conformance.event_writer import EventWriter
    from tests.conformance.target import Target
    from tests.conformance.ticket_forge import TicketForge

    topics = Topics(options.topic_prefix, options.partition_count)
    return Target(
        url=options.relay_url,
        second_url=options.second_relay_url,
        topics=topics,
        writer=EventWriter(options.kafka, topics.events.name),
        tickets=TicketForge(load_private_key(Path(options.ticket_key).read_bytes())),
        heartbeat_seconds=options.heartbeat_seconds,
        streams_per_owner=options.streams_per_owner,
        allowed_origin=options.allowed_origin,
    )


def _own(bootstrap: str, folder: Path) -> "Target":
    from contracts.topics import Topics
    from deploy.topics import ensure_topics
    from tests.conformance.event_writer import EventWriter
    from tests.conformance.target import Target
    from tests.conformance.ticket_forge import TicketForge
    from tests.support.relay import RelayProcess, TicketOffice

    topics, office = Topics(f"c{secrets.token_hex(6)}"), TicketOffice(folder)
    settings = {"heartbeat_seconds": 1, "retry_ms": 50, "allowed_origins": ORIGIN}
    settings |= {"max_streams_per_owner": 40, "slow_reader_seconds": 2}
    relays = [RelayProcess(bootstrap, topics.prefix, office, **settings) for _ in range(2)]

    async def prepare() -> None:
        await ensure_topics(bootstrap, topics)
        for relay in relays:
            relay.launch()
        for relay in relays:
            await relay.until_ok("/readyz")

    try:
        with ThreadPoolExecutor(1) as other_thread:  # a loop of its own, whatever loop this thread has
            other_thread.submit(asyncio.run, prepare()).result()
    except BaseException:
        for relay in relays:
            relay.kill()
        raise
    return Target(
        url=relays[0].url,
        second_url=relays[1].url,
        topics=topics,
        writer=EventWriter(bootstrap, topics.events.name),
        tickets=TicketForge(office.key),
        heartbeat_seconds=4.0,
        streams_per_owner=40,
        allowed_origin=ORIGIN,
        own=relays,
    )
