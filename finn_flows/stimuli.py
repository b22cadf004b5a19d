"""Samples for a network without data, drawn to exercise it: every channel at its values, every crossing from both sides.

The drawing works as search-based software testing does:

- Random samples of many kinds come first: even noise, sparse and bright ones, patches, patterns of the first weights.
- Each side of a crossing and each class that no sample has shown yet is a target. The sample that comes nearest to a target
  is changed at random, and a change that comes nearer replaces it. For the first product, whose accumulators are sums of
  inputs, the change is computed instead.
- The samples that show most, many times over, are kept, best first: any first few of them are a good smaller set.

All randomness comes from one seed, and the effort is bounded by multiplications, so a network always gets the same samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from zerocross.finn_flows.coverage import Cells, cells
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Conv, Dense, Flatten, Layer, Pad, Sparse

Integers = Callable[[np.ndarray], np.ndarray]
"""Function from samples of numbers 0..1, (N, elements), to inputs of the integer network, (N, *shape).

A number is the place of an element's level in the row of its levels: 0 is the least level and 1 (never reached) the largest.
"""

_WORK = 3e10  # work on all samples that are tried, in multiplications
_VALUE = 1000  # work on a value beside its multiplications
_MOST_TRIED = 4000
_PATIENCE = 8  # batches in a row that reach no target
_VALUES_AT_ONCE = 1 << 22  # values of the largest layer in a batch
_TARGETS = 96  # targets that are followed at a time
_MOST_FEATURES = 1 << 14  # features that choose the samples; of larger networks a part, drawn at random
_LAST = 1 - 1e-9  # the largest number of a sample
_WITNESSES = 3  # samples that show a feature and are kept in any case


def draw(net: IntegerNetwork, count: int, integers: Integers | None = None, seed: int = 0) -> np.ndarray:
    """Draw samples that exercise a network.

    Args:
        net: The network.
        count: Number of samples.
        integers: Turns drawn numbers into inputs; by default all levels of the input's grid, in the network's layout.
        seed: Seed of all draws.

    Returns:
        Numbers 0..1, float64 of shape (count, elements), the most useful samples first; see `Integers`.
    """
    return _Search(net, integers or all_levels(net), np.random.default_rng(seed)).run(count)


def all_levels(net: IntegerNetwork) -> Integers:
    """Return the function that gives every input element all levels of the input's grid."""
    grid, shape = net.network.grids()["input"], net.network.input.shape

    def integers(numbers: np.ndarray) -> np.ndarray:
        places = np.minimum((numbers * len(grid)).astype(np.int64), len(grid) - 1)
        return (grid.low + grid.step * places).reshape(len(numbers), *shape)

    return integers


@dataclass
class _Target:
    """A point beside a crossing, or a class, that no sample has shown; and the sample that comes nearest.

    Attributes:
        layer: Activation, or "" for a class.
        feature: Number of the feature that reaches it.
        channel: Channel or class.
        accumulator: The accumulator to reach.
        distance: Distance of the nearest sample.
        sample: That sample.
    """

    layer: str
    feature: int
    channel: int
    accumulator: int = 0
    distance: float = np.inf
    sample: np.ndarray = field(default_factory=lambda: np.zeros(0))


