"""Keeps README.md and lesson_notes.md true:  notes.py SOURCE TEST

Every block, name and link in them is held against the project itself; a miss
says where. What stands behind ``` decides what is done with a block:
  sh             its commands are run, in a copy of the project
  sh windows     the same, with MinGW's compiler
  cpp FILE       (or python FILE) it stands in FILE word for word; a line
                 "..." leaves lines out
  gdb            a session with the server; `2>` is a second terminal
  seen NAME      what an experiment shows: experiments/run.sh compares it
  mermaid        a diagram: its functions exist
  picture        a terminal: console.sh compares it
In what a block shows, "..." stands for what varies.
    notes.py SOURCE debugger_tour --write    renews line numbers in the tour
Exit code 77: skipped.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(sys.argv[1]).resolve()
TEXTS = ["README.md", "lesson_notes.md"]
CODE = ["server.cpp", "client.cpp", "socket_compat.h", "Makefile",
        "tests/python_version/server.py", "tests/python_version/client.py"]
LIMIT = 120  # seconds; whatever takes longer hangs
# Names that the texts speak of, and that the project does not use.
KNOWN = set("""ipconfig ssize_t threading.Condition epoll kqueue step up backtrace
bt ciao skipped""".split())

misses = []


def miss(text, line, why):
    misses.append(f"{text}:{line}: {why}")


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            skip(f"no {tool}")


def read(name):
    return (SOURCE / name).read_text("utf8")


class Block:
    def __init__(self, text, line, kind, section):
        self.text, self.line, self.section = text, line, section
        self.kind, _, self.of = kind.partition(" ")
        self.lines = []


def blocks(text):
    """The ``` blocks of a text, each with the number of its first line."""
    found, block, section = [], None, ""
    for number, line in enumerate(read(text).splitlines(), 1):
        if line.startswith("```"):
            if block:
                found.append(block)
                block = None
            else:
                block = Block(text, number + 1, line[3:].strip(), section)
        elif block:
            block.lines.append(line)
        elif line.startswith("#"):
            section = line
    return found


def prose(text):
    """(number, line) of all that stands outside of blocks."""
    inside = False
    for number, line in enumerate(read(text).splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def pattern(expected):
    """A regular expression for a line in which "..." stands for anything."""
    return ".*".join(re.escape(part) for part in expected.split("..."))


# --- blocks ------------------------------------------------------------------

def test_every_block_is_checked():
    kinds = ["sh", "cpp", "python", "gdb", "seen", "mermaid", "picture"]
    for text in TEXTS:
        for block in blocks(text):
            if block.kind not in kinds:
                miss(text, block.line, f"nothing checks a block '{block.kind}'")
        for number, line in prose(text):
            if line.startswith("    ") and line.strip():
                miss(text, number, "an indented block: nothing checks it")


def test_excerpts():
    count = 0
    for text in TEXTS:
        for block in blocks(text):
            if block.kind not in ("cpp", "python"):
                continue
            count += 1
            if not (SOURCE / block.of).is_file():
                miss(text, block.line, f"no file '{block.of}'")
                continue
            lines, at = read(block.of).splitlines(), 0
            for piece in "\n".join(block.lines).split("\n...\n"):
                piece = piece.split("\n")
                at = next((i + len(piece) for i in range(at, len(lines))
                           if lines[i:i + len(piece)] == piece), None)
                if at is None:
                    miss(text, block.line, f"not in {block.of}: {piece[0]} ...")
                    break
    assert count > 0


# --- names and links ---------------------------------------------------------

def test_names():
    """Names in `code` in the prose, and in diagrams."""
    code = "\n".join(read(file) for file in CODE)
    words = set(re.findall(r"\w+", code))
    tests = all_tests()
    used = set()

    def exists(span):
        if span in KNOWN:
            used.add(span)
            return True
        if span in tests or span in {name.split(".")[1] for name in tests}:
            return True
        if (SOURCE / "tests/bench/variants" / (span + ".patch")).exists():
            return True
        if span.startswith("/"):  # what an exercise teaches the chat
            return span in read("tests/exercises/exercises.cpp")
        if re.search(r"/|\.(cpp|h|py|sh|md|patch|txt)$", span):
            return (SOURCE / span).exists()
        return all(word in words for word in span.replace("std::", "").split("::"))

    count = 0
    for text in TEXTS:
        spans = [(number, span) for number, line in prose(text)
                 for span in re.findall(r"`([^`]+)`", line)]
        for block in blocks(text):
            if block.kind == "mermaid":
                spans += [(block.line + i, span) for i, line
                          in enumerate(block.lines)
                          for span in re.findall(r"(\w+\(\))", line)]
        for number, span in spans:
            count += 1
            names = [span]
            if span.startswith("make "):
                target = span.split()[1]
                names = []
                if not re.search(rf"^{target}:", read("Makefile"), re.M):
                    miss(text, number, f"no 'make {target}'")
            elif not re.fullmatch(r"[\w./:]+(\(\))?", span):
                names = re.findall(r"\w+(?=\()", span)  # called in there
            for name in names:
                name = re.sub(r"^(::|\./)|(:|\(\))$", "", name)
                if re.search(r"[a-zA-Z]", name) and not exists(name):
                    miss(text, number, f"no such name: {name}")
    for name in sorted(KNOWN - used):
        misses.append(f"notes.py: KNOWN has {name}, and nobody speaks of it")
    assert count > 0


def test_twins():
    """Every function and global of the Python version is spoken of."""
    table = "\n".join(line for _, line in prose("lesson_notes.md"))
    for file in CODE:
        if not file.endswith(".py"):
            continue
        code = read(file)
        for name in re.findall(r"^def (\w+)", code, re.M) \
                + re.findall(r"^(\w+) = ", code, re.M):
            if f"`{name}`" not in table:
                misses.append(f"lesson_notes.md: no twin of {name} in {file}")


def all_tests():
    """The names of all tests, found as CMakeLists.txt does."""
    names = {"fuzz.replay", "fuzz.text"}
    tests = SOURCE / "tests"
    for file in [*tests.glob("test_*.cpp"), *tests.glob("fuzz/*.cpp")]:
        names |= {file.stem.replace("test_", "") + "." + name for name in
                  re.findall(r"^TEST\((\w+)\)", file.read_text(), re.M)}
    for prefix, file in [("build", "build.sh"), ("console", "console.sh"),
                         ("messages", "messages.sh")]:
        names |= {prefix + "." + name for name in
                  re.findall(r"^([a-z_0-9]+)\)$", read("tests/" + file), re.M)}
    for prefix in ("experiment", "exercise"):
        names |= {prefix + "." + file.stem for file in
                  (SOURCE / "tests" / (prefix + "s")).glob("*.patch")}
    return names | {"notes." + name for name in all_notes_tests()}


def all_notes_tests():
    return [name[5:] for name in globals() if name.startswith("test_")]


def test_links():
    def anchors(text):
        titles = [line.lstrip("#").strip() for _, line in prose(text)
                  if line.startswith("#")]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
                for title in titles}

    for text in TEXTS:
        for number, line in prose(text):
            for target in re.findall(r"\]\(([^)]+)\)", line):
                file, _, anchor = target.partition("#")
                if target.startswith("https://"):
                    continue
                if file and not (SOURCE / file).exists():
                    miss(text, number, f"no file '{file}'")
                elif anchor and anchor not in anchors(file or text):
                    miss(text, number, f"no section '#{anchor}'")


