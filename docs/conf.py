"""The site: ``make docs`` writes it to docs/_build/html. Pages are Markdown; the gallery is run."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

import certiseg

project = "certiseg"
author = copyright = "The certiseg authors"
version = release = certiseg.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery", "results"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
autosummary_generate = False
napoleon_numpy_docstring = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}

html_theme = "furo"
html_title = "certiseg"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["wider.css"]


def plain(app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with ``code``: a star in (*out, C) or a bar in |v| is no markup."""
    for number, line in enumerate(lines):
        parts = re.split(r"(``[^`]*``|`[^`]*`)", line)
        parts[::2] = [re.sub(r"(?<!\\)([*|])", r"\\\1", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def short_types(app: Sphinx, domain: str, objtype: str, node: object) -> None:
    """Types of parameters as their authors wrote them, not as the interpreter prints them."""
    for types in app.env.current_document.autodoc_annotations.values():
        for name, text in types.items():
            text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
            types[name] = re.sub(r"~(collections\.abc|typing)\.", "", text)


def setup(app: Sphinx) -> None:
    # Before autodoc puts the types into the descriptions.
    app.connect("object-description-transform", short_types, priority=400)
    # Before napoleon, which writes markup of its own.
    app.connect("autodoc-process-docstring", plain, priority=400)
