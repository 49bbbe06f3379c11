"""Files as text: what cannot be read says why, and nothing is read that is no small text file."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from pytest_chaos.errors import Unreadable
from pytest_chaos.reading.json_text import read_json
from pytest_chaos.reading.position import Document, Where
from pytest_chaos.reading.tree import Node
from pytest_chaos.reading.yaml_text import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
