"""The load engine: locate fortio, build its command line, run it, read what it measured. No agents, no tests."""
