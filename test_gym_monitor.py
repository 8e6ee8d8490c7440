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
import fcntl
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
import warnings
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
MODULE = os.path.abspath(gym_monitor.__file__)
FFMPEG = shutil.which("ffmpeg")
TOOLS = {name: shutil.which(name) for name in ("cat", "grep", "head", "sleep", "touch", "yes")}
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

    def reset(self):
        self.steps = 0
        return "first"

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, int(reward), terminated or truncated, info


class Picture(Walk):
    """Draws: a white square moves over a dark ground, two columns per step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}
    render_mode = "rgb_array"

    def render(self):
        return frame(32, 48, 3, lambda row, column: (
            (255, 255, 255) if 4 <= row < 12 and 0 <= column - 2 * self.steps < 8 else (20, 30, 40)))


class OldPicture(Picture):
    """Draws in gym's old form: the mode is an argument of `render`."""

    metadata = {"render.modes": ["human", "rgb_array"], "video.frames_per_second": 12}
    render_mode = property()  # there is none

    def render(self, mode="human"):
        assert mode == "rgb_array"
        return super().render()


class Text(Walk):
    """Draws in letters, with a colour code."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}
    render_mode = "ansi"

    def render(self):
        return f"step {self.steps}\n\x1b[41mhere\x1b[0m\n"


class Autoreset(Picture):
    """The step that ends an episode begins the next one."""

    metadata = dict(Picture.metadata, **{"semantics.autoreset": True})

    def step(self, action):
        result = super().step(action)
        if result[2]:
            self.steps = 0
        return result


def frame(height, width, channels, colour):
    """A frame as the standard library has it: a memoryview of three dimensions."""
    pixels = bytes(value for row in range(height) for column in range(width)
                   for value in tuple(colour(row, column))[:channels])
    return memoryview(pixels).cast("B", [height, width, channels])


def every(episode_id):
    return True


def play(env, episodes=1):
    """Play whole episodes."""
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
    name, = files(directory, ending)
    return load(directory, name)


def metadata_of(directory):
    return [load(directory, name) for name in files(directory, ".meta.json")]


def journal_rows(directory):
    """The header of the only journal in a directory, and its rows."""
    name, = files(directory, ".monitor.csv")
    with open(os.path.join(str(directory), name), newline="") as file:
        header = json.loads(file.readline()[1:])
        return header, list(csv.DictReader(file))


def probe(path):
    """What ffprobe says of a video: a dictionary in which `frames` is the number of those that can be decoded."""
    out = subprocess.check_output(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "json",
                                   "-show_streams", "-show_format", str(path)])
    found = json.loads(out.decode())
    return dict(found["streams"][0], format=found["format"], frames=int(found["streams"][0]["nb_read_frames"]))


def decode(path, index, size, ffmpeg="ffmpeg"):
    """The pixels of one frame of a video, as rows of (r, g, b)."""
    width, height = size
    raw = subprocess.check_output([ffmpeg, "-v", "error", "-i", str(path), "-vf", f"select=eq(n\\,{index})",
                                   "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    assert len(raw) == 3 * width * height
    return [[tuple(raw[3 * (row * width + column):][:3]) for column in range(width)] for row in range(height)]


def png_frames(path):
    """The shape of an animated PNG and its frames with their seconds, decoded here by the letter of the standard."""
    with open(str(path), "rb") as file:
        content = file.read()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        body = content[at + 8:at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + length
    assert chunks[0][0] == b"IHDR" and chunks[1][0] == b"acTL" and chunks[-1] == (b"IEND", b"")
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[0][1])
    assert depth == 8 and methods == [0, 0, 0]
    channels = {0: 1, 2: 3, 6: 4}[colour]
    canvas, found, sequence = bytearray(width * height * channels), [], 0
    for kind, body in chunks[2:-1]:
        if kind == b"fcTL":
            number, w, h, x, y, numerator, denominator, dispose, blend = struct.unpack(">IIIIIHHBB", body)
            assert (number, dispose, blend) == (sequence, 0, 0)
            sequence += 1
            continue
        if kind == b"fdAT":
            assert struct.unpack(">I", body[:4])[0] == sequence
            body, sequence = body[4:], sequence + 1
        raw, stride = zlib.decompress(body), 1 + w * channels
        for row in range(h):
            assert raw[row * stride] == 0  # not filtered
            start = ((y + row) * width + x) * channels
            canvas[start:start + w * channels] = raw[row * stride + 1:(row + 1) * stride]
        found.append((bytes(canvas), numerator / denominator))
    assert struct.unpack(">II", chunks[1][1]) == (len(found), 0)
    return (width, height, channels), found


def frames_of(path):
    """How many frames a recording has."""
    return len(png_frames(path)[1]) if path.endswith(".png") else probe(path)["frames"]


def video_names(env):
    """What tells the videos of a monitor apart: `video000000` and so on."""
    return [os.path.basename(path).split(".")[-2] for path, _ in env.videos]


SCRIPT = "\n".join(["import gc, json, multiprocessing, os, random, signal, subprocess, sys, threading, time",
                    "import gym_monitor", "from gym_monitor import Monitor, StatsRecorder, VideoRecorder", ""] +
                   [inspect.getsource(source) for source in (Walk, Picture, frame, every, play)])


def begin(source, *arguments, before="", **options):
    """Start a script in an interpreter of its own. It has some of the environments and helpers from above."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", before + SCRIPT + textwrap.dedent(source)] + list(map(str, arguments)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=os.path.dirname(MODULE), PYTHONDONTWRITEBYTECODE="1"), **options)


def run_script(source, *arguments, **options):
    """Run a script to its end: exit status, standard output and standard error."""
    script = begin(source, *arguments, **options)
    try:
        out, err = script.communicate(timeout=100)
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
    gym_monitor._ffmpegs.clear()


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
    """A PATH without ffmpeg."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


@pytest.fixture
def fake_ffmpeg(monkeypatch, tmp_path):
    """A function that puts a shell script in the place of ffmpeg, on a PATH without another one."""
    def install(script, mode=0o755):
        program = tmp_path / "bin" / "ffmpeg"
        program.write_bytes(script if isinstance(script, bytes) else script.encode())
        program.chmod(mode)
        # A script that hangs on purpose is found soon; a slow machine is not taken for one that hangs.
        monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 2.0 if b"sleep" in program.read_bytes() else 60.0)
        return str(program)

    (tmp_path / "bin").mkdir()
    for name, path in TOOLS.items():
        (tmp_path / "bin" / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return install


# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------

START = "directory=None, video_callable=None, force=False, resume=False, write_upon_reset=False, uid=None, mode=None"
SIGNATURES = {
    "Monitor": f"env, {START}, *, allow_early_resets=True, step_trigger=None, video_length=None, fps=None, "
               "stats_key='episode', info_keywords=(), keep_video=None",
    "VectorMonitor": f"env, {START}, *, step_trigger=None, video_length=None, fps=None, stats_key='episode', "
                     "info_keywords=(), keep_video=None",
    "Monitor.start": "self, " + START.replace("=None", "", 1),
    "StatsRecorder": "directory, file_prefix, autoreset=False, env_id=None",
    "VideoRecorder": "env, path=None, metadata=None, enabled=True, base_path=None, *, fps=None",
    "capped_cubic_video_schedule": "episode_id", "disable_videos": "episode_id", "report": "*dirs, embed=False",
    "detect_training_manifests": "dir, files=None", "detect_monitor_files": "dir", "clear_monitor_files": "dir",
    "load_results": "dir", "merge_stats_files": "paths", "collapse_env_infos": "infos, dir",
    "load_env_info_from_manifests": "manifests, dir", "main": "arguments=None",
}


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_every_function_has_the_promised_arguments_and_help_on_each(name):
    thing = operator.attrgetter(name)(gym_monitor)
    signature = inspect.signature(thing)
    parameters = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    assert str(signature.replace(parameters=parameters, return_annotation=signature.empty))[1:].startswith(
        SIGNATURES[name])  # our own may follow
    text = inspect.getdoc(thing) + inspect.getdoc(Monitor) * ("Monitor" in name)
    for word in re.findall(r"(?:^|, )(\w+)", SIGNATURES[name])[name == "Monitor.start":] if name[0].isupper() else ():
        assert re.search(rf"^ *(\w+, )*{word}(, \w+)*: ", text, re.MULTILINE), word


def test_every_public_name_is_exported_and_every_public_method_has_a_docstring():
    assert {name for name in SIGNATURES if name.isidentifier()} - set(gym_monitor.__all__) <= {"main"}
    assert {"Error", "ResetNeeded", "InvalidFrame", "DependencyNotInstalled", "FILE_PREFIX", "MANIFEST_PREFIX",
            "__version__"} <= set(gym_monitor.__all__)
    assert (gym_monitor.FILE_PREFIX, gym_monitor.MANIFEST_PREFIX) == ("openaigym", "openaigym.manifest")
    assert all(issubclass(getattr(gym_monitor, name), Error) for name in ("ResetNeeded", "InvalidFrame",
                                                                          "DependencyNotInstalled"))
    for thing in (Monitor, StatsRecorder, VideoRecorder):
        for name, method in vars(thing).items():
            assert name.startswith("_") or not callable(method) or method.__doc__, (thing, name)


def test_a_copied_file_carries_its_licence_in_its_first_lines():
    with open(MODULE, encoding="utf-8") as file:
        first = "".join(next(file) for _ in range(5))
    assert "# SPDX-License-Identifier: MIT\n" in first and "Copyright" in first


# ---------------------------------------------------------------------------------------------------------------------
# The contract of an episode
# ---------------------------------------------------------------------------------------------------------------------

class Truncated(Walk):
    """Is cut off, rather than at its end."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, truncated, terminated, info


LISTS = "timestamps", "episode_lengths", "episode_rewards", "episode_types"
FAULTS = {"X": ZeroDivisionError, "C": KeyboardInterrupt, "T": TimeoutError, "E": Error}


def follow(env, plan):
    """Reset at R, step at s. At ! a step is refused; at another letter the environment raises in the middle of it."""
    inner = env.unwrapped
    for letter in plan:
        if letter == "!":
            before = inner.steps
            with pytest.raises(ResetNeeded):
                env.step(0)
            assert inner.steps == before  # the environment was left alone
        elif letter in FAULTS:
            inner.step = failing(inner.step, FAULTS[letter], 1)
            with pytest.raises(FAULTS[letter]):
                env.step(0)
            del inner.step
        else:
            env.reset() if letter == "R" else env.step(0)


@pytest.mark.parametrize("walk", [Walk, OldWalk, Truncated])
@pytest.mark.parametrize("plan, episodes, steps", [
    ("!!", 0, 0), ("Rs", 0, 1), ("Rsss!!", 1, 3), ("RsssRsssR", 2, 6), ("RRRsss", 1, 3), ("RsRssRsss", 1, 6),
    ("RsXRsss", 1, None), ("RsCRsss", 1, None), ("RETRRsss", 1, None), ("RsssRXssssssRsssRsss!", 3, None),
], ids=["before the first reset", "an unfinished episode", "past the end", "two episodes", "several resets in a row",
        "resets in mid-episode", "an exception", "Ctrl-C", "one after the other", "steps after it pass through"])
def test_completed_episodes_are_counted_and_no_others(anywhere, walk, plan, episodes, steps):
    with Monitor(walk(), anywhere) as env:
        follow(env, plan)
        assert (env.get_episode_lengths(), env.get_episode_rewards()) == ([3] * episodes, [6.0] * episodes)
        assert env.episode_id == episodes and steps in (None, env.get_total_steps())
        assert env.get_episode_times() == sorted(map(abs, env.get_episode_times()))
    if anywhere:
        assert [len(read_json(anywhere, ".stats.json")[key]) for key in LISTS] == [episodes] * 4


@pytest.mark.parametrize("plan, episodes", [("!Rsssss", 2), ("RsRss", 1), ("RsssXsss", 2), ("RsXsssXssRs", 1)], ids=[
    "episode after episode", "a reset", "an exception costs its episode alone", "and another"])
def test_an_environment_that_resets_by_itself_begins_the_next_episode(anywhere, plan, episodes):
    with Monitor(Autoreset(length=2), anywhere, False) as env:
        follow(env, plan)
        assert (env.get_episode_lengths(), env.get_episode_rewards()) == ([2] * episodes, [3.0] * episodes)
        assert env.episode_id == episodes


def test_without_allow_early_resets_a_reset_in_mid_episode_is_an_error_that_names_the_switch(anywhere):
    with Monitor(Walk(), anywhere, allow_early_resets=False) as env:
        follow(env, "RRs")
        with pytest.raises(Error, match="allow_early_resets"):
            env.reset()
        follow(env, "ssRsXsR")  # the episode goes on; and after an exception a reset is no early one
        assert env.get_episode_lengths() == [3]
    assert (env.allow_early_resets, Monitor(Walk()).allow_early_resets) == (False, True)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3, 4], ids=["of the reset", "of a step", "of the next", "of the last step"])
def test_ctrl_c_while_a_frame_is_drawn_costs_that_episode_alone(run, no_ffmpeg, at, early):
    env = Picture()
    env.render = failing(env.render, KeyboardInterrupt, at)
    with Monitor(env, run, every, allow_early_resets=early) as monitor:
        with pytest.raises(KeyboardInterrupt):
            play(monitor)
        counted = len(monitor.get_episode_lengths())  # whose last step was taken may be either
        assert counted == 0 or at == 4
        play(monitor, 2)
        assert [frames_of(path) for path, _ in monitor.videos][-2:] == [4, 4] and len(monitor.videos) <= 2 + counted
    assert load_results(run)["episode_lengths"] == [3] * (2 + counted)


@pytest.mark.parametrize("method", ["step", "render"])
def test_after_ctrl_c_nothing_more_is_filmed_and_close_keeps_the_video_up_to_there(run, no_ffmpeg, method):
    env = Picture()
    setattr(env, method, failing(getattr(env, method), KeyboardInterrupt, 2 + (method == "render")))
    monitor = Monitor(env, run, every)
    follow(monitor, "Rs")
    with pytest.raises(KeyboardInterrupt):
        monitor.step(0)
    monitor.step(0)
    monitor.close()
    assert load_results(run)["videos"] == monitor.videos and load_results(run)["episode_lengths"] == []
    assert [frames_of(path) for path, _ in monitor.videos] == [2]


def test_results_are_the_environments_own_objects_and_arguments_reach_it(anywhere):
    env, answers = Walk(), []
    reset, step = env.reset, env.step
    env.reset = lambda **kwargs: answers.append(reset(**kwargs)) or answers[-1]
    env.step = lambda action: answers.append(step(action)) or answers[-1]
    with Monitor(env, anywhere) as monitor:
        assert monitor.reset(seed=3, options={"x": 1}) is answers[-1]
        assert all(monitor.step(0) is answers[-1] for _ in range(3))
    assert env.options == {"seed": 3, "options": {"x": 1}}


def test_the_mode_counts_from_the_next_episode(run):
    with Monitor(Walk(), run, mode="evaluation") as env:
        follow(env, "RsssR")
        env.set_monitor_mode("training")
        follow(env, "sssRsss")
        with pytest.raises(Error, match="mode"):
            env.set_monitor_mode("testing")
    assert load_results(run)["episode_types"] == read_json(run, ".stats.json")["episode_types"] == ["e", "e", "t"]


def test_what_the_getters_answer_is_the_callers_own(run):
    with Monitor(Walk(), run) as env:
        play(env, 2)
        for mine in (env.get_episode_rewards(), env.get_episode_lengths(), env.get_episode_times(), env.videos,
                     *(getattr(env.stats_recorder, name) for name in LISTS)):
            del mine[:]
        assert env.get_episode_rewards() == [6.0, 6.0]
    assert load_results(run)["episode_lengths"] == read_json(run, ".stats.json")["episode_lengths"] == [3, 3]


@pytest.mark.parametrize("options, info, expected", [
    ({}, {}, {"episode": {"r": 6.0, "l": 3}}), ({}, {"episode": "mine"}, {"episode": "mine"}),
    (dict(stats_key=None), {}, {}), (dict(stats_key="sum"), {"x": 1}, {"x": 1, "sum": {"r": 6.0, "l": 3}}),
], ids=["as in RecordEpisodeStatistics", "one that is there is left alone", "none", "another key"])
def test_the_last_info_of_an_episode_has_its_return_length_and_seconds(anywhere, options, info, expected):
    with Monitor(Walk(info=info), anywhere, **options) as env:
        time.sleep(0.02)
        before = time.perf_counter()
        env.reset()
        *infos, last = (env.step(0)[-1] for _ in range(3))
        elapsed = time.perf_counter() - before
    assert infos == [info, info] and last.keys() == expected.keys()
    entry = last.get(options.get("stats_key", "episode"), "mine")
    assert entry == "mine" or 0 <= entry.pop("t") <= elapsed  # since the reset, not since the start
    assert last == expected


def test_info_episode_is_of_each_episode_where_the_environment_has_one_info_for_all(anywhere):
    info = {}
    env = Walk()
    env.step = lambda action: Walk.step(env, action)[:-1] + (info,)
    with Monitor(env, anywhere) as monitor:
        for env.length in (2, 3):
            play(monitor)
            assert info["episode"]["l"] == env.length


@pytest.mark.parametrize("info", [None, (), types.MappingProxyType({"a": 1}), "text"], ids=repr)
def test_an_info_that_takes_no_entry_passes_through(anywhere, info):
    env = Walk()
    env.step = lambda action: (0, 1.0, True, False, info)
    with Monitor(env, anywhere, info_keywords=("a",)) as monitor:
        monitor.reset()
        assert monitor.step(0)[-1] is info and monitor.get_episode_lengths() == [1]


@pytest.mark.parametrize("reward, expected", [
    (True, 1.0), (fractions.Fraction(1, 4), 0.25), (types.SimpleNamespace(item=lambda: 3), 3.0)],
    ids=["truth", "fraction", "as numpy and torch have it"])
def test_a_reward_is_whatever_is_a_number(anywhere, reward, expected):
    env = Walk()
    env.step = lambda action: (0, reward, True, False, {})
    with Monitor(env, anywhere) as monitor:
        play(monitor)
        assert list(map(repr, monitor.get_episode_rewards())) == [repr(expected)]


@pytest.mark.parametrize("result, words", [
    *(((0, reward, True, False, {}), "reward") for reward in (None, "what", [1, 2], 10 ** 400, 1j)),
    *((result, "step") for result in (None, (), (0, 1.0), (0, 1.0, True, False, {}, 6), 5, {})),
], ids=lambda value: str(value)[:20])
def test_a_step_that_is_none_is_an_error_and_its_episode_is_not_counted(anywhere, result, words):
    env = Walk()
    env.step = lambda action: result
    with Monitor(env, anywhere) as monitor:
        monitor.reset()
        with pytest.raises(Error, match=words):
            monitor.step(0)
        monitor.reset()
        assert monitor.get_episode_lengths() == []


# ---------------------------------------------------------------------------------------------------------------------
# Monitor as an environment, with a directory and without
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, warned", [
    ({}, 0), (dict(video_callable=False), 0), (dict(video_callable=every), 1), (dict(step_trigger=every), 1),
    (dict(keep_video=every), 1),
], ids=str)
def test_without_a_directory_nothing_is_written_and_an_argument_of_a_recording_is_warned_of_once(
        tmp_path, monkeypatch, caplog, options, warned):
    monkeypatch.chdir(str(tmp_path))
    with Monitor(Picture(), **options) as env:
        env.reset()
        assert caplog.records == []
        follow(env, "sssRsss")
        assert (env.enabled, env.directory, env.videos, env.episode_id) == (False, None, [], 2)
    assert files(tmp_path) == [] and [record.levelname for record in caplog.records] == ["WARNING"] * warned


def test_start_begins_a_recording_with_statistics_of_its_own(tmp_path):
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


def test_steps_after_close_pass_through_with_one_warning(run, caplog):
    env = Monitor(Walk(), run)
    play(env)
    env.close()
    env.reset()
    assert caplog.records == [] and [env.step(0)[0] for _ in range(4)] == [1, 2, 3, 4]
    env.reset()
    assert len(caplog.records) == 1 and env.get_episode_lengths() == [3]


def test_close_is_idempotent_and_returns_what_the_environments_does(anywhere):
    env, closed = Walk(), []
    env.close = lambda: closed.append(1) or "closed"
    monitor = Monitor(env, anywhere)
    play(monitor)
    assert monitor.close() == "closed"
    monitor.close()
    assert closed == [1] and monitor.get_episode_rewards() == [6.0]


@pytest.mark.parametrize("lost", ["directory", "journal"])
def test_close_raises_each_time_while_statistics_are_missing_and_steps_pass_through(run, lost):
    env = Monitor(Walk(), run)
    play(env, 2)
    if lost == "directory":
        shutil.rmtree(run)
    else:
        os.unlink(os.path.join(run, files(run)[0]))
    for _ in range(2):
        with pytest.raises(Error, match="openaigym"):
            env.close()
        assert [env.reset()[0], env.step(0)[0]] == ["first", 1]
    assert env.get_episode_lengths() == [3, 3] and env.unwrapped.closed
    if lost == "journal":  # which is not made anew; the JSON is what there is
        assert read_json(run, ".stats.json")["episode_lengths"] == [3, 3] and files(run, ".csv") == []


def test_attributes_tell_of_the_recording_and_all_others_are_the_environments(run, no_ffmpeg):
    walk = Picture()
    walk.action_space, walk.class_name = "space", "of the environment"
    with Monitor(walk, run, every, write_upon_reset=True, uid="me") as env:
        env.reset()
        assert env.env is walk and env.unwrapped is walk and env.enabled is True and isinstance(env, Monitor)
        assert (env.directory, env.file_prefix, env.write_upon_reset) == (os.path.abspath(run), "openaigym", True)
        assert env.file_infix.endswith(".me") and env.video_callable(5) is True and env.episode_id == 0
        assert isinstance(env.video_recorder, VideoRecorder) and isinstance(env.stats_recorder, StatsRecorder)
        assert env.action_space == "space" and env.class_name() == "Monitor"  # by which gym's wrappers know each other
        assert bytes(env.render()) == bytes(walk.render())
        assert not hasattr(env, "no_such_thing")


def test_a_copy_of_a_monitor_waits_for_its_own_start(run):
    with Monitor(Walk(), run) as env:
        play(env)
        for number, other in enumerate([copy.deepcopy(env), copy.copy(env), pickle.loads(pickle.dumps(env))]):
            assert not other.enabled and other.unwrapped.length == 3
            play(other)
            other.start(run + str(number))
            play(other, 2)
            other.close()
            assert load_results(run + str(number))["episode_lengths"] == [3, 3]
        play(env)
    assert load_results(run)["episode_lengths"] == [3, 3]


