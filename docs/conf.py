"""Configuration of the documentation: `make docs` builds it into docs/_build, without any network."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils.nodes import document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

from generate_commands import write_command_reference

project = "ggcam"
author = "The ggcam developers"
release = metadata.version("ggcam")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "ggcam"
html_copy_source = False
html_show_copyright = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# Annotations stand in the signature as they are written in the source: shapes read best there.
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88


class NotebookParser(MystParser):
    """Show a Jupyter notebook as a page: its text as Markdown, its code as blocks, no outputs."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: document) -> None:
        """Turn the cells into Markdown and parse that."""
        parts = []
        for cell in json.loads(inputstring)["cells"]:
            text = "".join(cell["source"])
            parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        super().parse("\n\n".join(parts), document)


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Write a dataclass's `<factory>` as a default that Sphinx can parse, and class names without their modules."""
    if signature:
        signature = re.sub(r"~[\w.]+\.", "", signature.replace("<factory>", "..."))
        signature = re.sub(r"Annotated\[(\w+), \w+\(.*?\)\]", r"\1", signature)  # the name of a command-line option
    return signature, result


def skip_field_alias(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples: the section Attributes describes them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the notebooks, and generate the reference of the commands from the program."""
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-skip-member", skip_field_alias)
    app.connect("builder-inited", lambda app: write_command_reference(Path(app.srcdir) / "reference" / "commands.md"))
    return {"parallel_read_safe": True}
