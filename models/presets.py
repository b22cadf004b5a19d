"""Named activations from the literature; they can be used in place of an expression."""

from zerocross.models.expressions import Expression, parse

PRESETS: dict[str, tuple[str, str]] = {
    "sign": ("x", "the plain sign"),
    "rsign": ("shift(x)", "ReActNet's RSign: a learnable threshold for each channel (Liu et al., 2020)"),
    "rprelu": (
        "shift(prelu(shift(x)))",
        "ReActNet's RPReLU: a PReLU with learnable shifts for each channel (Liu et al., 2020)",
    ),
    "swish": ("gate(x, x)", "Swish, x sigmoid(x) (Ramachandran et al., 2017)"),
    "silu_shift": ("gate(shift(x), x)", "Swish with a learnable shift"),
    "sine": ("sin(x)", "a sine, the simplest periodic activation"),
    "sine_scaled": ("sin(scale(x))", "a sine of learnable frequency for each channel"),
    "cosine": ("cos(x)", "a cosine: a band around the mean"),
    "sine_linear": ("add(sin(x), x)", "x + sin(x), close to Snake (after Ziyin et al., 2020)"),
    "log_sine": (
        "add(log(x), sin(x))",
        "found by both GAAF's algorithm and NSGA-II for a small ResNetE on Fashion-MNIST (docs/methods.md)",
    ),
    "scale_gauss": (
        "sub(scale(x), gauss(x))",
        "found in two tables of the pair space: above the plain sign after short trainings, at equal cost (docs/tables.md)",
    ),
    "laplace_shift": ("add(laplace(x), shift(x))", "found in the same tables, with the same result"),
    "band": (
        "sub(learned, abs(x))",
        "1 where |x| is below a learnable bound; among the most accurate on a small residual network (docs/tables.md)",
    ),
    "parabola": (
        "sub(learned, square(x))",
        "1 where x^2 is below a learnable bound; among the most accurate on the same network",
    ),
}
"""Presets: {name: (expression, description and source)}."""


def resolve(text: str) -> Expression:
    """Return the expression for the name of a preset or the text of an expression.

    Raises:
        ExpressionError: If the text is neither.
    """
    return parse(PRESETS[text][0] if text in PRESETS else text)
