"""Names and ids of what the simulator makes, chosen so that nobody takes it for a real model."""

from secrets import token_hex
from typing import Final

SIMULATOR_MODEL: Final = "draftstream-simulator"
SYSTEM_FINGERPRINT: Final = "fp_simulated"


def make_id(kind: str) -> str:
    """Return a new id such as `resp_sim_…`."""
    return f"{kind}_sim_{token_hex(16)}"
