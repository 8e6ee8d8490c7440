"""The specification of gym_monitor, as tests: real files, real processes, the real ffmpeg where there is one.

Run it with `python -m pytest`. A test that needs ffmpeg, numpy, Pillow, gymnasium or another package is skipped where
that is missing, and its reason says what to install. The tests follow the order of the promises: names, the contract of
an episode, arguments, directories, files, videos, results; then faults, the packages around, and the report.
"""
import collections
import contextlib
import copy
import csv
import ctypes
import enum
import fractions
import gc
import importlib
import importlib.util
import inspect
import io
import itertools
import json
import linecache
import math
import multiprocessing
import operator
import os
import pathlib
import pickle
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import types
import urllib.parse
import zlib

import pytest

import gym_monitor
from gym_monitor import (
    DependencyNotInstalled,
    Error,
    Monitor,
    ResetNeeded,
    StatsRecorder,
    VectorMonitor,
    VideoRecorder,
    capped_cubic_video_schedule,
    clear_monitor_files,
    detect_monitor_files,
    detect_training_manifests,
    disable_videos,
    load_results,
    report,
)

needs_ffmpeg = pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
                                  reason="needs ffmpeg and ffprobe: apt-get install ffmpeg")
forks_are_told = pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs CPython 3.7 or later")
MODULE = os.path.abspath(gym_monitor.__file__)
FFMPEG = shutil.which("ffmpeg")
TOOLS = {name: shutil.which(name) for name in ("cat", "grep", "head", "sleep", "touch", "yes", "ffprobe")}
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


# ---------------------------------------------------------------------------------------------------------------------
# Tiny environments and helpers, for all tests
# ---------------------------------------------------------------------------------------------------------------------

class Walk:
    """Episodes of a fixed length; the reward of a step is its number. A step has five values, as in gymnasium."""

    def __init__(self, length=3, info=None):
        self.length, self.info, self.steps, self.closed = length, info or {}, 0, 0

    def reset(self, **kwargs):
        self.steps, self.options = 0, kwargs
        return "first", {}

    def step(self, action):
        self.steps += 1
        return self.steps, float(self.steps), self.steps == self.length, False, dict(self.info)

    def close(self):
        self.closed += 1


class OldWalk(Walk):
    """The same with four values per step, as in gym."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, int(reward), terminated or truncated, info


def picture(value=0, width=8, height=6):
    return memoryview(bytes([value % 256]) * (3 * width * height)).cast("B", [height, width, 3])


class Picture(Walk):
    """Draws: each step of an episode is of another grey."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}
    render_mode, draw = "rgb_array", staticmethod(picture)

    def render(self):
        return self.draw(self.steps)


class Autoreset(Picture):
    """The step that cuts an episode off begins the next one."""

    metadata = dict(Picture.metadata, **{"semantics.autoreset": True})

    def step(self, action):
        observation, reward, over, _, info = super().step(action)
        self.steps %= self.length
        return observation, reward, False, over, info


class RandomWalk(Picture):
    """Random rewards, so an episode that is lost, doubled or mixed up shows. It keeps the returns of all itself."""

    def __init__(self, length=3, seed=0, draw=picture):
        super().__init__(length)
        self.random, self.draw, self.rewards, self.returns = random.Random(seed), draw, [], []

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        self.rewards = self.rewards[:self.steps - 1] + [self.random.uniform(-1, 1)]
        if terminated:
            self.returns.append(sum(self.rewards, 0.0))
        return observation, self.rewards[-1], terminated, truncated, info


def frame(height, width, channels, colour):
    """A frame as the standard library has it: a memoryview of three dimensions."""
    pixels = bytes(value for row in range(height) for column in range(width)
                   for value in tuple(colour(row, column))[:channels])
    return memoryview(pixels).cast("B", [height, width, channels])


def drawing(render, **attributes):
    """A walk with a `render`, and attributes that tell of it."""
    env = Walk()
    vars(env).update(attributes, render=render)
    return env


def every(episode_id):
    return True


def play(env, episodes=1):
    for _ in range(episodes):
        env.reset()
        done = False
        while not done:
            done = any(env.step(0)[2:-1])


def failing(method, fault, at):
    """The same method, but its call number `at`, counted from 1, raises."""
    calls = itertools.count(1)

    def call(*args, **kwargs):
        if next(calls) == at:
            raise fault
        return method(*args, **kwargs)
    return call


def files(directory, ending=""):
    return sorted(name for name in os.listdir(str(directory)) if name.endswith(ending))


def load(*path):
    with open(os.path.join(*map(str, path))) as file:
        return json.load(file)


def read_json(directory, ending):
    return load(directory, *files(directory, ending))


def metadata_of(directory):
    return [load(directory, name) for name in files(directory, ".meta.json")]


def journal_rows(directory):
    """The header of the only journal in a directory, and its rows."""
    with open(os.path.join(str(directory), *files(directory, ".monitor.csv")), newline="") as file:
        return json.loads(file.readline()[1:]), list(csv.DictReader(file))


def probe(path):
    """What ffprobe says of a video: a dictionary in which `frames` is the number of those that can be decoded."""
    found, = json.loads(subprocess.check_output([
        "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "json", "-show_streams", str(path)
    ]).decode())["streams"]
    return dict(found, frames=int(found["nb_read_frames"]))


