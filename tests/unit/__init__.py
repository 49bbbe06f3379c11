"""One part at a time, without an inner pytest."""
