"""References to files, to entries of them, and to the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_chaos.errors import SpecError
from pytest_chaos.reading.position import SourceError, Unreadable
from pytest_chaos.schema import validate_spec
from pytest_chaos.sources import Entry, Sources, read_file
from pytest_chaos.spec import ChaosSpec
from tests.support.written import ENTRY, YAML_ENTRY, Write

CATALOGUE = """\
- name: rush
  trigger: {type: time}
- name: crush
  trigger: {type: time}
- trigger: {type: time}
- name: twice
  trigger: {type: time}
- name: twice
  trigger: {type: time}
- name: a.yaml#b.yaml
  trigger: {type: time}
"""


def names(entries: list[Entry]) -> list[str | None]:
    return [entry.name for entry in entries]


@pytest.fixture
def sources(write: Write, tmp_path: Path) -> Sources:
    """Return the sources of a project whose tests stand in ``tests``."""
    write(CATALOGUE, "chaos.yaml")
    write("{name: near, trigger: 1}", "tests/both.yaml")
    write("{name: far, trigger: 1}", "both.yaml")
    write("{name: root, trigger: 1}", "specs/load.yml")
    write("[{name: one, trigger: 1}, {name: two, trigger: 1}]", "tests/two#2.yaml")
    write('[{"name": "json", "trigger": 1}]', "tests/it.JSON")
    return Sources(root=tmp_path, catalogue=tmp_path / "chaos.yaml")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("rush", ["rush"]),
        ("crush", ["crush"]),
        ("both.yaml", ["near"]),
        ("../both.yaml", ["far"]),
        ("specs/load.yml", ["root"]),
        ("specs/load.yml#root", ["root"]),
        ("two#2.yaml", ["one", "two"]),
        ("two#2.yaml#two", ["two"]),
        ("it.JSON", ["json"]),
        ("it.JSON#json", ["json"]),
        ("chaos.yaml#a.yaml#b.yaml", ["a.yaml#b.yaml"]),
    ],
)
def test_a_reference_leads_to_entries(
    sources: Sources, tmp_path: Path, reference: str, found: list[str]
) -> None:
    assert names(sources.resolve(reference, base=tmp_path / "tests")) == found


def test_an_absolute_path_is_a_reference_too(sources: Sources, tmp_path: Path) -> None:
    reference = str(tmp_path / "specs" / "load.yml")
    assert names(sources.resolve(reference, base=tmp_path / "tests")) == ["root"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("rushh", "chaos.yaml: no entry is named 'rushh'; there is 'rush', 'crush', 'twice', 'a.yaml#b.yaml'; did you mean 'rush'"),
        ("twice", "chaos.yaml: 2 entries are named 'twice' (lines 6, 8); names must differ"),
        ("", "chaos.yaml: no entry is named ''; there is 'rush'"),
        ("Planned Disruption", "chaos.yaml: no entry is named 'Planned Disruption'"),
        ("chaos.yaml#", "chaos.yaml: no entry is named ''"),
        ("chaos.yaml#rusch", "did you mean 'rush'?"),
        ("both.yaml#far", "tests/both.yaml: no entry is named 'far'; there is 'near'"),
        ("bohth.yaml", "there is no file 'bohth.yaml'; looked in 'tests' and '.'; did you mean 'both.yaml'?"),
        ("specs/lod.yml#a", "there is no file 'specs/lod.yml'; looked in 'tests/specs' and 'specs'; did you mean 'load.yml'?"),
        ("/none/x.yaml", "there is no file '/none/x.yaml'; looked in '/none'"),
        ("a\0\x1b[31m\ud800.yaml", "there is no file 'a.yaml'; looked in"),
        ("x" * 5000 + ".yaml", "there is no file 'xxx"),
        ("chaos.toml", "chaos.yaml: no entry is named 'chaos.toml'"),
    ],
)  # fmt: skip
def test_a_reference_to_nothing_says_what_there_is(
    sources: Sources, tmp_path: Path, reference: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        sources.resolve(reference, base=tmp_path / "tests")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_without_a_catalogue_a_name_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"'rush' is no file .* put a chaos.yaml beside the ini file, or .* chaos_catalogue"
    ):
        Sources(root=tmp_path).resolve("rush", base=tmp_path)


def test_a_catalogue_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"^other.yaml: there is no such file$"):
        Sources(root=tmp_path, catalogue=tmp_path / "other.yaml").resolve("rush", base=tmp_path)


def test_a_file_is_read_once_also_if_it_is_wrong(write: Write, tmp_path: Path) -> None:
    sources = Sources(root=tmp_path, catalogue=write(CATALOGUE))
    broken = write("[", "broken.yaml")
    assert names(sources.resolve("rush", base=tmp_path)) == ["rush"]
    for _ in range(2):
        with pytest.raises(SourceError, match=r"^broken.yaml:1:2: no YAML"):
            sources.resolve("broken.yaml", base=tmp_path)
        broken.write_text("{}", encoding="utf-8")
        (tmp_path / "chaos.yaml").unlink(missing_ok=True)
    assert names(sources.resolve("crush", base=tmp_path)) == ["crush"]


def test_a_file_without_names_says_so(write: Write, tmp_path: Path) -> None:
    write("- {trigger: 1}\n- {trigger: 1, name: 3}\n", "a.yaml")
    with pytest.raises(SpecError, match="no entry is named 'x'; there is none with a name"):
        Sources(root=tmp_path).resolve("a.yaml#x", base=tmp_path)


def test_a_file_elsewhere_is_shown_with_its_whole_path(write: Write, tmp_path: Path) -> None:
    path = write("[", "elsewhere/a.yaml")
    with pytest.raises(SourceError) as caught:
        Sources(root=tmp_path / "root").resolve(str(path), base=tmp_path)
    assert str(caught.value).startswith(f"{path}:1:2: ")


def test_an_entry_of_a_file_is_the_spec_that_a_mapping_would_be(write: Write) -> None:
    (entry,) = read_file(write(YAML_ENTRY))
    assert isinstance(validate_spec(entry.data), ChaosSpec)
    assert entry.data is read_file(write(YAML_ENTRY))[0].data or entry.data == ENTRY


@pytest.mark.parametrize("count", [20, 21])
def test_at_most_twenty_names_are_listed(write: Write, tmp_path: Path, count: int) -> None:
    catalogue = write("".join(f"- {{name: n{number}, trigger: 1}}\n" for number in range(count)))
    with pytest.raises(SpecError) as caught:
        Sources(root=tmp_path, catalogue=catalogue).resolve("?", base=tmp_path)
    assert str(caught.value).endswith("'n18', 'n19'" + (", ..." if count > 20 else ""))
