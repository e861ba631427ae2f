"""Keeps README.md and lesson_notes.md true:  notes.py SOURCE TEST   (in build/)

Every block, name and link in them is held against the project itself; a miss
says where. What stands behind ``` decides what is done with a block:
  sh           its commands are run, in a copy of the project
  sh windows   the same, with MinGW's compiler
  gdb          what `make debug` shows; `2>` is a second terminal, and "..."
               what varies. Line numbers do not count; this renews them:
               notes.py SOURCE debugger_tour --write
  json         starts both programs in VS Code
  mermaid      a diagram: its functions exist
  picture      of two clients: console.sh compares it
Exit code 77: skipped.
"""
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

SOURCE = pathlib.Path(sys.argv[1]).resolve()
NOTES = "lesson_notes.md"
PYTHON = [f"tests/python_version/{name}.py" for name in ("server", "client")]
CODE = ["server.cpp", "client.cpp", "socket_compat.h", "Makefile", *PYTHON]
LIMIT = 60  # seconds; whatever takes longer hangs
MINGW = "x86_64-w64-mingw32-g++-posix"
PACKAGES = {MINGW: "g++-mingw-w64-x86-64-posix", "nc": "netcat-openbsd",
            "ctest": "cmake"}
# Names that the texts speak of, and that the project does not use.
KNOWN = set("""ipconfig epoll kqueue nc ncat socat skipped
cmd ciao yes MIMode""".split())
Block = namedtuple("Block", "text line kind of section lines")
programs = []  # all that we have started
misses = []


def miss(text, line, why):
    misses.append(f"{text}:{line}: {why}")


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            print(f"skipped: no {tool} (apt install {PACKAGES.get(tool, tool)})")
            sys.exit(77)


def read(name):
    return (SOURCE / name).read_text("utf8")


def parse():
    """All ``` blocks, and (text, number, line) of all that is outside."""
    found, prose = [], []
    for text in ("README.md", NOTES):
        inside, section = False, ""
        for number, line in enumerate(read(text).splitlines(), 1):
            if line.startswith("```"):
                inside = not inside
                kind, _, of = line[3:].partition(" ")
                if inside:
                    found.append(Block(text, number + 1, kind, of, section, []))
            elif inside:
                found[-1].lines.append(line)
            else:
                prose.append((text, number, line))
                section = line if line.startswith("#") else section
    return found, prose


BLOCKS, PROSE = parse()


def blocks(*kinds):
    found = [block for block in BLOCKS if block.kind in kinds]
    assert found, kinds
    return found


# --- form, names and links -----------------------------------------

def test_form():
    """Something checks each block, and each section asks a question."""
    for block in BLOCKS:
        if f" {block.kind} " not in __doc__:
            miss(block.text, block.line, f"nothing checks '{block.kind}'")
    for text, number, line in PROSE:
        if line.startswith("    ") and line.strip():
            miss(text, number, "an indented block: nothing checks it")
        if text == NOTES and line.startswith("##") and line[-1] != "?":
            miss(text, number, "this heading asks nothing")


def test_names():
    """Names in `code` in the prose, and in diagrams."""
    need("ctest")  # it knows all tests, where CMake has built them
    tests = re.findall(r"Test +#\d+: ((\w+)\.(\w+))", subprocess.check_output(
        ["ctest", "-N"], encoding="utf8"))
    tests = set().union(*tests)  # by their whole names, or without the subject
    code = "\n".join(map(read, CODE))  # a function is called somewhere: name(
    words = {"std", *re.findall(r"\w+", code), *re.findall(r"\w+\(", code)}

    def exists(name):
        if name.startswith("/"):  # what an exercise teaches the chat
            return name in read("tests/exercises/exercises.cpp")
        if re.search(r"/|\.(cpp|h|py|sh|md|gdb|html)$", name):
            return name.startswith("build/") or (SOURCE / name).exists()
        if name.startswith("make "):
            return f"\n{name.split()[1]}:" in read("Makefile")
        return (name in KNOWN or name in tests
                or words.issuperset(name.split("::")))

    spans = [(text, number, span) for text, number, line in PROSE
             for span in re.findall(r"`([^`]+)`", line)]
    spans += [(block.text, block.line, span) for block in blocks("mermaid")
              for span in re.findall(r"\w+\(\)", str(block.lines))]
    for text, number, span in spans:
        is_name = re.fullmatch(r"make .*|[\w./:]+(\(\))?", span)
        names = [span] if is_name else re.findall(r"\w+(?=\()", span)
        for name in names:
            name = re.sub(r"^(::|\./)|[:)]$", "", name)
            if re.search(r"[a-zA-Z]", name) and not exists(name):
                miss(text, number, f"no such name: {name}")
    for name in KNOWN - {span for _, _, span in spans}:
        misses.append(f"notes.py: KNOWN has {name}, and nobody speaks of it")


