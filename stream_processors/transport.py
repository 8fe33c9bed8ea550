"""Faust's Kafka transport, with our rules for what is committed and what happens in a rebalance.

Stock Faust commits past work in flight, waits for it in every rebalance, and seeks back to the committed offset after
each. Here the committer decides what is committed, nobody waits, and a partition that stays goes on where it was. All
of it by overriding methods; tests/contract holds those that are not public.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

import structlog
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream_processors.committer import Commit, Committer, Standing
from stream_processors.wary_client import make_wary

_HELD_POLL_SECONDS = 0.1
_THREAD_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Shell(Protocol):
    """What the transport reports to: our side of a rebalance."""

    requests_topic: str
    commit_timeout_seconds: float
    committer: Committer

    def suspend(self) -> None:
        """Start nothing until the next assignment is known."""

    def resume(self, generation: int, standings: Mapping[int, Standing]) -> None:
        """Take an assignment over."""


class WorkConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust ships no types
    """The thread of the Kafka client: sticky assignment, commits with a mark, and what the broker has."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._partition_assignment_strategy = (StickyPartitionAssignor,)
        make_wary(consumer._client)
        return consumer

    def find_loss(self) -> str | None:
        """Say which part of the client has ended, never to begin again; None while all live.

        aiokafka tells that to whoever calls `getmany`, and Faust calls what is below it.
        """
        if self._consumer is None or (coordinator := self._consumer._coordinator) is None:
            return None
        if (error := coordinator._pending_exception) is not None:
            return f"the coordinator waits for somebody to hear of {type(error).__name__}"
        if coordinator._coordination_task.done():
            return "the coordinator has ended"
        if (heartbeat := coordinator._heartbeat_task) is not None and _has_failed(heartbeat):
            return "heartbeats have ended"
        return "fetching has ended" if self._consumer._fetcher._fetch_task.done() else None

    async def commit_marked(self, commits: Mapping[TP, Commit], timeout_seconds: float) -> bool:
        """Commit offsets with their marks; False when that failed, which the log says."""
        try:
            async with asyncio.timeout(
                timeout_seconds + _THREAD_SECONDS
            ):  # a thread that hangs must not hang this loop
                return cast("bool", await self.call_thread(self._commit_marked, commits, timeout_seconds))
        except TimeoutError:
            log.warning("commit.failed", error="no answer from the client's thread")
            return False

    async def find_standings(self, topic: str) -> dict[int, Standing]:
        """Return what the broker has of each assigned partition of a topic."""
        return cast("dict[int, Standing]", await self.call_thread(self._find_standings, topic))

    async def seek_all(self, positions: Mapping[TP, int]) -> None:
        """Set where each partition goes on."""
        await self.call_thread(self._seek_all, positions)

    async def _commit_marked(self, commits: Mapping[TP, Commit], timeout_seconds: float) -> bool:
        consumer = self._ensure_consumer()
        offsets = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(commit.offset, commit.mark)
            for tp, commit in commits.items()
        }
        try:
            async with asyncio.timeout(timeout_seconds):
                await consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            # Nothing is lost: the same is committed with the next round, or somebody else has the partitions now.
            log.warning("commit.failed", error=type(error).__name__)
            return False
        return True

    async def _find_standings(self, topic: str) -> dict[int, Standing]:
        consumer = self._ensure_consumer()
        partitions = [tp for tp in consumer.assignment() if tp.topic == topic]
        commits = await consumer._coordinator.fetch_committed_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        return {tp.partition: Standing(_found(commits.get(tp)), beginnings[tp], ends[tp]) for tp in partitions}

    async def _seek_all(self, positions: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, offset in positions.items():
            consumer.seek(TopicPartition(tp.topic, tp.partition), offset)


class _Unremembered(dict[TP, int | None]):
    """Faust's memory of the highest offset that it delivered, empty for ever.

    Faust drops what is not behind that offset. A record that was fetched before a position was set back raises it, and
    all that is fetched again would be dropped without a word. The dispatcher looks after the order itself.
    """

    def __getitem__(self, tp: TP) -> int | None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        pass


class WorkConsumer(driver.Consumer):  # type: ignore[misc]  # faust ships no types
    """The consumer on the main loop, where all decisions are made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._held: set[TP] = set()
        self._release = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._seek_lock = asyncio.Lock()
        self._seek_due = False
        self._is_settled = False
        self._fetch_error: KafkaError | None = None
        super().__init__(*args, **kwargs)
        self._read_offset = _Unremembered()

    @property
    def shell(self) -> Shell:
        """Our side of a rebalance."""
        return cast("Shell", self.app.shell)

    def find_loss(self) -> str | None:
        """Say which part of the Kafka client has ended; None while all live."""
        if self._fetch_error is not None:
            return f"fetching failed with {type(self._fetch_error).__name__}"
        return cast("str | None", self._thread.find_loss())

    def hold(self, partition: int) -> None:
        """Fetch nothing more of a partition of the requests for now."""
        self._held.add(TP(self.shell.requests_topic, partition))
        self._release.clear()

    def release(self, partition: int) -> None:
        """Fetch from a partition of the requests again."""
        self._held.discard(TP(self.shell.requests_topic, partition))
        self._release.set()

    async def rewind(self, partition: int, offset: int) -> None:
        """Fetch a partition of the requests from an offset on."""
        async with self._seek_lock:
            await self._thread.seek_all({self._requests(partition): offset})

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is due; one round at a time, and each round for itself."""
        async with self._commit_lock:
            return await self._commit_due()

    async def perform_seek(self) -> None:
        """Go on where each partition of the new assignment is to go on; a partition that stayed is not moved back.

        Faust calls this once an assignment is complete, and at other times when nothing must move.
        """
        async with self._seek_lock:
            if not self._seek_due:
                return
            await self._take_assignment()
            positions = {self._requests(partition): at for partition, at in self.shell.committer.positions().items()}
            await self._thread.seek_all(positions)
            self._seek_due = False
        await self.commit()  # the mark says now that the partitions are held: before anything can crash here

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit with the mark of a hand-over, and do not wait for anything that runs."""
        self._seek_due = False
        committer = self.shell.committer
        self.shell.suspend()
        committer.handing_over = True
        try:
            if self.app.should_stop:
                await self.commit()  # the app only looks at a rebalance while it is not stopping
            await super().on_partitions_revoked(revoked)
        finally:
            committer.handing_over = bool(self.app.should_stop)
            self._is_settled = False

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take the assignment over: when stopping at once, else when Faust is ready to go on."""
        if self.app.should_stop:
            await self._take_assignment()  # a rebalance during a drain: what stayed goes on
            return
        self._seek_due = True
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            self.shell.resume(generation_id, {})

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: a partition whose tasks are at their cap stands still on purpose; readiness watches progress."""

    def _new_consumer_thread(self) -> WorkConsumerThread:
        return WorkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(
        self,
        active_partitions: Collection[TP] | None,
        timeout: float,  # noqa: ASYNC109 - the signature is Faust's
    ) -> Any:
        # Not `pause_partitions`: that drops what a batch still holds of the partition.
        if active_partitions is None or not self._held:
            return await self._fetch(active_partitions, timeout)
        wanted = set(active_partitions) - self._held
        if wanted:
            return await self._fetch(wanted, min(timeout, _HELD_POLL_SECONDS))
        try:
            async with asyncio.timeout(timeout):
                await self._release.wait()
        except TimeoutError:
            pass
        return {}

    async def _fetch(self, partitions: Collection[TP] | None, timeout_seconds: float) -> Any:
        try:
            return await super()._getmany(partitions, timeout_seconds)
        except KafkaError as error:
            # Not to Faust, which would tear the client down at once: there is a hand-over to commit first.
            self._fetch_error = error
            await asyncio.sleep(timeout_seconds)
            return {}

    async def _commit_due(self) -> bool:
        if not self._is_settled:
            return False  # between two assignments: a commit now could hide that somebody else has had a partition
        shell = self.shell
        assigned = [tp.partition for tp in self.assignment() if tp.topic == shell.requests_topic]
        due = shell.committer.due(assigned)
        if not due:
            return False
        by_tp = {self._requests(partition): commit for partition, commit in due.items()}
        if not await self._thread.commit_marked(by_tp, shell.commit_timeout_seconds):
            shell.committer.fail()
            return False
        shell.committer.confirm(due)
        return True

    async def _take_assignment(self) -> None:
        async with self._commit_lock:  # what is found must not be overtaken by a commit of ours
            standings = await self._thread.find_standings(self.shell.requests_topic)
            self.shell.resume(self.app.consumer_generation_id, standings)
            self._is_settled = True

    def _requests(self, partition: int) -> TP:
        return TP(self.shell.requests_topic, partition)


class WorkProducer(driver.Producer):  # type: ignore[misc]  # faust ships no types
    """The producer: idempotent, and open to be used without Faust's own path, which costs half as much again."""

    @property
    def client(self) -> Any:
        """The aiokafka producer."""
        return self._ensure_producer()

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        make_wary(producer.client)
        return producer

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}


class WorkTransport(driver.Transport):  # type: ignore[misc]  # faust ships no types
    """The transport with our consumer and producer."""

    Consumer = WorkConsumer
    Producer = WorkProducer


def _has_failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _found(kept: Any) -> Commit | None:
    return None if kept is None or kept.offset < 0 else Commit(kept.offset, kept.metadata or "")
