"""Co-design of binary neural networks, their activation functions and their FPGA accelerators.

Search, then build:

    import zerocross

    result = zerocross.search(zerocross.load_config("examples/digits.yaml"))
    for network in result.front: ...
    result.to_dataframe(), result.plot()
    zerocross.build(zerocross.from_run(result.folder, "knee"), zerocross.BuildOptions(target="ulx3s-85f"), folder)

The subpackages are `zerocross.models`, `zerocross.hw_search`, `zerocross.finn_flows` and `zerocross.reports`. In the
repository they are top-level folders, and this package holds links to them.
"""

import logging
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerocross.hw_search.builds.builder import BuildResult, build
    from zerocross.hw_search.builds.options import BuildOptions
    from zerocross.hw_search.builds.subject import from_run, from_source
    from zerocross.hw_search.config import Config, load_config, make_config
    from zerocross.hw_search.earlier import earlier_results
    from zerocross.hw_search.finalists import rebuild
    from zerocross.hw_search.forecast import Forecast, forecast
    from zerocross.hw_search.pipeline import SearchResult, load_result, search
    from zerocross.hw_search.retraining import retrain
    from zerocross.hw_search.watcher import Callback, StopSearch
    from zerocross.reports.run_comparison import compare_runs

__all__ = [
    "BuildOptions",
    "BuildResult",
    "Callback",
    "Config",
    "Forecast",
    "SearchResult",
    "StopSearch",
    "build",
    "compare_runs",
    "earlier_results",
    "forecast",
    "from_run",
    "from_source",
    "load_config",
    "load_result",
    "make_config",
    "rebuild",
    "retrain",
    "search",
]

# Brevitas looks for a CUDA compiler that it does not need here; without this filter torch warns at every start.
logging.getLogger("torch.utils.cpp_extension").addFilter(lambda record: "No CUDA runtime" not in record.msg)

warnings.filterwarnings("ignore", message="Named tensors and all their associated APIs")
warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")

_HOMES = {
    "BuildOptions": "hw_search.builds.options",
    "BuildResult": "hw_search.builds.builder",
    "build": "hw_search.builds.builder",
    "from_run": "hw_search.builds.subject",
    "from_source": "hw_search.builds.subject",
    "Config": "hw_search.config",
    "load_config": "hw_search.config",
    "make_config": "hw_search.config",
    "SearchResult": "hw_search.pipeline",
    "load_result": "hw_search.pipeline",
    "search": "hw_search.pipeline",
    "Callback": "hw_search.watcher",
    "StopSearch": "hw_search.watcher",
    "Forecast": "hw_search.forecast",
    "forecast": "hw_search.forecast",
    "earlier_results": "hw_search.earlier",
    "compare_runs": "reports.run_comparison",
    "retrain": "hw_search.retraining",
    "rebuild": "hw_search.finalists",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use: torch and FINN take seconds to import, and the command line must start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return all names of the package, imported or not."""
    return sorted([*globals(), *__all__])
