"""The engine: runs disruptions, guards targets, owns processes, gives verdicts. Knows nothing of pytest."""