def decode(path, index, size):
    """The pixels of one frame of a video, as rows of (r, g, b)."""
    width, height = size
    raw = subprocess.check_output([FFMPEG, "-v", "error", "-i", str(path), "-vf", f"select=eq(n\\,{index})",
                                   "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    assert len(raw) == 3 * width * height
    return [[tuple(raw[3 * (row * width + column):][:3]) for column in range(width)] for row in range(height)]


def png_frames(path):
    """The shape of an animated PNG and its frames with their seconds, decoded here by the letter of the standard."""
    chunks = []
    with open(str(path), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
        for start in iter(lambda: file.read(8), b""):
            length, kind = struct.unpack(">I4s", start)
            chunks.append((kind, file.read(length)))
            assert file.read(4) == struct.pack(">I", zlib.crc32(kind + chunks[-1][1]))
    (first, header), (second, control), *middle, last = chunks
    assert (first, second, last) == (b"IHDR", b"acTL", (b"IEND", b""))
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", header)
    assert depth == 8 and methods == [0, 0, 0]
    channels = {0: 1, 2: 3, 6: 4}[colour]
    canvas, found, sequence = bytearray(width * height * channels), [], 0
    for kind, body in middle:
        if kind != b"IDAT":  # the others are numbered
            assert body[:4] == struct.pack(">I", sequence)
            body, sequence = body[4:], sequence + 1
        if kind == b"fcTL":
            w, h, x, y, numerator, denominator, *how = struct.unpack(">IIIIHHBB", body)
            assert how == [0, 0]
            continue
        raw, stride = zlib.decompress(body), 1 + w * channels
        for row in range(h):
            assert raw[row * stride] == 0  # not filtered
            start = ((y + row) * width + x) * channels
            canvas[start:start + w * channels] = raw[row * stride + 1:(row + 1) * stride]
        found.append((bytes(canvas), numerator / denominator))
    assert struct.unpack(">II", control) == (len(found), 0)
    return (width, height, channels), found


def frames_of(path):
    return len(png_frames(path)[1]) if path.endswith(".png") else probe(path)["frames"]


def returns_of(seed, length=3, episodes=3):
    walk = RandomWalk(length, seed)
    play(walk, episodes)
    return walk.returns


def returns_in(directory):
    return load_results(str(directory))["episode_rewards"]


def returns_for_gym(directory):
    """The returns in a directory as gym 0.21 finds them: by every manifest, and the statistics that it names."""
    return [reward for path in detect_training_manifests(directory)
            for reward in load(directory, load(path)["stats"])["episode_rewards"]]


def check_run(directory, returns, ending="", frames=()):
    """A finished run has these returns, and whole videos of so many frames, and gym's reader finds the same."""
    assert returns_in(directory) == returns_for_gym(directory) == returns
    videos = load_results(directory)["videos"]
    assert [frames_of(video) for video, _ in videos] == list(frames)
    assert {os.path.splitext(video)[1] for video, _ in videos} <= {ending}
    assert [list(map(os.path.basename, pair)) for pair in videos] == read_json(directory, ".manifest.json")["videos"]


SCRIPT = "\n".join(["import gc, json, multiprocessing, os, random, runpy, signal, subprocess, sys, threading, time",
                    "import gym_monitor", "from gym_monitor import Monitor, StatsRecorder, VideoRecorder", ""] +
                   [inspect.getsource(source) for source in (Walk, picture, Picture, RandomWalk, every, play)])


def begin(source, *arguments, before="", **options):
    """Start a script in an interpreter of its own. It has some of the environments and helpers from above."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", before + SCRIPT + textwrap.dedent(source)] + list(map(str, arguments)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=os.path.dirname(MODULE), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1"),
        **options)


def run_script(source, *arguments, **options):
    """Run one to its end: exit status, standard output and standard error."""
    script = begin(source, *arguments, **options)
    try:
        out, err = script.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        script.kill()
        pytest.fail("the script hangs: " + script.communicate()[1])
    return script.returncode, out, err


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def fresh_start(monkeypatch):
    """Warnings that were given once, and what is known of ffmpegs, are as in a new process."""
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    gym_monitor._warned.clear()
    gym_monitor._ask_ffmpeg.cache_clear()


@pytest.fixture
def ctrl_c():
    """The signal of Ctrl-C, which children heed (a job in the background of a shell inherits that it is ignored)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(tmp_path):
    """The path of a directory that is not there yet."""
    return str(tmp_path / "run")


@pytest.fixture(params=["in memory", "in a directory"])
def anywhere(request, run):
    """The directory of a monitor, or None: statistics are the same with files and without."""
    return run if request.param == "in a directory" else None


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


@pytest.fixture(params=[pytest.param(".mp4", marks=needs_ffmpeg), ".png"])
def encoder(request, monkeypatch, tmp_path):
    """The ending of the videos: the test runs with ffmpeg and without."""
    if request.param == ".png":
        monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return request.param


@pytest.fixture
def processes(monkeypatch, tmp_path):
    """A function that finds the processes of this test that are still there, zombies included."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("there is no /proc here: use Linux")
    monkeypatch.setenv("TEST_IN", str(tmp_path))

    def find():
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as status:
                ours = status.read().rpartition(")")[2].split()[1] == str(os.getpid())
                with open(f"/proc/{pid}/environ") as environment:
                    if ours or f"TEST_IN={tmp_path}\0" in environment.read():
                        found.add(pid)
        return found

    before = find()
    return lambda: find() - before


@pytest.fixture
def fake_ffmpeg(monkeypatch, tmp_path):
    """A function that puts a shell script in the place of ffmpeg, on a PATH without another one."""
    def install(script, mode=0o755):
        program = tmp_path / "bin" / "ffmpeg"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(mode)
        return str(program)

    (tmp_path / "bin").mkdir()
    for name in filter(TOOLS.get, TOOLS):
        (tmp_path / "bin" / name).symlink_to(TOOLS[name])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 60.0)  # a slow machine is not taken for a script that hangs
    return install


# ---------------------------------------------------------------------------------------------------------------------
# Names, and the file they stand in
# ---------------------------------------------------------------------------------------------------------------------

START = "directory=None, video_callable=None, force=False, resume=False, write_upon_reset=False, uid=None, mode=None"
SIGNATURES = {
    "Monitor": f"env, {START}, *, allow_early_resets=True, step_trigger=None, video_length=None, fps=None, "
               "stats_key='episode', info_keywords=(), keep_video=None",
    "VectorMonitor": f"env, {START}, *, ", "Monitor.start": "self, " + START.replace("=None", "", 1),
    "StatsRecorder": "directory, file_prefix, autoreset=False, env_id=None",
    "VideoRecorder": "env, path=None, metadata=None, enabled=True, base_path=None, *, fps=None",
    "capped_cubic_video_schedule": "episode_id", "disable_videos": "episode_id", "report": "*dirs, embed=False",
    "detect_training_manifests": "dir, files=None", "detect_monitor_files": "dir", "clear_monitor_files": "dir",
    "load_results": "dir", "merge_stats_files": "paths", "collapse_env_infos": "infos, dir",
    "load_env_info_from_manifests": "manifests, dir", "main": "arguments=None",
}


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_every_function_is_exported_with_the_promised_arguments_and_help_on_each(name):
    thing = operator.attrgetter(name)(gym_monitor)
    signature = inspect.signature(thing)
    parameters = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    assert str(signature.replace(parameters=parameters, return_annotation=signature.empty))[1:].startswith(
        SIGNATURES[name]) and name.split(".")[0] in gym_monitor.__all__  # our own arguments may follow
    text = inspect.getdoc(thing) + inspect.getdoc(Monitor) * ("Monitor" in name)
    for word in re.findall(r"(?:^|, )(\w+)", SIGNATURES[name])[name == "Monitor.start":] if name[0].isupper() else ():
        assert re.search(rf"^ *(\w+, )*{word}(, \w+)*: ", text, re.MULTILINE), word


def test_errors_are_an_error_and_the_prefixes_are_gyms():
    for name in "ResetNeeded", "InvalidFrame", "DependencyNotInstalled":
        assert issubclass(getattr(gym_monitor, name), Error) and name in gym_monitor.__all__
    assert (gym_monitor.FILE_PREFIX, gym_monitor.MANIFEST_PREFIX) == ("openaigym", "openaigym.manifest")
    assert {"Error", "FILE_PREFIX", "MANIFEST_PREFIX", "__version__"} <= set(gym_monitor.__all__)


def test_cut_off_at_the_optional_line_the_file_has_its_licence_and_records_in_a_bare_interpreter(tmp_path):
    with open(MODULE, encoding="utf-8") as file:
        above, line, _ = file.read().partition("\n# Optional:")
    assert line and re.match("(#.*\n)*# SPDX-License-Identifier: MIT\n(#.*\n)*# Copyright", above)
    (tmp_path / "gym_monitor.py").write_text(above + "\n", encoding="utf-8")
    out = subprocess.check_output([sys.executable, "-E", "-S", "-c", SCRIPT + """
assert all(hasattr(gym_monitor, name) for name in gym_monitor.__all__) and not hasattr(gym_monitor, "main")
assert not {"numpy", "gym", "gymnasium", "torch"} & set(sys.modules)
with Monitor(Picture(), "run", info_keywords=("won",)) as env:
    play(env, 3)
print(gym_monitor.load_results("run")["episode_rewards"])
"""], cwd=str(tmp_path), env=dict(os.environ, PATH="/nowhere"), stderr=subprocess.STDOUT)
    assert out.decode().splitlines()[-1] == "[6.0, 6.0, 6.0]" and len(load_results(tmp_path / "run")["videos"]) == 2


# ---------------------------------------------------------------------------------------------------------------------
# The contract of an episode
# ---------------------------------------------------------------------------------------------------------------------

LISTS = "timestamps", "episode_lengths", "episode_rewards", "episode_types"
FAULTS = {"X": ZeroDivisionError, "C": KeyboardInterrupt, "T": TimeoutError, "E": Error, "Y": TypeError,
          "V": ValueError, "A": AttributeError, "U": RuntimeError, "O": OverflowError, "Z": ZeroDivisionError}


def follow(env, plan):
    """Reset at R, step at s. At ! a step is refused, at ? a reset is; at v a video is listed. At a letter of FAULTS the
    environment raises: at Z in a reset, else in a step. From t on, episodes are of training, from e on of evaluation.
    """
    inner = env.unwrapped
    for letter in plan:
        if letter in "!?":
            before = inner.steps
            with pytest.raises(ResetNeeded) if letter == "!" else pytest.raises(Error, match="allow_early_resets"):
                env.step(0) if letter == "!" else env.reset()
            assert inner.steps == before  # the environment was left alone
        elif letter in FAULTS:
            method = "reset" if letter == "Z" else "step"
            vars(inner)[method] = failing(getattr(inner, method), FAULTS[letter], 1)
            with pytest.raises(FAULTS[letter]):
                env.reset() if letter == "Z" else env.step(0)
            del vars(inner)[method]
        elif letter == "v":
            assert env.videos
        elif letter in "te":
            env.set_monitor_mode({"t": "training", "e": "evaluation"}[letter])
        else:
            env.reset() if letter == "R" else env.step(0)


@pytest.mark.parametrize("walk, plan, types, steps", [
    *((walk, *row) for walk in (Walk, OldWalk) for row in [
        ("!!", "", 0), ("Rs", "", 1), ("Rsss!!", "t", 3), ("RsssRsssR", "tt", 6), ("RRRsss", "t", 3),
        ("RsRssRsss", "t", 6), ("RRs?ss!RsXsR", "t", None),  # after an exception a reset is no early one
        ("eRsssRtsssRsss", "eet", 9),  # the mode counts from the next episode on
        ("RsXRsss", "t", None), ("RsCRsss", "t", None), ("RETRRsss", "t", None), ("RsZssRsss", "t", None),
        ("RYRsVRARURORsss", "t", None),  # none of these is taken for a step of another form
        ("RsssRXssssssRsssRsss!", "ttt", None)]),
    (Autoreset, "!Rsssssss", "tt", 7), (Autoreset, "RssRsss", "t", 5), (Autoreset, "RssssXssssss", "tt", None),
    (Autoreset, "RssXssssXsssRsss", "tt", None),
])
def test_completed_episodes_are_counted_and_no_others(anywhere, walk, plan, types, steps):
    with Monitor(walk(), anywhere, False, allow_early_resets="?" not in plan) as env:
        follow(env, plan)
        env.get_episode_rewards().append("the caller's own")
        assert (env.get_episode_lengths(), env.get_episode_rewards()) == ([3] * len(types), [6.0] * len(types))
        assert env.episode_id == len(types) and steps in (None, env.get_total_steps())
        assert env.get_episode_times() == sorted(map(abs, env.get_episode_times()))
        assert env.stats_recorder.episode_types == list(types) and env.allow_early_resets is ("?" not in plan)
    if anywhere:
        assert {len(read_json(anywhere, ".stats.json")[key]) for key in LISTS} == {len(types)}


@pytest.mark.parametrize("result, error", [
    ((0, 1, True, {}), None), ((0, 1.0, False, True, {}), None), *(((0, reward, True, False, {}), None) for reward in (
        True, fractions.Fraction(1), types.SimpleNamespace(item=lambda: 1))),  # as numpy and torch have it
    *(((0, 1.0, True, False, info), None) for info in (None, (), types.MappingProxyType({"a": 1}), "text")),
    *(((0, reward, True, False, {}), "reward") for reward in (None, "what", [1, 2], 10 ** 400, 1j)),
    *((result, "step") for result in (None, (), (0, 1.0), (0, 1.0, True, False, {}, 6), 5, {})),
], ids=lambda value: str(value)[:20])
def test_a_step_passes_unchanged_or_is_an_error_if_it_has_no_form_that_is_known(anywhere, result, error):
    env, first = Walk(), ("first", {})
    env.reset, env.step = lambda **options: vars(env).update(options=options) or first, lambda action: result
    with Monitor(env, anywhere, info_keywords=("a",)) as monitor:
        for _ in range(2):
            assert monitor.reset(seed=3) is first and env.options == {"seed": 3}
            with pytest.raises(Error, match=error) if error else contextlib.ExitStack():
                assert monitor.step(0) is result
        monitor.reset()
        assert repr(monitor.get_episode_rewards()) == ("[]" if error else "[1.0, 1.0]") and env.options == {}


@pytest.mark.parametrize("options, info, expected", [
    ({}, {}, {"episode": {"r": 6.0, "l": 3}}), ({}, {"episode": "mine"}, {"episode": "mine"}),
    (dict(stats_key=None), {}, {}), (dict(stats_key="sum"), {"x": 1}, {"x": 1, "sum": {"r": 6.0, "l": 3}}),
])
def test_the_last_info_of_an_episode_has_its_return_length_and_seconds(anywhere, options, info, expected):
    with Monitor(Walk(info=info), anywhere, **options) as env:
        time.sleep(0.02)
        before = time.perf_counter()
        env.reset()
        *infos, last = (env.step(0)[-1] for _ in range(3))
    entry = last.get(options.get("stats_key", "episode"), "mine")
    assert entry == "mine" or 0 <= entry.pop("t") <= time.perf_counter() - before  # since the reset, not the start
    assert infos == [info, info] and last == expected


# ---------------------------------------------------------------------------------------------------------------------
# A monitor, its arguments and its directory
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, warned", [({}, 0), (dict(video_callable=False), 0)] + [
    ({name: every}, 1) for name in ("video_callable", "step_trigger", "keep_video")], ids=str)
def test_without_a_directory_nothing_is_written_and_one_warning_says_so(tmp_path, monkeypatch, caplog, options, warned):
    monkeypatch.chdir(str(tmp_path))
    with Monitor(Picture(), **options) as env:
        env.reset()
        assert caplog.records == []
        follow(env, "sssRsss")
        assert (env.enabled, env.directory, env.videos, env.episode_id) == (False, None, [], 2)
    assert files(tmp_path) == [] and [record.levelname for record in caplog.records] == ["WARNING"] * warned


def test_start_begins_a_recording_with_statistics_of_its_own_again_after_close(tmp_path):
    env = Monitor(Walk())
    play(env)
    for name in ("a", "b"):
        env.start(str(tmp_path / name), mode="evaluation")
        assert (env.enabled, env.directory, env.episode_id) == (True, str(tmp_path / name), 0)
        assert (env.get_total_steps(), env.get_episode_rewards()) == (0, [])
        with pytest.raises(Error):
            env.start(str(tmp_path / "c"))
        play(env, 2)
        env.close()
        assert not env.enabled and load_results(str(tmp_path / name))["episode_types"] == ["e", "e"]
    assert files(tmp_path) == ["a", "b"]


def test_after_close_steps_pass_through_with_one_warning_and_closing_again_does_nothing(anywhere, caplog):
    env, closed = Walk(), []
    env.close = lambda: closed.append(1) or "closed"
    monitor = Monitor(env, anywhere)
    play(monitor)
    assert [monitor.close(), monitor.close()] == ["closed", None] and closed == [1]
    monitor.reset()
    assert caplog.records == [] and [monitor.step(0)[0] for _ in range(4)] == [1, 2, 3, 4]
    monitor.reset()
    assert len(caplog.records) == 1 and monitor.get_episode_rewards() == [6.0]


def test_a_subclass_has_its_own_step_and_other_attributes_are_the_recordings_or_the_environments(run, no_ffmpeg):
    walk, mine = Picture(), type("Mine", (Monitor,), {"step": lambda self, action: "mine"})
    walk.action_space, walk.class_name, walk.unwrapped = "space", "of the environment", Walk()
    with mine(walk, run, every, write_upon_reset=True, uid="me") as env:
        env.reset()
        assert env.env is walk and env.unwrapped is walk.unwrapped and journal_rows(run)[0]["env_id"] == "Walk"
        assert env.enabled is True and isinstance(env, Monitor)
        assert (env.directory, env.file_prefix, env.write_upon_reset) == (os.path.abspath(run), "openaigym", True)
        assert env.file_infix.endswith(".me") and env.video_callable(5) is True and env.step(0) == "mine"
        assert isinstance(env.video_recorder, VideoRecorder) and isinstance(env.stats_recorder, StatsRecorder)
        assert env.action_space == "space" and env.class_name() == "Mine"  # by which gym's wrappers know each other
        assert bytes(env.render()) == bytes(walk.render()) and not hasattr(env, "no_such_thing")


BAD = {
    "video_callable": [True, 3, "cubic"], "mode": ["testing"], "fps": [0, -1, math.nan, math.inf, "30", True, []],
    "uid": ["a/b", "/a", "a\\b", "C:x", ".", "..", "a\0", "a\nb", "\ud800", "x" * 101, "\u00e9" * 51],
    "step_trigger": [5], "keep_video": [5], "stats_key": [1],
    "video_length": [-1, 2.5], "info_keywords": ["won", ("r",), ("type",), ("a,b",), ("a\nb",), (1,), ("a", "a")],
    "env": [types.SimpleNamespace(step=list), types.SimpleNamespace(reset=list)], "directory": ["", b"", "mine"],
}


@pytest.mark.parametrize("thing, options, words", [
    *((Monitor, {"directory": "new/one", name: value}, name) for name in sorted(BAD) for value in BAD[name]),
    (VideoRecorder, dict(path="a.gif"), ".png"), (VideoRecorder, dict(path="a.png", fps=0), "fps"),
    (VideoRecorder, dict(path="a.png", base_path="a"), "base_path"), (VideoRecorder, dict(path="a.mp4"), "ffmpeg"),
    (VideoRecorder, dict(path="a.mp4", env=drawing(str, render_mode="ansi")), ".cast"),
])
def test_a_bad_argument_is_an_error_that_names_it(tmp_path, monkeypatch, no_ffmpeg, thing, options, words):
    monkeypatch.chdir(str(tmp_path))
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(DependencyNotInstalled if words == "ffmpeg" else Error, match=words + "|mine cannot be written"):
        thing(**dict(dict(env=Picture()), **options))
    assert files(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "a file"


def test_a_copy_of_a_monitor_waits_for_its_own_start(run):
    with Monitor(Walk(), run) as env:
        play(env)
        for twin in (copy.copy(env), copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            play(twin, 2)
            assert twin.get_episode_rewards() == [6.0] * 2 and not twin.enabled
    assert load_results(run)["episode_rewards"] == [6.0]


def record_walk(directory, episodes=1, walk=Walk, **options):
    with Monitor(walk(), directory, **options) as env:
        play(env, episodes)
    return env


def test_a_time_limit_that_strikes_in_the_start_comes_out_as_it_is(run, monkeypatch):
    monkeypatch.setattr(os, "makedirs", failing(os.makedirs, TimeoutError("too slow"), 1))
    with pytest.raises(TimeoutError, match="too slow"):
        Monitor(Walk(), run)


def test_an_earlier_run_is_refused_with_up_to_five_of_its_files_and_both_ways_out(run):
    os.mkdir(run)
    open(os.path.join(run, "openaigym.report.html"), "w").close()  # which is no run: `report --watch` waits for one
    unfinished = Monitor(Walk(), run)
    for named in (1, 5):
        before = files(run)
        with pytest.raises(Error, match="(?s)(?=.*resume=True)(?=.*force=True)") as refused:
            Monitor(Walk(), run)
        assert str(refused.value).count("openaigym.") == named and files(run) == before
        for uid in " ", "x" * 100, "\u00e9":
            record_walk(run, uid=uid, resume=True)
    unfinished.close()


@pytest.mark.parametrize("clear, left", [(clear_monitor_files, 0), (lambda run: record_walk(run, force=True), 3)])
def test_clearing_and_force_remove_our_files_and_nothing_else(run, clear, left):
    outside = run + "-outside"
    for directory in (run, outside):
        record_walk(directory, 5)
    for name, target in (("file", os.path.join(outside, files(outside)[0])), ("folder", outside), ("no\nfile", "no")):
        os.symlink(target, os.path.join(run, "openaigym." + name))
    os.mkdir(os.path.join(run, "openaigym.directory"))
    for name in "0.monitor.csv", "openaigymnast":
        open(os.path.join(run, name), "w").close()
    assert len(detect_monitor_files(run)) == 6
    assert detect_training_manifests(run) == [os.path.join(run, name) for name in files(run, ".manifest.json")]
    assert detect_training_manifests("x", ["openaigym.manifest.1", "y"]) == [os.path.join("x", "openaigym.manifest.1")]
    clear(run)
    assert {"0.monitor.csv", "openaigym.directory", "openaigymnast"} <= set(files(run)) and len(files(run)) == 3 + left
    assert len(files(outside)) == 3


def test_force_ends_what_this_process_recorded_there_before(run, no_ffmpeg, caplog):
    old = Monitor(Picture(), run, every)
    follow(old, "RsssRs")
    os.symlink(run, run + "-link")
    with Monitor(Walk(length=2), run + "-link", force=True) as env:
        follow(old, "sRsss")
        play(env)
        assert len(caplog.records) == 1
        old.close()
    del old
    gc.collect()
    assert load_results(run)["episode_lengths"] == [2] and len(files(run)) == 3


def test_resume_goes_on_with_the_numbering_of_its_uid_or_is_an_error_in_another_environment(run, no_ffmpeg, caplog):
    for uid, first, episodes in ((".json", 0, 2), ("stats", 0, 4), (".json", 2, 1), (None, 7, 1)):
        with Monitor(Picture(), run, every, resume=True, uid=uid) as env:
            assert env.episode_id == first
            play(env, episodes)
            assert env.episode_id == first + episodes
    assert len(load_results(run)["episode_lengths"]) == len(load_results(run)["videos"]) == 8
    assert sorted(content["episode_id"] for content in metadata_of(run)) == [0, 0, 1, 1, 2, 2, 3, 7]
    damage(run, ".stats.monitor.csv", b"damaged\n")  # it is not counted
    assert Monitor(Picture(), run, resume=True).episode_id == 4 and ".stats.monitor.csv" in caplog.text
    before = files(run)
    with pytest.raises(Error, match="Picture"):
        Monitor(Walk(), run, resume=True)
    assert files(run) == before


def test_a_name_that_exists_is_not_taken(run, no_ffmpeg):
    number = int(record_walk(run, uid="me").file_infix.split(".")[0])
    for name in ("episode_batch.{}.me.monitor.csv", "episode_batch.{}.me.stats.json", "manifest.{}.me.manifest.json",
                 "video.{}.me.video000001.png"):
        number += 1  # a monitor's number is the next one
        open(os.path.join(run, "openaigym." + name.format(number)), "w").close()
    before = {name: os.path.getsize(os.path.join(run, name)) for name in files(run)}
    record_walk(run, 2, uid="me", resume=True, walk=lambda: drawing(lambda: DRAWN), video_callable=every)
    assert before.items() < {name: os.path.getsize(os.path.join(run, name)) for name in files(run)}.items()
    assert len(files(run)) == len(before) + 7


@pytest.mark.parametrize("directory", ["a/run", "~/run", pathlib.Path("run")], ids=repr)
def test_a_directory_holds_journal_statistics_manifest_and_videos(tmp_path, monkeypatch, no_ffmpeg, directory):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    env = Picture()
    env.spec = types.SimpleNamespace(id="Picture-v3")
    with Monitor(env, directory, uid="me") as monitor:
        monkeypatch.chdir("/")
        play(monitor)
        run, infix = monitor.directory, monitor.file_infix
        assert files(run, ".json") == files(run, ".meta.json")  # the other JSON comes with close
    assert run == str(tmp_path / str(directory).replace("~/", "")) and re.match(r"\d+\.me$", infix)
    names = [f"openaigym.episode_batch.{infix}.monitor.csv", f"openaigym.episode_batch.{infix}.stats.json",
             f"openaigym.manifest.{infix}.manifest.json", f"openaigym.video.{infix}.video000000.meta.json",
             f"openaigym.video.{infix}.video000000.png"]
    assert files(run) == names and journal_rows(run)[0]["env_id"] == "Picture-v3"
    assert read_json(run, ".meta.json")["content_type"] == "image/apng"
    assert read_json(run, ".manifest.json") == {"stats": names[1], "videos": [[names[4], names[3]]], "closed": True,
                                                "env_info": {"env_id": "Picture-v3", "gym_version": "none"}}
    os.rename(run, run + "-moved")  # all names inside are base names
    assert load_results(run + "-moved")["videos"] == [tuple(os.path.join(run + "-moved", names[at]) for at in (4, 3))]


def test_journal_and_results_have_an_episode_the_moment_it_is_over_and_the_json_the_same_exact_numbers(run):
    rewards, before = [0.1, 1e-300, 1 / 3, math.inf, -2.5, 12345678901234567.0], time.time()
    env, info = Monitor(Walk(), run), {}
    env.unwrapped.step = lambda action: (0, rewards[env.episode_id], True, False, info)
    for episode in range(6):
        assert len(journal_rows(run)[1]) == len(load_results(run)["timestamps"]) == episode
        play(env)
        assert info["episode"]["r"] == rewards[episode]  # although there is one info for all
    (header, rows), results = journal_rows(run), load_results(run)
    env.close()
    stats, start = read_json(run, ".stats.json"), header["t_start"]
    assert set(header) >= {"t_start", "env_id"} and list(rows[0]) == ["r", "l", "t", "type"]
    assert stats == dict({key: results[key] for key in LISTS}, initial_reset_timestamp=stats["initial_reset_timestamp"])
    assert before - 1 <= start <= stats["initial_reset_timestamp"] <= stats["timestamps"][0] <= time.time()
    assert [row["r"] for row in rows] == list(map(repr, rewards)) == list(map(repr, stats["episode_rewards"]))
    assert [start + float(row["t"]) for row in rows] == stats["timestamps"] == env.stats_recorder.timestamps
    assert [(row["l"], row["type"]) for row in rows] == [("1", "t")] * 6 and journal_rows(run) == (header, rows)
    assert [*zip(stats["episode_lengths"], stats["episode_types"])] == [(1, "t")] * 6


def test_write_upon_reset_writes_statistics_and_manifest_at_each_of_the_first_thousand_resets(run, monkeypatch):
    with Monitor(Walk(length=1), run, write_upon_reset=True) as env:
        for episode in range(1000):
            env.reset()
            if episode in (0, 1, 2, 500, 999):
                assert len(load(run, read_json(run, ".manifest.json")["stats"])["timestamps"]) == episode
            env.step(0)
        writings, replace = [], os.replace
        monkeypatch.setattr(os, "replace", lambda *names: time.sleep(0.01) or writings.append(names) or replace(*names))
        for _ in range(50):  # not at each of these: it would take more than a twentieth of the time
            play(env)
            time.sleep(0.01)
        assert len(writings) <= 12
        assert all(re.match(r"openaigym\.tmp\..*\.tmp$", os.path.basename(temporary)) for temporary, _ in writings)
        monkeypatch.undo()
    assert len(read_json(run, ".stats.json")["timestamps"]) == len(journal_rows(run)[1]) == 1050


@pytest.mark.parametrize("value, cell, kind", [
    (True, "True", bool), (1, "1", int), (-0.0, "-0.0", float), (None, "", None), ("yes", "yes", str),
    (type("Silent", (), {"__str__": lambda self: 1 / 0})(), "", None), ('a "b", c\nd', 'a "b", c d', str),
    ("caf\u00e9", "caf\u00e9", str), ("caf\udce9.txt", "caf\\udce9.txt", str), ('nul\0 "it"', 'nul  "it"', str),
    ("line\u2028line\x85line\r\nline", "line line line line", str), ('a,"' * 100000, 'a,"a,"', str),
], ids=lambda value: repr(value)[:20])
def test_an_info_keyword_is_in_info_episode_in_the_journal_and_in_results(run, value, cell, kind):
    for directory in (None, run):
        env = Monitor(Walk(length=1, info={"what": value}), directory, info_keywords=("what", "no"))
        env.reset()
        entry = env.step(0)[-1]["episode"]
        assert entry["what"] is value and entry.get("no") is None
    row, = journal_rows(run)[1]
    assert list(row) == ["r", "l", "t", "type", "what", "no"] and row["what"].startswith(cell) and row["no"] == ""
    record_walk(run, resume=True)
    found, none = load_results(run)["info"]["what"]
    assert found is none is None if kind is None else type(found) is kind and str(found) == row["what"]
    assert load_results(run)["info"]["no"] == [None, None]


def test_the_stats_recorder_works_alone_and_keeps_its_place_and_its_name(run, monkeypatch):
    record_walk(run)
    monkeypatch.chdir(os.path.dirname(run))
    recorder = StatsRecorder("run", "openaigym.episode_batch.9.alone", autoreset=True)
    with pytest.raises(Error, match="alone"):
        StatsRecorder("run", "openaigym.episode_batch.9.alone")
    monkeypatch.chdir(run)
    for kind, rewards in ("t", [1.0, 2.0, 5.0]), ("e", [2.0, 5.0]):
        recorder.type = kind
        recorder.before_reset()
        recorder.after_reset("first")
        for reward in rewards:
            recorder.before_step(0)
            recorder.after_step("next", reward, reward >= 2.0, {})
    recorder.flush()
    assert load(run, "openaigym.episode_batch.9.alone.stats.json") == load(recorder.path)
    with monkeypatch.context() as patch:  # killed, and another process gets its number
        patch.setattr(os, "replace", lambda old, new: None)
        recorder.flush()
    recorder.flush()
    recorder.close()
    recorder.close()
    results = load_results(run)  # one that knows no environment goes with any
    assert results["env_info"]["env_id"] == "Walk" and results["episode_types"] == ["t", *recorder.episode_types]
    assert recorder.episode_rewards == load(recorder.path)["episode_rewards"] == [3.0, 5.0, 2.0, 5.0]
    assert recorder.episode_lengths == [2, 1, 1, 1] and recorder.episode_types == ["t", "t", "e", "e"]
    assert recorder.total_steps == 5 and recorder.initial_reset_timestamp <= recorder.timestamps[0]


# ---------------------------------------------------------------------------------------------------------------------
# Videos
# ---------------------------------------------------------------------------------------------------------------------

def test_the_capped_cubic_schedule():
    picked = [episode for episode in range(4001) if capped_cubic_video_schedule(episode)]
    assert picked == [n ** 3 for n in range(10)] + [1000, 2000, 3000, 4000]
    assert not any(map(disable_videos, range(10)))


def at(number):
    return lambda asked: asked == number


@pytest.mark.parametrize("walk, plan, schedule, options, frames", [
    (Picture, "Rsss" * 10, None, {}, dict(video0=4, video1=4, video8=4)), (Picture, "Rsss", False, {}, {}),
    (Picture, "Rsss" * 3, at(1), {}, dict(video1=4)), (Picture, "Rsss", lambda episode: 1 / 0, {}, {}),
    (Picture, "RRRsss", every, {}, dict(video0=4)), (Picture, "RsRsss", every, {}, dict(video0=4)),  # one is dropped
    (Picture, "RsvR", None, dict(step_trigger=at(0), video_length=1), {}),  # so is one that was complete
    (Picture, "RsssRs", every, {}, dict(video0=4, video1=2)),  # `close` cuts the second short
    (Picture, "RsCs", every, {}, dict(video0=2)),  # nothing is filmed after an exception
    # Where a step resets, it shows the next episode's first picture in place of the last one.
    (Autoreset, "Rsssss", at(0), {}, dict(video0=3)), (Autoreset, "Rsssss", every, {}, dict(video0=3, video1=3)),
    *((walk, plan, None, dict(step_trigger=at(step)), {f"step{step}": frames}) for walk, plan, step, frames in [
        (Picture, "Rsss" * 3, 5, 1), (Picture, "Rsss" * 3, 3, 3), (Autoreset, "Rssssssss", 5, 3),
        (Autoreset, "Rssssssss", 3, 2)]),
    (Picture, "Rsss" * 3, at(0), dict(step_trigger=at(5)), dict(video0=4, step5=1)),
    *((Picture, "Rsss" * 3, at(0), dict(video_length=length, keep_video=keep), dict(video0=frames))
      for length, keep, frames in [(2, None, 2), (4, None, 4), (6, None, 6), (100, None, 12), (0, None, 4),
                                   (2, every, 2), (100, every, 4)]),
])
def test_which_videos_there_are_and_how_many_frames_each_has(run, no_ffmpeg, walk, plan, schedule, options, frames):
    with Monitor(walk(), run, schedule, **options) as env:
        follow(env, plan)
    found = {}
    for path, metadata in env.videos:
        kind, number = re.match(r"(video\d{5}|step\d{8})(\d)$", path.split(".")[-2]).groups()
        found[kind.rstrip("0") + number] = frames_of(path)
        assert load(metadata)["step" if "step" in kind else "episode_id"] == int(number)
    assert found == frames and sorted(env.videos) == sorted(load_results(run)["videos"])
    assert len(files(run, ".png")) == len(metadata_of(run)) == len(frames)


def test_a_video_shows_the_reset_and_every_step_and_is_listed_once_it_is_complete(run, no_ffmpeg):
    walk = Picture(length=5)
    with Monitor(walk, run, every, write_upon_reset=True) as env:
        follow(env, "Rssss")
        assert env.videos == load_results(run)["videos"] == []
        follow(env, "sR")
        assert len(read_json(run, ".manifest.json")["videos"]) == 1
        (path, _), = env.videos
        shown = png_frames(path)[1]
        assert load_results(run)["videos"] == env.videos and len(shown) == 6
        for walk.steps in range(6):
            assert shown[walk.steps] == (bytes(walk.render()), 0.04)


def test_keep_video_decides_which_files_stay(run, no_ffmpeg, caplog):
    asked = []
    answers = [lambda: False, lambda: True, lambda: 1 / 0]  # which harms nobody
    with Monitor(Picture(), run, lambda episode: episode < 3, keep_video=lambda episode: asked.append(
            episode) or answers[episode.episode_id]()) as env:
        play(env, 4)
        env.videos.clear()  # the list is the caller's own
        assert [path.split(".")[-2] for path, _ in env.videos] == ["video000001", "video000002"]
    assert [(*episode[:3], episode.info["episode"]["l"]) for episode in asked] == [(n, 6.0, 3, 3) for n in range(3)]
    assert len(files(run, ".png")) == len(files(run, ".meta.json")) == 2 and len(caplog.records) == 1


@needs_ffmpeg
def test_a_ninth_encoder_at_a_time_is_not_begun_and_one_warning_says_so(tmp_path, caplog):
    gc.collect()  # of what other tests have dropped, nothing counts
    envs = [Monitor(Picture(length=1), str(tmp_path / str(number)), every) for number in range(10)]
    for env in envs:
        env.reset()
    assert [len(files(env.directory, ".mp4")) for env in envs] == [1] * 8 + [0] * 2 and len(caplog.records) == 1
    for env in envs:
        env.step(0)
    play(envs[9], 12)  # waits for one that is finishing, each time
    for env in envs:
        env.close()
    assert [[frames_of(path) for path, _ in env.videos] for env in envs] == [[2]] * 8 + [[], [2] * 12]


def patches(height, width, channels=3):
    """Red, green, blue and grey, a quarter each; without channels, in black and white."""
    colours = [colour + (255,) for colour in (RED, GREEN, BLUE, GREY)]
    picture = frame(height, width, channels or 1, lambda row, column: colours[
        2 * (2 * row // height) + 2 * column // width])
    return picture if channels else picture.cast("B").cast("B", [height, width])


DRAWN = patches(8, 8)
TELLS = dict(metadata={"render.modes": ["human", "rgb_array"]})


@pytest.mark.parametrize("draw, attributes, ending", [
    (lambda: DRAWN, dict(render_mode="rgb_array"), ".png"), (lambda: "text", dict(render_mode="ansi"), ".cast"),
    (lambda: [patches(8, 8, 1), DRAWN], dict(render_mode="rgb_array_list"), ".png"),  # the newest is the last
    (lambda mode="human": {"human": None, "rgb_array": DRAWN}[mode], TELLS, ".png"),  # as in gym
    (lambda: DRAWN, {}, ".png"), (lambda: DRAWN, TELLS, ".png"), (lambda: io.StringIO("text"), {}, ".cast"),
    # as in gym 0.25, whose wrappers hide which arguments `render` takes
    (lambda *args, **kwargs: DRAWN if "rgb_array" in (*args, *kwargs.values()) else None, dict(TELLS, render_mode=None),
     ".png"),
    # and of wrappers around one that takes none
    (lambda **options: (lambda: DRAWN)(**options), dict(unwrapped=drawing(lambda: DRAWN)), ".png"),
    (lambda: DRAWN, dict(render_mode="single_rgb_array"), ".png"),
    (lambda: [DRAWN], dict(render_mode="rgb_array"), ".png"),
])
def test_the_video_recorder_films_every_form_of_render(tmp_path, monkeypatch, no_ffmpeg, draw, attributes, ending):
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in dict(base_path="film"), dict(path="film" + ending), {}:
        recorder = VideoRecorder(drawing(draw, **attributes), metadata={"mine": 1}, **name)
        assert recorder.functional and recorder.enabled and recorder.empty
        for _ in range(2):
            recorder.capture_frame()  # after the end: nothing
            recorder.close()
        assert recorder.functional and not recorder.empty and not recorder.broken
        stem = str(tmp_path / "film") if name else os.path.splitext(recorder.path)[0]
        assert (recorder.path, recorder.metadata_path) == (stem + ending, stem + ".meta.json")
        assert load(recorder.metadata_path)["mine"] == recorder.metadata["mine"] == 1
        assert (png_frames(recorder.path)[1] == [(bytes(DRAWN.cast("B")), pytest.approx(1 / 30))] if ending == ".png"
                else pathlib.Path(recorder.path).read_text().count("\n") == 2)


def test_a_picture_where_the_name_asks_for_text_gives_the_video_up(tmp_path, caplog):
    recorder = VideoRecorder(drawing(lambda: DRAWN), path=str(tmp_path / "film.cast"))
    recorder.capture_frame()
    assert recorder.broken and "has to be a string" in recorder.metadata["error"] and len(caplog.records) == 1


@pytest.mark.parametrize("env, enabled, said", [
    (drawing(list, render_mode="rgb_array_list"), True, None), (Picture(), False, ""), (Walk(), True, ""),
    (drawing(lambda: "", render_mode=None), True, "='rgb_array'"),
    (drawing(list, render_mode="human"), True, "'rgb_array'"),
])
def test_where_nothing_is_drawn_there_is_no_video_and_one_line_says_why(tmp_path, caplog, env, enabled, said):
    for _ in range(2):
        recorder = VideoRecorder(env, base_path=str(tmp_path / "film"), enabled=enabled)
        recorder.capture_frame()
        recorder.close()
    assert recorder.functional == recorder.enabled == (said is None) and recorder.empty and not recorder.broken
    told = [content["empty"] for content in metadata_of(tmp_path)]
    assert told == [True] * len(files(tmp_path)) == [True] * recorder.enabled
    assert len(caplog.records) == bool(said) and (said or "") in caplog.text
    videos = record_walk(str(tmp_path / "run"), walk=lambda: env, video_callable=every if enabled else False).videos
    assert videos == load_results(str(tmp_path / "run"))["videos"] == []


@pytest.mark.parametrize("metadata, fps, expected", [
    ({"render_fps": 25}, 50, 50), ({"render_fps": 25, "video.frames_per_second": 12}, None, 25), ({}, None, 30),
    ({"video.frames_per_second": 12.5}, None, 12.5), (None, fractions.Fraction(30000, 1001), 30000 / 1001),
    ({"render_fps": None, "video.frames_per_second": 12}, None, 12), ({"render_fps": 0}, None, 30), (None, None, 30),
], ids=repr)
def test_the_frame_rate_is_fps_or_the_environments_or_thirty(tmp_path, metadata, fps, expected):
    env = drawing(list, metadata=metadata)
    assert VideoRecorder(env, base_path=str(tmp_path / "film"), fps=fps).frames_per_sec == expected


def film(frames, fps=10, **path):
    recorder = VideoRecorder(drawing(iter(frames).__next__), fps=fps, **path)
    for _ in frames:
        recorder.capture_frame()
    recorder.close()
    assert not recorder.broken, recorder.metadata
    return recorder.path


@needs_ffmpeg
@pytest.mark.parametrize("height, width, channels, fps, rate", [
    (64, 96, 3, 30, "30/1"), (63, 95, 3, 12.5, "25/2"), (35, 51, 4, 29.97, "2997/100"), (33, 40, 1, 0.5, "1/2"),
    (20, 31, 0, 240, "240/1"), (3, 2, 3, 30, "30/1"), (1, 1, 3, 30, "30/1")])
def test_an_mp4_of_any_size_and_rate_shows_the_right_colours(tmp_path, height, width, channels, fps, rate):
    path = film([patches(height, width, channels)] * 7, fps, path=tmp_path / "a.mp4")
    found, size = probe(path), (width + width % 2, height + height % 2)
    assert (found["width"], found["height"], found["frames"], found["r_frame_rate"]) == size + (7, rate)
    assert (found["codec_name"], found["pix_fmt"]) == ("h264", "yuv420p")
    shown = decode(path, 1, size)
    for row, column, colour in ((height // 4, width // 4, RED), (height // 4, 3 * width // 4, GREEN),
                                (3 * height // 4, width // 4, BLUE), (3 * height // 4, 3 * width // 4, GREY),
                                (0, 0, RED), (0, -1, GREEN), (-1, 0, BLUE), (-1, -1, GREY)):
        expected = colour if channels > 1 else colour[:1] * 3
        assert height < 4 or max(abs(a - b) for a, b in zip(shown[row][column], expected)) <= 12, (row, column)


@needs_ffmpeg
def test_with_ffmpeg_an_episode_is_an_mp4_complete_without_close_and_memory_does_not_grow_with_it(run):
    status, out, err = run_script("""
        import resource, tempfile
        tempfile._candidate_tempdir_list = lambda: ["/nowhere"]  # no temporary directory is needed
        Picture.render = lambda self, big=memoryview(bytes(1500000)).cast("B", [500, 1000, 3]): big
        env = Monitor(Picture(length=100), sys.argv[1])
        env.reset()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while not env.step(0)[2]:
            pass
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, *env.videos[0], flush=True)
        os._exit(0)
    """, run)
    megabytes, path, metadata = out.split()
    assert (status, err) == (0, "") and int(megabytes) < 20  # of 150
    assert frames_of(path) == 101 and probe(path)["r_frame_rate"] == "25/1" and len(files(run)) == 3
    told = load(metadata)
    version = told.pop("encoder_version")
    assert told == {"episode_id": 0, "content_type": "video/mp4", "empty": False, "broken": False}
    assert version["backend"] == "ffmpeg" and version["version"].startswith("ffmpeg version")
    assert version["cmdline"][0] == "ffmpeg" and not any(run in word for word in version["cmdline"])
    content = pathlib.Path(path).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")  # it can be played before it is loaded


@needs_ffmpeg
@pytest.mark.parametrize("does, imageio, path, asked, ending", [
    ("exit 1", "fake", "real", True, ".mp4"), ("exit 1", "real", "fake", False, ".mp4"),
    ("exit", "", f"bin{os.pathsep}{os.path.dirname(FFMPEG or '')}", False, ".mp4"),
    ("exit 1", "", "fake", True, ".png"), ("exit", "", ".", False, ".png"), ("exit", "", "bin", False, ".png"),
    ('case "$*" in *-encoders*) {0} "$@" | {1} -v 264;; *) exec {0} "$@";; esac', "", "fake", True, ".mp4"),
])
def test_the_first_ffmpeg_that_works_is_taken(tmp_path, fake_ffmpeg, monkeypatch, does, imageio, path, asked, ending):
    fake = fake_ffmpeg(f"{TOOLS['touch']} {tmp_path}/asked\n" + does.format(FFMPEG, TOOLS["grep"]))
    programs = {"fake": fake, "real": FFMPEG, "": ""}
    monkeypatch.chdir(str(tmp_path / "bin" if path == "." else tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", programs[imageio])
    monkeypatch.setenv("PATH", os.path.dirname(programs.get(path, path + "/")))
    assert len(decode(film([DRAWN], base_path=str(tmp_path / "film")), 0, (8, 8))) == 8
    assert files(tmp_path, ending) == ["film" + ending] and (tmp_path / "asked").exists() is asked


@pytest.mark.parametrize("channels, spots, rectangle, stills, fps", [
    (3, [(10, 20), (14, 29)], (10, 5, 20, 10), 2, 12.5), (3, [(0, 0)], (1, 1, 0, 0), 10, 1 / 7),
    (3, [(39, 59)], (1, 1, 59, 39), 3000, 29.97), (1, [(0, 59), (39, 0)], (60, 40, 0, 0), 5, 240),
    (4, [(7, 3), (7, 50)], (48, 1, 3, 7), 2, 1e6),
])
def test_an_animated_png_stores_what_changes_exactly(tmp_path, channels, spots, rectangle, stills, fps):
    def picture(*spots):
        return frame(40, 60, channels, lambda row, column: (row * 6 + ((row, column) in spots), column, 7, 9))

    path = film([picture()] + [picture(*spots)] * stills, fps, path=tmp_path / "a.png")
    with open(path, "rb") as file:
        assert struct.unpack(">IIII", file.read().split(b"fcTL")[2][4:20]) == rectangle
    shape, ((first, _), *found) = png_frames(path)
    assert shape == (60, 40, channels) and first == bytes(picture().cast("B"))
    assert {pixels for pixels, _ in found} == {bytes(picture(*spots).cast("B"))}
    assert sum(seconds for _, seconds in found) == pytest.approx(stills / fps, 1e-4, 1e-3) and len(found) == stills


def test_a_frame_that_an_interrupt_cut_short_is_the_end_of_an_animated_png(tmp_path, monkeypatch):
    recorder = VideoRecorder(Picture(), path=tmp_path / "a.png")
    recorder.capture_frame()
    monkeypatch.setattr(gym_monitor, "_pwrite", failing(  # each time, half of what is left is written
        lambda file, content, offset: os.pwrite(file, content[:len(content) // 2 or 1], offset), KeyboardInterrupt, 5))
    with pytest.raises(KeyboardInterrupt):
        recorder.capture_frame()
    recorder.capture_frame()  # after the end: nothing
    recorder.close()
    assert len(png_frames(recorder.path)[1]) == 1


def test_frames_in_any_memory_order_record_the_right_picture(tmp_path):
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    upright = numpy.array(patches(40, 60))
    pixels = (ctypes.c_ubyte * 3 * 60 * 40).from_buffer_copy(upright.tobytes())  # its format is "<B"
    path = film([pixels, numpy.asfortranarray(upright), numpy.broadcast_to(upright, upright.shape),
                 upright[::-1].copy()[::-1], numpy.repeat(upright, 2, axis=1)[:, ::2]], path=tmp_path / "a.png")
    assert [pixels for pixels, _ in png_frames(path)[1]] == [upright.tobytes()] * 5


def test_text_is_recorded_as_an_asciicast_of_the_size_of_its_largest_frame(run):
    texts = iter(["a", "ab\n\x1b[41mcd\x1b[0m\r\nef\n", "\u4e2d\u6587\u5b57", "\u4e2d"])
    env = drawing(texts.__next__, render_mode="ansi", metadata={"render_fps": 4})
    (path, metadata), = record_walk(run, walk=lambda: env).videos
    assert path.endswith(".video000000.cast") and load(metadata)["content_type"] == "application/x-asciicast"
    with open(path, encoding="ascii") as file:
        header, *events = [json.loads(line) for line in file]
    assert (header["version"], header["width"], header["height"]) == (2, 6, 3)
    assert [(moment, kind) for moment, kind, _ in events] == [(0, "o"), (0.25, "o"), (0.5, "o"), (0.75, "o")]
    assert events[1][2].endswith("ab\r\n\x1b[41mcd\x1b[0m\r\nef")


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

def write_gym_run(directory, infix="0.7", env_id="Walk", journal=None, **wrong):
    """What gym's own Monitor leaves, here closed in mid-episode: one type too many. And a journal, if one is given."""
    names = [f"openaigym.episode_batch.{infix}.stats.json", f"openaigym.manifest.{infix}.manifest.json",
             f"openaigym.episode_batch.{infix}.monitor.csv"]
    stats = {"initial_reset_timestamp": 10.0, "timestamps": [11.0, 12.0], "episode_lengths": [5, 5],
             "episode_rewards": [1.5, 1.5], "episode_types": ["t", "e", "t"]}
    manifest = {"stats": names[0], "videos": [], "env_info": {"env_id": env_id, "gym_version": "none"}}
    for name, content in zip(names, (stats, manifest)):
        content.update((key, value) for key, value in wrong.items() if key in content)
        (directory / name).write_text(json.dumps(content))
    if journal is not None:
        (directory / names[2]).write_text(journal)
    return names


def damage(directory, ending, content):
    with open(os.path.join(str(directory), *files(directory, ending)), "wb") as file:
        file.write(content)


def test_results_have_gyms_ten_keys_and_info_before_the_first_episode_too(run):
    with Monitor(Walk(), run) as env:
        assert load_results(run) == {
            "manifests": [], "data_sources": [], "initial_reset_timestamps": [], "initial_reset_timestamp": 0,
            "videos": [], "info": {}, "env_info": {"env_id": "Walk", "gym_version": "none"},
            **{key: [] for key in LISTS}}
        play(env)
    assert load_results(run)["manifests"] == detect_training_manifests(run) != []


@pytest.mark.parametrize("stats, manifest, torn", [
    (b"", b"{", b"6.0"), (b"[]", b"", b"6.0,3,0.1"), (b'{"timestamps": []}', b"[]", b"6.0,3,0.1,t"),
    (b"\xff\xfe", b"{}", b'6.0,3,0.1,t,"a'), (
        b'{"initial_reset_timestamp": 1, "timestamps": [1], "episode_lengths": [9], "episode_rewards": [9.0], '
        b'"episode_types": ["t"]}', b"{}", b""),
])
def test_the_journal_counts_whatever_the_json_beside_it_holds_but_for_a_torn_last_line(run, stats, manifest, torn):
    timestamps = record_walk(run, 2).stats_recorder.timestamps
    damage(run, ".stats.json", stats)
    damage(run, ".manifest.json", manifest)
    with open(os.path.join(run, files(run, ".monitor.csv")[0]), "ab") as journal:
        journal.write(torn)
    with open(os.path.join(run, "openaigym.episode_batch.9999.killed.monitor.csv"), "wb") as journal:
        journal.write(b"#{")  # killed in its first line
    assert load_results(run)["timestamps"] == timestamps and Monitor(Walk(), run, resume=True).episode_id == 2


@pytest.mark.parametrize("key, value", [
    ("timestamps", None), ("timestamps", [1.0]), ("timestamps", [1.0, "x"]), ("episode_lengths", [1, 2.5]),
    ("episode_lengths", [1, -2]), ("episode_rewards", [1.0, None]), ("episode_rewards", [1.0, 10 ** 400]),
    ("episode_types", ["t", "x"]), ("episode_types", "tt"), ("initial_reset_timestamp", "x"), ("env_info", 5),
    ("videos", 5), *(("stats", name) for name in ("../outside.json", "/outside.json", "..", "", "a\\b", "a\0b", 5, [])),
    *(("journal", '#{"t_start": 1.0}\n' + rows) for rows in (
        "l,r,t\n3,1,0.1\n", "r,l,t,type\n1.0,1\n", "r,l,t,type\nno,1,0.1,t\n", "r,l,t,type\n1.0,1.5,0.1,t\n",
        "r,l,t,type\n1.0,-1,0.1,t\n", "r,l,t,type\n1.0,1,nan,t\n", "r,l,t,type\n1.0,1,0.1,x\n")),
    *(("journal", header + "\nr,l,t,type\n") for header in (
        "#{}", "#[1]", '#{"t_start": "x"}', '#{"t_start": 1e999}', '%{"t_start": 1.0}')),
])
def test_a_file_that_is_not_what_it_should_be_is_an_error_that_names_it(tmp_path, key, value):
    name = write_gym_run(tmp_path, **{key: value})[{"journal": 2, "stats": 1, "videos": 1, "env_info": 1}.get(key, 0)]
    for content in [(tmp_path / name).read_bytes()] + [b"{", b""] * (key != "journal"):
        damage(tmp_path, name, content)
        with pytest.raises(Error, match=name):
            load_results(tmp_path)


@pytest.mark.parametrize("name", ["monitor.csv", "0.monitor.csv"])
def test_a_directory_of_stable_baselines3_is_read(tmp_path, name):
    (tmp_path / name).write_text('#{"t_start": 100.0, "env_id": "Walk"}\nr,l,t,won\n1.5,3,0.5,True\n2.5,4,1.5,\n')
    results = load_results(tmp_path)
    assert [results[key] for key in LISTS] == [[100.5, 101.5], [3, 4], [1.5, 2.5], ["t", "t"]]
    assert results["info"] == {"won": [True, None]} and results["env_info"]["env_id"] == "Walk"


def test_a_directory_that_is_missing_or_holds_no_run_is_an_error_that_names_it(tmp_path):
    (tmp_path / "weights.bin").write_text("precious")
    for path in map(str, (tmp_path / "missing", tmp_path, tmp_path / "weights.bin", tmp_path / "no\0name")):
        with pytest.raises(Error, match=re.escape(path)):
            load_results(path)


def test_a_video_is_listed_if_its_metadata_say_so_and_its_file_is_whole(run, no_ffmpeg):
    videos = record_walk(run, 4, walk=Picture, video_callable=every).videos
    os.unlink(videos[0][0])
    os.truncate(videos[1][0], os.path.getsize(videos[1][0]) - 5)
    damage(run, "2.meta.json", json.dumps(dict(load(videos[2][1]), broken=True)).encode())
    assert load_results(run)["videos"] == videos[3:]


@needs_ffmpeg
def test_an_mp4_without_a_picture_is_not_listed(run):
    (_, metadata), = record_walk(run, walk=Picture, video_callable=every).videos
    subprocess.check_call(load(metadata)["encoder_version"]["cmdline"], cwd=run, stdin=subprocess.DEVNULL)
    assert load_results(run)["videos"] == []


def test_a_directory_of_gyms_closed_in_mid_episode_is_read_merged_as_by_gyms_helpers_and_numbered_on(tmp_path):
    path = str(tmp_path / write_gym_run(tmp_path)[0])
    results = load_results(tmp_path)
    assert [results[key] for key in LISTS] == [[11.0, 12.0], [5, 5], [1.5, 1.5], ["t", "e"]]
    assert results["initial_reset_timestamps"] == [10.0] and results["env_info"]["env_id"] == "Walk"
    assert gym_monitor.merge_stats_files([path, path]) == (
        [0, 1, 0, 1], [10.0, 10.0], [11.0, 11.0, 12.0, 12.0], [5] * 4, [1.5] * 4, ["t", "t", "e", "e"], 10.0)
    info = {"env_id": "Walk", "gym_version": "none"}
    assert gym_monitor.load_env_info_from_manifests(detect_training_manifests(tmp_path), tmp_path) == info
    assert gym_monitor.collapse_env_infos([info, info], "dir") == info
    with pytest.raises(Error, match="dir"):
        gym_monitor.collapse_env_infos([], "dir")
    assert record_walk(tmp_path, resume=True).episode_id == 3
    assert load_results(tmp_path)["episode_lengths"] == [5, 5, 3]
    write_gym_run(tmp_path, "0.2", "Other")
    with pytest.raises(Error, match=tmp_path.name + ".*Other.*Walk"):
        load_results(tmp_path)


# ---------------------------------------------------------------------------------------------------------------------
# Faults of the process: killed, left, interrupted, one of several, forked
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kill", range(6))
def test_a_polling_reader_never_sees_half_a_file_and_kill_9_loses_no_completed_episode(run, no_ffmpeg, kill):
    script = begin("""
        env = Monitor(RandomWalk(2), sys.argv[1], lambda number: number % 10 == 0, write_upon_reset=True)
        while env.episode_id < 1000:
            play(env)
            os.write(1, b"an episode\\n")
        time.sleep(1000)
    """, run)
    told, episodes = script.stdout.readline(), [1]
    while episodes[-1] < 40 * kill:
        assert all(isinstance(load(run, name), dict) for name in files(run, ".json"))
        episodes.append(len(returns_in(run)))
    script.kill()
    told += script.stdout.read()  # communicate() would miss what readline() has in its buffer
    script.communicate()
    returns = returns_in(run)
    assert returns == returns_of(0, 2, len(returns)) and len(returns) - len(returns_for_gym(run)) <= 1
    assert len(returns) - told.count("\n") in (0, 1)  # one more may have been on its way
    assert episodes == sorted(episodes)


def without(**names):
    """Code that takes names from modules. What the standard library needs of them itself, it has taken by then."""
    return f"""
import asyncio, csv, fcntl, logging, multiprocessing, os, random, select, selectors, shutil, signal, subprocess, sys
import tempfile
for module, names in {names}.items():
    for name in names.split():
        vars(sys.modules[module]).pop(name, None)
"""


LEAVE = {  # what runs before the module is imported, how the process is left, and the last line of standard error
    "at the end of the script": ("", "", ""),
    "by Ctrl-C in the terminal, which is not for ffmpeg": (
        "", "signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background do not heed it\n"
            "os.killpg(0, signal.SIGINT)\ntime.sleep(1000)", "KeyboardInterrupt"),
    "by kill -9": ("", "os.kill(os.getpid(), signal.SIGKILL)", ""),
    "by dropping the monitor in a cycle": ("", "env.env.monitor = env.env.itself = env; del env; gc.collect()", ""),
    "with the monitor in a cycle": ("", "gc.disable(); env.env.monitor = env; del env", ""),
    "as a child of multiprocessing": ("", "", ""),
    "on macOS": (without(fcntl="F_SETPIPE_SZ F_GETPIPE_SZ", select="epoll",
                         os="pipe2 memfd_create posix_fallocate O_DIRECT O_PATH"), "", ""),
    "on Windows": (without(
        os="fork forkpty register_at_fork killpg setsid setpgid getpgid set_blocking get_blocking pipe2 fchmod fchown "
           "mkfifo pread pwrite pwritev sendfile sysconf memfd_create O_NOFOLLOW O_CLOEXEC O_DIRECTORY O_NONBLOCK",
        select="poll epoll", signal="SIGKILL SIGALRM setitimer") + """
sys.modules.update(fcntl=None, resource=None, termios=None)
subprocess._PopenSelector = selectors.SelectSelector
os.O_BINARY, os.name = 0, "nt"
""", "", "")}


@pytest.mark.parametrize("how", sorted(LEAVE))
def test_leaving_without_close_leaves_complete_files(run, encoder, request, how):
    before, leave, last_line = LEAVE[how]
    processes = request.getfixturevalue("processes") if "kill" in how else None
    source = "env = Monitor(RandomWalk(), sys.argv[1], every)\nplay(env)\nenv.reset()\nenv.step(0)\n" + leave
    if "child" in how:
        source = (f"child = multiprocessing.get_context('fork').Process(target=exec, args=({source!r}, globals()))\n"
                  "child.start()\nchild.join()\n")
    _, _, err = run_script(source, run, before=before, start_new_session=True)
    assert err.rstrip("\n").split("\n")[-1] == last_line and "ignored" not in err and (last_line or not err), err
    if "kill" not in how:
        check_run(run, returns_of(0, 3, 1), encoder, [4, 2])
    else:  # an .mp4 under way is finished by ffmpeg itself
        wait_until(lambda: not processes())
        frames = [frames_of(video) for video, _ in load_results(run)["videos"]]
        assert returns_in(run) == returns_of(0, 3, 1) and frames == ([4, 2] if encoder == ".mp4" else [4])


@pytest.mark.parametrize("time_to_train", [0.05, 0.1])
def test_threads_that_train_while_the_interpreter_ends_leave_whole_rows(run, time_to_train):
    run_script("""
        def train(seed):
            env = Monitor(RandomWalk(2, seed), sys.argv[1] + "/%d" % seed, False, write_upon_reset=seed % 2)
            while True:
                play(env)

        sys.setswitchinterval(1e-6)
        for seed in range(8):
            threading.Thread(target=train, args=(seed,), daemon=True).start()
        time.sleep(float(sys.argv[2]))
    """, run, time_to_train)
    for path in pathlib.Path(run).glob("*/*.csv"):
        returns = returns_in(path.parent)
        assert returns == returns_of(int(path.parent.name), 2, len(returns))


def interruptions(begun, act, fault, most):
    """Begin something and act on it, again and again, with an exception in front of another line of gym_monitor.

    It is that of a signal handler. It comes out as it went in; only in a finalizer, or where a failure is of no
    account, it is dropped. Chance picks `most` of the lines. Yields what was begun; the first is not interrupted.
    """
    def trace(frame, event, argument):
        nonlocal ran
        if frame.f_globals is not vars(gym_monitor):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # No signal is handled in front of a `try:`, and two exceptions at once are another matter.
        if event == "line" and line != "try:" and sys.exc_info()[1] is outer:
            ran += 1
            if ran - 1 == moment:
                raise fault("by the test")
        return trace

    moments, before = [None], sys.gettrace()
    for moment in moments:
        subject, ran, outer = begun(), 0, sys.exc_info()[1]
        sys.settrace(trace)
        try:
            act(subject)
        except (KeyboardInterrupt, TimeoutError) as problem:
            assert str(problem) == "by the test"
        finally:
            sys.settrace(before)
        yield subject
        if moment is None:
            moments += random.Random(0).sample(range(ran), min(ran, most))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one in a finalizer is only printed
@pytest.mark.parametrize("fault, kind, ending, most", [
    *((fault, kind, ending, most) for fault in (KeyboardInterrupt, TimeoutError)
      for kind, ending, most in ((Walk, "", 200), (OldWalk, "", 200), (Autoreset, "", 200), (Picture, ".png", 70))),
    pytest.param(KeyboardInterrupt, Picture, ".mp4", 3, marks=needs_ffmpeg)])
def test_an_interrupt_anywhere_in_an_episode_counts_it_right_or_not_at_all(
        tmp_path, processes, monkeypatch, fault, kind, ending, most):
    if ending != ".mp4":
        monkeypatch.setenv("PATH", str(tmp_path))

    def episode(env):
        return [env.step(0) for _ in range(3)] if kind is Autoreset else play(env)

    def begun():
        env = Monitor(kind(), tempfile.mkdtemp(dir=str(tmp_path)), every if ending else False, info_keywords=("what",))
        env.reset()
        episode(env)
        return env

    for env in interruptions(begun, episode, fault, most):
        with contextlib.suppress(ResetNeeded):  # the reset was interrupted, or the step that ended the episode
            while 0 < env.unwrapped.steps < 3:
                env.step(0)
        episode(env)
        episode(env)
        told = list(zip(env.get_episode_lengths(), env.get_episode_rewards()))
        env.close()
        results = load_results(env.directory)
        assert set(told) == {(3, 6.0)} and 3 - (kind is Autoreset) <= len(told) <= 4
        assert told == list(zip(results["episode_lengths"], results["episode_rewards"]))
        assert env.videos == results["videos"] and {frames_of(video) for video, _ in env.videos} <= {4}
        filmed = [load(metadata)["episode_id"] for _, metadata in env.videos]
        assert sorted(set(filmed)) == filmed and (not ending or len(told) - 1 <= len(filmed))
    # An ffmpeg whose start was interrupted ends by itself; starting another process reaps it.
    wait_until(lambda: subprocess.call([sys.executable, "-c", ""]) == 0 and not processes())


def test_ctrl_c_anywhere_in_close_is_put_right_by_closing_again(tmp_path, no_ffmpeg):
    def begun():
        env = Monitor(RandomWalk(), tempfile.mkdtemp(dir=str(tmp_path)), every)
        play(env, 2)
        env.reset()
        return env

    for env in interruptions(begun, Monitor.close, KeyboardInterrupt, 70):
        env.close()
        assert returns_in(env.directory) == returns_for_gym(env.directory) == returns_of(0, 3, 2)
        assert [frames_of(video) for video, _ in load_results(env.directory)["videos"]] == [4, 4, 1]
        assert env.unwrapped.closed and not env.enabled


def test_closing_while_a_frame_is_drawn_leaves_the_video_whole(run, encoder):
    def draw(step):
        if step == 2:
            env.close()  # as a signal handler does where a cluster takes its node back
        return picture(step)

    env = Monitor(RandomWalk(draw=draw), run, every)
    play(env)
    env.close()
    check_run(run, [], encoder, [2])


def test_no_frame_follows_where_ctrl_c_strikes_at_the_end_of_a_video(run, encoder, monkeypatch):
    def strike(*_):
        raise KeyboardInterrupt

    env = Monitor(RandomWalk(), run, (0).__eq__, video_length=6)
    play(env)
    env.reset()
    with monkeypatch.context() as now, pytest.raises(KeyboardInterrupt):
        now.setattr(os, "replace", strike)  # which writes the metadata, after the sixth frame
        env.step(0)
    play(env, 2)
    env.close()
    check_run(run, env.unwrapped.returns, encoder, [6])


def test_sixteen_processes_at_once_in_one_directory_keep_their_own_files(run, no_ffmpeg):
    def work(seed):
        os.getpid = lambda: 1  # as in every container
        barrier.wait()
        record_walk(run, 3, lambda: RandomWalk(3, seed), video_callable=every, resume=True,
                    uid=(None, "same")[seed % 2], write_upon_reset=seed > 7)

    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(16)
    workers = [context.Process(target=work, args=(seed,)) for seed in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 16
    returns = sorted(reward for seed in range(16) for reward in returns_of(seed))
    assert sorted(returns_in(run)) == sorted(returns_for_gym(run)) == returns
    named = [name for path in detect_training_manifests(run) for pair in load(path)["videos"] for name in pair]
    assert sorted(named) == [name for name in files(run) if ".video." in name] and len(files(run)) == 16 * (3 + 2 * 3)


def test_a_run_whose_names_another_process_took_after_clearing_leaves_the_new_ones_alone(run, no_ffmpeg):
    source = """
        env = Monitor(RandomWalk(3, int(sys.argv[2])), sys.argv[1], every, True, uid="agent", write_upon_reset=True)
        play(env, 2)
        print("ready", flush=True)
        sys.stdin.readline()
        play(env, 2)
        env.close()
    """
    old = begin(source, run, 1)
    old.stdout.readline()
    assert begin(source, run, 2).communicate("go on\n")[1] == ""
    before = [(entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(run)]
    assert "gym_monitor.Error" in old.communicate("go on\n")[1]
    assert [(entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(run)] == before
    check_run(run, returns_of(2, 3, 4), ".png", [4] * 4)


@forks_are_told
def test_forked_children_touch_no_file_of_their_parent_warn_once_and_may_record_themselves(run, encoder):
    status, _, err = run_script("""
        def sizes():  # but ffmpeg writes when it likes
            return {entry.name: entry.stat().st_size for entry in os.scandir(sys.argv[1]) if ".mp4" not in entry.name}

        env = Monitor(RandomWalk(2), sys.argv[1], every, write_upon_reset=True)
        play(env)
        env.reset()
        env.step(0)
        before = sizes()
        reading, writing = os.pipe()
        for end in "os._exit(0)", "sys.exit(0)", "env.close()", "time.sleep(1000)":
            pid = os.fork()
            if pid == 0:
                env.step(0)
                play(env, 3)
                assert env.env.length == 2 and not env.enabled and len(env.env.returns) == 5
                play(Monitor(RandomWalk(2, 7), sys.argv[1] + ".own", False, resume=True))
                os.write(writing, b".")
                exec(end)
                sys.exit(0)
            assert os.read(reading, 1) == b"."
            assert "sleep" in end or os.waitpid(pid, 0)[1] == 0
        assert before == sizes()
        env.step(0)
        play(env)
        env.close()
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)  # the last child is there, but holds no pipe of its parent's open
        os.kill(pid, signal.SIGKILL)
    """, run)
    assert status == 0 and len(err.splitlines()) == err.count("was forked") == 4, err
    check_run(run, returns_of(0, 2), encoder, [3] * 3)
    assert returns_in(run + ".own") == 4 * returns_of(7, 2, 1)


@forks_are_told
@needs_ffmpeg
def test_forks_beside_a_thread_that_films_never_hang(run):
    status, out, err = run_script("""
        def film():
            env = Monitor(RandomWalk(20), sys.argv[1], every)
            while len(ends) < 100:
                play(env)
            env.close()

        ends = []
        sys.setswitchinterval(1e-5)
        threading.Thread(target=film).start()
        signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
        while len(ends) < 100:
            pid = os.fork() or os._exit(0)
            signal.alarm(30)
            ends.append(os.waitpid(pid, 0)[1])
        signal.alarm(0)
        print(set(ends))
    """, run)
    assert (status, out, err) == (0, "{0}\n", "")


# ---------------------------------------------------------------------------------------------------------------------
# Faults of the directory: full, read-only, removed, hostile
# ---------------------------------------------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    """A directory on a file system of its own, of 96 KB."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("run the tests as root on Linux, to mount a small tmpfs")
    disk, unmount = tmp_path / "disk", shutil.which("umount")
    disk.mkdir()
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], stderr=subprocess.DEVNULL):
        pytest.skip("allow mount: this container's root may not (docker run --cap-add SYS_ADMIN)")
    yield disk
    gc.collect()
    if subprocess.call([unmount, str(disk)]):
        subprocess.call([unmount, "-l", str(disk)])
        raise AssertionError("a file was left open")


def fill(disk):
    """Take all the room that a disk has, until the `filler` is removed."""
    with open(str(disk / "filler"), "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(512)):
            pass


def test_rows_wait_for_a_full_disk_and_close_is_an_error_until_all_are_stored(small_disk, monkeypatch):
    walk, run, tries = RandomWalk(), str(small_disk / "run"), []
    fill(small_disk)
    with pytest.raises(Error, match="space"):
        Monitor(walk, run)
    (small_disk / "filler").unlink()
    env = Monitor(walk, run, False, write_upon_reset=True)  # nothing is in its way
    play(env, 5)
    fill(small_disk)
    pwrite = gym_monitor._pwrite
    monkeypatch.setattr(gym_monitor, "_pwrite", lambda *arguments: tries.append(1) or pwrite(*arguments))
    play(env, 400)
    stored = returns_in(run)
    assert 5 <= len(stored) < 405 and stored == walk.returns[:len(stored)]
    assert len(tries) < 200  # all rows that wait are made again at each try, so there is none per episode
    (small_disk / "filler").unlink()
    wait_until(lambda: play(env) or returns_in(run) == walk.returns)  # they are tried again by and by
    fill(small_disk)
    play(env, 150)
    returns = walk.returns[:]
    for _ in range(2):
        with pytest.raises(Error, match="space"):
            env.close()
        play(env)  # it is closed: this passes through
    assert returns_in(run) == returns[:len(returns_in(run))] and files(run, ".tmp") == []
    assert returns_for_gym(run) == returns[:len(returns_for_gym(run))]
    (small_disk / "filler").unlink()
    env.close()
    check_run(run, returns)


@pytest.mark.parametrize("full_from", [0, 1, 2, None])  # the reset on, or that step; None: where its film fills it
def test_on_a_full_disk_a_listed_video_is_whole_and_has_its_metadata(small_disk, encoder, full_from):
    walk, run = RandomWalk(), str(small_disk / "run")
    env = Monitor(walk, run, every)
    play(env)
    assert len(env.videos) == 1  # which waits until it is complete
    if full_from is None:
        walk.length, walk.draw = 40, lambda step: memoryview(os.urandom(3 * 128 * 128)).cast("B", [128, 128, 3])
    for moment, act in enumerate([env.reset] + walk.length * [lambda: env.step(0)]):
        if moment == full_from:
            fill(small_disk)
        act()
    if full_from is None:
        assert len(env.videos) == 1 and metadata_of(run)[1]["broken"] and metadata_of(run)[1]["error"]
    for room in (full_from is None, True):
        if room and full_from is not None:
            (small_disk / "filler").unlink()
        with contextlib.ExitStack() if room else contextlib.suppress(Error):
            env.close()
        assert env.videos == load_results(run)["videos"]
        for video, metadata in env.videos:
            assert not load(metadata)["broken"] and not load(metadata)["empty"] and frames_of(video) == 4
    check_run(run, walk.returns, encoder, [4] * len(env.videos))


@pytest.fixture
def nobody():
    """A directory that everybody may use. Root is nobody for a while, for root may write anywhere."""
    path, user = tempfile.mkdtemp(), os.geteuid()
    os.chmod(path, 0o777)
    os.seteuid(user or 65534)
    yield path
    os.seteuid(user)
    shutil.rmtree(path, ignore_errors=True)


def test_a_directory_that_is_or_becomes_read_only_is_an_error_at_the_start_or_at_close(no_ffmpeg, nobody):
    os.mkdir(os.path.join(nobody, "locked"), 0o555)
    for directory in ("locked", "locked/a/b"):
        with pytest.raises(Error, match="locked"):
            Monitor(RandomWalk(), os.path.join(nobody, directory), force=True)
    assert files(nobody) == ["locked"]
    env = Monitor(RandomWalk(), os.path.join(nobody, "run"), every)
    play(env, 3)
    os.chmod(env.directory, 0o555)
    play(env, 3)
    assert returns_in(env.directory) == returns_of(0, 3, 6)
    env.reset()
    with pytest.raises(Error, match=re.escape(env.directory)):
        env.close()
    os.chmod(env.directory, 0o755)
    env.close()
    check_run(env.directory, returns_of(0, 3, 6), ".png", [4] * 3)


def test_a_directory_removed_before_the_interpreter_ends_is_told_of(run):
    source = "env = Monitor(Walk(), sys.argv[1])\nplay(env)\nos.rename(sys.argv[1], sys.argv[1] + '-moved')"
    assert "cannot be written" in run_script(source, run)[2]


def test_a_directory_that_was_removed_is_an_error_at_each_close_and_lists_no_video_that_is_not_there(run, encoder):
    env = Monitor(RandomWalk(), run, lambda number: number in (0, 2))
    env.reset()
    shutil.rmtree(run)
    os.mkdir(run)
    for _ in range(3):
        env.step(0)
    play(env, 3)
    for _ in range(2):
        with pytest.raises(Error, match=re.escape(run) + ".*openaigym"):
            env.close()
        play(env)  # passes through
    check_run(run, returns_of(0, 3, 4), encoder, [4])
    assert env.videos == load_results(run)["videos"] and not env.enabled and env.unwrapped.closed == 1
    assert env.get_episode_rewards() == returns_of(0, 3, 4) and files(run, ".csv") == []  # which is not made anew


def test_at_the_limit_of_open_files_training_goes_on_and_close_succeeds(run, encoder):
    resource = pytest.importorskip("resource", reason="there is no limit of open files here: use Linux or macOS")
    env, limits = Monitor(RandomWalk(), run, lambda number: number > 0), resource.getrlimit(resource.RLIMIT_NOFILE)
    play(env)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))  # all below are taken
    try:
        play(env, 2)
        env.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    check_run(run, returns_of(0))


@pytest.fixture
def secret(tmp_path):
    """A file of a run outside of the directory `run`, which nobody may read or write: its times would tell."""
    record_walk(tmp_path / "outside", 3)
    path, = map(str, (tmp_path / "outside").glob("*.stats.json"))
    os.utime(path, (0, 0))
    yield path
    assert (os.stat(path).st_atime, os.stat(path).st_mtime) == (0, 0)


PLANTS = {
    "a link": lambda secret, path: path.symlink_to(secret),
    "a named pipe": lambda secret, path: os.mkfifo(str(path)),
    "a directory": lambda secret, path: path.mkdir(),
    "a terabyte": lambda secret, path: (path.touch(), os.truncate(str(path), 1 << 40)),
    "deep brackets": lambda secret, path: path.write_text("[" * 100000),
    "names outside": lambda secret, path: path.write_text(json.dumps({
        "stats": "../outside/" + os.path.basename(secret), "videos": [[secret] * 2], "env_info": {"env_id": "Walk"}})),
}


@pytest.mark.parametrize("plant", sorted(PLANTS))
@pytest.mark.parametrize("ending", [".manifest.json", ".stats.json", ".monitor.csv"])
def test_what_is_no_file_of_ours_in_the_place_of_one_is_not_read_nor_what_it_names(run, secret, ending, plant):
    record_walk(run, 3)
    (journal,), (path,) = (pathlib.Path(run).glob("*" + name) for name in (".monitor.csv", ending))
    path.unlink()
    PLANTS[plant](secret, path)
    if path != journal:
        assert returns_in(run) == [6.0] * 3 and load_results(run)["videos"] == []
        journal.unlink()  # so the JSON would count
    with pytest.raises(Error, match=re.escape(run)):
        load_results(run)


def test_recording_follows_no_link(run, secret, no_ffmpeg):
    env = Monitor(RandomWalk(), run, every)
    for name in ("manifest.{}.manifest.json", "episode_batch.{}.stats.json", "video.{}.video000000.png",
                 "video.{}.video000000.meta.json"):
        os.symlink(secret, os.path.join(run, "openaigym." + name.format(env.file_infix)))
    play(env, 3)
    env.close()
    assert returns_in(run) == returns_of(0) and len(load_results(run)["videos"]) >= 2


HOSTILE = [b"null", b"true", b"-1", b"1e400", b"NaN", b"1" * 400, b'""', b'"x"', b'".."', b'"/etc/passwd"',
           b'"a\\u0000"', b'"\\ud800"', b"[]", b"{}", b"[[]]", b"[null]", b'["x", "y"]', b'[["x", "y"]]',
           b'{"env_id": []}', *(b"[" * depth + b"]" * depth for depth in (10, 900, 980, 3000)),
           b"", b"\n", b",", b'"', b"\0", b"-", b"e999", b"\x80", b"\xff", b"inf", b"#", b"{"]
# What a hostile one takes the place of: a value, an innermost list or object, any bytes, those at the end.
PARTS = [rb'"[^"]*"|[-.\w]+', rb"\[[^][]*\]|\{[^{}]*\}", b"(?s).{1,20}", b"(?s).{1,100}\\Z"]


def test_mutants_of_a_directory_bring_only_an_answer_or_an_error(tmp_path, no_ffmpeg):
    whole, gyms = tmp_path / "whole", tmp_path / "gyms"
    record_walk(whole, 3, lambda: Picture(info={"steps": 'a "quoted", text'}), video_callable=at(0), uid="u",
                info_keywords=("steps",))
    shutil.copytree(str(whole), str(gyms))
    next(gyms.glob("*.csv")).unlink()
    contents = {path: path.read_bytes() for path in sorted(tmp_path.glob("*/*[nv]"))}  # .json and .csv
    chance, errors = random.Random(4), 0
    for _ in range(2000):
        path, content = chance.choice(list(contents.items()))
        parts = [match.span() for match in re.finditer(chance.choice(PARTS), content)]
        start, end = chance.choice(parts or [(0, len(content))])
        path.unlink()  # ext4 is slow to write a file again
        path.write_bytes(content[:start] + chance.choice(HOSTILE + [content[start:end] * 3]) + content[end:])
        try:
            results = load_results(str(path.parent))
            assert {len(results[key]) for key in (*LISTS, "data_sources")} == {len(results["timestamps"])}
            assert results["timestamps"] == sorted(results["timestamps"])
            assert all(os.path.dirname(video) == str(path.parent) for video, _ in results["videos"])
        except Error as problem:
            errors += 1
            assert str(path.parent) in str(problem)
        path.unlink()
        path.write_bytes(content)
    assert 200 < errors < 1800


# ---------------------------------------------------------------------------------------------------------------------
# Faults of ffmpeg, renderers and rewards; long runs
# ---------------------------------------------------------------------------------------------------------------------

ASKED = """case "$*" in *-encoders*) echo ' V....D libx264              libx264 H.264 / AVC (codec h264)'; exit 0;; esac
"""
WORKS = f'exec {FFMPEG} "$@"'
ONCE = ASKED + f'if [ ! -e "$0.once" ]; then touch "$0.once"; {WORKS}; fi\n'
TWICE = f'if [ ! -e "$0.twice" ]; then touch "$0.twice"; {FFMPEG} "$@"; exit 9; fi\n'
NONE = [".png"] * 3  # the endings of the first three videos
FIRST = ["", ".png", ".png"]  # the first is given up, and the next are not entrusted to that ffmpeg
FFMPEG_FAULTS = {  # what ffmpeg does, what becomes of the videos, what the error of one that is given up says
    "answers what is no text, and fails": ("printf '\\377\\n V libx264 '; exit 1", NONE, ""),
    "hangs in a child when it is asked": ("sleep 1000 & wait", NONE, ""),
    "is not executable": (ASKED, NONE, ""),
    "dies after a few frames": (ASKED + "head -c 300000 >/dev/null; echo out of memory >&2; exit 9", FIRST, "memory"),
    "writes nothing": (ASKED + "cat >/dev/null", FIRST, ""),
    "dies of megabytes": (ASKED + "yes bla | head -c 3000000 >&2; cat >/dev/null; echo end >&2; exit 1", FIRST, "end"),
    "prints what is no text": (ASKED + "printf '\\377\\376\\0 words' >&2; exit 1", FIRST, "words"),
    "never reads": (ASKED + "exec sleep 1000", FIRST, ""),
    "stops its input but stays": (ASKED + "head -c 9 >/dev/null; exec <&-; exec sleep 1000", FIRST, ""),
    "never exits, nor does its child": (ASKED + "cat >/dev/null; sleep 1000 & wait", FIRST, ""),
    "has worked, and dies once": (ONCE + TWICE + WORKS, [".mp4", "", ".mp4"], "9"),
    "has worked, and hangs": (ONCE + "cat >/dev/null; sleep 1000", [".mp4", "", ".png"], ""),
}


@pytest.mark.parametrize("fault", sorted(FFMPEG_FAULTS))
def test_training_goes_on_and_no_video_is_lost_twice_with_an_ffmpeg_that(
        run, fake_ffmpeg, processes, monkeypatch, caplog, fault):
    script, endings, words = FFMPEG_FAULTS[fault]
    if ".mp4" in endings and not FFMPEG:
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")
    fake_ffmpeg(script, 0o644 if fault == "is not executable" else 0o755)
    walk = RandomWalk(60, draw=lambda step: picture(step, 100, 100))  # more than a pipe holds, but a frame is less
    with Monitor(walk, run, every) as env:
        for ending in endings:
            # What hangs on purpose is found soon; on a slow machine, nothing else is taken for hanging.
            hangs = "sleep" in script and ending != ".mp4"
            monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 0.3 if hangs and ASKED not in script else 60.0)
            env.reset()  # asks and starts it
            monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 0.3 if hangs else 60.0)
            for _ in range(60):
                env.step(0)
            assert len(env.videos) == sum(map(bool, endings[:env.episode_id]))  # reading it waits for the last one
    assert returns_in(run) == returns_for_gym(run) == returns_of(0, 60)
    videos = [(os.path.splitext(video)[1], frames_of(video)) for video, _ in load_results(run)["videos"]]
    assert videos == [(ending, 61) for ending in endings if ending]
    for metadata, ending in zip(metadata_of(run), endings):
        assert metadata["broken"] == (not ending)
        assert ending or words in metadata["error"] and 0 < len(metadata["error"]) < 2000
    assert len(caplog.records) == endings.count("") and not processes()


