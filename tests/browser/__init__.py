"""The HTML report in a real browser: Chromium, as the system has it."""
