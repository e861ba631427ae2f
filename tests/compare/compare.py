"""The Python version and the C++ side by side, function by function.

    compare.py           writes the page build/compare.html
    compare.py NAME      prints the functions of that name in the terminal, or
                         the one with that anchor on the page (server-main)
    compare.py --check   exits with 1 if a Python function has neither a twin
                         in C++ nor a comment there that names it

All is read from the sources. The comment above a C++ function says whose twin
it is: "Python: broadcast". The same words in any other comment, as in "Python:
close (and on_closing)", say what became of a function that has no twin.
"""
import ast
import itertools
import keyword
import pathlib
import re
import shutil
import sys
from collections import namedtuple
from html import escape
from os.path import commonprefix

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "build" / "compare.html"
HEADER = "socket_compat"  # has no Python version, and stands alone
PROGRAMS = ["server", "client", HEADER]

# Whatever is not blank belongs to a token, which is of one of these kinds.
COMMENT = {".py": r"(?P<comment>#.*)|",
           ".cpp": r"(?P<comment>//.*|/\*[\s\S]*?\*/)|(?P<keyword>#\s*\w+)|"}
TOKEN = (r"(?P<number>\b\d[\w.']*)"
         r'|(?P<string>"""[\s\S]*?"""|\bR"(?P<end>.*?)\([\s\S]*?\)(?P=end)"'
         r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
         r"|(?P<call>\w+(?=\())|(?P<word>\w+)|(?P<other>\S)")
KEYWORDS = set(keyword.kwlist) | set("""auto bool case catch char const default
    delete do double else enum false float int long namespace new nullptr
    private public short sizeof static struct switch template this throw true
    typedef unsigned using void""".split())
# A C++ function begins in the first column, and so does the brace at its end.
FUNCTION = re.compile(r"^[A-Za-z_\[][^;{}()=#]*?(?P<name>\w+)\s*\([^;{}]*\)"
                      r"[^;{}()=]*\{(?:.*\} *$|[\s\S]*?^\})", re.M)
# These words mark a comment, from their line to its end; so does "Python's f(".
MARK = re.compile(r"\b(FAULT|NOTE|ADDED|Python)(?=: |:$|'s \w+\()", re.M)

# A function with the comment above it, or the lines between two functions
# (without a name). `lines` and `html` are those of the source from `first` on.
Piece = namedtuple("Piece", "name first lines html comment path")
# What stands side by side; one of the two can be None.
Row = namedtuple("Row", "program name python cpp")


def read(path):
    """The pieces of a source, in its order, and the texts of its comments."""
    def colour(token):
        kind, text = token.lastgroup, escape(token.group(), quote=False)
        if token.group() in KEYWORDS:
            kind = "keyword"
        if kind in ("word", "other"):
            return text
        if kind == "comment":
            text = MARK.sub(r"<b>\1</b>", text)
        return f'<span class="{kind}">' + text.replace(
            "\n", f'</span>\n<span class="{kind}">') + "</span>"

    def without_comment(token):
        text = token.group()
        return re.sub(r"\S", " ", text) if token["comment"] else text

    text = path.read_text("utf8").rstrip("\n")
    tokens = re.compile(COMMENT.get(path.suffix, COMMENT[".cpp"]) + TOKEN)
    html = tokens.sub(colour, text).split("\n")
    code = tokens.sub(without_comment, text)
    lines = text.split("\n")
    comments = read_comments(lines, code.split("\n"), html)
    # Name, first line and the line behind the last, counted from 0.
    if path.suffix == ".py":
        functions = ((node.name, node.lineno - 1, node.end_lineno)
                     for node in ast.parse(text).body
                     if isinstance(node, ast.FunctionDef))
    else:
        functions = ((found["name"], code.count("\n", 0, found.start()),
                      code.count("\n", 0, found.end()) + 1)
                     for found in FUNCTION.finditer(code))
    pieces, end = [], 0

    def add(name, first, last, comment=""):
        if first < last:
            pieces.append(Piece(name, first + 1, lines[first:last],
                                html[first:last], comment, path))

    for name, first, last in functions:
        above = ""
        for start, stop, comment in comments:
            if stop == first - 1 and lines[stop][0] in "#/":
                first, above = start, comment
        add("" if end else "head", end, first)
        # Empty lines belong to what is above them, and so does an indented
        # comment at the end of a Python function.
        while lines[last:] and not lines[last][:1].strip():
            last += 1
        add(name, first, last, above)
        end = last
    # Python's main is what follows the functions.
    add("main" if path.suffix == ".py" else "", end, len(lines))
    return pieces, [comment for _, _, comment in comments]


