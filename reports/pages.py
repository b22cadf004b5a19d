"""The parts that all pages share: the template environment, figures as JSON, plotly itself."""

import re

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from zerocross.reports import wording


def environment() -> Environment:
    """Return the environment of the templates, with the functions of `wording` as filters."""
    result = Environment(
        loader=PackageLoader("zerocross.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result.globals["embed"] = embed
    for function in (
        wording.number,
        wording.percent,
        wording.signed,
        wording.count,
        wording.accuracy,
        wording.duration,
        wording.choices,
    ):
        result.filters[function.__name__] = function
    return result


def embed(figure: go.Figure) -> Markup:
    """Return a figure as JSON for a script element; no text in it can begin a tag."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def plotly_script() -> Markup:
    """Return plotly's source for a script element; it comes from plotly's package and is trusted."""
    # A closing tag inside the script would end it early.
    return Markup(re.sub(r"</(?=script)", r"<\\/", get_plotlyjs(), flags=re.IGNORECASE))