@needs_ffmpeg
def test_a_time_limit_while_ffmpeg_is_slow_passes_and_does_not_give_ffmpeg_up(run, fake_ffmpeg):
    slow = 'if [ ! -e "$0.slow" ]; then touch "$0.slow"; exec sleep 1000; fi\n'
    fake_ffmpeg(ASKED + slow + WORKS)
    before = signal.signal(signal.SIGALRM, failing(None, TimeoutError("too slow"), 1))
    with Monitor(RandomWalk(30, draw=lambda step: picture(step, 300, 300)), run, every) as env:
        with pytest.raises(TimeoutError, match="too slow"):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            play(env)  # which takes for ever: the pipe is full
        signal.signal(signal.SIGALRM, before)
        play(env, 2)
    check_run(run, env.unwrapped.returns, ".mp4", [31, 31])


@pytest.mark.parametrize("draw", [lambda step: 1 // 0, lambda step: picture(step, 8 + step // 2)],
                         ids=["raises", "changes the size"])
def test_training_goes_on_with_a_renderer_that(run, encoder, caplog, draw):
    record_walk(run, 3, lambda: RandomWalk(draw=draw), video_callable=at(0))
    check_run(run, returns_of(0))
    metadata, = metadata_of(run)
    assert metadata["broken"] and metadata["error"] and len(files(run)) == 4  # the video itself is gone
    assert [metadata["error"] in record.getMessage() for record in caplog.records] == [True]


def test_a_long_run_keeps_nothing_but_its_list_of_episodes(run, processes):
    _, out, err = run_script("""
        def memory():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        env = Monitor(Walk(1, {"what": "x" * 400}), sys.argv[1], False, info_keywords=("what",))
        play(env, 100)
        before = memory()
        play(env, 20000)
        print((memory() - before) // 20000)
    """, run)
    assert err == "" and int(out) < 250 and len(returns_in(run)) == 20100  # bytes: the list takes about 150 per episode


def test_many_videos_leave_no_open_file_process_or_thread(run, processes, encoder):
    def resources():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), processes(), threading.active_count()

    env = Monitor(RandomWalk(1), run, every)
    play(env, 3)
    assert len(env.videos) == 3
    before = resources()
    play(env, 20)
    assert len(env.videos) == len(load_results(run)["videos"]) == 23 and resources() == before