# --- commands ----------------------------------------------------------------

def free_ports():
    """Of this machine, in place of those in the texts."""
    ports = {}
    with socket.socket() as one, socket.socket() as two:
        for text, s in ("5300", one), ("5301", two):
            s.bind(("127.0.0.1", 0))
            ports[text] = str(s.getsockname()[1])
    return ports


def with_ports(line, ports):
    return re.sub(r"\b530[01]\b", lambda match: ports[match[0]], line)


def copy_project(folder):
    copy = pathlib.Path(folder) / "chat"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(
        ".git", "build*", "*.log", "server", "client", "__pycache__"))
    return copy


class Program:
    """A command that runs, with a keyboard and a screen."""

    def __init__(self, command, folder):
        self.screen = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(
            ["bash", "-c", "exec " + command], cwd=folder,
            stdin=subprocess.PIPE, stdout=self.screen,
            stderr=subprocess.STDOUT, start_new_session=True)

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def shown(self):
        self.screen.seek(0)
        return self.screen.read().decode("utf8", "replace")

    def expect(self, wanted):
        end = time.monotonic() + LIMIT
        while wanted not in self.shown():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"never said '{wanted}': {self.shown()}")
            time.sleep(0.02)

    def end(self, number=None):
        if number:
            os.killpg(self.process.pid, number)
        if self.process.wait(LIMIT) != 0:
            raise RuntimeError(f"exit code {self.process.returncode}: "
                               + self.shown())


def run_command(command, folder, ports, servers):
    """Runs one command as its reader would; who chats says a word."""
    # NOTE: we are in one of the tests that `make test` runs.
    command = re.sub(r"^make test\b", "make --dry-run test", command)
    if command.startswith("make run"):
        command += " PORT=5300"
    program = Program(with_ports(command, ports), folder)
    has_port = re.search(r"\b530[01]\b", command)
    if re.search(r"(\./server|server\.py)\b", command):
        if not has_port:
            program.type(ports["5300"])  # it asks
        program.expect("In attesa")
        servers.append(program)
        return
    if re.search(r"(\./client|client\.py|make run)\b", command):
        if not has_port:
            program.type(ports["5300"])
        program.expect("CIAO!")
        program.type("Anna")
        program.expect("Benvenuto Anna!")
        program.type("ciao")
        program.expect("Anna: ciao")
        program.type("{quit}")
    program.end()


