"""The words of the pages that a reader may not know, each with its meaning."""

import re

WORDS = {
    "front": "The networks that no other network equals or beats in every objective.",
    "knee": "The network of the front beyond which a gain in one objective costs too much in another. A build takes it by "
    "default.",
    "plain sign": "A network of the same choices whose activation is f(x) = x: each bit is the sign of its sum. It is the "
    "baseline.",
    "control": "A plain sign that was trained in another way. If a control gains as much, the activation is not the reason.",
    "crossing": "An integer at which a channel's bit flips. Hardware builds nothing else of an activation.",
    "hypervolume": "The share of a box of objectives that a front dominates. More is better.",
    "LUT": "Lookup table, the logic cell of an FPGA. A LUT4 has four inputs, a LUT6 six.",
    "BRAM18": "Block RAM of 18 kbit.",
    "DSP": "Block of an FPGA that multiplies.",
    "latency": "Cycles from the first word of an image to its class.",
    "II": "Initiation interval: cycles from one image to the next. Images per second are the clock divided by it.",
    "PE": "Processing elements: how many channels a node computes at a time.",
    "SIMD": "How many inputs each processing element reads at a time.",
    "FIFO": "A queue between two nodes. Its depth is counted in words of the stream.",
    "our estimate": "The cost that zerocross computes from the structure of each node, with constants fitted to syntheses. "
    "Nothing is synthesised.",
    "FINN's estimate": "The cost that FINN reports for the same nodes. It knows the number of crossings only by its bit "
    "width.",
}
"""Words and their meanings, in the order of the glossary."""

_BY_TEXT = {word.lower(): word for word in WORDS}


def known(text: str) -> str | None:
    """Return the word that a text is, in any case; None if it has no explanation."""
    return _BY_TEXT.get(text.lower())


def anchor(word: str) -> str:
    """Return the id of a word's explanation on a page."""
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower())
