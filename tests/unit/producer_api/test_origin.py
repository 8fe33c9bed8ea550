import pytest

from producer_api.errors import HostRefused, OriginRefused
from producer_api.origin import require_known_host, require_own_origin

LOCAL = ("127.0.0.1", "localhost", "::1")


@pytest.mark.parametrize("origins", [[], ["http://localhost:8000"], ["http://LOCALHOST:8000"], ["https://a.example"]])
def test_no_page_our_own_page_and_allowed_pages_pass(origins: list[str]) -> None:
    require_own_origin(origins, "localhost:8000", {"https://a.example"})


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:9999", "http://evil.example", "null", "", "https://a.example.evil", "https://A.example"],
)
def test_every_other_page_is_refused_even_on_another_port_of_this_machine(origin: str) -> None:
    with pytest.raises(OriginRefused):
        require_own_origin([origin], "localhost:8000", {"https://a.example"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_this_machine_answers_to_its_own_names(host: str) -> None:
    require_known_host(host, LOCAL)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example:8000", "[", "a@localhost.evil", "127.0.0.1.x"]
)
def test_a_name_that_somebody_pointed_here_is_refused(host: str) -> None:
    with pytest.raises(HostRefused):
        require_known_host(host, LOCAL)


def test_a_star_lets_every_name_pass() -> None:
    require_known_host("evil.example", ("*",))
