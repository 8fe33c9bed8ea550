"""Medians, ratios, and how they are told."""

from pathlib import Path
from xml.etree import ElementTree as ET

from bench.relay.measurement import Measurement, summarise
from bench.relay.plot import plot, write_plots
from bench.relay.result import read_results, write_results
from bench.relay.table import line_of, tables


def cost(contestant: str, *values: float, workload: str = "w1a", **faults: int) -> list[Measurement]:
    return [Measurement(workload, contestant, {"cpu_us_per_event": value}, faults) for value in values]


def test_ratios_are_made_within_a_round_so_that_a_noisy_round_does_not_count() -> None:
    ours = summarise([*cost("floor", 10, 100, 10), *cost("ours", 12, 120, 13)])[1]
    assert ours.figures["cpu_us_per_event"] == 13
    assert ours.ratios["cpu_us_per_event"] == 1.2


def test_without_a_floor_there_is_no_ratio() -> None:
    [ours] = summarise(cost("ours", 12))
    assert ours.ratios == {}


def test_one_lost_event_in_any_round_is_told() -> None:
    [ours] = summarise([*cost("ours", 12), *cost("ours", 12, missing=1)])
    assert ours.faults == {"missing": 1}
    assert "**missing: 1**" in tables([ours])
    assert "missing: 1" in line_of(cost("ours", 12, missing=1)[0])


def test_a_table_shows_the_ratio_of_all_but_the_floor() -> None:
    text = tables(summarise([*cost("floor", 20), *cost("ours", 25)]))
    assert "| floor | 20.0 | 1 |" in text
    assert "| ours | 25.0 (1.25×) | 1 |" in text


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    summaries = summarise([*cost("floor", 20), *cost("ours", 25)])
    assert read_results(write_results(summaries, tmp_path, quick=True)) == summaries


def test_a_plot_holds_every_point_inside_its_frame() -> None:
    root = ET.fromstring(plot({"a<b": [(500, 20), (8000, 60)], "c": [(500, 30)]}, "streams", "cost"))
    circles = [item for item in root.iter() if item.tag.endswith("circle")]
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert len(circles) == 3
    assert all(0 < float(c.attrib["cx"]) < width and 0 < float(c.attrib["cy"]) < height for c in circles)


def test_a_single_point_makes_no_plot(tmp_path: Path) -> None:
    write_plots(summarise(cost("ours", 25)), tmp_path)
    assert list(tmp_path.iterdir()) == []
    write_plots(summarise([*cost("ours", 25), *cost("ours", 30, workload="w1b")]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"relay-streams.svg", "relay-rate.svg"}
