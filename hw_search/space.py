"""The search space: genomes (tuples of small integers), and the candidates that they encode.

A genome lists the expression's genes (once, or once per layer), then one gene for each `choose` in topology, training and
folding, in the configuration's order.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from zerocross.hw_search.choice import Choose
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.networks import FaultyTopology, build_topology
from zerocross.models.canonical import canonical_key, constant_bit
from zerocross.models.encodings import Encoding
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X
from zerocross.models.layers import slots
from zerocross.models.presets import resolve
from zerocross.models.topologies import SLOT_FIELDS, check_parameters, has_slots

Genome = tuple[int, ...]

_SECTIONS = ("topology", "training", "folding")
_LATER = {
    "surrogate": "window",
    "surrogate_width": None,
    "surrogate_sharpness": 4.0,
    "warmup": 0.0,
    "label_smoothing": 0.0,
    "weight_decay": 0.0,
    "clip_weights": False,
    "average": 0.0,
    "precision": "float32",
    "start_from": None,
}
"""Fields of `training` that the first versions did not have, and the values of these. Such values are no part of a
candidate's key, so that older runs keep their ids."""
_MOST_TOPOLOGIES = 4096
_MOST_CHECKED = 512


@dataclass(frozen=True)
class Candidate:
    """One point of the space.

    Attributes:
        expressions: One expression for all activation slots, or one per slot.
        topology: Name and parameters, without open choices.
        training: Section `training`, without open choices.
        folding: Section `folding`, without open choices.
        choices: Chosen values by path, for display.
    """

    expressions: tuple[Expression, ...]
    topology: dict[str, Any]
    training: dict[str, Any]
    folding: dict[str, Any]
    choices: dict[str, Any]

    @property
    def text(self) -> str:
        """The expressions as text."""
        return " | ".join(str(expression) for expression in self.expressions)

    @property
    def has_activations(self) -> bool:
        """Whether its network has slots for activations; one of tables has none."""
        return has_slots(self.topology["name"], self.topology)

    @property
    def is_reference(self) -> bool:
        """Whether it is a plain sign: its network has activations, and all of them are x."""
        return self.has_activations and all(
            canonical_key(expression) == canonical_key(X) for expression in self.expressions
        )

    @cached_property
    def network_key(self) -> str:
        """Digest of canonical expressions, topology and training. Candidates with equal keys share one training."""
        return _digest(self._trained())

    @cached_property
    def key(self) -> str:
        """Digest of the candidate, including its folding. Equal keys mean the same candidate."""
        folding = {  # a later field, which older candidates lack
            name: value for name, value in self.folding.items() if (name, value) != ("registers", 1)
        }
        return _digest([*self._trained(), folding])

    @property
    def id(self) -> str:
        """Short name of the candidate, for display."""
        return self.key[:8]

    def _trained(self) -> list[Any]:
        keys = [canonical_key(expression) for expression in self.expressions]
        training = {
            name: value
            for name, value in self.training.items()
            if name not in _LATER or value != _LATER[name]
        }
        return [keys[:1] if len(set(keys)) == 1 else keys, self.topology, training]

    def with_expressions(self, expressions: tuple[Expression, ...]) -> "Candidate":
        """Return the same candidate with other activations."""
        return Candidate(expressions, self.topology, self.training, self.folding, self.choices)


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class _Choice:
    path: tuple[str | int, ...]
    values: list[Any]

    @property
    def name(self) -> str:
        return ".".join(str(part) for part in self.path)


