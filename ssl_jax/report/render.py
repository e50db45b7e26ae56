"""Pages of HTML: their templates, and pictures inside of them."""

import base64
import pathlib
import struct
from typing import Any

import jinja2

from ssl_jax.errors import UserError
from ssl_jax.report.style import DPI


def template(name: str) -> jinja2.Template:
    """A file of templates/; what is put into it is escaped."""
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates")
    surroundings = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return surroundings.get_template(name)


def image(png: bytes, path: pathlib.Path | None = None) -> dict[str, Any]:
    """The picture for an <img>: its data, and the size in CSS pixels at which it was drawn.

    Raises:
      UserError: it is no PNG; `path` says which.
    """
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise UserError(f"{path} is damaged: it is called .png and is none. Remove it.")
    width, height = struct.unpack(">II", png[16:24])
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"source": source, "width": round(width * 96 / DPI), "height": round(height * 96 / DPI)}
