"""Print what the command line has to say, whatever terminal or pipe it goes to."""

from __future__ import annotations

import os
import sys


def printable(text: str) -> str:
    """Return ``text`` with what standard output cannot encode written as escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text: str) -> None:
    """Print a line, or several; a reader that has gone, such as ``head``, is no error."""
    try:
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # what Python flushes at its end must not raise again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