def test_links():
    sys.dont_write_bytecode = True
    sys.path.append(str(SOURCE / "tests/compare"))
    import compare
    page = compare.page([row for program in compare.PROGRAMS
                         for row in compare.compare(program)[0]])
    anchors = {"build/compare.html": set(re.findall(r'id="([^"]+)"', page))}
    for text, _, line in PROSE:
        if line.startswith("#"):
            title = re.sub(r"[^\w\- ]", "", line.strip("# ").lower())
            anchors.setdefault(text, set()).add(title.replace(" ", "-"))
    for text, number, line in PROSE:
        for target in re.findall(r"\]\((?!https:)([^)]+)\)", line):
            file, _, anchor = target.partition("#")
            if file and file not in anchors and not (SOURCE / file).exists():
                miss(text, number, f"no file '{file}'")
            elif anchor and anchor not in anchors[file or text]:
                miss(text, number, f"nothing is called '#{anchor}' there")


# --- commands ----------------------------------------------------------------

# Ports that are free now, in place of those in the texts.
PORTS = {port: str(socket.create_server(("127.0.0.1", 0)).getsockname()[1])
         for port in ("5300", "5301")}


def with_ports(line):
    return re.sub(r"\b530[01]\b", lambda match: PORTS[match[0]], line)


FOLDER = tempfile.TemporaryDirectory()


def built_copy():
    """In a folder of a kind that students have."""
    need("g++", "make")
    copy = pathlib.Path(FOLDER.name) / "è una copia (1)"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(
        ".git", "build*", "*.log", "server", "client", "node_modules"))
    subprocess.run(["make", "-s"], cwd=copy, check=True)
    return copy


class Program:
    """A command that runs, with a keyboard and a screen."""

    def __init__(self, command, folder):
        self.screen = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(
            ["bash", "-c", "exec " + with_ports(command)], cwd=folder,
            stdin=subprocess.PIPE, stdout=self.screen, stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", COLUMNS="999"))
        programs.append(self.process)

    def type(self, line):
        self.process.stdin.write(with_ports(line).encode() + b"\n")
        self.process.stdin.flush()

    def shown(self):
        self.screen.seek(0)
        return self.screen.read().decode("utf8", "replace")

    def expect(self, wanted, times=1):
        end = time.monotonic() + LIMIT
        while self.shown().count(wanted) < times:
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"never said '{wanted}': {self.shown()}")
            time.sleep(0.02)

    def end(self, number=None):
        if number:
            os.killpg(self.process.pid, number)
        if self.process.wait(LIMIT) != 0:
            raise RuntimeError(f"did not end with 0: {self.shown()}")


def run_command(command, folder, servers):
    """Runs one command as its reader would; whoever chats says a word."""
    # NOTE: `make test` is running us, and others take long: they are only read.
    command = re.sub(r"^make (?!run|compare)(?=\w)", "make -n ", command)
    command = command.replace("make run", "make run PORT=5300")
    chat = re.search(r"(?:\./|python3 .*)(server|client)\b|make run", command)
    program = Program(command, folder)
    if chat and "530" not in command:
        program.type("5300")  # it asks
    if chat and chat[1] == "server":
        program.expect("In attesa")
        servers.append(program)
        return
    for answer, line in [("CIAO!", "Anna"), ("Benvenuto Anna!", "ciao"),
                         ("Anna: ciao", "{quit}")] if chat else []:
        program.expect(answer)
        program.type(line)
    program.end()