class Space:
    """All candidates of a configuration.

    Args:
        config: The configuration. Its plugins must be imported already.
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of classes.
        samples: Training samples, for thresholds at the input; None leaves these uniform.

    Raises:
        UserError: If an expression, operation or topology is invalid; the message names the field.
    """

    def __init__(
        self, config: Config, input_shape: tuple[int, ...], classes: int, samples: Tensor | None = None
    ) -> None:
        self.config = config
        self._samples = samples
        self.input_shape = input_shape
        self.classes = classes
        self._fixed = {
            "topology": config.topology,
            "training": dict(config.training),
            "folding": dict(config.folding),
        }
        self.choices = [
            choice for section in _SECTIONS for choice in _choices(self._fixed[section], (section,))
        ]
        self._check_topologies()
        self._check_start()
        self.has_activations = any(has_slots(each["name"], each) for each in self.topologies(SLOT_FIELDS))
        self._expressions = self._named_expressions() if self.has_activations else [X]
        self.encoding = self._encoding() if self.has_activations else None
        self.copies = self._most_slots() if config.activation.per_layer else 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each gene."""
        own = self.encoding.sizes() if self.encoding else (len(self._expressions),)
        return own * self.copies + tuple(len(choice.values) for choice in self.choices)

    @property
    def size(self) -> int:
        """Number of genomes."""
        return math.prod(self.sizes)

    def genomes(self) -> Iterator[Genome]:
        """Yield every genome, in a fixed order."""
        return itertools.product(*(range(size) for size in self.sizes))

    def candidate(self, genome: Sequence[int]) -> Candidate:
        """Return the candidate that a genome encodes."""
        width = len(self.encoding.sizes()) if self.encoding else 1
        expressions = tuple(
            self._decode(genome[copy * width : (copy + 1) * width]) for copy in range(self.copies)
        )
        chosen = {
            choice.path: choice.values[index]
            for choice, index in zip(self.choices, genome[self.copies * width :], strict=True)
        }
        sections = {name: _resolve(self._fixed[name], (name,), chosen) for name in _SECTIONS}
        if self.copies > 1:
            expressions = expressions[: self._slots(sections["topology"])]
        if not has_slots(sections["topology"]["name"], sections["topology"]):
            expressions = (X,)  # nothing to choose
        names = {".".join(str(part) for part in path): value for path, value in chosen.items()}
        return Candidate(expressions, sections["topology"], sections["training"], sections["folding"], names)

    def seeds(self) -> list[Genome]:
        """Return a genome for each configured expression that can be encoded, with the middle value of each choice."""
        middle = tuple(len(choice.values) // 2 for choice in self.choices)
        found = []
        for index, expression in enumerate(self._expressions):
            own = self.encoding.encode(expression) if self.encoding else (index,)
            if own is not None:
                found.append(own * self.copies + middle)
        return list(dict.fromkeys(found))

    def genome(self, expressions: Sequence[Expression], values: Mapping[str, Any]) -> Genome | None:
        """Return the genome of a network of another space.

        Args:
            expressions: One expression, or one for each slot.
            values: Values of choices by path; see `places`. A choice without a place gets the middle alternative.

        Returns:
            The genome; None if the space does not contain the activation.
        """
        places = self.places(values)
        chosen = tuple(places.get(choice.name, len(choice.values) // 2) for choice in self.choices)
        first = (0,) * (len(self.sizes) - len(chosen))
        if not self.candidate((*first, *chosen)).has_activations:
            return (*first, *chosen)
        own: list[int] = []
        for copy in range(self.copies):
            expression = expressions[min(copy, len(expressions) - 1)]
            found = self.encoding.encode(expression) if self.encoding else self._listed(expression)
            if found is None:
                return None
            own += found
        return (*own, *chosen)

    def places(self, values: Mapping[str, Any]) -> dict[str, int]:
        """Return the place of each value among the alternatives of its choice, by the choice's path.

        Args:
            values: Values by path. A number that is no alternative here has the place of the nearest one; any other value
                that is none, and a value without a choice here, have no place.
        """
        found = {}
        for choice in self.choices:
            if choice.name in values:
                place = _nearest(choice.values, values[choice.name])
                if place is not None:
                    found[choice.name] = place
        return found

    def _listed(self, expression: Expression) -> Genome | None:
        keys = [canonical_key(known) for known in self._expressions]
        key = canonical_key(expression)
        return (keys.index(key),) if key in keys else None

    def dead(self, candidate: Candidate) -> str | None:
        """Return the reason why a candidate cannot learn anything, or None."""
        for expression in candidate.expressions:
            bit = constant_bit(expression)
            if bit is not None:
                return f"{expression} is always {'+1' if bit else '-1'}, whatever it learns"
        return None

    def _decode(self, genes: Sequence[int]) -> Expression:
        return self.encoding.decode(genes) if self.encoding else self._expressions[genes[0]]

    def _named_expressions(self) -> list[Expression]:
        found = []
        for index, text in enumerate(self.config.activation.expressions):
            try:
                found.append(resolve(text))
            except ModelError as error:
                raise UserError(f"activation.expressions[{index}]: {error}") from None
        if not found and self.config.activation.encoding == "list":
            raise UserError("activation.expressions is empty: encoding 'list' needs at least one expression")
        return found

    def _encoding(self) -> Encoding | None:
        section = self.config.activation
        if section.encoding == "list":
            return None
        lists = {
            key: tuple(names)
            for key, names in (("unary", section.unary), ("binary", section.binary))
            if names is not None
        }
        try:
            return Encoding(section.encoding, depth=section.depth, **lists)
        except ModelError as error:
            raise UserError(f"activation: {error}") from None

    def topologies(self, fields: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every topology section that the choices allow.

        Args:
            fields: Fields whose choices are open; those of others have their first value. None opens all.
        """
        chosen = [choice for choice in self.choices if choice.path[0] == "topology"]
        opened = [
            choice.values if fields is None or choice.path[1] in fields else choice.values[:1]
            for choice in chosen
        ]
        for values in itertools.product(*opened):
            paths = {choice.path: value for choice, value in zip(chosen, values, strict=True)}
            yield _resolve(self._fixed["topology"], ("topology",), paths)

    def foldings(self) -> Iterator[dict[str, Any]]:
        """Yield every folding section that the choices allow."""
        chosen = [choice for choice in self.choices if choice.path[0] == "folding"]
        for values in itertools.product(*(choice.values for choice in chosen)):
            paths = {choice.path: value for choice, value in zip(chosen, values, strict=True)}
            yield _resolve(self._fixed["folding"], ("folding",), paths)

    def _check_topologies(self) -> None:
        """Check names and types of the topology's choices, so that a mistake does not stop a running search."""
        for topology in itertools.islice(self.topologies(), _MOST_CHECKED):
            parameters = {key: value for key, value in topology.items() if key != "name"}
            try:
                check_parameters(topology["name"], parameters)
            except ModelError as error:
                raise UserError(f"topology: {error}") from None

    def _check_start(self) -> None:
        """Check that starting weights can fit every candidate."""
        if self.config.training.start_from is None:
            return
        for choice in self.choices:
            if choice.path[0] == "topology":
                raise UserError(
                    f"training.start_from holds the weights of one topology, but {choice.name} leaves a choice: give it one "
                    "value, or omit training.start_from"
                )
        if self.config.search.strategy == "differentiable":
            raise UserError(
                "training.start_from has no weights for the mixture that search.strategy differentiable trains: omit it, or "
                "use another strategy"
            )

    def build(self, topology: dict[str, Any]) -> Any:
        """Return the network of a topology section, for the data. A UserError names a wrong field."""
        try:
            return build_topology(topology, self.input_shape, self.classes, self._samples)
        except FaultyTopology as fault:
            raise UserError(str(fault)) from None
        except ModelError as error:
            raise UserError(f"topology: {error}") from None

    def _slots(self, topology: dict[str, Any]) -> int:
        key = _digest(topology)
        if key not in self._slot_counts:
            self._slot_counts[key] = len(slots(self.build(topology)))
        return self._slot_counts[key]

    @cached_property
    def _slot_counts(self) -> dict[str, int]:
        return {}

    def _most_slots(self) -> int:
        count = math.prod(len(choice.values) for choice in self.choices if choice.path[0] == "topology")
        if count > _MOST_TOPOLOGIES:
            raise UserError(
                f"activation.per_layer: the choices of topology result in {count} networks, more than "
                f"{_MOST_TOPOLOGIES}: reduce them"
            )
        return max(self._slots(topology) for topology in self.topologies())


def _nearest(alternatives: list[Any], value: Any) -> int | None:
    """Return the place of a value among alternatives, or of the number nearest to it; see `Space.places`."""
    if value in alternatives:
        return alternatives.index(value)
    numbers = [type(number) in (int, float) for number in (value, *alternatives)]
    if all(numbers):
        return min(range(len(alternatives)), key=lambda place: abs(alternatives[place] - value))
    return None


def _choices(value: Any, path: tuple[str | int, ...]) -> Iterator[_Choice]:
    if isinstance(value, Choose):
        yield _Choice(path, value.choose)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _choices(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _choices(inner, (*path, index))


def _resolve(value: Any, path: tuple[str | int, ...], chosen: dict[tuple[str | int, ...], Any]) -> Any:
    if path in chosen:
        return chosen[path]
    if isinstance(value, dict):
        return {key: _resolve(inner, (*path, key), chosen) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, (*path, index), chosen) for index, inner in enumerate(value)]
    return value
