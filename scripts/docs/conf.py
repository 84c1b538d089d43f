# SPDX-License-Identifier: MIT
"""Sphinx configuration of `make docs`; scripts/docs/build.sh gathers the pages."""

project = "LoRAFusion"
copyright = "the LoRAFusion authors"  # noqa: A001  the name is Sphinx's
extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
html_theme = "alabaster"
html_theme_options = {"description": "Adapting networks on ReRAM crossbars without writing a cell",
                      "page_width": "1100px", "sidebar_width": "260px"}
html_show_sourcelink = False
myst_heading_anchors = 3
# Links to files of the tree are for readers of the tree; the pages have no such targets.
suppress_warnings = ["ref.myst", "myst.ref", "myst.header", "toc.not_readable"]
primary_domain = "c"