def test_the_step_of_a_subclass_is_called(anywhere):
    class Doubled(Monitor):
        def step(self, action):
            return super().step(action)[:-1] + ("mine",)

    with Doubled(Walk(), anywhere) as env:
        env.reset()
        assert [env.step(0)[-1] for _ in range(3)] == ["mine"] * 3 and env.get_episode_lengths() == [3]


def test_a_monitor_in_a_monitor_records_too(tmp_path):
    with Monitor(Monitor(Walk(), str(tmp_path / "inner")), str(tmp_path / "outer")) as env:
        play(env, 2)
    for name in ("inner", "outer"):
        assert load_results(str(tmp_path / name))["episode_rewards"] == [6.0, 6.0]


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------

BAD = {
    "video_callable": [True, 3, "cubic"], "mode": ["testing"], "fps": [0, -1, math.nan, math.inf, "30", True, []],
    "uid": ["a/b", "..", "x" * 300], "step_trigger": [5], "keep_video": [5], "stats_key": [1],
    "video_length": [-1, 2.5], "info_keywords": ["won", ("r",), ("type",), ("a,b",), ("a\nb",), (1,), ("a", "a")],
}


@pytest.mark.parametrize("name, value", [(name, value) for name in sorted(BAD) for value in BAD[name]])
def test_a_bad_argument_is_an_error_that_names_it_and_leaves_nothing(run, name, value):
    with pytest.raises(Error, match=name):
        Monitor(Walk(), os.path.join(run, "below"), **{name: value})
    assert not os.path.exists(run)


@pytest.mark.parametrize("missing", ["reset", "step"])
def test_an_object_that_is_no_environment_is_an_error(anywhere, missing):
    env = types.SimpleNamespace(reset=list, step=list)
    delattr(env, missing)
    with pytest.raises(Error, match=missing):
        Monitor(env, anywhere)


# ---------------------------------------------------------------------------------------------------------------------
# Directories
# ---------------------------------------------------------------------------------------------------------------------

def record_walk(directory, episodes=1, walk=Walk, **options):
    """Record a run from beginning to end."""
    with Monitor(walk(), directory, **options) as env:
        play(env, episodes)
    return env


@pytest.mark.parametrize("directory", ["a/b", "~/run", pathlib.Path("run")], ids=repr)
def test_a_directory_is_made_with_its_parents_and_stays_where_it_was(tmp_path, monkeypatch, no_ffmpeg, directory):
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    env = Monitor(Picture(), directory)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(str(tmp_path / "elsewhere"))
    play(env, 2)
    env.close()
    assert env.directory == str(tmp_path / str(directory).replace("~/", "")) and files(tmp_path / "elsewhere") == []
    assert len(load_results(env.directory)["videos"]) == 2 and len(files(env.directory)) == 7


