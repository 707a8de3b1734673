"""A terminal as far as this project's commands, nvme-cli and systemctl use one, and its screen as an SVG picture."""

import dataclasses
import html
import re
import unicodedata

# Names of ECMA-48's colours 30 to 37 and, "bright", 90 to 97, as they stand well on BACKGROUND.
PALETTE = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"]
BRIGHT = ["#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"]
BACKGROUND, FOREGROUND, BAR, TITLE = "#0d1117", "#e6edf3", "#161b22", "#8b949e"
CELL_W, LINE_H, FONT_PX = 8.4, 18, 14
MARGIN, BAR_H = 16, 34

CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()].|\x1b[=>78]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|([\r\n\b\t])")


@dataclasses.dataclass(frozen=True)
class Style:
    colour: str = FOREGROUND
    bold: bool = False


@dataclasses.dataclass(frozen=True)
class Cell:
    text: str = " "
    style: Style = Style()


class Screen:
    """Takes what a program writes to its terminal. The screen grows downwards: nothing scrolls away."""

    def __init__(self, columns: int):
        self.columns = columns
        self.rows: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self.style = Style()

    def write(self, text: str) -> None:
        end = 0
        for control in CONTROL.finditer(text):
            self._print(text[end : control.start()])
            end = control.end()
            if control[3]:
                self._move(control[3])
            elif control[2]:
                self._control(control[2], control[1])
        self._print(text[end:])

    def text(self) -> str:
        return "".join("".join(cell.text for cell in row).rstrip() + "\n" for row in self.rows)

    def _print(self, text: str) -> None:
        for character in text:
            if unicodedata.category(character) == "Cc":
                continue
            if self.column == self.columns:
                self._move("\r"), self._move("\n")
            self._line()[self.column :] = [Cell(character, self.style), *self._line()[self.column + 1 :]]
            self.column += 1

    def _line(self) -> list[Cell]:
        while len(self.rows) <= self.row:
            self.rows.append([])
        line = self.rows[self.row]
        line.extend([Cell()] * (self.column - len(line)))
        return line

    def _move(self, control: str) -> None:
        if control == "\r":
            self.column = 0
        elif control == "\n":
            self.row += 1
            self._line()
        elif control == "\b":
            self.column = max(0, self.column - 1)
        elif control == "\t":
            self.column = min(self.columns - 1, (self.column // 8 + 1) * 8)

    def _control(self, final: str, parameters: str) -> None:
        numbers = [int(number or 0) for number in parameters.split(";")] if not parameters.startswith("?") else []
        if final == "m":
            self._select_style(numbers)
        elif final in "Hf":
            self.row, self.column = (max(1, number) - 1 for number in (numbers + [1, 1])[:2])
        elif final == "K":
            del self._line()[self.column :]
        elif final == "J":
            del self._line()[self.column :]
            del self.rows[self.row + 1 :]

    def _select_style(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == 0:
                self.style = Style()
            elif number in (1, 22):
                self.style = dataclasses.replace(self.style, bold=number == 1)
            elif number == 39:
                self.style = dataclasses.replace(self.style, colour=FOREGROUND)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                colours = PALETTE if number < 90 else BRIGHT
                self.style = dataclasses.replace(self.style, colour=colours[number % 10])


def picture(screen: Screen, title: str) -> str:
    """The screen as a window with a title, as SVG. Each run of one style has its length, so that columns stand whatever the font."""
    rows = screen.rows
    while rows and not "".join(cell.text for cell in rows[-1]).strip():
        rows = rows[:-1]
    width = round(screen.columns * CELL_W + 2 * MARGIN)
    height = BAR_H + len(rows) * LINE_H + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        f'<path d="M0 {BAR_H}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8V{BAR_H}z" fill="{BAR}"/>',
        *(f'<circle cx="{x}" cy="{BAR_H / 2}" r="6" fill="{colour}"/>' for x, colour in ((20, "#ff5f57"), (40, "#febc2e"), (60, "#28c840"))),
        f'<text x="{width / 2}" y="{BAR_H / 2 + 5}" fill="{TITLE}" text-anchor="middle" font-family="sans-serif" font-size="13">{html.escape(title)}</text>',
        f'<g font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="{FONT_PX}" xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        y = BAR_H + MARGIN + number * LINE_H + FONT_PX - 1
        lines.extend(_text(start, run, y) for start, run in _runs(row))
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _runs(row: list[Cell]) -> list[tuple[int, list[Cell]]]:
    """The row's stretches of one style, without blanks at their ends, each with its column."""
    runs, begin = [], 0
    for end in range(1, len(row) + 1):
        if end < len(row) and row[end].style == row[begin].style:
            continue
        run, start = row[begin:end], begin
        while run and run[-1].text == " ":
            run = run[:-1]
        while run and run[0].text == " ":
            run, start = run[1:], start + 1
        if run:
            runs.append((start, run))
        begin = end
    return runs


def _text(start: int, run: list[Cell], y: float) -> str:
    style = run[0].style
    text = html.escape("".join(cell.text for cell in run), quote=False)
    bold = ' font-weight="bold"' if style.bold else ""
    return f'<text x="{MARGIN + start * CELL_W:.1f}" y="{y}" fill="{style.colour}" textLength="{len(run) * CELL_W:.1f}"{bold}>{text}</text>'