def read_comments(lines, code, html):
    """First line, last line and text of each comment; marks them in `html`.
    A comment goes on in the next line if that has nothing else, and begins in
    the same column."""
    comments, before = [], None
    for number, line in enumerate(lines):
        column = len(commonprefix([line, code[number]]))
        comment = line[column:]
        if not comment:
            continue
        if before != (number - 1, column) or code[number].strip():
            comments.append([number, number, ""])
            kind = "comment"
        before = number, column
        comments[-1][1] = number
        comments[-1][2] += comment.strip(" /*#") + " "
        for word in MARK.findall(comment):
            kind = word.lower()
        html[number] = html[number].replace('"comment"', f'"{kind}"')
    return comments


def compare(program):
    """The rows of a program, which hold all of both sources, and the names of
    the Python functions of which the C++ says nothing."""
    file = ROOT / "tests" / "python_version" / f"{program}.py"
    python = [] if program == HEADER else read(file)[0]
    cpp, comments = read(ROOT / f"{program}.{'cpp' if python else 'h'}")
    twins = {}  # name in Python -> piece of C++
    for piece in cpp:
        said = re.findall(r"\bPython: (\w+)", piece.comment)
        if piece.name in ("head", "main"):
            said = [piece.name]
        for name in said:
            if name in [piece.name for piece in python]:
                twins.setdefault(name, piece)
                break
    rows, missing, left = [], [], list(cpp)

    def add_helpers(end):
        for piece in left[:end]:
            if piece not in twins.values():
                rows.append(Row(program, piece.name, None, piece))
                left.remove(piece)

    for piece in python:
        twin = twins.get(piece.name)
        if twin:
            add_helpers(left.index(twin))
            left.remove(twin)
        elif piece.name:
            # Is it named in a sentence that begins with "Python:"?
            named = re.compile(rf"\bPython: ((?!\. ).)*\b{piece.name}\b")
            if not any(map(named.search, comments)):
                missing.append(piece.name)
        rows.append(Row(program, piece.name, piece, twin))
    add_helpers(len(left))
    return rows, missing


def about(row):
    """What to say where one side is empty."""
    if not row.name or row.python and row.cpp or row.program == HEADER:
        return ""
    if row.cpp:
        return f"A helper: {row.program}.py has no such function."
    return f"Only here: {row.program}.cpp has no such function."


# Two sides of 80 columns and their line numbers fill the window: 168
# characters, which are 0.61 of the size of the letters wide, or less. The
# first colour is for a light theme, the second for a dark one.
STYLE = """
:root { color-scheme: light dark; --pale: light-dark(#555, #b0b0b0);
  --call: light-dark(#0b4f9e, #8fc1ff) }
@media print { :root { color-scheme: light } }
html { background: light-dark(#fff, #15171a); color: light-dark(#111, #eee);
  print-color-adjust: exact }
body { margin: 0 20px; font: max(16px, 1vw)/1.4 sans-serif }
a, .call { color: var(--call) }
h3 { position: sticky; top: 0; margin: 0; padding: .2em 0; font-size: 1.3em;
  background: light-dark(#fff, #15171a); border-top: 2px solid }
.socket_compat h3 { height: 0 } /* it stands beside the code */
h2, h3 { break-after: avoid }
small, .empty { color: var(--pale); font-weight: normal }
nav, .sides { display: grid; grid-template-columns: 1fr 1fr }
nav :nth-child(3) { grid-column: 1 / 3 }
li { display: inline-block; margin-right: 1em }
section { margin-bottom: 1.5em; break-inside: avoid }
.alone pre, li.alone { opacity: .85 }
pre, .empty { margin: 0; min-width: 0 }
pre { font: calc((100vw - 60px) / 168 / .61)/1.35 Menlo, Consolas,
  "DejaVu Sans Mono", monospace; white-space: pre-wrap;
  overflow-wrap: anywhere }
code { display: block; font: inherit; padding-left: 4ch; text-indent: -4ch }
code::before { content: attr(data-line); display: inline-block; width: 3ch;
  margin-right: 1ch; text-indent: 0; text-align: right; color: var(--pale) }
.comment, .added { color: light-dark(#385a3c, #9dbd9f) }
.string, .number { color: light-dark(#8a3b00, #f0b183) }
.keyword { color: light-dark(#7a1fa2, #d9a6f2) }
.fault { color: light-dark(#8f0d0d, #ffc4bc);
  background: light-dark(#ffdcd6, #641a16) }
.note { color: light-dark(#123f94, #c4d8ff);
  background: light-dark(#dbe6ff, #1d3770) }
.python { color: light-dark(#1d5c26, #b4e5b8);
  background: light-dark(#dff2dc, #1a4420) }
@page { size: A4 landscape; margin: 8mm }
@media print { body { margin: 0; font-size: 8pt } h3 { position: static }
  pre { font-size: 7.4pt; line-height: 1.2 } }
"""


