"""Tables in LaTeX for papers (booktabs)."""

from __future__ import annotations

from collections.abc import Sequence

from certiseg.runfolder.rows import Row, cells

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is, on one line: no command, no comment, no end of a cell."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    # A leading bracket would be an option of the line end before it.
    start, rest = ("{[}", plain[1:]) if plain.startswith("[") else ("", plain)
    return start + "".join(_SPECIAL.get(letter, letter) for letter in rest)


def latex_table(rows: Sequence[Row], caption: str) -> str:
    """The comparison as a table; figures that no row has are left out."""
    head, body = cells(rows)
    return booktabs(["", *head[1:]], body, caption)


def booktabs(head: Sequence[str], body: Sequence[Sequence[str]], caption: str) -> str:
    """A table environment; needs \\usepackage{booktabs}."""
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(caption)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"    \toprule",
        f"    {_line(head)}",
        r"    \midrule",
        *(f"    {_line(line)}" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(line: Sequence[str]) -> str:
    # A dash of its own is a figure that is not there.
    shown = ["--" if text == "-" else escaped(text) for text in line]
    return " & ".join(shown) + r" \\"
