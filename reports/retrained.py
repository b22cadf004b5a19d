"""What a report says about networks that were trained again."""

from statistics import fmean

from zerocross.reports import wording
from zerocross.reports.records import Finalist, Run

_EPOCHS = "epochs"


def sentences(run: Run) -> list[str]:
    """Return a sentence or two for each training of a network beside the search's."""
    networks = {net.id: net for net in [*run.references, *run.front]}
    return [_sentence(run, net, networks[net.id]) for net in run.retrained if net.id in networks]


def _sentence(run: Run, net: Finalist, before: Finalist) -> str:
    used = max([before, *(other for other in run.retrained if other.id == net.id)], key=_best)
    changed = [
        f"{name} {value}"
        for name, value in net.training.items()
        if name != _EPOCHS and value != before.training.get(name)
    ]
    settings = ", ".join([f"{net.training[_EPOCHS]} epochs", *changed])
    builds = " Builds take these weights." if used is net else ""
    return (
        f"{net.id} trained again ({settings}): test accuracy {wording.accuracy(net.test)}, in the search "
        f"{wording.accuracy(before.test)}; validation {wording.percent(fmean(net.validation))}, with the best seed "
        f"{wording.percent(_best(net))}.{builds}"
    )


def _best(net: Finalist) -> float:
    """Return the validation accuracy of a network's kept weights."""
    return net.validation[0]
