"""What somebody who watches a case reads as it goes (tests/lab/show)."""

import pathlib


class Story:
    def __init__(self, out: pathlib.Path):
        self.file = (out / "story.txt").open("w", buffering=1)

    def title(self, text: str) -> None:
        self.file.write(f"\n== {text}\n\n")

    def tell(self, text: str) -> None:
        self.file.write(text.rstrip() + "\n\n")
