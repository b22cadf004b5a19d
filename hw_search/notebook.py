"""The display of a running search in a notebook: a progress bar and the front so far."""

import html
import sys
import time
from collections.abc import Sequence
from typing import Any

from zerocross.hw_search.watcher import Callback, Unread
from zerocross.reports.metrics import METRICS
from zerocross.reports.pareto import Front
from zerocross.reports.records import Evaluation
from zerocross.reports.wording import activation, short_choices

_SHOWN = 10
_PAUSE = 0.5  # seconds between two updates


def in_notebook() -> bool:
    """Return whether the code runs in a notebook, where HTML is shown."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class Notebook(Callback):
    """Displays a search in a notebook's output cell.

    Args:
        seeds: Trainings per candidate.
    """

    def __init__(self, seeds: int = 1) -> None:
        self._seeds = seeds
        self._title, self._planned, self._done, self._last = "search", 0, 0.0, ""
        self._unread, self._front, self._table = Unread(), Front[Evaluation](), ""
        self._handle: Any = None
        self._shown = 0.0

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._last = text
        self._show(now=True)

    def begin(self, run: str, planned: int | None) -> None:
        """See `Watcher`."""
        self._title, self._planned, self._done = f"searching {run}", planned or 0, 0.0
        self._show(now=True)

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """See `Watcher`."""
        self._done += 0 if reference else 1 / self._seeds
        self._last = f"{expression}: {'failed' if error is None else f'{100 * error:.1f} % error'}"
        self._show()

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""
        for evaluation in self._unread.of(evaluations):
            if evaluation.status == "ok":
                self._front.add(evaluation, [evaluation.metrics[name] for name in objectives])
        self._done = float(sum(not evaluation.reference for evaluation in evaluations))
        best = sorted(self._front.items, key=lambda evaluation: evaluation.metrics[objectives[0]])
        heads = ["activation", "choices", *(METRICS[name].label for name in objectives)]
        self._table = _table(
            heads,
            [
                [activation(e), short_choices(e.choices)]
                + [METRICS[name].text(e.metrics[name]) for name in objectives]
                for e in best[:_SHOWN]
            ],
        )
        self._show(now=True)

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""
        self._title, self._planned, self._done = "training the front with fresh seeds", total, float(done)
        self._last = ""
        self._show(now=done in (0, total))

    def _show(self, now: bool = False) -> None:
        if not now and time.monotonic() - self._shown < _PAUSE:
            return
        from IPython.display import HTML, display

        self._shown = time.monotonic()
        value = f' value="{self._done:.1f}" max="{self._planned}"' if self._planned else ""
        of = f" of {self._planned:,}" if self._planned else ""
        content = HTML(
            f"<p><b>{html.escape(self._title)}</b> <progress{value}></progress> {self._done:,.0f}{of} "
            f"<small>{html.escape(self._last)}</small></p>{self._table}"
        )
        if self._handle is None:
            self._handle = display(content, display_id=True)
        else:
            self._handle.update(content)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
