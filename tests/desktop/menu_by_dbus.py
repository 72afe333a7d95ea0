"""The person who looks at an icon of a StatusNotifier tray, opens its menu and clicks, over D-Bus.

It sees what a panel would see and nothing more: no process of ours is asked. The opposite is
`VirtualScreen.click`, which uses a real pointer on an XEmbed icon.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbus_fast import Variant

from desktop.caller import PATIENCE, Caller

WATCHER = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher")
ICON = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"


@dataclass(frozen=True)
class Item:
    """One line of a menu; `checked` is None where the line has no mark."""

    number: int
    label: str
    enabled: bool
    visible: bool
    separator: bool
    checked: bool | None
    items: tuple["Item", ...]


class MenuByDBus:
    """One icon of the tray, by the order in which they appeared; calls answer within 10 s."""

    def __init__(self, address: str, icon: int = 0) -> None:
        self._bus = Caller(address)
        self._icon = icon

    def close(self) -> None:
        self._bus.close()

    def __enter__(self) -> "MenuByDBus":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the icon

    def icons(self) -> list[str]:
        """All icons in the tray, as `BUS NAME/OBJECT PATH`."""
        found: list[str] = self._bus.property(*WATCHER, WATCHER[0], "RegisteredStatusNotifierItems")
        return found

    def wait_for_icon(self, timeout: float = PATIENCE) -> None:
        """Returns once the icon is there and has a menu."""
        end = time.monotonic() + timeout
        while True:
            try:
                if len(self.icons()) > self._icon and self._icon_property("Menu"):
                    return
            except RuntimeError:
                pass  # The watcher or the icon is not on the bus yet.
            if time.monotonic() > end:
                raise TimeoutError("no icon appeared in the tray")
            time.sleep(0.02)

    @property
    def tooltip(self) -> str:
        """What hovering shows: title and text, on one line where one of them is empty."""
        _, _, title, text = self._icon_property("ToolTip")
        return "\n".join(part for part in (title, text) if part)

    @property
    def icon_name(self) -> str:
        """The icon's name in the theme, or its file; empty where it is sent as pixels."""
        return str(self._icon_property("IconName"))

    @property
    def pixmap(self) -> tuple[int, int, bytes] | None:
        """The largest picture the icon sends: width, height, ARGB bytes in network order."""
        pictures: list[tuple[int, int, bytes]] = self._icon_property("IconPixmap")
        return max(((w, h, bytes(data)) for w, h, data in pictures), default=None)

    @property
    def status(self) -> str:
        """`Passive`, `Active` or `NeedsAttention`."""
        return str(self._icon_property("Status"))

    @property
    def title(self) -> str:
        return str(self._icon_property("Title"))

    def activate(self) -> None:
        """A left click on the icon."""
        self._bus.call(*self._place(), ICON, "Activate", "ii", 0, 0)

    # -- its menu

    def items(self) -> tuple[Item, ...]:
        """The visible lines, separators included; the menu is told first that it will show."""
        self._bus.call(*self._menu(), MENU, "AboutToShow", "i", 0)
        _, layout = self._bus.call(*self._menu(), MENU, "GetLayout", "iias", 0, -1, [])
        return tuple(_items(layout))

    def labels(self, *path: str) -> list[str]:
        """The visible labels of the menu, or of the submenu at `path`, separators left out."""
        items = self.item(*path).items if path else self.items()
        return [item.label for item in items if not item.separator]

    def item(self, *path: str) -> Item:
        """The line at a path of labels (`Pause`, `1 hour`); LookupError lists what is there."""
        items = self.items()
        found: Item | None = None
        for label in path:
            found = next((item for item in items if item.label == label), None)
            if found is None:
                there = ", ".join(repr(item.label) for item in items if not item.separator)
                raise LookupError(f"no {label!r} in the menu, which has {there}")
            items = found.items
        if found is None:
            raise LookupError("an empty path names no line of the menu")
        return found

    def click(self, *path: str) -> None:
        """Clicks the line at a path of labels; a grey line is refused as a person would see it."""
        item = self.item(*path)
        if not item.enabled:
            raise LookupError(f"{' > '.join(path)} is grey")
        now = int(time.time()) & 0xFFFFFFFF
        self._event(item.number, "clicked", now)

    def _event(self, number: int, kind: str, when: int) -> None:
        menu = self._menu()
        self._bus.call(*menu, MENU, "Event", "isvu", number, kind, Variant("s", ""), when)

    # -- the bus

    def _place(self) -> tuple[str, str]:
        service, _, path = self.icons()[self._icon].partition("/")
        return service, f"/{path}"

    def _menu(self) -> tuple[str, str]:
        return self._place()[0], str(self._icon_property("Menu"))

    def _icon_property(self, name: str) -> Any:
        return self._bus.property(*self._place(), ICON, name)


def _items(layout: Any) -> Iterator[Item]:
    """The visible lines of one level of a dbusmenu layout `(number, properties, children)`."""
    for child in layout[2]:
        number, properties, _ = child.value
        values = {name: variant.value for name, variant in properties.items()}
        if not values.get("visible", True):
            continue
        # `_` marks the access key, `__` is an underscore.
        label = values.get("label", "").replace("__", "\0").replace("_", "").replace("\0", "_")
        mark = values.get("toggle-state", -1) if values.get("toggle-type") else -1
        yield Item(
            number=number,
            label=label,
            enabled=values.get("enabled", True),
            visible=True,
            separator=values.get("type") == "separator",
            checked=None if mark < 0 else mark == 1,
            items=tuple(_items(child.value)),
        )