# ---------------------------------------------------------------------------------------------------------------------
# Other people's packages: gymnasium, Stable-Baselines3, CleanRL, dm_env
# ---------------------------------------------------------------------------------------------------------------------

AutoresetMode = enum.Enum("AutoresetMode", {"NEXT_STEP": "NextStep", "SAME_STEP": "SameStep", "DISABLED": "Disabled"})
NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode  # by name and value those of gymnasium


def need(module, install=None, version=None):
    """Somebody else's module; without it the test is skipped, with a reason that says what to install."""
    return pytest.importorskip(module, version, f"needs {module}: pip install {install or module.replace('_', '-')}")


@pytest.fixture
def gymnasium():
    need("pygame", "'gymnasium[classic-control,toy-text]>=1.1'")
    return need("gymnasium", "'gymnasium[classic-control,toy-text]>=1.1'", "1.1")


@pytest.fixture
def sb3(gymnasium, monkeypatch):
    """A function that returns Stable-Baselines3's modules by their last names."""
    for module in ("stable_baselines3", "pandas", "matplotlib"):
        need(module)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    need("torch").set_num_threads(1)  # in so small a network, threads mostly wait for each other
    return lambda name: importlib.import_module("stable_baselines3." + name)


@pytest.fixture
def Shade(gymnasium):
    """A class of gymnasium's environments. Each frame is of one shade, and no two of a run are alike."""
    class Shade(Picture, gymnasium.Env):
        observation_space, action_space, resets = gymnasium.spaces.Discrete(9), gymnasium.spaces.Discrete(2), 0

        def reset(self, seed=None, options=None):
            super().reset()
            self.resets += 1
            return 0, {}

        def render(self):
            return need("numpy").full((32, 48, 3), (9 * self.resets + self.steps) % 256, "uint8")
    return Shade


