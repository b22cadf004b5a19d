"""Standard output and error: plain ASCII where the reader may not show more.

On a terminal that shows Unicode, text is printed as it is. Elsewhere zerocross prints ASCII: in the locale C or POSIX, on a
terminal that calls itself dumb, and into a pipe or a file. There, signs of zerocross itself become ASCII. Other text, such
as a user's file names, stays UTF-8 in a pipe or a file; in the locale C and on a dumb terminal it is escaped.
"""

import codecs
import encodings.ascii
import os
import sys
from io import TextIOWrapper

_SIGNS = {
    "±": "+-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "…": "...",
    "✓": "+",
    "✗": "x",
    "\N{MULTIPLICATION SIGN}": "x",
    "·": "-",
    "•": "-",
    "●": "*",
    "█": "#",
    "░": ".",
    "▮": "#",
    "▯": ".",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "µ": "u",
    "“": '"',
    "”": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{NO-BREAK SPACE}": " ",
    "━": "-",
    "─": "-",
    "│": "|",
    "╸": "-",
    "╺": "-",
}

_ASCII = "zerocross_ascii"
_TABLE = str.maketrans(_SIGNS)


def in_ascii(text: str) -> str:
    """Return a text with signs of zerocross' own in ASCII; other letters stay."""
    return text.translate(_TABLE)


def set_up() -> None:
    """Have standard output and error print what their reader can show."""
    codecs.register(_codec)
    codecs.register_error("zerocross.utf8", _keep)
    codecs.register_error("zerocross.ascii", _escape)
    limited = _is_plain_locale() or os.environ.get("TERM") == "dumb"
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, TextIOWrapper):
            continue
        if limited:
            stream.reconfigure(encoding=_ASCII, errors="zerocross.ascii")
        elif not stream.isatty():
            stream.reconfigure(encoding=_ASCII, errors="zerocross.utf8")
        else:
            stream.reconfigure(errors="zerocross.ascii")  # a terminal of another encoding lacks some signs


def _codec(name: str) -> codecs.CodecInfo | None:
    """Return ASCII under a name of its own: Typer prints UTF-8 to a stream whose encoding is called "ascii"."""
    if name != _ASCII:
        return None
    found = encodings.ascii.getregentry()
    found.name = _ASCII
    return found


def _is_plain_locale() -> bool:
    """Return whether the user asked for the locale C or POSIX."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    return next((name for name in names if name), "") in ("C", "POSIX")


def _keep(error: UnicodeError) -> tuple[bytes, int]:
    return _encode(error, "utf-8", "surrogateescape")


def _escape(error: UnicodeError) -> tuple[bytes, int]:
    return _encode(error, "ascii", "backslashreplace")


def _encode(error: UnicodeError, encoding: str, errors: str) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]).encode(encoding, errors), error.end