class _Search:
    """A search for samples that show the features of a network.

    Features are, for each crossing that can be reached, the two stretches beside it and the two points beside it, and the
    classes.
    """

    def __init__(self, net: IntegerNetwork, integers: Integers, rng: np.random.Generator) -> None:
        self.net, self.integers, self.rng = net, integers, rng
        self.cells = cells(net)
        layers = net.network.layers
        self.reads = {layer.name: layer.inputs[0] for layer in layers}
        self.label, self.logits, shapes = layers[-1].name, layers[-1].inputs[0], net.network.shapes()
        self.elements = int(np.prod(net.network.input.shape))
        logits = int(np.prod(shapes[self.logits]))
        self.is_binary, self.classes = logits == 1, max(2, logits)
        largest = max(int(np.prod(shape)) for shape in shapes.values())
        self.batch = int(np.clip(_VALUES_AT_ONCE // largest, 8, 250))
        fan_ins = net.network.fan_ins()
        self.work = sum(
            int(np.prod(shape)) * (fan_ins.get(name, 0) + _VALUE) for name, shape in shapes.items()
        )
        self.features = self._pick_features()
        self.seen = np.zeros(self.classes + sum(len(each) for each in self.features.values()), np.int64)
        self.kept: list[np.ndarray] = []
        self.shown: list[np.ndarray] = []
        self.targets: list[_Target] = []
        self.first = _first_product(net, integers)

    def run(self, count: int) -> np.ndarray:
        """Return samples, best first."""
        tries = int(np.clip(_WORK // self.work, count, _MOST_TRIED))
        done = 0
        while done < max(count, tries // 8):
            batch = self._random(min(self.batch, max(count, tries // 8) - done))
            self._try(batch, keep=True)
            done += len(batch)
        idle = 0
        while done < tries and idle < _PATIENCE and self._follow():
            batch, reached = self._changed(min(self.batch, tries - done)), (self.seen > 0).sum()
            self._try(batch)
            idle = 0 if (self.seen > 0).sum() > reached else idle + 1
            done += len(batch)
        return self._choose(count)

    def _pick_features(self) -> dict[str, np.ndarray]:
        """Return the features of every activation: cells beside crossings, then segments as numbers behind the cells."""
        found = {}
        for name, cut in self.cells.items():
            beside = np.union1d(cut.before, cut.after)
            segments = np.union1d(cut.segment_after, cut.segment_after - 1)
            found[name] = np.concatenate([beside, cut.count + segments]).astype(np.int64)
        whole = sum(len(each) for each in found.values())
        if whole > _MOST_FEATURES:
            share = _MOST_FEATURES / whole
            found = {name: each[self.rng.random(len(each)) < share] for name, each in found.items()}
        return found

    def _random(self, count: int) -> np.ndarray:
        """Return samples of many kinds."""
        rng, shape = self.rng, self.net.network.input.shape
        found = rng.random((count, self.elements))
        for index in range(count):
            kind = index % 4
            if kind == 1:  # dark, bright, grey or of two values only
                a, b = np.exp(rng.uniform(-2.5, 2.5, 2))
                found[index] = rng.beta(a, b, self.elements)
            elif kind == 2:  # patches of one brightness
                found[index] = _patches(shape, rng).ravel()
            elif kind == 3 and self.first:
                found[index] = self.first.pattern(found[index], rng)
        return np.minimum(found, _LAST)

    def _try(self, numbers: np.ndarray, keep: bool = False) -> None:
        """Run samples; keep those that show something rare, and note those that come nearer to a target."""
        values = self.net.run(self.integers(numbers))
        logits = values[self.logits].reshape(len(numbers), -1)
        parts = [values[self.label].reshape(-1, 1) == np.arange(self.classes)]
        for name, cut in self.cells.items():
            visited = cut.visited(values[self.reads[name]])
            segments = np.logical_or.reduceat(visited, cut.segment_starts, axis=1)
            parts.append(np.concatenate([visited, segments], axis=1)[:, self.features[name]])
        shown = np.concatenate(parts, axis=1)
        before = np.cumsum(shown, axis=0) - shown + self.seen
        useful = np.flatnonzero((shown & (before < _WITNESSES)).any(axis=1) | keep)
        self.kept += list(numbers[useful])
        self.shown += list(np.packbits(shown[useful], axis=1))
        self.seen += shown.sum(axis=0)
        self._approach(numbers, values, logits)

    def _approach(self, numbers: np.ndarray, values: dict[str, np.ndarray], logits: np.ndarray) -> None:
        """Give every target the nearest of some samples."""
        for layer in {target.layer for target in self.targets}:
            targets = [target for target in self.targets if target.layer == layer]
            channels = [target.channel for target in targets]
            if layer:
                read = values[self.reads[layer]]
                read = read.reshape(len(read), -1, read.shape[-1])[:, :, channels]
                away = np.abs(read - np.array([target.accumulator for target in targets])).min(axis=1)
            else:
                away = logits.max(axis=1, keepdims=True) - logits[:, channels]
            for number, target in enumerate(targets):
                best = int(away[:, number].argmin())
                if away[best, number] < target.distance:
                    target.distance, target.sample = float(away[best, number]), numbers[best]

    def _follow(self) -> bool:
        """Drop targets that samples have reached, and follow others; return whether any are left."""
        is_open = self.seen == 0
        self.targets = [target for target in self.targets if is_open[target.feature]]
        if len(self.targets) < _TARGETS // 2:
            known = {target.feature for target in self.targets}
            fresh = [target for target in self._open(is_open) if target.feature not in known]
            chosen = self.rng.permutation(len(fresh))[: _TARGETS - len(self.targets)]
            self.targets += [fresh[index] for index in sorted(chosen)]
            for target in self.targets:
                if not len(target.sample):
                    target.sample = self.kept[int(self.rng.integers(len(self.kept)))]
        return bool(self.targets)

    def _open(self, is_open: np.ndarray) -> list[_Target]:
        found = []
        if not self.is_binary:  # points beside the crossings of a lone logit lead to both of its classes
            found = [_Target("", each, each) for each in np.flatnonzero(is_open[: self.classes]).tolist()]
        start = self.classes
        for name, cut in self.cells.items():
            features = self.features[name]
            for number in np.flatnonzero(is_open[start : start + len(features)]).tolist():
                if (cell := features[number]) < cut.count:
                    found.append(_Target(name, start + number, *_point(cut, int(cell))))
            start += len(features)
        return found

    def _changed(self, count: int) -> np.ndarray:
        """Return changed copies of the samples that are nearest to targets."""
        rng = self.rng
        order = rng.permutation(len(self.targets))
        found = []
        for index in range(count):
            target = self.targets[order[index % len(order)]]
            if self.first and target.layer == self.first.activation and rng.random() < 0.5:
                base = self.kept[int(rng.integers(len(self.kept)))]
                found.append(self.first.solved(base, self.integers(base[None]).ravel(), target, rng))
                continue
            sample = target.sample.copy()
            size = int(np.exp(rng.uniform(0, np.log(max(2, self.elements / 2)))))
            where = rng.choice(self.elements, min(size, self.elements), replace=False)
            if rng.random() < 0.3:  # cross with another sample
                other = self.kept[int(rng.integers(len(self.kept)))]
                sample[where] = other[where]
            elif rng.random() < 0.5:
                sample[where] = rng.random(len(where))
            else:
                sample[where] = rng.integers(0, 2, len(where)) * _LAST
            found.append(sample)
        return np.minimum(np.array(found), _LAST)

    def _choose(self, count: int) -> np.ndarray:
        """Return the kept samples that show most, each in turn: what fewer chosen samples show counts more."""
        numbers = np.array(self.kept)
        _, firsts = np.unique(self.integers(numbers).reshape(len(numbers), -1), axis=0, return_index=True)
        numbers = numbers[np.sort(firsts)]
        shown = np.array(self.shown)[np.sort(firsts)]
        features = np.unpackbits(shown, axis=1, count=len(self.seen)).astype(np.float32)
        worth, left, chosen = np.ones(len(self.seen), np.float32), np.ones(len(numbers), bool), []
        for _ in range(min(count, len(numbers))):
            best = int(np.where(left, features @ worth, -1).argmax())
            left[best] = False
            chosen.append(best)
            worth = np.where(features[best] > 0, worth / 2, worth)
        return numbers[chosen]


def _point(cut: Cells, cell: int) -> tuple[int, int]:
    """Return channel and accumulator of a cell that is one point."""
    channel, index = divmod(int(cut.starts[cell]), len(cut.grid))
    return channel, cut.grid.low + cut.grid.step * index


def _patches(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a sample of patches of one brightness each, and a little noise."""
    sides = shape[:-1] or shape
    found = rng.random(shape) * 0.1
    pieces = [rng.integers(1, max(2, side // 2) + 1) for side in sides]
    coarse = rng.random(
        (*(-(-side // piece) for side, piece in zip(sides, pieces, strict=True)), *shape[len(sides) :])
    )
    for axis, (side, piece) in enumerate(zip(sides, pieces, strict=True)):
        coarse = np.repeat(coarse, piece, axis=axis).take(range(side), axis=axis)
    return np.clip(coarse * 0.9 + found, 0, 1)


@dataclass(frozen=True)
class _First:
    """A first product, whose accumulators are weighted sums of input elements.

    Attributes:
        activation: Activation that reads it.
        weights: Weights, (channels, fan-in).
        windows: Input elements that the weights of a group read at each pixel, (groups, pixels, fan-in).
        low: Least integer of every input element.
        high: Largest integer of every input element.
        step: Difference of neighbouring levels.
    """

    activation: str
    weights: np.ndarray
    windows: np.ndarray
    low: np.ndarray
    high: np.ndarray
    step: int

    def pattern(self, numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Write the signs of one channel's weights into a random share of a sample's elements."""
        channel = int(rng.integers(len(self.weights)))
        share, up = rng.random(), rng.integers(2)
        result = numbers.copy()
        for _ in range(32 if self.windows.shape[1] > 1 else 1):
            window = self._window(channel, rng)
            chosen = rng.random(len(window)) < share
            result[window[chosen]] = (self.weights[channel] > 0)[chosen] == up
        return result

    def solved(
        self, sample: np.ndarray, x: np.ndarray, target: _Target, rng: np.random.Generator
    ) -> np.ndarray:
        """Change a sample so that a target's accumulator is reached, as far as its levels allow.

        Args:
            sample: Numbers 0..1, (elements,).
            x: Its integers, (elements,).
            target: The target, in this product's activation.
            rng: Chooses a pixel and elements.
        """
        window = self._window(target.channel, rng)
        order = rng.permutation(len(window))
        window, weights = window[order], self.weights[target.channel][order].astype(np.int64)
        missing = target.accumulator - int(weights @ x[window])
        up = weights * np.sign(missing) > 0
        room = np.where(up, self.high[window] - x[window], x[window] - self.low[window])
        size = np.abs(weights)
        left = np.maximum(0, abs(missing) - (np.cumsum(room * size) - room * size))
        moves = np.minimum(room, left // np.maximum(size, 1)) // self.step * self.step
        level = x[window] + np.where(up, moves, -moves) * (size > 0)
        span = self.high[window] - self.low[window] + self.step
        result = sample.copy()
        moved = level != x[window]
        result[window[moved]] = ((level - self.low[window] + self.step / 2) / span)[moved]
        return result

    def _window(self, channel: int, rng: np.random.Generator) -> np.ndarray:
        groups, pixels, _ = self.windows.shape
        return self.windows[channel * groups // len(self.weights), int(rng.integers(pixels))]


def _first_product(net: IntegerNetwork, integers: Integers) -> _First | None:
    """Return the first product with an activation right behind it; None if none reads the input."""
    network = net.network
    layers = network.inputs()
    for name in net.tables:
        (read,) = layers[name].inputs  # type: ignore[union-attr]
        product = layers[read]
        if not isinstance(product, Layer) or not isinstance(product.operation, Dense | Sparse | Conv):
            continue
        source = layers[product.inputs[0]]
        while isinstance(source, Layer) and isinstance(source.operation, Flatten | Pad):
            source = layers[source.inputs[0]]
        if isinstance(source, Layer) or _exceeds(product.operation, network.input.shape):
            continue
        elements = np.arange(int(np.prod(network.input.shape)))
        low, high = (integers(np.full((1, len(elements)), end)).ravel() for end in (0, _LAST))
        weights = net.weights[read].reshape(len(net.weights[read]), -1)
        windows = elements[None, None]
        if isinstance(product.operation, Conv):
            windows = _windows(elements.reshape(network.input.shape), product.operation)
        return _First(
            name,
            weights,
            windows,
            np.minimum(low, high),
            np.maximum(low, high),
            network.grids()["input"].step,
        )
    return None


def _exceeds(operation: Dense | Sparse | Conv, image: tuple[int, ...]) -> bool:
    """Return whether no window of a convolution is without padding."""
    return isinstance(operation, Conv) and any(
        reach > side for reach, side in zip(operation.reach, image, strict=False)
    )


def _windows(elements: np.ndarray, conv: Conv) -> np.ndarray:
    """Return the elements under a kernel at all pixels without padding, (groups, pixels, fan-in)."""
    (down, along), groups = conv.dilation, conv.groups
    found = np.lib.stride_tricks.sliding_window_view(elements, conv.reach, axis=(0, 1))[..., ::down, ::along]
    height, width, channels, *kernel = found.shape
    parts = found.reshape(height * width, groups, channels // groups, *kernel).transpose(1, 0, 3, 4, 2)
    return parts.reshape(groups, height * width, -1)
