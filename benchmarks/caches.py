"""Clears the caches of the estimates: prices, foldings and FINN's answers. Needed to price with other constants."""

import pkgutil
from importlib import import_module

from zerocross.finn_flows import cost_model, folding, nodes
from zerocross.finn_flows.vendor import stock_nodes

_NODES = (import_module(f"{nodes.__name__}.{each.name}") for each in pkgutil.iter_modules(nodes.__path__))
_PRICING = (cost_model, folding, *_NODES)


def forget(finn: bool = False) -> None:
    """Empty the caches of prices.

    Args:
        finn: Also clear FINN's answers.
    """
    for module in (*_PRICING, stock_nodes) if finn else _PRICING:
        for function in vars(module).values():
            # Only the module's own functions: imported ones may be cached for another reason.
            if hasattr(function, "cache_clear") and function.__module__ == module.__name__:
                function.cache_clear()
