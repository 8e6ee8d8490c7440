"""Runs a notebook whose cell ends in a report and looks at the page that comes of it in a browser.

    .ci/notebook_check.py

Needs jupyter nbconvert and ipykernel beside this interpreter, chromium, and ffmpeg. Exit status 0 when the report and
playable videos are there.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from test_gym_monitor import CARD, MARK, Browser, gym_monitor

LABELS = "[...document.querySelectorAll('g[role=img]')].map(one => one.getAttribute('aria-label'))"
PLAYABLE = """Promise.all([...document.querySelectorAll('video')].map(video => new Promise(done => {
  video.addEventListener('loadeddata', () => done(true));
  video.addEventListener('error', () => done(false));
  video.preload = 'auto';
  video.load();
})))"""


def convert(folder, directory):
    """The path of the web page that nbconvert makes of the executed notebook."""
    source = "import sys\nsys.path.insert(0, %r)\nimport gym_monitor\ngym_monitor.report(%r)" % (
        os.path.dirname(os.path.abspath(gym_monitor.__file__)), directory)
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = os.path.join(folder, "look.ipynb")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}, file)
    subprocess.run([sys.executable, "-m", "jupyter", "nbconvert", "--execute", "--to", "html", path], check=True)
    return os.path.join(folder, "look.html")


def main():
    with tempfile.TemporaryDirectory() as folder:
        gym_monitor.demo(os.path.join(folder, "run"), 30)
        page = convert(folder, os.path.join(folder, "run"))
        browser = Browser(os.path.join(folder, "profile"))
        browser.send("Network.setBlockedURLs", urls=["http*"])  # what the notebook's own page would fetch
        browser.open(page)
        in_frame = "(document => %s)(document.querySelector('iframe').contentDocument)"
        labels, videos = browser.run(in_frame % LABELS), browser.run(in_frame % PLAYABLE)
        browser.document = "document.querySelector('iframe').contentDocument"
        browser.click(MARK)
        focused = browser.run(in_frame % ("document.activeElement.matches(%r)" % CARD))
        browser.process.communicate(timeout=60)
    print("notebook: %s; %d playable videos" % (labels, len(videos)))
    if not (labels and videos and all(videos) and focused):
        sys.exit("the report in the notebook's page is not as it should be")


if __name__ == "__main__":
    main()