@pytest.mark.parametrize("directory", ["", b"", "mine", "mine/below"], ids=repr)
def test_what_cannot_be_a_directory_is_an_error_that_names_it(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(str(tmp_path))
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Error, match="mine" if "mine" in str(directory) else "directory"):
        Monitor(Walk(), directory)
    assert files(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "mine"


def test_an_earlier_run_is_refused_with_five_of_its_files_and_both_ways_out(run):
    for uid in "abcd":
        record_walk(run, uid=uid, resume=True)
    before = files(run)
    with pytest.raises(Error, match="(?s)(?=.*resume=True)(?=.*force=True)") as refused:
        Monitor(Walk(), run)
    assert str(refused.value).count("openaigym.") == 5 and files(run) == before


def test_an_unfinished_run_is_an_earlier_run_too_and_is_resumed(run):
    unfinished = Monitor(Walk(), run)
    with pytest.raises(Error, match="monitor.csv"):
        Monitor(Walk(), run)
    play(unfinished, 2)
    assert Monitor(Walk(), run, resume=True).episode_id == 2
    unfinished.close()


def test_force_clears_the_directory_of_our_files_and_of_nothing_else(run):
    record_walk(run, 5)
    os.mkdir(os.path.join(run, "openaigym.directory"))
    for name in ("weights.bin", "openaigymnast", "0.monitor.csv"):
        with open(os.path.join(run, name), "w") as file:
            file.write("precious")
    record_walk(run, force=True)
    assert len(files(run)) == 4 + 3 and load_results(run)["episode_lengths"] == [3]


@pytest.mark.parametrize("linked", [False, True], ids=["by its name", "through a link"])
def test_force_ends_what_this_process_recorded_there_before(run, no_ffmpeg, caplog, linked):
    old = Monitor(Picture(), run, every)
    follow(old, "RsssRs")
    if linked:
        os.symlink(run, run + "-link")
    with Monitor(Walk(length=2), run + "-link" if linked else run, force=True) as env:
        follow(old, "sRsss")
        play(env)
        assert len(caplog.records) == 1
        old.close()
        del old
        gc.collect()
    results = load_results(run)
    assert results["episode_lengths"] == [2] and results["videos"] == [] and len(files(run)) == 3


def test_resume_keeps_what_is_there_and_goes_on_with_the_numbering_of_its_uid(run, no_ffmpeg):
    for uid, first, episodes in (("a", 0, 2), ("b", 0, 4), ("a", 2, 1), (None, 7, 1)):
        with Monitor(Picture(), run, every, resume=True, uid=uid) as env:
            assert env.episode_id == first
            play(env, episodes)
            assert env.episode_id == first + episodes
    assert len(load_results(run)["episode_lengths"]) == len(load_results(run)["videos"]) == 8
    assert sorted(content["episode_id"] for content in metadata_of(run)) == [0, 0, 1, 1, 2, 2, 3, 7]


def test_resume_goes_on_beside_a_damaged_run_which_is_not_counted(run, caplog):
    for uid in ("whole", "damaged"):
        with Monitor(Walk(), run, False, resume=True, uid=uid) as env:
            play(env, 2)
    with open(env.stats_recorder.journal_path, "wb") as file:
        file.write(b"damaged\n")
    with Monitor(Walk(), run, False, resume=True) as env:
        assert env.episode_id == 2
    assert "damaged.monitor.csv" in caplog.text


def test_resume_into_a_run_of_another_environment_is_an_error_at_the_start(run):
    record_walk(run)
    before = files(run)
    with pytest.raises(Error, match="Walk"):
        Monitor(OldWalk(), run, resume=True)
    assert files(run) == before


@pytest.mark.parametrize("name", ["episode_batch.{}.me.monitor.csv", "episode_batch.{}.me.stats.json",
                                  "manifest.{}.me.manifest.json", "video.{}.me.video000001.png"])
def test_a_name_that_exists_is_not_taken(run, no_ffmpeg, name):
    number = int(record_walk(run, walk=Picture, uid="me").file_infix.split(".")[0])
    planted = [os.path.join(run, "openaigym." + name.format(number + later)) for later in range(1, 5)]
    for path in planted:  # the names that come next
        with open(path, "w") as file:
            file.write("{}")
    before = files(run)
    record_walk(run, 2, walk=Picture, uid="me", resume=True, video_callable=every)
    assert [os.path.getsize(path) for path in planted] == [2] * 4 and len(files(run)) == len(before) + 7


def test_detecting_and_clearing_mean_our_files_alone(run):
    record_walk(run)
    os.mkdir(os.path.join(run, "openaigym.directory"))
    assert [os.path.basename(path) for path in detect_training_manifests(run)] == files(run, ".manifest.json")
    assert detect_training_manifests("x", ["openaigym.manifest.1", "other"]) == [
        os.path.join("x", "openaigym.manifest.1")]
    assert len(detect_monitor_files(run)) == 3
    clear_monitor_files(run)
    assert files(run) == ["openaigym.directory"]


# ---------------------------------------------------------------------------------------------------------------------
# Statistics and their files
# ---------------------------------------------------------------------------------------------------------------------

def test_a_directory_holds_journal_statistics_and_manifest(run, no_ffmpeg):
    env = Picture()
    env.spec = types.SimpleNamespace(id="Picture-v3")
    with Monitor(env, run, uid="me") as monitor:
        play(monitor)
        assert files(run, ".json") == files(run, ".meta.json")  # the other JSON comes with close
    infix = monitor.file_infix
    names = [f"openaigym.episode_batch.{infix}.monitor.csv", f"openaigym.episode_batch.{infix}.stats.json",
             f"openaigym.manifest.{infix}.manifest.json", f"openaigym.video.{infix}.video000000.meta.json",
             f"openaigym.video.{infix}.video000000.png"]
    assert files(run) == names and infix.endswith(".me") and journal_rows(run)[0]["env_id"] == "Picture-v3"
    assert read_json(run, ".manifest.json") == {
        "stats": names[1], "videos": [[names[4], names[3]]],
        "env_info": {"env_id": "Picture-v3", "gym_version": "none"}}


def test_the_journal_has_a_row_the_moment_an_episode_is_over(run):
    before = time.time()
    env = Monitor(Walk(), run)
    assert journal_rows(run)[1] == []
    for episode in (1, 2):
        play(env)
        header, rows = journal_rows(run)
        assert len(rows) == episode
    assert {"t_start", "env_id"} <= set(header) and before - 1 <= header["t_start"] <= time.time()
    assert [list(row) for row in rows] == [["r", "l", "t", "type"]] * 2
    assert [(row["r"], row["l"], row["type"]) for row in rows] == [("6.0", "3", "t")] * 2
    env.close()
    assert journal_rows(run) == (header, rows)


def test_journal_and_json_hold_the_same_numbers_exactly(run):
    env, rewards = Walk(), [0.1, 1e-300, 1 / 3, math.inf, -2.5, 12345678901234567.0]
    rest = iter(rewards)
    env.step = lambda action: (0, next(rest), True, False, {})
    with Monitor(env, run) as monitor:
        play(monitor, 6)
    (header, rows), stats = journal_rows(run), read_json(run, ".stats.json")
    assert set(stats) == {"initial_reset_timestamp", *LISTS}
    assert [row["r"] for row in rows] == list(map(repr, rewards)) == list(map(repr, stats["episode_rewards"]))
    assert [header["t_start"] + float(row["t"]) for row in rows] == stats["timestamps"]
    assert header["t_start"] <= stats["initial_reset_timestamp"] <= stats["timestamps"][0]
    assert stats["episode_types"] == ["t"] * 6 and stats["episode_lengths"] == [1] * 6


def test_write_upon_reset_writes_statistics_and_manifest_at_each_of_the_first_thousand_resets(run):
    env = Monitor(Walk(length=1), run, write_upon_reset=True)
    for episode in range(1000):
        env.reset()
        if episode in (0, 1, 2, 500, 999):
            assert len(read_json(run, ".stats.json")["timestamps"]) == episode
            assert read_json(run, ".manifest.json")["stats"] in files(run)
        env.step(0)
    play(env, 50)  # not necessarily at each of these
    env.close()
    assert len(read_json(run, ".stats.json")["timestamps"]) == len(journal_rows(run)[1]) == 1050
    assert len(files(run)) == 3


def test_info_keywords_go_into_the_journal_and_into_info_episode(anywhere):
    with Monitor(Walk(info={"won": True, "why": 'a "b", c\nd'}), anywhere, info_keywords=("won", "why", "no")) as env:
        env.reset()
        infos = [env.step(0)[-1] for _ in range(3)]
        assert infos[2]["episode"]["won"] is True and infos[2]["episode"]["why"] == 'a "b", c\nd'
        assert infos[2]["episode"].get("no") is None and "episode" not in infos[1]
    if anywhere:
        row, = journal_rows(anywhere)[1]
        assert list(row) == ["r", "l", "t", "type", "won", "why", "no"]
        assert (row["won"], row["why"], row["no"]) == ("True", 'a "b", c d', "")


Silent = type("Silent", (), {"__str__": lambda self: 1 / 0})


@pytest.mark.parametrize("value, cell", [
    ("caf\udce9.txt", "caf\\udce9.txt"), (Silent(), ""), ('a,"' * 100000, 'a,"a,"'), ('nul\0 "it"', 'nul  "it"'),
    ("line\u2028line\x85line\r\nline", "line line line line"), ("caf\u00e9", "caf\u00e9"), (-0.0, "-0.0"),
], ids=["a surrogate", "no text", "long", "nul", "line ends", "beyond ascii", "a number"])
def test_info_keywords_may_be_awkward(run, value, cell):
    with Monitor(Walk(info={"what": value}), run, info_keywords=("what",)) as env:
        play(env, 2)
        with open(os.path.join(run, files(run, ".csv")[0]), encoding="utf-8", newline="") as file:
            rows = list(csv.reader(list(file)[2:]))
    assert len(rows) == 2 and all(len(row) == 5 and row[4].startswith(cell) for row in rows)
    assert load_results(run)["episode_rewards"] == [6.0, 6.0]


def walk_through(recorder, *lengths):
    """Report episodes to a stats recorder, as a program of one's own does."""
    for length in lengths:
        recorder.before_reset()
        recorder.after_reset("first")
        for step in range(length):
            recorder.before_step(0)
            recorder.after_step(step, 2.0, step == length - 1, {})


def test_the_stats_recorder_works_alone_and_keeps_its_place_and_its_name(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(str(tmp_path))
    recorder = StatsRecorder("mine", "alone", env_id="Walk")
    with pytest.raises(Error, match="alone"):
        StatsRecorder("mine", "alone")
    monkeypatch.chdir(str(tmp_path / "mine"))
    for kind, length in (("t", 3), ("e", 1)):
        recorder.type = kind
        with pytest.raises(ResetNeeded):
            recorder.before_step(0)
        walk_through(recorder, length)
    with pytest.raises(Error):
        recorder.type = "x"
    assert recorder.type == "e" and len(journal_rows(tmp_path / "mine")[1]) == 2
    recorder.flush()
    assert load(recorder.path)["episode_rewards"] == [6.0, 2.0]
    recorder.close()
    recorder.close()
    assert [getattr(recorder, name) for name in LISTS[1:]] == [[3, 1], [6.0, 2.0], ["t", "e"]]
    assert recorder.total_steps == 4 and recorder.initial_reset_timestamp <= recorder.timestamps[0]
    assert recorder.path == str(tmp_path / "mine" / "alone.stats.json") and len(files(tmp_path / "mine")) == 2


def test_a_stats_recorder_that_knows_no_environment_goes_with_any_and_may_reset_by_itself(run):
    record_walk(run)
    recorder = StatsRecorder(run, "openaigym.episode_batch.9.alone", autoreset=True)
    walk_through(recorder, 1)
    recorder.before_step(0)
    recorder.after_step(0, 1.0, True, {})
    recorder.close()
    assert load_results(run)["episode_lengths"] == [3, 1, 1] and load_results(run)["env_info"]["env_id"] == "Walk"


# ---------------------------------------------------------------------------------------------------------------------
# Schedules and clips
# ---------------------------------------------------------------------------------------------------------------------

def test_the_capped_cubic_schedule():
    picked = [episode for episode in range(4001) if capped_cubic_video_schedule(episode)]
    assert picked == [n ** 3 for n in range(10)] + [1000, 2000, 3000, 4000]
    assert not any(map(disable_videos, range(10)))


@pytest.mark.parametrize("schedule, episodes", [
    (None, [0, 1, 8]), (False, []), (lambda episode: episode % 4 == 2, [2, 6]), (lambda episode: 1 / 0, []),
], ids=["default", "false", "function", "one that raises"])
def test_video_callable_picks_the_episodes(run, no_ffmpeg, schedule, episodes):
    with Monitor(Picture(), run, schedule) as env:
        play(env, 10)
        assert video_names(env) == ["video%06d" % episode for episode in episodes]
        assert len(env.get_episode_lengths()) == 10
    assert [content["episode_id"] for content in metadata_of(run)] == episodes


@pytest.mark.parametrize("plan", ["Rsssss", "RRsssss", "RsRsssss"],
                         ids=["an episode", "several resets in a row", "a dropped episode"])
def test_a_recorded_episode_has_a_frame_of_its_reset_and_of_every_step(run, no_ffmpeg, plan):
    walk = Picture(length=5)
    env = Monitor(walk, run, every)
    follow(env, plan)
    (path, _), = env.videos  # complete without close
    expected = []
    for walk.steps in range(6):
        expected.append((bytes(walk.render()), 0.04))
    assert png_frames(path)[1] == expected and video_names(env) == ["video000000"]
    env.close()
    assert len(files(run, ".png")) == len(files(run, ".meta.json")) == 1


def test_a_video_under_way_is_not_listed_goes_on_and_stays_where_close_cuts_it_short(run, no_ffmpeg):
    env = Monitor(Picture(), run, every)
    follow(env, "Rs")
    assert env.videos == load_results(run)["videos"] == []
    follow(env, "ssRs")
    assert len(load_results(run)["videos"]) == 1
    env.close()
    assert [frames_of(path) for path, _ in env.videos] == [4, 2] and load_results(run)["videos"] == env.videos
    assert read_json(run, ".manifest.json")["videos"] == [list(map(os.path.basename, pair)) for pair in env.videos]


@pytest.mark.parametrize("walk, plan", [(Picture, "RssRssRss"), (Autoreset, "Rssssss")])
def test_step_trigger_is_asked_about_every_step_and_turns_the_default_schedule_off(run, no_ffmpeg, walk, plan):
    asked = []
    with Monitor(walk(length=2), run, step_trigger=lambda step: asked.append(step)) as env:
        follow(env, plan)
        assert env.videos == []
    assert asked == [0, 1, 2, 3, 4, 5]


def test_step_trigger_begins_a_clip_at_its_step(run, no_ffmpeg):
    with Monitor(Picture(length=4), run, lambda episode: episode == 2, step_trigger=lambda step: step == 5) as env:
        play(env, 3)
        (path, metadata), _ = env.videos
        assert video_names(env) == ["step000000005", "video000002"] and load(metadata)["step"] == 5
    assert frames_of(path) == 3  # of steps 5, 6 and 7, in episodes of four


@pytest.mark.parametrize("length, keep, frames", [
    (2, None, 2), (4, None, 4), (6, None, 6), (100, None, 12), (None, None, 4), (0, None, 4), (2, every, 2),
    (100, every, 4),
])
def test_video_length_is_the_frames_of_a_clip_across_episodes_unless_keep_video_is_set(
        run, no_ffmpeg, length, keep, frames):
    with Monitor(Picture(), run, lambda episode: episode == 0, video_length=length, keep_video=keep) as env:
        play(env, 3)
    assert [frames_of(path) for path, _ in env.videos] == [frames]


def test_keep_video_decides_which_files_stay(run, no_ffmpeg, caplog):
    asked = []

    def keep(episode):
        asked.append(episode)
        return episode.episode_id == 1 or episode.episode_id == 2 and 1 / 0  # harms nobody

    with Monitor(Picture(), run, lambda episode: episode < 3, keep_video=keep) as env:
        play(env, 4)
        assert "video000001" in video_names(env) and "video000000" not in video_names(env)
    assert [(e.episode_id, e.reward, e.length) for e in asked] == [(0, 6.0, 3), (1, 6.0, 3), (2, 6.0, 3)]
    assert asked[0].info["episode"]["l"] == 3 and len(caplog.records) == 1
    assert len(files(run, ".png")) == len(files(run, ".meta.json")) == len(load_results(run)["videos"])


def test_an_environment_that_resets_by_itself_has_a_frame_per_step(run, no_ffmpeg):
    with Monitor(Autoreset(), run, lambda episode: episode < 2) as env:
        follow(env, "Rssssssss")
        # The picture of an episode's last step is not to be had: the next episode's first is shown by then.
        assert video_names(env) == ["video000000", "video000001"]
        assert [frames_of(path) for path, _ in env.videos] == [3, 3]


@needs_ffmpeg
def test_a_ninth_encoder_at_a_time_is_not_begun_and_one_warning_says_so(tmp_path, caplog):
    gc.collect()  # of what other tests have dropped, nothing counts
    envs = [Monitor(Picture(length=1), str(tmp_path / str(number)), every) for number in range(10)]
    for env in envs:
        env.reset()
    assert [len(files(env.directory, ".mp4")) for env in envs] == [1] * 8 + [0] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    for env in envs:
        env.step(0)
    play(envs[9])  # waits for one that is finishing
    for env in envs:
        env.close()
        assert len(env.get_episode_lengths()) == 1 + (env is envs[9])
    assert [video_names(env) for env in envs] == [["video000000"]] * 8 + [[], ["video000001"]]
    assert all(frames_of(env.videos[0][0]) == 2 for env in envs if env.videos)


@needs_ffmpeg
def test_no_short_episode_loses_its_video_to_the_limit_of_encoders(run, caplog):
    with Monitor(Picture(length=1), run, every) as env:
        play(env, 12)
        assert [frames_of(path) for path, _ in env.videos] == [2] * 12 and caplog.records == []


# ---------------------------------------------------------------------------------------------------------------------
# Video recorder and encoders
# ---------------------------------------------------------------------------------------------------------------------

def film(path, frames, fps=10):
    """Record frames, one after the other; the path."""
    recorder = VideoRecorder(types.SimpleNamespace(render=iter(frames).__next__), path=str(path), fps=fps)
    for _ in frames:
        recorder.capture_frame()
    recorder.close()
    assert not recorder.broken, recorder.metadata
    return recorder.path


def patches(height, width, channels=3):
    """Red, green, blue and grey, a quarter each; without channels, in black and white."""
    colours = [colour + (255,) for colour in (RED, GREEN, BLUE, GREY)]
    picture = frame(height, width, channels or 1, lambda row, column: colours[
        2 * (2 * row // height) + 2 * column // width])
    return picture if channels else picture.cast("B").cast("B", [height, width])


def near(colour, expected):
    return all(abs(a - b) <= 12 for a, b in zip(colour, expected))


@needs_ffmpeg
@pytest.mark.parametrize("height, width, channels", [
    (64, 96, 3), (63, 95, 3), (35, 51, 4), (33, 40, 1), (20, 31, 0), (3, 2, 3), (1, 1, 3)])
def test_an_mp4_of_any_size_shows_the_right_colours_up_to_its_edges(tmp_path, height, width, channels):
    path = film(tmp_path / "a.mp4", [patches(height, width, channels)] * 3)
    found, size = probe(path), (width + width % 2, height + height % 2)
    assert (found["width"], found["height"], found["frames"]) == size + (3,)
    assert (found["codec_name"], found["pix_fmt"]) == ("h264", "yuv420p")
    shown = decode(path, 1, size)
    for row, column, colour in ((height // 4, width // 4, RED), (height // 4, 3 * width // 4, GREEN),
                                (3 * height // 4, width // 4, BLUE), (3 * height // 4, 3 * width // 4, GREY),
                                (0, 0, RED), (0, -1, GREEN), (-1, 0, BLUE), (-1, -1, GREY)):
        assert height < 4 or near(shown[row][column], colour if channels > 1 else colour[:1] * 3), (row, column)


@needs_ffmpeg
@pytest.mark.parametrize("fps, rate", [(30, "30/1"), (12.5, "25/2"), (29.97, "2997/100"), (0.5, "1/2"), (240, "240/1")])
def test_an_mp4_keeps_fractions_of_the_frame_rate_and_every_frame(tmp_path, fps, rate):
    found = probe(film(tmp_path / "a.mp4", [patches(16, 16)] * 7, fps))
    assert (found["r_frame_rate"], found["frames"]) == (rate, 7)


@needs_ffmpeg
def test_with_ffmpeg_an_episode_is_an_mp4_complete_without_close(run):
    env = Monitor(Picture(length=9), run, every)
    play(env)
    (path, metadata), = env.videos
    found, told = probe(path), load(metadata)
    assert (found["frames"], found["r_frame_rate"]) == (10, "25/1")
    version = told.pop("encoder_version")
    assert told == {"episode_id": 0, "content_type": "video/mp4", "empty": False, "broken": False}
    assert version["backend"] == "ffmpeg" and version["version"].startswith("ffmpeg version")
    assert version["cmdline"][0] == "ffmpeg" and not any(run in word for word in version["cmdline"])
    with open(path, "rb") as file:
        content = file.read()
    assert 0 < content.index(b"moov") < content.index(b"mdat")  # it can be played before it is loaded
    assert len(files(run)) == 3  # no temporary one
    env.close()


@needs_ffmpeg
def test_memory_does_not_grow_with_the_episode_and_no_temporary_directory_is_needed(run):
    status, out, err = run_script("""
        import resource, tempfile
        tempfile._candidate_tempdir_list = lambda: ["/nowhere"]
        Picture.render = lambda self, big=memoryview(bytes(1500000)).cast("B", [500, 1000, 3]): big
        env = Monitor(Picture(length=100), sys.argv[1])
        env.reset()
        env.step(0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(99):
            env.step(0)
        env.close()
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """, run)
    assert (status, err) == (0, "") and int(out) < 20  # of 150 MB
    assert probe(load_results(run)["videos"][0][0])["frames"] == 101


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 127\n", None], ids=["a library is missing", "it is not there"])
def test_without_an_ffmpeg_that_works_pictures_become_an_animated_png(run, fake_ffmpeg, script):
    if script:
        fake_ffmpeg(script)
    with Monitor(Picture(), run) as env:
        play(env)
        assert [frames_of(path) for path, _ in env.videos] == [4] and env.videos[0][0].endswith(".png")
    assert read_json(run, ".meta.json")["content_type"] == "image/apng"
    with pytest.raises(DependencyNotInstalled, match="ffmpeg"):
        VideoRecorder(Picture(), path=run + ".mp4")


@needs_ffmpeg
def test_an_ffmpeg_without_h264_makes_an_mp4_all_the_same(run, fake_ffmpeg):
    fake_ffmpeg('#!/bin/sh\ncase "$*" in *-encoders*) {0} "$@" | {1} -v 264;; *) exec {0} "$@";; esac\n'.format(
        FFMPEG, TOOLS["grep"]))
    assert len(decode(film(run + ".mp4", [patches(8, 8)] * 3), 2, (8, 8), FFMPEG)) == 8


@needs_ffmpeg
@pytest.mark.parametrize("broken_comes_first", [True, False])
def test_the_ffmpeg_of_imageio_comes_before_that_of_path_and_need_not_work(
        run, fake_ffmpeg, monkeypatch, broken_comes_first):
    broken = fake_ffmpeg(f"#!/bin/sh\ntouch {run}\nexit 1\n")
    monkeypatch.setenv("PATH", os.path.dirname(FFMPEG if broken_comes_first else broken))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", broken if broken_comes_first else FFMPEG)
    film(run + ".mp4", [patches(8, 8)])
    assert os.path.exists(run) is broken_comes_first or not TOOLS["touch"].startswith(os.path.dirname(FFMPEG))


@pytest.mark.parametrize("entry", [".", "bin", ""])
def test_an_entry_of_path_that_is_not_absolute_is_skipped(run, fake_ffmpeg, monkeypatch, tmp_path, entry):
    fake_ffmpeg(f"#!/bin/sh\n{TOOLS['touch']} {run}\n")
    monkeypatch.chdir(str(tmp_path if entry == "bin" else tmp_path / "bin"))
    monkeypatch.setenv("PATH", os.pathsep.join([entry, str(tmp_path / "nothing")]))
    assert VideoRecorder(Picture(), base_path=run + "film").path.endswith(".png") and not os.path.exists(run)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_pixels_of_an_animated_png_are_exact(tmp_path, channels):
    def moving(step):
        return frame(21, 33, channels, lambda row, column: (
            (row * 7 + step) % 256, (column * 5) % 256, 200, 255) if (row // 5 + step) % 3 else (9, 9, 9, 99))

    shape, found = png_frames(film(tmp_path / "a.png", [moving(step // 2) for step in range(8)]))
    assert shape == (33, 21, channels)  # equal frames are one, shown longer
    assert found == [(bytes(moving(step).cast("B")), 0.2) for step in range(4)]


@pytest.mark.parametrize("spots, rectangle", [
    ([(10, 20), (14, 29)], (10, 5, 20, 10)), ([(0, 0)], (1, 1, 0, 0)), ([(39, 59)], (1, 1, 59, 39)),
    ([(0, 59), (39, 0)], (60, 40, 0, 0)), ([(7, 3), (7, 50)], (48, 1, 3, 7)),
], ids=["inside", "first pixel", "last pixel", "two corners", "a row"])
def test_an_animated_png_stores_only_the_rectangle_that_changed(tmp_path, spots, rectangle):
    def picture(spots):
        return frame(40, 60, 3, lambda row, column: (row * 6, column * 4, 8 if (row, column) in spots else 7))

    pictures = [picture([]), picture(spots)]
    path = film(tmp_path / "a.png", pictures)
    with open(path, "rb") as file:
        assert struct.unpack(">IIII", file.read().split(b"fcTL")[2][4:20]) == rectangle
    assert [pixels for pixels, _ in png_frames(path)[1]] == [bytes(picture.cast("B")) for picture in pictures]


@pytest.mark.parametrize("frames, fps", [(3000, 29.97), (10, 1 / 7), (5, 240), (2, 1e6), (3, 12.5)])
def test_an_animated_png_shows_every_still_for_its_time(tmp_path, frames, fps):
    still = patches(4, 4)
    _, found = png_frames(film(tmp_path / "a.png", [still] * frames, fps))
    assert sum(seconds for _, seconds in found) == pytest.approx(frames / fps, abs=1e-3)
    assert {pixels for pixels, _ in found} == {bytes(still.cast("B"))}


def test_pillow_plays_the_animated_png(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install pillow")
    pictures = [patches(12, 20), frame(12, 20, 3, lambda row, column: (row, column, 50)), patches(12, 20)]
    with image.open(film(tmp_path / "a.png", pictures)) as film_:
        assert (film_.size, film_.n_frames) == ((20, 12), 3)
        for index, picture in enumerate(pictures):
            film_.seek(index)
            assert film_.convert("RGB").tobytes() == bytes(picture.cast("B")) and film_.info["duration"] == 100


@pytest.mark.parametrize("ending", [".png", pytest.param(".mp4", marks=needs_ffmpeg)])
def test_frames_in_any_memory_order_record_the_right_picture(tmp_path, ending):
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    upright = numpy.array(patches(40, 60))
    read_only = upright.copy()
    read_only.flags.writeable = False
    wide = numpy.repeat(upright, 2, axis=1)
    path = film(tmp_path / ("a" + ending), [
        numpy.asfortranarray(upright), read_only, wide[:, ::2], upright[::-1].copy()[::-1]])
    if ending == ".png":
        assert png_frames(path)[1] == [(upright.tobytes(), 0.4)]
    else:
        shown = [decode(path, index, (60, 40)) for index in range(4)]
        assert all(near(picture[10][45], GREEN) and near(picture[30][15], BLUE) for picture in shown)


def test_bytes_that_say_an_order_are_bytes(tmp_path):
    pixels = (ctypes.c_ubyte * 3 * 4 * 5).from_buffer_copy(bytes(range(60)))  # its format is "<B"
    assert png_frames(film(tmp_path / "film.png", [pixels])) == ((4, 5, 3), [(bytes(range(60)), 0.1)])


def cast_lines(path):
    """The header of an asciicast and its events."""
    with open(str(path), encoding="ascii") as file:
        header, *events = [json.loads(line) for line in file]
    return header, events


def test_text_is_recorded_as_an_asciicast(run):
    with Monitor(Text(), run) as env:
        play(env)
        (path, metadata), = env.videos
    assert path.endswith(".video000000.cast") and load(metadata)["content_type"] == "application/x-asciicast"
    header, events = cast_lines(path)
    assert (header["version"], header["width"], header["height"]) == (2, 6, 2)
    assert [(moment, kind) for moment, kind, _ in events] == [(0, "o"), (0.25, "o"), (0.5, "o"), (0.75, "o")]
    assert events[1][2].endswith("step 1\r\n\x1b[41mhere\x1b[0m")


def test_the_size_of_an_asciicast_is_that_of_its_largest_frame(tmp_path):
    header, events = cast_lines(film(tmp_path / "a.cast", ["a", "ab\ncd\r\nef\n", "\u4e2d\u6587\u5b57"]))
    assert (header["width"], header["height"], len(events)) == (6, 3, 3)


@pytest.mark.parametrize("metadata, fps, expected", [
    ({"render_fps": 25, "video.frames_per_second": 12}, 50, 50), ({"render_fps": 25}, None, 25), ({}, None, 30),
    ({"video.frames_per_second": 12.5}, None, 12.5), (None, fractions.Fraction(30000, 1001), 30000 / 1001),
    ({"render_fps": None, "video.frames_per_second": 12}, None, 12), ({"render_fps": 0}, None, 30), (None, None, 30),
], ids=repr)
def test_the_frame_rate_is_fps_or_the_environments_or_thirty(tmp_path, metadata, fps, expected):
    env = types.SimpleNamespace(metadata=metadata, render=Picture().render)
    assert VideoRecorder(env, base_path=str(tmp_path / "film"), fps=fps).frames_per_sec == expected


class Gym025(Picture):
    """gym 0.25 without a render_mode: its wrappers hide which arguments `render` takes."""

    metadata, render_mode = {"render_modes": ["human", "rgb_array", "single_rgb_array"]}, None

    def render(self, *args, **kwargs):
        return super().render() if "rgb_array" in (*args, kwargs.get("mode")) else None


class Plain(Picture):
    """Says which modes there are, and its `render` takes none."""

    metadata, render_mode = {"render.modes": ["human", "rgb_array"]}, property()


class Listed(Picture):
    """Answers the frames since it was last asked."""

    render_mode = "rgb_array_list"

    def reset(self, **kwargs):
        self.frames = []
        return self.keep(super().reset(**kwargs))

    def step(self, action):
        return self.keep(super().step(action))

    def keep(self, result):
        self.frames += [patches(32, 48), super().render()]  # the newest is the last
        return result

    def render(self):
        frames, self.frames = self.frames, []
        return frames


Single025 = type("Single025", (Picture,), {"render_mode": "single_rgb_array"})
Listed025 = type("Listed025", (Listed,), {"render_mode": "rgb_array"})


@pytest.mark.parametrize("env", [Picture, OldPicture, Plain, Listed, Gym025, Single025, Listed025])
def test_every_form_of_render_is_filmed(run, no_ffmpeg, env):
    with Monitor(env(), run) as monitor:
        play(monitor)
        (path, _), = monitor.videos
        if issubclass(env, Listed):  # what the recorder took is still the user's
            assert len(monitor.render()) == 8 and monitor.render() == []
    assert bytes(Picture().render()) == png_frames(path)[1][0][0] and frames_of(path) == 4


@pytest.mark.parametrize("options, said", [
    ({}, []), (dict(render=Picture().render, render_mode=None), ["render_mode='rgb_array'"]),
    (dict(render=Picture().render, render_mode="human"), ["rgb_array"]),
], ids=["nothing", "without render_mode", "for humans"])
def test_an_environment_that_draws_nothing_has_no_videos_and_one_line_says_why(run, caplog, options, said):
    env = Walk()
    vars(env).update(options)
    with Monitor(env, run) as monitor:
        play(monitor, 3)
        assert monitor.videos == [] and monitor.get_episode_lengths() == [3, 3, 3]
    assert len(caplog.records) == len(said) and all(word in caplog.text for word in said)


@pytest.mark.parametrize("named", ["base_path", "path"])
@pytest.mark.parametrize("draw, ending", [
    (Picture().render, ".png"), (lambda: "text", ".cast"), (lambda: io.StringIO("text"), ".cast"),
], ids=["a picture", "text", "a file of text"])
def test_the_video_recorder_works_alone_and_goes_by_what_is_drawn(
        tmp_path, monkeypatch, no_ffmpeg, draw, ending, named):
    monkeypatch.chdir(str(tmp_path))
    name = {named: "film" + ending * (named == "path")}
    recorder = VideoRecorder(types.SimpleNamespace(render=draw), metadata={"mine": 1}, **name)
    assert recorder.functional and recorder.enabled and recorder.empty
    for _ in range(2):
        recorder.capture_frame()  # after the end: nothing
        recorder.close()
    assert not recorder.empty and not recorder.broken and len(files(tmp_path)) == 2
    assert recorder.path == str(tmp_path / ("film" + ending)) and load(tmp_path, "film.meta.json")["mine"] == 1
    assert recorder.metadata_path == str(tmp_path / "film.meta.json") and recorder.metadata["mine"] == 1
    assert len(cast_lines(recorder.path)[1] if ending == ".cast" else png_frames(recorder.path)[1]) == 1


def test_a_video_recorder_without_a_path_finds_one():
    recorder = VideoRecorder(Text())
    recorder.capture_frame()
    recorder.close()
    assert os.path.exists(recorder.path)
    shutil.rmtree(os.path.dirname(recorder.path))


@pytest.mark.parametrize("enabled", [True, False])
def test_a_video_recorder_that_captures_nothing_leaves_no_recording(tmp_path, enabled):
    recorder = VideoRecorder(Picture(), base_path=str(tmp_path / "film"), enabled=enabled)
    if not enabled:
        recorder.capture_frame()
    recorder.close()
    assert recorder.functional == recorder.enabled == enabled and recorder.empty and not recorder.broken
    assert [content["empty"] for content in metadata_of(tmp_path)] == [True] * len(files(tmp_path)) == [True] * enabled


@pytest.mark.parametrize("env, options, words", [
    (Text, dict(path="a.mp4"), ".cast"), (Picture, dict(path="a.gif"), ".png"),
    (Picture, dict(path="a.png", fps=0), "fps"), (Picture, dict(path="a.png", base_path="a"), "base_path"),
], ids=["text", "unknown", "fps", "both"])
def test_a_path_that_cannot_be_is_an_error(tmp_path, monkeypatch, env, options, words):
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(Error, match=words):
        VideoRecorder(env(), **options)
    assert files(tmp_path) == []


@pytest.mark.parametrize("ending", [".png", pytest.param(".mp4", marks=needs_ffmpeg)])
def test_a_video_that_cannot_be_made_is_marked_broken_and_logged_once_and_the_next_is_made(
        run, caplog, capsys, monkeypatch, ending):
    if ending == ".png":
        monkeypatch.setenv("PATH", "/nowhere")
    env = Picture()
    env.render = failing(env.render, RuntimeError("no display"), 3)
    with Monitor(env, run, every) as monitor:
        play(monitor, 2)
        assert video_names(monitor) == ["video000001"] and monitor.get_episode_lengths() == [3, 3]
    broken, fine = metadata_of(run)
    assert (broken["broken"], fine["broken"]) == (True, False)
    assert "no display" in broken["error"] and "error" not in fine
    assert len(files(run, ending)) == 1 and len(load_results(run)["videos"]) == 1 and capsys.readouterr().out == ""
    assert [(record.name, record.levelname) for record in caplog.records] == [("gym_monitor", "WARNING")]


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

def write_gym_run(directory, infix="0.7", env_id="Walk", **wrong):
    """What gym's own Monitor leaves, here closed in mid-episode: one type too many."""
    names = f"openaigym.episode_batch.{infix}.stats.json", f"openaigym.manifest.{infix}.manifest.json"
    stats = {"initial_reset_timestamp": 10.0, "timestamps": [11.0, 12.0], "episode_lengths": [5, 5],
             "episode_rewards": [1.5, 1.5], "episode_types": ["t", "e", "t"]}
    manifest = {"stats": names[0], "videos": [], "env_info": {"env_id": env_id, "gym_version": "none"}}
    for name, content in zip(names, (stats, manifest)):
        content.update((key, value) for key, value in wrong.items() if key in content)
        with open(os.path.join(str(directory), name), "w") as file:
            json.dump(content, file)
    return names


def damage(directory, ending, content):
    """Write something else into the file with that ending."""
    name, = files(directory, ending)
    with open(os.path.join(str(directory), name), "wb") as file:
        file.write(content)
    return name


def test_results_have_gyms_ten_keys_and_info_of_an_unfinished_run_too(run):
    env = Monitor(Walk(), run)
    for episodes in (0, 2):
        play(env, episodes)
        results = load_results(run)
        assert set(results) == {"manifests", "env_info", "data_sources", "initial_reset_timestamps",
                                "initial_reset_timestamp", "videos", "info", *LISTS}
        assert results["env_info"] == {"env_id": "Walk", "gym_version": "none"}
        assert results["timestamps"] == env.stats_recorder.timestamps == sorted(results["timestamps"])
        assert [results[key] for key in ("episode_lengths", "episode_rewards", "episode_types", "data_sources")] == [
            [3] * episodes, [6.0] * episodes, ["t"] * episodes, [0] * episodes]
        assert results["manifests"] == results["videos"] == [] and results["info"] == {}
    assert results["initial_reset_timestamps"] == [results["initial_reset_timestamp"]]
    assert results["initial_reset_timestamp"] <= results["timestamps"][0]
    env.close()
    assert load_results(run) == dict(load_results(run), timestamps=results["timestamps"],
                                     manifests=detect_training_manifests(run), episode_types=["t", "t"])


def test_results_hold_the_info_keywords_as_numbers_truths_and_text(run):
    env, values = Walk(), [1, 2.5, True, "yes", None, "a, b"]
    rest = iter(values)
    env.step = lambda action: (0, 1.0, True, False, {"what": next(rest), "n": 3})
    with Monitor(env, run, info_keywords=("what", "n")) as monitor:
        play(monitor, 6)
    record_walk(run, resume=True)
    found = load_results(run)["info"]
    assert found == {"what": values + [None], "n": [3] * 6 + [None]}
    assert list(map(type, found["what"][:3])) == [int, float, bool]


def test_several_monitors_in_a_directory_are_merged_by_time(run):
    a, b = Monitor(Walk(length=2), run, uid="a"), Monitor(Walk(length=3), run, uid="b", resume=True)
    for env in (a, b, b, a):
        play(env)
    a.close()
    b.close()
    results = load_results(run)
    assert results["episode_lengths"] == [2, 3, 3, 2] and results["episode_rewards"] == [3.0, 6.0, 6.0, 3.0]
    assert results["data_sources"] in ([0, 1, 1, 0], [1, 0, 0, 1])
    assert len(results["manifests"]) == len(results["initial_reset_timestamps"]) == 2
    assert results["initial_reset_timestamp"] == min(results["initial_reset_timestamps"])


@pytest.mark.parametrize("torn", ["6.0", "6.0,3,0.1", "6.0,3,0.1,t", '6.0,3,0.1,t,"a'])
def test_a_torn_last_line_is_left_out_and_so_is_a_run_that_was_killed_in_its_first(run, torn):
    record_walk(run, 2)
    for name in files(run, ".json"):
        os.unlink(os.path.join(run, name))
    for name, content in (files(run)[0], torn), ("openaigym.episode_batch.9999.killed.monitor.csv", "#{"):
        with open(os.path.join(run, name), "a") as file:
            file.write(content)
    assert load_results(run)["episode_lengths"] == [3, 3] and Monitor(Walk(), run, resume=True).episode_id == 2


@pytest.mark.parametrize("ending", [".stats.json", ".manifest.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"timestamps": []}', b"\xff\xfe", json.dumps({
    "initial_reset_timestamp": 1.0, "timestamps": [1.0], "episode_lengths": [9], "episode_rewards": [9.0],
    "episode_types": ["t"]}).encode()], ids=["empty", "torn", "a list", "no lists", "bytes", "fewer episodes"])
def test_whatever_the_json_beside_a_journal_holds_the_journal_counts(run, ending, content):
    record_walk(run, 2)
    before = load_results(run)
    damage(run, ending, content)
    assert load_results(run)["timestamps"] == before["timestamps"]


@pytest.mark.parametrize("content", [
    "x,y\n1,2\n", "r,l,t,type\n1.0,1\n", "r,l,t,type\nno,1,0.1,t\n", "r,l,t,type\n1.0,1.5,0.1,t\n",
    "r,l,t,type\n1.0,-1,0.1,t\n", "r,l,t,type\n1.0,1,nan,t\n", "r,l,t,type\n1.0,1,0.1,x\n",
    "#{}\nr,l,t,type\n", "#[1]\nr,l,t\n", '#{"t_start": "x"}\nr,l,t\n', '#{"t_start": 1e999}\nr,l,t,type\n', "%r,l,t\n",
], ids=["other columns", "too short", "no return", "no length", "negative", "no time", "no type", "no start", "a list",
        "a text", "no moment", "no header"])
def test_a_damaged_journal_is_an_error_that_names_it(run, content):
    record_walk(run)
    os.unlink(os.path.join(run, files(run, ".stats.json")[0]))
    header = "" if content[0] in "#%" else '#{"t_start": 1.0}\n'
    name = damage(run, ".monitor.csv", (header + content).encode())
    with pytest.raises(Error, match=name):
        load_results(run)


def test_a_directory_of_gyms_closed_in_mid_episode_is_read(tmp_path):
    write_gym_run(tmp_path)
    results = load_results(tmp_path)
    assert results["episode_types"] == ["t", "e"] and results["episode_rewards"] == [1.5, 1.5]
    assert results["initial_reset_timestamps"] == [10.0] and results["timestamps"] == [11.0, 12.0]
    assert results["info"] == {} and results["env_info"]["env_id"] == "Walk"


@pytest.mark.parametrize("key, value", [
    ("timestamps", None), ("timestamps", [1.0]), ("timestamps", [1.0, "x"]), ("episode_lengths", [1, 2.5]),
    ("episode_lengths", [1, -2]), ("episode_rewards", [1.0, None]), ("episode_rewards", 5), ("episode_types", ["t"]),
    ("episode_types", ["t", "x"]), ("episode_types", "tt"), ("initial_reset_timestamp", "x"), ("env_info", 5),
    ("videos", [["../outside", "b"]]), ("videos", [["a", "/b"]]), ("videos", [["a"]]), ("videos", None),
    *(("stats", name) for name in ("../outside.json", "/etc/passwd", "..", "", "a\\b", "a\0b", 5)),
])
def test_a_wrong_entry_in_a_file_of_gyms_is_an_error_that_names_the_file(tmp_path, key, value):
    name = write_gym_run(tmp_path, **{key: value})[key in ("stats", "videos", "env_info")]
    for content in (tmp_path / name).read_bytes(), b"{", b"":
        damage(tmp_path, name, content)
        with pytest.raises(Error, match=name):
            load_results(tmp_path)


def test_runs_of_gym_and_of_ours_are_merged_and_numbered_on(tmp_path):
    write_gym_run(tmp_path)
    assert record_walk(tmp_path, resume=True).episode_id == 3
    assert load_results(tmp_path)["episode_lengths"] == [5, 5, 3]


def test_runs_of_different_environments_are_an_error_that_names_both(tmp_path):
    write_gym_run(tmp_path, "0.1")
    write_gym_run(tmp_path, "0.2", "Other")
    with pytest.raises(Error, match="Other.*Walk"):
        load_results(tmp_path)


@pytest.mark.parametrize("name", ["monitor.csv", "0.monitor.csv"])
def test_a_directory_of_stable_baselines3_is_read(tmp_path, name):
    (tmp_path / name).write_text('#{"t_start": 100.0, "env_id": "Walk"}\nr,l,t,won\n1.5,3,0.5,True\n2.5,4,1.5,\n')
    results = load_results(tmp_path)
    assert [results[key] for key in LISTS] == [[100.5, 101.5], [3, 4], [1.5, 2.5], ["t", "t"]]
    assert results["info"] == {"won": [True, None]} and results["env_info"]["env_id"] == "Walk"


def test_a_directory_that_is_missing_or_holds_no_run_is_an_error_that_names_it(tmp_path):
    (tmp_path / "weights.bin").write_text("precious")
    for directory in (tmp_path / "missing", tmp_path, tmp_path / "weights.bin"):
        with pytest.raises(Error, match=directory.name):
            load_results(str(directory))


def test_a_directory_can_be_moved(tmp_path, no_ffmpeg):
    record_walk(tmp_path / "a", walk=Picture)
    (tmp_path / "a").rename(tmp_path / "b")
    assert load_results(tmp_path / "b")["videos"] == [
        tuple(str(tmp_path / "b" / files(tmp_path / "b", ending)[0]) for ending in (".png", ".meta.json"))]
    assert not any(str(tmp_path) in (tmp_path / "b" / name).read_text() for name in files(tmp_path / "b", ".json"))


@pytest.mark.parametrize("spoil", ["remove", "cut", "broken"])
def test_a_video_is_listed_if_its_metadata_say_so_and_its_file_is_whole(run, no_ffmpeg, spoil):
    with Monitor(Picture(), run, every) as env:
        play(env, 2)
    (first, metadata), second = env.videos
    if spoil == "remove":
        os.unlink(first)
    elif spoil == "cut":
        os.truncate(first, os.path.getsize(first) - 5)
    else:
        damage(run, "0.meta.json", json.dumps(dict(load(metadata), broken=True)).encode())
    assert load_results(run)["videos"] == [second]


def test_gyms_helpers_answer_as_gyms_do(tmp_path):
    path = str(tmp_path / write_gym_run(tmp_path)[0])
    assert gym_monitor.merge_stats_files([path, path]) == (
        [0, 1, 0, 1], [10.0, 10.0], [11.0, 11.0, 12.0, 12.0], [5] * 4, [1.5] * 4, ["t", "t", "e", "e"], 10.0)
    info = {"env_id": "Walk", "gym_version": "none"}
    assert gym_monitor.load_env_info_from_manifests(detect_training_manifests(tmp_path), tmp_path) == info
    assert gym_monitor.collapse_env_infos([info, info], "dir") == info
    for infos in ([info, dict(info, env_id="B")], []):
        with pytest.raises(Error, match="dir"):
            gym_monitor.collapse_env_infos(infos, "dir")


# ---------------------------------------------------------------------------------------------------------------------
# The optional line
# ---------------------------------------------------------------------------------------------------------------------

def test_cut_off_at_the_optional_line_the_file_records_and_reads_in_a_bare_interpreter(tmp_path, run):
    with open(MODULE, encoding="utf-8") as file:
        above, line, _ = file.read().partition("\n# Optional:")
    assert line
    (tmp_path / "gym_monitor.py").write_text(above + "\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(SCRIPT.replace("import gym_monitor\n", """
sys.path.insert(0, os.path.dirname(__file__))
import gym_monitor
assert all(hasattr(gym_monitor, name) for name in gym_monitor.__all__) and not hasattr(gym_monitor, "main")
assert not {"numpy", "gym", "gymnasium", "torch"} & set(sys.modules)
""", 1) + """
with Monitor(Picture(), sys.argv[1], info_keywords=("won",)) as env:
    play(env, 3)
print(len(env.videos), gym_monitor.load_results(sys.argv[1])["episode_rewards"])
""", encoding="utf-8")
    out = subprocess.check_output([sys.executable, "-I", "-S", "-B", str(tmp_path / "program.py"), run],
                                  env=dict(os.environ, PATH="/nowhere"), stderr=subprocess.STDOUT)
    assert out.decode().splitlines()[-1] == "2 [6.0, 6.0, 6.0]" and len(load_results(run)["videos"]) == 2


# ---------------------------------------------------------------------------------------------------------------------
# Faults: what their tests share
# ---------------------------------------------------------------------------------------------------------------------

forks_are_told = pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs CPython 3.7 or later")
TOOLS.update({name: path for name, path in [("ffprobe", shutil.which("ffprobe"))] if path})  # stays on a faked PATH


def picture(value=0, width=8, height=6):
    """A frame of one grey."""
    return memoryview(bytes([value % 256]) * (3 * width * height)).cast("B", [height, width, 3])


class RandomWalk(Walk):
    """Random rewards, so an episode that is lost, doubled or mixed up shows. It keeps the returns of all itself."""

    render_mode = "rgb_array"

    def __init__(self, length=3, seed=0, draw=picture):
        super().__init__(length)
        self.random, self.draw, self.rewards, self.returns = random.Random(seed), draw, [], []

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        self.rewards = self.rewards[:self.steps - 1] + [self.random.uniform(-1, 1)]
        if terminated:
            self.returns.append(sum(self.rewards, 0.0))
        return observation, self.rewards[-1], terminated, truncated, info

    def render(self):
        return self.draw(self.steps)


SCRIPT += "\n" + inspect.getsource(picture) + "\n" + inspect.getsource(RandomWalk)


def record(directory, **options):
    """A small run in a directory."""
    with Monitor(RandomWalk(), str(directory), False, **options) as env:
        play(env, 3)
    return env


def returns_of(seed, length=3, episodes=3):
    """The returns of the first episodes of a walk."""
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


# ---------------------------------------------------------------------------------------------------------------------
# Faults of the process: killed, left, interrupted, one of several, forked
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kill", range(6))
def test_kill_9_loses_no_completed_episode(run, kill):
    script = begin("""
        env = Monitor(RandomWalk(), sys.argv[1], False, write_upon_reset=True)
        while True:
            play(env)
            os.write(1, b"an episode\\n")
    """, run)
    told = sum(len(script.stdout.readline()) for _ in range(10 * kill + 1))
    time.sleep(random.uniform(0, 0.02))
    script.kill()
    told += len(script.stdout.read())  # communicate() would miss what readline() has in its buffer
    script.communicate()
    returns = returns_in(run)
    assert returns == returns_of(0, 3, len(returns)) and len(returns) - len(returns_for_gym(run)) <= 1
    assert len(returns) - told // len("an episode\n") in (0, 1)  # one more may have been on its way


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
    "with the monitor in a module": ("", "multiprocessing.env = env; del env", ""),
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
    pytest.param(KeyboardInterrupt, Picture, ".mp4", 4, marks=needs_ffmpeg)])
def test_an_interrupt_anywhere_in_an_episode_counts_it_right_or_not_at_all(
        tmp_path, processes, monkeypatch, fault, kind, ending, most):
    if ending != ".mp4":
        monkeypatch.setenv("PATH", str(tmp_path))

    def episode(env):
        return [env.step(0) for _ in range(3)] if kind is Autoreset else play(env)

    def begun():
        walk = kind()
        walk.render = lambda: picture(walk.steps)
        env = Monitor(walk, tempfile.mkdtemp(dir=str(tmp_path)), every if ending else False, info_keywords=("what",))
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
        assert set(env.videos) <= set(results["videos"]) and {frames_of(video) for video, _ in results["videos"]} <= {4}
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
        assert [frames_of(video) for video, _ in load_results(env.directory)["videos"]] in ([4, 4, 1], [4, 4, 2])
        assert env.unwrapped.closed and not env.enabled


@pytest.mark.parametrize("problem", [TypeError, ValueError, AttributeError, RuntimeError, OverflowError])
def test_an_exception_in_step_is_not_taken_for_a_step_of_another_form(run, problem):
    with Monitor(RandomWalk(), run, False) as env:
        env.reset()
        env.unwrapped.step = failing(env.unwrapped.step, problem("of the test"), 1)
        with pytest.raises(problem, match="of the test"):
            env.step(0)
        play(env, 3)
    check_run(run, returns_of(0))


def test_sixteen_processes_at_once_in_one_directory_keep_their_own_files(run, no_ffmpeg):
    def work(seed):
        os.getpid = lambda: 1  # as in every container
        barrier.wait()
        with Monitor(RandomWalk(3, seed), run, every, resume=True, uid=(None, "same")[seed % 2],
                     write_upon_reset=seed > 7) as env:
            play(env, 3)

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


def test_a_polling_reader_never_sees_half_a_file(run, no_ffmpeg):
    script = begin("""
        names, replace = set(), os.replace
        os.replace = lambda old, new: names.add(os.path.basename(old)) or replace(old, new)
        with Monitor(RandomWalk(2), sys.argv[1], lambda number: number % 10 == 0, write_upon_reset=True) as env:
            print("started", flush=True)
            play(env, 200)
        print(*names, sep="\\n")
    """, run)
    script.stdout.readline()
    episodes = [0]
    while script.poll() is None:
        assert all(isinstance(load(run, name), dict) for name in files(run, ".json"))
        episodes.append(len(returns_in(run)))
    out, err = script.communicate()
    assert err == "" and episodes == sorted(episodes)
    assert all(re.match(r"openaigym\.tmp\..*\.tmp$", name) for name in out.split()) and ".tmp" in out


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
    monkeypatch.setattr(os, "pwrite", lambda *arguments, real=os.pwrite: tries.append(1) or real(*arguments))
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
    assert returns_in(run) == returns[:len(returns_in(run))]
    assert returns_for_gym(run) == returns[:len(returns_for_gym(run))]
    (small_disk / "filler").unlink()
    env.close()
    check_run(run, returns)


@pytest.mark.parametrize("full_from", [0, 1, 2, None], ids=[
    "the reset on", "the first step on", "the second step on", "where its film fills it"])
def test_on_a_full_disk_a_listed_video_is_whole_and_has_its_metadata(small_disk, encoder, full_from):
    walk, run = RandomWalk(), str(small_disk / "run")
    env = Monitor(walk, run, every)
    play(env)
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
    for _ in range(2):
        with pytest.raises(Error, match=re.escape(env.directory)):
            env.close()
        play(env)  # passes through
    assert not env.enabled and env.unwrapped.closed == 1
    os.chmod(env.directory, 0o755)
    env.close()
    check_run(env.directory, returns_of(0, 3, 6), ".png", [4] * 3)


def test_a_directory_removed_under_a_video_lists_no_video_that_is_not_there(run, encoder):
    env = Monitor(RandomWalk(), run, lambda number: number in (0, 2))
    env.reset()
    shutil.rmtree(run)
    os.mkdir(run)
    for _ in range(3):
        env.step(0)
    play(env, 3)
    with pytest.raises(Error, match=re.escape(run)):
        env.close()
    check_run(run, returns_of(0, 3, 4), encoder, [4])
    assert env.videos == load_results(run)["videos"] and files(run, ".csv") == []


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
    record(tmp_path / "outside")
    path, = map(str, (tmp_path / "outside").glob("*.stats.json"))
    os.utime(path, (0, 0))
    yield path
    assert (os.stat(path).st_atime, os.stat(path).st_mtime) == (0, 0)


def naming(name):
    """A manifest that names something outside of its directory."""
    return lambda secret, path: path.write_text(json.dumps({
        "stats": name(secret), "videos": [[name(secret)] * 2], "env_info": {"env_id": "RandomWalk"}}))


PLANTS = {
    "a link": lambda secret, path: path.symlink_to(secret),
    "a named pipe": lambda secret, path: os.mkfifo(str(path)),
    "a directory": lambda secret, path: path.mkdir(),
    "a terabyte": lambda secret, path: (path.touch(), os.truncate(str(path), 1 << 40)),
    "deep brackets": lambda secret, path: path.write_text("[" * 100000),
    "a huge number": lambda secret, path: path.write_text("1" * 5000),
    "a name with ..": naming(lambda secret: "../outside/" + os.path.basename(secret)),
    "a name with \\": naming(lambda secret: "..\\outside\\" + os.path.basename(secret)),
    "an absolute name": naming(str),
    "a name with nul": naming(lambda secret: "x\0"),
    "no name": naming(lambda secret: [secret]),
}


@pytest.mark.parametrize("plant", sorted(PLANTS))
@pytest.mark.parametrize("ending", [".manifest.json", ".stats.json", ".monitor.csv"])
def test_what_is_no_file_of_ours_in_the_place_of_one_is_not_read_nor_what_it_names(run, secret, ending, plant):
    record(run)
    (journal,), (path,) = (pathlib.Path(run).glob("*" + name) for name in (".monitor.csv", ending))
    path.unlink()
    PLANTS[plant](secret, path)
    if path != journal:
        assert returns_in(run) == returns_of(0) and load_results(run)["videos"] == []
        journal.unlink()  # so the JSON would count
    with pytest.raises(Error, match=re.escape(run)):
        load_results(run)


@pytest.mark.parametrize("clear", [
    clear_monitor_files, lambda directory: Monitor(RandomWalk(), directory, force=True)], ids=["function", "force"])
def test_recording_and_clearing_follow_no_link(run, secret, no_ffmpeg, clear):
    env = Monitor(RandomWalk(), run, every)
    for name in ("manifest.{}.manifest.json", "episode_batch.{}.stats.json", "video.{}.video000000.png",
                 "video.{}.video000000.meta.json"):
        os.symlink(secret, os.path.join(run, "openaigym." + name.format(env.file_infix)))
    play(env, 3)
    env.close()
    assert returns_in(run) == returns_of(0) and len(load_results(run)["videos"]) >= 2
    for name, target in (("link", secret), ("folder", os.path.dirname(secret)), ("no\nlink", "nowhere")):
        os.symlink(target, os.path.join(run, "openaigym." + name))
    before = set(files(run))
    clear(run)
    assert not before & set(files(run)) and len(files(os.path.dirname(secret))) == 3


@pytest.mark.parametrize("uid", [".", "/absolute", "a\\b", "C:x", "nul\0", "line\nbreak", "\u00e9" * 100, "\ud800", " ",
                                 ".json", "stats"], ids=lambda uid: repr(uid)[:12])
def test_a_uid_stays_in_the_directory_or_is_an_error(tmp_path, run, uid):
    with contextlib.suppress(Error):
        record(run, uid=uid)
        assert returns_in(run) == returns_of(0)
    assert files(tmp_path) in ([], ["run"])


HOSTILE = [b"null", b"true", b"-1", b"1e400", b"NaN", b"1" * 400, b'""', b'"x"', b'".."', b'"/etc/passwd"',
           b'"a\\u0000"', b'"\\ud800"', b"[]", b"{}", b"[[]]", b"[null]", b'["x", "y"]', b'[["x", "y"]]',
           b'{"env_id": []}', *(b"[" * depth + b"]" * depth for depth in (10, 900, 980, 3000))]


def mutant_of(content, chance):
    """A hostile variant of a file: another value in the place of one, or other bytes anywhere."""
    kind = chance.choice([rb'"[^"]*"|[-.\w]+', rb"\[[^][]*\]|\{[^{}]*\}"])
    values = [match.span() for match in re.finditer(kind, content)]
    if values and chance.random() < 0.5:
        (start, end), new = chance.choice(values), chance.choice(HOSTILE)
    else:
        start = chance.randrange(len(content) + 1)
        end = start + chance.choice([1, 1, 2, 10, 100, len(content)])
        new = chance.choice([b"", content[start:end] * 3, b"\x80"] + b'\n|,|"|\0|-|e999|\xff|inf|#|{'.split(b"|"))
    return content[:start] + new + content[end:]


def test_mutants_of_a_directory_bring_only_an_answer_or_an_error(tmp_path, no_ffmpeg):
    whole, killed, gyms = (tmp_path / name for name in ("whole", "killed", "gyms"))
    env = Monitor(RandomWalk(), whole, lambda number: number == 0, uid="u", info_keywords=("steps",))
    env.unwrapped.info = {"steps": 'a "quoted", text'}
    play(env, 3)
    shutil.copytree(str(whole), str(killed))
    env.close()
    shutil.copytree(str(whole), str(gyms))
    next(gyms.glob("*.csv")).unlink()
    contents = {path: path.read_bytes() for path in sorted(tmp_path.glob("*/*[nv]"))}  # .json and .csv
    chance, errors = random.Random(4), 0
    for _ in range(1500):
        path, content = chance.choice(list(contents.items()))
        path.unlink()  # ext4 is slow to write a file again
        path.write_bytes(mutant_of(content, chance))
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
    assert 150 < errors < 1350


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
    "is killed when it is asked": ("kill -9 $$", NONE, ""),
    "answers what is no text, and fails": ("printf ' V \\377 libx264'; exit 1", NONE, ""),
    "hangs in a child when it is asked": ("sleep 1000 & wait", NONE, ""),
    "is not executable": (ASKED, NONE, ""),
    "dies after a few frames": (ASKED + "head -c 300000 >/dev/null; echo out of memory >&2; exit 9", FIRST, "memory"),
    "dies in silence": (ASKED + "cat >/dev/null; exit 9", FIRST, "9"),
    "writes nothing": (ASKED + "cat >/dev/null", FIRST, ""),
    "dies of megabytes": (ASKED + "yes bla | head -c 3000000 >&2; cat >/dev/null; echo end >&2; exit 1", FIRST, "end"),
    "prints what is no text": (ASKED + "printf '\\377\\376\\0 words' >&2; exit 1", FIRST, "words"),
    "never reads": (ASKED + "exec sleep 1000", FIRST, ""),
    "stops its input but stays": (ASKED + "head -c 9 >/dev/null; exec <&-; exec sleep 1000", FIRST, ""),
    "never exits, nor does its child": (ASKED + "cat >/dev/null; sleep 1000 & wait", FIRST, ""),
    "has worked, and dies once": (ONCE + TWICE + WORKS, [".mp4", "", ".mp4"], "9"),
    "has worked, and hangs": (ONCE + "cat >/dev/null; sleep 1000", [".mp4", "", ".png"], ""),
    "prints megabytes and works": (ASKED + "yes bla | head -c 3000000 >&2\n" + WORKS, [".mp4"] * 3, ""),
}


@pytest.mark.parametrize("fault", sorted(FFMPEG_FAULTS))
def test_training_goes_on_and_no_video_is_lost_twice_with_an_ffmpeg_that(
        run, fake_ffmpeg, processes, monkeypatch, caplog, fault):
    script, endings, words = FFMPEG_FAULTS[fault]
    if ".mp4" in endings and not FFMPEG:
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")
    fake_ffmpeg("#!/bin/sh\n" + script, 0o644 if fault == "is not executable" else 0o755)
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
def test_a_time_limit_while_ffmpeg_is_slow_passes_and_does_not_give_ffmpeg_up(run, fake_ffmpeg, monkeypatch):
    def strike(*_):
        raise TimeoutError("too slow")

    slow = 'if [ ! -e "$0.slow" ]; then touch "$0.slow"; exec sleep 1000; fi\n'
    fake_ffmpeg("#!/bin/sh\n" + ASKED + slow + WORKS)
    monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 60.0)
    before = signal.signal(signal.SIGALRM, strike)
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
    with Monitor(RandomWalk(draw=draw), run, lambda number: number == 0) as env:
        play(env, 3)
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
# Other people's packages, and what tests of them share
# ---------------------------------------------------------------------------------------------------------------------

AutoresetMode = enum.Enum("AutoresetMode", {"NEXT_STEP": "NextStep", "SAME_STEP": "SameStep", "DISABLED": "Disabled"})
NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode  # by name and value those of gymnasium


def need(module, install=None, version=None):
    """Somebody else's module; without it the test is skipped, with a reason that says what to install."""
    return pytest.importorskip(module, version, f"needs {module}: pip install {install or module}")


@pytest.fixture
def numpy():
    return need("numpy")


@pytest.fixture
def gymnasium(numpy):
    need("pygame", "'gymnasium[classic-control,toy-text]>=1.1'")
    return need("gymnasium", "'gymnasium[classic-control,toy-text]>=1.1'", "1.1")


@pytest.fixture
def sb3(gymnasium, monkeypatch):
    """A function that returns Stable-Baselines3's modules by their last names."""
    for module, package in [("stable_baselines3", "stable-baselines3"), ("pandas", None), ("matplotlib", None)]:
        need(module, package)
    for name, value in [("MPLBACKEND", "Agg"), ("OMP_NUM_THREADS", "1")]:
        monkeypatch.setenv(name, value)
    need("torch").set_num_threads(1)  # in so small a network, threads mostly wait for each other
    return lambda name: importlib.import_module("stable_baselines3." + name)


@pytest.fixture
def Shade(gymnasium, numpy):
    """A class of environments whose frames are of one shade, lighter after every reset and every step."""
    class Shade(gymnasium.Env):
        metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
        observation_space = gymnasium.spaces.Box(0, 1, (1,), numpy.float32)
        action_space = gymnasium.spaces.Discrete(2)
        render_mode, length, shade = "rgb_array", 5, 20

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            self.steps, self.shade = 0, self.shade + 6
            return self.observation_space.sample(), {}

        def step(self, action):
            self.steps, self.shade = self.steps + 1, self.shade + 6
            return self.observation_space.sample(), 1.0, self.steps == self.length, False, {"steps": self.steps}

        def render(self):
            return numpy.full((32, 48, 3), self.shade, numpy.uint8)
    return Shade


def shades(path, size=48 * 32):
    """The shades of a video whose frames are of one shade each."""
    raw = subprocess.check_output(["ffmpeg", "-v", "error", "-i", path, "-pix_fmt", "gray", "-f", "rawvideo", "-"])
    frames = [raw[start:start + size] for start in range(0, len(raw), size)]
    assert all(len(frame) == size and max(frame) - min(frame) <= 4 for frame in frames)
    return [sum(frame) / size for frame in frames]


class Fault(Exception):
    pass


class Fleet:
    """A vector environment as one object: episodes of sub-environment i have `lengths[i]` steps.

    `array` makes its arrays, numpy's or torch's. `faults` maps the number of a call of `step` to what it raises, before
    anything else or, if `late`, at its end. `last` is the form of the last infos where a step resets too: a dictionary
    of arrays, an array of objects, or none.
    """

    render_mode, late = "rgb_array", False

    def __init__(self, array, mode=NEXT_STEP, lengths=(2, 3, 4), faults=(), last="arrays"):
        self.array, self.mode, self.lengths, self.last, self.num_envs = array, mode, lengths, last, len(lengths)
        self.metadata, self.faults, self.calls = {"autoreset_mode": mode}, dict(faults), 0
        self.steps, self.over = [0] * self.num_envs, [False] * self.num_envs

    def reset(self, seed=None, options=None):
        for index, chosen in enumerate((options or {}).get("reset_mask", [True] * self.num_envs)):
            if chosen:
                self.steps[index], self.over[index] = 0, False
        return self.array(self.steps), {}

    def step(self, actions):
        self.calls += 1
        if self.calls in self.faults and not self.late:
            raise self.faults[self.calls]
        resetting = [over and self.mode is NEXT_STEP for over in self.over]
        self.steps = [0 if reset else step + 1 for step, reset in zip(self.steps, resetting)]
        self.over = [step == length for step, length in zip(self.steps, self.lengths)]
        rewards, infos = self.array([0.25 * step for step in self.steps]), self.infos()
        truncated = [over and index == 1 for index, over in enumerate(self.over)]
        terminated = [over and index != 1 for index, over in enumerate(self.over)]
        if self.mode is SAME_STEP:
            self.steps = [0 if over else step for step, over in zip(self.steps, self.over)]
        if self.calls in self.faults:
            raise self.faults[self.calls]
        return self.array(self.steps), rewards, self.array(terminated), self.array(truncated), infos

    def infos(self):
        over = self.array(self.over)
        infos = {"score": self.array([10 * step for step in self.steps]), "level": 7, 3: "a key that is no text"}
        if self.mode is not SAME_STEP or not any(self.over) or self.last is None:
            return infos
        if self.last == "objects":  # gymnasium before 1.0
            final = [{"score": 10 * step, 3: None} if end else None for step, end in zip(self.steps, self.over)]
            return {"final_info": self.array(final, dtype=object), "_final_info": over}
        return {"final_info": infos, "_final_info": over} if self.last == "arrays" else {"final_observation": over}

    def render(self):
        return tuple(memoryview(bytes([40 * step + index] * 3072)).cast("B", [32, 32, 3])
                     for index, step in enumerate(self.steps))


def rollout(env, episodes=3, seed=7):
    """Play episodes with seeded actions: all the environment's answers, (return, length) of each episode."""
    answers, played = [], []
    env.action_space.seed(seed)
    for episode in range(episodes):
        answers.append(env.reset(seed=seed + episode))
        rewards, done = [], False
        while not done:
            answers.append(env.step(env.action_space.sample()))
            rewards.append(answers[-1][1])
            done = answers[-1][2] or answers[-1][3]
        played.append((pytest.approx(math.fsum(rewards)), len(rewards)))
    return answers, played


def vector_rollout(envs, steps=80, same_step=None, seed=7):
    """Step a vector environment: all its answers, (return, length) of each whole episode by a count of our own."""
    space, count = getattr(envs, "action_space", None), envs.num_envs
    if space is not None:
        space.seed(seed)
    if same_step is None:
        same_step = "same" in str(envs.metadata["autoreset_mode"]).lower()
    answers, played = [envs.reset(seed=seed)], []
    rewards, over, whole = [[] for _ in range(count)], [False] * count, [True] * count
    for _ in range(steps):
        try:
            answers.append(envs.step(space.sample() if space is not None else [0] * count))
        except (Fault, KeyboardInterrupt):  # the episodes under way do not count
            whole = [False] * count
            continue
        for index, reward in enumerate(answers[-1][1].tolist()):
            if over[index] and not same_step:  # this step was the reset
                over[index] = False
                continue
            rewards[index].append(reward)
            over[index] = bool(answers[-1][2][index] or answers[-1][3][index])
            if over[index]:
                played += [(math.fsum(rewards[index]), len(rewards[index]))] * whole[index]
                rewards[index], whole[index] = [], True
    return answers, played


def entries(answers):
    """The `info["episode"]` of all answers that have one."""
    return [answer[-1]["episode"] for answer in answers if "episode" in answer[-1]]


def episodes_in(directory):
    """What a directory holds of each episode: (return, length), in the order of their ends."""
    results = load_results(directory)
    return list(zip(results["episode_rewards"], results["episode_lengths"]))


def python(*arguments, cwd=None):
    """Run a Python of its own that finds gym_monitor, draws on no display, and does not slow others down."""
    environment = dict(os.environ, MPLBACKEND="Agg", SDL_VIDEODRIVER="dummy", OMP_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join([os.path.dirname(MODULE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(  # noqa: UP022 - what capture_output stands for is what CPython 3.6 has
        [sys.executable, *arguments], cwd=cwd, env=environment, stdin=subprocess.DEVNULL, timeout=400,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)  # noqa: UP021


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium: environments, wrappers, checks and names
# ---------------------------------------------------------------------------------------------------------------------

SHORT = {"max_episode_steps": 30}
REAL = [("CartPole-v1", "rgb_array", {}), ("FrozenLake-v1", "rgb_array", {}), ("FrozenLake-v1", "ansi", {}),
        ("Taxi-v4", "ansi", SHORT), ("MountainCarContinuous-v0", "rgb_array_list", SHORT)]


@needs_ffmpeg
@pytest.mark.parametrize("name, mode, options", REAL)
def test_a_real_environment_is_filmed_a_frame_more_than_it_has_steps(run, gymnasium, name, mode, options):
    with Monitor(gymnasium.make(name, render_mode=mode, **options), run, every) as env:
        _, played = rollout(env)
        if mode == "rgb_array_list":  # the user's own call has every frame, though the recorder has taken them
            assert len(env.render()) == played[-1][1] + 1
    assert len(env.videos) == 3
    for (path, _), (_, length) in zip(env.videos, played):
        if mode == "ansi":
            with open(path, encoding="utf-8") as file:
                assert len(file.readlines()) == 1 + length + 1  # a header, then a line for each frame
        else:
            seen = probe(path)
            assert (seen["frames"], seen["width"] % 2, seen["height"] % 2) == (length + 1, 0, 0)
            assert seen["r_frame_rate"] == "{}/1".format(env.metadata["render_fps"])


@pytest.mark.parametrize("name, mode, options", REAL)
def test_a_real_environments_answers_pass_unchanged_and_are_counted(run, gymnasium, name, mode, options):
    same = importlib.import_module("gymnasium.utils.env_checker").data_equivalence
    bare, played = rollout(gymnasium.make(name, render_mode=mode, **options))
    with Monitor(gymnasium.make(name, render_mode=mode, **options), run, stats_key=None) as env:
        answers, _ = rollout(env)
    assert same(answers, bare, exact=True)
    assert episodes_in(run) == played
    assert load_results(run)["env_info"] == {"env_id": name, "gym_version": gymnasium.__version__}


def test_a_monitor_passes_for_a_gymnasium_environment(gymnasium):
    env = Monitor(gymnasium.make("CartPole-v1"))
    assert isinstance(env, gymnasium.Env) and isinstance(env, Monitor)
    assert env.unwrapped is env.env.unwrapped and env.spec.id == "CartPole-v1"
    assert not isinstance(Monitor(Walk()), gymnasium.Env)


def test_gymnasiums_wrappers_stack_above_and_below(run, gymnasium):
    wrappers = gymnasium.wrappers
    inside = wrappers.TimeLimit(gymnasium.make("Pendulum-v1"), 6)
    monitor = Monitor(wrappers.TransformReward(inside, lambda reward: reward + 100), run, False)
    with wrappers.FrameStackObservation(wrappers.NormalizeReward(wrappers.ClipAction(monitor)), 2) as env:
        rollout(env, episodes=2)
    assert monitor.get_episode_lengths() == [6, 6]
    assert all(500 < total < 600 for total in monitor.get_episode_rewards())  # 6 times 100, less the cost


def test_episodes_that_a_time_limit_above_cuts_short_are_dropped(gymnasium):
    monitor = Monitor(gymnasium.make("MountainCar-v0"))
    rollout(gymnasium.wrappers.TimeLimit(monitor, 4), episodes=3)
    assert (monitor.get_episode_lengths(), monitor.episode_id, monitor.get_total_steps()) == ([], 0, 12)


@pytest.mark.parametrize("checker, name, mode", [
    ("gymnasium.utils", "CartPole-v1", "rgb_array"), ("gymnasium.utils", "FrozenLake-v1", "ansi"),
    ("stable_baselines3.common", "MountainCarContinuous-v0", None)])
def test_peoples_checks_say_no_more_than_of_the_bare_environment(run, request, gymnasium, checker, name, mode):
    if "baselines" in checker:
        request.getfixturevalue("sb3")

    def said(env):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            importlib.import_module(checker + ".env_checker").check_env(env)
        return [str(warning.message).replace(str(env), "it") for warning in caught]

    with Monitor(gymnasium.make(name, render_mode=mode), run) as env:
        assert said(env) == said(gymnasium.make(name, render_mode=mode))


def test_wrapper_attributes_are_the_monitors_and_those_of_every_environment_inside(run, gymnasium, Shade):
    monitor = Monitor(gymnasium.wrappers.TimeLimit(Shade(), 3), run, False)
    env = gymnasium.wrappers.OrderEnforcing(monitor)
    for name in ("get_episode_rewards", "directory", "length", "action_space"):
        assert env.has_wrapper_attr(name) and monitor.has_wrapper_attr(name)
    assert not env.has_wrapper_attr("nonsense") and not monitor.has_wrapper_attr("nonsense")
    with pytest.raises(AttributeError):
        env.get_wrapper_attr("nonsense")
    assert env.get_wrapper_attr("directory") == run
    env.set_wrapper_attr("length", 2)
    assert monitor.unwrapped.length == 2
    assert not monitor.set_wrapper_attr("nonsense", 1, force=False)


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium's RecordEpisodeStatistics and RecordVideo
# ---------------------------------------------------------------------------------------------------------------------

def test_info_episode_is_that_of_record_episode_statistics(gymnasium):
    def found(wrapper):
        env = wrapper(gymnasium.make("MountainCarContinuous-v0", max_episode_steps=40))
        return [dict(entry, t=entry["t"] >= 0) for entry in entries(rollout(env)[0])]
    assert found(Monitor) == [dict(entry, r=pytest.approx(entry["r"], rel=1e-12))
                              for entry in found(gymnasium.wrappers.RecordEpisodeStatistics)]


def test_statistics_kept_above_need_stats_key_none(run, gymnasium):
    monitor = Monitor(gymnasium.make("CartPole-v1"), run, False, stats_key=None)
    with gymnasium.wrappers.RecordEpisodeStatistics(monitor) as env:
        _, played = rollout(env)
    assert list(zip(env.return_queue, env.length_queue)) == episodes_in(run) == played


@pytest.fixture
def captured(gymnasium, tmp_path):
    """A function that plays episodes under RecordVideo: the frames of each clip that it captures."""
    need("moviepy")
    clips = []

    class Spy(gymnasium.wrappers.RecordVideo):
        def stop_recording(self):  # moviepy, which would come next, often writes one frame fewer
            clips.append([int(frame.mean()) for frame in self.recorded_frames])
            self.recorded_frames, self.recording = [], False

    def capture(env, episodes=5, **options):
        with Spy(env, str(tmp_path / "spy"), **options) as env:
            play(env, episodes)
        return sorted(clips)
    return capture


@needs_ffmpeg
@pytest.mark.parametrize("triggers", [
    {},
    {"episode_trigger": lambda episode: episode % 2},
    {"step_trigger": lambda step: step in (0, 4, 11)},
    {"step_trigger": lambda step: step % 7 == 3, "episode_trigger": lambda episode: episode == 2},
    {"episode_trigger": lambda episode: episode == 0, "video_length": 8},
    {"step_trigger": lambda step: step in (2, 17), "video_length": 8},
], ids=["default", "episodes", "steps", "both", "8-frames-of-episodes", "8-frames-from-steps"])
def test_the_clips_are_those_that_record_video_captures(run, captured, Shade, triggers):
    clips = captured(Shade(), **triggers)
    options = {key.replace("episode_trigger", "video_callable"): value for key, value in triggers.items()}
    with Monitor(Shade(), run, **options) as env:
        play(env, 5)
    recorded = sorted(shades(path) for path, _ in env.videos)
    assert len(recorded) == len(clips)
    for ours, theirs in zip(recorded, clips):  # with a video_length theirs takes a frame more before it stops
        assert ours == pytest.approx(theirs[:triggers.get("video_length")], abs=2)


# ---------------------------------------------------------------------------------------------------------------------
# Monitored environments inside gymnasium's and Stable-Baselines3's vector environments
# ---------------------------------------------------------------------------------------------------------------------

def monitored(gymnasium, directory, uid):
    """As one makes them for a vector environment: a directory for all, a uid each."""
    return lambda: Monitor(gymnasium.make("CartPole-v1", render_mode="rgb_array"), directory, resume=True, uid=uid)


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_vector_environments_of_monitored_environments_lose_no_episode(run, gymnasium, kind, mode):
    envs = getattr(gymnasium.vector, kind)([monitored(gymnasium, run, uid) for uid in range(3)],
                                           autoreset_mode=gymnasium.vector.AutoresetMode[mode])
    _, played = vector_rollout(envs)
    envs.close()
    assert len(played) > 6 and sorted(episodes_in(run)) == sorted(played)
    # AsyncVectorEnv makes one environment more, to look at its spaces.
    assert len(load_results(run)["manifests"]) == 3 + (kind == "AsyncVectorEnv")


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
def test_gymnasiums_call_reaches_the_monitors_and_the_environments_inside(run, gymnasium, kind):
    envs = getattr(gymnasium.vector, kind)([monitored(gymnasium, run, uid) for uid in range(2)])
    envs.reset(seed=1)
    assert envs.call("get_total_steps") == (0, 0)
    assert envs.get_attr("directory") == (run, run)
    envs.set_attr("gravity", [1.0, 2.0])  # CartPole's own
    assert envs.call("get_wrapper_attr", "gravity") == envs.get_attr("gravity") == (1.0, 2.0)
    envs.close()


@pytest.fixture(params=["DummyVecEnv", "SubprocVecEnv"])
def sb3_vector(request, run, gymnasium, sb3):
    """A vector environment of Stable-Baselines3 with two monitored environments."""
    options = {"start_method": "fork"} if request.param == "SubprocVecEnv" and hasattr(os, "fork") else {}
    envs = [monitored(gymnasium, run, uid) for uid in range(2)]
    envs = getattr(sb3("common.vec_env"), request.param)(envs, **options)
    yield envs
    envs.close()


def test_ppo_learns_twice_and_evaluates(run, tmp_path, gymnasium, sb3, sb3_vector):
    model = sb3("ppo").PPO("MlpPolicy", sb3_vector, seed=1, device="cpu", n_steps=128, n_epochs=1)
    model.ep_info_buffer, model._stats_window_size = None, 10000
    seen = list(model.learn(2000).ep_info_buffer)
    seen += model.learn(256).ep_info_buffer  # the second call empties it
    env = Monitor(gymnasium.make("CartPole-v1"), str(tmp_path / "evaluation"), False, mode="evaluation")
    evaluation = sb3("common.evaluation").evaluate_policy(model, env, 3, return_episode_rewards=True, warn=False)
    env.close()
    sb3_vector.close()
    assert len(seen) > 40
    assert sorted((entry["r"], entry["l"]) for entry in seen) == sorted(episodes_in(run))
    assert len(load_results(run)["videos"]) == len(files(run, ".meta.json")) >= 6  # episodes 0, 1, 8 of both
    assert episodes_in(env.directory) == list(zip(*evaluation))
    assert load_results(env.directory)["episode_types"] == ["e"] * 3


def test_env_method_and_get_attr_reach_the_monitors_and_the_environments_inside(run, gymnasium, sb3_vector):
    sb3_vector.reset()
    assert sb3_vector.env_method("get_total_steps") == [0, 0]
    assert sb3_vector.env_method("get_wrapper_attr", "gravity") == sb3_vector.get_attr("gravity") == [9.8, 9.8]
    assert sb3_vector.get_attr("directory") == [run, run]
    sb3_vector.env_method("set_wrapper_attr", "gravity", 1.0)
    assert sb3_vector.get_attr("gravity") == [1.0, 1.0]
    sb3_vector.set_attr("mood", "calm", indices=[0])
    assert sb3_vector.get_attr("mood", indices=[0]) == ["calm"]
    for wrapper, inside in [(Monitor, True), (gymnasium.wrappers.OrderEnforcing, True),
                            (gymnasium.wrappers.ClipAction, False)]:
        assert sb3_vector.env_is_wrapped(wrapper) == [inside, inside]


def test_info_keywords_are_in_the_ep_info_buffer_and_in_stable_baselines3s_table(run, sb3, Shade):
    # Around an environment that is in no vector yet, Stable-Baselines3 puts its own Monitor.
    envs = sb3("common.vec_env").DummyVecEnv([lambda: Monitor(Shade(), run, False, info_keywords=("steps",))])
    model = sb3("ppo").PPO("MlpPolicy", envs, device="cpu", n_steps=32, batch_size=32, n_epochs=1).learn(32)
    envs.close()
    assert [entry["steps"] for entry in model.ep_info_buffer] == [5] * 6
    assert list(sb3("common.monitor").load_results(run).steps) == [5] * 6


def test_stable_baselines3_and_pandas_read_the_journal_as_we_do(run, gymnasium, sb3):
    pandas, plotter = need("pandas"), sb3("common.results_plotter")
    for uid in range(2):
        with Monitor(gymnasium.make("CartPole-v1"), run, False, resume=True, uid=uid) as env:
            rollout(env, seed=uid)
    ours, table = load_results(run), sb3("common.monitor").load_results(run)
    assert list(zip(table.r, table.l)) == episodes_in(run)
    steps, returns = plotter.ts2xy(table, "timesteps")
    assert list(steps) == list(itertools.accumulate(ours["episode_lengths"]))
    assert list(returns) == ours["episode_rewards"]
    hours, _ = plotter.ts2xy(table, "walltime_hrs")
    assert list(hours) == sorted(hours)
    plotter.plot_results([run], 10000, "timesteps", "CartPole")
    journals = [pandas.read_csv(os.path.join(run, name), skiprows=1) for name in files(run, ".monitor.csv")]
    assert [list(journal) for journal in journals] == [["r", "l", "t", "type"]] * 2
    assert [total for journal in journals for total in journal.r] == ours["episode_rewards"]


# ---------------------------------------------------------------------------------------------------------------------
# CleanRL and dm_env
# ---------------------------------------------------------------------------------------------------------------------

CLEANRL = """
import itertools, runpy, sys
import gym
from gym_monitor import Monitor
workers, ppo = itertools.count(), sys.argv.pop(1)

def monitor(env):
    worker = next(workers)
    return Monitor(env, "ours", False if worker else None, resume=True, uid=worker)

sys.argv += ["--total-timesteps", "1024", "--cuda", "False", "--capture-video"]
runpy.run_path(ppo, run_name="__main__")
print("ours")
gym.wrappers.RecordEpisodeStatistics, gym.wrappers.RecordVideo = monitor, lambda env, folder: env
runpy.run_path(ppo, run_name="__main__")
"""


@needs_ffmpeg
def test_cleanrls_own_ppo_logs_the_same_with_its_two_wrappers_replaced(tmp_path, numpy):
    for module in ("gym", "cleanrl"):
        need(module, "--no-deps --ignore-requires-python cleanrl==1.2.0 gym==0.23.1 gym-notices")
    for module in ("torch", "tensorboard", "pygame"):
        need(module)
    child = python("-Wignore", "-c", CLEANRL, importlib.util.find_spec("cleanrl.ppo").origin, cwd=str(tmp_path))
    assert child.returncode == 0, child.stderr
    theirs, ours = ([line for line in log.splitlines() if line.startswith("global_step")]
                    for log in child.stdout.split("ours\n"))
    assert len(ours) > 10 and ours == theirs
    results = load_results(str(tmp_path / "ours"))
    assert {float(line.rpartition("=")[2]) for line in ours} <= set(results["episode_rewards"])
    assert len(results["videos"]) == 3  # episodes 0, 1 and 8 of the first environment


def test_a_dm_env_environment_is_recorded_and_a_render_attribute_films_it(run, no_ffmpeg):
    dm_env = need("dm_env", "dm-env")

    class Catch(dm_env.Environment):
        observation_spec = action_spec = None
        render = Picture.render  # a user would write: lambda: env.physics.render(height=240, width=320)

        def reset(self):
            self.steps = 0
            return dm_env.restart(0)

        def step(self, action):
            self.steps += 1
            return dm_env.truncation(2.5, 4) if self.steps == 4 else dm_env.transition(0.5, self.steps)

    with Monitor(Catch(), run) as env:
        for _ in range(2):
            assert env.reset() == dm_env.restart(0)
            while not env.step(1).last():
                pass
        with pytest.raises(ResetNeeded):
            env.step(1)
    assert episodes_in(run) == [(4.0, 4)] * 2
    assert [frames_of(path) for path, _ in env.videos] == [5, 5]


# ---------------------------------------------------------------------------------------------------------------------
# VectorMonitor: a vector environment as one object
# ---------------------------------------------------------------------------------------------------------------------

def make_vector(gymnasium, kind, mode):
    """CartPoles in the vector environment that is asked for; gymnasium has a natively vectorised one."""
    if kind == "native":
        return gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point", render_mode="rgb_array")
    return getattr(gymnasium.vector, kind)([lambda: gymnasium.make("CartPole-v1", render_mode="rgb_array")] * 3,
                                           autoreset_mode=gymnasium.vector.AutoresetMode[mode])


VECTORS = [("SyncVectorEnv", "NEXT_STEP"), ("SyncVectorEnv", "SAME_STEP"), ("AsyncVectorEnv", "NEXT_STEP"),
           ("AsyncVectorEnv", "SAME_STEP"), ("native", "NEXT_STEP")]


@pytest.mark.parametrize("kind, mode", VECTORS)
def test_a_vectors_answers_pass_unchanged_and_every_episode_is_in_one_journal(run, gymnasium, kind, mode):
    same = importlib.import_module("gymnasium.utils.env_checker").data_equivalence
    bare, played = vector_rollout(make_vector(gymnasium, kind, mode))
    with VectorMonitor(make_vector(gymnasium, kind, mode), run, stats_key=None) as envs:
        assert isinstance(envs, gymnasium.vector.VectorEnv)
        answers, _ = vector_rollout(envs)
    assert same(answers, bare, exact=True)
    assert len(played) > 6 and episodes_in(run) == played
    assert len(files(run, ".monitor.csv")) == 1 and len(envs.videos) == len(files(run, ".meta.json")) > 1


@pytest.mark.parametrize("kind, mode", VECTORS)
def test_vector_infos_are_those_of_record_episode_statistics(gymnasium, kind, mode):
    def found(wrapper):
        answers, _ = vector_rollout(wrapper(make_vector(gymnasium, kind, mode)))
        return [[list(answer[-1]), answer[-1]["_episode"].tolist()] + [
            (key, values.dtype, values.tolist() if key != "t" else (values > 0).tolist())
            for key, values in answer[-1]["episode"].items()] for answer in answers if "episode" in answer[-1]]
    assert found(VectorMonitor) == found(importlib.import_module("gymnasium.wrappers.vector").RecordEpisodeStatistics)


def test_gymnasiums_vector_wrappers_stack_above(run, gymnasium):
    monitor = VectorMonitor(make_vector(gymnasium, "AsyncVectorEnv", "NEXT_STEP"), run, False)
    _, played = vector_rollout(importlib.import_module("gymnasium.wrappers.vector").NormalizeObservation(monitor))
    assert monitor.call("gravity") == (9.8, 9.8, 9.8) and monitor.single_action_space.n == 2
    monitor.close(terminate=True)  # the environment's own argument
    assert episodes_in(run) == played


def test_a_single_environment_is_refused_by_a_vector_monitor_although_it_has_num_envs(run):
    env = Walk()
    env.num_envs, env.is_vector_env = 1, False  # gym's wrappers give it these
    with pytest.raises(Error, match=r"\bMonitor\b"):
        VectorMonitor(env, run)
    assert not os.path.exists(run)
    play(Monitor(env))


@pytest.mark.parametrize("kind", ["DummyVecEnv", "VecNormalize", "gym"])
def test_vector_environments_of_four_values_are_refused_with_the_way_out(run, request, kind):
    if kind == "gym":
        gym = need("gym", "'gym<0.26'")
        if [int(part) for part in gym.__version__.split(".")[:2]] >= [0, 26]:
            pytest.skip("needs a gym whose vector environments have four values a step: pip install 'gym<0.26'")
        envs = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2)
    else:
        gymnasium, vec_env = request.getfixturevalue("gymnasium"), request.getfixturevalue("sb3")("common.vec_env")
        envs = vec_env.DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
        envs = envs if kind == "DummyVecEnv" else vec_env.VecNormalize(envs)
    for refusing in (Monitor, VectorMonitor):
        with pytest.raises(Error, match="each sub-environment .*in a Monitor"):
            refusing(envs, run)
    assert not os.path.exists(run)


def from_library(monkeypatch, library, version, inside=True):
    """A Fleet as if it were defined in some version of gymnasium or gym, or, not `inside`, derived from its class."""
    names = [library, library + ".vector", library + ".vector.vector_env"]
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[library].__version__ = version
    base = sys.modules[names[-1]].VectorEnv = type("VectorEnv", (), {"__module__": names[-1]})
    return type("Fleet", (Fleet, base), {"__module__": library + ".envs.fleet" if inside else __name__})


@pytest.mark.parametrize("library, mode, last, warned", [
    (("gymnasium", "0.28.1"), SAME_STEP, None, 0),  # as its CartPoleVectorEnv, whose infos are empty
    (("gymnasium", "0.29.1"), SAME_STEP, "objects", 0),
    (("gymnasium", "0.29.1", False), SAME_STEP, None, 0),
    (("gym", "0.26.2"), SAME_STEP, "objects", 0),
    (("gymnasium", "1.0.0"), NEXT_STEP, None, 0),
    (("gymnasium", "1.0.0", False), NEXT_STEP, None, 1),
    (None, SAME_STEP, "objects", 0),
    (None, SAME_STEP, "observation", 0),
    (None, NEXT_STEP, None, 1),
])
def test_without_autoreset_mode_the_library_or_the_infos_tell_when_it_resets(
        run, numpy, monkeypatch, caplog, library, mode, last, warned):
    envs = (Fleet if library is None else from_library(monkeypatch, *library))(numpy.array, mode, last=last)
    envs.metadata = {}
    with VectorMonitor(envs, run, False) as monitor:
        _, played = vector_rollout(monitor, same_step=mode is SAME_STEP)
    assert episodes_in(run) == played
    assert ["autoreset_mode" in message for message in caplog.messages] == [True] * warned


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
def test_the_gymnasium_that_is_installed_is_counted_right_whatever_its_version(run, numpy, kind):
    gymnasium = need("gymnasium", "gymnasium", "0.26")
    envs = getattr(gymnasium.vector, kind)([lambda: gymnasium.make("CartPole-v1")] * 3)
    with VectorMonitor(envs, run, False) as monitor:
        _, played = vector_rollout(monitor, same_step=gymnasium.__version__ < "1")
    assert len(played) > 6 and episodes_in(run) == played


@pytest.mark.parametrize("problem", [Fault, KeyboardInterrupt])
@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_after_an_exception_in_step_the_episodes_under_way_do_not_count_and_the_next_do(run, numpy, mode, problem):
    with VectorMonitor(Fleet(numpy.array, mode, faults={7: problem, 30: problem}), run) as envs:
        with pytest.raises(ResetNeeded):
            envs.step([0, 0, 0])
        _, played = vector_rollout(envs)
    assert len(played) > 30 and episodes_in(run) == played


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_whenever_an_exception_strikes_no_episode_is_counted_wrong(numpy, mode, late):
    for call in range(1, 13):
        fleet = Fleet(numpy.array, mode, faults={call: Fault})
        fleet.late = late
        envs = VectorMonitor(fleet)
        vector_rollout(envs, 40)
        episodes = set(zip(envs.get_episode_rewards(), envs.get_episode_lengths()))
        assert episodes == {(0.75, 2), (1.5, 3), (2.5, 4)}, call


@pytest.mark.parametrize("faults, lengths", [({}, [10, 10, 10]), ({7: Fault}, [10, 10])], ids=["", "after-exception"])
def test_a_partial_reset_begins_the_episodes_that_it_picks(numpy, faults, lengths):
    envs = VectorMonitor(Fleet(numpy.array, DISABLED, (10, 10), faults))
    envs.reset()
    for _ in range(6):
        envs.step([0, 0])
    if faults:  # and neither of the episodes under way will count
        with pytest.raises(Fault):
            envs.step([0, 0])
    envs.reset(options={"reset_mask": numpy.array([False, True])})  # in mid-episode: that one is dropped
    for _ in range(16):
        over = envs.step([0, 0])[2] | envs.unwrapped.over
        envs.reset(options={"reset_mask": over})
    assert envs.get_episode_lengths() == lengths


@pytest.mark.parametrize("steps, options, episode_id", [
    (4, {}, None), (5, {}, 2), (4, {"video_length": 2}, None), (5, {"video_length": 2}, 2)])
def test_a_vectors_video_names_its_episode_once_that_is_over(run, numpy, no_ffmpeg, steps, options, episode_id):
    fleet = Fleet(numpy.array, lengths=(5, 2, 3))  # two episodes of the others are over before
    with VectorMonitor(fleet, run, lambda episode: episode == 0, **options) as envs:
        vector_rollout(envs, steps)
    assert read_json(run, ".meta.json").get("episode_id") == episode_id


@pytest.mark.parametrize("how", ["reset", "partial-reset", "exception"])
def test_the_video_of_an_episode_of_a_vector_that_is_dropped_goes_with_it(run, numpy, no_ffmpeg, how):
    fleet = Fleet(numpy.array, lengths=(5, 2, 3), faults={3: Fault} if how == "exception" else {})
    with VectorMonitor(fleet, run, lambda episode: episode == 0) as envs:
        vector_rollout(envs, 2)
        if how == "reset":
            envs.reset()
        elif how == "partial-reset":
            envs.reset(options={"reset_mask": numpy.array([True, False, False])})
        for _ in range(12):
            with contextlib.suppress(Fault):
                envs.step([0, 0, 0])
    assert [frames_of(path) for path, _ in envs.videos] == [6] and len(files(run, ".meta.json")) == 1


@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_step_trigger_is_asked_about_every_step_of_a_vector(run, numpy, mode):
    asked = []
    with VectorMonitor(Fleet(numpy.array, mode), run, step_trigger=asked.append) as envs:
        vector_rollout(envs, 9)
    assert asked == list(range(9))


@needs_ffmpeg
@pytest.mark.parametrize("mode, frames", [(NEXT_STEP, [0, 40, 80]), (SAME_STEP, [0, 40])])
def test_a_vectors_videos_show_its_first_sub_environment(run, numpy, mode, frames):
    with VectorMonitor(Fleet(numpy.array, mode), run, lambda episode: episode < 2) as envs:
        vector_rollout(envs, 10)  # a step that ends an episode and begins the next one shows the next one
    assert [shades(path, 32 * 32) for path, _ in envs.videos] == [pytest.approx(frames, abs=2)] * 2


@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_keep_video_is_asked_about_the_first_sub_environments_episodes(run, numpy, no_ffmpeg, mode):
    asked = []
    with VectorMonitor(Fleet(numpy.array, mode), run, every, keep_video=asked.append) as envs:
        vector_rollout(envs, 5)
    assert [(episode.reward, episode.length) for episode in asked] == [(0.75, 2)] * 2
    assert all((episode.info["score"], episode.info["level"], episode.info["episode"]["r"]) == (20, 7, 0.75)
               for episode in asked)  # an entry of its own, one for all, and ours
    assert not [name for name in files(run) if re.search("video00000[01]", name)]


@pytest.mark.parametrize("mode, last", [(NEXT_STEP, None), (SAME_STEP, "arrays"), (SAME_STEP, "objects")])
def test_info_keywords_of_each_sub_environment_are_in_the_journal(run, numpy, mode, last):
    with VectorMonitor(Fleet(numpy.array, mode, last=last), run, False, info_keywords=("score",)) as envs:
        _, played = vector_rollout(envs, 20)
    assert [float(row["score"]) for row in journal_rows(run)[1]] == [10 * length for _, length in played]


@pytest.mark.parametrize("mode, types", [(NEXT_STEP, "ttte"), (SAME_STEP, "ttet")])
def test_an_episode_of_a_vector_has_the_mode_of_its_own_beginning(run, numpy, mode, types):
    with VectorMonitor(Fleet(numpy.array, mode), run, False) as envs:
        envs.reset()
        envs.step([0, 0, 0])
        envs.set_monitor_mode("evaluation")  # three episodes of training are under way
        for _ in range(4):
            envs.step([0, 0, 0])
    assert [row["type"] for row in journal_rows(run)[1]] == list(types)


def test_an_infinite_return_leaves_its_neighbours_alone(run, numpy):
    class Infinite(Fleet):
        def step(self, actions):
            answer = super().step(actions)
            answer[1][2] = -math.inf
            return answer

    with VectorMonitor(Infinite(numpy.array), run, False) as envs:
        answers, _ = vector_rollout(envs, 4)
    found = [entry["r"].tolist() for entry in entries(answers)]
    assert found == [[0.75, 0, 0], [0, 1.5, 0], [0, 0, -math.inf]]
    assert load_results(run)["episode_rewards"] == [0.75, 1.5, -math.inf]


@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_torch_tensors_stay_torch_tensors_and_ask_for_no_gradient(run, mode):
    torch = need("torch")

    class Differentiable(Fleet):
        def step(self, actions):
            observations, rewards, *rest = super().step(actions)
            return (observations, rewards.double() * 1.1 * torch.ones(3, requires_grad=True), *rest)

    with VectorMonitor(Differentiable(torch.tensor, mode), run, False) as envs:
        answers, played = vector_rollout(envs, 25)
    assert episodes_in(run) == [(pytest.approx(total, rel=1e-12), length) for total, length in played]
    assert not any(values.requires_grad for entry in entries(answers) for values in entry.values())
    assert [total for entry in entries(answers) for total in entry["r"].tolist() if total] == [
        total for total, _ in episodes_in(run)]


def test_1024_sub_environments_lose_no_episode(run, numpy):
    with VectorMonitor(Fleet(numpy.array, lengths=[2 + index % 7 for index in range(1024)]), run) as envs:
        _, played = vector_rollout(envs, 30)
        resets = sum(30 // (3 + index % 7) for index in range(1024))  # in these steps, and they are none
        assert envs.get_total_steps() == 30 * 1024 - resets
    assert episodes_in(run) == played


def test_a_vector_monitor_without_a_directory_keeps_statistics_until_start(tmp_path, numpy, monkeypatch, caplog):
    monkeypatch.chdir(str(tmp_path))
    envs = VectorMonitor(Fleet(numpy.array))
    answers, played = vector_rollout(envs)
    assert list(zip(envs.get_episode_rewards(), envs.get_episode_lengths())) == played
    assert entries(answers) and os.listdir(".") == caplog.messages == []
    envs.start("run", False)
    _, played = vector_rollout(envs)
    envs.close()
    assert episodes_in("run") == played


def test_a_vector_monitors_arguments_are_a_monitors_but_for_early_resets(run, numpy, no_ffmpeg):
    ours, theirs = (list(inspect.signature(kind).parameters) for kind in (VectorMonitor, Monitor))
    assert ours == [name for name in theirs if name != "allow_early_resets"]
    asked = []
    for first, options in [(0, {}), (4, {"resume": True}),
                           (0, {"force": True, "mode": "evaluation", "uid": "a", "write_upon_reset": True})]:
        with VectorMonitor(Fleet(numpy.array, SAME_STEP), run, asked.append, **options) as envs:
            assert envs.episode_id == first
            vector_rollout(envs, 5)
            if "force" in options:
                assert read_json(run, ".stats.json")["episode_types"] == ["e"] * 4
    assert asked == [0, 1, 2, 4, 5, 6, 0, 1, 2]
    assert load_results(run)["episode_types"] == ["e"] * 4
    with pytest.raises(Error, match="resume=True"):
        VectorMonitor(Fleet(numpy.array), run)


# ---------------------------------------------------------------------------------------------------------------------
# Types
# ---------------------------------------------------------------------------------------------------------------------

USER_CODE = """
import pathlib
from typing import Any, Dict, List, Tuple
import gym_monitor
from gym_monitor import Episode, Error, Monitor, ResetNeeded, StatsRecorder, VectorMonitor, VideoRecorder

def only_failures(episode: Episode) -> bool:
    return episode.reward < 0 and episode.length > 10 and episode.episode_id > 0

def use(env: object, infos: Dict[str, Any]) -> str:
    waiting: Monitor = Monitor(env, allow_early_resets=False, step_trigger=lambda step: step % 1000 == 0,
                               video_length=200, fps=12.5, stats_key=None, info_keywords=("success",))
    waiting.start("runs", gym_monitor.capped_cubic_video_schedule, resume=True, uid=3, mode="evaluation")
    with Monitor(env, pathlib.Path("typed"), False, force=True, keep_video=only_failures) as monitor:
        monitor.reset(seed=1)
        monitor.step(0)
        monitor.set_monitor_mode("training")
        pairs: List[Tuple[str, str]] = monitor.videos
        rewards: List[float] = monitor.get_episode_rewards()
        print(pairs, rewards, monitor.episode_id, monitor.directory, monitor.get_total_steps(), monitor.spec)
    with VectorMonitor(env, "runs", video_callable=False) as envs:
        envs.step([0, 1])
    StatsRecorder("runs", "alone", env_id="Own-v0").after_step(None, 1.0, True, infos)
    VideoRecorder(env, base_path="runs/video", fps=30).capture_frame()
    try:
        results = gym_monitor.load_results("runs")
    except (ResetNeeded, Error) as problem:
        return str(problem)
    return gym_monitor.report("runs", pathlib.Path("more"), embed=True).html + str(results["episode_rewards"])
"""


def test_mypy_strict_passes_on_the_module_and_on_code_that_calls_it(tmp_path):
    need("mypy")
    (tmp_path / "user.py").write_text(USER_CODE)
    shutil.copy(MODULE, str(tmp_path / "gym_monitor.py"))
    child = python("-m", "mypy", "--strict", "user.py", "gym_monitor.py", cwd=str(tmp_path))
    assert (child.returncode, child.stderr) == (0, ""), child.stdout


# ---------------------------------------------------------------------------------------------------------------------
# The README: all that it shows runs as it stands
# ---------------------------------------------------------------------------------------------------------------------

README = os.path.join(os.path.dirname(MODULE), "README.md")


def readme_programs():
    """Every block of Python in the README with the packages that it needs. Each is a program of its own.

    What else there is to know stands in comments right above the fence, which a reader of the page does not see:
    <!-- continues -->            this block goes on from the one before: the two are one program;
    <!-- continues: first -->     it goes on from the one that has the comment <!-- name: first -->;
    <!-- needs: pygame torch -->  it needs packages that it does not import by name.
    """
    with open(README, encoding="utf-8") as file:
        text = file.read()
    programs, named = [], {}
    for found in re.finditer(r"((?:^<!--[^\n]*-->\n)*)^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        comments, source = found.groups()
        said = dict(re.findall(r"<!-- (\w+):? ?(.*?) -->", comments))
        if "continues" in said:
            program = named[said["continues"]] if said["continues"] else programs[-1]
        else:
            program = [text[:found.start(2)].count("\n") + 1, [], set()]
            programs.append(program)
        named[said.get("name")] = program
        program[1].append(source)
        program[2].update(said.get("needs", "").split(), re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    return [pytest.param("\n".join(sources), needed, id=f"line-{line}") for line, sources, needed in programs]


@pytest.mark.parametrize("source, needed", readme_programs())
def test_a_block_of_the_readme_runs_in_an_empty_directory_and_records(tmp_path, source, needed):
    for package in sorted(needed):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install {package.replace('_', '-')}")
    (tmp_path / "block.py").write_text(source, encoding="utf-8")
    child = python("block.py", cwd=str(tmp_path))
    assert child.returncode == 0, child.stderr
    directories = {str(path.parent) for path in tmp_path.rglob("*.monitor.csv")}
    assert directories or not re.search(r"Monitor\(\w+, ", source)
    assert all(load_results(directory)["episode_rewards"] for directory in directories)


def readme_rows(first):
    """The rows of every table of the README whose first column has this name."""
    with open(README, encoding="utf-8") as file:
        tables = re.findall(r"(?:^\|.*\|\n)+", file.read(), re.MULTILINE)
    rows = [[[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()] for table in tables]
    return [row for table in rows if table[0][0] == first for row in table[2:]]


@pytest.mark.parametrize("old, new", readme_rows("from"))
def test_a_replacement_of_the_readme_runs_as_it_stands(tmp_path, monkeypatch, gymnasium, old, new):
    """Code in the right column of a table "from | to": statements, or as the first `name=value` an argument."""
    monkeypatch.chdir(str(tmp_path))
    names = {name: getattr(gym_monitor, name) for name in gym_monitor.__all__}
    names.update(gym_monitor=gym_monitor, directory="runs", folder="runs", path="video", run_name="a", idx=0, seed=0,
                 capture_video=True, wandb=types.SimpleNamespace(log=print, Video=str),
                 env=gymnasium.make("CartPole-v1", render_mode="rgb_array"),
                 envs=gymnasium.make_vec("CartPole-v1", 2, render_mode="rgb_array"))
    if "load_results(" in new:
        play(Monitor(Walk(), "runs"))
    argument = re.match(r"`(\w+)=", new)
    assert argument is None or argument.group(1) in inspect.signature(Monitor).parameters
    for code in re.findall(r"`([^`]*)`", new):
        if re.match(r"(Vector)?Monitor\(|VideoRecorder\(|load_results\(|env\b|for ", code):
            code = code.replace(", ...)", ")")
            made = exec(code, names) if re.match(r"\w+ (=|.* in) ", code) else eval(code, names)
            if type(made) is Monitor:
                play(made)
                made.close()
                assert made.get_episode_lengths()


def test_the_readmes_table_of_parameters_is_the_signature():
    rows = [[name.strip("`"), default.strip("`")] for name, default, _ in readme_rows("parameter")]
    parameters = inspect.signature(Monitor).parameters
    assert [name for name, _ in rows] == list(parameters)
    for name, default in rows:  # what stands there for None says what None means
        assert parameters[name].default in (None, inspect.Parameter.empty) or default.replace('"', "'") == repr(
            parameters[name].default)


def test_every_name_of_the_module_in_the_readme_exists():
    with open(README, encoding="utf-8") as file:
        names = re.findall(r"gym_monitor\.(?!py\b)(\w+)", file.read())
    assert [name for name in names if not hasattr(gym_monitor, name)] == []


# ---------------------------------------------------------------------------------------------------------------------
# The report: its numbers
# ---------------------------------------------------------------------------------------------------------------------

# ---- directories to report on, written as the recorder writes them

def write_run(directory, returns, infix="0.1", env_id="Pole-v0", start=1.7e9, lengths=None, types=None, step=1.0,
              **info):
    """A journal with an episode for each return, one ending every `step` seconds; `info` has a list per keyword."""
    os.makedirs(str(directory), exist_ok=True)
    path = os.path.join(str(directory), "openaigym.episode_batch.%s.monitor.csv" % infix)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#%s\n%s\n" % (json.dumps({"t_start": start, "env_id": env_id}), ",".join(["r,l,t,type", *info])))
        for index, value in enumerate(returns):
            file.write("%r,%d,%r,%s%s\n" % (
                float(value), lengths[index] if lengths else 10, step * (index + 1), types[index] if types else "t",
                "".join(",%s" % column[index] for column in info.values())))
    return str(directory)


def write_video(directory, number, extension, contents, infix="0.1", **metadata):
    """A recording and its metadata; `contents` None leaves the recording out."""
    base = os.path.join(str(directory), "openaigym.video.%s.video%06d" % (infix, number))
    if contents is not None:
        with open(base + extension, "wb") as file:
            file.write(contents)
    with open(base + ".meta.json", "w", encoding="utf-8") as file:
        json.dump(dict({"episode_id": number, "empty": False, "broken": False}, **metadata), file)
    return base + extension


def png(width=40, height=30):
    def chunk(kind, contents):
        return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))
    rows = b"".join(b"\0" + b"\x20\x60\xb0" * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def mp4():
    return subprocess.check_output("ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=10 -t 1 -pix_fmt yuv420p"
                                   " -movflags frag_keyframe+empty_moov -f mp4 -".split())


def asciicast(frames, seconds=0.1):
    lines = [json.dumps({"version": 2, "width": 80, "height": 24})]
    lines += [json.dumps([index * seconds, "o", "\x1b[2J\x1b[1;1H" + frame]) for index, frame in enumerate(frames)]
    return ("\n".join(lines) + "\n").encode("utf-8")


@pytest.fixture
def sample(tmp_path):
    """A run of 60 episodes, two of them evaluations, with a video of two kinds and one that is broken."""
    directory = write_run(tmp_path / "run", [math.sqrt(index) for index in range(60)], step=30.0,
                          types=["e" if index in (20, 40) else "t" for index in range(60)])
    write_video(directory, 1, ".png", png())
    write_video(directory, 8, ".cast", asciicast(["one\r\n", "two \x1b[41mred\x1b[0m\r\n", "three\r\n"]))
    write_video(directory, 27, ".mp4", None, broken=True, error="ffmpeg: height not divisible by 2")
    return directory


def page_data(page):
    return json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', page).group(1))


def data_of(*dirs):
    return page_data(report(*dirs).html)


# ---- the summary

def test_the_summary_is_of_training_and_has_evaluation_beside_it(sample):
    summary = report(sample).summary["runs"][0]
    assert list(summary) == [
        "directory", "env_id", "episodes", "steps", "seconds", "return_mean", "return_best", "return_last_100",
        "length_mean", "evaluations", "evaluation_return_mean", "videos", "broken_videos", "not_finite"]
    trained = [math.sqrt(index) for index in range(60) if index not in (20, 40)]
    assert (summary["directory"], summary["env_id"], summary["seconds"]) == (sample, "Pole-v0", 1800.0)
    assert (summary["episodes"], summary["steps"], summary["length_mean"]) == (58, 580, 10.0)
    assert summary["return_mean"] == summary["return_last_100"] == pytest.approx(sum(trained) / 58)
    assert summary["evaluations"] == 2
    assert summary["evaluation_return_mean"] == pytest.approx((math.sqrt(20) + math.sqrt(40)) / 2)
    assert (summary["videos"], summary["broken_videos"], summary["not_finite"]) == (2, 1, 0)


def test_the_summary_of_a_run_of_evaluations_is_of_them(tmp_path):
    summary = report(write_run(tmp_path, [1, 3], types="ee")).summary
    assert (summary["episodes"], summary["steps"], summary["return_mean"], summary["evaluations"]) == (2, 20, 2.0, 2)


def test_the_summary_of_several_directories_takes_their_episodes_together(tmp_path):
    one, two = write_run(tmp_path / "one", [1, 2, 3]), write_run(tmp_path / "two", [10], env_id="Other-v0")
    summary = report(one, two).summary
    assert (summary["episodes"], summary["return_mean"], summary["return_best"]) == (4, 4.0, 10.0)
    assert (summary["directory"], summary["env_id"]) == (None, None)
    assert [each["directory"] for each in summary["runs"]] == [one, two]


@pytest.mark.parametrize("returns, mean, best, last, strange", [
    ([7] * 50 + [1] * 100, 3.0, 7.0, 1.0, 0), ([1, math.nan, math.inf, -math.inf, 3], 2.0, 3.0, 2.0, 3),
    ([1.5e308] * 4, 1.5e308, 1.5e308, 1.5e308, 0), ([], None, None, None, 0)])
def test_means_and_best(tmp_path, returns, mean, best, last, strange):
    summary = report(write_run(tmp_path, returns)).summary
    found = [summary[key] for key in ("return_mean", "return_best", "return_last_100", "not_finite")]
    assert found == [mean, best, last, strange]


@pytest.mark.parametrize("starts, seconds", [((0,), 4.0), ((0, 86400), 8.0), ((0, 0.5), 4.5)])
def test_running_time_has_no_pauses_and_counts_once_what_runs_side_by_side(tmp_path, starts, seconds):
    for number, start in enumerate(starts):
        write_run(tmp_path, [1] * 4, infix="0.%d" % number, start=1.7e9 + start)
    assert report(tmp_path).summary["seconds"] == pytest.approx(seconds)


def test_report_without_a_directory_is_an_error():
    with pytest.raises(Error, match="at least one directory"):
        report()


@pytest.mark.parametrize("value, text", [
    (0, "0"), (-0.0, "0"), (0.123456, "0.1235"), (12.3456, "12.35"), (195.26, "195.3"), (999.96, "1,000"),
    (1234.5, "1,234"), (1000000, "1,000,000"), (204544014, "204.5M"), (-3.21e9, "-3.21B"), (1e300, "1e+300"),
    (None, "-"), (math.nan, "not finite")])
def test_numbers_are_rounded_as_a_person_would(value, text):
    assert gym_monitor._number(value) == text


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (0.25, "0.25 s"), (59.4, "59 s"), (60, "1 min"), (75, "1 min 15 s"), (89.7, "1 min 30 s"),
    (3600, "1 h"), (12300, "3 h 25 min"), (180000, "2 d 2 h")])
def test_durations_are_rounded_as_a_person_would(seconds, text):
    assert gym_monitor._duration(seconds) == text


@pytest.mark.parametrize("values, text", [
    ([100, 110, 126], "112.0 ± 13.1"), ([5], "5"), ([], "-"), ([1, None], "1"), ([2, 2], "2.0 ± 0.0"),
    ([0.01, 0.012], "0.0110 ± 0.0014")])
def test_a_group_has_its_mean_and_sample_standard_deviation(values, text):
    assert gym_monitor._spread(values) == text


@pytest.mark.parametrize("name, group", [
    ("ppo_seed0", "ppo"), ("ppo-1", "ppo"), ("ppo/3", "ppo"), ("ppo/seed_3", "ppo"), ("ppo run 2", "ppo"),
    ("ppo__1__1700000000", "ppo"), ("lr0.001", "lr0.001"), ("lr1e-4", "lr1e-4"), ("lr0.1_seed2", "lr0.1"),
    ("a2c", "a2c")])
def test_a_group_is_named_after_its_directories_without_the_seed(tmp_path, name, group):
    [found] = data_of(write_run(tmp_path / name, [1]))["groups"]
    assert found["name"] == group


def test_runs_are_grouped_by_environment_and_name(tmp_path):
    made = [write_run(tmp_path / name, [value], env_id=env_id) for name, value, env_id in (
        ("ppo_0", 1, "A-v0"), ("a2c_0", 5, "A-v0"), ("ppo_1", 2, "A-v0"), ("ppo_2", 7, "B-v0"))]
    data = data_of(*made)
    assert [(group["name"], [data["runs"][run]["name"] for run in group["runs"]]) for group in data["groups"]] == [
        ("A-v0 · ppo", ["ppo_0", "ppo_1"]), ("A-v0 · a2c", ["a2c_0"]), ("B-v0 · ppo", ["ppo_2"])]
    assert data["groups"][0]["cells"][4] == "1.5 ± 0.7" and data["groups"][0]["cells"][7] == "2"


def close_run(directory, later=1):
    """The manifest that `close` adds."""
    manifest, stats = (os.path.join(directory, "openaigym.%s" % name) for name in (
        "manifest.0.1.manifest.json", "episode_batch.0.1.stats.json"))
    results = load_results(directory)
    for path, content in (
            (stats, {key: results[key] for key in ("initial_reset_timestamp", "timestamps", "episode_lengths",
                                                   "episode_rewards", "episode_types")}),
            (manifest, {"stats": os.path.basename(stats), "videos": [],
                        "env_info": {"env_id": "Pole-v0", "gym_version": "none"}})):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
    os.utime(manifest, (time.time() + later,) * 2)


@pytest.mark.parametrize("episodes, ago, closed, text", [
    (5, 4, None, "running, last episode 4 s ago"), (5, 10800, None, "no sign of life for 3 h: killed?"),
    (5, 7200, 1, "ended 2 h ago"), (5, 7200, -99, "no sign of life for 2 h: killed?"),
    (0, 40, None, "no episode yet, started 40 s ago"), (0, 40, 1, "ended without an episode")])
def test_what_is_known_of_a_run_is_said(tmp_path, capsys, episodes, ago, closed, text):
    directory = write_run(tmp_path, [1] * episodes, start=time.time() - ago - episodes)
    if closed:
        close_run(directory, closed)
    assert gym_monitor.main(["report", directory]) == 0
    assert text in capsys.readouterr().out


def test_a_run_whose_episodes_take_long_is_not_taken_for_killed(tmp_path, capsys):
    gym_monitor.main(["report", write_run(tmp_path, [1] * 5, start=time.time() - 4000, step=600)])
    assert "running, last episode 16 min 40 s ago" in capsys.readouterr().out


def test_speed_and_time_are_the_same_before_and_after_close(run):
    env = Monitor(Walk(), run, False)
    time.sleep(0.3)
    play(env, 3)
    before = report(run).summary["seconds"]
    env.close()
    assert report(run).summary["seconds"] == pytest.approx(before)


# ---- the page, as text and numbers

def test_names_and_texts_of_a_run_are_never_code(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    directory = write_run(tmp_path / "a<b>&c", [1, 2], env_id=evil)
    write_video(directory, 0, ".mp4", None, broken=True, error=evil)
    write_video(directory, 1, ".cast", asciicast([evil]))
    page = report(directory, write_run(tmp_path / "<i>", [1], env_id=evil)).html
    assert "<img src=x" not in page and "<b>&c" not in page and page.count("</script>") == 2
    assert page_data(page)["runs"][0]["name"] == "a<b>&c"


def test_a_page_elsewhere_refers_to_videos_and_journals_from_there(tmp_path):
    directory = write_run(tmp_path / "a #1 50%", [1])
    write_video(directory, 0, ".png", png())
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "one.html"
    assert gym_monitor.main(["report", directory, "--html", str(page)]) == 0
    data = page_data(page.read_text(encoding="utf-8"))
    assert data["cards"][0]["link"] == "../a%20%231%2050%25/openaigym.video.0.1.video000000.png"
    assert data["runs"][0]["journals"] == [["openaigym.episode_batch.0.1.monitor.csv",
                                            "../a%20%231%2050%25/openaigym.episode_batch.0.1.monitor.csv"]]


def test_an_embedding_page_holds_its_videos(sample):
    page = report(sample, embed=True).html
    assert '"link":"data:image/png;base64,' in page and '"link":"openaigym' not in page


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(sample):
    import html
    shown = report(sample)._repr_html_()
    [page] = re.findall('srcdoc="([^"]*)"', shown)
    assert shown.startswith("<iframe ") and "data:image/png;base64," in html.unescape(page)


@pytest.mark.parametrize("extension, contents, metadata, words", [
    (".mp4", None, {"broken": True, "error": "height not divisible by 2"}, "is broken: height not divisible by 2"),
    (".mp4", None, {}, "file of this recording is missing"), (".cast", b"not a recording\n", {}, "cannot be read"),
    (".png", png(), {"episode_id": 10**400}, ""), (".png", png(), {"episode_id": [[]]}, ""),
    (".cast", b"[" * 100000 + b"\n", {}, "cannot be read"), (".png", png(), {"step": 10**400}, ""),
    (".cast", b'{"version": 2}\n' + b"[" * 100000 + b"\n", {}, "cannot be read")])
def test_whatever_a_recording_holds_the_page_says_it(tmp_path, extension, contents, metadata, words):
    write_video(write_run(tmp_path, [1]), 0, extension, contents, **metadata)
    assert words in data_of(tmp_path)["cards"][0]["trouble"]


def test_a_video_that_has_gone_since_the_directory_was_read_is_told_of(tmp_path):
    path = write_video(write_run(tmp_path, [1]), 0, ".png", png())
    made = report(tmp_path)
    os.remove(path)
    assert "cannot be read: No such file" in page_data(made.html)["cards"][0]["trouble"]


def test_a_video_has_its_episode_return_length_and_training_step(sample):
    card = data_of(sample)["cards"][1]
    assert (card["title"], card["facts"]) == ("Episode 8", ["return 2.828", "10 steps", "at step 90"])
    assert card["file"] == "openaigym.video.0.1.video000008.cast"


def test_the_gallery_is_newest_first_with_best_and_worst_marked(tmp_path):
    directory = write_run(tmp_path, [3, 9, 1, 4])
    for number in range(4):
        write_video(directory, number, ".png", png())
    assert [(card["title"][-1], card["badge"]) for card in data_of(directory)["cards"]] == [
        ("3", ""), ("2", "worst"), ("1", "best"), ("0", "")]


def test_a_workers_video_belongs_to_its_episode_among_all(tmp_path):
    write_run(tmp_path, [0, 2, 4], infix="0.1")
    write_run(tmp_path, [1, 3, 5], infix="0.2", start=1.7e9 + 0.5)
    write_video(tmp_path, 1, ".png", png(), infix="0.2")
    data = data_of(tmp_path)
    assert (data["cards"][0]["title"], data["cards"][0]["facts"][0]) == ("Episode 3", "return 3")
    assert data["runs"][0]["training"]["columns"]["return"] == [[0, 1, 2, 3, 4, 5]]


def test_a_video_whose_episode_was_not_completed_is_shown(tmp_path):
    write_video(write_run(tmp_path, [1]), 1, ".png", png())
    assert data_of(tmp_path)["cards"][0]["facts"] == ["not completed"]


@pytest.mark.parametrize("contents, frames, cut", [
    (asciicast(["x" * 1000] * 500), 200, "Cut after 200 kB"), (asciicast(["x" * 1000] * 150), 150, ""),
    (asciicast(["one", "two"])[:-5], 1, ""),
    (json.dumps({"version": 1, "stdout": [[0.5, "first"], [0.5, "\x1b[2Jsecond"]]}).encode(), 2, "")])
def test_a_text_recording_is_cut_where_it_is_long_or_torn(tmp_path, contents, frames, cut):
    ending = ".json" if b"stdout" in contents else ".cast"
    write_video(write_run(tmp_path, [1]), 0, ending, contents)
    [card] = data_of(tmp_path)["cards"]
    assert len(card["frames"]) == frames and card["cut"].startswith(cut)


def test_a_million_episodes_fit_into_300_kilobytes(tmp_path):
    returns = [(index * 7919) % 1009 + index / 1000 for index in range(1000000)]
    directory = write_run(tmp_path, returns, lengths=[1 + index % 97 for index in range(1000000)])
    page = report(directory).html
    assert len(page.encode()) < 300000
    means, lows, highs = page_data(page)["runs"][0]["training"]["columns"]["return"]
    assert len(means) <= 1500 and min(lows) == min(returns) and max(highs) == pytest.approx(max(returns), rel=1e-5)


def test_every_keyword_of_numbers_is_a_measure(tmp_path):
    directory = write_run(tmp_path, [1, 2], success=["True", "False"], score=["0.5", ""], why=["luck", "skill"])
    data = data_of(directory)
    assert data["measures"] == [{"name": "return", "truth": False}, {"name": "length", "truth": False},
                                {"name": "success", "truth": True}, {"name": "score", "truth": False}]
    columns = data["runs"][0]["training"]["columns"]
    assert (columns["success"], columns["score"]) == ([[1, 0]], [[0.5, None]])


def test_an_evaluation_round_is_a_point_and_steps_are_of_training(tmp_path):
    data = data_of(write_run(tmp_path, [1, 2, 10, 30, 3], types="tteet", lengths=[5, 5, 9, 9, 5]))
    rounds = data["runs"][0]["rounds"]
    assert (rounds["n"], rounds["steps"], rounds["columns"]["return"]) == ([2], [10], [[20], [10], [30]])
    assert data["runs"][0]["training"]["steps"] == [5, 10, 15]


@pytest.mark.parametrize("lengths, axis", [([10, 10], "episodes"), ([10, 12], "steps")])
def test_steps_are_the_axis_unless_all_episodes_are_of_one_length(tmp_path, lengths, axis):
    assert data_of(write_run(tmp_path, [1, 2], lengths=lengths))["axis"] == axis


def test_what_is_not_finite_leaves_a_gap(tmp_path):
    [curve] = data_of(write_run(tmp_path, [1, math.nan, math.inf, 4]))["runs"]
    assert curve["training"]["columns"]["return"] == [[1, None, None, 4]]


# ---------------------------------------------------------------------------------------------------------------------
# The page in a browser
# ---------------------------------------------------------------------------------------------------------------------

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium: apt-get install chromium")
CHROMIUM = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
            "--disable-background-networking --disable-component-update --remote-debugging-pipe").split()
CHROMIUM_START = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
                  "os.execv(sys.argv[3], sys.argv[3:])")


class Browser:
    """Headless Chromium, spoken to through the pipe of its developer tools (file descriptors 3 and 4)."""

    def __init__(self):
        self.profile = tempfile.mkdtemp()
        (commands, self.commands), (self.answers, answers) = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers)]     # clear of 3 and 4
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHROMIUM_START] + [str(end) for end in ends] + [shutil.which("chromium")]
            + CHROMIUM + ["--user-data-dir=" + self.profile, "about:blank"],
            pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in ends + [commands, answers]:
            os.close(end)
        self.number, self.received, self.session, self.events = 0, b"", {}, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")

    def receive(self):
        while b"\0" not in self.received:
            part = os.read(self.answers, 1 << 16)
            assert part, "chromium has ended"
            self.received += part
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message.decode("utf-8"))

    def send(self, method, **params):
        self.number += 1
        message = dict(self.session, id=self.number, method=method, params=params)
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, page, width=1000, scheme="light", height=800):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events = []
        self.send("Page.navigate", url=str(page) if "://" in str(page) else "file://" + urllib.parse.quote(str(page)))
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def run(self, script):
        """The value of an expression in the page, or of what it promises."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def all(self, selector, what):
        """What is asked (`one.innerText`) of every element that a selector finds."""
        return self.run("[...document.querySelectorAll(%s)].map(one => %s)" % (json.dumps(selector), what))

    def mouse(self, kind, x, y, clicks=1, buttons=0):
        self.send("Input.dispatchMouseEvent", type="mouse" + kind, x=x, y=y, clickCount=clicks, buttons=buttons,
                  button="left" if kind != "Moved" or buttons else "none")

    def middle(self, selector, index=0):
        """Where the centre of an element is on the screen, once it is brought there."""
        return self.run("(one => { one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect(); "
                        "return [box.left + box.width / 2, box.top + box.height / 2]; })"
                        "(document.querySelectorAll(%s)[%d])" % (json.dumps(selector), index))

    def click(self, selector, index=0, clicks=1):
        x, y = self.middle(selector, index)
        self.mouse("Moved", x, y)
        for count in range(1, clicks + 1):
            self.mouse("Pressed", x, y, count, 1)
            self.mouse("Released", x, y, count)

    def drag(self, selector, start, end):
        """Drag over an element, from one share of its width to another."""
        self.middle(selector)
        left, top, width, height = self.run("(box => [box.left, box.top, box.width, box.height])(document."
                                            "querySelector(%s).getBoundingClientRect())" % json.dumps(selector))
        y = top + height / 2
        self.mouse("Moved", left + start * width, y)
        self.mouse("Pressed", left + start * width, y, 1, 1)
        self.mouse("Moved", left + end * width, y, 1, 1)
        self.mouse("Released", left + end * width, y)

    def press(self, key):
        text = {"text": " "} if key == " " else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def complaints(self):
        return [event for event in self.events if event["method"] in (
            "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")]

    def close(self):
        self.session = {}
        with contextlib.suppress(AssertionError):       # it may be gone before it answers
            self.send("Browser.close")
        self.process.wait(60)
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def written(*dirs, **options):
    """The path of the page that is written into the first directory."""
    gym_monitor._run_report([str(one) for one in dirs], quiet=True, **options)
    return os.path.join(str(dirs[0]), "openaigym.report.html")


def marked(directory, count, episodes):
    """A run with so many videos, one every few episodes."""
    write_run(directory, range(episodes), lengths=[5 + index % 7 for index in range(episodes)])
    for number in range(count):
        write_video(directory, number * (episodes // count), ".png", png())
    return str(directory)


@needs_chromium
@pytest.mark.parametrize("width", [400, 900, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window_and_complains_of_nothing(sample, tmp_path, browser, width, scheme):
    others = [write_run(tmp_path / ("a-directory-with-a-long-name" * 3) / str(seed), range(99)) for seed in range(2)]
    for dirs in [(sample,), (sample, *others)]:
        browser.open(written(*dirs), width, scheme)
        assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.complaints() == []


@needs_chromium
def test_the_page_fetches_nothing_but_its_videos(sample, browser):
    page = written(sample)
    browser.open(page)
    folder = "file://" + urllib.parse.quote(os.path.dirname(page))
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event["method"] == "Network.requestWillBeSent"]
    assert asked and [url for url in asked if not url.startswith(("data:", "about:", folder))] == []


@needs_chromium
def test_six_runs_leave_the_curve_in_sight(tmp_path, browser):
    browser.open(written(*[write_run(tmp_path / ("%s-%d" % (name, seed)), range(30))
                           for name in ("ppo", "a2c") for seed in range(3)]))
    assert browser.run("document.querySelector('svg').getBoundingClientRect().top") < 500


CONTRASTS = """(() => {
  const luminance = colour => colour.match(/[0-9.]+/g).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722, 0][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = (node, property) => {
    const [x, y] = [getComputedStyle(node)[property], behind(node)].map(luminance).sort((a, b) => b - a);
    return (x + .05) / (y + .05);
  };
  const nodes = [...document.querySelectorAll('body *')].filter(node => node.offsetParent || node.ownerSVGElement);
  const texts = nodes.filter(node => [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim()));
  return {text: Math.min(...texts.map(node => contrast(node, node.ownerSVGElement ? 'fill' : 'color'))),
          lines: Math.min(...nodes.filter(node => node.matches('.line')).map(node => contrast(node, 'stroke')))};
})()"""


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_enough_contrast(sample, tmp_path, browser, scheme):
    others = [write_run(tmp_path / str(number), range(30), env_id="Env%d" % number) for number in range(7)]
    browser.open(written(sample, *others), scheme=scheme)
    contrast = browser.run(CONTRASTS)
    assert contrast["text"] >= 4.5 and contrast["lines"] >= 3


@needs_chromium
def test_the_page_prints_dark_on_white_whatever_the_scheme(sample, browser):
    browser.open(written(sample), scheme="dark")
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('.switch')).display") == "none"


PLAYABLE = """Promise.all([...document.querySelectorAll('video')].map(video => new Promise((done, failed) => {
  video.onerror = () => failed(video.error.message);
  video.preload = 'auto';
  if (video.readyState >= 2) done(true); else video.onloadeddata = () => done(true);
})))"""


@needs_chromium
@needs_ffmpeg
@pytest.mark.parametrize("embed", [False, True])
def test_every_video_is_playable_and_has_its_own_proportions(sample, browser, embed):
    for number in (0, 50):
        write_video(sample, number, ".mp4", mp4())
    browser.open(written(sample, embed=embed))
    assert browser.run(PLAYABLE) == [True, True]
    assert browser.all("video", "one.offsetWidth / one.offsetHeight") == pytest.approx([64 / 48] * 2, rel=.02)


@needs_chromium
@needs_ffmpeg
def test_a_video_plays_under_the_pointer_with_controls_only_then(sample, browser):
    write_video(sample, 0, ".mp4", mp4())
    browser.open(written(sample))
    assert browser.all("video", "[one.controls, one.paused, one.loop]") == [[False, True, True]]
    browser.mouse("Moved", *browser.middle("video"))
    wait_until(lambda: browser.all("video", "[one.controls, one.paused]") == [[True, False]])
    browser.mouse("Moved", 1, 1)
    wait_until(lambda: browser.all("video", "[one.controls, one.paused]") == [[False, True]])


@needs_chromium
def test_an_animation_is_shown_as_a_picture(sample, browser):
    browser.open(written(sample))
    browser.middle("img")
    assert browser.run("document.querySelector('img').decode().then(() => true)")
    assert browser.all("img", "one.naturalWidth") == [40]


@needs_chromium
def test_a_text_recording_plays_in_its_colours_and_is_stepped_through(sample, browser):
    browser.open(written(sample))
    assert browser.all("pre", "one.textContent.trim()") == ["one"]
    browser.click(".cast button")
    wait_until(lambda: browser.all("pre, .cast button", "one.textContent.trim()") == ["three", "Play"])
    browser.run("document.querySelector('.cast input').focus()")
    browser.press("ArrowLeft")
    assert browser.all("pre", "one.textContent.trim()") == ["two red"]
    assert "rgb(242, 119, 122)" in browser.all("pre span", "one.style.background")


@needs_chromium
@pytest.mark.parametrize("count, episodes, width", [(5, 1000, 1000), (120, 1000, 1000), (120, 240, 400)])
def test_a_click_on_the_centre_of_a_mark_brings_its_video_into_view(tmp_path, browser, count, episodes, width):
    browser.open(written(marked(tmp_path, count, episodes)), width)
    wide = browser.all("svg .mark", "one.getBoundingClientRect().width")
    assert len(wide) == count and 4 <= min(wide) and max(wide) <= 40
    assert set(browser.all(".mark", "getComputedStyle(one).cursor")) == {"pointer"}
    for index in (range(count) if count == 5 else (0, 1, count // 2, count - 1)):
        browser.click(".mark", index)
        assert browser.run("document.activeElement.querySelector('b').textContent") == "Episode %d" % (
            index * (episodes // count))
        assert browser.run("(box => box.top < innerHeight && box.bottom > 0)("
                           "document.activeElement.getBoundingClientRect())")


@needs_chromium
def test_the_tab_key_passes_by_120_videos(tmp_path, browser):
    browser.open(written(marked(tmp_path, 120, 240)))
    for stops in range(40):
        browser.press("Tab")
        if browser.run("!!document.activeElement.closest('footer')"):
            break
    assert stops < 15


@needs_chromium
def test_the_arrow_keys_go_from_video_to_video(tmp_path, browser):
    browser.open(written(marked(tmp_path, 5, 20)))
    browser.run("document.querySelector('.card').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        browser.press(key)
    assert browser.run("document.activeElement.querySelector('b').textContent") == "Episode 12"


@needs_chromium
def test_pointing_at_a_curve_names_value_mean_and_step_of_every_run(tmp_path, browser):
    browser.open(written(*[write_run(tmp_path / name, [base + index for index in range(41)], lengths=[5] * 40 + [6])
                           for name, base in (("one", 0), ("two", 100))]))
    browser.mouse("Moved", *browser.middle("svg"))
    rows = browser.all(".plot:first-child .tip tr", "[...one.children].map(cell => cell.textContent)")
    assert rows[0] == ["", "Value", "Mean", "Step", "Episode"]
    assert [row[0] for row in rows[1:]] == ["one", "two"] and float(rows[2][1]) == float(rows[1][1]) + 100
    assert abs(int(rows[1][3]) - 103) <= 10


@needs_chromium
def test_the_arrow_keys_read_a_curve_out(sample, browser):
    browser.open(written(sample))
    browser.run("document.querySelector('svg').focus()")
    for key in ("End", "ArrowLeft"):
        browser.press(key)
    assert browser.run("document.querySelector('.said').textContent").startswith("run: step 570, value 7.616, mean ")


@needs_chromium
@pytest.mark.parametrize("axis, last", [("episodes", "50"), ("steps", "500"), ("time", "30 min")])
def test_the_horizontal_axis_is_episodes_steps_or_time(sample, browser, axis, last):
    browser.open(written(sample))
    browser.click("[value=%s] + span" % axis)
    found = browser.all("svg text[text-anchor=middle]", "one.textContent")
    assert last in found and 4 <= len(found) / 2 <= 7


@needs_chromium
def test_dragging_zooms_in_and_a_double_click_shows_all(sample, browser):
    browser.open(written(sample))
    ticks = "[...document.querySelectorAll('svg text[text-anchor=middle]')].map(one => one.textContent).join()"
    whole = browser.run(ticks)
    browser.drag("svg", .5, .75)
    assert browser.run(ticks) != whole and "zoom=" in browser.run("location.hash")
    browser.click("svg", clicks=2)
    assert browser.run(ticks) == whole


@needs_chromium
def test_the_slider_smooths(tmp_path, browser):
    browser.open(written(write_run(tmp_path, [0, 10] * 50)))
    browser.run("document.querySelector('#smooth').focus()")
    browser.press("Home")
    rough = browser.all(".line", "one.getAttribute('d')")[0]
    browser.press("End")
    assert browser.all("#window", "one.textContent") == ["mean of 50 episodes"]
    assert browser.all(".line", "one.getAttribute('d')")[0] != rough


@needs_chromium
def test_an_outlier_is_clipped_and_told_of(tmp_path, browser):
    browser.open(written(write_run(tmp_path, [index % 10 for index in range(500)] + [1e6])))
    assert "1 beyond this scale, up to 1,000,000" in browser.all("svg text", "one.textContent")
    assert "10" in browser.all("svg text[text-anchor=end]", "one.textContent")


@needs_chromium
def test_runs_of_a_group_have_their_mean_and_spread_drawn(tmp_path, browser):
    runs = [write_run(tmp_path / ("ppo_%d" % seed), [seed] * 20) for seed in (1, 2, 3)]
    browser.open(written(*runs, write_run(tmp_path / "alone", [9] * 20, env_id="Other-v0")))
    assert len(browser.all(".plot:first-child .band", "0")) == 1
    labels = browser.all(".plot:first-child g[role=img]", "one.getAttribute('aria-label')")
    assert "Mean return of Pole-v0 · ppo with its standard deviation" in labels
    assert "Mean return of alone: from 9 to 9" in labels


@needs_chromium
def test_a_box_in_the_table_takes_runs_off_the_plot(tmp_path, browser):
    browser.open(written(*[write_run(tmp_path / name, range(9)) for name in ("ppo_1", "ppo_2", "a2c")]))
    assert browser.all("tbody label", "one.innerText.trim()") == ["ppo, 2 runs", "ppo_1", "ppo_2", "a2c"]
    browser.click("tbody input", 0)
    assert browser.all("tbody input", "one.checked") == [False, False, False, True]
    assert len(browser.all(".plot:first-child .line", "0")) == 1 and "off=ppo_1" in browser.run("location.hash")


@needs_chromium
def test_every_mark_and_control_has_a_name_for_screen_readers(sample, browser):
    browser.open(written(sample))
    assert "Video: Episode 8, return 2.828, 10 steps, at step 90" in browser.all(
        ".mark", "one.getAttribute('aria-label')")
    assert "" not in browser.all("button", "one.getAttribute('aria-label') || one.textContent")
    assert "" not in browser.all("input", "one.getAttribute('aria-label') || one.closest('label').textContent.trim()")
    assert "" not in browser.all("video, img, pre, svg", "one.getAttribute('aria-label') || one.alt || ''")


@needs_chromium
def test_a_page_without_an_episode_says_so(tmp_path, browser):
    browser.open(written(write_run(tmp_path, [], start=time.time() - 40)))
    assert re.search("no episode yet, started 4. s ago", browser.run("document.body.innerText"))
    assert browser.complaints() == []


@needs_chromium
@pytest.mark.parametrize("returns", [
    [5], [5, 5, 5], [1e15, 1e15 + 1], [-1e299, 1e299], [-1e308, 1e308], [math.nan], [1e-300, 0]])
def test_the_page_draws_whatever_the_returns_are(tmp_path, browser, returns):
    browser.open(written(write_run(tmp_path, returns)))
    assert not re.search("NaN|Infinity", browser.run("document.querySelector('#plots').innerHTML"))
    assert browser.complaints() == []


@needs_chromium
def test_a_plot_is_saved_as_svg_with_its_styles(sample, browser, tmp_path):
    browser.open(written(sample))
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click(".plot button")
    wait_until((tmp_path / "return.svg").exists)
    saved = (tmp_path / "return.svg").read_text(encoding="utf-8")
    assert saved.startswith("<svg") and "rgb(31, 99, 181)" in saved


@needs_chromium
def test_a_mark_leads_to_its_video_in_a_notebooks_frame_too(sample, tmp_path, browser):
    page = tmp_path / "notebook.html"
    page.write_text("<!DOCTYPE html><meta charset=utf-8>" + report(sample)._repr_html_(), encoding="utf-8")
    browser.open(page)
    frame = "document.querySelector('iframe').contentDocument"
    browser.run(frame + ".querySelectorAll('.mark')[1].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert browser.run(frame + ".activeElement.querySelector('b').textContent") == "Episode 8"
    assert browser.run(frame + ".querySelector('svg').getBoundingClientRect().bottom") < 800
    assert browser.complaints() == []


@needs_chromium
def test_an_open_page_is_renewed_only_by_news_and_keeps_what_was_chosen(sample, browser):
    other = write_run(os.path.join(os.path.dirname(sample), "other"), range(9))
    browser.open(written(sample, other, refresh=0.2), width=400)
    browser.run("document.querySelector('[value=episodes]').click(), document.querySelector('tbody input').click(), "
                "scrollTo(0, 150), window.old = true, 0")
    time.sleep(1)
    assert browser.run("window.old") is True
    with open(os.path.join(sample, "openaigym.episode_batch.0.1.monitor.csv"), "a") as journal:
        journal.write("99.0,10,9999.0,t\n")
    written(sample, other, refresh=0.2)

    def asked(question):
        with contextlib.suppress(AssertionError):       # asked while the page was being replaced
            return browser.run(question)
    wait_until(lambda: asked("!window.old && document.readyState === 'complete' && "
                             "document.querySelector('tbody td').textContent === '59'"))
    wait_until(lambda: asked("scrollY") == 150)
    assert browser.all("[name=axis]:checked", "one.value") == ["episodes"]
    assert browser.all("tbody input", "one.checked") == [False, True]


# ---------------------------------------------------------------------------------------------------------------------
# Demo and command line
# ---------------------------------------------------------------------------------------------------------------------

Finished = collections.namedtuple("Finished", "status out err")


def command(*arguments, **environment):
    process = subprocess.Popen([sys.executable, MODULE] + [str(argument) for argument in arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env=dict(os.environ, **dict({"PYTHONIOENCODING": "utf-8"}, **environment)))
    out, err = process.communicate()
    return Finished(process.returncode, out.decode("utf-8"), err.decode("utf-8"))


@pytest.mark.parametrize("ffmpeg", [pytest.param(True, marks=needs_ffmpeg), False], ids=["ffmpeg", "png"])
def test_the_demo_learns_and_is_filmed(tmp_path, ffmpeg):
    finished = command("demo", tmp_path / "demo", **{} if ffmpeg else {"PATH": str(tmp_path)})
    assert (finished.status, finished.err) == (0, "") and "Lander" in finished.out
    results = load_results(str(tmp_path / "demo"))
    returns, successes = results["episode_rewards"], results["info"]["success"]
    assert len(returns) == 60 and sum(returns[-20:]) > sum(returns[:20])
    assert sum(successes[-20:]) > sum(successes[:20]) and len(results["videos"]) == 5
    for path, metadata in results["videos"]:
        with open(metadata) as file:
            number = json.load(file)["episode_id"]
        frames = probe(path)["frames"] if ffmpeg else round(30 * sum(delay for _, delay in png_frames(path)[1]))
        assert frames == results["episode_lengths"][number] + 1


def test_report_prints_a_summary_of_80_columns(tmp_path):
    directory = write_run(tmp_path / ("long" * 30), range(500), env_id="An/Environment-" + "\u6f22" * 80)
    write_video(directory, 3, ".mp4", None, broken=True, error="reason " * 30)
    finished = command("report", directory)
    assert (finished.status, finished.err) == (0, "") and "▁▂▃▄▅▆▇█" in re.sub(r"(.)\1+", r"\1", finished.out)
    for word in ("episodes", "steps", "return", "mean", "best", "last 100", "videos"):
        assert word in finished.out
    assert max(map(gym_monitor._columns, finished.out.splitlines()[:-1])) <= 80


def test_report_prints_a_table_of_several_runs(tmp_path):
    for seed, value in enumerate((100, 110, 126)):
        write_run(tmp_path / ("ppo_seed%d" % seed), [value] * 3)
    out = command("report", tmp_path).out
    assert re.search(r"ppo, 3 runs +9 +90 .* 112\.0 ± 13\.1\n  ppo_seed0 +3 +30 .* 100\n", out)
    assert max(map(len, out.splitlines()[:-1])) <= 80 and "\x1b" not in out


def test_what_a_terminal_cannot_show_is_left_out(tmp_path):
    directory = write_run(tmp_path / "caf\u00e9", range(8), env_id="\x1b[2J\x07Pole")
    other = write_run(tmp_path / "caf\u00e9_1", range(8), env_id="\x1b[2J\x07Pole")
    finished = command("report", directory, PYTHONIOENCODING="ascii")
    assert finished.status == 0 and "_.-=+*#@" in finished.out and "caf?" in finished.out and "\x1b" not in finished.out
    assert "+-" in command("report", directory, write_run(tmp_path / "caf\u00e9_2", [5], env_id="\x1b[2J\x07Pole"),
                           other, PYTHONIOENCODING="ascii").out
    assert "caf?" in command("clear", directory, PYTHONIOENCODING="ascii").out and files(directory) == []


def test_json_is_strict_and_writes_no_page(tmp_path):
    dirs = [write_run(tmp_path / "one", [math.nan]), write_run(tmp_path / "two", [math.inf, 1])]
    numbers = json.loads(command("report", "--json", *dirs).out, parse_constant=pytest.fail)
    assert [(one["directory"], one["return_mean"], one["not_finite"]) for one in numbers] == [
        (dirs[0], None, 1), (dirs[1], 1.0, 1)]
    assert not files(dirs[0], ".html")
    command("report", "--json", dirs[0], "--html", tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()


def test_csv_has_every_episode_with_keywords_and_video(tmp_path):
    one = write_run(tmp_path / "one", [1.5, math.nan], types="te", success=["True", "False"])
    video = write_video(one, 1, ".png", png())
    two = write_run(tmp_path / "two", [2], score=[0.5])
    rows = list(csv.reader(io.StringIO(command("report", "--csv", one, two).out)))
    assert rows == [
        ["run", "episode", "return", "length", "time", "type", "success", "score", "video"],
        ["one", "0", "1.5", "10", "1700000001.0", "t", "True", "", ""],
        ["one", "1", "nan", "10", "1700000002.0", "e", "False", "", video],
        ["two", "0", "2.0", "10", "1700000001.0", "t", "", "0.5", ""]]
    assert not files(one, ".html")


def test_the_page_goes_into_the_first_directory(tmp_path):
    dirs = [write_run(tmp_path / "one", [1]), write_run(tmp_path / "two", [1])]
    out = command("report", *dirs).out
    assert out.endswith("The page: %s\n" % os.path.join(dirs[0], "openaigym.report.html"))
    assert files(dirs[0], ".html") == ["openaigym.report.html"] and not files(dirs[1], ".html")
    assert not [name for name in files(dirs[0]) if "tmp" in name]


def test_the_page_goes_to_standard_output_into_a_pipe_or_through_a_link(tmp_path):
    directory = write_run(tmp_path / "run", [1])
    assert command("report", directory, "--html", "-").out.startswith("<!DOCTYPE html>")
    pipe, link, target = (str(tmp_path / name) for name in ("pipe", "link", "target"))
    os.mkfifo(pipe)
    os.symlink("target", link)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    for path in (pipe, link):
        assert command("report", directory, "--html", path).status == 0
    assert reader.communicate()[0].startswith(b"<!DOCTYPE html>")
    assert os.path.islink(link) and os.path.getsize(target) > 10000 and stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert not files(directory, ".html")


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(sample, tmp_path):
    finished = command("report", sample, "--html", tmp_path / "missing" / "page.html")
    assert finished.status == 1 and re.search("missing.* cannot be written.*--html", finished.err)


def test_a_directory_of_runs_stands_for_all_runs_below_it(tmp_path):
    for name in ("ppo/1", "ppo/2", "deep/er/a2c"):
        write_run(tmp_path / "runs" / name, [1])
    os.symlink(str(tmp_path / "runs" / "ppo"), str(tmp_path / "runs" / "link"))
    damaged = write_run(tmp_path / "runs" / "damaged", [1])
    with open(os.path.join(damaged, "openaigym.episode_batch.0.1.monitor.csv"), "w") as file:
        file.write("no journal\n")
    out = command("report", tmp_path / "runs").out
    assert "ppo, 2 runs" in out and "deep/er/a2c" in out and "link" not in out and "Left out: " in out
    assert files(tmp_path / "runs", ".html") == ["openaigym.report.html"]


def test_of_very_many_runs_the_newest_50_are_shown(tmp_path):
    for number in range(52):
        path = write_run(tmp_path / ("run%02d" % number), [1])
        os.utime(os.path.join(path, files(path)[0]), (number + 1e9,) * 2)
    made = gym_monitor._read_curves([str(tmp_path)])
    assert len(made[0]) == 50 and made[0][0].name == "run02" and "newest 50 of the 52 runs" in made[1]


def test_watch_waits_for_a_run_and_prints_a_line_as_episodes_arrive(tmp_path, ctrl_c):
    directory, page = tmp_path / "run", tmp_path / "run" / "openaigym.report.html"
    script = "import sys, gym_monitor; gym_monitor._REFRESH_SECONDS = 0.2; " \
             "sys.exit(gym_monitor.main(['report', '--watch', sys.argv[1]]))"
    process = subprocess.Popen([sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE,
                               cwd=os.path.dirname(MODULE), universal_newlines=True)
    try:
        assert process.stdout.readline() == "Waiting for a run in %s; Ctrl-C ends it.\n" % directory
        write_run(directory, [1, 2])
        wait_until(page.exists)
        assert page_data(page.read_text(encoding="utf-8"))["refresh"] == 0.2
        (directory / "openaigym.other.html").write_text("")     # another page is no news
        time.sleep(0.6)
        write_run(directory, [1, 2, 3])
        lines = iter(process.stdout.readline, "")
        assert any(re.match(r"\d\d:\d\d:\d\d  3 episodes  30 steps  last 100 2 ", line) for line in lines)
        process.send_signal(ctrl_c)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    data = page_data(page.read_text(encoding="utf-8"))
    assert data["runs"][0]["cells"][0] == "3" and data["refresh"] is None       # nothing newer will come


@pytest.mark.parametrize("dry", [False, True])
def test_clear_says_what_it_removes_or_would(run, dry):
    write_video(write_run(run, [1]), 0, ".png", png())
    (open(os.path.join(run, "mine.csv"), "w")).close()
    finished = command("clear", run, *["--dry-run"] * dry)
    assert finished.status == 0 and finished.out.count("openaigym.") == 3
    assert finished.out.endswith("3 files %s.\n" % ("would be removed" if dry else "removed"))
    assert len(files(run)) == (4 if dry else 1)


@pytest.mark.parametrize("name", ["report", "clear"])
def test_a_command_whose_output_nobody_reads_does_its_work(run, name):
    write_run(run, [1])
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([sys.executable, MODULE, name, run], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.communicate()[1], process.returncode) == (b"", 0)
    assert ("openaigym.report.html" in files(run)) if name == "report" else files(run) == []


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that can close standard error: any Unix has one")
@pytest.mark.parametrize("name, directory, status", [("demo", "new", 0), ("report", "new/missing", 1)])
def test_commands_work_without_standard_error(tmp_path, name, directory, status):
    process = subprocess.Popen(["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, MODULE, name,
                                str(tmp_path / directory)], stdout=subprocess.PIPE)
    out = process.communicate()[0]
    assert process.returncode == status and (b"episodes" in out) == (status == 0) and (out == b"") == (status == 1)


@pytest.mark.parametrize("arguments, words", [
    (["report", "no/such/directory"], "no/such/directory"), (["clear", "no/such/directory"], "no/such/directory"),
    ([], "gym_monitor.py --help"), (["dance"], "gym_monitor.py --help"), (["report"], "gym_monitor.py report --help"),
    (["clear", "a", "b"], "--help")])
def test_an_error_is_one_line_with_the_way_out_and_exit_status_1(arguments, words):
    finished = command(*arguments)
    assert finished.status == 1 and len(finished.err.splitlines()) == 1 and finished.out == ""
    assert words in finished.err and "Traceback" not in finished.err


@pytest.mark.parametrize("name", ["demo", "report", "clear"])
def test_help_says_what_each_argument_is(name):
    finished = command(name, "--help")
    assert finished.status == 0 and re.search(r"\n  DIR +\w", finished.out)
    assert command("--version").out.strip() == gym_monitor.__version__


def test_a_zipapp_and_python_m_give_the_exit_status(tmp_path):
    (tmp_path / "app").mkdir()
    shutil.copy(MODULE, str(tmp_path / "app" / "gym_monitor.py"))
    subprocess.check_call([sys.executable, "-m", "zipapp", str(tmp_path / "app"), "-m", "gym_monitor:main"])
    for start in ([str(tmp_path / "app.pyz")], ["-m", "gym_monitor"]):
        for directory, status in ((write_run(tmp_path / "run", [1]), 0), ("missing", 1)):
            process = subprocess.Popen([sys.executable] + start + ["report", directory], cwd=os.path.dirname(MODULE),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.communicate()
            assert process.returncode == status


def test_importing_brings_nothing_of_report_and_demo():
    names = "argparse html base64 decimal urllib.parse".split()
    out = subprocess.check_output([sys.executable, "-S", "-c", "import sys, gym_monitor; print(*sys.modules)"],
                                  cwd=os.path.dirname(MODULE))
    assert not set(names) & set(out.decode().split())