class Fleet:
    """A vector environment as one object: episodes of sub-environment i have `lengths[i]` steps.

    Those of the second are truncated; those of the third end with minus infinity. `faults` maps the number of a call of
    `step` to what it raises, at once or, if `late`, at its end. `last` is the form of the last infos in SAME_STEP mode.
    """

    render_mode, action_space = "rgb_array", types.SimpleNamespace(seed=int, sample=list)

    def __init__(self, mode=NEXT_STEP, lengths=(2, 3, 4), faults=(), late=False, last="arrays", array=None):
        self.array, self.mode, self.lengths = array or need("numpy").array, mode, lengths
        self.faults, self.late, self.last, self.num_envs = dict(faults), late, last, len(lengths)
        self.metadata, self.calls = {"autoreset_mode": mode}, itertools.count(1)
        self.steps, self.over = [0] * self.num_envs, [False] * self.num_envs

    def reset(self, seed=None, options=None):
        for index, chosen in enumerate((options or {}).get("reset_mask", [True] * self.num_envs)):
            if chosen:
                self.steps[index], self.over[index] = 0, False
        return self.array(self.steps), {}

    def step(self, actions):
        fault = self.faults.get(next(self.calls))
        if fault and not self.late:
            raise fault
        self.steps = [0 if over and self.mode is NEXT_STEP else step + 1 for step, over in zip(self.steps, self.over)]
        self.over = [step == length for step, length in zip(self.steps, self.lengths)]
        rewards = [0.1 * step for step in self.steps]
        rewards[2] = -math.inf if self.over[2] else rewards[2]
        ends = [[over and (index == 1) is cut for index, over in enumerate(self.over)] for cut in (False, True)]
        infos = {"score": self.array([10 * step for step in self.steps]), "level": 7, 3: "a key that is no text"}
        if self.mode is SAME_STEP and any(self.over):
            scores = [{"score": 10 * step} if over else None for step, over in zip(self.steps, self.over)]
            infos = {None: infos, "arrays": {
                "score": self.array([0] * self.num_envs), "final_info": infos, "_final_info": self.array(self.over)},
                     "objects": {"final_info": scores}, "observation": {"final_observation": 0}}[self.last]
            self.steps = [0 if over else step for step, over in zip(self.steps, self.over)]
        if fault:
            raise fault
        return (*map(self.array, (self.steps, rewards, *ends)), infos)

    def render(self):
        return tuple(picture(40 * step + index) for index, step in enumerate(self.steps))


def rollout(env, episodes=3):
    """Play episodes with seeded actions: all the environment's answers, (return, length) of each episode."""
    answers, played = [], []
    env.action_space.seed(7)
    for seed in range(episodes):
        answers.append(env.reset(seed=seed))
        rewards = []
        while not rewards or not any(answers[-1][2:4]):
            answers.append(env.step(env.action_space.sample()))
            rewards.append(answers[-1][1])
        played.append((pytest.approx(math.fsum(rewards)), len(rewards)))
    return answers, played


def vector_rollout(envs, steps=80, mode=None):
    """Step a vector environment: all its answers, (return, length) of each whole episode by a count of our own."""
    mode, everyone = (mode or envs.metadata["autoreset_mode"]).name, range(envs.num_envs)
    envs.action_space.seed(7)
    answers, played, rewards = [envs.reset(seed=7)], [], [[] for _ in everyone]
    resetting, whole = [False for _ in everyone], [True for _ in everyone]
    for _ in range(steps):
        try:
            answers.append(envs.step(envs.action_space.sample()))
        except (ZeroDivisionError, KeyboardInterrupt):  # the episodes under way do not count
            whole = [False for _ in everyone]
            continue
        over = answers[-1][2] | answers[-1][3]
        for index, reward in enumerate(answers[-1][1].tolist()):
            if resetting[index]:
                resetting[index] = False
                continue
            rewards[index].append(reward)
            if over[index]:
                played += [(math.fsum(rewards[index]), len(rewards[index]))] * whole[index]
                rewards[index], whole[index], resetting[index] = [], True, mode == "NEXT_STEP"
        if mode == "DISABLED" and over.any():
            envs.reset(options={"reset_mask": over})
    return answers, played


def episodes_in(directory):
    """What a directory holds of each episode: (return, length), in the order of their ends."""
    results = load_results(directory)
    return list(zip(results["episode_rewards"], results["episode_lengths"]))


@needs_ffmpeg
@pytest.mark.parametrize("name, mode", [
    ("CartPole-v1", "rgb_array"), ("FrozenLake-v1", "rgb_array"), ("FrozenLake-v1", "ansi"), ("Taxi-v4", "ansi"),
    ("MountainCarContinuous-v0", "rgb_array_list")])
def test_real_environments_answer_as_under_record_episode_statistics_and_are_filmed(run, gymnasium, name, mode):
    def make():
        return gymnasium.make(name, render_mode=mode, max_episode_steps=30)

    record = gymnasium.wrappers.RecordEpisodeStatistics
    equal = importlib.import_module("gymnasium.utils.env_checker").data_equivalence
    bare, played = rollout(record(make()))
    above, _ = rollout(record(Monitor(make(), stats_key=None)))  # theirs insists that there is no entry yet
    with Monitor(make(), run, lambda episode: episode > 0) as env:
        answers, _ = rollout(env)
        if mode == "rgb_array_list":  # the user's own call has every frame, though the recorder has taken them
            assert len(env.render()) == played[-1][1] + 1
    for entry in [info["episode"] for *_, info in bare + above + answers if "episode" in info]:
        entry.update(r=round(entry["r"], 9), t=entry["t"] > 0)
    assert equal(above, bare, exact=True) and equal(answers, bare, exact=True) and episodes_in(run) == played
    assert load_results(run)["env_info"] == {"env_id": name, "gym_version": gymnasium.__version__}
    frames = [len(pathlib.Path(path).read_bytes().splitlines()) - 1 if mode == "ansi" else frames_of(path)
              for path, _ in env.videos]  # a text recording has a line for each, below its header
    assert frames == [length + 1 for _, length in played[1:]]


@pytest.mark.filterwarnings("ignore")  # of which gymnasium's checker has many
def test_gymnasiums_wrappers_stack_above_and_below_and_every_attribute_is_reached(run, gymnasium):
    wrappers = gymnasium.wrappers
    inside = wrappers.TransformReward(gymnasium.make("Pendulum-v1", max_episode_steps=6), lambda reward: reward + 100)
    monitor = Monitor(inside, run, False)
    assert isinstance(monitor, gymnasium.Env) and isinstance(monitor, Monitor) and monitor.spec.id == "Pendulum-v1"
    assert not isinstance(Monitor(Walk()), gymnasium.Env)
    env = wrappers.FrameStackObservation(wrappers.NormalizeReward(wrappers.ClipAction(monitor)), 2)
    rollout(env)
    assert monitor.get_episode_lengths() == [6, 6, 6]
    assert all(500 < total < 600 for total in monitor.get_episode_rewards())  # 6 times 100, less the cost
    for name, there in [("get_episode_rewards", True), ("directory", True), ("max_speed", True), ("nonsense", False)]:
        assert env.has_wrapper_attr(name) is monitor.has_wrapper_attr(name) is there
    assert env.get_wrapper_attr("directory") == run and monitor.max_speed == 8
    env.set_wrapper_attr("max_speed", 2)
    assert monitor.unwrapped.max_speed == 2 and not monitor.set_wrapper_attr("nonsense", 1, force=False)
    older = Walk()
    older.set_wrapper_attr = lambda name, value: setattr(older, name, value)  # as gymnasium 1.0's: no `force`
    assert Monitor(older).set_wrapper_attr("length", 9) and older.length == 9
    importlib.import_module("gymnasium.utils.env_checker").check_env(monitor)


@pytest.mark.parametrize("triggers", [
    {}, {"episode_trigger": lambda episode: episode % 2}, {"step_trigger": lambda step: step in (0, 4, 11)},
    {"step_trigger": lambda step: step % 7 == 3, "episode_trigger": lambda episode: episode == 2},
    {"episode_trigger": lambda episode: episode == 0, "video_length": 8},
    {"step_trigger": lambda step: step in (2, 17), "video_length": 8},
], ids=["default", "episodes", "steps", "both", "8-frames-of-episodes", "8-frames-from-steps"])
def test_the_clips_are_those_that_record_video_captures(run, tmp_path, gymnasium, no_ffmpeg, Shade, triggers):
    need("moviepy")
    theirs = []

    class Spy(gymnasium.wrappers.RecordVideo):
        def stop_recording(self):  # moviepy, which would come next, often writes one frame fewer
            # With a video_length, theirs takes a frame more before it stops.
            theirs.append([frame.tobytes() for frame in self.recorded_frames][:triggers.get("video_length")])
            self.recorded_frames, self.recording = [], False

    with Spy(Shade(5), str(tmp_path / "spy"), **triggers) as env:
        play(env, 5)
    options = {key.replace("episode_trigger", "video_callable"): value for key, value in triggers.items()}
    videos = record_walk(run, 5, lambda: Shade(5), **options).videos
    assert sorted([pixels for pixels, _ in png_frames(path)[1]] for path, _ in videos) == sorted(theirs) != []


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_monitors_in_gymnasiums_vector_environments_lose_no_episode_and_are_reached(run, gymnasium, kind, mode):
    envs = getattr(gymnasium.vector, kind)([lambda uid=uid: Monitor(
        gymnasium.make("CartPole-v1", render_mode="rgb_array"), run, resume=True, uid=uid) for uid in range(3)],
        autoreset_mode=gymnasium.vector.AutoresetMode[mode])
    _, played = vector_rollout(envs)
    assert envs.get_attr("directory") == (run, run, run) and len(envs.call("get_total_steps")) == 3
    envs.set_attr("gravity", [1.0, 2.0, 3.0])  # CartPole's own
    assert envs.call("get_wrapper_attr", "gravity") == envs.get_attr("gravity") == (1.0, 2.0, 3.0)
    envs.close()
    assert len(played) > 6 and sorted(episodes_in(run)) == sorted(played)
    # AsyncVectorEnv makes one environment more, to look at its spaces.
    assert len(load_results(run)["manifests"]) == 3 + (kind == "AsyncVectorEnv")


@pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv"])
def test_stable_baselines3_reaches_inside_learns_evaluates_and_reads(run, tmp_path, gymnasium, sb3, Shade, kind):
    def make(uid, directory=run, mode=None):
        env = gymnasium.wrappers.TimeLimit(Shade(9, {"luck": 7}), 3 + uid)
        return Monitor(env, directory, resume=True, uid=uid, mode=mode, info_keywords=("luck",))

    sb3("common.env_checker").check_env(make(0, None), warn=False)
    options = {"start_method": "fork"} if kind == "SubprocVecEnv" and hasattr(os, "fork") else {}
    envs = getattr(sb3("common.vec_env"), kind)([lambda uid=uid: make(uid) for uid in range(2)], **options)
    envs.reset()
    assert envs.env_method("get_total_steps") == [0, 0] and envs.get_attr("directory") == [run, run]
    envs.env_method("set_wrapper_attr", "length", 8)
    assert envs.env_method("get_wrapper_attr", "length") == envs.get_attr("length") == [8, 8]
    wrappers = Monitor, gymnasium.wrappers.TimeLimit, gymnasium.wrappers.ClipAction
    assert [envs.env_is_wrapped(wrapper) for wrapper in wrappers] == [[True, True], [True, True], [False, False]]
    for refusing in (Monitor, VectorMonitor):
        with pytest.raises(Error, match="each sub-environment in a Monitor"):
            refusing(envs)
    model = sb3("ppo").PPO("MlpPolicy", envs, seed=1, device="cpu", n_steps=64, n_epochs=1)
    model.ep_info_buffer, model._stats_window_size = None, 10000
    seen = list(model.learn(256).ep_info_buffer)
    seen += model.learn(128).ep_info_buffer  # the second call empties it
    with make(0, str(tmp_path / "evaluation"), "evaluation") as env:
        evaluation = sb3("common.evaluation").evaluate_policy(model, env, 3, return_episode_rewards=True, warn=False)
    envs.close()
    assert episodes_in(env.directory) == list(zip(*evaluation))
    assert load_results(env.directory)["episode_types"] == ["e"] * 3
    table = sb3("common.monitor").load_results(run)
    assert list(zip(table.r, table.l)) == episodes_in(run) and set(table.luck) == {7}
    assert len(seen) > 80 and sorted((each["r"], each["l"], each["luck"]) for each in seen) == sorted(
        zip(table.r, table.l, table.luck))
    assert len(load_results(run)["videos"]) == len(files(run, ".meta.json")) == 8  # episodes 0, 1, 8 and 27 of both


CLEANRL = """
import gym, itertools
workers, ppo = itertools.count(), sys.argv.pop(1)
def monitor(env):
    worker = next(workers)
    return Monitor(env, "ours", False if worker else None, resume=True, uid=worker)
sys.argv += ["--total-timesteps", "1024", "--cuda", "False", "--capture-video"]
runpy.run_path(ppo, run_name="__main__")
gym.wrappers.RecordEpisodeStatistics, gym.wrappers.RecordVideo = monitor, lambda env, folder: env
runpy.run_path(ppo, run_name="__main__")
"""


@needs_ffmpeg
def test_cleanrls_own_ppo_logs_the_same_with_its_two_wrappers_replaced(tmp_path):
    for module in ("torch", "tensorboard", "pygame", "gym", "cleanrl"):
        need(module, "torch tensorboard pygame, then with --no-deps cleanrl==1.2.0 gym==0.23.1 gym-notices")
    status, out, err = run_script(CLEANRL, importlib.util.find_spec("cleanrl.ppo").origin, cwd=str(tmp_path))
    assert status == 0, err
    lines = [line for line in out.splitlines() if line.startswith("global_step")]
    assert len(lines) > 20 and lines[:len(lines) // 2] == lines[len(lines) // 2:]
    results = load_results(str(tmp_path / "ours"))
    assert {float(line.rpartition("=")[2]) for line in lines} <= set(results["episode_rewards"])
    assert len(results["videos"]) == 3  # episodes 0, 1 and 8 of the first environment


def test_a_dm_env_environment_is_recorded_and_a_render_attribute_films_it(run, no_ffmpeg):
    dm_env, shades = need("dm_env"), itertools.count()
    env = types.SimpleNamespace(
        reset=lambda: dm_env.restart(0), render=lambda: picture(next(shades)),
        step=lambda action: dm_env.truncation(2.5, 4) if action == 4 else dm_env.transition(0.5, action))
    with Monitor(env, run) as env:
        for _ in range(2):
            assert env.reset() == dm_env.restart(0)
            assert [env.step(action).last() for action in (1, 2, 3, 4)] == [False, False, False, True]
        with pytest.raises(ResetNeeded):
            env.step(1)
    assert episodes_in(run) == [(4.0, 4)] * 2
    assert [frames_of(path) for path, _ in env.videos] == [5, 5]


# ---------------------------------------------------------------------------------------------------------------------
# VectorMonitor: a vector environment as one object
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, mode", [
    ("SyncVectorEnv", "NEXT_STEP"), ("SyncVectorEnv", "SAME_STEP"), ("AsyncVectorEnv", "NEXT_STEP"),
    ("AsyncVectorEnv", "SAME_STEP"), ("native", "NEXT_STEP")])
def test_a_vector_answers_as_under_record_episode_statistics_with_one_journal(run, gymnasium, kind, mode):
    def answers_and_episodes(wrap):
        if kind == "native":  # one that is written as a vector
            envs = gymnasium.make_vec("CartPole-v1", 3, "vector_entry_point", render_mode="rgb_array")
        else:
            envs = getattr(gymnasium.vector, kind)([lambda: gymnasium.make("CartPole-v1", render_mode="rgb_array")] * 3,
                                                   autoreset_mode=gymnasium.vector.AutoresetMode[mode])
        envs = wrap(envs)
        assert isinstance(envs, gymnasium.vector.VectorEnv) and envs.single_action_space.n == 2
        answers, played = vector_rollout(envs)
        envs.close(**{"timeout": 60} if "Async" in kind else {})  # the environment's own argument
        return answers, played

    record = importlib.import_module("gymnasium.wrappers.vector").RecordEpisodeStatistics
    equal = importlib.import_module("gymnasium.utils.env_checker").data_equivalence
    bare, played = answers_and_episodes(record)
    above, _ = answers_and_episodes(lambda envs: record(VectorMonitor(envs, stats_key=None)))
    answers, _ = answers_and_episodes(lambda envs: VectorMonitor(envs, run))
    for entry in [infos["episode"] for *_, infos in bare + above + answers if "episode" in infos]:
        entry["t"] = entry["t"] > 0
    assert equal(above, bare, exact=True) and equal(answers, bare, exact=True)
    assert len(played) > 6 and episodes_in(run) == played and len(files(run, ".monitor.csv")) == 1
    assert len(load_results(run)["videos"]) == len(files(run, ".meta.json")) > 1


def of_library(monkeypatch, library, version):
    """Fleet as if it were defined in some version of gymnasium or gym."""
    monkeypatch.setitem(sys.modules, library, types.SimpleNamespace(__version__=version))
    base = type("VectorEnv", (), {"__module__": library + ".vector"})
    return type("Fleet", (Fleet, base), {"__module__": library + ".envs"})


def test_an_environment_of_another_kind_is_refused_with_the_way_out(run, monkeypatch):
    counted = Walk()
    counted.num_envs, counted.is_vector_env = 1, False  # gym's wrappers give them to a single environment
    old = of_library(monkeypatch, "gym", "0.25.2")()  # which answers four values
    for env, refusing, way_out in [
            (Walk(), [VectorMonitor], "in Monitor"), (counted, [VectorMonitor], "in Monitor"),
            (Fleet(), [Monitor], "in VectorMonitor"), (old, [Monitor, VectorMonitor], "each sub-environment in a Mon")]:
        for monitor in refusing:
            with pytest.raises(Error, match=way_out):
                monitor(env, run)
    assert not os.path.exists(run)
    play(Monitor(counted))


@pytest.mark.parametrize("version, mode, last, warned", [
    ("0.28.1", SAME_STEP, None, 0),  # as its CartPoleVectorEnv, whose infos are empty
    ("1.0.0", NEXT_STEP, None, 0), (None, SAME_STEP, "objects", 0), (None, SAME_STEP, "observation", 0),
    (None, NEXT_STEP, None, 1)])
def test_without_autoreset_mode_the_version_or_the_infos_tell(run, monkeypatch, caplog, version, mode, last, warned):
    envs = (of_library(monkeypatch, "gymnasium", version) if version else Fleet)(mode, last=last)
    envs.metadata = {}
    with VectorMonitor(envs, run, False) as monitor:
        _, played = vector_rollout(monitor, mode=mode)
    assert episodes_in(run) == [(pytest.approx(total), length) for total, length in played]
    assert ["autoreset_mode" in message for message in caplog.messages] == [True] * warned


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("late", [False, True])
def test_wherever_an_exception_strikes_the_episodes_under_way_do_not_count_and_all_others_do(library, mode, late):
    array = need("numpy").array if library == "numpy" else lambda values: need("torch").tensor(
        values, requires_grad=isinstance(values[0], float))  # as of a learnt reward
    for call in range(1, 13):
        faults = {call: ZeroDivisionError, call + 20: KeyboardInterrupt}
        envs = VectorMonitor(Fleet(mode, faults=faults, late=late, array=array))
        with pytest.raises(ResetNeeded):
            envs.step([0, 0, 0])
        answers, played = vector_rollout(envs, 50)
        found = list(zip(envs.get_episode_rewards(), envs.get_episode_lengths()))
        assert len(played) > 12 * (mode is not DISABLED) and found == [
            (pytest.approx(total, rel=1e-12), length) for total, length in played], call
        marked = [(total, length) for infos in (answer[-1] for answer in answers if "_episode" in answer[-1])
                  for end, total, length in zip(infos["_episode"], infos["episode"]["r"], infos["episode"]["l"]) if end]
        assert sorted(marked) == sorted(found) and not any(getattr(total, "requires_grad", 0) for total, _ in marked)


@pytest.mark.parametrize("mode, last, shown, types", [
    (NEXT_STEP, None, [0, 40, 80], "ttte"), (SAME_STEP, "arrays", [0, 40], "ttet"),
    (SAME_STEP, "objects", [0, 40], "ttet")])
def test_an_episode_of_a_vector_has_the_infos_and_the_mode_of_its_own_and_the_first_ones_are_filmed(
        run, no_ffmpeg, mode, last, shown, types):
    steps, ended = [], []
    with VectorMonitor(Fleet(mode, last=last), run, every, step_trigger=steps.append, info_keywords=("score",),
                       keep_video=lambda episode: ended.append(episode) or len(ended) != 2) as envs:
        vector_rollout(envs, 1)
        envs.set_monitor_mode("evaluation")  # three episodes of training are under way
        for _ in range(8):
            envs.step([])
    rows = journal_rows(run)[1]
    assert "".join(row["type"] for row in rows)[:4] == types and steps == list(range(9)) and len(ended) > 2
    assert [float(row["score"]) for row in rows] == [10.0 * int(row["l"]) for row in rows]
    for episode in ended:
        assert (episode.length, episode.info["score"], episode.info["episode"]["r"]) == (2, 20, episode.reward)
        assert last == "objects" or episode.info["level"] == 7  # one entry for all
    kept = ended[:1] + ended[2:]
    assert [metadata["episode_id"] for metadata in metadata_of(run)[:len(kept)]] == [each.episode_id for each in kept]
    films = [[pixels[0] for pixels, _ in png_frames(path)[1]] for path, _ in envs.videos]
    assert films[:len(kept)] == [shown] * len(kept)  # a step that ends an episode and begins the next shows the next


@pytest.mark.parametrize("how, options, frames", [
    ("", {}, 6), ("", {"video_length": 2}, 2), ("reset", {}, 6), ("partial reset", {}, 6), ("exception", {}, 6)])
def test_a_dropped_episodes_video_goes_and_another_names_its_episode_at_the_end(run, no_ffmpeg, how, options, frames):
    fleet = Fleet(lengths=(5, 2, 3), faults={3: ZeroDivisionError} if how == "exception" else {})
    with VectorMonitor(fleet, run, lambda episode: episode == 0, **options) as envs:
        vector_rollout(envs, 2)
        if "reset" in how:
            envs.reset(options={"reset_mask": fleet.array([True, False, False])} if how == "partial reset" else {})
        for _ in range(12):
            assert ("episode_id" in read_json(run, ".meta.json")) == (5 in envs.get_episode_lengths())
            with contextlib.suppress(ZeroDivisionError):
                envs.step([0, 0, 0])
    assert [frames_of(path) for path, _ in envs.videos] == [frames]
    assert read_json(run, ".meta.json")["episode_id"] == envs.get_episode_lengths().index(5)
    assert set(envs.get_episode_lengths()) == {2, 3, 5}


def test_a_vector_monitor_takes_a_monitors_arguments_and_counts_in_memory_until_it_starts(run, caplog):
    envs, asked = VectorMonitor(Fleet()), []
    for first, options in [(0, None), (0, {}), (6, {"resume": True}),
                           (0, {"force": True, "mode": "evaluation", "write_upon_reset": True})]:
        if options is not None:
            envs.start(run, asked.append, **options)
        assert envs.episode_id == first and caplog.messages == []
        vector_rollout(envs, 8)
        assert envs.get_episode_lengths() == [2, 3, 4, 2, 3, 2]
        assert envs.get_total_steps() == 8 * 3 - 5  # for so many only reset
        if options and "force" in options:
            written = read_json(run, ".stats.json")  # at the last reset, which is a step after an episode's end
            assert written["episode_types"] == ["e"] * 5 and written["initial_reset_timestamp"] > 0
        envs.close()
    assert asked == [0, 1, 2, 6, 7, 8, 0, 1, 2]


# ---------------------------------------------------------------------------------------------------------------------
# Types and the README: all that it shows runs as it stands
# ---------------------------------------------------------------------------------------------------------------------

USER_CODE = """
from pathlib import Path
from typing import List, Tuple
from gym_monitor import Episode, Monitor, VectorMonitor, report

def failed(episode: Episode) -> bool:
    return episode.reward < 0 and episode.length > 10 and episode.episode_id > 0

def use(env: object) -> str:
    with Monitor(env, Path("typed"), False, fps=12.5, info_keywords=("success",), keep_video=failed) as monitor:
        pairs: List[Tuple[str, str]] = monitor.videos
        rewards: List[float] = monitor.get_episode_rewards()
        print(monitor.reset(seed=1), pairs, rewards, monitor.directory, monitor.get_total_steps(), monitor.spec)
    waiting: Monitor = VectorMonitor(env, stats_key=None, step_trigger=lambda step: step % 1000 == 0, video_length=9)
    waiting.start("runs", lambda episode: episode < 9, resume=True, uid=3, mode="evaluation")
    return report("runs", Path("more"), embed=True).html
"""


def test_mypy_strict_passes_on_the_module_and_on_code_that_calls_it(tmp_path):
    need("mypy")
    (tmp_path / "user.py").write_text(USER_CODE)
    shutil.copy(MODULE, str(tmp_path / "gym_monitor.py"))
    status, out, err = run_script("runpy.run_module('mypy', run_name='__main__')", "--strict", "user.py",
                                  "gym_monitor.py", cwd=str(tmp_path))
    assert (status, err) == (0, ""), out


README = pathlib.Path(MODULE).with_name("README.md").read_text(encoding="utf-8")


def readme_programs():
    """Every block of Python in the README with the packages that it needs.

    A comment above one says that it "continues" the one before, or "needs" packages that it does not import by name.
    """
    programs = []
    for comment, source in re.findall(r"(?:^<!-- (.*) -->\n)?^```python\n((?:.*\n)*?)```", README, re.MULTILINE):
        needed = comment.split()[1:] + re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE)
        before = programs.pop() if comment == "continues" else ("", [])
        programs.append((before[0] + source, before[1] + needed))
    return programs


@pytest.mark.parametrize("source, needed", readme_programs(), ids=map(str, itertools.count()))
def test_a_block_of_the_readme_runs_in_an_empty_directory_and_records(tmp_path, source, needed):
    for package in needed:
        need(package)
    (tmp_path / "block.py").write_text(source, encoding="utf-8")
    status, _, err = run_script("runpy.run_path('block.py', run_name='__main__')", cwd=str(tmp_path))
    assert status == 0, err
    directories = {str(path.parent) for path in tmp_path.rglob("*.monitor.csv")}
    assert directories and all(load_results(directory)["episode_rewards"] for directory in directories)


