"""Reading /proc."""

from bench.relay.usage import parse_cpu_ticks, parse_pss


def test_a_command_may_have_spaces_and_brackets_in_its_name() -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    assert parse_cpu_ticks(f"4711 (a (b) c) S {fields}") == 14 + 15


def test_the_proportional_size_is_not_that_of_a_part_of_it() -> None:
    rollup = "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 90 kB\nPss:               1234 kB\nPss_Anon: 7 kB\n"
    assert parse_pss(rollup) == 1234
