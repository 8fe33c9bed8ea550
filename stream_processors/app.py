"""The wiring: a Faust app with our transport, and the parts that do the work."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import faust
import structlog
from faust.tables.manager import TableManager
from prometheus_client import CollectorRegistry

from contracts.cursor import Position
from contracts.topics import Topics
from stream_processors.agents import add_agents
from stream_processors.cancellations import Cancellations
from stream_processors.committer import Committer, Standing
from stream_processors.delta_pace import DeltaPace
from stream_processors.dispatcher import Dispatcher, Tenure
from stream_processors.emitter import Emitter
from stream_processors.errors import GroupLost
from stream_processors.execution import execute
from stream_processors.group_watch import GroupWatch
from stream_processors.health import HealthServer, Pulse
from stream_processors.historian import KafkaHistorian
from stream_processors.kafka_publisher import KafkaPublisher
from stream_processors.log_reader import LogReader
from stream_processors.metrics import WorkerCollector
from stream_processors.order import Order
from stream_processors.reachability import kafka_answers, wait_for_kafka
from stream_processors.request_handler import RequestHandler, Worker
from stream_processors.services import Services
from stream_processors.settings import WorkerSettings
from stream_processors.suspect import CHILD_COMMAND, IDLE_SECONDS, ChildLane
from stream_processors.transport import WorkTransport

_PULSE_SECONDS = 1.0
_ABORT_SECONDS = 5.0
_STOP_GRACE_SECONDS = 15.0

log = structlog.get_logger(__name__)


class WorkerShell:
    """Our side of a rebalance: committer and dispatcher, told by the transport."""

    def __init__(self, settings: WorkerSettings, committer: Committer) -> None:
        self.requests_topic = settings.topics.requests.name
        self.commit_timeout_seconds = settings.commit_timeout_seconds
        self.drain_seconds = settings.drain_seconds
        self.committer = committer
        self.has_been_assigned = False
        self._unassigned_since: float | None = time.monotonic()
        self._dispatcher: Dispatcher | None = None

    @property
    def dispatcher(self) -> Dispatcher:
        """The dispatcher; there is one before Kafka is spoken to."""
        assert self._dispatcher is not None
        return self._dispatcher

    def use(self, dispatcher: Dispatcher) -> None:
        """Name the dispatcher."""
        self._dispatcher = dispatcher

    @property
    def unassigned_seconds(self) -> float:
        """How long no assignment has been known; 0 when one is."""
        return 0.0 if self._unassigned_since is None else time.monotonic() - self._unassigned_since

    def suspend(self) -> None:
        """Start nothing until the next assignment is known."""
        if self._unassigned_since is None:
            self._unassigned_since = time.monotonic()
        self.dispatcher.suspend()

    def resume(self, generation: int, standings: Mapping[int, Standing]) -> None:
        """Take an assignment over."""
        stayed = self.committer.assign(standings)
        tenures = {number: Tenure(self.committer.ledger(number), stayed[number]) for number in standings}
        self.dispatcher.resume(generation, tenures)
        self._unassigned_since = None
        self.has_been_assigned = True
        log.info(
            "assignment.taken",
            generation=generation,
            partition_count=len(stayed),
            stayed_count=sum(stayed.values()),
        )


class NoTables(TableManager):  # type: ignore[misc]  # faust ships no types
    """Faust's table manager, without the second that it gives tables to register: there are none here."""

    async def on_start(self) -> None:
        """Say at once that all tables are registered: every start and every take-over waits for that."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class WorkerApp(faust.App):  # type: ignore[misc]  # faust ships no types
    """A Faust app that drains before it leaves, also when a rebalance comes in between."""

    shell: WorkerShell

    def _new_transport(self) -> WorkTransport:
        return WorkTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> WorkTransport:
        return WorkTransport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Make none: nothing is kept outside Kafka."""

    def _on_rebalance_when_stopped(self) -> None:
        """Keep the consumer: what a drain finishes must still be committed."""

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        """Called in each rebalance, which waits for nobody, and when stopping, which drains."""
        if self.should_stop:
            await self.shell.dispatcher.drain(self.shell.drain_seconds)
            self.shell.committer.handing_over = True
        await consumer.commit()


