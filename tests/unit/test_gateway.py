"""The gateway's configuration is made of a list of shards that leaves no partition out and none twice."""

import re
from pathlib import Path

import pytest

from deploy.gateway.__main__ import main
from deploy.gateway.configuration import Gateway, render
from deploy.gateway.shards import Shard, ShardsUnusable, parse_shard
from sse_relay.settings import Settings as RelaySettings

SHARDS = ["--shard", "0,2=a:1", "--shard", "1=b:2,[::1]:3"]


def routes(configuration: str) -> dict[str, str]:
    table = re.search(r"map \$partition \$relay \{(.*?)\}", configuration, re.DOTALL)
    assert table
    return dict(line.split() for line in table[1].replace(";", "").strip().splitlines())


def servers(configuration: str) -> dict[str, list[str]]:
    groups = re.findall(r"upstream (\w+) \{(.*?)\}", configuration, re.DOTALL)
    return {name: re.findall(r"server (\S+);", body) for name, body in groups}


def test_each_partition_leads_to_its_shard_and_what_names_none_to_relays_of_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        main(["--partition-count", "3", *SHARDS, "--whole", "c:4", "--listen", "0.0.0.0:80", "--api", "d:5,e:6"]) == 0
    )
    made = capsys.readouterr().out
    assert routes(made) == {'""': '"whole"', "default": "whole", "0": "shard_0", "1": "shard_1", "2": "shard_0"}
    assert servers(made) == {"api": ["d:5", "e:6"], "whole": ["c:4"], "shard_0": ["a:1"], "shard_1": ["b:2", "[::1]:3"]}
    assert "listen 0.0.0.0:80;" in made
    assert "@@" not in made


def test_without_relays_of_everything_no_upstream_is_guessed() -> None:
    made = render(Gateway("x:1", ("y:2",), (Shard((0, 1), ("a:1",)),), partition_count=2))
    assert routes(made)['""'] == '""'
    assert routes(made)["default"] == "shard_0", "a relay says best what is wrong with a number that is no partition"
    assert "whole" not in servers(made)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "neither shards nor relays"),
        (["--shard", "0,1=a:1"], "no shard has: 2"),
        ([*SHARDS, "--shard", "2=c:3"], "more than one place: 2"),
        ([*SHARDS, "--shard", "3=c:3"], "none is called 3"),
        (["--shard", "0-2=a:1"], "is not PARTITION"),
        (["--shard", "0,1,2"], "is not PARTITION"),
        (["--shard", "0,,2=a:1"], "is not PARTITION"),
        (["--shard", "0,1,2=a"], "'a' is not HOST:PORT"),
        (["--shard", "0,1,2=a:1; return 200 x"], "is not HOST:PORT"),
        ([*SHARDS, "--listen", "a:1,b:2"], "is not HOST:PORT"),
        ([*SHARDS, "--api", ""], "is not HOST:PORT"),
    ],
)
def test_what_cannot_be_routed_by_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--partition-count", "3", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert complaint in told.err


def test_a_silence_between_two_heartbeats_is_no_dead_relay(tmp_path: Path) -> None:
    timeout = re.search(r"proxy_read_timeout (\d+)s; # a relay", render(Gateway("x:1", ("y:2",), (), ("z:3",))))
    assert timeout
    relay = RelaySettings(ticket_public_key_file=tmp_path / "k")
    assert int(timeout[1]) > 2 * relay.heartbeat_seconds
    assert int(timeout[1]) > relay.catch_up_seconds + relay.archive_seconds, "an answer's first byte may take so long"


def test_the_left_side_of_a_shard_is_a_relays_setting(tmp_path: Path) -> None:
    shard = parse_shard("9,10,11=a:1")
    relay = RelaySettings(ticket_public_key_file=tmp_path / "k", partitions="9,10,11")
    assert shard.partitions == relay.own_partitions
    with pytest.raises(ShardsUnusable):
        parse_shard("09=a:1")
