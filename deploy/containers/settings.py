"""What can be chosen for images: environment variables."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.containers.kafka_image import kafka_version
from deploy.containers.python_image import VERSION


class ImageSettings(BaseSettings):
    """Which images are used; an empty name means: the public one, or one made here where it cannot be pulled."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kafka_image: str = Field(default="", validation_alias="KAFKA_IMAGE")
    """Any image that keeps the contract of `apache/kafka`."""
    python_image: str = Field(default="", validation_alias="PYTHON_IMAGE")
    """What the services are built on: Python of the same minor version as here, with pip and a shell."""
    image_prefix: str = Field(default="draftstream", validation_alias="DRAFTSTREAM_IMAGE_PREFIX")
    """What the services' images are called: PREFIX/api, PREFIX/relay …"""

    @property
    def public_kafka(self) -> str:
        """The public image of the pinned version."""
        return f"apache/kafka:{kafka_version()}"

    @property
    def local_kafka(self) -> str:
        """What ours is called."""
        return f"local/kafka:{kafka_version()}"

    @property
    def public_python(self) -> str:
        """The public image of the Python that the wheels are for."""
        return f"python:{VERSION}-slim"

    @property
    def local_python(self) -> str:
        """What ours is called."""
        return f"local/python:{VERSION}-slim"