def readme_rows(first):
    """The rows of every table of the README whose first column has this name."""
    tables = [[[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
              for table in re.findall(r"(?:^\|.*\|\n)+", README, re.MULTILINE)]
    return [row for table in tables if table[0][0] == first for row in table[2:]]


@pytest.mark.parametrize("old, new", readme_rows("from"))
def test_a_replacement_of_the_readme_runs_as_it_stands(tmp_path, monkeypatch, gymnasium, old, new):
    """Code in the right column of a table "from | to": statements, or as the first `name=value` an argument."""
    monkeypatch.chdir(str(tmp_path))
    names = {name: getattr(gym_monitor, name) for name in gym_monitor.__all__}
    names.update(gym_monitor=gym_monitor, directory="runs", folder="runs", run_name="a", idx=0, capture_video=True,
                 wandb=types.SimpleNamespace(log=print, Video=str),
                 env=gymnasium.make("CartPole-v1", render_mode="rgb_array"),
                 envs=gymnasium.make_vec("CartPole-v1", 2, render_mode="rgb_array"))
    if "load_results(" in new:
        play(Monitor(Walk(), "runs"))
    argument = re.match(r"`(\w+)=", new)
    assert argument is None or argument.group(1) in inspect.signature(Monitor).parameters
    for code in re.findall(r"`([^`]*)`", new):
        if re.match(r"(Vector)?Monitor\(|load_results\(|env\b|for ", code):
            code = code.replace(", ...)", ")")
            made = exec(code, names) if re.match(r"\w+ (=|.* in) ", code) else eval(code, names)
            if type(made) is Monitor:
                play(made)
                made.close()
                assert made.get_episode_lengths()


def test_the_readmes_table_of_parameters_is_the_signature_and_every_name_in_it_exists():
    parameters, rows = inspect.signature(Monitor).parameters, readme_rows("parameter")
    assert [name.strip("`") for name, _, _ in rows] == list(parameters)
    for parameter, (_, default, _) in zip(parameters.values(), rows):  # for None, the table says what it means
        assert parameter.default in (None, parameter.empty) or parameter.default == eval(default.strip("`"))
    assert all(hasattr(gym_monitor, name) for name in re.findall(r"gym_monitor\.(?!py\b)(\w+)", README))


# ---------------------------------------------------------------------------------------------------------------------
# The report: its numbers
# ---------------------------------------------------------------------------------------------------------------------

# ---- directories to report on, written as the recorder writes them

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000040000000308020000003b96399100000010"
                    "49444154789c635048d800470c3839000f560e41693e4d5a0000000049454e44ae426082")       # 4 x 3 pixels

def write_run(directory, returns, infix="0.1", env_id="Pole-v0", start=1.7e9, lengths=None, types=None, step=1.0,
              **info):
    """A journal with an episode for each return, one ending every `step` seconds; `info` has a list per keyword."""
    os.makedirs(str(directory), exist_ok=True)
    rows = zip(map(float, returns), lengths or itertools.repeat(10), itertools.count(step, step),
               types or itertools.repeat("t"), *info.values())
    path = os.path.join(str(directory), "openaigym.episode_batch.%s.monitor.csv" % infix)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#%s\n" % json.dumps({"t_start": start, "env_id": env_id}))
        csv.writer(file, lineterminator="\n").writerows(itertools.chain([["r", "l", "t", "type", *info]], rows))
    return str(directory)


def write_video(directory, number, extension, contents, infix="0.1", **metadata):
    """A recording and its metadata; `contents` None leaves the recording out."""
    base = os.path.join(str(directory), "openaigym.video.%s.video%06d" % (infix, number))
    if contents is not None:
        pathlib.Path(base + extension).write_bytes(contents)
    pathlib.Path(base + ".meta.json").write_text(
        json.dumps(dict({"episode_id": number, "empty": False, "broken": False}, **metadata)))
    return base + extension


def asciicast(frames, seconds=0.1):
    lines = [json.dumps({"version": 2, "width": 80, "height": 24})]
    lines += [json.dumps([index * seconds, "o", "\x1b[2J\x1b[1;1H" + frame]) for index, frame in enumerate(frames)]
    return ("\n".join(lines) + "\n").encode("utf-8")


@pytest.fixture
def sample(tmp_path):
    """A run of 60 episodes, two of them evaluations, with a video of two kinds and one that is broken."""
    directory = write_run(tmp_path / "run", [math.sqrt(index) for index in range(60)], step=30.0,
                          types=["e" if index in (20, 40) else "t" for index in range(60)])
    write_video(directory, 1, ".png", PNG)
    write_video(directory, 8, ".cast", asciicast(["one\r\n", "two \x1b[41mred\x1b[0m\r\n", "three\r\n"]))
    write_video(directory, 27, ".mp4", None, broken=True, error="odd height")
    return directory


# ---- what is counted, and how it is said

def test_the_summary_is_of_training_and_has_evaluation_beside_it(sample):
    trained = [math.sqrt(index) for index in range(60) if index not in (20, 40)]
    mean, evaluated = (pytest.approx(sum(some) / len(some)) for some in (trained, [math.sqrt(20), math.sqrt(40)]))
    assert list(report(sample).summary["runs"][0].items()) == [
        ("directory", sample), ("env_id", "Pole-v0"), ("episodes", 58), ("steps", 580), ("seconds", 1800.0),
        ("return_mean", mean), ("return_best", trained[-1]), ("return_last_100", mean), ("length_mean", 10.0),
        ("evaluations", 2), ("evaluation_return_mean", evaluated), ("videos", 2), ("broken_videos", 1),
        ("not_finite", 0)]


@pytest.mark.parametrize("runs, expected", [
    ([dict(returns=[7] * 50 + [101] + [1] * 99)], dict(return_best=101.0, return_last_100=2.0)),
    ([dict(returns=[1, math.nan, math.inf, -math.inf, 3])],
     dict(return_mean=2.0, return_best=3.0, return_last_100=2.0, not_finite=3)),
    ([dict(returns=[])], dict(episodes=0, return_mean=None, return_best=None, return_last_100=None, length_mean=None)),
    ([dict(returns=[1, 3], types="ee")], dict(episodes=2, steps=20, return_mean=2.0, evaluations=2)),
    # Time leaves out the pause before a resume, and counts once what runs side by side.
    ([dict(returns=[1] * 4), dict(returns=[1] * 4, infix="0.2", start=1.7e9 + 86400)], dict(episodes=8, seconds=8.0)),
    ([dict(returns=[1] * 4), dict(returns=[1] * 4, infix="0.2", start=1.7e9 + 0.5)], dict(seconds=4.5)),
    ([dict(returns=[1, 2, 3]), dict(returns=[10], directory="two", env_id="Other-v0")],
     dict(episodes=4, return_mean=4.0, return_best=10.0, directory=None, env_id=None))])
def test_a_summary_takes_all_episodes_together_and_leaves_out_what_is_no_number(tmp_path, runs, expected):
    dirs = sorted({write_run(tmp_path / run.pop("directory", "one"), **run) for run in map(dict, runs)})
    summary = report(*dirs).summary
    assert {key: summary[key] for key in expected} == expected
    assert [one["directory"] for one in summary["runs"]] == dirs
    pytest.raises(Error, report).match("at least one directory")


def printed(capsys, directory):
    assert gym_monitor.main(["report", str(directory)]) == 0
    return capsys.readouterr().out


def test_numbers_and_durations_are_rounded_as_a_person_would(tmp_path, capsys):
    rounded = [("0", 0, "0 s", 0), ("0.1235", 0.123456, "0.25 s", .25), ("12.35", 12.3456, "59 s", 59.4),
               ("195.3", 195.26, "1 min", 60), ("1,000", 999.96, "1.2 min", 75), ("1,234", 1234.5, "1 h", 3600),
               ("1,000,000", 1000000, "1.5 min", 89.7), ("204,544,014", 204544014, "3.4 h", 12300),
               ("-1e+15", -1e15, "2.1 d", 180000), ("1e+299", 1e299, "1 s", 1), ("-", math.nan, "1 s", 1)]
    for letter, (_, number, _, seconds) in zip("abcdefghijk", rounded):
        write_run(tmp_path / letter, [number], step=seconds)
    rows = [re.split("  +", line.strip()) for line in printed(capsys, tmp_path).splitlines()[1:]][:len(rounded)]
    assert [row[:4] + row[-1:] for row in rows] == [
        ["1", "10", time, number, letter] for letter, (number, _, time, _) in zip("abcdefghijk", rounded)]


@pytest.mark.parametrize("runs, groups", [
    ({"ppo_seed0": [100], "ppo_seed1": [126]}, [("ppo", "113.0 ± 18.4")]), ({"A-1": [1], "A-2": []}, [("A", "1")]),
    ({"ppo run 2": [], "ppo run 3": []}, [("ppo", "-")]), ({"ppo/3": [2], "ppo/4": [2]}, [("ppo", "2.0 ± 0.0")]),
    ({"ppo/seed_3": [0.01], "ppo/seed_4": [0.012]}, [("ppo", "0.0110 ± 0.0014")]),
    ({"lr0.1_seed2": [5], "lr0.1_seed3": [7], "lr0.2_seed2": [6]}, [("lr0.1", "6.0 ± 1.4")]),
    ({"ppo__1__1700000000": [5], "ppo__2__1700000001": [7]}, [("ppo", "6.0 ± 1.4")]),   # CleanRL's
    ({"lr0.001": [1], "lr0.002": [2], "lr1e-4": [1], "lr1e-5": [2], "a2c": [1], "a3c": [2]}, [])])
def test_runs_that_differ_in_their_seed_are_a_group_with_mean_and_deviation(tmp_path, capsys, runs, groups):
    for name, returns in dict(runs, other=[1]).items():
        write_run(tmp_path / name, returns)
    lines = re.findall(r"\n *(.*)  (.*), \d runs\n", printed(capsys, tmp_path))
    assert [(name, re.split("  +", cells)[3]) for cells, name in lines] == groups


# ---------------------------------------------------------------------------------------------------------------------
# The page in a browser
# ---------------------------------------------------------------------------------------------------------------------

CHROMIUM = ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null', "chromium", "--headless", "--no-sandbox",
            "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"]
# What the tests know of how the page is made; all else they see and use as its reader does.
MARK, CARD, BOX, AXIS, SLIDER = "svg [role=link]", "figure", "tr input", "select", "[type=range]"
CURVE, SAVE = ".line", "button[aria-label*=SVG]"
CELLS = "[...one.cells].map(cell => cell.innerText.trim())"
SHAPES = """[...one.querySelectorAll('text, path')].map(one => [one.textContent, one.getBoundingClientRect()])
  .map(([text, {left, right, bottom, top}]) => [text, left, right, bottom, top])"""


