"""Sparse layers made smaller: channels that nothing reads, that are constant, or that equal others. Every logit stays.

An input of a sparse layer is a wire, so a channel can be left out by itself. Four things save hardware:

- A constant channel leaves the inputs of its readers, whose rows of bits move by one. The sums of classes keep
  their constant inputs, because they have no row.
- Two channels are equal if they read the same inputs and have the same bits for each number of agreeing inputs. If all signs
  are opposite, the reversed row counts, and if all bits are, readers change their signs. Readers of either read the first
  one, where their weights stay -1, 0 and +1.
- In an indexed layer, whose channels are any function of their inputs, equal inputs become one, and inputs that change
  nothing are left out.
- What nothing reads becomes constant, which costs nothing: a neuron without inputs, or a threshold out of range.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Flatten,
    Layer,
    Operation,
    Sparse,
    Thermometer,
)
from zerocross.finn_flows.nodes.sparse_weights import SparseWeights


@dataclass(frozen=True)
class Savings:
    """What `simplified` left out of the sparse layers.

    Attributes:
        bits: Thermometer bits that nothing reads.
        unread: Neurons that nothing reads.
        constant: Neurons that always have the same bit.
        shared: Neurons that equal another one, whose readers read the other one.
        inputs: Inputs of the remaining neurons that change none of their bits: constant, cancelled, equal or ignored.
    """

    bits: int = 0
    unread: int = 0
    constant: int = 0
    shared: int = 0
    inputs: int = 0

    @property
    def described(self) -> str:
        """A sentence; "" if nothing was saved."""
        parts = (
            (self.bits, "thermometer bit", "that nothing reads"),
            (self.unread, "neuron", "that nothing reads"),
            (self.constant, "constant neuron", ""),
            (self.shared, "neuron", "with an equal one"),
            (self.inputs, "input", "without effect on its neuron"),
        )
        words = [
            f"{count:,} {what}{'s' * (count != 1)} {why}".rstrip() for count, what, why in parts if count
        ]
        return f"Sparse layers are built without {', '.join(words)}." if words else ""


def simplified(net: IntegerNetwork) -> tuple[IntegerNetwork, Savings]:
    """Return a network with the same logits and smaller sparse layers, and what was saved."""
    if not any(isinstance(layer.operation, Sparse) for layer in net.network.layers):
        return net, Savings()
    wiring = _Wiring(net)
    wiring.forward()
    wiring.backward()
    return wiring.result()


class _Wiring:
    """The numbers of all sparse layers while they change.

    Attributes:
        weights: Weights of each sparse layer, (channels, features).
        rows: Rows of the activations of each sparse layer, by activation: for each channel an array (planes, reach of the
            channel + 1).
        thresholds: Thresholds of each thermometer of a vector.
    """

    def __init__(self, net: IntegerNetwork) -> None:
        self._net, network, shapes = net, net.network, net.network.shapes()
        self._layers = {layer.name: layer for layer in network.layers}
        self._sparse = [layer for layer in network.layers if isinstance(layer.operation, Sparse)]
        self.weights = {layer.name: net.weights[layer.name].copy() for layer in self._sparse}
        self.thresholds = {
            layer.name: list(layer.operation.thresholds)
            for layer in network.layers
            if isinstance(layer.operation, Thermometer) and len(shapes[layer.name]) == 1
        }
        self.rows: dict[str, list[np.ndarray]] = {}
        self._readers: dict[
            str, list[str]
        ] = {}  # activations of a sparse layer; none if something else reads it
        for layer in self._sparse:
            readers = network.readers(layer.name)
            if all(isinstance(reader.operation, Activation) for reader in readers):
                self._readers[layer.name] = [reader.name for reader in readers]
                for reader in readers:
                    self.rows[reader.name] = self._first_rows(layer, reader)
        self._constant: dict[
            str, dict[int, int]
        ] = {}  # channels with their bit, by the layer that writes them
        self._equal: dict[
            str, dict[int, tuple[int, int]]
        ] = {}  # channels that equal another one, and the sign
        self._unread_before = self._unread()
        self._inputs = 0

    def _first_rows(self, layer: Layer, reader: Layer) -> list[np.ndarray]:
        table, bits = self._net.tables[reader.name], self._bits(reader)
        operation, rows = layer.operation, []
        assert isinstance(operation, Sparse)
        weights = self.weights[layer.name]
        sparse = SparseWeights(weights, operation.fan_in, operation.exact, operation.indexed)
        for channel in range(len(weights)):
            points = sparse.points(channel)
            rows.append(np.stack([table.row(channel * bits + plane)[points] for plane in range(bits)]))
        return rows

    @staticmethod
    def _bits(layer: Layer) -> int:
        assert isinstance(layer.operation, Activation)
        return layer.operation.bits

    def _is_indexed(self, name: str) -> bool:
        operation = self._layers[name].operation
        assert isinstance(operation, Sparse)
        return operation.indexed

    def _source(self, name: str) -> str:
        """Return the layer that writes a sparse layer's inputs."""
        source = self._layers[name].inputs[0]
        while source in self._layers and isinstance(self._layers[source].operation, Flatten):
            source = self._layers[source].inputs[0]
        return source

    def forward(self) -> None:
        """Change the inputs of each sparse layer, in order, with what is known of the layer before."""
        for name, thresholds in self.thresholds.items():
            operation = self._layers[name].operation
            assert isinstance(operation, Thermometer)
            high = self._net.network.grids()[self._layers[name].inputs[0]].high
            clipped = [min(threshold, high + 1) for threshold in thresholds]
            self._constant[name] = {
                place: int(each == 0) for place, each in enumerate(clipped) if each in (0, high + 1)
            }
            keys = [(place // operation.bits, threshold) for place, threshold in enumerate(clipped)]
            self._equal[name] = _firsts([(key, 1) for key in keys], self._constant[name])
        for layer in self._sparse:
            self._narrow(layer.name)
            for reader in self._readers.get(layer.name, []):
                if self._bits(self._layers[reader]) == 1:
                    self._compare(layer.name, reader)

    def _narrow(self, name: str) -> None:
        """Drop a sparse layer's constant inputs, and let it read the first of equal ones."""
        source = self._source(name)
        equal, constant = self._equal.get(source, {}), self._constant.get(source, {})
        movable = name in self._readers
        for channel, weights in enumerate(self.weights[name]):
            if self._is_indexed(name):
                if movable:
                    self._reindex(name, channel, weights, equal, constant)
                continue
            self._merge(name, channel, weights, equal, movable)
            for place in np.flatnonzero(weights).tolist() if movable else ():
                if place in constant:
                    agrees = weights[place] * (2 * constant[place] - 1) > 0
                    self._move(name, channel, int(agrees), int(not agrees))
                    weights[place] = 0

    def _reindex(
        self,
        name: str,
        channel: int,
        weights: np.ndarray,
        equal: dict[int, tuple[int, int]],
        constant: dict[int, int],
    ) -> None:
        """Leave out the inputs of a table that are constant, equal others or change nothing. The others get signs of +1."""
        places = sorted(np.flatnonzero(weights).tolist(), key=lambda place: abs(weights[place]))
        first = {place: equal.get(place, (place, 1)) for place in places if place not in constant}
        kept = sorted({place for place, _ in first.values()})
        old = _old_indices(weights, places, kept, first, constant)
        for reader in self._readers[name]:
            self.rows[reader][channel] = self.rows[reader][channel][:, old]
        for place in tuple(kept):
            if len(kept) > 1 and not any(
                _matters(self.rows[reader][channel], kept.index(place)) for reader in self._readers[name]
            ):
                for reader in self._readers[name]:
                    row = self.rows[reader][channel]
                    self.rows[reader][channel] = _halves(row, kept.index(place))[0]
                kept.remove(place)
        self._inputs += len(places) - len(kept)
        weights[:] = 0
        weights[kept] = 1 << np.arange(len(kept))

    def _merge(
        self, name: str, channel: int, weights: np.ndarray, equal: dict[int, tuple[int, int]], movable: bool
    ) -> None:
        groups: dict[int, list[tuple[int, int]]] = {}
        for place in np.flatnonzero(weights).tolist():
            first, sign = equal.get(place, (place, 1))
            groups.setdefault(first, []).append((place, sign * int(weights[place])))
        for first, members in groups.items():
            total = sum(weight for _, weight in members)
            pairs = (len(members) - abs(total)) // 2
            if members == [(first, total)] or abs(total) > 1:
                continue
            for place, _ in members:
                weights[place] = 0
            weights[first] = total
            if movable:
                self._move(name, channel, pairs, pairs)

    def _move(self, name: str, channel: int, ahead: int, behind: int) -> None:
        """Cut a channel's rows: so many dropped inputs always agree, and so many never do."""
        self._inputs += ahead + behind
        for reader in self._readers[name]:
            row = self.rows[reader][channel]
            self.rows[reader][channel] = row[:, ahead : row.shape[1] - behind]

    def _compare(self, name: str, activation: str) -> None:
        """Find the constant and the equal channels of an activation of one bit."""
        keys: list[tuple[Hashable, int]] = []
        constant: dict[int, int] = {}
        for channel, (row,) in enumerate(self.rows[activation]):
            weights = self.weights[name][channel]
            if (row == row[0]).all():
                constant[channel] = int(row[0])
            places = np.flatnonzero(weights)
            if self._is_indexed(name):
                keys.append(((places.tobytes(), (row ^ row[0]).tobytes()), 1 - 2 * int(row[0])))
                continue
            turned = len(places) > 0 and weights[places[0]] < 0
            signs, bits = (-weights[places], row[::-1]) if turned else (weights[places], row)
            inverted = int(bits[0])
            keys.append(((places.tobytes(), signs.tobytes(), (bits ^ inverted).tobytes()), 1 - 2 * inverted))
        self._constant[activation] = constant
        self._equal[activation] = _firsts(keys, constant)

    # ---- what nothing reads

    def _read(self, name: str) -> np.ndarray | None:
        """Return which channels of a layer are read, bool; None if a layer that is not sparse reads it."""
        found: np.ndarray | None = None
        for layer in self._beyond(name):
            if layer.name not in self.weights:
                return None
            read = (self.weights[layer.name] != 0).any(axis=0)
            found = read if found is None else found | read
        return found

    def _beyond(self, name: str) -> Iterator[Layer]:
        """Yield the readers of a layer; those of a flatten in its place."""
        for layer in self._net.network.readers(name):
            if isinstance(layer.operation, Flatten):
                yield from self._beyond(layer.name)
            else:
                yield layer

    def _alone(self) -> Iterator[tuple[str, str]]:
        """Yield the sparse layers that one activation of one bit reads, and this activation."""
        for name, readers in self._readers.items():
            if len(readers) == 1 and self._bits(self._layers[readers[0]]) == 1:
                yield name, readers[0]

    def backward(self) -> None:
        """Make constant what nothing reads, from the last layer to the first."""
        for name, activation in reversed(list(self._alone())):
            read = self._read(activation)
            for channel in np.flatnonzero(~read).tolist() if read is not None else ():
                self.weights[name][channel] = 0
                self.rows[activation][channel] = np.zeros((1, 1), np.uint8)
            for channel, row in enumerate(self.rows[activation]):
                if (row == row[0, 0]).all():
                    self.weights[name][channel] = 0
                    self.rows[activation][channel] = row[:, :1]
        for name, thresholds in self.thresholds.items():
            read = self._read(name)
            never = self._net.network.grids()[self._layers[name].inputs[0]].high + 1
            for place in np.flatnonzero(~read).tolist() if read is not None else ():
                thresholds[place] = never

    def _unread(self) -> dict[str, set[int]]:
        names = [*self.thresholds, *(activation for _, activation in self._alone())]
        reads = {name: self._read(name) for name in names}
        return {name: set(np.flatnonzero(~read).tolist()) for name, read in reads.items() if read is not None}

    def result(self) -> tuple[IntegerNetwork, Savings]:
        """Return the network and the savings."""
        weights, tables = self._net.weights | self.weights, dict(self._net.tables)
        operations: dict[str, Operation] = {}
        for layer in self._sparse:
            own = self.weights[layer.name]
            counts = np.count_nonzero(own, axis=1)
            fan_in = max(1, int(counts.max()))
            exact = bool((counts == fan_in).all())
            sparse = Sparse(len(own), fan_in, exact, self._is_indexed(layer.name))
            operations[layer.name] = sparse
            for reader in self._readers.get(layer.name, []):
                tables[reader] = _table(sparse, self.rows[reader])
        for name, thresholds in self.thresholds.items():
            old = self._layers[name].operation
            assert isinstance(old, Thermometer)
            operations[name] = replace(old, thresholds=tuple(thresholds))
        layers = (
            replace(layer, operation=operations.get(layer.name, layer.operation))
            for layer in self._net.network.layers
        )
        network = replace(self._net.network, layers=tuple(layers)).with_crossings(
            {name: tuple(int(count) for count in table.counts()) for name, table in tables.items()}
        )
        return replace(self._net, network=network, weights=weights, tables=tables), self._savings()

    def _savings(self) -> Savings:
        bits = unread = shared = constant = 0
        for name, channels in self._unread().items():
            if name in self.thresholds:
                bits += len(channels)
                continue
            before = self._unread_before.get(name, set())
            equal = set(self._equal.get(name, {})) & channels - before
            fixed = set(self._constant.get(name, {}))
            shared += len(equal)
            unread += len(channels - equal - fixed)
            constant += len(fixed)
        return Savings(bits, unread, constant, shared, self._inputs)


def _firsts(keys: list[tuple[Hashable, int]], constant: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Return the places that have the key of an earlier one, with that place and the sign between the two."""
    known: dict[Hashable, tuple[int, int]] = {}
    found = {}
    for place, (key, sign) in enumerate(keys):
        if place in constant:
            continue
        first, its = known.setdefault(key, (place, sign))
        if first != place:
            found[place] = first, sign * its
    return found


def _table(sparse: Sparse, rows: list[np.ndarray]) -> CrossingTable:
    """Return the table of rows (planes, reach of a channel + 1), one for each channel."""
    grid = sparse.grid
    sums = grid.low + grid.step * np.arange(len(grid))
    spread = []
    for row in rows:
        reach = row.shape[1] - 1
        # Between two sums that occur, a row repeats the lower one's bit; beyond them, the last one.
        spread.append(row[:, np.clip((sums + reach) // 2, 0, reach)])
    return from_bits(grid, np.concatenate(spread))


def _old_indices(
    weights: np.ndarray,
    places: list[int],
    kept: list[int],
    first: dict[int, tuple[int, int]],
    constant: dict[int, int],
) -> np.ndarray:
    """Return the index into a table's old row for each index into its new one.

    Args:
        weights: The channel's old weights.
        places: Its old inputs, that of weight 1 first.
        kept: Its new inputs, likewise; all of their weights are above 0.
        first: The new input that stands for an old one, and the sign between the two.
        constant: The bits of the old inputs that are constant.
    """
    new = np.arange(1 << len(kept))
    old = np.zeros_like(new)
    for power, place in enumerate(places):
        if place in constant:
            bit, sign = np.full_like(new, constant[place]), 1
        else:
            at, sign = first[place]
            bit = new >> kept.index(at) & 1
        agrees = bit if sign * weights[place] > 0 else 1 - bit
        old |= agrees << power
    return old


def _halves(row: np.ndarray, power: int) -> np.ndarray:
    """Return a table's rows (2, planes, half as long) where an input is 0, and where it is 1."""
    planes, size = row.shape
    split = row.reshape(planes, size >> power + 1, 2, 1 << power)
    return np.moveaxis(split, 2, 0).reshape(2, planes, size // 2)


def _matters(row: np.ndarray, power: int) -> bool:
    zero, one = _halves(row, power)
    return bool((zero != one).any())
