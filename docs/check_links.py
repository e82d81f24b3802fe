"""Check every relative link and image of the Markdown files: the file exists, and so does the heading linked to.

`python docs/check_links.py` prints each dead link and ends with exit code 1 if there is one. It needs no network:
links to other sites are not followed. (Sphinx checks the links between the pages of the site once more.)
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]


def pages(root: Path) -> list[Path]:
    """Return the Markdown files of the project: at its top and below docs/."""
    return sorted([*root.glob("*.md"), *(path for path in root.glob("docs/**/*.md") if "_build" not in path.parts)])


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub and MyST make them."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[str]:
    """Yield the targets of a page's links and images."""

    def walk(tokens: list[Token]) -> Iterator[str]:
        for token in tokens:
            target = token.attrGet("href") or token.attrGet("src")
            if target is not None:
                yield unquote(str(target))
            yield from walk(token.children or [])

    yield from walk(MarkdownIt().parse(path.read_text(encoding="utf-8")))


def dead_links(root: Path) -> list[str]:
    """Return one line per dead link: the page and the target."""
    dead = []
    for page in pages(root):
        for target in links(page):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            linked = page.parent / name if name else page
            if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
                dead.append(f"{page.relative_to(root)}: {target}")
    return dead


if __name__ == "__main__":
    found = dead_links(ROOT)
    print("\n".join(found) or "no dead link")
    sys.exit(bool(found))
