"""The relay against a floor in C and against peers, on the same records and streams, in alternating runs."""
