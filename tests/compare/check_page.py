"""Writes build/compare.html and opens it in headless Chromium, in two widths,
light and dark: all of the sources is there, twins stand side by side, nothing
overflows, every link leads somewhere. Exit code 77: skipped."""
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from compare import HEADER, PAGE, PROGRAMS, ROOT, main as write_page

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --hide-scrollbars --dump-dom""".split()
# Goes into a copy of the page, and writes its findings at the end of it. The
# margin is the place of the scroll bar, which a headless browser has not.
MEASURE = """<style>html { margin-right: 16px }</style>
<script>onload = () => {
  const all = query => [...document.querySelectorAll(query)];
  const box = element => element.getBoundingClientRect();
  const style = element => getComputedStyle(element);
  const wrong = [], ids = all("[id]").map(element => element.id), text = {};
  for (const element of all("body *"))
    if (box(element).right > innerWidth - 15
        || element.scrollWidth > element.clientWidth + 1
           && style(element).display != "inline")
      wrong.push("overflows: " + element.textContent.slice(0, 60));
  for (const line of all("code"))
    if (line.textContent.trimEnd().length <= 80
        && box(line).height > 1.5 * parseFloat(style(line).lineHeight))
      wrong.push("is wrapped: " + line.textContent.trim());
  for (const { children: [left, right] } of all(".sides"))
    if (box(left).top != box(right).top || box(left).right > box(right).left)
      wrong.push("not side by side: " + left.textContent.slice(0, 60));
  for (const link of all("a"))
    if (!ids.includes(link.hash.slice(1)))
      wrong.push("leads nowhere: " + link.hash);
  for (const id of ids)
    if (ids.indexOf(id) != ids.lastIndexOf(id))
      wrong.push("is there twice: #" + id);
  for (const { dataset: { file }, textContent } of all("pre"))
    text[file] = (text[file] || "") + textContent;
  const [back] = style(document.documentElement).backgroundColor.match(/\\d+/);
  const found = document.createElement("pre");
  found.id = "found";
  found.textContent = JSON.stringify({wrong, ids, text, width: innerWidth,
                                      dark: back < 128});
  document.body.append(found);
}</script>"""


def look(chromium, width, dark):
    """What is wrong with the page in a window of that width."""
    # Beside the page, since a Chromium from a snap sees no other /tmp.
    directory = pathlib.Path(tempfile.mkdtemp(dir=PAGE.parent))
    try:
        copy = directory / "measured.html"
        copy.write_text(PAGE.read_text("utf8") + MEASURE, "utf8")
        dom = subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={directory}/user",
             f"--blink-settings=preferredColorScheme={0 if dark else 1}",
             f"--window-size={width},1080", copy.as_uri()], timeout=100,
            capture_output=True, encoding="utf8", errors="replace").stdout
    finally:
        # Chromium's last processes can still be writing into it.
        shutil.rmtree(directory, ignore_errors=True)
    found = re.search('<pre id="found">(.*?)</pre>', dom, re.S)
    if not found:
        return ["Chromium did not open the page"]
    found = json.loads(html.unescape(found[1]))
    wrong = found["wrong"]
    if (found["width"], found["dark"]) != (width, dark):
        wrong.append("it has another width or theme")
    for program in PROGRAMS:
        python = ROOT / "tests" / "python_version" / f"{program}.py"
        files, names = [python, ROOT / f"{program}.cpp"], ["main"]
        if program == HEADER:
            files, names = [ROOT / f"{program}.h"], []
        for file in files:
            text = file.read_text("utf8")
            if found["text"].get(file.name, "").rstrip() != text.rstrip():
                wrong.append(f"not all of {file.name}, or in another order")
            names += re.findall(r"^(?:def|inline .*?)\b(\w+)\(.*[:{}]$",
                                text, re.M)
        for name in names:
            if not {name, f"{program}-{name}"} & set(found["ids"]):
                wrong.append(f"no #{name}")
    for text in ROOT.glob("*.md"):
        for link in re.findall(r"compare\.html#([\w-]+)",
                               text.read_text("utf8")):
            if link not in found["ids"]:
                wrong.append(f"{text.name} links to #{link}")
    return wrong


def main():
    chromium = next(filter(None, map(shutil.which, [
        "chromium", "chromium-browser", "google-chrome", "chrome"])), None)
    if not chromium:
        print("skipped: no chromium (apt install chromium)")
        sys.exit(77)
    write_page()
    failed = False
    for width in (1920, 1280):
        for dark in (False, True):
            for wrong in look(chromium, width, dark):
                print(f"{width} pixels, dark {dark}: {wrong}")
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
