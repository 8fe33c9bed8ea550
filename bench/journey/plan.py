"""How much is measured: the full course, and a quick one to see that everything works."""

from dataclasses import dataclass

from bench.journey.rush import RushPlan, Step
from bench.journey.seed import THREAD_COUNT


@dataclass(frozen=True, slots=True)
class Plan:
    """One round is: quiet journeys, slow quiet journeys, the page, a rush; each through both systems in turns."""

    name: str
    round_count: int
    quiet_count: int
    quiet_spacing_seconds: float
    slow_count: int
    """Journeys in which a version takes 40 s; none in the quick course."""
    page_count: int
    rush: RushPlan
    seed_thread_count: int
    worker_count: int = 1

    @property
    def environment(self) -> dict[str, str]:
        """The settings that differ from their defaults: room for as many tasks at once as the rush brings."""
        slots = round(2 * self.rush.version_seconds * max(step.rate_per_second for step in self.rush.steps))
        slots = max(50, slots // self.worker_count)
        return {
            "WORKER_SLOTS": str(slots),
            "WORKER_SLOTS_PER_PARTITION": str(slots),
            "MODEL_CONCURRENT_CALL_COUNT": str(3 * slots),
            "API_WORKER_SLOT_COUNT": str(slots * self.worker_count),
            "API_EXPECTED_TASK_SECONDS": str(self.rush.version_seconds),
        }


def full_plan(round_count: int, worker_count: int) -> Plan:
    """A version takes 40 s, the old service has its 200 threads: at most 5 tasks a second."""
    steps = (Step(1, 24), Step(2.5, 24), Step(5, 24), Step(10, 24))
    rush = RushPlan(steps, version_seconds=40, grace_seconds=60)
    return Plan("full", round_count, 10, 1.0, 3, 5, rush, THREAD_COUNT, worker_count)


def quick_plan(round_count: int, worker_count: int) -> Plan:
    """A tenth: a version takes 4 s, the old service has 20 threads, so that 5 tasks a second are its most again."""
    steps = (Step(1, 5), Step(2.5, 5), Step(5, 5), Step(10, 5))
    rush = RushPlan(steps, version_seconds=4, grace_seconds=12)
    return Plan("quick", round_count, 4, 1.0, 0, 2, rush, THREAD_COUNT // 10, worker_count)
