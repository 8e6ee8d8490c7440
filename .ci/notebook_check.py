"""Runs a notebook whose cell ends in a report and looks at the page that comes of it in a browser.

    .ci/notebook_check.py [DIR]

Needs jupyter nbconvert and ipykernel beside this interpreter, chromium, and ffmpeg. DIR is a recorded
directory with an .mp4; without it one is written. Exit status 0 when report and playable videos are there.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from test_gym_monitor import PLAYABLE, Browser, gym_monitor, mp4, write_run, write_video


def notebook(source):
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}


def convert(folder, directory):
    """The path of the web page that nbconvert makes of the executed notebook."""
    module = os.path.abspath(gym_monitor.__file__)
    source = "import sys\nsys.path.insert(0, %r)\nimport %s as gym_monitor\ngym_monitor.report(%r)" % (
        os.path.dirname(module), os.path.splitext(os.path.basename(module))[0], directory)
    path = os.path.join(folder, "look.ipynb")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(notebook(source), file)
    jupyter = [sys.executable, "-m", "jupyter", "nbconvert", "--execute", "--to", "html", path]
    subprocess.run(jupyter, check=True)
    return os.path.join(folder, "look.html")


def look(page):
    """What the report's frame shows: heading, curves' labels, videos' readiness, what a mark leads to."""
    browser = Browser()
    try:
        browser.send("Network.setBlockedURLs", urls=["http*"])      # what the notebook's own page would fetch
        browser.open(page)
        in_frame = "(document => %s)(document.querySelector('iframe').contentDocument)"
        heading = browser.run(in_frame % "document.querySelector('h1').innerText")
        labels = browser.run(in_frame % (
            "[...document.querySelectorAll('g[role=img]')].map(one => one.getAttribute('aria-label'))"))
        videos = browser.run(in_frame % PLAYABLE)
        browser.run(in_frame % "document.querySelector('.mark').dispatchEvent("
                    "new MouseEvent('click', {bubbles: true, cancelable: true}))")
        return heading, labels, videos, browser.run(in_frame % "document.activeElement.className")
    finally:
        browser.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        directory = sys.argv[1] if len(sys.argv) > 1 else write_run(os.path.join(folder, "run"), range(30))
        if len(sys.argv) < 2:
            write_video(directory, 8, ".mp4", mp4())
        heading, labels, videos, focused = look(convert(folder, directory))
    print("notebook: %s; %s; %d playable videos" % (heading, labels, len(videos)))
    if not (labels and videos and all(videos) and focused == "card"):
        sys.exit("the report in the notebook's page is not as it should be")


if __name__ == "__main__":
    main()