def test_commands():
    """Those for Windows last: its compiler may be missing."""
    need("cmake")
    copy, section, servers = built_copy(), None, []
    for block in sorted(blocks("sh"), key=lambda block: block.of):
        if block.of == "windows" and not misses:
            need(MINGW)
        if block.section != section:
            for server in servers:
                server.end(signal.SIGINT)
            servers, section = [], block.section
        for i, line in enumerate(block.lines):
            command = re.sub(r"\s+#.*", "", line).strip()
            if block.of == "windows":
                command = command.replace("g++", MINGW, 1)
            try:
                run_command(command, copy, servers)
            except (RuntimeError, subprocess.TimeoutExpired) as fault:
                miss(block.text, block.line + i, f"{command}: {fault}")


# --- debuggers ---------------------------------------------------------------

NUMBER = r"((?:^|(?<=\.cpp:)|(?<=\.h:)|(?<=line ))\d+\b)"  # of a line


def masked(line):
    """Without line numbers, and without a comment in a line of source."""
    line = re.sub(r"^(\d+\s.*?)\s*//.*", r"\1", line)
    return " ".join(re.sub(NUMBER, "N", line).split())


def test_debugger_tour():
    need("gdb", "nc")
    lines, wanted, said = read(NOTES).splitlines(), [], []
    copy = built_copy()
    gdb = Program("gdb -nx -q -x tests/debug.gdb --args ./server 5300", copy)
    for at in [block.line - 1 + i for block in blocks("gdb")
               for i in range(len(block.lines))]:
        prompt, _, rest = lines[at].partition(" ")
        if lines[at].startswith("2> nc "):
            peer = Program(rest, copy)
        elif lines[at].startswith("2> shows: "):
            peer.expect(rest[7:] + "\n")
        elif prompt == "2>":
            peer.type(rest)
        else:
            wanted.append(at)
        if prompt == "(gdb)":
            said.append(lines[at])
            gdb.expect("(gdb) ", len(said))
            gdb.type(rest)
    gdb.end()
    said = [line for command, answer in
            zip(said, gdb.shown().split("(gdb) ")[1:])
            for line in [command, *answer.splitlines()]]
    # Left out, as the notes say: what gdb says of threads and libraries, and
    # the log, which may come a moment sooner or later.
    said = [line for line in said if line and not re.match(
        r"\[(Thread|New|Swi)|Using host|warning:|Run till|Continuing|Starting|"
        r"In attesa|.*127\.0\.0\.1:\d+\)? (si|ha) ", line)]
    for at, got in itertools.zip_longest(wanted, said, fillvalue=""):
        line = lines[at] if at else "the end"
        parts = map(re.escape, masked(line).split("..."))
        if not re.fullmatch(".*".join(parts), masked(got)):
            return miss(NOTES, at and at + 1, f"'{line}', but gdb says '{got}'")
        if "--write" in sys.argv:
            numbers = re.finditer(NUMBER, got)
            lines[at] = re.sub(NUMBER, lambda _: next(numbers)[0], line)
            (SOURCE / NOTES).write_text("\n".join(lines) + "\n", "utf8")


def test_launch_json():
    """Under the gdb that it names, each program comes to where it talks."""
    need("gdb")
    copy = built_copy()
    text = "\n".join(blocks("json")[0].lines)
    text = text.replace("${workspaceFolder}", str(copy))
    for one in json.loads(text)["configurations"]:
        where = {"server": "deliver", "client": "receive"}[one["name"]]
        gdb = Program(shlex.join([
            one["MIMode"], "-nx", "-batch", "-ex", f"break {where}",
            "-ex", "run", "--args", one["program"], *one["args"]]), one["cwd"])
        gdb.end()
        if f"Breakpoint 1, {where} ()" not in gdb.shown():
            misses.append(f"{NOTES}: not at {where}: {gdb.shown()}")
        if one["name"] == "server":  # the client wants one
            Program("./server 5300", copy).expect("In attesa")


signal.signal(signal.SIGINT, signal.default_int_handler)  # if it is ignored
try:
    globals()["test_" + sys.argv[2]]()
finally:
    for program in programs:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
for each in misses:
    print("FAILED:", each)
sys.exit(1 if misses else 0)
