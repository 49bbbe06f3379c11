"""Registry: type tag -> class, filled by decorators, by this package's own modules and by entry points."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from importlib.metadata import entry_points
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, get_origin

from pytest_chaos.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class Registry(Generic[T]):
    """Map type tags to the classes that a spec may name.

    Nothing is imported before the first look-up; then every module of ``package`` is imported (its
    classes register themselves) and the entry points of ``group`` are loaded. An entry point that
    cannot be loaded spoils only its own tag: asking for that tag raises with the cause.
    """

    def __init__(self, kind: str, base: type[T], *, group: str) -> None:
        self.kind = kind
        self.base = base
        self.group = group
        self._classes: dict[str, type[T]] = {}
        self._broken: dict[str, str] = {}
        self._lock = RLock()
        self._loaded = False

    def register(self, tag: str) -> Callable[[type[T]], type[T]]:
        """Return a decorator that registers a class under ``tag``.

        Raises:
            SpecError: the class is no (finished) subclass of the base, has no ``type: Literal[tag]`` field, or
                the tag belongs to another class.
        """

        def decorate(cls: type[T]) -> type[T]:
            self._check_class(tag, cls)
            with self._lock:
                old = self._classes.get(tag)
                if old is not None and not _replaces(cls, old):
                    raise SpecError(
                        f"{self.kind} type {tag!r} is taken by {_dotted(old)}; "
                        f"choose another tag for {_dotted(cls)}, or unregister({tag!r}) first"
                    )
                self._classes[tag] = cls
            return cls

        return decorate

    def unregister(self, tag: str) -> None:
        """Forget ``tag``. Raises ``KeyError`` if it is not registered."""
        self._load()
        with self._lock:
            del self._classes[tag]

    def get(self, tag: str) -> type[T]:
        """Return the class for ``tag``.

        Raises:
            SpecError: nothing is registered under it; the message lists what is, and the nearest name.
        """
        self._load()
        if tag in self._classes:
            return self._classes[tag]
        if tag in self._broken:
            raise SpecError(f"{self.kind} type {tag!r} could not be loaded: {self._broken[tag]}")
        raise SpecError(
            f"unknown {self.kind} type {tag!r}; registered: {', '.join(sorted(self._classes)) or 'none'}"
            + did_you_mean(tag, self._classes)
        )

    def keys(self) -> list[str]:
        """Return the registered tags, sorted."""
        self._load()
        return sorted(self._classes)

    def items(self) -> list[tuple[str, type[T]]]:
        """Return ``(tag, class)`` pairs, sorted by tag."""
        self._load()
        return sorted(self._classes.items())

    def __contains__(self, tag: object) -> bool:
        self._load()
        return tag in self._classes

    def _load(self) -> None:
        with self._lock:
            if self._loaded:
                return
            self._loaded = True  # before the imports: the modules register themselves through this object
            package = importlib.import_module(self.group)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.group}.{module.name}")
            for point in entry_points(group=self.group):
                try:
                    cls = point.load()
                    if isinstance(cls, type) and self._classes.get(point.name) is not cls:
                        self.register(point.name)(cls)
                except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises spoils its own tag only
                    self._broken[point.name] = f"entry point {point.value!r}: {type(error).__name__}: {error}"

    def _check_class(self, tag: str, cls: type[T]) -> None:
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise SpecError(
                f"{cls!r} cannot be registered as {self.kind} {tag!r}: it is no {self.base.__name__}"
            )
        if missing := sorted(getattr(cls, "__abstractmethods__", ())):
            raise SpecError(
                f"{_dotted(cls)} cannot be registered as {self.kind} {tag!r}: it has no {', '.join(missing)}()"
            )
        fields: dict[str, Any] = getattr(cls, "model_fields", {})
        annotation = fields["type"].annotation if "type" in fields else None
        literal = get_args(annotation) if get_origin(annotation) is Literal else ()
        if literal != (tag,):
            found = f"type: {literal!r}" if literal else "no `type: Literal[...]` field"
            raise SpecError(
                f"{_dotted(cls)} cannot be registered as {self.kind} {tag!r}: it has {found}; "
                f'write `type: Literal["{tag}"] = "{tag}"`'
            )


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest candidate, or an empty string."""
    near = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _dotted(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _replaces(new: type[Any], old: type[Any]) -> bool:
    """Tell whether ``new`` is ``old`` imported again, or ``old`` belongs to a module that is gone."""
    return _dotted(new) == _dotted(old) or old.__module__ not in sys.modules
