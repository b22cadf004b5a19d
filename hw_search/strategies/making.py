"""Construction of the configured strategy."""

from collections.abc import Sequence

from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.strategy import Key, Strategy
from zerocross.hw_search.strategy_config import StrategyConfig


def make_strategy(
    config: StrategyConfig,
    space: Space,
    objectives: int,
    key: Key,
    chance: float,
    starts: Sequence[Genome] = (),
) -> Strategy:
    """Return the configured strategy.

    Args:
        config: Strategy and number of candidates.
        space: Space to search.
        objectives: Number of objectives.
        key: Function from a genome to its candidate's key.
        chance: Error of guessing, 0..1.
        starts: Genomes of the first population, before those of the space's own expressions (surrogate, nsga2).
    """
    match config.strategy:
        case "nsga2":
            from zerocross.hw_search.strategies.evolution import EvolutionNSGA2

            return EvolutionNSGA2(config, space, objectives, key, starts)
        case "gaaf":
            from zerocross.hw_search.strategies.evolution import EvolutionGAAF

            return EvolutionGAAF(config, space, key, chance)
        case "surrogate":
            from zerocross.hw_search.strategies.surrogate import Surrogate

            return Surrogate(config, space, objectives, key, starts)
        case "random":
            from zerocross.hw_search.strategies.unguided import Random

            return Random(config, space, key)
        case "exhaustive":
            from zerocross.hw_search.strategies.unguided import Exhaustive

            return Exhaustive(config, space, key)
    raise ValueError(f"{config.strategy} is not a strategy that works on genomes alone")
