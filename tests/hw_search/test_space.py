import itertools

import pytest

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.space import Candidate, Space
from zerocross.models.expressions import X, parse
from zerocross.models.operations import OPERATIONS, register_operation


def space(change: dict | None = None) -> Space:
    return Space(make_config(merged(CONTENT, change or {})), (1, 8, 8), 10)


def test_genes_are_the_expressions_and_every_choice() -> None:
    assert space().sizes == (4, 4, 2, 2, 2)
    assert space().size == 128 == len(list(space().genomes()))


def test_a_genome_says_everything_of_a_candidate() -> None:
    candidate = space().candidate((1, 3, 0, 1, 0))
    assert candidate.text == "add(sin(x), scale(x))"
    assert candidate.topology == {"name": "mlp", "hidden": [16], "input_bits": 1}
    assert candidate.folding["target_cycles"] == 64
    assert candidate.choices == {"topology.hidden": [16], "folding.target_cycles": 64}


def test_choices_inside_lists() -> None:
    inner = space({"topology": {"hidden": [8, {"choose": [8, 16]}]}})
    assert inner.candidate((0, 0, 0, 1, 0)).topology["hidden"] == [8, 16]
    assert inner.candidate((0, 0, 0, 1, 0)).choices["topology.hidden.1"] == 16


def test_equal_functions_are_one_network_and_foldings_are_two_candidates() -> None:
    a, b, c = (space().candidate(genome) for genome in ((1, 3, 0, 0, 0), (3, 1, 0, 0, 0), (1, 3, 0, 0, 1)))
    assert a.text != b.text and a.network_key == b.network_key and a.id == b.id
    assert a.network_key == c.network_key and a.id != c.id


def test_one_activation_a_layer() -> None:
    layered = space({"activation": {"per_layer": True}, "topology": {"hidden": {"choose": [[8], [8, 8]]}}})
    assert layered.sizes == (4, 4, 2) * 2 + (2, 2)
    assert len(layered.candidate((0,) * 8).expressions) == 1
    deep = layered.candidate((0, 1, 0, 1, 1, 0, 1, 0))
    assert deep.text == "add(x, sin(x)) | add(sin(x), sin(x))"
    same = layered.candidate((1, 1, 0, 1, 1, 0, 1, 0))
    assert same.network_key == same.with_expressions((parse("add(sin(x), sin(x))"),)).network_key


def test_a_network_of_tables_has_no_activation_to_choose() -> None:
    wired = {"name": "hardwired", "widths": [20, 12], "input_bits": 1}
    tables = {**CONTENT, "topology": {**wired, "neurons": "tables"}, "folding": {"target_cycles": 1}}
    own = Space(make_config(tables), (1, 8, 8), 10)
    only = own.candidate((0,))
    assert own.size == 1 and not own.has_activations
    assert not only.is_reference and not only.has_activations
    assert own.genome([parse("sin(x)")], {}) == (0,)  # a warm start finds it, whatever its activation
    either = {**tables, "topology": {**wired, "neurons": {"choose": ["sums", "tables"]}}}
    both = Space(make_config(either), (1, 8, 8), 10)
    sine, cosine = (both.candidate((gene, gene, 0, 1)) for gene in (1, 2))
    assert sine.text == "x" and sine.key == cosine.key and both.has_activations
    mixed = {**tables, "topology": {**wired, "neurons": ["tables", "sums"]}}
    assert Space(make_config(mixed), (1, 8, 8), 10).candidate((1, 1, 0)).text == "add(sin(x), sin(x))"


def test_seeds_start_from_known_activations() -> None:
    seeds = [space().candidate(genome) for genome in space().seeds()]
    assert any(candidate.is_reference for candidate in seeds)
    assert any(candidate.text == "add(sin(x), x)" for candidate in seeds)


def test_dead_candidates_are_recognised() -> None:
    zero = space().candidate((2, 2, 1, 0, 0))
    assert zero.text == "max(zero, zero)" and "always" in str(space().dead(zero))
    assert space().dead(space().candidate((3, 2, 0, 0, 0))) is None


def test_the_plain_sign_is_the_reference() -> None:
    plain = Candidate((X,), {"name": "mlp"}, {}, {}, {})
    assert plain.is_reference and plain.with_expressions((parse("max(x, x)"),)).is_reference
    assert not plain.with_expressions((parse("shift(x)"),)).is_reference


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"activation": {"expressions": ["sun(x)"]}},
            r"activation.expressions\[0\]: unknown operation 'sun'",
        ),
        ({"activation": {"unary": ["sinn"]}}, "activation: unknown operation 'sinn': did you mean"),
        ({"activation": {"binary": ["sin"]}}, "'sin' is not a binary operation"),
        ({"activation": {"unary": []}}, "the list of unary operations is empty"),
        ({"activation": {"encoding": "list", "expressions": []}}, "needs at least one"),
        ({"topology": {"hidden": {"choose": [[8]], "x": 1}}}, "choose must stand alone"),
    ],
)
def test_a_wrong_space_is_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space(change)


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ({"name": "mpl"}, "unknown topology 'mpl': did you mean mlp"),
        ({"name": "mlp", "hiden": [3]}, "has no parameter 'hiden': did you mean hidden"),
        ({"name": "mlp", "hidden": "wide"}, "hidden: Input should be a valid list"),
        ({"name": "mlp", "hidden": [0]}, r"hidden\[0\] must be at least 1"),
        ({"name": "cnv"}, "smaller than the 3x3 kernel"),
    ],
)
def test_a_wrong_topology_is_named(topology: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space().build(topology)


def test_a_users_operation_is_used_by_name() -> None:
    register_operation("bump", lambda x, s: s * x * (1 - x.abs()), 1, (1.0,))
    try:
        own = space({"activation": {"unary": ["x", "bump"]}})
        texts = {own.candidate(genome).text for genome in itertools.islice(own.genomes(), 16)}
        assert any("bump(x)" in text for text in texts)
    finally:
        del OPERATIONS["bump"]