class Browser:
    """Headless Chromium, spoken to through the pipe of its developer tools, its file descriptors 3 and 4."""

    def __init__(self, profile):
        self.process = subprocess.Popen(CHROMIUM + ["--user-data-dir=%s" % profile], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number, self.received, self.session, self.heard = 0, b"", {}, []
        target = self.send("Target.createTarget", url="about:blank")
        self.session = {"sessionId": self.send("Target.attachToTarget", flatten=True, **target)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")

    def send(self, method, **params):
        """Give a command and wait for its answer; all that is heard meanwhile is kept."""
        self.number += 1
        message = dict(self.session, id=self.number, method=method, params=params)
        os.write(self.process.stdin.fileno(), json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.received:
                part = os.read(self.process.stdout.fileno(), 1 << 16)
                assert part, "chromium has ended"
                self.received += part
            message, _, self.received = self.received.partition(b"\0")
            self.heard.append(json.loads(message.decode("utf-8")))
            if self.heard[-1].get("id") == self.number:
                assert "error" not in self.heard[-1], self.heard[-1]
                return self.heard[-1]["result"]

    def told(self, *methods):
        return [event["params"] for event in self.heard if event.get("method") in methods]

    def look(self, width=1000, scheme="light", media=""):
        """Give the window another width, or take the page for another medium, and wait until it is drawn anew."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", media=media, features=[dict(name="prefers-color-scheme", value=scheme)])
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def open(self, page):
        """Open a page, or that of a report, which is written into the first of its directories."""
        if isinstance(page, gym_monitor.Report):
            made, page = page, os.path.join(page.summary["runs"][0]["directory"], "openaigym.report.html")
            pathlib.Path(page).write_text(made.html, encoding="utf-8")
        self.look()
        self.document = "document"
        self.send("Page.navigate", url="file://" + urllib.parse.quote(page) if page.startswith("/") else page)
        self.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def run(self, script):
        """The value of an expression in the page, or of what it promises."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def all(self, selector, what="one.innerText.trim()"):
        """What is asked of every element that a selector finds."""
        return self.run("[...%s.querySelectorAll(%s)].map(one => %s)" % (self.document, json.dumps(selector), what))

    def text(self):
        return " ".join(self.all("body")[0].split())

    def plot(self, index=0):
        """Where a plot has its labels, across and up, and its shapes as (left, right, bottom, top), in pixels."""
        found = self.all("svg", SHAPES)[index]
        floor = max(bottom for text, _, _, bottom, _ in found if text)
        across = {text: (left + right) / 2 for text, left, right, bottom, _ in found if text and bottom == floor}
        up = {text: (bottom + top) / 2 for text, _, _, bottom, top in found if text and bottom < floor}
        return across, up, [box for text, *box in found if not text]

    def place(self, selector, index=0, share=.5):
        """Where on the screen an element is, at this share of its width, once it is scrolled into view."""
        return self.run("""(one => {
            one.scrollIntoView({block: 'center'});
            const box = one.getBoundingClientRect(), frame = one.ownerDocument.defaultView.frameElement;
            const {x, y} = frame ? frame.getBoundingClientRect() : {x: 0, y: 0};
            return [x + box.left + %g * box.width, y + box.top + box.height / 2];
        })(%s.querySelectorAll(%s)[%d])""" % (share, self.document, json.dumps(selector), index))

    def mouse(self, kind, place, clicks=1, held=0):
        self.send("Input.dispatchMouseEvent", type="mouse" + kind, x=place[0], y=place[1], clickCount=clicks,
                  buttons=held, button="left" if kind != "Moved" or held else "none")

    def click(self, selector, index=0, clicks=1, share=.5, to=.5):
        """Click on the centre of an element, or drag over it, from one share of its width to another."""
        start, end = self.place(selector, index, share), self.place(selector, index, to)
        self.mouse("Moved", start)
        for count in range(1, clicks + 1):
            self.mouse("Pressed", start, count, 1)
            self.mouse("Moved", end, count, 1)
            self.mouse("Released", end, count)

    def press(self, *keys, on=None):
        if on:
            self.run("%s.querySelector(%s).focus()" % (self.document, json.dumps(on)))
        for key, kind in itertools.product(keys, ("keyDown", "keyUp")):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not shutil.which("chromium"):
        pytest.skip("needs chromium: apt-get install chromium")
    chromium = Browser(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.process.communicate(timeout=60)        # it ends as its pipe does


@pytest.fixture
def browser(chromium):
    """The browser. Whatever a test does with it, no page complains of anything."""
    chromium.send("Page.navigate", url="about:blank")
    chromium.mouse("Moved", (0, 0))
    chromium.heard = []
    yield chromium
    assert chromium.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []


@pytest.mark.parametrize("episodes, ago, how, words", [
    (5, 20, "", "running, last episode 20 s ago"), (5, 10800, "", "perhaps killed, last episode 3 h ago"),
    (0, 4000, "beside a slow one", "running, last episode 17 min ago"),
    (5, 7200, "closed", "ended"), (5, 7200, "closed and resumed", "running, last episode"),
    (0, 40, "", "no episode yet, started 40 s ago"), (0, 40, "closed", "ended")])
def test_what_is_known_of_a_run_is_said(run, monkeypatch, capsys, browser, episodes, ago, how, words):
    now = time.time
    with monkeypatch.context() as past:
        past.setattr(time, "time", lambda: now() - ago)
        env = Monitor(Walk(), run, False, write_upon_reset=True)
        play(env, episodes)
        if how == "beside a slow one":
            write_run(run, [1] * 5, start=now() - ago, step=600)
        seconds = report(run).summary["seconds"]
        if "closed" in how:
            env.close()
    assert report(run).summary["seconds"] == pytest.approx(seconds, abs=1e-6)       # as it was before `close`
    if "resumed" in how:
        env = Monitor(Walk(), run, False, resume=True)
        play(env)
    assert words in printed(capsys, run)
    browser.open(report(run))
    assert re.split(r" \d", words)[0] in browser.text()


def test_a_run_is_a_row_of_numbers_and_has_its_curves_and_videos(sample, browser):
    browser.open(report(sample))
    assert browser.all("tr", CELLS) == [
        ["Run", "Episodes", "Steps", "Time", "Steps/s", "Last 100", "Evaluation", "Mean", "Best", "Length"],
        ["run", "58", "580", "30 min", "0.322", "5.086", "5.398", "5.086", "7.681", "10"]]
    assert re.search(r"^Pole-v0 run: perhaps killed, last episode .* ago · written .*:\d\d Run .* Return .* Videos",
                     browser.text())
    assert [" ".join(card.split()) for card in browser.all(CARD)] == [
        "This recording cannot be shown: odd height Episode 27 return 5.196 · 10 steps · at step 270",
        "one Episode 8 return 2.828 · 10 steps · at step 90", "Episode 1 return 1 · 10 steps · at step 20"]
    # Screen readers have a name for all that can be looked at or used.
    named = browser.all("svg, video, img, pre, button, input, a, " + MARK, "one.getAttribute('aria-label') || one.alt"
                        " || (one.closest('label') || one).textContent.trim()")
    assert "" not in named and "Video: Episode 8, return 2.828, 10 steps, at step 90" in named
    # A text recording plays in its colours, and stops where the pointer leaves it.
    browser.mouse("Moved", browser.place("pre"))
    wait_until(lambda: browser.all("pre") == ["two red"])
    browser.mouse("Moved", (1, 1))
    time.sleep(0.3)
    assert browser.all("pre") == ["two red"]
    assert "rgb(242, 119, 122)" in browser.all("pre *", "getComputedStyle(one).backgroundColor")


def test_runs_stand_under_the_row_of_their_group_whose_mean_and_deviation_are_drawn(tmp_path, browser):
    browser.open(report(*[write_run(tmp_path / name, [value] * 10 * value, env_id=env_id) for name, value, env_id in (
        ("ppo_0", 2, "A-v0"), ("a2c_0", 8, "A-v0"), ("ppo_1", 4, "A-v0"), ("ppo_3", 6, "A-v0"), ("ppo_2", 5, "B-v0"))]))
    _, group, *rows = browser.all("tr", CELLS)
    assert [row[0] for row in rows] == ["ppo_0", "ppo_1", "ppo_3", "a2c_0", "ppo_2"] and group == [
        "A-v0 · ppo, 3 runs", "120", "1,200", "2 min", "10", "4.0 ± 2.0", "4.0 ± 2.0", "6", "10.0 ± 0.0"]
    across, up, shapes = browser.plot()     # as far as all three reach: 20 episodes of 10 steps
    left, right = across["0"] + .05 * (across["200"] - across["0"]), across["200"]
    for bottom, top in ((up["4"], up["4"]), (up["2"], up["6"])):
        assert pytest.approx([left, right, bottom, top], abs=3) in shapes


def test_axis_part_and_runs_are_chosen_which_the_address_remembers_and_the_plot_is_saved(tmp_path, browser):
    def picture():
        browser.mouse("Moved", (1, 1))
        return browser.all("svg", "one.innerHTML")[0]
    browser.open(report(*[write_run(tmp_path / name, [0, 1] * 50 + [0], step=30.0)
                          for name in ("ppo_1", "ppo_2", "a2c")]))
    for keys, last in ("", "1,000"), (["Down"], "100"), (["Down"], "50 min"), (["Up", "Up"], "1,000"):
        browser.press(*["Arrow" + key for key in keys], on=AXIS)
        labels = list(browser.plot()[0])
        assert labels[-1] == last and 4 <= len(labels) <= 7
    browser.click(BOX)                                      # that of the group
    browser.press("Home", on=SLIDER)
    whole = picture()
    for show_all in (lambda: browser.press("Escape", on="svg"), lambda: browser.click("svg", clicks=2)):
        browser.click("svg", share=.5, to=.75)
        part, address = picture(), browser.run("location.href")
        show_all()
        assert part != whole == picture()
    browser.open("about:blank")
    browser.open(address)
    assert browser.all(BOX, "one.checked") == [False, False, False, True] and picture() == part
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click(SAVE)
    wait_until((tmp_path / "return.svg").exists)
    assert re.match("<svg .*stroke: rgb", (tmp_path / "return.svg").read_text(encoding="utf-8"))


def test_pointing_and_the_arrow_keys_read_out_every_curve_as_the_slider_smooths_it(tmp_path, browser):
    browser.open(report(*[write_run(tmp_path / name, [base, base + 10] * 50)
                          for name, base in (("one", 0), ("two", 200))]))
    browser.mouse("Moved", browser.place("svg"))
    one, two = browser.all("tr", CELLS)[-2:]
    assert "Value Mean Step Episode " + " ".join(one + two) in browser.text() and [one[0], two[0]] == ["one", "two"]
    assert float(two[1]) == float(one[1]) + 200 and abs(int(one[3]) - 500) <= 50
    for key, window, mean in (("Home", "none", "210"), ("End", "mean of 100 episodes", "205")):
        browser.press(key, on=SLIDER)
        browser.press("End", "ArrowLeft", "ArrowRight", on="svg")
        assert "Smoothing " + window in browser.text() and f"two 210 {mean} 1,000 99" in browser.text()


def test_every_measure_is_a_curve_over_training_steps_and_a_round_of_evaluation_a_point_with_its_range(run, browser):
    write_run(run, [10, 20, 10, 30, 25], types="tteet", lengths=[50, 50, 9, 9, 50], why="abcde",
              success=["True", "False", "", "True", "True"], score=["0.5", "", "1", "2", "3"])
    browser.open(report(run))
    assert re.search("Return .* Length .* Success .* Score ", browser.text()) and browser.all("svg", "0") == [0] * 4
    across, up, shapes = browser.plot()
    assert pytest.approx([across["100"]] * 2 + [up["10"], up["30"]], abs=5) in shapes and "100 %" in browser.plot(2)[1]
    browser.press("End", "ArrowLeft", "ArrowLeft", on="svg")
    assert "Value Mean Step Episode run 10 " in browser.text()


@pytest.mark.parametrize("returns, words", [
    ([5], ""), ([5, 5, 5], ""), ([1e15, 1e15 + 1], ""), ([-1e299, 1e299], ""), ([-1e308, 1e308], ""), ([math.nan], ""),
    ([1e-300, 0], ""), ([0, 10] * 250 + [1e6], "10 1 beyond this scale, up to 1,000,000")])
def test_a_curve_is_drawn_whatever_the_returns_are_and_an_outlier_is_clipped_and_told_of(run, browser, returns, words):
    browser.open(report(write_run(run, returns)))
    assert words in " ".join(browser.plot()[1])


def test_however_many_episodes_fit_into_300_kilobytes(run):
    write_run(run, [index * 7919 % 1001 for index in range(10**5)], lengths=range(1, 10**5 + 1), types="ttte" * 25000)
    assert len(report(run).html.encode()) < 300000


# The least contrast of a text, and of a curve, to what is behind it
CONTRASTS = """(() => {
  const paint = (one, what) => getComputedStyle(one)[what].match(/[0-9.]+/g).map(Number);
  const behind = one => !one ? [255, 255, 255] : paint(one, 'backgroundColor')[3] === 0 ? behind(one.parentElement)
    : paint(one, 'backgroundColor');
  const light = colour => colour.slice(0, 3).map(v => v / 255).reduce((sum, v, i) =>
    sum + [.2126, .7152, .0722][i] * (v < .04 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4), .05);
  const contrast = what => one => (ratio => Math.max(ratio, 1 / ratio))(light(paint(one, what)) / light(behind(one)));
  const nodes = [...document.querySelectorAll('body *')].filter(one => one.getClientRects().length);
  const texts = nodes.filter(one => [...one.childNodes].some(part => part.nodeType === 3 && part.data.trim()));
  return [Math.min(...texts.map(one => contrast(one.ownerSVGElement ? 'fill' : 'color')(one))),
    Math.min(...nodes.filter(one => one.matches('%s')).map(contrast('stroke')))];
})()""" % CURVE


def test_the_page_fits_its_window_and_has_enough_contrast_on_screen_and_on_paper(sample, tmp_path, browser):
    others = [write_run(tmp_path / ("a-directory-with-a-long-name" * 3) / str(number), range(30),
                        env_id="Env%d" % number) for number in range(7)]
    for dirs in [(sample,), (sample, *others)]:
        browser.open(report(*dirs))
        for width, scheme in itertools.product((400, 900, 1400), ("light", "dark")):
            browser.look(width, scheme)
            assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            texts, lines = browser.run(CONTRASTS)
            assert texts >= 4.5 and lines >= 3
        assert browser.all("svg", "one.getBoundingClientRect().top")[0] < 500      # in sight although the runs are many
        browser.look(scheme="dark", media="print")
        assert browser.all("body", "getComputedStyle(one).backgroundColor") == ["rgb(255, 255, 255)"]
        assert browser.run(CONTRASTS)[0] >= 4.5 and not any(browser.all(AXIS, "one.getClientRects().length"))


@pytest.mark.parametrize("count, episodes, width", [(5, 1000, 1000), (120, 1000, 1000), (120, 240, 400)])
def test_every_video_is_reached_by_a_click_on_its_mark_and_by_few_keys(run, browser, count, episodes, width):
    write_run(run, range(episodes), lengths=[5 + index % 7 for index in range(episodes)])
    for number in range(count):
        write_video(run, number * (episodes // count), ".png", PNG)
    browser.open(report(run))
    browser.look(width)
    assert any(browser.press("Tab") or browser.all("footer :focus") for _ in range(15))     # past all the videos
    browser.press("ArrowRight", "ArrowRight", "ArrowLeft", on=CARD)
    assert re.match(r"Episode %d\b" % ((count - 2) * (episodes // count)), browser.all(":focus")[0])
    marks = browser.all(MARK, "[one.getBoundingClientRect().width, getComputedStyle(one).cursor]")
    assert len(marks) == count and all(4 <= wide <= 40 and cursor == "pointer" for wide, cursor in marks)
    for index in (0, 1, 2, 3, count - 1):
        browser.click(MARK, index)
        [[text, top, bottom]] = browser.all(":focus", "(({top, bottom}) => [one.innerText, top, bottom])"
                                                      "(one.getBoundingClientRect())")
        assert re.match(r"Episode %d\b" % (index * (episodes // count)), text) and top < 800 and bottom > 0


@needs_ffmpeg
@pytest.mark.parametrize("embed", [False, True])
def test_videos_beside_the_page_or_inside_it_are_playable_and_all_that_it_asks_for(sample, tmp_path, browser, embed):
    write_video(sample, 50, ".mp4", subprocess.check_output(
        "ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=10 -t 1 -pix_fmt yuv420p"
        " -movflags frag_keyframe+empty_moov -f mp4 -".split()))
    folder, page = str(tmp_path / "a #1 50%"), str(tmp_path / "page.html")
    os.rename(sample, folder)
    assert gym_monitor.main(["report", folder, "--html", page, *["--embed"] * embed]) == 0
    browser.open(page)
    assert [urllib.parse.unquote(link) for link in browser.all("a", "one.href")] == [
        "file://%s/%s" % (folder, name) for name in files(folder, ".csv") if not embed]
    browser.place("img")
    assert browser.run("document.querySelector('img').decode().then(() => true)")
    for target, state in (("h1", [False, True, True]), ("video", [True, False, True]), ("h1", [False, True, True])):
        browser.mouse("Moved", browser.place(target))       # it has controls, and plays, only under the pointer
        wait_until(lambda state=state: browser.all("video", "[one.controls, one.paused, one.loop]") == [state])
    assert browser.all("video", "one.offsetWidth / one.offsetHeight") == [pytest.approx(64 / 48, rel=.02)]
    home = "file://" + urllib.parse.quote(page if embed else str(tmp_path))
    asked = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("data:", home))] == []


def test_whatever_a_recording_holds_the_page_says_it(run, browser):
    recordings = [
        (".mp4", None, {"broken": True, "error": "odd height"}, "cannot be shown: odd height Episode 0 return 0 ·"),
        (".mp4", None, {}, "This recording cannot be shown: its file is missing Episode 1"),
        (".cast", b"not a recording\n", {}, "This recording cannot be shown: "),
        (".cast", b'{"version": 2}\n' + b"[" * 100000 + b"\n", {}, "This recording cannot be shown: "),
        (".cast", b'{"version": 2}\n', {}, "Episode 4 return"),
        (".cast", b'{"version": 2}\n[-1e999, "o", NaN]\n', {}, "nan Episode 5"), (".png", PNG, {"step": "x"}, "step x"),
        (".png", PNG, {"episode_id": 10**400}, "Unfinished"), (".png", PNG, {"episode_id": [[]]}, "Unfinished"),
        (".png", PNG, {"episode_id": 99}, "Unfinished"), (".png", PNG, {"step": 1200}, "From step 1200 return 10"),
        (".cast", asciicast(["x" * 1000] * 300), {}, "x Episode 11, its beginning return"),
        (".cast", asciicast(["x" * 1000] * 150), {}, "x Episode 12 return"),
        (".cast", asciicast(["one", "torn"])[:-5], {}, "one Episode 13, best")]
    write_run(run, [-0.0, *range(1, len(recordings))])
    for number, (extension, contents, metadata, _) in enumerate(recordings):
        write_video(run, number, extension, contents, **metadata)
    browser.open(report(run))
    for (_, text), (*_, words) in zip(sorted(browser.all(CARD, "[one.title, one.innerText]")), recordings):
        assert words in " ".join(text.split())      # in the order of the files' names, which are the cards' titles


def test_the_gallery_is_newest_first_with_best_and_worst_marked_whichever_worker_filmed(run, browser):
    for infix, start, returns, filmed in (("0.1", 1.7e9, [3, 9], [0, 1]), ("0.2", 1.7e9 + .5, [1, 4], [1])):
        write_run(run, returns, infix=infix, start=start)
        for number in filmed:
            write_video(run, number, ".png", PNG, infix=infix)
    browser.open(report(run))
    assert browser.all("figcaption") == [
        "Episode 3 return 4 · 10 steps · at step 40", "Episode 2, best return 9 · 10 steps · at step 30",
        "Episode 0, worst return 3 · 10 steps · at step 10"]


def test_a_notebook_shows_all_in_a_frame_where_no_name_or_text_of_a_run_is_ever_code(tmp_path, browser):
    evil = "</script><img src=x onerror=ran()>\"'&"
    one = write_run(tmp_path / "a<b>&c", [1, 2, 3], env_id=evil, **{"<u>keyword": [1, 2, 3]})
    write_video(one, 0, ".mp4", None, broken=True, error=evil)
    write_video(one, 1, ".cast", asciicast([evil]))
    write_video(one, 2, ".png", PNG)
    frame = report(one, write_run(tmp_path / "<i>", [1], env_id=evil))._repr_html_()
    page = tmp_path / "notebook.html"
    page.write_text("<!DOCTYPE html><meta charset=utf-8>" + frame, encoding="utf-8")
    browser.open(str(page))
    browser.document = "document.querySelector('iframe').contentDocument"
    assert browser.text().count(evil) == 3 and "a<b>&c" in browser.text()
    assert browser.all("img, i, u", "one.src.split(',')[0]") == ["data:image/png;base64"]
    assert browser.all("svg", "one.getBoundingClientRect().bottom")[0] < 800
    browser.click(MARK, 1)
    assert "Episode 1 " in browser.all(":focus")[0] and "data:image/png;base64," in report(one, embed=True).html


def test_a_watched_page_is_renewed_only_by_news_and_keeps_what_was_chosen(sample, tmp_path, browser):
    def times_loaded():
        browser.send("Page.enable")         # its answer comes after all that has happened until now
        return len(browser.told("Page.loadEventFired"))
    watch = begin("gym_monitor._REFRESH_SECONDS = 0.2; gym_monitor.main(['report', '--watch', *sys.argv[1:]])",
                  sample, write_run(tmp_path / "other", range(9)))
    try:
        wait_until(lambda: files(sample, ".html"))
        browser.open(os.path.join(sample, *files(sample, ".html")))
        browser.look(width=400)
        browser.click(BOX)
        browser.run("scrollTo(0, 150)")
        before = times_loaded()
        time.sleep(1)
        assert times_loaded() == before
        with open(os.path.join(sample, *files(sample, ".csv")), "a") as journal:
            journal.write("99.0,10,9999.0,t\n")
        wait_until(lambda: times_loaded() > before)
        wait_until(lambda: browser.run("scrollY") == 150)
        assert browser.all("td")[0] == "59" and browser.all(BOX, "one.checked") == [False, True]
    finally:
        watch.kill()
        watch.communicate()


# ---------------------------------------------------------------------------------------------------------------------
# Demo and command line
# ---------------------------------------------------------------------------------------------------------------------

Finished = collections.namedtuple("Finished", "status out err")


def command(*arguments, start=(MODULE,), shell='exec "$@"', encoding="utf-8"):
    process = subprocess.Popen(["/bin/sh", "-c", shell, "sh", sys.executable, *map(str, start), *map(str, arguments)],
                               env=dict(os.environ, PYTHONIOENCODING=encoding), cwd=os.path.dirname(MODULE),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate()
    return Finished(process.returncode, out.decode("utf-8"), err.decode("utf-8"))


@pytest.mark.parametrize("shell, ffmpeg", [
    pytest.param('exec "$@"', True, marks=needs_ffmpeg), pytest.param('exec "$@" 2>&-', True, marks=needs_ffmpeg),
    ('PATH=/none; exec "$@"', False)], ids=["ffmpeg", "no standard error", "no ffmpeg"])
def test_the_demo_learns_and_is_filmed(tmp_path, shell, ffmpeg):
    status, out, err = command("demo", tmp_path / "demo", shell=shell)
    assert (status, err) == (0, "") and "episodes: 65, last 100: " in out
    assert files(tmp_path / "demo", ".html") == ["openaigym.report.html"]
    results = load_results(str(tmp_path / "demo"))
    returns, successes = results["episode_rewards"], results["info"]["success"]
    assert sum(returns[-20:]) > 20 + sum(returns[:20]) and sum(successes[:10]) < 5 and all(successes[-5:])
    filmed = [load(metadata)["episode_id"] for _, metadata in results["videos"]]
    assert filmed == [0, 1, 8, 27, 64] and len(set(results["episode_lengths"])) > 20
    for number, (path, _) in zip(filmed, results["videos"]):
        frames = probe(path)["frames"] if ffmpeg else round(30 * sum(delay for _, delay in png_frames(path)[1]))
        assert frames == results["episode_lengths"][number] + 1


@pytest.mark.parametrize("action", range(4))
def test_the_rocket_of_the_demo_is_lost_or_crashes_and_is_drawn_on_its_way(action):
    env, pictures, over = gym_monitor.Lander(seed=1), [], False
    env.reset()
    while not over:
        _, reward, over, _, info = env.step(action)
        pictures.append(bytes(env.render()))
    assert reward < -50 and not info["success"] and len(set(pictures)) > len(pictures) / 2
    assert all(len(picture) == 3 * 256 * 192 for picture in pictures)


@pytest.mark.parametrize("encoding, letter, plus", [("utf-8", "\u00e9", "±"), ("ascii", "?", "+-")])
def test_the_summary_is_a_table_in_80_columns_and_in_characters_that_the_terminal_has(tmp_path, encoding, letter, plus):
    for seed, value in enumerate((100, 110, 126)):
        write_run(tmp_path / ("ppo\x1b[2J\u00e9_seed%d" % seed), [value] * 3)
    write_run(tmp_path / ("long" * 30), range(500), types="te" * 250)
    write_run(tmp_path / "new", [], start=time.time() - 40)
    status, out, err = command("report", tmp_path, encoding=encoding)
    header, *rows, empty, page = out.splitlines()
    assert (status, err, empty, page) == (0, "", "", "The page: %s" % (tmp_path / "openaigym.report.html"))
    assert re.match("  Episodes  Steps +Time +Last 100  Evaluation  Run$", header) and max(map(len, rows)) <= 80
    for row, cells in zip(rows, [
            ["250", "2,500", "8.3 min", "399", "250", "long" * 6], ["0", "0", "0 s", "-", "-", "new"],
            ["9", "90", "9 s", "112.0 %s 13.1" % plus, "-", "ppo?[2J%s, 3 runs" % letter],
            *[["3", "30", "3 s", value, "-", "  ppo?[2J%s_seed" % letter] for value in ("100", "110", "126")]]):
        assert re.match(" +" + "  +".join(map(re.escape, cells[:-1])) + "  " + re.escape(cells[-1][:20]), row)
    assert re.match(r"episodes: 0, last 100: -, no episode yet, started 4\d s ago \(new\)", rows[-1]) and len(rows) == 7


def test_numbers_for_programs_come_without_a_page_unless_it_is_asked_for(tmp_path):
    one = write_run(tmp_path / "one", [1.5, math.nan], types="te", success=["True", "False"])
    video = write_video(one, 1, ".png", PNG)
    two = write_run(tmp_path / "two", [2], score=[0.5])
    numbers = json.loads(command("report", "--json", one, two).out, parse_constant=pytest.fail)
    assert [(run["directory"], run["return_mean"]) for run in numbers] == [(one, 1.5), (two, 2)]
    rows = list(csv.reader(io.StringIO(command("report", "--csv", one, two).out)))
    assert not files(one, ".html") and rows == [
        ["run", "episode", "return", "length", "time", "type", "success", "score", "video"],
        ["one", "0", "1.5", "10", "1700000001.0", "t", "True", "", ""],
        ["one", "1", "nan", "10", "1700000002.0", "e", "False", "", video],
        ["two", "0", "2.0", "10", "1700000001.0", "t", "", "0.5", ""]]
    assert json.loads(command("report", "--json", one, two, "--html", tmp_path / "page.html").out) == numbers
    assert (tmp_path / "page.html").exists()


def test_the_page_goes_into_the_first_directory_or_wherever_one_says(tmp_path):
    dirs = [write_run(tmp_path / "one", [1]), write_run(tmp_path / "two", [1])]
    pages = [command("report", *dirs, "--html", "-", encoding="ascii").out]
    pipe, link, target = (str(tmp_path / name) for name in ("pipe", "link", "target"))
    os.mkfifo(pipe)
    os.symlink("target", link)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    for path in (pipe, link):
        assert command("report", *dirs, "--html", path).status == 0
    assert os.path.islink(link) and stat.S_ISFIFO(os.stat(pipe).st_mode) and not files(dirs[0], ".html")
    out = command("report", *dirs).out
    assert out.endswith("The page: %s/openaigym.report.html\n" % dirs[0]) and "Evaluation" not in out
    assert files(dirs[0]) == ["openaigym.episode_batch.0.1.monitor.csv", "openaigym.report.html"]
    pages += [reader.communicate()[0].decode("utf-8"), pathlib.Path(target).read_text(encoding="utf-8")]
    for page in pages:
        assert page.startswith("<!DOCTYPE html>") and page.endswith("</script>\n") and "·" in page
    assert '"one/openaigym.episode_batch' in pages[2]


def test_a_directory_of_runs_stands_for_the_newest_50_below_it(tmp_path):
    for name in ("ppo/1", "ppo/2", "deep/er/a2c"):
        write_run(tmp_path / "runs" / name, [1])
    os.symlink(str(tmp_path / "runs" / "ppo"), str(tmp_path / "runs" / "link"))
    damaged = write_run(tmp_path / "runs" / "damaged", [1])
    (pathlib.Path(damaged) / files(damaged)[0]).write_text("no journal\n")
    out = command("report", tmp_path / "runs").out
    assert "ppo, 2 runs" in out and "deep/er/a2c" in out and "link" not in out and "\nLeft out: " in out
    assert files(tmp_path / "runs", ".html") == ["openaigym.report.html"]
    for number in range(52):
        path = write_run(tmp_path / "many" / ("run%02d" % number), [1])
        os.utime(os.path.join(path, files(path)[0]), (2e9 - number,) * 2)
    out = command("report", tmp_path / "many").out
    assert "many, 50 runs" in out and "run49" in out and "run50" not in out and "newest 50 of the 52 runs" in out
    assert re.search(r"\nepisodes: 1, last 100: 1, perhaps killed, last episode .* ago \(run\d\d\)\n", out)


def test_watch_waits_for_a_run_and_prints_a_line_as_episodes_arrive(tmp_path, ctrl_c):
    directory, page = tmp_path / "run", tmp_path / "run" / "openaigym.report.html"
    script = "import gym_monitor; gym_monitor._REFRESH_SECONDS = 0.2; gym_monitor.main()"
    process = subprocess.Popen([sys.executable, "-c", script, "report", "--watch", str(directory)],
                               stdout=subprocess.PIPE, cwd=os.path.dirname(MODULE), universal_newlines=True)
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(process.kill)
        assert re.match("Waiting; Ctrl-C ends it. .*%s" % directory, process.stdout.readline())
        time.sleep(0.6)
        os.rename(write_run(tmp_path / "made", [1, 2]), str(directory))
        wait_until(page.exists)
        written = page.stat().st_mtime_ns
        (directory / "openaigym.other.html").write_text("")     # another page is no news
        time.sleep(0.6)
        assert page.stat().st_mtime_ns == written
        with open(os.path.join(str(directory), files(directory, ".csv")[0]), "a") as journal:
            journal.write("3.0,10,3.0,t\n")
        lines = [process.stdout.readline() for line in range(6)]
        assert lines[4] == "The page: %s\n" % page
        assert re.match(r"\d\d:\d\d:\d\d  episodes: 3, last 100: 2, .* \(run\)$", lines[5])
        assert re.search('"refresh":0.2,.*"cells":{"Episodes":"3"', page.read_text(encoding="utf-8"))
        process.send_signal(ctrl_c)
        assert process.wait(60) == 0


@pytest.mark.parametrize("dry", [False, True])
def test_clear_says_what_it_removes_or_would(run, dry):
    paths = [os.path.join(run, name) for name in files(write_run(run, [1]))]
    (pathlib.Path(run) / "mine.csv").write_text("")
    assert command("clear", run, *["--dry-run"] * dry) == (
        0, "\n".join(["Would remove:" if dry else "Removing:", *paths, ""]), "")
    assert len(files(run)) == (2 if dry else 1)


@pytest.mark.parametrize("arguments", ["report", "clear", "report --csv", "report --html -"])
def test_a_command_whose_output_nobody_reads_does_its_work(run, arguments):
    write_run(run, range(9))
    assert command(*arguments.split(), run, shell='("$@"; echo $? >&2) | :')[1:] == ("", "0\n")
    assert len(files(run)) == {"report": 2, "clear": 0}.get(arguments, 1)


@pytest.mark.parametrize("shell, said", [('exec "$@"', 1), ('exec "$@" 2>&-', 0)])
@pytest.mark.parametrize("arguments, words", [
    ("report no/such", "no/such"), ("report {} --html no/such", "no/such"), ("clear no/such", "no/such"),
    ("", "gym_monitor.py --help"), ("dance", "gym_monitor.py --help"), ("report", "gym_monitor.py report --help"),
    ("report {} --watch --json", "not allowed with"), ("clear {} {}", "gym_monitor.py --help")])
def test_an_error_is_one_line_with_the_way_out_and_exit_status_1(run, arguments, words, shell, said):
    status, out, err = command(*arguments.replace("{}", write_run(run, [1])).split(), shell=shell)
    assert (status, out, len(err.splitlines())) == (1, "", said) and (words in err) == bool(said)


@pytest.mark.parametrize("arguments, said", [("--version", re.escape(gym_monitor.__version__)), *[
    (name + " --help", r"(?s)usage: gym_monitor.py %s .*\n  DIR +\w.*" % name) for name in ("demo", "report", "clear")
]])
def test_help_and_version(capsys, arguments, said):
    assert gym_monitor.main(arguments.split()) == 0 and re.match(said + r"\n\Z", capsys.readouterr().out)


def test_a_zipapp_and_python_m_give_the_exit_status(tmp_path):
    (tmp_path / "app").mkdir()
    shutil.copy(MODULE, str(tmp_path / "app" / "gym_monitor.py"))
    subprocess.check_call([sys.executable, "-m", "zipapp", str(tmp_path / "app"), "-m", "gym_monitor:main"])
    for start in ([tmp_path / "app.pyz"], ["-m", "gym_monitor"]):
        assert command("report", write_run(tmp_path / "run", [1]), start=start).status == 0
        assert command("report", "missing", start=start).status == 1


def test_importing_brings_nothing_of_report_and_demo():
    modules = command(start=["-S", "-c", "import sys, gym_monitor; print(*sys.modules)"]).out.split()
    assert "gym_monitor" in modules and not {"argparse", "html", "base64", "urllib.parse"} & set(modules)
