"""A network of a run's front, trained, out of what the run left."""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from hw_search.errors import UserError
from hw_search.evaluation import import_plugins
from hw_search.space import build_topology
from models.expressions import parse
from models.layers import install
from reports.storage import load_run


def rebuild(folder: str | Path, name: str) -> nn.Module:
    """Return a network of a run's front with its trained weights.

    Args:
        folder: the run's.
        name: the network's id, as `pareto.csv` and the report have it.

    Returns:
        The Brevitas module in eval mode: from samples of bytes, (N, *input_shape), to logits (N, classes).

    Raises:
        UserError: if the run has no such network, or its weights are gone.
    """
    folder = Path(folder)
    run = load_run(folder)
    finalists = {finalist.id: finalist for finalist in [*run.references, *run.front]}
    if name not in finalists:
        raise UserError(f"{folder} has no network {name!r}: it has {', '.join(finalists)}")
    finalist = finalists[name]
    import_plugins(run.config["plugins"])
    model = build_topology(finalist.topology, tuple(run.input_shape), run.classes)
    install(model, [parse(text) for text in finalist.trained])
    try:
        model.load_state_dict(load_file(folder / finalist.weights))
    except OSError as error:
        raise UserError(
            f"{folder / finalist.weights} cannot be read ({error}): run the search again, it writes it anew"
        ) from None
    return model.eval()