def test_commands():
    need("g++", "make", "cmake", "python3", "x86_64-w64-mingw32-g++-posix")
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_project(folder)
        subprocess.run(["make", "-s"], cwd=copy, check=True)
        for text in TEXTS:
            servers, section, ports = [], None, free_ports()
            for block in blocks(text) + [Block(text, 0, "sh", "the end")]:
                if block.section != section:
                    for server in servers:
                        server.end(signal.SIGINT)
                    servers, section = [], block.section
                for i, line in enumerate(block.lines):
                    command = re.sub(r"\s+#.*", "", line).strip()
                    if block.kind != "sh" or not command:
                        continue
                    if block.of == "windows":
                        command = command.replace(
                            "g++", "x86_64-w64-mingw32-g++-posix", 1)
                    count += 1
                    try:
                        run_command(command, copy, ports, servers)
                    except (RuntimeError, subprocess.TimeoutExpired) as fault:
                        miss(text, block.line + i, f"{command}: {fault}")
    assert count > 0


# --- the debugger tour -------------------------------------------------------

SETTINGS = """set confirm off
set width 0
set print thread-events off
set debuginfod enabled off
handle SIGINT nostop noprint pass
set trace-commands on
"""


def gdb_script(session, ports):
    """The commands of the session; the second terminal's become a netcat that
    reads from a pipe, and a look at what it shows."""
    script = SETTINGS
    for _, line in session:
        line = with_ports(line, ports)
        if line.startswith("(gdb) "):
            script += line[6:] + "\n"
        elif line.startswith("2> nc "):
            script += f"shell {line[3:]} < keys > screen 2>&1 &\n"
        elif line.startswith("2> shows: "):
            script += ("shell for i in $(seq 500); do"
                       f" grep -qxF '{line[10:]}' screen && exit; sleep .02;"
                       " done; echo '2> never shows it'\n")
        elif line.startswith("2> "):
            script += f"shell echo '{line[3:]}' > keys\n"
    return script


def run_gdb(session):
    """What gdb says, each command in front of its answer."""
    ports = free_ports()
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_project(folder)
        subprocess.run(["make", "-s"], cwd=copy, check=True)
        (copy / "script").write_text(gdb_script(session, ports))
        os.mkfifo(copy / "keys")
        keys = os.open(copy / "keys", os.O_RDWR)  # so that nobody waits
        with open(copy / "said", "w+", encoding="utf8") as said:
            process = subprocess.Popen(
                ["gdb", "-nx", "-q", "-batch", "-x", "script", "./server"],
                cwd=copy, stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
                env=dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb"))
            try:
                process.wait(LIMIT)
            finally:
                end_group(process)
                os.close(keys)
            said.seek(0)
            lines = said.read().replace(ports["5300"], "5300").splitlines()
    lines = [line for line in lines if line and not re.match(
        r"\+shell |\[Thread debugging|Using host libthread|warning: "
        r"|In attesa |127.0.0.1:\d+ si è collegato", line)]  # the log: see there
    return [re.sub(r"^\+", "(gdb) ", line) for line in lines]


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended


def test_debugger_tour():
    need("gdb", "g++", "make", "nc")
    text = "lesson_notes.md"
    session = [(block.line + i, line) for block in blocks(text)
               if block.kind == "gdb" for i, line in enumerate(block.lines)]
    assert session
    real = run_gdb(session)
    wanted = [(n, line) for n, line in session if not line.startswith("2> ")]
    if "--write" in sys.argv:
        return renew_line_numbers(text, wanted, real)
    for (number, line), got in zip(wanted, real + ["(the end)"]):
        if not re.fullmatch(pattern(line), got):
            miss(text, number, f"'{line}', but gdb says '{got}'")
            break
    if not misses and len(real) != len(wanted):
        miss(text, wanted[-1][0], f"{len(real)} lines, not {len(wanted)}")
    if misses:
        print("\n".join(real))


def renew_line_numbers(text, wanted, real):
    lines = read(text).splitlines()
    numbers = r"((?:^|(?<=\.cpp:)|(?<=\.h:)|(?<=line ))\d+)"
    for (number, line), got in zip(wanted, real):
        parts = re.split(numbers, line)
        match = re.fullmatch("".join(
            r"(\d+)" if i % 2 else pattern(part)
            for i, part in enumerate(parts)), got)
        if match:
            parts[1::2] = match.groups()
            lines[number - 1] = "".join(parts)
    (SOURCE / text).write_text("\n".join(lines) + "\n", "utf8")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2] not in all_notes_tests():
        sys.exit("notes.py SOURCE TEST, one of: "
                 + " ".join(all_notes_tests()))
    globals()["test_" + sys.argv[2]]()
    for line in misses:
        print("FAILED:", line)
    sys.exit(1 if misses else 0)
