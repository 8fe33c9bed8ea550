import logging

from producer_api.log_output import LineRate


def line(name: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, "", (), None)


def test_the_kafka_client_may_not_flood_the_log() -> None:
    rate = LineRate(now=lambda: 10.0)
    assert [rate.filter(line("aiokafka.conn")) for _ in range(3)] == [True, False, False]
    assert rate.filter(line("aiokafka.consumer"))


def test_in_the_next_second_another_line_passes() -> None:
    seconds = iter([10.0, 10.5, 11.0])
    rate = LineRate(now=lambda: next(seconds))
    assert [rate.filter(line("aiokafka.conn")) for _ in range(3)] == [True, False, True]


def test_our_own_lines_all_pass() -> None:
    rate = LineRate(now=lambda: 10.0)
    assert all(rate.filter(line("producer_api.intake")) for _ in range(100))
