"""How Sphinx builds the documentation."""

from importlib.metadata import version as installed_version

project = "credsync"
author = "The credsync authors"
release = installed_version("credsync")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
# The attributes of a value are what its constructor takes.
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "furo"
html_show_copyright = False
html_title = f"credsync {release}"
