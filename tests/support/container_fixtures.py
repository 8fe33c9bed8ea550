"""Fixtures that hand out containers; nothing is imported or started until a test asks for one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deploy.containers.images import Images
    from tests.support.containers import ContainerSystem


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest) -> "Images":
    """Names of all images, made first where they are missing; it says what it makes and how long that took."""
    from deploy.containers.images import make_images
    from deploy.containers.settings import ImageSettings
    from tests.support.containers import clean_up_alone

    terminal = request.config.pluginmanager.getplugin("terminalreporter")
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(what: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"\n  {what}")

    clean_up_alone()
    return make_images(ImageSettings(), tell)


@pytest.fixture(scope="module")
def containers(images: "Images") -> "Iterator[ContainerSystem]":
    """Start the whole system in containers for this module's tests."""
    from tests.support.containers import ContainerSystem

    with ContainerSystem(images) as system:
        yield system