def side(piece, row):
    if not piece:
        return f'<p class="empty">{escape(about(row))}</p>'
    return f'<pre data-file="{piece.path.name}">' + "".join(
        f'<code data-line="{number}">{line}\n</code>'
        for number, line in enumerate(piece.html, piece.first)) + "</pre>"


def page(rows):
    names = [row.name for row in rows if row.python]
    contents = dict.fromkeys(PROGRAMS, "")
    pairs = dict.fromkeys(PROGRAMS, "")
    anchors = {""}
    for row in rows:
        kind = "pair" if row.python and row.cpp else "alone"
        heading, identity = "", ""
        # Helpers, and names that both programs have, name the program.
        anchor = row.name
        if row.name and (not row.python or names.count(anchor) > 1):
            anchor = f"{row.program}-{anchor}"
        while row.name and anchor in anchors:  # two helpers of one name
            anchor += "-2"
        anchors.add(anchor)
        if row.name:
            identity = f' id="{anchor}"'
            marks = MARK.findall("\n".join(
                line for piece in (row.python, row.cpp) if piece
                for line in piece.lines))
            link = f'<a href="#{anchor}">{row.name}</a>' + "".join(
                f' <small class="{word.lower()}">{marks.count(word)} {word}'
                "</small>" for word in ("FAULT", "NOTE") if word in marks)
            contents[row.program] += f'<li class="{kind}">{link}</li>\n'
            heading = (f'<h3>{link} <small>{row.program} - '
                       '<a href="#contents">contents</a></small></h3>')
        pairs[row.program] += (
            f'<section class="{kind} {row.program}"{identity}>{heading}'
            '<div class="sides">'
            f"{side(row.python, row)}{side(row.cpp, row)}</div></section>\n")
    return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8">
<title>Python and C++</title><style>{STYLE}</style>
<h1>The chat in Python, and in C++</h1>
<p>Python is on the left, C++ on the right; what is paler has no twin on the
other side. <b class="fault">FAULT</b> marks where Python breaks,
<b class="python">Python</b> what the C++ has in its place, and
<b class="note">NOTE</b> what the C++ leaves open.</p>
<nav id="contents">""" + "".join(
        f"<div><h2>{program}</h2><ul>{contents[program]}</ul></div>\n"
        for program in PROGRAMS) + "</nav>\n" + "".join(
        f"<h2>{program}</h2>\n{pairs[program]}" for program in PROGRAMS)


def show(row):
    """Prints a row, side by side if the terminal is wide enough. (Without line
    numbers: with them, 80 columns beside 80 would want more than 165.)"""
    sides = [[f"--- {piece.path.relative_to(ROOT)}, line {piece.first}",
              *"\n".join(piece.lines).rstrip().split("\n")]
             for piece in (row.python, row.cpp) if piece]
    left, right = [max(map(len, side)) for side in (sides[0], sides[-1])]
    if len(sides) == 2 and (left + len(" | ") + right
                            <= shutil.get_terminal_size().columns):
        sides = [[f"{python:{left}} | {cpp}" for python, cpp
                  in itertools.zip_longest(*sides, fillvalue="")]]
    for side in sides + [[about(row)]]:
        print("\n".join(side))


def main():
    if len(sys.argv) > 2 or "--help" in sys.argv:
        sys.exit(__doc__)
    sys.stdout.reconfigure(errors="replace")  # not every terminal knows è
    rows = []
    for program in PROGRAMS:
        new_rows, missing = compare(program)
        rows += new_rows
        if missing and "--check" in sys.argv:
            sys.exit(f"{program}.py: no twin of {', '.join(missing)}: no "
                     f'comment in {program}.cpp says "Python: {missing[0]}"')
    if len(sys.argv) == 1:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(rows), "utf8")
        print(f"{PAGE.relative_to(ROOT)}: open it with {PAGE.as_uri()}")
    elif sys.argv[1] != "--check":
        found = [row for row in rows if row.name and sys.argv[1] in (
            row.name, f"{row.program}-{row.name}")]
        for row in found:
            show(row)
        if not found:
            names = dict.fromkeys(row.name for row in rows if row.name)
            print(f"No function is called {sys.argv[1]}. There are:",
                  *names, sep="\n  ", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()
