"""What a user registers to be recognized: a folder of reference images, and a table that says more of what they show.

``Name.png``, or several images in a folder ``Name``, show what is called Name. The table is CSV with a heading; it may stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vision_emulator.annotators import Picture, SettingsError
from vision_emulator.contract import limits
from vision_emulator.contract.errors import VisionError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".ico", ".tif", ".tiff")
IMAGES_MAX: Final = 1000  # of one folder; each is looked for in every picture
ROWS_MAX: Final = 100_000  # of one table
NAME: Final = "name"
EXAMPLES: Final = {"latitude": "48.8582", "longitude": "2.2945", "radius": "250"}  # of the columns that are numbers


@dataclass(slots=True)
class Entry:
    """One thing that is registered: what its row says, numbers read, and the files that show it."""

    name: str
    row: dict[str, Any] = field(default_factory=dict)  # by column; a column left empty is not there
    images: list[Path] = field(default_factory=list)
    place: str = ""  # file:line of its row

    @property
    def mid(self) -> str:
        """Its id in the knowledge graph, as its row says; empty when it says none."""
        return str(self.row.get("mid", ""))


def read(setting: str, path: Any, columns: Sequence[str]) -> list[Entry]:
    """What is registered at a path: a folder of images with its table ``SETTING.csv``, or a table. By name.

    ``columns`` may stand in the table beside ``name``. SettingsError says file and line of what cannot be used.
    """
    if not isinstance(path, str) or not path:
        raise SettingsError(f"{setting} is the path of a folder, not {path!r}")
    source = Path(path).expanduser()
    if source.is_dir():
        table, images = source / f"{setting}.csv", _images(setting, source)
    elif source.is_file() and source.suffix.lower() == ".csv":
        table, images = source, {}
    else:
        raise SettingsError(f"{setting}: {source}: no such folder or CSV file")
    entries = {name: Entry(name, images=files) for name, files in images.items()}
    if table.is_file():
        for entry in _rows(setting, table, columns):
            entries.setdefault(entry.name, entry).row = entry.row
            entries[entry.name].place = entry.place
    if not entries:
        raise SettingsError(f"{setting}: {source}: nothing is registered here; put in images, as Name.png or Name/1.png")
    return [entries[name] for name in sorted(entries)]


def picture(setting: str, file: Path) -> Picture:
    """The picture in a file, decoded; SettingsError when it is none."""
    try:
        if file.stat().st_size > limits.IMAGE_BYTES_MAX:
            raise SettingsError(f"{setting}: {file}: more than {limits.IMAGE_BYTES_MAX} bytes")
        found = Picture(file.read_bytes(), file.as_uri() if file.is_absolute() else str(file))
        found.pixels.load()
    except OSError as unreadable:
        raise SettingsError(f"{setting}: {file}: cannot be read: {unreadable.strerror}") from unreadable
    except VisionError as broken:
        raise SettingsError(f"{setting}: {file}: {broken.message}") from broken
    return found


def _images(setting: str, folder: Path) -> dict[str, list[Path]]:
    """The images below a folder by the name of what they show."""
    images: dict[str, list[Path]] = {}
    files = [(file.stem, file) for file in folder.iterdir() if file.is_file()]
    files += [(inner.name, file) for inner in folder.iterdir() if inner.is_dir() for file in inner.iterdir() if file.is_file()]
    for name, file in sorted(files):
        if file.suffix.lower() in SUFFIXES and not name.startswith("."):
            images.setdefault(name, []).append(file)
    if sum(map(len, images.values())) > IMAGES_MAX:
        raise SettingsError(f"{setting}: {folder}: more than {IMAGES_MAX} images")
    return images


def _rows(setting: str, table: Path, columns: Sequence[str]) -> list[Entry]:
    import csv

    entries: dict[str, Entry] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            heading = [column.strip().lower() for column in next(lines, [])]
            _check_heading(heading, (NAME, *columns), f"{setting}: {table}:1")
            for cells in lines:
                place = f"{setting}: {table}:{lines.line_num}"
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(heading):
                    raise SettingsError(f"{place}: {len(cells)} cells under {len(heading)} headings; quote a cell that holds a comma")
                if len(entries) == ROWS_MAX:
                    raise SettingsError(f"{place}: more than {ROWS_MAX} rows")
                entry = _entry({column: cell.strip() for column, cell in zip(heading, cells, strict=True) if cell.strip()}, place)
                if entries.setdefault(entry.name, entry) is not entry:
                    raise SettingsError(f"{place}: {entry.name} has a row already")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SettingsError(f"{setting}: {table}: cannot be read: {unreadable}") from unreadable
    except csv.Error as broken:
        raise SettingsError(f"{setting}: {table}:{lines.line_num}: no CSV: {broken}") from broken
    return list(entries.values())


def _check_heading(heading: Sequence[str], known: Sequence[str], place: str) -> None:
    if NAME not in heading:
        raise SettingsError(f"{place}: no column {NAME}; the columns are {', '.join(known)}")
    for at, column in enumerate(heading):
        if column not in known:
            raise SettingsError(f"{place}: unknown column {column!r}; the columns are {', '.join(known)}")
        if column in heading[:at]:
            raise SettingsError(f"{place}: two columns {column!r}")


def _entry(row: dict[str, Any], place: str) -> Entry:
    name = row.pop(NAME, "")
    if not name:
        raise SettingsError(f"{place}: the row has no name")
    for column, example in EXAMPLES.items():
        if column in row:
            try:
                row[column] = float(row[column])
            except ValueError:
                raise SettingsError(f"{place}: {column} is a number such as {example}, not {row[column]!r}") from None
    return Entry(name, row, place=place)
