"""A stand-in for the OpenAI API: a real HTTP server whose texts are simulated and say so."""
