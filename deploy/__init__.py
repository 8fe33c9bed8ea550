"""Everything that runs the system: on one machine, in containers, in a cluster."""
