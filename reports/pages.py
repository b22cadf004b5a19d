"""The parts that all pages share: the template environment, figures as JSON, plotly itself."""

import base64
from functools import cache
from importlib.resources import files

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from zerocross.reports import wording, words

_BUNDLE = "plotly-cartesian.min.js.gz"


def environment() -> Environment:
    """Return the environment of the templates, with the functions of `wording` as filters."""
    result = Environment(
        loader=PackageLoader("zerocross.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result.globals.update(embed=embed, plotly=plotly_script(), words=words.WORDS)
    result.filters.update(explained=explained, anchor_of_word=words.anchor)
    for function in (
        wording.number,
        wording.percent,
        wording.signed,
        wording.count,
        wording.accuracy,
        wording.duration,
        wording.choices,
        wording.expressions,
    ):
        result.filters[function.__name__] = function
    return result


def embed(figure: go.Figure) -> Markup:
    """Return a figure as JSON for a script element; no text in it can begin a tag."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def explained(text: str, word: str | None = None) -> Markup:
    """Return a text as a button that shows its explanation: with a pointer, a finger or a key. Other text stays as it is.

    Args:
        text: Text to show.
        word: Word of `words.WORDS` that the text stands for; None if it is the text itself.
    """
    word = word or words.known(text)
    if word is None:
        return escape(text)
    return Markup('<button type="button" class="word" popovertarget="{}" title="{}">{}</button>').format(
        words.anchor(word), words.WORDS[word], text
    )


def figure_page(title: str, figure: go.Figure) -> str:
    """Return a page with one figure."""
    return environment().get_template("figure.html.j2").render(title=title, plot=figure)


@cache
def plotly_script() -> Markup:
    """Return plotly.js for a page: gzip in base64, which `report.js` unpacks.

    It is the partial bundle with cartesian figures; the one in plotly's Python package is three times as large.
    """
    return Markup(
        base64.b64encode((files("zerocross.reports") / "plotly" / _BUNDLE).read_bytes()).decode("ascii")
    )
