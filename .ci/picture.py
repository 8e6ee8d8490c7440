"""Draws .ci/report.png, the README's picture of a report: three trainings of the built-in demo in a browser.

    .ci/picture.py

Needs chromium, and ffmpeg for the videos.
"""
import base64
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from test_gym_monitor import Browser, gym_monitor  # noqa: E402


def packed(picture):
    """The same picture with a palette of 256 colours, in a third of the bytes."""
    palette = "split[a][b];[a]palettegen[colours];[b][colours]paletteuse=dither=none"
    return subprocess.run(["ffmpeg", "-v", "error", "-f", "png_pipe", "-i", "-", "-vf", palette, "-f", "image2pipe",
                           "-c:v", "png", "-"], input=picture, stdout=subprocess.PIPE, check=True).stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        for seed in (1, 2, 5):
            gym_monitor.demo(os.path.join(folder, "lander_seed%d" % seed), seed=seed)
        page = os.path.join(folder, "page.html")
        gym_monitor.main(["report", folder, "--html", page])
        browser = Browser(os.path.join(folder, "profile"))
        browser.send("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(page)
        browser.send("Emulation.setDeviceMetricsOverride", width=1000, height=1250, deviceScaleFactor=1, mobile=False)
        time.sleep(2)       # the videos load
        browser.run("document.querySelectorAll('video').forEach(one => { one.currentTime = .8 * one.duration || 0; })")
        time.sleep(2)
        picture = packed(base64.b64decode(browser.send("Page.captureScreenshot", format="png")["data"]))
        browser.process.communicate(timeout=60)
    with open(os.path.join(HERE, "report.png"), "wb") as file:
        file.write(picture)
    print("report.png: %d kB" % (len(picture) // 1000))
    if len(picture) > 150000:
        sys.exit("the picture is larger than the README should load")


if __name__ == "__main__":
    main()
