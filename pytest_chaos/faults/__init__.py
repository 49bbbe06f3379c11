"""One file for each fault. A class here registers itself; nothing else has to change."""