class _ConsumerFeed:
    """The feed of an app: its consumer, which does not exist yet when the dispatcher is built."""

    def __init__(self, app: WorkerApp) -> None:
        self._app = app

    def hold(self, partition: int) -> None:
        self._app.consumer.hold(partition)

    def release(self, partition: int) -> None:
        self._app.consumer.release(partition)

    async def rewind(self, partition: int, offset: int) -> None:
        await self._app.consumer.rewind(partition, offset)


class _GroupMembership:
    """A worker's place in its group, as its own parts know it."""

    def __init__(self, app: WorkerApp, settings: WorkerSettings) -> None:
        self._app = app
        self._settings = settings

    def find_loss(self) -> str | None:
        loss: str | None = self._app.consumer.find_loss()
        return loss

    def find_silence(self) -> str | None:
        shell = self._app.shell
        if (count := shell.committer.failure_count) >= self._settings.commit_failure_limit:
            return f"{count} commits failed in a row"
        if shell.unassigned_seconds > self._settings.rebalance_seconds:
            return "no assignment for too long"
        return None

    def ask_again(self) -> None:
        self._app.shell.committer.repeat()


class InProcess:
    """Carries orders out in this process."""

    def __init__(self, publisher: KafkaPublisher, services: Services) -> None:
        self._publisher = publisher
        self._services = services
        self._pace = DeltaPace()

    async def __call__(self, order: Order) -> Position:
        """Return the place of the terminal event."""
        emitter = Emitter(self._publisher, order.request.task_id, order.attempt, order.origin, pace=self._pace)
        return await execute(
            order.request,
            order.known,
            emitter,
            self._services,
            cancelled=order.cancelled,
            draft_counts=order.draft_counts,
            recall=order.recall,
        )


