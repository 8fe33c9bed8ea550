"""The relay's volume holds the public key alone."""

from pathlib import Path

from deploy.containers.keys import share_keys


def test_the_public_folder_gets_the_public_key_alone_and_keeps_it(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    public.mkdir()
    share_keys(private, public)
    first = (public / "ticket.pub.pem").read_bytes()
    assert first == (private / "ticket.pub.pem").read_bytes()
    assert [file.name for file in public.iterdir()] == ["ticket.pub.pem"]
    share_keys(private, public)
    assert (public / "ticket.pub.pem").read_bytes() == first
