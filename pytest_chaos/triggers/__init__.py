"""One file for each trigger. A class here registers itself; nothing else has to change."""