class WorkerProcess:
    """Everything one worker runs, from the first connection to the last commit."""

    def __init__(
        self,
        settings: WorkerSettings,
        services: Services,
        *,
        child_command: Sequence[str] = CHILD_COMMAND,
        new_publisher: Callable[[Callable[[], Any], Topics], KafkaPublisher] = KafkaPublisher,
        new_committer: Callable[[str], Committer] = Committer,
        app_class: type[WorkerApp] = WorkerApp,
    ) -> None:
        self.settings = settings
        boot_ms = time.time_ns() // 1_000_000
        self.app = _faust_app(app_class, settings)
        owner = f"{settings.name}-{boot_ms}-{secrets.token_hex(3)}"
        self.app.shell = self.shell = WorkerShell(settings, new_committer(owner))
        topics = settings.topics
        reader = LogReader(settings.bootstrap)
        publisher = new_publisher(lambda: self.app.producer.client, topics)
        self._child_lane = ChildLane(
            publisher, child_count=settings.child_slots, command=child_command, idle_seconds=IDLE_SECONDS
        )
        self.cancellations = Cancellations(
            settings.bootstrap, topics, timedelta(milliseconds=topics.cancellations.retention_ms), reader
        )
        self.dispatcher = Dispatcher(
            _ConsumerFeed(self.app),
            RequestHandler(
                Worker(f"stream_processors/{settings.name}", boot_ms),
                topics,
                publisher,
                reader,
                run=InProcess(publisher, services),
                run_in_child=self._child_lane,
            ),
            KafkaHistorian(reader, topics),
            slot_count=settings.slots,
            slots_per_partition=settings.slots_per_partition,
            look_ahead_count=settings.look_ahead,
            is_cancelled=self.cancellations.is_cancelled,
            on_open=self.cancellations.look_through,
            on_failure=self._fail,
        )
        self.shell.use(self.dispatcher)
        add_agents(self.app, topics.requests.name, self.dispatcher)
        self.failure: BaseException | None = None
        self._ending = asyncio.Event()
        self._aborting = asyncio.Event()
        self._stopping = False
        self._pulse = Pulse()
        self._group_watch = GroupWatch(
            _GroupMembership(self.app, settings), partial(kafka_answers, settings.bootstrap), settings.session_seconds
        )

    def stop(self) -> None:
        """Ask for the end: the first time with a drain, the second time at once."""
        if self._ending.is_set():
            log.warning("worker.aborting")
            self._aborting.set()
            self.dispatcher.abort()
        self._ending.set()

    async def run(self) -> int:
        """Work until asked to stop; return the exit status: 0, or 1 when the worker could not go on."""
        health = self._health_server()
        health.start()
        side = [asyncio.create_task(work) for work in (self._beat(), self._tell_health(health))]
        try:
            if await wait_for_kafka(self.settings.bootstrap, self._ending):
                await self._work()
        finally:
            for task in side:
                task.cancel()
            health.stop()
        return 1 if self.failure else 0

    async def _work(self) -> None:
        starting = asyncio.create_task(self.app.start(), name="faust")
        side = [
            asyncio.create_task(self.cancellations.follow(self.dispatcher), name="cancellations"),
            asyncio.create_task(self.cancellations.withdraw_queued(self.dispatcher), name="withdrawals"),
            asyncio.create_task(self.app.wait_until_stopped(), name="faust crash"),
            asyncio.create_task(self._group_watch.watch(), name="group watch"),
            starting,
        ]
        for task in side:
            task.add_done_callback(self._side_task_ended)
        log.info("worker.started", worker=self.settings.name, group=self.settings.group)
        await self._ending.wait()
        self._stopping = True
        await self._stop_app()
        for task in side:
            task.cancel()
        await asyncio.wait(side)
        await self._child_lane.close()
        log.info("worker.stopped", failed=self.failure is not None)

    async def _stop_app(self) -> None:
        aborted = asyncio.create_task(self._aborting.wait())
        stopping = asyncio.create_task(self.app.stop())
        longest = self.settings.drain_seconds + _STOP_GRACE_SECONDS
        try:
            await asyncio.wait({aborted, stopping}, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                await asyncio.wait({stopping}, timeout=_ABORT_SECONDS)
            if not stopping.done():
                log.error("worker.stop_overdue")
            elif stopping.cancelled() or stopping.exception() is not None:
                log.error("worker.stop_failed")  # what was not handed over is found in the log by the next owner
        finally:
            aborted.cancel()
            stopping.cancel()

    def _side_task_ended(self, task: "asyncio.Task[Any]") -> None:
        if self._stopping:
            return
        if task.cancelled():
            self._fail(RuntimeError(f"{task.get_name()} was cancelled by nobody"))
        elif (error := task.exception()) is not None:
            self._fail(error)
        elif self.app.crashed:
            self._fail(self.app.crash_reason or RuntimeError("faust stopped"))

    def _fail(self, error: BaseException) -> None:
        """End the worker without a drain: Kafka does not work for it, or something of ours is broken.

        What runs is handed over in peace, if Kafka takes a commit: it is not the requests' fault.
        """
        if self.failure is None:
            self.failure = error
            reason = str(error) if isinstance(error, GroupLost) else type(error).__name__
            log.error("worker.failed", error=reason)
        self.shell.drain_seconds = 0.0
        self._ending.set()

    def _health_server(self) -> HealthServer:
        registry = CollectorRegistry()
        registry.register(WorkerCollector(self.dispatcher, self.shell.committer, self.cancellations))
        settings = self.settings
        return HealthServer(settings.health_host, settings.health_port, registry, self._pulse, self._complaints)

    def _complaints(self) -> list[str]:
        """Say why no work should be expected of this worker; nothing when all is well."""
        failures = self.shell.committer.failure_count
        told = {
            "stopping": self._ending.is_set(),
            "the group is lost": isinstance(self.failure, GroupLost),
            "no assignment yet": not self.shell.has_been_assigned,
            "no assignment for too long": self.shell.unassigned_seconds > self.settings.rebalance_seconds,
            "cancellations not caught up": not self.cancellations.caught_up.is_set(),
            f"{failures} commits failed in a row": failures >= self.settings.commit_failure_limit,
        }
        return [complaint for complaint, applies in told.items() if applies]

    async def _beat(self) -> None:
        while True:
            self._pulse.beat()
            await asyncio.sleep(_PULSE_SECONDS)

    async def _tell_health(self, health: HealthServer) -> None:
        log.info("health.listening", host=self.settings.health_host, port=health.port)


def _faust_app(app_class: type[WorkerApp], settings: WorkerSettings) -> WorkerApp:
    return app_class(
        settings.group,
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        TableManager=NoTables,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=64,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=256 << 10,
        consumer_group_instance_id=settings.instance_id or None,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.heartbeat_seconds,
        broker_rebalance_timeout=settings.rebalance_seconds,
        broker_request_timeout=settings.rebalance_seconds + 30,
        broker_max_poll_interval=1_000_000.0,
        broker_commit_interval=settings.commit_seconds,
        producer_linger=0.005,
        producer_request_timeout=30.0,
        worker_redirect_stdouts=False,
    )
