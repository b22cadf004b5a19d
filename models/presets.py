"""Named activations from the literature, usable wherever an expression is."""

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
    "sine_linear": ("add(sin(x), x)", "snake-like, x + sin(x) (after Ziyin et al., 2020)"),
    "log_sine": (
        "add(log(x), sin(x))",
        "found here by GAAF's algorithm and by NSGA-II alike, on a small ResNetE and Fashion-MNIST (docs/methods.md)",
    ),
    "scale_gauss": (
        "sub(scale(x), gauss(x))",
        "found here in the tables of the pair space: above the plain sign on both, at its price (docs/tables.md)",
    ),
    "laplace_shift": ("add(laplace(x), shift(x))", "likewise"),
    "band": (
        "sub(learned, abs(x))",
        "one where |x| is under a learnable bound; among the best of all on a small residual network (docs/tables.md)",
    ),
    "parabola": ("sub(learned, square(x))", "likewise where x^2 is; the most accurate there"),
}
"""Name: (expression, where it comes from)."""


def resolve(text: str) -> Expression:
    """Return the expression of a preset's name or of an expression's text.

    Raises:
        ExpressionError: if it is neither.
    """
    return parse(PRESETS[text][0] if text in PRESETS else text)
