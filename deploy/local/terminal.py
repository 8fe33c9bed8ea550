"""Show a task's versions growing side by side in a terminal."""

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from contracts.lifecycle import TaskState, VersionStage, VersionState

_STAGES = {
    VersionStage.WAITING: ("대기", "dim"),
    VersionStage.DRAFTING: ("초안 작성", "cyan"),
    VersionStage.CHECKING: ("금지어 점검", "yellow"),
    VersionStage.FITTING: ("분량 맞춤", "magenta"),
    VersionStage.COMPLETED: ("완료", "green"),
    VersionStage.FAILED: ("실패", "red"),
}
_BAR_CELLS = 20
_PANEL_LINES = 22


def show(states: Iterable[TaskState], console: Console) -> TaskState | None:
    """Show each state as it comes and return the last one; without a terminal, one line for each change of stage."""
    return _show_live(states, console) if console.is_terminal else _show_lines(states, console)


def _show_live(states: Iterable[TaskState], console: Console) -> TaskState | None:
    last = None
    with Live(console=console, refresh_per_second=15, transient=True) as live:
        for state in states:
            last = state
            live.update(picture(state))
    if last is not None:
        console.print(picture(last))
    return last


def _show_lines(states: Iterable[TaskState], console: Console) -> TaskState | None:
    last, told = None, dict[int, VersionStage]()
    for state in states:
        last = state
        for version in state.versions:
            if told.get(version.version, VersionStage.WAITING) is not version.stage:
                told[version.version] = version.stage
                console.print(f"version {version.version}  {version.stage:<10} {len(version.text):>4} characters")
    if last is not None:
        console.print(f"task       {last.stage}")
        for version in last.versions:
            console.print(f"\n[{version.version}] {version.title}\n{version.text}", markup=False)
    return last


def picture(state: TaskState) -> RenderableType:
    """Return the versions side by side."""
    layout = Layout(size=_PANEL_LINES)
    layout.split_row(*(Layout(_panel(version, state)) for version in state.versions or (VersionState(1),)))
    return Group(_Sized(layout))


class _Sized:
    """A layout of a fixed height: by itself one would fill the whole screen."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def __rich_console__(self, console: Console, options: object) -> Iterable[RenderableType]:
        yield from console.render(self._layout, console.options.update(height=_PANEL_LINES))  # type: ignore[misc]


def _panel(version: VersionState, state: TaskState) -> Panel:
    words, colour = _STAGES[version.stage]
    body = Text(version.text) if version.text else Text(version.reason or "", style="red")
    return Panel(
        body,
        title=f"{version.version} {version.title}",
        subtitle=f"[{colour}]{words}[/] {_bar(version, state)}",
        border_style=colour,
        height=_PANEL_LINES,
    )


def _bar(version: VersionState, state: TaskState) -> str:
    if state.limit is None:
        return ""
    used = len(version.text.encode(errors="replace"))
    filled = min(_BAR_CELLS, round(_BAR_CELLS * used / state.limit.bytes))
    return f"{'█' * filled}{'·' * (_BAR_CELLS - filled)} {used}/{state.limit.bytes} B"
