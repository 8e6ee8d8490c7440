"""The specification of gym_monitor, as tests: real files, real processes, the real ffmpeg where there is one.

Run with `python -m pytest`. What needs ffmpeg, numpy, Pillow, gymnasium or another package is skipped where it is
missing, with a reason that says what to install.
"""
import collections
import contextlib
import copy
import csv
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
import logging
import math
import multiprocessing
import os
import pickle
import pydoc
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.parse
import warnings
import zlib

import pytest

import gym_monitor
from gym_monitor import (
    DependencyNotInstalled,
    Error,
    InvalidFrame,
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
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


# ---------------------------------------------------------------------------------------------------------------------
# Tiny environments and helpers, for all tests
# ---------------------------------------------------------------------------------------------------------------------

class Walk:
    """Episodes of a fixed length; the reward of a step is its number. Five values a step, as in gymnasium."""

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
    """The same with four values a step, as in gym."""

    def reset(self):
        self.steps = 0
        return "first"

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, int(reward), terminated or truncated, info


class Picture(Walk):
    """One that draws: a white square moves over a dark ground, a step at a time."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}
    render_mode = "rgb_array"
    height, width, channels = 32, 48, 3

    def render(self):
        return frame(self.height, self.width, self.channels, lambda row, column: (
            (255,) * 4 if 4 <= row < 12 and 0 <= column - 2 * self.steps < 8 else (20, 30, 40, 255)))


class OldPicture(Picture):
    """In gym's old form: the mode is an argument of `render`."""

    metadata = {"render.modes": ["human", "rgb_array"], "video.frames_per_second": 12}
    render_mode = property()  # there is none

    def render(self, mode="human"):
        assert mode == "rgb_array"
        return super().render()


class Text(Walk):
    metadata = {"render_modes": ["ansi"], "render_fps": 4}
    render_mode = "ansi"

    def render(self):
        return f"step {self.steps}\n\x1b[41mhere\x1b[0m\n"


class Autoreset(Walk):
    """The step that ends an episode begins the next one."""

    metadata = {"semantics.autoreset": True}

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


def play(env, episodes=1):
    """Play whole episodes."""
    for _ in range(episodes):
        env.reset()
        done = False
        while not done:
            result = env.step(0)
            done = any(result[2:-1])


def files(directory, ending=""):
    return sorted(name for name in os.listdir(str(directory)) if name.endswith(ending))


def read_json(directory, ending):
    name, = files(directory, ending)
    with open(os.path.join(str(directory), name)) as file:
        return json.load(file)


def journal_rows(directory):
    name, = files(directory, ".monitor.csv")
    with open(os.path.join(str(directory), name), newline="") as file:
        header = json.loads(file.readline()[1:])
        return header, list(csv.DictReader(file))


def probe(path):
    """What ffprobe says of a video: a dictionary, `frames` counted."""
    out = subprocess.check_output(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "json",
                                   "-show_streams", "-show_format", str(path)])
    found = json.loads(out.decode())
    return dict(found["streams"][0], format=found["format"], frames=int(found["streams"][0]["nb_read_frames"]))


def decode(path, index, size):
    """The pixels of one frame of a video, as rows of (r, g, b)."""
    width, height = size
    raw = subprocess.check_output(["ffmpeg", "-v", "error", "-i", str(path), "-vf", f"select=eq(n\\,{index})",
                                   "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    assert len(raw) == 3 * width * height
    return [[tuple(raw[3 * (row * width + column):][:3]) for column in range(width)] for row in range(height)]


def png_frames(path):
    """The frames of an animated PNG with their delays in seconds, decoded here by the letter of the standard."""
    with open(str(path), "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        content = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + content)
        chunks.append((kind, content))
        at += 12 + length
    assert chunks[0][0] == b"IHDR" and chunks[1][0] == b"acTL" and chunks[-1] == (b"IEND", b"")
    width, height, depth, colour, _, _, _ = struct.unpack(">IIBBBBB", chunks[0][1])
    channels = {0: 1, 2: 3, 6: 4}[colour]
    canvas, frames, sequence, control = bytearray(width * height * channels), [], 0, None
    for kind, content in chunks[2:-1]:
        if kind == b"fcTL":
            number, w, h, x, y, numerator, denominator, dispose, blend = struct.unpack(">IIIIIHHBB", content)
            assert (number, dispose, blend) == (sequence, 0, 0)
            control, sequence = (w, h, x, y, numerator / denominator), sequence + 1
            continue
        if kind == b"fdAT":
            assert struct.unpack(">I", content[:4])[0] == sequence
            content, sequence = content[4:], sequence + 1
        w, h, x, y, delay = control
        raw = zlib.decompress(content)
        for row in range(h):
            line = raw[row * (w * channels + 1):(row + 1) * (w * channels + 1)]
            assert line[0] == 0
            start = ((y + row) * width + x) * channels
            canvas[start:start + w * channels] = line[1:]
        frames.append((bytes(canvas), delay))
    assert struct.unpack(">II", chunks[1][1]) == (len(frames), 0)
    return (width, height, channels), frames


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path_factory):
    """A PATH without ffmpeg."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


@pytest.fixture
def run(tmp_path):
    return str(tmp_path / "run")


@pytest.fixture(autouse=True)
def fresh_start():
    """What is counted in a process is counted in a test: warnings that were given, and monitors."""
    gym_monitor._warned.clear()
    Monitor._number_of_monitors = 0


# ---------------------------------------------------------------------------------------------------------------------
# The contract of an episode
# ---------------------------------------------------------------------------------------------------------------------

def test_results_are_the_environments_own_objects(run):
    env = Walk()
    answers = []
    reset, step = env.reset, env.step
    env.reset = lambda **kwargs: answers.append(reset(**kwargs)) or answers[-1]
    env.step = lambda action: answers.append(step(action)) or answers[-1]
    with Monitor(env, run) as monitor:
        assert monitor.reset() is answers[-1]
        for _ in range(3):
            assert monitor.step(0) is answers[-1]


@pytest.mark.parametrize("walk", [Walk, OldWalk])
def test_four_and_five_values_a_step_are_counted_alike(run, walk):
    with Monitor(walk(length=4), run) as env:
        play(env, 2)
    results = load_results(run)
    assert results["episode_lengths"] == [4, 4]
    assert results["episode_rewards"] == [10.0, 10.0]
    assert results["episode_types"] == ["t", "t"]


def test_a_truncated_episode_is_over(run):
    env = Walk()
    env.step = lambda action: (0, 1.0, False, True, {})
    with Monitor(env, run) as monitor:
        monitor.reset()
        monitor.step(0)
        assert monitor.get_episode_lengths() == [1]


def test_stepping_before_the_first_reset_is_an_error(run):
    with Monitor(Walk(), run) as env:
        with pytest.raises(ResetNeeded, match="before the first reset"):
            env.step(0)


def test_stepping_past_the_end_is_an_error(run):
    with Monitor(Walk(), run) as env:
        play(env)
        with pytest.raises(ResetNeeded, match="past the end"):
            env.step(0)


def test_reset_in_mid_episode_names_the_way_out(run):
    with Monitor(Walk(), run) as env:
        env.reset()
        env.step(0)
        with pytest.raises(Error, match="allow_early_resets=True"):
            env.reset()
        env.step(0)
        env.step(0)
        assert env.get_episode_lengths() == [3]


def test_with_allow_early_resets_the_unfinished_episode_is_dropped(run):
    with Monitor(Walk(), run, allow_early_resets=True) as env:
        env.reset()
        env.step(0)
        play(env)
        assert env.get_episode_lengths() == [3]
        assert env.get_total_steps() == 4
        assert env.episode_id == 1


def test_several_resets_in_a_row_are_one_episode(run):
    with Monitor(Walk(), run) as env:
        env.reset()
        env.reset()
        assert env.episode_id == 0
        play(env)
        assert env.episode_id == 1
    stats = read_json(run, ".stats.json")
    assert {len(stats[key]) for key in ("timestamps", "episode_lengths", "episode_rewards", "episode_types")} == {1}


def test_an_exception_out_of_step_passes_and_the_broken_episode_is_not_counted(run):
    env = Walk(length=3)
    step = env.step
    with Monitor(env, run) as monitor:
        monitor.reset()
        monitor.step(0)
        env.step = lambda action: 1 / 0
        with pytest.raises(ZeroDivisionError):
            monitor.step(0)
        env.step = step
        play(monitor)
        assert monitor.get_episode_lengths() == [3]


def test_an_autoreset_environment_begins_the_next_episode_by_itself(run):
    with Monitor(Autoreset(length=2), run) as env:
        env.reset()
        for _ in range(5):
            env.step(0)
        assert env.get_episode_lengths() == [2, 2]
        assert env.episode_id == 2


def test_the_mode_counts_from_the_next_reset(run):
    with Monitor(Walk(), run, mode="evaluation") as env:
        env.reset()
        env.set_monitor_mode("training")
        play(env, 2)
    assert load_results(run)["episode_types"] == ["t", "t"]
    with Monitor(Walk(), run, resume=True, mode="evaluation") as env:
        play(env)
        env.set_monitor_mode("training")
    assert load_results(run)["episode_types"] == ["t", "t", "e"]


def test_reset_arguments_reach_the_environment(run):
    env = Walk()
    with Monitor(env, run) as monitor:
        monitor.reset(seed=3, options={"x": 1})
    assert env.options == {"seed": 3, "options": {"x": 1}}


def test_start_close_start_again(tmp_path):
    env = Monitor(Walk())
    play(env)  # not recorded yet
    for name in ("a", "b"):
        env.start(str(tmp_path / name))
        assert env.enabled
        play(env, 2)
        env.close()
        assert not env.enabled
    for name in ("a", "b"):
        assert load_results(str(tmp_path / name))["episode_lengths"] == [3, 3]


def test_starting_a_monitor_that_records_is_an_error(run):
    with Monitor(Walk(), run) as env:
        with pytest.raises(Error, match="recording"):
            env.start(run + "2")


def test_close_is_idempotent_and_closes_the_environment_once(run):
    env = Walk()
    monitor = Monitor(env, run)
    play(monitor)
    monitor.close()
    monitor.close()
    assert env.closed == 1
    assert monitor.get_episode_rewards() == [6.0]


def test_close_returns_what_the_environments_does(run):
    env = Walk()
    env.close = lambda: "closed"
    assert Monitor(env, run).close() == "closed"


def test_gyms_wrappers_are_told_the_class_of_a_monitor(run):
    class Named(Walk):
        class_name = "of the environment"

    assert Monitor(Named(), run).class_name() == "Monitor"


def test_attributes_are_the_environments_own(run):
    env = Walk()
    env.action_space, env.answer = "space", 42
    with Monitor(env, run) as monitor:
        assert monitor.action_space == "space" and monitor.answer == 42
        assert monitor.env is env and monitor.unwrapped is env
        assert not hasattr(monitor, "no_such_thing") and not hasattr(monitor, "_steps_taken")
        assert monitor.directory == os.path.abspath(run)
        assert isinstance(monitor, Monitor)


def test_getters_are_named_as_in_gym_and_stable_baselines3(run):
    with Monitor(Walk(), run) as env:
        play(env, 2)
        env.reset()
        env.step(0)
        assert env.get_total_steps() == 7
        assert env.get_episode_rewards() == [6.0, 6.0]
        assert env.get_episode_lengths() == [3, 3]
        first, second = env.get_episode_times()
        assert 0 <= first <= second


def test_info_episode_is_as_in_record_episode_statistics(run):
    with Monitor(Walk(), run) as env:
        env.reset()
        infos = [env.step(0)[-1] for _ in range(3)]
    assert infos[:2] == [{}, {}]
    assert infos[2]["episode"]["r"] == 6.0 and infos[2]["episode"]["l"] == 3 and infos[2]["episode"]["t"] >= 0


def test_an_info_episode_that_is_there_is_left_alone(run):
    with Monitor(Walk(length=1, info={"episode": "mine"}), run) as env:
        env.reset()
        assert env.step(0)[-1] == {"episode": "mine"}


def test_info_episode_is_of_each_episode_where_the_environment_has_one_info_for_all(run):
    class Frugal(Walk):
        def step(self, action):
            return super().step(action)[:-1] + (self.info,)

    with Monitor(Frugal(), run) as env:
        for length in (2, 3):
            env.env.length = length
            play(env)
            assert env.info["episode"]["l"] == length


def test_stats_key_none_leaves_info_alone_and_another_key_is_used(tmp_path):
    for key, expected in ((None, set()), ("summary", {"summary"})):
        with Monitor(Walk(length=1), str(tmp_path / str(key)), stats_key=key) as env:
            env.reset()
            assert set(env.step(0)[-1]) == expected


def test_info_keywords_go_into_the_journal(run):
    with Monitor(Walk(info={"success": True, "why": 'a "b", c\nd'}), run, info_keywords=("success", "why")) as env:
        play(env)
    _, rows = journal_rows(run)
    assert rows[0]["success"] == "True" and rows[0]["why"] == 'a "b", c d'
    assert load_results(run)["episode_lengths"] == [3]


class Silent:
    def __str__(self):
        raise RuntimeError("no name")


@pytest.mark.parametrize("value, cell", [
    ("caf\udce9.txt", "caf\\udce9.txt"), (Silent(), ""), ('a,"' * 100000, None), ('nul\0 "quoted"', 'nul  "quoted"'),
    ("line\u2028line\x85line", "line line line"),
], ids=["a surrogate", "no text", "long", "nul", "line ends"])
def test_info_keywords_may_be_awkward(run, value, cell):
    env = Monitor(Walk(info={"what": value}), run, False, info_keywords=("what",))
    play(env, 2)
    assert load_results(run)["episode_rewards"] == [6.0, 6.0]  # there is no JSON yet, so the journal counts
    _, rows = journal_rows(run)
    assert [row["what"] == cell if cell is not None else row["what"][:3] == 'a,"' for row in rows] == [True, True]
    env.close()


def test_a_copy_of_a_monitor_records_nothing_and_leaves_the_recording_alone(run):
    with Monitor(Walk(), run) as env:
        play(env)
        for other in (copy.deepcopy(env), copy.copy(env), pickle.loads(pickle.dumps(env))):
            assert not other.enabled and other.env.length == 3
            play(other)
            del other
        play(env)
    assert load_results(run)["episode_lengths"] == [3, 3]


def test_a_monitor_in_a_monitor_records_too(tmp_path):
    with Monitor(Monitor(Walk(), str(tmp_path / "inner")), str(tmp_path / "outer")) as env:
        play(env, 2)
    assert load_results(str(tmp_path / "inner"))["episode_rewards"] == [6.0, 6.0]
    assert load_results(str(tmp_path / "outer"))["episode_rewards"] == [6.0, 6.0]


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, words", [
    (dict(video_callable=True), "video_callable"), (dict(video_callable=3), "video_callable"),
    (dict(mode="testing"), "mode"), (dict(uid="a/b"), "uid"), (dict(uid=".."), "uid"), (dict(uid="x" * 300), "uid"),
    (dict(uid="a\0b"), "uid"), (dict(uid="x.batch1"), "uid"), (dict(fps=0), "fps"), (dict(fps="fast"), "fps"),
    (dict(step_trigger=5), "step_trigger"), (dict(keep_video=5), "keep_video"), (dict(video_length=-1), "video_length"),
    (dict(video_length=2.5), "video_length"), (dict(info_keywords="success"), "info_keywords"),
    (dict(info_keywords=("r",)), "info_keywords"), (dict(info_keywords=("a,b",)), "info_keywords"),
    (dict(stats_key=1), "stats_key"),
])
def test_a_bad_argument_is_one_clear_error_and_leaves_nothing(run, arguments, words):
    with pytest.raises(Error, match=words):
        Monitor(Walk(), run, **arguments)
    assert not os.path.exists(run)


def test_a_directory_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Error, match="not a directory"):
        Monitor(Walk(), str(tmp_path / "file"))
    with pytest.raises(Error, match="cannot be made"):
        Monitor(Walk(), str(tmp_path / "file" / "below"))
    assert (tmp_path / "file").read_text() == "mine"


def test_an_object_that_is_no_environment_is_an_error(run):
    with pytest.raises(Error, match="reset"):
        Monitor(object(), run)


def test_a_vector_environment_is_refused_by_name(run):
    env = Walk()
    env.num_envs = 2
    with pytest.raises(Error, match="num_envs.*VectorMonitor"):
        Monitor(env, run)


@pytest.mark.parametrize("result", [None, (), (0, 1.0), (0, 1.0, True, False, {}, 6), 5, {}])
def test_a_step_of_the_wrong_shape_is_an_error(run, result):
    env = Walk()
    env.step = lambda action: result
    with Monitor(env, run) as monitor:
        monitor.reset()
        with pytest.raises(Error, match="step"):
            monitor.step(0)
        monitor.reset()


def test_a_path_object_is_a_directory(tmp_path):
    with Monitor(Walk(), tmp_path / "run") as env:
        play(env)
    assert load_results(str(tmp_path / "run"))["episode_lengths"] == [3]


# ---------------------------------------------------------------------------------------------------------------------
# Statistics and files
# ---------------------------------------------------------------------------------------------------------------------

def test_a_directory_holds_journal_statistics_and_manifest_of_its_own(run):
    with Monitor(Walk(), run, uid="me") as env:
        play(env, 2)
        infix = env.file_infix
        assert infix.endswith(".me")
    assert files(run) == [f"openaigym.episode_batch.{infix}.monitor.csv",
                          f"openaigym.episode_batch.{infix}.stats.json",
                          f"openaigym.manifest.{infix}.manifest.json"]
    manifest = read_json(run, ".manifest.json")
    assert manifest["stats"] == files(run, ".stats.json")[0] and manifest["videos"] == []
    assert set(manifest["env_info"]) == {"env_id", "gym_version"}


def test_the_journal_has_a_row_the_moment_an_episode_is_over(run):
    env = Monitor(Walk(), run)
    assert journal_rows(run)[1] == []
    play(env, 2)
    header, rows = journal_rows(run)
    assert {"t_start", "env_id"} <= set(header)
    assert [list(row) for row in rows] == [["r", "l", "t", "type"]] * 2
    assert [(row["r"], row["l"], row["type"]) for row in rows] == [("6.0", "3", "t")] * 2
    env.close()


def test_journal_and_json_hold_the_same_numbers_exactly(run):
    env = Walk(length=1)
    rewards = iter([0.1, 1e-300, 1 / 3, float("inf"), -0.0, 12345678901234567.0])
    env.step = lambda action: (0, next(rewards), True, False, {})
    with Monitor(env, run) as monitor:
        play(monitor, 6)
    header, rows = journal_rows(run)
    stats = read_json(run, ".stats.json")
    assert [float(row["r"]) for row in rows] == stats["episode_rewards"]
    assert [header["t_start"] + float(row["t"]) for row in rows] == stats["timestamps"]


def test_write_upon_reset_writes_statistics_and_manifest_as_episodes_end(run):
    env = Monitor(Walk(), run, write_upon_reset=True)
    env.reset()
    assert read_json(run, ".stats.json")["episode_lengths"] == [] and files(run, ".manifest.json")
    for _ in range(3):
        env.step(0)
    assert read_json(run, ".stats.json")["episode_lengths"] == [3]
    env.close()


def test_a_directory_made_anew_gets_statistics_and_manifest_anew(run, monkeypatch):
    monkeypatch.setattr(gym_monitor, "_BATCH", 4)
    env = Monitor(Walk(length=1), run, write_upon_reset=True)
    play(env, 9)
    shutil.rmtree(run)
    os.mkdir(run)
    env.close()
    stats = read_json(run, ".stats.json")
    assert len(stats["timestamps"]) == 9 and read_json(run, ".manifest.json")["stats"] in files(run)


def test_without_write_upon_reset_the_json_comes_with_close(run):
    env = Monitor(Walk(), run)
    play(env, 2)
    assert files(run, ".json") == []
    env.close()
    assert len(files(run, ".json")) == 2


def test_full_batches_stay_as_they_are(run, monkeypatch):
    monkeypatch.setattr(gym_monitor, "_BATCH", 4)
    env = Monitor(Walk(length=1), run, write_upon_reset=True)
    play(env, 4)
    first, = files(run, ".stats.json")
    before = os.stat(os.path.join(run, first)).st_mtime_ns
    play(env, 6)
    assert [name.rsplit(".", 3)[1] for name in files(run, ".stats.json")].count("batch1") == 1
    assert os.stat(os.path.join(run, first)).st_mtime_ns == before
    assert len(files(run, ".manifest.json")) == 3
    assert len(load_results(run)["episode_lengths"]) == 10
    env.close()
    assert len(load_results(run)["episode_lengths"]) == 10


def test_the_stats_recorder_works_alone(tmp_path):
    recorder = StatsRecorder(str(tmp_path), "openaigym.episode_batch.0.alone", env_id="Walk")
    with pytest.raises(ResetNeeded):
        recorder.before_step(0)
    recorder.before_reset()
    recorder.after_reset("first")
    for step in range(3):
        recorder.before_step(0)
        recorder.after_step(step, 2.0, step == 2, {})
    with pytest.raises(ResetNeeded):
        recorder.before_step(0)
    recorder.type = "e"
    recorder.before_reset()
    recorder.after_reset("first")
    recorder.before_step(0)
    recorder.after_step(0, 1.0, False, {})
    with pytest.raises(Error):
        recorder.before_reset()
    with pytest.raises(Error):
        recorder.type = "x"
    with pytest.raises(Error, match="number"):
        recorder.after_step(0, "what", False, {})
    with pytest.raises(ResetNeeded):
        recorder.before_step(0)
    recorder.before_reset()
    recorder.close()
    assert (recorder.episode_lengths, recorder.episode_rewards, recorder.episode_types) == ([3], [6.0], ["t"])
    assert recorder.total_steps == 4
    assert recorder.initial_reset_timestamp <= recorder.timestamps[0]
    with open(recorder.path) as file:
        assert json.load(file)["episode_rewards"] == [6.0]


def test_a_recorder_in_a_relative_directory_stays_there(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(str(tmp_path))
    recorder = StatsRecorder("mine", "alone")
    monkeypatch.chdir(str(tmp_path / "mine"))
    recorder.close()
    assert files(tmp_path / "mine") == ["alone.monitor.csv", "alone.stats.json"]


def test_two_recorders_cannot_have_the_same_files(tmp_path):
    recorder = StatsRecorder(str(tmp_path), "openaigym.episode_batch.0.x")
    with pytest.raises(Error, match="belongs to another"):
        StatsRecorder(str(tmp_path), "openaigym.episode_batch.0.x")
    recorder.close()


# ---------------------------------------------------------------------------------------------------------------------
# Directories
# ---------------------------------------------------------------------------------------------------------------------

def test_an_earlier_run_is_refused_with_its_files_and_both_ways_out(run):
    for uid in "abcd":
        with Monitor(Walk(), run, uid=uid, resume=True) as env:
            play(env)
    with pytest.raises(Error) as refused:
        Monitor(Walk(), run)
    text = str(refused.value)
    assert "resume=True" in text and "force=True" in text
    assert text.count("openaigym.") == 5


def test_an_unfinished_run_is_an_earlier_run_too(run):
    env = Monitor(Walk(), run)
    with pytest.raises(Error, match="monitor.csv"):
        Monitor(Walk(), run)
    env.close()


def test_force_clears_the_directory_of_our_files_and_of_nothing_else(run):
    with Monitor(Walk(), run) as env:
        play(env, 5)
    with open(os.path.join(run, "weights.bin"), "w") as file:
        file.write("precious")
    with Monitor(Walk(), run, force=True) as env:
        play(env)
    assert load_results(run)["episode_lengths"] == [3]
    assert "weights.bin" in files(run)


def test_resume_keeps_what_is_there_and_goes_on_numbering(run):
    for episodes in (2, 3):
        env = Monitor(Walk(), run, resume=True)
        first = env.episode_id
        play(env, episodes)
        env.close()
    assert first == 2 and env.episode_id == 5
    assert len(load_results(run)["episode_lengths"]) == 5


def test_resume_goes_on_with_the_numbering_of_its_own_uid(run):
    for uid, episodes in (("a", 2), ("b", 4)):
        with Monitor(Walk(), run, resume=True, uid=uid) as env:
            play(env, episodes)
    with Monitor(Walk(), run, resume=True, uid="a") as env:
        assert env.episode_id == 2


def test_resume_goes_on_where_a_run_was_not_finished(run):
    unfinished = Monitor(Walk(), run)
    play(unfinished, 2)
    with Monitor(Walk(), run, resume=True) as env:
        assert env.episode_id == 2
    unfinished.close()


def test_detecting_and_clearing(run):
    with Monitor(Walk(), run) as env:
        play(env)
    os.mkdir(os.path.join(run, "openaigym.directory"))
    assert [os.path.basename(path) for path in detect_training_manifests(run)] == files(run, ".manifest.json")
    assert detect_training_manifests("x", ["openaigym.manifest.1", "other"]) == [
        os.path.join("x", "openaigym.manifest.1")]
    assert len(detect_monitor_files(run)) == 3
    clear_monitor_files(run)
    assert files(run) == ["openaigym.directory"]


# ---------------------------------------------------------------------------------------------------------------------
# Schedules and clips
# ---------------------------------------------------------------------------------------------------------------------

def test_the_capped_cubic_schedule():
    picked = [episode for episode in range(4001) if capped_cubic_video_schedule(episode)]
    assert picked == [n ** 3 for n in range(10)] + [1000, 2000, 3000, 4000]
    assert not any(map(disable_videos, range(10)))


def video_names(env):
    return [os.path.basename(path).split(".")[-2] for path, _ in env.videos]


def test_the_default_schedule_is_the_capped_cubic_one(run, no_ffmpeg):
    with Monitor(Picture(), run) as env:
        play(env, 10)
        assert video_names(env) == ["video000000", "video000001", "video000008"]


def test_false_is_no_videos(run):
    with Monitor(Picture(), run, False) as env:
        play(env, 2)
        assert env.videos == []


def test_any_callable_is_a_schedule(run, no_ffmpeg):
    with Monitor(Picture(), run, lambda episode: episode == 2) as env:
        play(env, 4)
        assert video_names(env) == ["video000002"]


def test_a_schedule_that_raises_records_nothing_and_harms_nobody(run):
    with Monitor(Picture(), run, lambda episode: 1 / 0) as env:
        play(env, 2)
        assert env.videos == [] and env.get_episode_lengths() == [3, 3]


def test_a_recorded_episode_has_its_reset_and_every_step(run, no_ffmpeg):
    env = Monitor(Picture(length=5), run, lambda episode: True)
    play(env)
    _, frames = png_frames(env.videos[0][0])
    assert len(frames) == 6
    env.close()


def test_several_resets_in_a_row_leave_one_video(run, no_ffmpeg):
    with Monitor(Picture(), run, lambda episode: True) as env:
        env.reset()
        env.reset()
        play(env)
        assert video_names(env) == ["video000000"]
        assert len(png_frames(env.videos[0][0])[1]) == 4
    assert len(files(run, ".png")) == 1


def test_the_video_of_a_dropped_episode_goes_with_it(run, no_ffmpeg):
    with Monitor(Picture(), run, lambda episode: True, allow_early_resets=True) as env:
        env.reset()
        env.step(0)
        env.reset()
        assert env.videos == []
    assert len(files(run, ".png")) == 1  # of the episode that close cut short


def test_a_video_that_close_cuts_short_stays(run, no_ffmpeg):
    env = Monitor(Picture(), run, lambda episode: True)
    env.reset()
    env.step(0)
    env.close()
    assert len(png_frames(env.videos[0][0])[1]) == 2
    assert load_results(run)["videos"] == env.videos


def test_a_step_trigger_begins_a_clip_at_its_step(run, no_ffmpeg):
    with Monitor(Picture(length=4), run, step_trigger=lambda step: step == 5) as env:
        play(env, 3)
        (path, metadata), = env.videos
    assert os.path.basename(path).endswith(".step000000005.png")
    assert len(png_frames(path)[1]) == 3  # steps 5, 6 and 7 of an episode of four
    with open(metadata) as file:
        assert json.load(file)["step"] == 5


def test_video_length_counts_frames_across_episodes(run, no_ffmpeg):
    with Monitor(Picture(length=3), run, lambda episode: episode == 0, video_length=6) as env:
        play(env, 3)
        (path, _), = env.videos
    assert len(png_frames(path)[1]) == 6


def test_keep_video_decides_which_files_stay(run, no_ffmpeg):
    asked = []

    def keep(episode):
        asked.append(episode)
        return episode.episode_id == 1

    with Monitor(Picture(), run, lambda episode: episode < 3, keep_video=keep) as env:
        play(env, 4)
        assert video_names(env) == ["video000001"]
    assert [(e.episode_id, e.reward, e.length) for e in asked] == [(0, 6.0, 3), (1, 6.0, 3), (2, 6.0, 3)]
    assert asked[0].info["episode"]["l"] == 3
    assert len(files(run, ".png")) == len(files(run, ".meta.json")) == 1


def test_an_autoreset_environment_has_a_video_an_episode(run, no_ffmpeg):
    class Moving(Autoreset, Picture):
        metadata = dict(Picture.metadata, **Autoreset.metadata)

    with Monitor(Moving(length=3), run, lambda episode: episode < 2) as env:
        env.reset()
        for _ in range(8):
            env.step(0)
        assert video_names(env) == ["video000000", "video000001"]
        assert [len(png_frames(path)[1]) for path, _ in env.videos] == [3, 3]


# ---------------------------------------------------------------------------------------------------------------------
# Video recorder and encoders
# ---------------------------------------------------------------------------------------------------------------------

class Stills:
    """Draws the frames it is given, one after the other."""

    def __init__(self, frames, **metadata):
        self.frames, self.metadata = iter(frames), metadata

    def render(self):
        return next(self.frames)


def record(path, frames, fps=10, **metadata):
    recorder = VideoRecorder(Stills(frames, **metadata), path=str(path), fps=fps)
    for _ in frames:
        recorder.capture_frame()
    recorder.close()
    return recorder


def patches(height, width, channels=3):
    """Red, green, blue and grey, a quarter each."""
    colours = [RED + (255,), GREEN + (255,), BLUE + (255,), GREY + (255,)]
    return frame(height, width, channels, lambda row, column: colours[2 * (2 * row // height) + 2 * column // width])


@needs_ffmpeg
@pytest.mark.parametrize("height, width, channels", [(64, 96, 3), (63, 95, 3), (64, 96, 4), (35, 51, 4)])
def test_decoded_colours_of_an_mp4_are_right(tmp_path, height, width, channels):
    recorder = record(tmp_path / "a.mp4", [patches(height, width, channels)] * 3)
    found = probe(recorder.path)
    size = (width + width % 2, height + height % 2)
    assert (found["width"], found["height"], found["frames"]) == size + (3,)
    assert (found["codec_name"], found["pix_fmt"]) == ("h264", "yuv420p")
    picture = decode(recorder.path, 1, size)
    for (row, column), colour in zip([(height // 4, width // 4), (height // 4, 3 * width // 4),
                                      (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)],
                                     [RED, GREEN, BLUE, GREY]):
        assert all(abs(a - b) <= 12 for a, b in zip(picture[row][column], colour)), (row, column)


@needs_ffmpeg
def test_the_edges_of_an_odd_size_keep_their_colour(tmp_path):
    recorder = record(tmp_path / "a.mp4", [frame(33, 51, 3, lambda row, column: RED)] * 2)
    picture = decode(recorder.path, 0, (52, 34))
    for row, column in ((32, 0), (0, 50), (32, 50), (33, 51)):
        assert all(abs(a - b) <= 12 for a, b in zip(picture[row][column], RED)), (row, column)


@needs_ffmpeg
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
def test_grey_frames_make_a_grey_mp4(tmp_path, shape):
    grey = memoryview(bytes([100]) * 600).cast("B", list(shape))
    recorder = record(tmp_path / "a.mp4", [grey] * 2)
    assert all(abs(value - 100) <= 4 for value in decode(recorder.path, 0, (30, 20))[10][10])


@needs_ffmpeg
@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (3, 2), (17, 33)])
def test_any_size_makes_an_mp4_that_plays(tmp_path, height, width):
    recorder = record(tmp_path / "a.mp4", [patches(height, width)] * 4)
    assert not recorder.broken, recorder.metadata
    assert probe(recorder.path)["frames"] == 4


@needs_ffmpeg
@pytest.mark.parametrize("fps, rate", [(30, "30/1"), (12.5, "25/2"), (29.97, "2997/100"), (0.5, "1/2"), (240, "240/1")])
def test_frame_rates_keep_their_fractions_and_every_frame(tmp_path, fps, rate):
    recorder = record(tmp_path / "a.mp4", [patches(16, 16)] * 7, fps=fps)
    found = probe(recorder.path)
    assert (found["r_frame_rate"], found["frames"]) == (rate, 7)


@needs_ffmpeg
def test_an_mp4_can_be_played_before_it_is_loaded(tmp_path):
    recorder = record(tmp_path / "a.mp4", [patches(16, 16)] * 3)
    with open(recorder.path, "rb") as file:
        content = file.read()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@needs_ffmpeg
def test_a_recorded_episode_has_length_plus_one_frames_without_close(run):
    env = Monitor(Picture(length=9), run, lambda episode: True)
    play(env)
    (path, _), = env.videos
    found = probe(path)
    assert found["frames"] == 10 and found["r_frame_rate"] == "25/1"
    env.close()


@needs_ffmpeg
def test_the_metadata_tell_how_the_video_was_made(run):
    with Monitor(Picture(), run) as env:
        play(env)
    metadata = read_json(run, "video000000.meta.json")
    assert metadata["episode_id"] == 0 and metadata["content_type"] == "video/mp4"
    assert metadata["empty"] is False and metadata["broken"] is False
    version = metadata["encoder_version"]
    assert version["backend"] == "ffmpeg" and version["version"].startswith("ffmpeg version")
    assert version["cmdline"][0] == "ffmpeg" and not any(run in word for word in version["cmdline"])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_animated_png_pixels_are_exact(tmp_path, channels):
    def moving(step):
        return frame(21, 33, channels, lambda row, column: (
            (row * 7 + step) % 256, (column * 5) % 256, 200, 255) if (row // 5 + step) % 3 else (9, 9, 9, 99))

    frames = [moving(step // 2) for step in range(8)]
    recorder = record(tmp_path / "a.png", frames, fps=10)
    shape, found = png_frames(recorder.path)
    assert shape == (33, 21, channels)
    assert [pixels for pixels, _ in found] == [bytes(frames[2 * index].cast("B")) for index in range(4)]
    assert [delay for _, delay in found] == [0.2] * 4  # equal frames are one, shown longer


def test_animated_png_stores_only_the_rectangle_that_changed(tmp_path):
    still = frame(40, 60, 3, lambda row, column: (row * 6, column * 4, 7))
    spot = frame(40, 60, 3, lambda row, column: (1, 2, 3) if (row, column) in ((10, 20), (14, 29)) else
                 (row * 6, column * 4, 7))
    recorder = record(tmp_path / "a.png", [still, spot])
    with open(recorder.path, "rb") as file:
        content = file.read()
    second = content.index(b"fcTL", content.index(b"fcTL") + 4) + 4
    assert struct.unpack(">IIIII", content[second:second + 20]) == (1, 10, 5, 20, 10)
    assert [pixels for pixels, _ in png_frames(recorder.path)[1]] == [bytes(still.cast("B")), bytes(spot.cast("B"))]


def test_animated_png_holds_a_long_still_and_odd_rates(tmp_path):
    still = patches(4, 4)
    recorder = record(tmp_path / "a.png", [still] * 3000, fps=29.97)
    _, found = png_frames(recorder.path)
    assert abs(sum(delay for _, delay in found) - 3000 / 29.97) < 1e-3
    assert {pixels for pixels, _ in found} == {bytes(still.cast("B"))}


def test_pillow_plays_the_animated_png(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install pillow")
    frames = [patches(12, 20), frame(12, 20, 3, lambda row, column: (row, column, 50)), patches(12, 20)]
    with image.open(record(tmp_path / "a.png", frames).path) as picture:
        assert (picture.size, picture.n_frames) == ((20, 12), 3)
        for index in range(3):
            picture.seek(index)
            assert picture.convert("RGB").tobytes() == bytes(frames[index].cast("B"))
            assert picture.info["duration"] == 100


@pytest.mark.parametrize("ending", ["png", pytest.param("mp4", marks=needs_ffmpeg)])
def test_frames_in_any_memory_order_record_the_right_picture(tmp_path, ending):
    numpy = pytest.importorskip("numpy", reason="needs numpy: pip install numpy")
    upright = numpy.array(patches(40, 60))
    read_only = upright.copy()
    read_only.flags.writeable = False
    wide = numpy.zeros((40, 120, 3), numpy.uint8)
    wide[:, ::2] = upright
    frames = [numpy.asfortranarray(upright), read_only, wide[:, ::2], upright[::-1][::-1]]
    recorder = record(tmp_path / ("a." + ending), frames)
    assert not recorder.broken
    if ending == "png":
        assert {pixels for pixels, _ in png_frames(recorder.path)[1]} == {upright.tobytes()}
    else:
        for index in range(4):
            picture = decode(recorder.path, index, (60, 40))
            assert all(abs(a - b) <= 12 for a, b in zip(picture[10][45], GREEN))
            assert all(abs(a - b) <= 12 for a, b in zip(picture[30][15], BLUE))


def cast_lines(path):
    with open(str(path), encoding="ascii") as file:
        header, *events = [json.loads(line) for line in file]
    return header, events


def test_text_is_recorded_as_an_asciicast(run):
    with Monitor(Text(), run) as env:
        play(env)
        (path, metadata), = env.videos
    assert path.endswith(".video000000.cast")
    header, events = cast_lines(path)
    assert (header["version"], header["width"], header["height"]) == (2, 6, 2)
    assert [time for time, _, _ in events] == [0, 0.25, 0.5, 0.75]
    assert all(kind == "o" for _, kind, _ in events)
    assert events[1][2].endswith("step 1\r\n\x1b[41mhere\x1b[0m")
    with open(metadata) as file:
        assert json.load(file)["content_type"] == "application/x-asciicast"


def test_the_size_of_an_asciicast_is_that_of_its_largest_frame(tmp_path):
    env = Text()
    texts = iter(["a", "ab\ncd\r\nef\n", "\u4e2d\u6587\u5b57"])
    env.render = lambda: next(texts)
    recorder = VideoRecorder(env, path=str(tmp_path / "a.cast"))
    for _ in range(3):
        recorder.capture_frame()
    recorder.close()
    header, events = cast_lines(recorder.path)
    assert (header["width"], header["height"]) == (6, 3)
    assert len(events) == 3


def test_without_ffmpeg_pictures_become_animated_png(run, no_ffmpeg):
    with Monitor(Picture(), run) as env:
        play(env)
    assert files(run, ".mp4") == [] and len(files(run, ".png")) == 1
    assert read_json(run, ".meta.json")["content_type"] == "image/apng"


def test_the_old_form_of_render_is_asked_for_a_picture(run, no_ffmpeg):
    with Monitor(OldPicture(), run) as env:
        play(env)
        (path, _), = env.videos
        assert env.video_recorder.frames_per_sec == 12
    assert len(png_frames(path)[1]) == 4


@pytest.mark.parametrize("modes", ["render_modes", "render.modes"])
def test_modes_may_be_declared_where_render_takes_none(run, no_ffmpeg, modes):
    class Plain(Picture):
        metadata = {modes: ["human", "rgb_array"]}
        render_mode = property()  # there is none

    with Monitor(Plain(), run) as env:
        play(env)
        (path, _), = env.videos
    assert len(png_frames(path)[1]) == 4


class Hundred:
    """A whole number, as numpy has them."""

    def __index__(self):
        return 100


def test_numbers_of_other_types_are_numbers(run):
    env = Picture()
    env.metadata = {}
    with Monitor(env, run, fps=fractions.Fraction(30000, 1001), video_length=Hundred()) as monitor:
        play(monitor)
        assert monitor.video_recorder.frames_per_sec == 30000 / 1001


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf, "30", True, []])
def test_a_frame_rate_that_is_none_is_an_error(run, fps):
    for record in (lambda: Monitor(Picture(), run, fps=fps),
                   lambda: VideoRecorder(Picture(), base_path=run + "film", fps=fps)):
        with pytest.raises(Error, match="fps"):
            record()


def test_bytes_that_say_an_order_are_bytes(tmp_path):
    import ctypes
    pixels = (ctypes.c_ubyte * 3 * 4 * 5).from_buffer_copy(bytes(range(60)))  # its format is "<B"
    record(tmp_path / "film.png", [pixels])
    size, [(shown, _)] = png_frames(tmp_path / "film.png")
    assert (size, shown) == ((4, 5, 3), bytes(range(60)))


def test_a_list_of_frames_gives_its_last(run, no_ffmpeg):
    class Listed(Picture):
        render_mode = "rgb_array_list"
        frames = ()

        def reset(self, **kwargs):
            result = super().reset(**kwargs)
            self.frames = [Picture.render(self)]
            return result

        def step(self, action):
            result = super().step(action)
            self.frames.append(Picture.render(self))
            return result

        def render(self):
            frames, self.frames = self.frames, []
            return frames

    with Monitor(Listed(), run) as env:
        play(env)
        assert len(env.render()) == 4  # what the recorder took is still the user's
        assert env.render() == []
        assert len(png_frames(env.videos[0][0])[1]) == 4


def test_an_environment_that_draws_nothing_has_no_videos(run, caplog):
    with Monitor(Walk(), run) as env:
        play(env)
    assert load_results(run)["videos"] == [] and caplog.records == []


def test_an_environment_made_without_render_mode_is_told_of_once(run, caplog):
    env = Picture()
    env.render_mode = None
    with Monitor(env, run) as monitor:
        play(monitor, 3)
    assert len(caplog.records) == 1 and "render_mode='rgb_array'" in caplog.text


def test_the_video_recorder_works_alone(tmp_path, no_ffmpeg):
    env = Picture()
    recorder = VideoRecorder(env, base_path=str(tmp_path / "film"), metadata={"mine": 1})
    assert recorder.functional and recorder.empty
    recorder.capture_frame()
    recorder.close()
    recorder.close()
    recorder.capture_frame()  # after the end: nothing
    assert not recorder.empty and not recorder.broken
    assert recorder.path == str(tmp_path / "film.png") and os.path.getsize(recorder.path) > 50
    with open(recorder.metadata_path) as file:
        assert json.load(file)["mine"] == 1


def test_an_object_that_does_not_say_what_it_draws_is_recorded_by_what_it_draws(tmp_path, no_ffmpeg):
    for draw, ending in ((Picture().render, ".png"), (lambda: "text", ".cast"), (lambda: io.StringIO("text"), ".cast")):
        env = Stills(())
        env.metadata, env.render = None, draw if ending == ".cast" else (lambda: frame(4, 4, 3, lambda *at: RED))
        for options in (dict(base_path=str(tmp_path / "film")), dict(path=str(tmp_path / "film") + ending)):
            recorder = VideoRecorder(env, **options)
            recorder.capture_frame()
            recorder.close()
            assert not recorder.broken and recorder.path == str(tmp_path / "film") + ending


def test_a_video_whose_first_frame_fails_is_counted_as_broken(run):
    env = Picture()
    env.render = lambda: 1 / 0
    with Monitor(env, run) as monitor:
        play(monitor)
    assert report(run).summary["broken_videos"] == 1


def test_a_video_recorder_without_a_path_finds_one():
    recorder = VideoRecorder(Text())
    recorder.capture_frame()
    recorder.close()
    assert os.path.exists(recorder.path)
    shutil.rmtree(os.path.dirname(recorder.path))


def test_a_video_recorder_without_frames_leaves_no_recording(tmp_path):
    recorder = VideoRecorder(Picture(), base_path=str(tmp_path / "film"))
    recorder.close()
    assert recorder.empty and recorder.functional and not os.path.exists(recorder.path)
    assert read_json(tmp_path, ".meta.json")["empty"] is True


def test_a_disabled_video_recorder_does_nothing(tmp_path):
    recorder = VideoRecorder(Picture(), base_path=str(tmp_path / "film"), enabled=False)
    recorder.capture_frame()
    recorder.close()
    assert not recorder.functional and files(tmp_path) == []


def test_the_ending_of_a_path_has_to_fit(tmp_path, no_ffmpeg):
    with pytest.raises(Error, match=".cast"):
        VideoRecorder(Text(), path=str(tmp_path / "a.mp4"))
    with pytest.raises(Error, match=".mp4 or .png"):
        VideoRecorder(Picture(), path=str(tmp_path / "a.gif"))
    with pytest.raises(Error, match="not both"):
        VideoRecorder(Picture(), path="a.png", base_path="a")
    with pytest.raises(DependencyNotInstalled, match="ffmpeg"):
        VideoRecorder(Picture(), path=str(tmp_path / "a.mp4"))


@pytest.mark.parametrize("bad", [None, "text", 5, [[1, 2], [3, 4]], memoryview(b"abc"),
                                 memoryview(bytes(24)).cast("B", [2, 4, 3])[:0]])
def test_a_frame_that_is_no_picture_breaks_the_video_alone(run, bad, no_ffmpeg):
    env = Picture()
    env.render = lambda: bad
    with Monitor(env, run) as monitor:
        play(monitor, 2)
        assert monitor.videos == []
    assert load_results(run)["episode_lengths"] == [3, 3]
    for name in files(run, ".meta.json"):
        with open(os.path.join(run, name)) as file:
            metadata = json.load(file)
        assert metadata["broken"] is True and metadata["error"]


def test_invalid_frames_are_named(tmp_path):
    with pytest.raises(InvalidFrame, match="shape"):
        gym_monitor._picture(memoryview(bytes(16)).cast("B", [2, 4, 2]))
    with pytest.raises(InvalidFrame, match="uint8"):
        gym_monitor._picture(memoryview(bytes(16)).cast("f", [2, 2]))


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

KEYS = {"manifests", "env_info", "data_sources", "timestamps", "episode_lengths", "episode_rewards", "episode_types",
        "initial_reset_timestamps", "initial_reset_timestamp", "videos"}


def test_results_have_gyms_ten_keys(run):
    with Monitor(Walk(), run) as env:
        play(env, 3)
    results = load_results(run)
    assert set(results) == KEYS
    assert results["env_info"] == {"env_id": "Walk", "gym_version": "none"}
    assert results["data_sources"] == [0, 0, 0]
    assert results["timestamps"] == sorted(results["timestamps"])
    assert results["initial_reset_timestamps"] == [results["initial_reset_timestamp"]]
    assert results["initial_reset_timestamp"] <= results["timestamps"][0]


def test_several_monitors_in_a_directory_are_merged_by_time(run):
    a, b = Monitor(Walk(length=2), run, uid="a"), Monitor(Walk(length=3), run, uid="b", resume=True)
    for env in (a, b, b, a):
        play(env)
    a.close()
    b.close()
    results = load_results(run)
    assert results["episode_lengths"] == [2, 3, 3, 2]
    assert results["data_sources"] == [0, 1, 1, 0]
    assert len(results["manifests"]) == 2


def test_an_unfinished_run_is_read_from_its_journal(run):
    env = Monitor(Walk(), run)
    assert load_results(run)["episode_lengths"] == []
    play(env, 2)
    results = load_results(run)
    assert set(results) == KEYS
    assert results["episode_rewards"] == [6.0, 6.0] and results["manifests"] == []
    assert results["timestamps"] == env.stats_recorder.timestamps
    env.close()
    assert load_results(run)["timestamps"] == results["timestamps"]


def test_a_torn_last_line_is_left_out(run):
    with Monitor(Walk(), run) as env:
        play(env, 2)
    for path in detect_monitor_files(run):
        if not path.endswith(".csv"):
            os.unlink(path)
    with open(os.path.join(run, files(run)[0]), "a") as file:
        file.write("6.0,3,0.1")
    assert load_results(run)["episode_lengths"] == [3, 3]


def write_gym_run(directory, infix="0.7", episodes=2, types=3, **env_info):
    """What gym's own Monitor leaves, here closed in mid-episode: one type too many."""
    stats = {"initial_reset_timestamp": 10.0, "timestamps": [11.0 + n for n in range(episodes)],
             "episode_lengths": [5] * episodes, "episode_rewards": [1.5] * episodes, "episode_types": ["t"] * types}
    name = f"openaigym.episode_batch.{infix}.stats.json"
    with open(os.path.join(str(directory), name), "w") as file:
        json.dump(stats, file)
    manifest = f"openaigym.manifest.{infix}.manifest.json"
    with open(os.path.join(str(directory), manifest), "w") as file:
        json.dump({"stats": name, "videos": [], "env_info": dict(dict(env_id="Walk", gym_version="none"),
                                                                 **env_info)}, file)


def test_a_directory_of_gyms_closed_in_mid_episode_is_read(tmp_path):
    write_gym_run(tmp_path)
    results = load_results(str(tmp_path))
    assert results["episode_types"] == ["t", "t"] and results["episode_rewards"] == [1.5, 1.5]
    assert results["initial_reset_timestamps"] == [10.0]


def test_runs_of_gym_and_of_ours_are_merged_and_never_overwritten(tmp_path):
    write_gym_run(tmp_path, infix=f"{Monitor._number_of_monitors}.{os.getpid()}")
    with Monitor(Walk(), str(tmp_path), resume=True) as env:
        assert env.episode_id == 2
        play(env)
    assert load_results(str(tmp_path))["episode_lengths"] == [5, 5, 3]


def test_runs_of_different_environments_are_not_merged(tmp_path):
    write_gym_run(tmp_path, infix="0.1")
    write_gym_run(tmp_path, infix="0.2", env_id="Other")
    with pytest.raises(Error, match="Other.*Walk"):
        load_results(str(tmp_path))


def test_a_directory_that_is_missing_or_empty_is_an_error_that_names_it(tmp_path):
    for directory in (str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(Error, match="missing" if "missing" in directory else "holds no run"):
            load_results(directory)


def test_merge_stats_files_answers_as_gym_does(tmp_path):
    write_gym_run(tmp_path)
    path = str(tmp_path / "openaigym.episode_batch.0.7.stats.json")
    assert gym_monitor.merge_stats_files([path, path]) == (
        [0, 1, 0, 1], [10.0, 10.0], [11.0, 11.0, 12.0, 12.0], [5] * 4, [1.5] * 4, ["t"] * 4, 10.0)


def test_env_infos_are_collapsed(tmp_path):
    write_gym_run(tmp_path)
    info = {"env_id": "Walk", "gym_version": "none"}
    assert gym_monitor.load_env_info_from_manifests(detect_training_manifests(str(tmp_path)), str(tmp_path)) == info
    assert gym_monitor.collapse_env_infos([info, info], "dir") == info
    with pytest.raises(Error, match="dir"):
        gym_monitor.collapse_env_infos([info, dict(info, env_id="B")], "dir")
    with pytest.raises(Error, match="dir"):
        gym_monitor.collapse_env_infos([], "dir")


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", "..", "a/b", "a\\b", "a\0b", 5, None])
def test_a_manifest_that_points_outside_is_never_followed(tmp_path, name):
    write_gym_run(tmp_path)
    path = str(tmp_path / "openaigym.manifest.0.7.manifest.json")
    with open(path, "w") as file:
        json.dump({"stats": name, "videos": [], "env_info": {}}, file)
    with pytest.raises(Error, match="openaigym.manifest.0.7"):
        load_results(str(tmp_path))


def test_a_directory_can_be_moved(tmp_path, no_ffmpeg):
    with Monitor(Picture(), str(tmp_path / "a")) as env:
        play(env)
    (tmp_path / "a").rename(tmp_path / "b")
    (video, metadata), = load_results(str(tmp_path / "b"))["videos"]
    assert os.path.dirname(video) == os.path.dirname(metadata) == str(tmp_path / "b")
    assert os.path.exists(video) and os.path.exists(metadata)


# ---------------------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------------------

Finished = collections.namedtuple("Finished", "status out err")


def command(*arguments, **environment):
    process = subprocess.Popen([sys.executable, MODULE] + [str(argument) for argument in arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env=dict(os.environ, PYTHONIOENCODING="utf-8", **environment))
    out, err = process.communicate()
    return Finished(process.returncode, out.decode("utf-8"), err.decode("utf-8"))


def test_demo_works_without_ffmpeg(tmp_path):
    finished = command("demo", tmp_path / "demo", PATH=str(tmp_path))
    assert finished.status == 0 and finished.err == "" and "Lander" in finished.out
    results = load_results(str(tmp_path / "demo"))
    assert len(results["episode_lengths"]) == 60
    returns = results["episode_rewards"]
    assert sum(returns[-20:]) > sum(returns[:20])
    for (path, metadata) in results["videos"]:
        with open(metadata) as file:
            number = json.load(file)["episode_id"]
        shape, frames = png_frames(path)
        assert shape == (256, 192, 3)
        assert round(sum(delay for _, delay in frames) * 30) == results["episode_lengths"][number] + 1


@needs_ffmpeg
def test_demo_works_with_ffmpeg(tmp_path):
    finished = command("demo", tmp_path / "demo")
    assert finished.status == 0 and finished.err == ""
    results = load_results(str(tmp_path / "demo"))
    assert len(results["videos"]) == 5
    for (path, metadata) in results["videos"]:
        with open(metadata) as file:
            number = json.load(file)["episode_id"]
        assert probe(path)["frames"] == results["episode_lengths"][number] + 1


def test_report_prints_the_summary(run):
    with Monitor(Walk(), run) as env:
        play(env, 4)
    finished = command("report", run)
    assert finished.status == 0 and finished.err == ""
    for word in ("Walk", "episodes", "steps", "return", "mean", "best", "last 100", "videos"):
        assert word in finished.out
    assert all(len(line) <= 80 for line in finished.out.splitlines()[:-1])


def test_a_directory_that_the_terminal_cannot_spell_is_reported_and_cleared(tmp_path):
    directory = str(tmp_path / "caf\u00e9")
    with Monitor(Walk(), directory) as env:
        play(env)
    for name in ("report", "clear"):
        process = subprocess.Popen([sys.executable, MODULE, name, directory], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=dict(os.environ, PYTHONIOENCODING="ascii"))
        out, err = process.communicate()
        assert (process.returncode, err) == (0, b"") and b"caf?" in out


def test_clear_says_what_it_removes(run):
    with Monitor(Walk(), run) as env:
        play(env)
    finished = command("clear", run)
    assert finished.status == 0 and files(run) == []
    assert finished.out.count("openaigym.") == 3


@pytest.mark.parametrize("name", ["report", "clear"])
def test_a_command_whose_output_nobody_reads_does_its_work(run, name):
    with Monitor(Walk(), run) as env:
        play(env)
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([sys.executable, MODULE, name, run], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.communicate()[1], process.returncode) == (b"", 0)
    assert ("openaigym.report.html" in files(run)) if name == "report" else files(run) == []


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that can close standard error: any Unix has one")
@pytest.mark.parametrize("directory, status", [("new", 0), ("new/missing", 1)])
def test_commands_work_without_standard_error(tmp_path, directory, status):
    name = "report" if status else "demo"
    process = subprocess.Popen(["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, MODULE, name,
                                str(tmp_path / directory)], stdout=subprocess.PIPE)
    out = process.communicate()[0]
    assert process.returncode == status and (b"episodes" in out) == (status == 0) and (out == b"") == (status == 1)


@pytest.mark.parametrize("arguments", [["report", "no/such/directory"], ["clear", "no/such/directory"], [], ["dance"],
                                       ["report"]])
def test_an_error_is_one_line_and_exit_status_1(arguments):
    finished = command(*arguments)
    assert finished.status == 1 and len(finished.err.splitlines()) == 1
    assert "Traceback" not in finished.err


# ---------------------------------------------------------------------------------------------------------------------
# Other people's packages, and what tests of them share
# ---------------------------------------------------------------------------------------------------------------------

def need(module, install=None, version=None):
    """Somebody else's module; without it the test is skipped, with a reason that says what to install."""
    return pytest.importorskip(module, version, f"needs {module}: pip install {install or module}")


@pytest.fixture
def numpy():
    return need("numpy")


@pytest.fixture
def gymnasium(numpy):
    install = "'gymnasium[classic-control,toy-text]>=1.1'"
    need("pygame", install)
    return need("gymnasium", install, "1.1")


@pytest.fixture
def same(gymnasium):
    """A function that tells whether two answers of environments are equal to the last bit."""
    checker = importlib.import_module("gymnasium.utils.env_checker")
    return lambda one, other: checker.data_equivalence(one, other, exact=True)


@pytest.fixture
def sb3(gymnasium):
    """Stable-Baselines3's modules, by their last names."""
    need("stable_baselines3", "stable-baselines3")

    def module(name):
        return importlib.import_module("stable_baselines3." + name)
    return module


@pytest.fixture
def Shade(gymnasium, numpy):
    """A class of environments whose frames are of one shade, lighter after every reset and every step."""
    class Shade(gymnasium.Env):
        metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
        observation_space = gymnasium.spaces.Box(0, 1, (1,), numpy.float32)
        action_space = gymnasium.spaces.Discrete(2)
        render_mode = "rgb_array"

        def __init__(self, length=5):
            self.length, self.shade = length, 20

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            self.steps = 0
            self.shade += 6
            return self.observation_space.sample(), {}

        def step(self, action):
            self.steps += 1
            self.shade += 6
            return self.observation_space.sample(), 1.0, self.steps == self.length, False, {}

        def render(self):
            return numpy.full((32, 48, 3), self.shade, numpy.uint8)

        def brightness(self, factor=1):
            return self.shade * factor
    return Shade


def shades(path, size=48 * 32):
    """A video whose frames are of one shade each, read back: those shades."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    raw = subprocess.check_output(command)
    frames = [raw[start:start + size] for start in range(0, len(raw), size)]
    assert all(len(frame) == size and max(frame) - min(frame) <= 4 for frame in frames)
    return [sum(frame) / size for frame in frames]


@pytest.fixture
def Fleet(gymnasium):
    """A class of vector environments of one object: sub-environment i has episodes of 2 + i steps."""
    class Fleet(gymnasium.vector.VectorEnv):
        num_envs = 3
        render_mode = "rgb_array"

        def __init__(self, array, same_step=False):
            mode = gymnasium.vector.AutoresetMode
            self.array, self.same_step = array, same_step
            self.metadata = {"autoreset_mode": mode.SAME_STEP if same_step else mode.NEXT_STEP}

        def reset(self, seed=None, options=None):
            self.steps, self.over = [0] * 3, [False] * 3
            return self.array(self.steps), {}

        def step(self, actions):
            resetting = [over and not self.same_step for over in self.over]
            self.steps = [0 if reset else step + 1 for step, reset in zip(self.steps, resetting)]
            rewards = self.array([0.25 * step for step in self.steps])
            self.over = [step == 2 + index for index, step in enumerate(self.steps)]
            terminated = self.array([over and index != 1 for index, over in enumerate(self.over)])
            truncated = self.array([over and index == 1 for index, over in enumerate(self.over)])
            infos = {"score": self.array([10 * step for step in self.steps]), "level": 7}
            if self.same_step and any(self.over):
                infos = {"final_info": infos, "_final_info": self.array(self.over)}
                self.steps = [0 if over else step for step, over in zip(self.steps, self.over)]
            return self.array(self.steps), rewards, terminated, truncated, infos

        def render(self):
            return tuple(memoryview(bytes([60 * step + index] * 3072)).cast("B", [32, 32, 3])
                         for index, step in enumerate(self.steps))
    return Fleet


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


def vector_rollout(env, steps=80, seed=7, actions=None):
    """Step a vector environment: all its answers, (return, length) of each episode by a count of our own."""
    if actions is None:
        env.action_space.seed(seed)
    answers, played = [env.reset(seed=seed)], []
    same_step = "same" in str(env.metadata["autoreset_mode"]).lower()
    rewards, over = [[] for _ in range(env.num_envs)], [False] * env.num_envs
    for _ in range(steps):
        answers.append(env.step(env.action_space.sample() if actions is None else actions))
        for index, reward in enumerate(answers[-1][1].tolist()):
            if over[index] and not same_step:  # this step was the reset
                over[index] = False
                continue
            rewards[index].append(reward)
            over[index] = bool(answers[-1][2][index] or answers[-1][3][index])
            if over[index]:
                played.append((math.fsum(rewards[index]), len(rewards[index])))
                rewards[index] = []
    return answers, played


def episodes_in(directory):
    """What a directory holds of each episode: (return, length), in the order of their ends."""
    results = load_results(directory)
    return list(zip(results["episode_rewards"], results["episode_lengths"]))


def said(call):
    """The warnings that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


def python(*arguments, **environment):
    """Run a Python of its own that finds gym_monitor; its status, output and error output."""
    path = os.pathsep.join([os.path.dirname(MODULE), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable] + list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=path, **environment), universal_newlines=True)
    out, err = child.communicate(timeout=120)
    return child.returncode, out, err


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium's own environments
# ---------------------------------------------------------------------------------------------------------------------

DRAWN = [("CartPole-v1", {}), ("FrozenLake-v1", {}), ("Taxi-v4", {"max_episode_steps": 30}),
         ("MountainCarContinuous-v0", {"max_episode_steps": 30})]
WRITTEN = [("FrozenLake-v1", {}), ("Taxi-v4", {"max_episode_steps": 30})]


@needs_ffmpeg
@pytest.mark.parametrize("name, options", DRAWN)
def test_a_real_environment_is_filmed_a_frame_more_than_it_has_steps(run, gymnasium, name, options):
    env = Monitor(gymnasium.make(name, render_mode="rgb_array", **options), run, lambda episode_id: True)
    _, played = rollout(env)
    assert [probe(path)["frames"] for path, _ in env.videos] == [length + 1 for _, length in played]
    height, width, _ = env.render().shape
    seen = probe(env.videos[0][0])
    assert (seen["width"], seen["height"]) == (width + width % 2, height + height % 2)
    assert seen["r_frame_rate"] == "{}/1".format(env.metadata["render_fps"])
    env.close()


@pytest.mark.parametrize("name, options", DRAWN)
def test_a_real_environment_is_filmed_without_ffmpeg(run, gymnasium, no_ffmpeg, name, options):
    image = need("PIL.Image", "pillow")
    inside = gymnasium.make(name, render_mode="rgb_array", **options)
    with Monitor(inside, run, lambda episode_id: True) as env:
        _, played = rollout(env, episodes=2)
    for (path, _), (_, length) in zip(env.videos, played):
        with image.open(path) as video:
            seconds = 0.0
            for index in range(video.n_frames):
                video.seek(index)
                seconds += video.info["duration"] / 1000
        assert seconds * env.metadata["render_fps"] == pytest.approx(length + 1)


@pytest.mark.parametrize("name, options", WRITTEN)
def test_a_real_environment_that_writes_is_recorded_as_text(run, gymnasium, name, options):
    with Monitor(gymnasium.make(name, render_mode="ansi", **options), run, lambda episode_id: True) as env:
        _, played = rollout(env)
    for (path, _), (_, length) in zip(env.videos, played):
        with open(path, encoding="utf-8") as file:
            header, frames = json.loads(file.readline()), [json.loads(line) for line in file]
        assert header["version"] == 2
        assert len(frames) == length + 1
        assert all(kind == "o" and text for _, kind, text in frames)


@pytest.mark.parametrize("name, options", DRAWN)
def test_the_statistics_of_a_real_environment_are_what_one_counts_oneself(run, gymnasium, name, options):
    with Monitor(gymnasium.make(name, **options), run, False) as env:
        _, played = rollout(env, episodes=5)
    assert episodes_in(run) == played
    assert load_results(run)["env_info"] == {"env_id": name, "gym_version": gymnasium.__version__}
    assert env.get_total_steps() == sum(length for _, length in played)


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium: wrappers, checks and names
# ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, options", DRAWN)
def test_a_seeded_trajectory_is_the_bare_environments(run, gymnasium, same, name, options):
    bare, _ = rollout(gymnasium.make(name, render_mode="rgb_array", **options))
    with Monitor(gymnasium.make(name, render_mode="rgb_array", **options), run, stats_key=None) as env:
        monitored, _ = rollout(env)
    assert same(monitored, bare)


def test_a_monitor_passes_for_a_gymnasium_environment(run, gymnasium):
    with Monitor(gymnasium.make("CartPole-v1"), run, False) as env:
        assert isinstance(env, gymnasium.Env)
        assert isinstance(env, Monitor)
        assert env.unwrapped is env.env.unwrapped
        assert env.spec.id == "CartPole-v1"
    assert not isinstance(Monitor(Walk()), gymnasium.Env)


def test_gymnasiums_wrappers_stack_above_and_below(run, gymnasium):
    wrappers = gymnasium.wrappers
    inside = wrappers.TimeLimit(wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1.0, 1.0), 6)
    monitor = Monitor(wrappers.TransformReward(inside, lambda reward: reward + 100), run, False)
    env = wrappers.FrameStackObservation(wrappers.NormalizeReward(wrappers.ClipAction(monitor)), 2)
    rollout(env, episodes=2)
    env.close()
    assert monitor.get_episode_lengths() == [6, 6]
    assert all(500 < total < 600 for total in monitor.get_episode_rewards())  # 6 times 100, less the cost


def test_a_time_limit_above_needs_early_resets(tmp_path, gymnasium):
    def limited(name, **options):
        monitor = Monitor(gymnasium.make("MountainCar-v0"), str(tmp_path / name), False, **options)
        return gymnasium.wrappers.TimeLimit(monitor, 4)
    with pytest.raises(Error, match="allow_early_resets=True"):
        rollout(limited("refused"))
    rollout(limited("allowed", allow_early_resets=True))


def test_statistics_kept_above_need_stats_key_none(run, gymnasium):
    monitor = Monitor(gymnasium.make("CartPole-v1"), run, False, stats_key=None)
    env = gymnasium.wrappers.RecordEpisodeStatistics(monitor)
    _, played = rollout(env)
    assert list(zip(env.return_queue, env.length_queue)) == played
    env.close()
    assert episodes_in(run) == played


def test_info_episode_matches_record_episode_statistics(run, gymnasium):
    def make():
        return gymnasium.make("MountainCarContinuous-v0", max_episode_steps=40)
    native, _ = rollout(gymnasium.wrappers.RecordEpisodeStatistics(make()))
    with Monitor(make(), run, False) as env:
        ours, _ = rollout(env)
    summaries = [(theirs[-1]["episode"], answer[-1].get("episode")) for theirs, answer in zip(native, ours)
                 if "episode" in theirs[-1]]
    assert len(summaries) == sum("episode" in answer[-1] for answer in ours) == 3
    for theirs, own in summaries:
        assert sorted(own) == sorted(theirs) == ["l", "r", "t"]
        assert own["l"] == theirs["l"] == 40
        assert own["r"] == pytest.approx(theirs["r"], rel=1e-12)
        assert own["t"] >= 0


@pytest.mark.parametrize("name, mode", [("CartPole-v1", "rgb_array"), ("FrozenLake-v1", "ansi")])
def test_gymnasiums_check_says_no_more_than_of_the_bare_environment(run, gymnasium, name, mode):
    check_env = importlib.import_module("gymnasium.utils.env_checker").check_env
    bare = gymnasium.make(name, render_mode=mode)
    env = Monitor(gymnasium.make(name, render_mode=mode), run, allow_early_resets=True)
    warned = [text.replace(str(bare), "it") for text in said(lambda: check_env(bare))]
    assert [text.replace(str(env), "it") for text in said(lambda: check_env(env))] == warned
    env.close()


def test_wrapper_attributes_are_the_monitors_and_those_of_every_environment_inside(run, gymnasium, Shade):
    monitor = Monitor(gymnasium.wrappers.TimeLimit(Shade(), 3), run, False)
    env = gymnasium.wrappers.OrderEnforcing(monitor)
    for name in ("get_episode_rewards", "directory", "length", "brightness", "action_space"):
        assert env.has_wrapper_attr(name) and monitor.has_wrapper_attr(name)
    assert not env.has_wrapper_attr("nonsense") and not monitor.has_wrapper_attr("nonsense")
    with pytest.raises(AttributeError):
        env.get_wrapper_attr("nonsense")
    assert env.get_wrapper_attr("directory") == run
    assert env.get_wrapper_attr("brightness")(2) == 2 * monitor.unwrapped.shade
    env.set_wrapper_attr("length", 2)
    assert monitor.unwrapped.length == 2
    assert not monitor.set_wrapper_attr("nonsense", 1, force=False)
    env.close()


def test_the_environment_is_closed_once_by_the_wrappers_above(run, gymnasium, Shade):
    closed = []
    inside = Shade()
    inside.close = lambda: closed.append(True)
    env = gymnasium.wrappers.OrderEnforcing(Monitor(inside, run, False))
    env.close()
    env.close()
    assert closed == [True]


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium: vector environments of monitored environments
# ---------------------------------------------------------------------------------------------------------------------

def monitored(gymnasium, directory, uid):
    """As one makes them for a vector environment: a directory for all, a uid each."""
    return lambda: Monitor(gymnasium.make("CartPole-v1", render_mode="rgb_array"), directory, resume=True,
                           uid=uid)


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_vector_environments_of_monitored_environments_lose_no_episode(run, gymnasium, kind, mode):
    envs = getattr(gymnasium.vector, kind)([monitored(gymnasium, run, uid) for uid in range(3)],
                                           autoreset_mode=gymnasium.vector.AutoresetMode[mode])
    _, played = vector_rollout(envs)
    envs.close()
    assert len(played) > 6
    assert sorted(episodes_in(run)) == sorted(played)


def test_the_environment_more_that_async_vector_env_makes_disturbs_nobody(run, gymnasium):
    envs = gymnasium.vector.AsyncVectorEnv([monitored(gymnasium, run, uid) for uid in range(2)])
    _, played = vector_rollout(envs)
    envs.close()
    results = load_results(run)
    assert len(results["manifests"]) == 3
    assert len(results["episode_rewards"]) == len(played) == report(run).summary["episodes"]
    assert len(results["videos"]) == len(files(run, ".meta.json"))


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
def test_a_vector_environments_call_reaches_the_monitor_and_the_environment_inside(run, gymnasium, kind):
    envs = getattr(gymnasium.vector, kind)([monitored(gymnasium, run, uid) for uid in range(2)])
    envs.reset(seed=1)
    assert envs.call("get_total_steps") == (0, 0)
    assert envs.get_attr("directory") == (run, run)
    assert envs.get_attr("gravity") == (9.8, 9.8)  # CartPole's own
    envs.set_attr("gravity", [1.0, 2.0])
    assert envs.call("get_wrapper_attr", "gravity") == (1.0, 2.0)
    envs.close()


# ---------------------------------------------------------------------------------------------------------------------
# gymnasium's RecordVideo
# ---------------------------------------------------------------------------------------------------------------------

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
        env = Spy(env, str(tmp_path / "spy"), **options)
        play(env, episodes)
        env.close()
        return clips
    return capture


@needs_ffmpeg
@pytest.mark.parametrize("theirs, ours", [
    ({}, {}),
    ({"episode_trigger": lambda episode: episode % 2}, {"video_callable": lambda episode: episode % 2}),
    ({"step_trigger": lambda step: step in (0, 4, 11)}, {"step_trigger": lambda step: step in (0, 4, 11)}),
    ({"step_trigger": lambda step: step % 7 == 3, "episode_trigger": lambda episode: episode == 2},
     {"step_trigger": lambda step: step % 7 == 3, "video_callable": lambda episode: episode == 2}),
], ids=["default", "episodes", "steps", "both"])
def test_the_clips_are_those_that_record_video_captures(run, captured, Shade, theirs, ours):
    clips = captured(Shade(), **theirs)
    with Monitor(Shade(), run, **ours) as env:
        play(env, 5)
    assert len(env.videos) == len(clips)
    for recorded, frames in zip(sorted(shades(path) for path, _ in env.videos), sorted(clips)):
        assert recorded == pytest.approx(frames, abs=2)


@needs_ffmpeg
@pytest.mark.parametrize("theirs, ours", [
    ({"episode_trigger": lambda episode: episode == 0}, {"video_callable": lambda episode: episode == 0}),
    ({"step_trigger": lambda step: step in (2, 17)}, {"step_trigger": lambda step: step in (2, 17)}),
], ids=["episodes", "steps"])
def test_a_video_length_is_exactly_that_many_frames(run, captured, Shade, theirs, ours):
    clips = captured(Shade(), video_length=8, **theirs)
    with Monitor(Shade(), run, video_length=8, **ours) as env:
        play(env, 5)
    assert len(env.videos) == len(clips)
    for recorded, frames in zip(sorted(shades(path) for path, _ in env.videos), sorted(clips)):
        assert recorded == pytest.approx(frames[:8], abs=2)  # theirs takes the ninth before it stops
        assert len(recorded) == 8


@needs_ffmpeg
def test_a_list_of_frames_is_filmed_and_render_still_has_it_all(run, gymnasium, captured, Shade):
    collection = gymnasium.wrappers.RenderCollection
    clips = captured(collection(Shade()), episodes=2)
    env = Monitor(collection(Shade()), run)
    play(env, 2)
    assert len(env.render()) == 6  # every frame of the second episode, though the recorder has taken them
    assert [shades(path) for path, _ in env.videos] == [pytest.approx(frames, abs=2) for frames in clips]
    env.close()


@needs_ffmpeg
def test_the_file_is_record_videos_with_no_frame_missing(tmp_path, gymnasium, Shade):
    need("moviepy")
    theirs = gymnasium.wrappers.RecordVideo(Shade(), str(tmp_path / "theirs"), fps=12.5)
    play(theirs)
    theirs.close()
    env = Monitor(Shade(), str(tmp_path / "ours"), fps=12.5)
    play(env)
    path, = (os.path.join(str(tmp_path), "theirs", name) for name in files(tmp_path / "theirs"))
    (recording, _), = env.videos
    frames = shades(recording)
    assert frames == pytest.approx([26, 32, 38, 44, 50, 56], abs=2)
    assert frames[:len(shades(path))] == pytest.approx(shades(path), abs=3)
    assert probe(recording)["r_frame_rate"] == probe(path)["r_frame_rate"] == "25/2"
    env.close()


@needs_ffmpeg
def test_videos_of_failures_alone_and_of_a_new_best_alone(tmp_path, gymnasium):
    def record(name, keep):
        env = Monitor(gymnasium.make("CartPole-v1", render_mode="rgb_array"), str(tmp_path / name),
                      lambda episode_id: True, keep_video=lambda episode: keep(env, episode))
        with env:
            rollout(env, episodes=8)
        kept = [json.load(open(metadata))["episode_id"] for _, metadata in env.videos]
        assert files(tmp_path / name, ".mp4") == sorted(os.path.basename(path) for path, _ in env.videos)
        return env.get_episode_rewards(), kept
    returns, kept = record("failures", lambda env, episode: episode.reward < 20)
    assert 0 < len(kept) < 8
    assert kept == [number for number, total in enumerate(returns) if total < 20]
    returns, kept = record("best", lambda env, episode: all(
        episode.reward > total for total in env.get_episode_rewards()[:-1]))
    assert kept == [number for number, total in enumerate(returns) if total > max(returns[:number] + [0])]


# ---------------------------------------------------------------------------------------------------------------------
# Stable-Baselines3
# ---------------------------------------------------------------------------------------------------------------------

@pytest.fixture
def train(sb3):
    """A function that trains a small PPO on a vector environment, and returns it."""
    need("torch")

    def train(envs, steps=256):
        PPO, sizes = sb3("ppo").PPO, {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
        return PPO("MlpPolicy", envs, seed=1, device="cpu", **sizes).learn(steps)
    return train


@pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv"])
def test_ppo_trains_on_monitored_environments_and_sees_their_episodes(run, gymnasium, sb3, train, kind):
    envs = getattr(sb3("common.vec_env"), kind)([monitored(gymnasium, run, uid) for uid in range(2)])
    seen = train(envs).ep_info_buffer
    envs.close()
    assert len(seen) > 4
    assert sorted((entry["r"], entry["l"]) for entry in seen) == sorted(episodes_in(run))
    assert len(load_results(run)["videos"]) == len(files(run, ".meta.json")) >= 4  # episodes 0 and 1 of both


@pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv"])
def test_env_method_and_get_attr_reach_the_monitor_and_the_environment_inside(run, gymnasium, sb3, kind):
    envs = getattr(sb3("common.vec_env"), kind)([monitored(gymnasium, run, uid) for uid in range(2)])
    envs.reset()
    assert envs.env_method("get_total_steps") == [0, 0]
    assert envs.env_method("get_wrapper_attr", "gravity") == [9.8, 9.8]  # CartPole's own
    assert envs.get_attr("directory") == [run, run]
    assert envs.get_attr("gravity") == [9.8, 9.8]
    envs.env_method("set_wrapper_attr", "gravity", 1.0)
    assert envs.get_attr("gravity") == [1.0, 1.0]
    envs.set_attr("mood", "calm", indices=[0])
    assert envs.get_attr("mood", indices=[0]) == ["calm"]
    assert envs.env_is_wrapped(Monitor) == [True, True]
    assert envs.env_is_wrapped(gymnasium.wrappers.OrderEnforcing) == [True, True]
    assert envs.env_is_wrapped(gymnasium.wrappers.ClipAction) == [False, False]
    envs.close()


def test_stable_baselines3s_check_says_no_more_than_of_the_bare_environment(run, gymnasium, sb3):
    check_env = sb3("common.env_checker").check_env
    bare = gymnasium.make("MountainCarContinuous-v0")
    with Monitor(gymnasium.make("MountainCarContinuous-v0"), run, allow_early_resets=True) as env:
        assert said(lambda: check_env(env)) == said(lambda: check_env(bare))


def test_stable_baselines3_and_pandas_read_the_journal_as_we_do(run, gymnasium, sb3):
    pandas = need("pandas")
    need("matplotlib")
    for uid in range(2):
        with Monitor(gymnasium.make("CartPole-v1"), run, False, resume=True, uid=uid) as env:
            rollout(env, seed=uid)
    ours, table = load_results(run), sb3("common.monitor").load_results(run)
    assert list(table.r) == ours["episode_rewards"]
    assert list(table.l) == ours["episode_lengths"]
    steps, returns = sb3("common.results_plotter").ts2xy(table, "timesteps")
    assert list(steps) == list(itertools.accumulate(ours["episode_lengths"]))
    assert list(returns) == ours["episode_rewards"]
    hours, _ = sb3("common.results_plotter").ts2xy(table, "walltime_hrs")
    assert list(hours) == sorted(hours)
    journals = [pandas.read_csv(os.path.join(run, name), skiprows=1) for name in files(run, ".monitor.csv")]
    assert [list(journal) for journal in journals] == [["r", "l", "t", "type"]] * 2
    assert [total for journal in journals for total in journal.r] == ours["episode_rewards"]


def test_info_keywords_are_columns_for_stable_baselines3(run, gymnasium, sb3):
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    with Monitor(env, run, False, info_keywords=("prob",)) as env:
        rollout(env)
    assert list(sb3("common.monitor").load_results(run).prob) == [1.0] * 3


def test_evaluate_policy_returns_what_is_recorded(run, gymnasium, sb3, train):
    model = train(gymnasium.make("CartPole-v1"), 64)
    env = Monitor(gymnasium.make("CartPole-v1"), run, False, mode="evaluation")
    evaluate = sb3("common.evaluation").evaluate_policy
    returns, lengths = evaluate(model, env, 5, return_episode_rewards=True, warn=False)
    env.close()
    assert episodes_in(run) == list(zip(returns, lengths))
    assert load_results(run)["episode_types"] == ["e"] * 5


def test_a_directory_of_stable_baselines3s_own_is_read(run, gymnasium, sb3):
    native = sb3("common.monitor")
    for worker in range(2):
        path = os.path.join(run, str(worker))
        env = native.Monitor(gymnasium.make("FrozenLake-v1"), path, info_keywords=("prob",))
        rollout(env, seed=worker)
        env.close()
    table = native.load_results(run)
    assert episodes_in(run) == list(zip(table.r, table.l))
    assert load_results(run)["env_info"]["env_id"] == "FrozenLake-v1"
    assert report(run).summary["episodes"] == 6


def test_a_directory_of_openai_baselines_own_is_read(run):
    os.mkdir(run)
    for rank in range(2):
        with open(os.path.join(run, f"{rank}.0.monitor.csv"), "w") as file:
            file.write('#{"t_start": %r, "env_id": "PongNoFrameskip-v4"}\n' % (1600000000.25 + rank))
            file.write("r,l,t\n-21.0,1000,%d\n-20.0,1100,%d\n" % (10 + rank, 20 + rank))
    results = load_results(run)
    assert results["episode_rewards"] == [-21.0, -21.0, -20.0, -20.0]
    assert results["episode_lengths"] == [1000, 1000, 1100, 1100]
    assert results["timestamps"] == [1600000000.25 + seconds for seconds in (10, 12, 20, 22)]
    assert results["env_info"]["env_id"] == "PongNoFrameskip-v4"
    assert report(run).summary["episodes"] == 4


# ---------------------------------------------------------------------------------------------------------------------
# CleanRL, and workers side by side
# ---------------------------------------------------------------------------------------------------------------------

def play_as_cleanrl(gymnasium, wrap, mode, steps=150):
    """CleanRL's ppo.py in gymnasium's form, but for the learning: thunks of environments, infos to log."""
    def thunk(index):
        def make():
            env = wrap(gymnasium.make("CartPole-v1", render_mode="rgb_array" if index == 0 else None), index)
            env.action_space.seed(index)
            return env
        return make

    envs = gymnasium.vector.SyncVectorEnv([thunk(index) for index in range(4)],
                                          autoreset_mode=gymnasium.vector.AutoresetMode[mode])
    envs.reset(seed=1)
    envs.action_space.seed(1)
    logged = []
    for _ in range(steps):
        infos = envs.step(envs.action_space.sample())[-1]
        finished = infos.get("final_info", infos)
        if "episode" in finished:
            over = finished["_episode"]
            logged += list(zip(finished["episode"]["r"][over], finished["episode"]["l"][over]))
    envs.close()
    return logged


@needs_ffmpeg
@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_cleanrl_logs_and_films_the_same_with_its_two_wrappers_replaced(tmp_path, gymnasium, mode):
    need("moviepy")

    def native(env, index):
        env = gymnasium.wrappers.RecordEpisodeStatistics(env)
        return gymnasium.wrappers.RecordVideo(env, str(tmp_path / "theirs")) if index == 0 else env

    def ours(env, index):
        return Monitor(env, str(tmp_path / "ours"), None if index == 0 else False, resume=True, uid=index)

    logged = play_as_cleanrl(gymnasium, ours, mode)
    assert logged == play_as_cleanrl(gymnasium, native, mode)
    assert sorted(logged) == sorted(episodes_in(str(tmp_path / "ours")))
    assert len(files(tmp_path / "ours", ".mp4")) == len(files(tmp_path / "theirs", ".mp4"))


CLEANRL = """
import itertools, runpy, sys
import gym
from gym_monitor import Monitor
workers = itertools.count()

def monitor(env):
    worker = next(workers)
    return Monitor(env, "ours", False if worker else None, resume=True, uid=worker)

if sys.argv.pop(1) == "ours":
    gym.wrappers.RecordEpisodeStatistics, gym.wrappers.RecordVideo = monitor, lambda env, folder: env
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@needs_ffmpeg
def test_cleanrls_own_ppo_runs_with_its_two_wrappers_replaced(tmp_path, numpy, monkeypatch):
    for module in ("gym", "cleanrl"):
        need(module, "--no-deps --ignore-requires-python cleanrl==1.2.0 gym==0.23.1 gym-notices")
    for module in ("torch", "tensorboard", "pygame"):
        need(module)
    monkeypatch.chdir(str(tmp_path))
    ppo = importlib.util.find_spec("cleanrl.ppo").origin
    logs = {}
    for whose in ("theirs", "ours"):
        options = ["--total-timesteps", "1024", "--cuda", "False", "--capture-video", str(whose == "ours")]
        status, out, err = python("-Wignore", "-c", CLEANRL, whose, ppo, *options, SDL_VIDEODRIVER="dummy")
        assert status == 0, err
        logs[whose] = [line for line in out.splitlines() if line.startswith("global_step")]
    assert len(logs["ours"]) > 10
    assert logs["ours"] == logs["theirs"]
    results = load_results("ours")
    assert {float(line.rpartition("=")[2]) for line in logs["ours"]} <= set(results["episode_rewards"])
    assert len(results["videos"]) == 3  # episodes 0, 1 and 8 of the first environment


def work(directory, worker):
    with Monitor(Picture(length=3 + worker), directory, lambda episode_id: episode_id == 0, resume=True,
                 uid=worker) as env:
        play(env, 4)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_write_side_by_side(run, no_ffmpeg, method):
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=work, args=(run, worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    results = load_results(run)
    assert sorted(results["episode_lengths"]) == [3] * 4 + [4] * 4 + [5] * 4
    assert len(results["manifests"]) == len(results["videos"]) == 3
    owners = sorted(name.split(".")[3] for name in files(run, ".monitor.csv"))
    assert owners == ["0", "1", "2"]


# ---------------------------------------------------------------------------------------------------------------------
# dm_env
# ---------------------------------------------------------------------------------------------------------------------

class TimeStep(collections.namedtuple("TimeStep", "step_type reward discount observation")):
    """dm_env's, as far as it tells."""

    def last(self):
        return self.step_type == 2


class DmWalk:
    """An environment in the manner of dm_env: no info, no reward at the reset."""

    def reset(self):
        self.steps = 0
        return TimeStep(0, None, None, "first")

    def step(self, action):
        self.steps += 1
        return TimeStep(1 + (self.steps == 3), float(self.steps), 1.0, self.steps)


def test_time_steps_are_understood_and_passed_through(run):
    with Monitor(DmWalk(), run) as env:
        for _ in range(2):
            assert env.reset() == TimeStep(0, None, None, "first")
            assert [env.step(0).reward for _ in range(3)] == [1.0, 2.0, 3.0]
        with pytest.raises(gym_monitor.ResetNeeded):
            env.step(0)
    assert episodes_in(run) == [(6.0, 3)] * 2


def test_a_render_attribute_films_a_dm_control_environment(run, no_ffmpeg):
    env = DmWalk()
    env.render = Picture().render  # a user would write: lambda: env.physics.render(height=240, width=320)
    with Monitor(env, run) as monitor:
        monitor.reset()
        while not monitor.step(0).last():
            pass
    (path, _), = monitor.videos
    assert path.endswith(".png")


def test_a_dm_env_environment_is_recorded(run):
    dm_env = need("dm_env", "dm-env")

    class Catch(dm_env.Environment):
        def reset(self):
            self.steps = 0
            return dm_env.restart(0)

        def step(self, action):
            self.steps += 1
            if self.steps == 4:
                return dm_env.truncation(2.5, self.steps, discount=1.0)
            return dm_env.transition(0.5, self.steps)

        def observation_spec(self):
            return dm_env.specs.Array((), int)

        def action_spec(self):
            return dm_env.specs.DiscreteArray(2)

    with Monitor(Catch(), run) as env:
        assert env.action_spec().num_values == 2
        for _ in range(2):
            assert env.reset().first()
            while not env.step(1).last():
                pass
    assert episodes_in(run) == [(4.0, 4)] * 2


# ---------------------------------------------------------------------------------------------------------------------
# Vector environments as one object
# ---------------------------------------------------------------------------------------------------------------------

def test_monitor_refuses_a_vector_environment_and_names_vector_monitor(run, gymnasium):
    envs = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    with pytest.raises(Error, match="VectorMonitor"):
        Monitor(envs, run)
    with pytest.raises(Error, match="Monitor"):
        VectorMonitor(gymnasium.make("CartPole-v1"), run)
    assert not os.path.exists(run)


def make_vector(gymnasium, kind, mode):
    """CartPoles in the vector environment that is asked for; gymnasium has a natively vectorised one."""
    if kind == "native":
        module = importlib.import_module("gymnasium.envs.classic_control.cartpole")
        return module.CartPoleVectorEnv(num_envs=3, render_mode="rgb_array")
    return getattr(gymnasium.vector, kind)(
        [lambda: gymnasium.make("CartPole-v1", render_mode="rgb_array")] * 3,
        autoreset_mode=gymnasium.vector.AutoresetMode[mode])


VECTORS = [("SyncVectorEnv", "NEXT_STEP"), ("SyncVectorEnv", "SAME_STEP"), ("AsyncVectorEnv", "NEXT_STEP"),
           ("AsyncVectorEnv", "SAME_STEP"), ("native", "NEXT_STEP")]


@pytest.mark.parametrize("kind, mode", VECTORS)
def test_a_vector_trajectory_is_the_bare_environments(run, gymnasium, same, kind, mode):
    bare, _ = vector_rollout(make_vector(gymnasium, kind, mode))
    with VectorMonitor(make_vector(gymnasium, kind, mode), run, False, stats_key=None) as envs:
        recorded, _ = vector_rollout(envs)
    assert same(recorded, bare)


@pytest.mark.parametrize("kind, mode", VECTORS)
def test_every_sub_environments_episodes_are_in_one_journal(run, gymnasium, kind, mode):
    with VectorMonitor(make_vector(gymnasium, kind, mode), run, False) as envs:
        _, played = vector_rollout(envs)
    assert len(played) > 6
    assert episodes_in(run) == played
    assert len(files(run, ".monitor.csv")) == 1


def equal_but_for_the_time(numpy, ours, theirs):
    """Whether two runs' infos hold the same episodes in the same kinds of arrays."""
    assert [sorted(infos) for infos in ours] == [sorted(infos) for infos in theirs]
    for own, native in zip(ours, theirs):
        if "episode" in native:
            assert sorted(own["episode"]) == sorted(native["episode"])
            numpy.testing.assert_array_equal(own["_episode"], native["_episode"])
            for key in ("r", "l"):
                numpy.testing.assert_allclose(own["episode"][key], native["episode"][key], rtol=1e-12)
                assert own["episode"][key].dtype == native["episode"][key].dtype
            assert own["episode"]["t"].dtype == native["episode"]["t"].dtype
            assert (own["episode"]["t"] >= 0).all()
    return any("episode" in infos for infos in ours)


@pytest.mark.parametrize("kind, mode", VECTORS)
def test_vector_infos_are_those_of_record_episode_statistics(run, gymnasium, numpy, kind, mode):
    native = importlib.import_module("gymnasium.wrappers.vector").RecordEpisodeStatistics
    theirs, _ = vector_rollout(native(make_vector(gymnasium, kind, mode)))
    with VectorMonitor(make_vector(gymnasium, kind, mode), run, False) as envs:
        ours, _ = vector_rollout(envs)
    assert equal_but_for_the_time(numpy, [answer[-1] for answer in ours], [answer[-1] for answer in theirs])


@pytest.mark.parametrize("same_step", [False, True])
def test_a_fleet_in_numpy_has_record_episode_statistics_infos(run, gymnasium, numpy, Fleet, same_step):
    native = importlib.import_module("gymnasium.wrappers.vector").RecordEpisodeStatistics
    theirs, _ = vector_rollout(native(Fleet(numpy.array, same_step)), 25, actions=[0, 0, 0])
    with VectorMonitor(Fleet(numpy.array, same_step), run, False) as envs:
        ours, played = vector_rollout(envs, 25, actions=[0, 0, 0])
    assert equal_but_for_the_time(numpy, [answer[-1] for answer in ours], [answer[-1] for answer in theirs])
    assert episodes_in(run) == played


@pytest.mark.parametrize("same_step", [False, True])
def test_a_fleet_in_torch_tensors_is_recorded_without_leaving_torch(run, numpy, Fleet, same_step):
    torch = need("torch")
    with VectorMonitor(Fleet(torch.tensor, same_step), run, False) as envs:
        answers, played = vector_rollout(envs, 25, actions=[0, 0, 0])
    assert episodes_in(run) == played
    finished = []
    for answer in answers:
        if "episode" in answer[-1]:
            over, episode = answer[-1]["_episode"], answer[-1]["episode"]
            assert all(torch.is_tensor(values) for values in (over, episode["r"], episode["l"], episode["t"]))
            finished += list(zip(episode["r"][over].tolist(), episode["l"][over].tolist()))
    assert finished == played


def test_a_vector_monitor_passes_for_a_vector_environment_and_shows_what_is_inside(run, gymnasium):
    with VectorMonitor(make_vector(gymnasium, "SyncVectorEnv", "NEXT_STEP"), run, False) as envs:
        assert isinstance(envs, gymnasium.vector.VectorEnv)
        assert envs.num_envs == 3 and envs.single_action_space.n == 2
        assert envs.call("gravity") == envs.get_attr("gravity") == (9.8, 9.8, 9.8)
        above = importlib.import_module("gymnasium.wrappers.vector").NormalizeObservation(envs)
        _, played = vector_rollout(above)
    assert episodes_in(run) == played


def test_a_single_environment_that_gyms_wrapper_gave_num_envs_is_no_vector(run):
    env = Walk()
    env.num_envs, env.is_vector_env = 1, False
    with pytest.raises(Error, match="not a vector environment"):
        VectorMonitor(env, run)
    with Monitor(env, run) as monitor:
        play(monitor)


def test_a_vector_environment_is_closed_with_its_own_arguments(run, gymnasium):
    VectorMonitor(make_vector(gymnasium, "AsyncVectorEnv", "NEXT_STEP"), run, False).close(terminate=True)


def test_statistics_of_torch_rewards_keep_no_graph(run, gymnasium, Fleet):
    need("torch")
    torch = importlib.import_module("torch")

    class Differentiable(Fleet):
        def step(self, actions):
            observations, rewards, *rest = super().step(actions)
            return (observations, rewards * torch.ones(3, requires_grad=True)) + tuple(rest)

    with VectorMonitor(Differentiable(torch.tensor, False), run, False) as envs:
        envs.reset()
        answers = [envs.step([0, 0, 0]) for _ in range(8)]
    assert all(answer[1].requires_grad for answer in answers)
    returns = [answer[-1]["episode"]["r"] for answer in answers if "episode" in answer[-1]]
    assert returns and not any(values.requires_grad for values in returns)


@pytest.mark.parametrize("same_step, columns", [(False, ["20", "30", "40"]), (True, ["20", "30", "40"])])
def test_info_keywords_of_sub_environments_go_into_the_journal(run, numpy, Fleet, same_step, columns):
    with VectorMonitor(Fleet(numpy.array, same_step), run, False, info_keywords=("score",)) as envs:
        vector_rollout(envs, 4, actions=[0, 0, 0])
    _, rows = journal_rows(run)
    assert sorted(row["score"] for row in rows if row["l"] != "2") == columns[1:]
    assert rows[0]["score"] == columns[0]


@needs_ffmpeg
@pytest.mark.parametrize("same_step, frames", [(False, [0, 60, 120]), (True, [0, 60])])
def test_the_video_of_a_fleet_shows_its_first_sub_environment(run, numpy, Fleet, same_step, frames):
    with VectorMonitor(Fleet(numpy.array, same_step), run, lambda episode: episode < 2) as envs:
        vector_rollout(envs, 10, actions=[0, 0, 0])
    assert len(envs.videos) == 2
    for path, _ in envs.videos:  # a step that ends an episode and begins the next one shows the next one
        assert shades(path, 32 * 32) == pytest.approx(frames, abs=2)


def test_a_fleet_that_is_resumed_goes_on_with_the_numbers_of_its_videos(run, numpy, Fleet, no_ffmpeg):
    asked = []
    for first in (0, 4):
        with VectorMonitor(Fleet(numpy.array, True), run, lambda episode: asked.append(episode), resume=True) as envs:
            assert envs.episode_id == first
            vector_rollout(envs, 5, actions=[0, 0, 0])
    assert asked == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize("same_step", [False, True])
def test_keep_video_is_asked_about_the_first_sub_environments_episodes(run, numpy, Fleet, same_step):
    asked = []
    fleet = Fleet(numpy.array, same_step)
    with VectorMonitor(fleet, run, lambda episode: True, keep_video=asked.append) as envs:
        vector_rollout(envs, 5, actions=[0, 0, 0])
    assert len(asked) == 2
    for episode in asked:
        assert (episode.reward, episode.length) == (0.75, 2)
        assert episode.info["score"] == 20
        assert episode.info["level"] == 7  # one entry for all
        assert episode.info["episode"]["r"] == 0.75
    assert not [name for name in files(run) if "video000000" in name or "video000001" in name]


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
def test_a_partial_reset_begins_the_episodes_that_it_picks(run, gymnasium, numpy, kind):
    played, rewards = [], [[], [], []]
    with VectorMonitor(make_vector(gymnasium, kind, "DISABLED"), run, False) as envs:
        envs.reset(seed=5)
        envs.action_space.seed(5)
        for _ in range(80):
            _, reward, terminated, truncated, _ = envs.step(envs.action_space.sample())
            over = terminated | truncated
            for index in range(3):
                rewards[index].append(float(reward[index]))
                if over[index]:
                    played.append((sum(rewards[index]), len(rewards[index])))
                    rewards[index] = []
            if over.any():
                envs.reset(options={"reset_mask": over})
    assert len(played) > 6
    assert episodes_in(run) == played


def test_a_partial_reset_in_mid_episode_drops_that_episode_alone(run, gymnasium, numpy):
    with VectorMonitor(make_vector(gymnasium, "SyncVectorEnv", "DISABLED"), run, False) as envs:
        envs.reset(seed=5)
        for _ in range(3):
            envs.step([1, 1, 1])
        envs.reset(options={"reset_mask": numpy.array([False, True, False])})
        ends, steps = {}, 0
        while len(ends) < 3:
            over = envs.step([1, 1, 1])[2]
            steps += 1
            for index in range(3):
                if over[index]:
                    ends.setdefault(index, steps)
            if over.any():
                envs.reset(options={"reset_mask": over})
        lengths = envs.get_episode_lengths()
    assert ends[0] + 3 in lengths and ends[1] in lengths and ends[2] + 3 in lengths


# ---------------------------------------------------------------------------------------------------------------------
# Types, names and what is said
# ---------------------------------------------------------------------------------------------------------------------

USER_CODE = '''
import pathlib
from typing import Any, Dict, List, Tuple

import gym_monitor
from gym_monitor import Episode, Error, Monitor, ResetNeeded, StatsRecorder, VectorMonitor, VideoRecorder


def only_failures(episode: Episode) -> bool:
    return episode.reward < 0 and episode.length > 10 and episode.episode_id > 0


def make(env: object, worker: int) -> Monitor:
    return Monitor(env, "runs", gym_monitor.capped_cubic_video_schedule, resume=True, uid=worker,
                   mode="evaluation", allow_early_resets=True, step_trigger=lambda step: step % 1000 == 0,
                   video_length=200, fps=12.5, stats_key=None, info_keywords=("success",),
                   keep_video=only_failures)


def use(env: object) -> List[float]:
    with Monitor(env, pathlib.Path("runs") / "typed", False, force=True, write_upon_reset=True) as monitor:
        monitor.reset(seed=1)
        monitor.step(0)
        monitor.set_monitor_mode("training")
        pairs: List[Tuple[str, str]] = monitor.videos
        lengths: List[int] = monitor.get_episode_lengths()
        print(pairs, lengths, monitor.episode_id, monitor.directory, monitor.get_total_steps(), monitor.spec)
        return monitor.get_episode_rewards()


def use_more(env: object, infos: Dict[str, Any]) -> str:
    waiting = Monitor(env)
    waiting.start("runs", lambda episode_id: episode_id == 3, resume=True)
    waiting.close()
    with VectorMonitor(env, "runs", video_callable=False) as envs:
        envs.step([0, 1])
    stats = StatsRecorder("runs", "alone", env_id="Own-v0")
    stats.after_step(None, 1.0, True, infos)
    video = VideoRecorder(env, base_path="runs/video", fps=30)
    video.capture_frame()
    video.close()
    try:
        results = gym_monitor.load_results("runs")
    except (ResetNeeded, Error) as problem:
        return str(problem)
    gym_monitor.clear_monitor_files("runs")
    return gym_monitor.report("runs", pathlib.Path("more"), embed=True).html + str(results["episode_rewards"])
'''


def test_mypy_strict_passes_on_code_that_calls_the_api(tmp_path, monkeypatch):
    need("mypy")
    program = tmp_path / "user.py"
    program.write_text(USER_CODE)
    shutil.copy(MODULE, str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    status, out, err = python("-m", "mypy", "--strict", "user.py")
    assert (status, err) == (0, ""), out


@pytest.mark.parametrize("thing", [Monitor, Monitor.start, StatsRecorder, VideoRecorder],
                         ids=lambda thing: thing.__name__)
def test_help_documents_each_parameter(thing):
    text = pydoc.plain(pydoc.render_doc(thing))
    if thing is Monitor.start:
        text += pydoc.plain(pydoc.render_doc(Monitor))  # to which it refers
    for name in inspect.signature(thing).parameters:
        assert name == "self" or f"  {name}: " in text


def test_every_public_name_has_a_docstring():
    for name in gym_monitor.__all__:
        if callable(getattr(gym_monitor, name)):
            assert getattr(gym_monitor, name).__doc__, name


def test_a_clean_run_says_nothing(run):
    status, out, err = python("-W", "error", "-c", """if True:
        import sys, gym_monitor
        with gym_monitor.Monitor(gym_monitor.Lander(1), sys.argv[1]) as env:
            for episode in range(3):
                env.reset()
                while not any(env.step(0)[2:4]):
                    pass
            assert len(env.videos) == 2
        gym_monitor.load_results(sys.argv[1])
        gym_monitor.report(sys.argv[1])
        """, run)
    assert (status, out, err) == (0, "", "")


def test_warnings_are_logged_under_the_modules_name(run, caplog, capsys):
    env = Picture()
    env.render = lambda: 1 / 0
    with Monitor(env, run) as monitor:
        play(monitor)
    assert [(record.name, record.levelname) for record in caplog.records] == [("gym_monitor", "WARNING")]
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------------------------------------------------------
# Platforms
# ---------------------------------------------------------------------------------------------------------------------

# What the standard library needs of these names itself it has taken when it is imported.
STRIPPED = """
import asyncio, logging, multiprocessing, os, random, select, selectors, shutil, signal
import subprocess, sys, tempfile

def strip(module, *names):
    for name in names:
        vars(module).pop(name, None)

{}
import gym_monitor
env = gym_monitor.Monitor(gym_monitor.Lander(1), sys.argv[1], write_upon_reset=True)
for episode in range(2):
    env.reset()
    while not any(env.step(0)[2:4]):
        pass
env.reset()
env.step(0)  # and it ends here, without close()
"""
PLATFORMS = {
    "macOS": """
import fcntl
strip(fcntl, "F_SETPIPE_SZ", "F_GETPIPE_SZ")
strip(os, "pipe2", "memfd_create", "posix_fallocate", "O_DIRECT", "O_PATH")
strip(select, "epoll")
""",
    "Windows": """
sys.modules.update(fcntl=None, resource=None, termios=None)
strip(os, "fork", "forkpty", "register_at_fork", "killpg", "setsid", "setpgid", "getpgid", "set_blocking",
      "get_blocking", "pipe2", "fchmod", "fchown", "mkfifo", "pread", "pwrite", "sendfile", "sysconf",
      "memfd_create", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "O_NONBLOCK")
strip(select, "poll", "epoll")
subprocess._PopenSelector = selectors.SelectSelector
strip(signal, "SIGKILL")
os.O_BINARY, os.name = 0, "nt"
""",
}


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
@pytest.mark.parametrize("ending", [pytest.param(".mp4", marks=needs_ffmpeg), ".png"])
def test_it_records_without_the_names_that_another_platform_lacks(tmp_path, run, platform, ending):
    environment = {} if ending == ".mp4" else {"PATH": str(tmp_path)}
    status, out, err = python("-c", STRIPPED.format(PLATFORMS[platform]), run, **environment)
    assert (status, out, err) == (0, "", "")
    results = load_results(run)
    assert len(results["episode_rewards"]) == 2
    assert [os.path.splitext(path)[1] for path, _ in results["videos"]] == [ending] * 2
    if ending == ".mp4":
        assert [probe(path)["frames"] for path, _ in results["videos"]] == [
            length + 1 for length in results["episode_lengths"]]


# ---------------------------------------------------------------------------------------------------------------------
# Nothing lost, nobody harmed: faults that happen for real
# ---------------------------------------------------------------------------------------------------------------------

FFMPEG = shutil.which("ffmpeg")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"),
                                reason="this platform has no /proc: use Linux")
needs_root = pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0,
                                reason="run the tests as root on Linux, to mount a small tmpfs")
by_each_encoder = pytest.mark.parametrize(
    "path", [pytest.param(os.environ["PATH"], marks=needs_ffmpeg), ""], ids=["ffmpeg", "png"])


# ---- environments and helpers ----

def picture(value=0, width=8, height=6):
    return memoryview(bytes([value % 256]) * (3 * width * height)).cast("B", [height, width, 3])


class RandomWalk:
    """Episodes of `length` steps with random rewards; `draw(step)` makes its pictures."""

    metadata = {"render.modes": ["rgb_array"]}

    def __init__(self, length=3, seed=0, draw=picture):
        self.length, self.draw, self.random = length, draw, random.Random(seed)

    def reset(self):
        self.steps = 0
        return self.steps

    def step(self, action):
        self.steps += 1
        return self.steps, self.random.uniform(-1, 1), self.steps >= self.length, {}

    def render(self, mode="rgb_array"):
        return self.draw(self.steps)


def play_random(env, episodes=1):
    """Play whole episodes, and return the return of each."""
    returns = []
    for _ in range(episodes):
        env.reset()
        rewards, done = [], False
        while not done:
            _, reward, done, *_ = env.step(0)
            rewards.append(reward)
        returns.append(sum(rewards, 0.0))
    return returns


def play_on(env):
    """Play the episode under way to its end."""
    while not env.step(0)[2]:
        pass


def every(episode_id):
    return True


SCRIPT = "import gc, json, multiprocessing, os, random, signal, sys, time\nimport gym_monitor\n" + \
    "from gym_monitor import Monitor\n" + \
    "\n".join(map(inspect.getsource, [picture, RandomWalk, play_random, play_on, every]))


def begin(source, *arguments, **options):
    """Start another interpreter on a script, which has the environments and helpers from above."""
    place = os.path.dirname(os.path.abspath(gym_monitor.__file__))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(source)] + [str(argument) for argument in arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=place, PYTHONDONTWRITEBYTECODE="1"), **options)


def run_script(source, *arguments, **options):
    """Run a script to its end: exit status, standard output and standard error."""
    child = begin(source, *arguments, **options)
    out, err = child.communicate(timeout=100)
    return child.returncode, out, err


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def processes_in(directory):
    """The processes that work in a directory, as ffmpeg does in that of its video."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd").split(" ")[0] == os.path.realpath(directory):
                found.append(int(pid))
    return found


def children():
    """The child processes of this one, those included that nobody has waited for."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(pid))
    return found


def count_frames(path):
    """How many frames a player finds in a video."""
    player = subprocess.Popen([
        "ffprobe", "-v", "quiet", "-count_frames", "-select_streams", "v:0", "-of", "csv=p=0",
        "-show_entries", "stream=nb_read_frames", path], stdout=subprocess.PIPE)
    return int(player.communicate()[0] or 0)


def read_json_file(*path):
    with open(os.path.join(*map(str, path))) as file:
        return json.load(file)


def metadata_of(directory):
    return [read_json_file(directory, name) for name in files(directory, ".meta.json")]


def as_gym_reads(directory):
    """The returns in a directory, read as gym 0.21 does: every manifest, and the statistics it names."""
    episodes = []
    for name in os.listdir(directory):
        if name.startswith("openaigym.manifest."):
            stats = read_json_file(directory, read_json_file(directory, name)["stats"])
            episodes += zip(stats["timestamps"], stats["episode_rewards"])
    return [reward for _, reward in sorted(episodes)]


@pytest.fixture
def fake_ffmpeg(monkeypatch, tmp_path):
    """A function that puts a shell script in the place of ffmpeg, and hangs are found sooner."""
    def install(script, mode=0o755):
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "ffmpeg"
        program.write_text(script)
        program.chmod(mode)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin" if mode & 0o100 else str(program.parent))
        monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 2.0)
        return program
    return install


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a file system of its own, of 96 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)]
    if subprocess.call(mount, stderr=subprocess.DEVNULL):
        pytest.skip("allow mount: this container's root may not (docker run --cap-add SYS_ADMIN)")
    yield disk
    subprocess.check_call(["umount", str(disk)])


def fill(disk):
    """Take all the room that a disk has."""
    with open(str(disk / "filler"), "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


@pytest.fixture
def open_directory():
    """A directory that everybody may use, for tests in which root is nobody."""
    path = tempfile.mkdtemp()
    os.chmod(path, 0o777)
    yield path
    subprocess.call(["chmod", "-R", "777", path])
    shutil.rmtree(path)


@contextlib.contextmanager
def unprivileged():
    """Root may write anywhere: be nobody for a while."""
    import csv  # noqa: F401 (nobody may not be able to read where Python is installed)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


# ---- 1. kill -9 ----

TRAIN_FOR_EVER = """
    directory, write_upon_reset, videos, monitors = sys.argv[1], *map(int, sys.argv[2:])
    envs = [Monitor(RandomWalk(5, seed), directory, every if videos else False, resume=True,
                    write_upon_reset=bool(write_upon_reset)) for seed in range(monitors)]
    os.write(1, b"started\\n")
    while True:
        for number, env in enumerate(envs):
            os.write(1, "{} {!r}\\n".format(number, play_random(env)[0]).encode())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform has no kill -9")
@pytest.mark.parametrize("kills, lines, write_upon_reset, videos, monitors", [
    (16, 60, 0, 0, 1),
    (16, 60, 1, 0, 1),
    (8, 60, 1, 0, 3),
    pytest.param(7, 5, 0, 1, 1, marks=[needs_ffmpeg, needs_proc]),
    pytest.param(3, 5, 1, 1, 2, marks=[needs_ffmpeg, needs_proc]),
], ids=["plain", "write_upon_reset", "three monitors", "videos", "all at once"])
def test_killed_process_loses_no_completed_episode(tmp_path, kills, lines, write_upon_reset, videos,
                                                       monitors):
    chance = random.Random(kills)
    for kill in range(kills):
        directory = str(tmp_path / str(kill))
        child = begin(TRAIN_FOR_EVER, directory, write_upon_reset, videos, monitors)
        told = "".join(child.stdout.readline() for _ in range(1 + chance.randrange(lines)))
        time.sleep(chance.uniform(0, 0.02))
        child.kill()
        told += child.stdout.read()  # communicate() would miss what readline() has in its buffer
        child.communicate()
        told = [re.findall(f"^{number} (.*)\n", told, re.MULTILINE) for number in range(monitors)]

        if videos:
            wait_until(lambda folder=directory: not processes_in(folder))
        results = load_results(directory)
        recorded = list(zip(results["data_sources"], results["episode_rewards"]))
        for number in range(monitors):
            ours = [reward for source, reward in recorded if source == number]
            expected = play_random(RandomWalk(5, number), len(ours))
            assert ours == expected
            assert [float(reward) for reward in told[number]] in (ours, ours[:-1])  # one more may have been on its way
        if write_upon_reset:
            assert len(recorded) - len(as_gym_reads(directory)) <= monitors
        for recording, metadata in results["videos"] if videos else ():
            in_flight = read_json_file(metadata)["episode_id"] >= min(map(len, told))  # its last step never returned
            assert count_frames(recording) == 6 or (in_flight and 1 <= count_frames(recording) <= 6)
        listed = [os.path.basename(recording) for recording, _ in results["videos"]]
        assert not [name for name in files(directory, ".mp4")
                    if name not in listed and count_frames(os.path.join(directory, name))]


def interrupt_line(number, functions, action):
    """Do something, with Ctrl-C before the line of that number in our functions; return whether it was reached."""
    lines = itertools.count()

    def trace(frame, event, argument):
        if event == "line" and frame.f_code.co_name in functions and frame.f_code.co_filename == MODULE and (
                linecache.getline(MODULE, frame.f_lineno).strip() != "try:"):  # where no signal is handled
            if next(lines) == number:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("keywords", [(), ("what",)])
@pytest.mark.parametrize("removed", [False, True])
def test_episodes_around_ctrl_c_at_any_line_of_their_record_stay_themselves(tmp_path, keywords, removed):
    for number in itertools.count():
        env = Monitor(Walk(info={"what": "no"}), str(tmp_path / str(number)), False, allow_early_resets=True,
                      info_keywords=keywords)
        play(env)
        if removed:
            os.unlink(env.stats_recorder.journal_path)
        env.env.length = 4
        reached = interrupt_line(number, ("record", "_write_rows", "_cells", "_row"), lambda env=env: play(env))
        env.env.length = 5
        play(env, 2)
        told = [(env.get_episode_lengths(), env.get_episode_rewards())]
        if not removed:  # else it may take a second until that is seen
            results = load_results(env.directory)
            told.append((results["episode_lengths"], results["episode_rewards"]))
        env.close()
        results = load_results(env.directory)
        told.append((results["episode_lengths"], results["episode_rewards"]))
        for lengths, rewards in told:
            assert lengths in ([3, 4, 5, 5], [3, 5, 5])
            assert rewards == [sum(range(1 + length)) for length in lengths]
        if not reached:
            break
    assert number > 10


@pytest.mark.parametrize("kind", [Walk, OldWalk], ids=["five values", "four values"])
def test_steps_around_ctrl_c_at_any_line_of_one_are_counted_right_or_not_at_all(tmp_path, kind):
    def play_on(env):
        try:
            while not any(env.step(0)[2:-1]):
                pass
        except ResetNeeded:  # the interrupted step was the last one
            pass

    for number in itertools.count():
        env = Monitor(kind(4), str(tmp_path / str(number)), False, allow_early_resets=True)
        play(env, 2)
        env.reset()
        functions = "step", "_step_aside", "_note_other_form", "_reward_done_info", "_after_step", "save_complete"
        reached = interrupt_line(number, functions, lambda env=env: play_on(env))
        if env.env.steps < 4:
            play_on(env)
        play(env)
        env.close()
        results = load_results(env.directory)
        assert set(zip(results["episode_lengths"], results["episode_rewards"])) == {(4, 10.0)}
        assert 3 <= len(results["episode_lengths"]) <= 4
        if not reached:
            break
    assert number > 20


@pytest.mark.parametrize("keep", [True, False])
def test_videos_around_ctrl_c_at_any_line_of_their_end_play(tmp_path, no_ffmpeg, keep):
    for number in itertools.count():
        env = Monitor(Picture(), str(tmp_path / str(number)), every, allow_early_resets=True,
                      keep_video=lambda episode, keep=keep: keep or episode.episode_id != 1)
        play(env)
        reached = interrupt_line(number, ("_end_clip", "_end", "end", "_write_waiting", "_settle", "_discard", "_drop"),
                                 lambda env=env: play(env))
        play(env, 2)
        env.close()
        videos = load_results(env.directory)["videos"]
        assert len(set(env.videos)) == len(env.videos) and set(env.videos) <= set(videos)
        frames = [len(png_frames(recording)[1]) for recording, _ in sorted(videos)]
        assert frames[0] == frames[-1] == 4 and set(frames) <= {3, 4, 5} and 3 - (not keep) <= len(frames) <= 5
        if not reached:
            break
    assert number > 20


@needs_ffmpeg
@needs_proc
@pytest.mark.parametrize("goes_on", [True, False])
def test_video_of_which_nobody_knows_how_much_was_written_is_given_up_or_ends(tmp_path, monkeypatch, goes_on):
    write, calls = os.write, itertools.count()

    def interrupted(*arguments):
        written = write(*arguments)
        if next(calls) == 3:
            raise KeyboardInterrupt
        return written

    with Monitor(RandomWalk(6, draw=picture), str(tmp_path), every, allow_early_resets=True) as env:
        env.reset()
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            play_on(env)
        monkeypatch.undo()
        if goes_on:
            play_on(env)
            play_random(env)
    (recording, _), = load_results(str(tmp_path))["videos"]
    assert ("video000001" in recording) == goes_on and count_frames(recording) == (7 if goes_on else 5)
    assert [video["broken"] for video in metadata_of(tmp_path)] == ([True, False] if goes_on else [False])
    assert not processes_in(str(tmp_path))


@needs_ffmpeg
@needs_proc
def test_video_whose_beginning_is_interrupted_leaves_no_process(tmp_path):
    for number in itertools.count():
        env = Monitor(RandomWalk(draw=picture), str(tmp_path / str(number)), every, allow_early_resets=True)
        if not interrupt_line(number, ("__init__", "_prepare_pipe"), env.reset):
            break
        play_random(env)
        wait_until(lambda env=env: not processes_in(env.directory))
        env.close()
        assert [count_frames(recording) for recording, _ in load_results(env.directory)["videos"]] == [4]
    assert number > 20


@needs_ffmpeg
@needs_proc
@pytest.mark.parametrize("death", ["SIGKILL", "SIGTERM"])
def test_video_in_flight_of_a_killed_process_is_finished_by_ffmpeg(tmp_path, death):
    child = begin("""
        env = Monitor(RandomWalk(100), sys.argv[1])
        env.reset()
        for _ in range(25):
            env.step(0)
        print("ready", flush=True)
        signal.pause()
    """, tmp_path)
    child.stdout.readline()
    child.send_signal(getattr(signal, death))
    child.communicate()
    wait_until(lambda: not processes_in(str(tmp_path)))
    (recording, _), = load_results(str(tmp_path))["videos"]
    assert count_frames(recording) == 26


def test_torn_last_line_is_left_out(tmp_path):
    with Monitor(RandomWalk(), str(tmp_path), False) as env:
        returns = play_random(env, 3)
    journal = str(tmp_path / files(tmp_path, ".monitor.csv")[0])
    for name in files(tmp_path, ".json"):
        os.unlink(str(tmp_path / name))
    with open(journal, "rb") as file:
        content = file.read()
    for size in range(len(content)):
        with open(journal, "wb") as file:
            file.write(content[:size])
        whole = max(0, content[:size].count(b"\n") - 2)
        assert load_results(str(tmp_path))["episode_rewards"] == returns[:whole]


# ---- 2. no close() ----

LEAVE = {
    "interpreter exit": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "uncaught exception": ("raise ValueError('of the training')", 1),
    "dropped": ("del env", 0),
    "dropped in a cycle": ("env.env.monitor = env; env.env.itself = env.env; del env; gc.collect()", 0),
    "in a cycle at exit": ("gc.disable(); env.env.monitor = env; del env", 0),
    "global of another module": ("import types; sys.modules['lab'] = types.ModuleType('lab'); "
                                 "sys.modules['lab'].env = env; del env", 0),
}


@pytest.mark.parametrize("how", sorted(LEAVE))
@by_each_encoder
def test_leaving_without_close_completes_the_files(tmp_path, how, path):
    leave, status = LEAVE[how]
    code, out, err = run_script(f"""
        os.environ["PATH"] = sys.argv[2]
        env = Monitor(RandomWalk(), sys.argv[1], every)
        print(play_random(env, 3))
        env.reset()
        env.step(0)
        {leave}
    """, tmp_path, path)
    assert code == status, err
    assert "Exception ignored" not in err and "Error in atexit" not in err
    assert (err == "") == (status != 1)
    results = load_results(str(tmp_path))
    assert results["episode_rewards"] == as_gym_reads(str(tmp_path)) == json.loads(out)
    manifest, = results["manifests"]
    assert len(results["videos"]) == len(read_json_file(manifest)["videos"]) == 4
    if path:
        assert [count_frames(recording) for recording, _ in results["videos"]] == [4, 4, 4, 2]


@pytest.fixture
def ctrl_c():
    """The signal of Ctrl-C, which children heed (a job in the background of a shell inherits that it is ignored)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.SIGINT
    signal.signal(signal.SIGINT, before)


@needs_ffmpeg
@pytest.mark.parametrize("busy", [False, True], ids=["in a pause", "in mid-step"])
def test_ctrl_c_to_the_whole_process_group_completes_the_files(tmp_path, ctrl_c, busy):
    child = begin("""
        env = Monitor(RandomWalk(10000, draw=lambda step: picture(step, 640, 480)), sys.argv[1])
        env.reset()
        for _ in range(20):
            env.step(0)
        print("ready", flush=True)
        while int(sys.argv[2]):
            env.step(0)
        signal.pause()
    """, tmp_path, int(busy), start_new_session=True)
    child.stdout.readline()
    os.killpg(child.pid, ctrl_c)
    err = child.communicate()[1]
    assert child.returncode in (1, -ctrl_c)
    assert err.rstrip().endswith("KeyboardInterrupt") and "Exception ignored" not in err
    (recording, _), = load_results(str(tmp_path))["videos"]
    assert count_frames(recording) >= 21 if busy else count_frames(recording) == 21
    assert len(read_json_file(load_results(str(tmp_path))["manifests"][0])["videos"]) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no timer that interrupts")
def test_recording_goes_on_after_ctrl_c_in_the_middle_of_a_frame(tmp_path, fake_ffmpeg, monkeypatch):
    size = 3 * 999 * 999
    program = fake_ffmpeg(
        PROBED + f"head -c {size} >>$0.input; until [ -e $0.go ]; do sleep 0.1; done; cat >>$0.input")
    monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 60.0)

    def interrupt(*_):
        open(str(program) + ".go", "w").close()
        raise KeyboardInterrupt

    with Monitor(RandomWalk(3, draw=lambda step: picture(step, 999, 999)), str(tmp_path / "run")) as env:
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            env.reset()
            wait_until(lambda: os.path.exists(str(program) + ".input") and
                       os.path.getsize(str(program) + ".input") == size)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                play_on(env)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        play_on(env)
    assert os.path.getsize(str(program) + ".input") == 4 * size  # else a frame shifts those that follow it


def test_episode_whose_reset_was_interrupted_in_its_picture_is_recorded(tmp_path):
    pictures = iter([KeyboardInterrupt])

    def draw(step):
        for interrupt in pictures:
            raise interrupt
        return picture(step)

    with Monitor(RandomWalk(draw=draw), str(tmp_path)) as env:
        with pytest.raises(KeyboardInterrupt):
            env.reset()
        play_on(env)
        play_random(env)
    assert load_results(str(tmp_path))["episode_rewards"] == play_random(RandomWalk(), 2)


def test_sigterm_leaves_a_complete_journal(tmp_path):
    child = begin(TRAIN_FOR_EVER, tmp_path, 0, 0, 1)
    for _ in range(30):
        child.stdout.readline()
    child.terminate()
    child.communicate()
    assert child.returncode == -signal.SIGTERM
    returns = load_results(str(tmp_path))["episode_rewards"]
    assert len(returns) >= 29 and returns == play_random(RandomWalk(5, 0), len(returns))


# ---- 3. nothing is overwritten ----

def start_at_once(directory, uid, pid, barrier, number):
    """What each of several processes does."""
    if pid:
        os.getpid = lambda: pid
    barrier.wait()
    env = Monitor(RandomWalk(3, number), directory, every, resume=True, uid=uid, write_upon_reset=bool(number % 2))
    play_random(env, 5)
    env.close()


@needs_fork
@pytest.mark.parametrize("uid, pid", [("same", None), (None, 1)], ids=["the same uid", "pid 1 everywhere"])
def test_sixteen_processes_at_once_in_one_directory(tmp_path, no_ffmpeg, uid, pid):
    import multiprocessing
    context = multiprocessing.get_context("fork")
    directory, barrier = str(tmp_path / "run"), context.Barrier(16)
    processes = [context.Process(target=start_at_once, args=(directory, uid, pid, barrier, number))
                 for number in range(16)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 16

    results = load_results(directory)
    runs = {}
    for source, reward in zip(results["data_sources"], results["episode_rewards"]):
        runs.setdefault(source, []).append(reward)
    assert sorted(runs.values()) == sorted(play_random(RandomWalk(3, number), 5) for number in range(16))
    named = [path for manifest in results["manifests"] for path in sum(read_json_file(manifest)["videos"], [])]
    assert len(named) == len(set(named)) == 2 * 16 * 5
    assert len({read_json_file(manifest)["stats"] for manifest in results["manifests"]}) == 16
    assert len(files(directory)) == 16 * (3 + 2 * 5)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_cell_of_a_notebook_that_is_run_again_begins_anew_with_force(tmp_path, no_ffmpeg, steps):
    directory = str(tmp_path)
    env = Monitor(RandomWalk(3, 1), directory, every, force=True)
    play_random(env, 3)
    env.reset()
    another = Monitor(RandomWalk(4, 2), directory, every, force=True)
    for _ in range(steps):
        env.step(0)  # ... unless the old one goes on: then all of it is kept
    del env
    gc.collect()
    play_random(another, 2)
    another.close()
    results = load_results(directory)
    assert results["episode_lengths"] == ([3, 3, 3, 3] if steps else []) + [4, 4]
    assert results["videos"] == another.videos and len(another.videos) == 2
    assert another.file_infix.endswith(f".{os.getpid()}")
    assert len(files(directory, ".manifest.json")) == 1 + bool(steps)


def test_a_monitor_around_one_that_records_into_the_same_directory_is_an_error(tmp_path):
    with Monitor(RandomWalk(), str(tmp_path / "run"), False) as env:
        with pytest.raises(Error, match="itself"):
            Monitor(env, str(tmp_path / "run"), False, resume=True)
        with Monitor(env, str(tmp_path / "more"), False) as above:
            play_random(above, 2)
    for name in ("run", "more"):
        assert len(load_results(str(tmp_path / name))["episode_rewards"]) == 2


def test_later_run_of_the_same_uid_goes_on(tmp_path):
    for number in range(3):
        with Monitor(RandomWalk(3, number), str(tmp_path), False, resume=True, uid="agent") as env:
            assert env.episode_id == 4 * number
            play_random(env, 4)
    expected = sum([play_random(RandomWalk(3, number), 4) for number in range(3)], [])
    assert load_results(str(tmp_path))["episode_rewards"] == as_gym_reads(str(tmp_path)) == expected
    assert len(files(tmp_path)) == 9


def test_same_uid_in_another_process_later_goes_on(tmp_path):
    source = """
        with Monitor(RandomWalk(3, int(sys.argv[2])), sys.argv[1], every, resume=True, uid="agent") as env:
            print(env.episode_id)
            play_random(env, 4)
    """
    assert [run_script(source, tmp_path, number)[1] for number in range(3)] == ["0\n", "4\n", "8\n"]
    results = load_results(str(tmp_path))
    assert results["episode_rewards"] == sum([play_random(RandomWalk(3, number), 4) for number in range(3)], [])
    assert sorted(read_json_file(metadata)["episode_id"] for _, metadata in results["videos"]) == list(range(12))


def test_run_whose_name_was_cleared_and_taken_leaves_the_new_one_alone(tmp_path, monkeypatch, no_ffmpeg):
    old = Monitor(RandomWalk(3, 1), str(tmp_path), every, uid="agent")
    play_random(old)
    number = int(old.file_infix.split(".")[0])
    monkeypatch.setattr(Monitor, "_number_of_monitors", number)  # as in another process
    with Monitor(RandomWalk(4, 2), str(tmp_path), every, uid="agent", force=True) as new:
        play_random(new, 3)
    play_random(old, 3)
    with pytest.raises(Error, match="another monitor has these names"):
        old.close()
    results = load_results(str(tmp_path))
    assert results["videos"] == new.videos
    assert [len(png_frames(recording)[1]) for recording, _ in new.videos] == [5, 5, 5]
    assert results["episode_rewards"] == play_random(RandomWalk(4, 2), 3)


def test_statistics_used_after_close_go_into_no_file_of_others(tmp_path):
    stats = StatsRecorder(str(tmp_path), "mine")
    stats.close()
    with open(str(tmp_path / "other"), "wb") as other:  # gets the number that the journal's descriptor had
        stats.after_reset(None)
        stats.after_step(None, 1.0, True, {})
        other.flush()
        assert os.path.getsize(other.name) == 0


def test_clearing_beside_a_live_run_is_no_error(tmp_path):
    child = begin(TRAIN_FOR_EVER, tmp_path, 1, 0, 2)
    child.stdout.readline()
    try:
        for _ in range(300):
            child.stdout.readline()
            clear_monitor_files(str(tmp_path))
    finally:
        child.kill()
        child.communicate()


# ---- 4. full disk, removed and read-only directory ----

@needs_root
@pytest.mark.parametrize("write_upon_reset", [False, True])
def test_full_disk_delays_the_rows(small_disk, write_upon_reset):
    env = Monitor(RandomWalk(), str(small_disk / "run"), False, write_upon_reset=write_upon_reset)
    returns = play_random(env, 5)
    fill(small_disk)
    returns += play_random(env, 300)
    assert len(load_results(env.directory)["episode_rewards"]) < 305
    os.unlink(str(small_disk / "filler"))
    returns += play_random(env, 1)
    assert load_results(env.directory)["episode_rewards"] == returns
    env.close()
    assert load_results(env.directory)["episode_rewards"] == as_gym_reads(env.directory) == returns


@needs_root
@pytest.mark.parametrize("write_upon_reset", [False, True])
def test_full_disk_at_the_end_is_an_error_and_what_was_stored_stays_whole(small_disk, write_upon_reset):
    env = Monitor(RandomWalk(), str(small_disk / "run"), False, write_upon_reset=write_upon_reset)
    returns = play_random(env, 5)
    fill(small_disk)
    returns += play_random(env, 300)
    for _ in range(2):
        with pytest.raises(Error, match="space"):
            env.close()
    stored = load_results(env.directory)["episode_rewards"]
    assert len(stored) >= 5 and stored == returns[:len(stored)]
    if write_upon_reset:
        assert as_gym_reads(env.directory) == returns[:5]
    os.unlink(str(small_disk / "filler"))
    env.close()
    assert load_results(env.directory)["episode_rewards"] == as_gym_reads(env.directory) == returns


@needs_root
@by_each_encoder
def test_full_disk_in_a_video_gives_up_the_video_alone(small_disk, monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    noise = random.Random(0)

    def draw(step):
        size = 3 * 128 * 128
        return memoryview(noise.getrandbits(8 * size).to_bytes(size, "big")).cast("B", [128, 128, 3])

    with Monitor(RandomWalk(40, draw=draw), str(small_disk / "run"), lambda number: number == 1) as env:
        returns = play_random(env, 3)
    results = load_results(env.directory)
    assert (results["episode_rewards"], results["videos"], env.videos) == (returns, [], [])
    metadata, = metadata_of(env.directory)
    assert metadata["broken"] and "No space left" in metadata["error"]
    assert not files(env.directory, ".mp4") + files(env.directory, ".png")


@needs_root
def test_full_disk_at_the_start_is_an_error_that_leaves_nothing(small_disk):
    fill(small_disk)
    with pytest.raises(Error, match="space"):
        Monitor(RandomWalk(), str(small_disk / "a" / "b"))
    assert files(small_disk) == ["filler"]


@pytest.mark.parametrize("write_upon_reset", [False, True])
def test_directory_removed_and_made_again_gets_everything(tmp_path, write_upon_reset):
    env = Monitor(RandomWalk(), str(tmp_path / "run"), False, write_upon_reset=write_upon_reset)
    returns = play_random(env, 3)
    shutil.rmtree(env.directory)
    returns += play_random(env, 3)
    os.mkdir(env.directory)
    returns += play_random(env, 3)
    if write_upon_reset:  # else it may take a second until the loss is seen
        assert load_results(env.directory)["episode_rewards"] == returns
    env.close()
    assert load_results(env.directory)["episode_rewards"] == as_gym_reads(env.directory) == returns


def test_directory_removed_in_a_long_run_gets_everything_before_its_end(tmp_path):
    env = Monitor(RandomWalk(), str(tmp_path / "run"), False)
    returns = play_random(env, 3)
    shutil.rmtree(env.directory)
    os.mkdir(env.directory)

    def seen():
        returns.extend(play_random(env))
        return files(env.directory)

    wait_until(seen)
    assert load_results(env.directory)["episode_rewards"] == returns


def test_directory_removed_for_good_is_an_error_at_close(tmp_path):
    env = Monitor(RandomWalk(), str(tmp_path / "run"), False)
    returns = play_random(env, 3)
    shutil.rmtree(env.directory)
    returns += play_random(env, 3)
    for _ in range(2):
        with pytest.raises(Error, match=re.escape(env.directory)):
            env.close()
    os.mkdir(env.directory)
    env.close()
    assert load_results(env.directory)["episode_rewards"] == as_gym_reads(env.directory) == returns


@by_each_encoder
def test_directory_removed_under_a_video_lists_no_video_that_is_not_there(tmp_path, monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    with Monitor(RandomWalk(), str(tmp_path / "run"), lambda number: number in (0, 2)) as env:
        env.reset()
        env.step(0)
        shutil.rmtree(env.directory)
        os.mkdir(env.directory)
        play_on(env)
        play_random(env, 3)
    assert [os.path.exists(recording) for recording, _ in env.videos] == [True]
    assert len(load_results(env.directory)["videos"]) == 1
    assert len(read_json_file(load_results(env.directory)["manifests"][0])["videos"]) == 1


@pytest.mark.parametrize("write_upon_reset", [False, True])
def test_directory_made_read_only_is_an_error_at_close_only(open_directory, write_upon_reset, no_ffmpeg):
    with unprivileged():
        env = Monitor(RandomWalk(), os.path.join(open_directory, "run"), every, write_upon_reset=write_upon_reset)
        returns = play_random(env, 3)
        os.chmod(env.directory, 0o555)
        returns += play_random(env, 3)
        assert load_results(env.directory)["episode_rewards"] == returns
        with pytest.raises(Error, match=re.escape(env.directory)):
            env.close()
        os.chmod(env.directory, 0o755)
        env.close()
        results = load_results(env.directory)
        assert results["episode_rewards"] == as_gym_reads(env.directory) == returns
        assert len(results["videos"]) == 3


# ---- 5. forks ----

CHILD_LEAVES = {"os._exit": "os._exit(0)", "sys.exit": "sys.exit(0)", "falling off the end": ""}


@needs_fork
@needs_proc
@pytest.mark.parametrize("how", sorted(CHILD_LEAVES))
@by_each_encoder
def test_forked_child_leaves_the_recording_to_its_parent(tmp_path, how, path):
    code, out, err = run_script(f"""
        os.environ["PATH"] = sys.argv[2]
        env = Monitor(RandomWalk(6), sys.argv[1], every, write_upon_reset=True)
        returns = play_random(env, 2)
        env.reset()
        rewards = [env.step(0)[1] for _ in range(3)]

        def sizes():
            return sorted((file.name, file.stat().st_size) for file in os.scandir(sys.argv[1])
                          if not file.name.endswith((".mp4", ".png")))

        before = sizes()
        pid = os.fork()
        if pid == 0:
            env.step(0)
            assert len(play_random(env, 3)) == 3
            assert env.env.length == 6 and not env.enabled
            env.close()
            {CHILD_LEAVES[how]}
        else:
            assert os.waitpid(pid, 0)[1] == 0
            assert before == sizes()
            rewards += [env.step(0)[1] for _ in range(3)]
            returns += [sum(rewards, 0.0)] + play_random(env, 1)
            env.close()
            print(json.dumps(returns))
    """, tmp_path, path)
    assert code == 0, err
    assert err.count("\n") == 1 and "not recorded" in err
    results = load_results(str(tmp_path))
    assert results["episode_rewards"] == json.loads(out) == play_random(RandomWalk(6), 4)
    assert len(results["videos"]) == 4 and len(files(tmp_path, ".monitor.csv")) == 1
    if path:
        assert [count_frames(recording) for recording, _ in results["videos"]] == [7, 7, 7, 7]


@needs_fork
def test_multiprocessing_pool_leaves_the_recording_to_its_parent(tmp_path):
    code, out, err = run_script("""
        env = Monitor(RandomWalk(6), sys.argv[1], every)
        returns = play_random(env, 2)
        env.reset()

        def work(number):
            mine = Monitor(RandomWalk(2, number), sys.argv[2], False, resume=True)
            play_random(mine)
            return env.step(0)[0]

        with multiprocessing.get_context("fork").Pool(3) as pool:
            pool.map(work, range(12), chunksize=1)
            pool.close()
            pool.join()
        returns.append(sum([env.step(0)[1] for _ in range(6)], 0.0))
        print(json.dumps(returns))
    """, tmp_path / "parent", tmp_path / "children")
    assert code == 0 and "Exception ignored" not in err and "Traceback" not in err, err
    results = load_results(str(tmp_path / "parent"))
    assert results["episode_rewards"] == json.loads(out) == play_random(RandomWalk(6), 3)
    assert len(results["videos"]) == 3
    expected = sorted(play_random(RandomWalk(2, number))[0] for number in range(12))
    assert sorted(load_results(str(tmp_path / "children"))["episode_rewards"]) == expected


@needs_fork
def test_forked_process_of_multiprocessing_completes_its_files(tmp_path, no_ffmpeg):
    code, _, err = run_script("""
        def work():
            global env  # which nobody closes
            env = Monitor(RandomWalk(3), sys.argv[1], every)
            play_random(env, 2)

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        sys.exit(child.exitcode)
    """, tmp_path)
    assert (code, err) == (0, "")
    results = load_results(str(tmp_path))
    assert len(results["episode_rewards"]) == len(as_gym_reads(str(tmp_path))) == 2
    assert [len(png_frames(recording)[1]) for recording, _ in results["videos"]] == [4, 4]


@needs_fork
@needs_ffmpeg
@needs_proc
def test_sleeping_child_does_not_keep_the_parents_video_from_ending(tmp_path):
    code, _, err = run_script("""
        env = Monitor(RandomWalk(6), sys.argv[1])
        env.reset()
        env.step(0)
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        play_on(env)
        env.close()
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        os.kill(pid, signal.SIGKILL)
    """, tmp_path)
    assert code == 0 and err == "", err
    (recording, _), = load_results(str(tmp_path))["videos"]
    assert count_frames(recording) == 7


# ---- 6. atomic JSON ----

def test_polling_reader_never_sees_half_a_file(tmp_path):
    child = begin("""
        env = Monitor(RandomWalk(2), sys.argv[1], lambda number: number % 10 == 0, write_upon_reset=True)
        print("started", flush=True)
        while not os.path.exists(sys.argv[2]):
            play_random(env)
        env.close()
    """, tmp_path / "run", tmp_path / "enough")
    child.stdout.readline()
    episodes, directory = [0], tmp_path / "run"
    while child.poll() is None:
        for name in files(directory, ".json"):
            if not name.startswith("openaigym.tmp."):
                assert isinstance(read_json_file(directory, name), dict)
        episodes.append(len(load_results(str(directory))["timestamps"]))
        if len(set(episodes)) > 20:
            (tmp_path / "enough").touch()
    assert child.communicate()[1] == ""
    assert episodes == sorted(episodes) and len(set(episodes)) > 20


# ---- 7. ffmpeg ----

PROBED = '#!/bin/sh\ncase "$*" in *"-f null"*) cat >/dev/null; exit 0;; esac\necho started >>"$0.starts"\n'
FAULTS = {
    "exits at once": ("#!/bin/sh\necho no licence >&2; exit 7", "no licence"),
    "is killed at once": (PROBED + "kill -9 $$", "exit status -9"),
    "dies after a few frames": (PROBED + "head -c 3000000 >/dev/null; echo out of memory >&2; exit 9",
                                "out of memory"),
    "ends well after a few frames": (PROBED + "head -c 3000000 >/dev/null; exit 0", "ffmpeg"),
    "dies in silence": (PROBED + "cat >/dev/null; exit 9", "exit status 9"),
    "never reads": (PROBED + "exec sleep 1000", "took no frame"),
    "stops its input but stays": (PROBED + "exec <&-; exec sleep 1000", "did not finish"),
    "never exits": (PROBED + "cat >/dev/null; exec sleep 1000", "did not finish"),
    "never exits, nor does its child": (PROBED + "cat >/dev/null; sleep 1000 & wait", "did not finish"),
    "never answers at all": ("#!/bin/sh\nexec sleep 1000", "one small picture"),
    "prints megabytes": (PROBED + "yes bla | head -c 3000000 >&2; cat >/dev/null; echo at last >&2; exit 1",
                         "at last"),
    "writes nothing": (PROBED + "cat >/dev/null", "no whole file"),
    "is no program": ("\0\1\2", "Exec format error"),
    "has no interpreter": ("#!/nowhere/sh\n", "No such file"),
}


@needs_proc
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_training_goes_on_with_an_ffmpeg_that(tmp_path, fake_ffmpeg, monkeypatch, fault):
    script, last_words = FAULTS[fault]
    program = fake_ffmpeg(script)
    if "sleep" not in script:
        monkeypatch.setattr(gym_monitor, "ENCODER_TIMEOUT", 60.0)
    before = children()
    with Monitor(RandomWalk(3, draw=lambda step: picture(step, 600, 600)), str(tmp_path / "run"), every) as env:
        returns = play_random(env, 8)
    results = load_results(env.directory)
    assert (results["episode_rewards"], results["videos"], env.videos) == (returns, [], [])
    metadata = metadata_of(env.directory)
    assert len(metadata) == 8 and all(video["broken"] for video in metadata)
    assert last_words in metadata[0]["error"] and len(metadata[0]["error"]) < 2000
    assert not files(env.directory, ".mp4")
    assert children() == before and not processes_in(env.directory)
    if "sleep" in script and os.path.exists(str(program) + ".starts"):
        with open(str(program) + ".starts") as file:
            assert len(file.readlines()) <= 3, "a hang was waited for again and again"


@pytest.mark.parametrize("mode", [None, 0o644], ids=["missing", "not executable"])
def test_training_goes_on_with_an_ffmpeg_that_is(tmp_path, fake_ffmpeg, no_ffmpeg, mode):
    if mode:
        fake_ffmpeg("#!/bin/sh\nexit 1", mode)
    with Monitor(RandomWalk(), str(tmp_path / "run"), every) as env:
        returns = play_random(env, 2)
    results = load_results(env.directory)
    assert results["episode_rewards"] == returns
    assert [os.path.splitext(recording)[1] for recording, _ in results["videos"]] == [".png", ".png"]


@needs_ffmpeg
@pytest.mark.parametrize("lacks", ["libx264", "264"], ids=["libx264", "any H.264"])
def test_ffmpeg_without(tmp_path, fake_ffmpeg, lacks):
    fake_ffmpeg(f'#!/bin/sh\ncase "$*" in *{lacks}*) echo Unknown encoder >&2; exit 1;; esac\n'
                f'exec {FFMPEG} "$@"')
    gym_monitor.ENCODER_TIMEOUT = 60.0
    with Monitor(RandomWalk(), str(tmp_path / "run")) as env:
        play_random(env)
    (recording, metadata), = load_results(env.directory)["videos"]
    assert count_frames(recording) == 4
    assert lacks not in " ".join(read_json_file(metadata)["encoder_version"]["cmdline"])


@needs_ffmpeg
def test_ffmpeg_that_prints_megabytes_and_works_is_fine(tmp_path, fake_ffmpeg):
    fake_ffmpeg(f'#!/bin/sh\nyes complaint | head -c 3000000 >&2\nexec {FFMPEG} "$@"')
    gym_monitor.ENCODER_TIMEOUT = 60.0
    with Monitor(RandomWalk(), str(tmp_path / "run")) as env:
        play_random(env)
    (recording, _), = load_results(env.directory)["videos"]
    assert count_frames(recording) == 4


# ---- 8. renderers and frames ----

class Sick:
    @property
    def __array__(self):
        raise RuntimeError("no array today")


DRAWN = {
    "nothing": lambda step: None,
    "nothing from the second step on": lambda step: picture(step) if step < 2 else None,
    "another size": lambda step: picture(step, 8 + step // 2),
    "other channels": lambda step: picture(step) if step < 2 else memoryview(bytes(48)).cast("B", [6, 8]),
    "a list of lists": lambda step: ([[0, 0, 0]],),
    "an object": lambda step: object(),
    "a number": lambda step: 7,
    "flat bytes": lambda step: bytes(144),
    "text in the middle": lambda step: picture(step) if step < 2 else "text",
    "floats": lambda step: memoryview(bytes(144 * 4)).cast("f", [6, 8, 3]),
    "signed bytes": lambda step: memoryview(bytes(144)).cast("b", [6, 8, 3]),
    "two channels": lambda step: memoryview(bytes(96)).cast("B", [6, 8, 2]),
    "four dimensions": lambda step: memoryview(bytes(144)).cast("B", [1, 6, 8, 3]),
    "what cannot become an array": lambda step: Sick(),
    "an exception": lambda step: 1 // 0,
    "an exception in the middle": lambda step: picture(step) if step < 2 else 1 // 0,
}


@pytest.mark.parametrize("drawn", sorted(DRAWN))
@by_each_encoder
def test_training_goes_on_with_a_renderer_that_returns(tmp_path, monkeypatch, caplog, drawn, path):
    monkeypatch.setenv("PATH", path)
    with Monitor(RandomWalk(4, draw=DRAWN[drawn]), str(tmp_path), lambda number: number == 0) as env:
        returns = play_random(env, 2)
    results = load_results(str(tmp_path))
    assert (results["episode_rewards"], results["videos"], env.videos) == (returns, [], [])
    metadata, = metadata_of(tmp_path)
    assert metadata["broken"] and metadata["error"]
    assert not files(tmp_path, ".mp4") + files(tmp_path, ".png") + files(tmp_path, ".cast")
    assert [record.getMessage() for record in caplog.records if "given up" in record.getMessage()] == [
        "The video {} was given up: {}".format(env.video_recorder.path, metadata["error"])]


@pytest.mark.parametrize("make", [
    "zeros((6, 8, 3))", "zeros((0, 8, 3), 'uint8')", "zeros((6, 0), 'uint8')", "zeros((6, 8, 3), bool)",
    "zeros((6, 8, 3), 'int64')", "zeros(144, 'uint8')", "zeros((), 'uint8')", "array(None)",
    "array([['a']])"])
def test_training_goes_on_with_a_numpy_frame_like(tmp_path, no_ffmpeg, make):
    numpy = pytest.importorskip("numpy", reason="install numpy")
    frame = eval("numpy." + make, {"numpy": numpy})
    with Monitor(RandomWalk(4, draw=lambda step: frame), str(tmp_path / "run")) as env:
        returns = play_random(env)
    assert load_results(env.directory)["episode_rewards"] == returns
    metadata, = metadata_of(env.directory)
    assert metadata["broken"] and "frame" in metadata["error"]


@pytest.mark.parametrize("text, width, height, shown", [
    ("ab\ncd\n", 2, 2, "ab\r\ncd"),
    ("ab\ncd", 2, 2, "ab\r\ncd"),
    ("ab\r\ncd\r\n", 2, 2, "ab\r\ncd"),
    ("\u6f22\u5b57\n", 4, 1, "\u6f22\u5b57"),
    ("\x1b[41mab\x1b[0m", 2, 1, "\x1b[41mab\x1b[0m"),
    ("\ud800", 1, 1, "\ud800"),
    ("", 1, 1, ""),
], ids=["lines", "no final newline", "carriage returns", "wide", "colours", "surrogate", "empty"])
def test_text_frames(tmp_path, text, width, height, shown):
    env = RandomWalk(2, draw=lambda step: text)
    env.metadata = {"render.modes": ["ansi"]}
    with Monitor(env, str(tmp_path)) as env:
        play_random(env)
    (recording, _), = load_results(str(tmp_path))["videos"]
    with open(recording, newline="") as file:
        header, *events = map(json.loads, file.read().split("\n")[:-1])
    assert (header["width"], header["height"]) == (width, height)
    assert [event[2].replace("\x1b[2J\x1b[1;1H", "") for event in events] == [shown] * 3


# ---- 9. rewards and infos ----

class Number:
    def __init__(self, answer):
        self.answer = answer

    def __float__(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Told:
    """Whose every step ends an episode, with what the test tells, in gym's or gymnasium's form."""

    def __init__(self, reward=1.0, info=None, ends=(True,)):
        self.reward, self.info, self.ends = reward, {} if info is None else info, ends

    def reset(self):
        return 0

    def step(self, action):
        return (0, self.reward) + self.ends + (self.info,)


def recorded_return(tmp_path, reward):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ends in ((True,), (True, False)):
            with Monitor(Told(reward, ends=ends), str(tmp_path), False, resume=True) as env:
                env.reset()
                env.step(0)
    gyms, gymnasiums = load_results(str(tmp_path))["episode_rewards"]
    assert repr(gyms) == repr(gymnasiums)
    return gyms


@pytest.mark.parametrize("reward, expected", [
    (2, 2.0), (True, 1.0), (0.1, 0.1), (1e-320, 1e-320), (Number(2.5), 2.5), (float("nan"), float("nan")),
    (float("inf"), float("inf")), (-float("inf"), -float("inf"))], ids=str)
def test_reward_that_is_a_number_is_recorded_exactly(tmp_path, reward, expected):
    assert repr(recorded_return(tmp_path, reward)) == repr(expected)


@pytest.mark.parametrize("make, expected", [
    ("float16(1.5)", 1.5), ("float32(0.1)", 0.10000000149011612), ("float64(0.1)", 0.1),
    ("longdouble(2)", 2.0), ("int8(-3)", -3.0), ("uint64(2**63)", 2.0 ** 63), ("bool_(True)", 1.0),
    ("array(1.5)", 1.5), ("array([1.5])", 1.5), ("array([[2]])", 2.0), ("array([True])", 1.0),
    ("ma.array([1.5])", 1.5)])
def test_numpy_reward_is_recorded_exactly(tmp_path, make, expected):
    numpy = pytest.importorskip("numpy", reason="install numpy")
    assert recorded_return(tmp_path, eval("numpy." + make, {"numpy": numpy})) == expected


def test_numpy_reward_of_two_elements_is_an_error(tmp_path):
    numpy = pytest.importorskip("numpy", reason="install numpy")
    with pytest.raises(Error, match="reward"):
        recorded_return(tmp_path, numpy.zeros(2))


@pytest.mark.parametrize("ends", [(True,), (True, False)], ids=["gym", "gymnasium"])
@pytest.mark.parametrize("reward", [
    None, "a lot", [1.0], {}, 1j, 10 ** 400, object(), Number(RuntimeError("a tensor of two elements")),
    Number(TypeError("no")), Number("text")], ids=lambda reward: type(reward).__name__)
def test_reward_that_is_no_number_is_an_error_at_that_step(tmp_path, reward, ends):
    env = Monitor(Told(ends=ends), str(tmp_path), False)
    play_random(env, 2)
    env.reset()
    env.env.reward = reward
    with pytest.raises(Error, match="reward"):
        env.step(0)
    env.env.reward = 1.0
    play_random(env, 1)
    env.close()
    assert load_results(str(tmp_path))["episode_rewards"] == [1.0] * 3


@pytest.mark.parametrize("info", [[], "text", 7, (), object()], ids=repr)
def test_info_that_is_no_dictionary_passes_through(tmp_path, info):
    with Monitor(Told(info=info), str(tmp_path), False, info_keywords=("level",)) as env:
        env.reset()
        assert env.step(0)[3] is info
    assert load_results(str(tmp_path))["episode_rewards"] == [1.0]


def test_info_that_takes_no_entry_passes_through(tmp_path, caplog):
    class Frozen(dict):
        def __setitem__(self, key, value):
            raise TypeError("frozen")

    info = Frozen(level=1)
    with Monitor(Told(info=info), str(tmp_path), False) as env:
        env.reset()
        assert env.step(0)[3] is info
    assert load_results(str(tmp_path))["episode_rewards"] == [1.0] and "frozen" in caplog.text


# ---- 10. hostile directories ----

def record_run(directory, episodes=3):
    """A small run, and the paths of its manifest, statistics and journal."""
    with Monitor(RandomWalk(), str(directory), False) as env:
        play_random(env, episodes)
    return [os.path.join(env.directory, files(directory, ending)[0])
            for ending in (".manifest.json", ".stats.json", ".monitor.csv")]


def write(path, content):
    os.unlink(path)  # ext4 is slow to write a file again
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else json.dumps(content).encode())


HOSTILE = {
    "empty": b"",
    "truncated": b'{"stats": "',
    "binary": bytes(range(256)),
    "not UTF-8": b'{"\xff": 1}',
    "deeply nested": b"[" * 100000,
    "deeply nested and whole": b'{"stats": ' + b"[" * 100000 + b"]" * 100000 + b"}",
    "a list": b"[]",
    "a number": b"1" * 5000,
    "no entries": b"{}",
    "of the wrong type": b'{"stats": [], "videos": {}, "env_info": 7, "timestamps": 1}',
    "binary with lines": b"\0\n\1\n\2\n\3\n\4\n\5\n\6\n",
}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "statistics", "journal"])
@pytest.mark.parametrize("content", sorted(HOSTILE))
def test_damaged_file_is_an_error_that_names_it(tmp_path, which, content):
    path = record_run(tmp_path)[which]
    write(path, HOSTILE[content])
    if which == 2 and content == "empty":  # as of a process killed at once: the JSON holds all
        assert len(load_results(str(tmp_path))["timestamps"]) == 3
        return
    with pytest.raises(Error) as caught:
        load_results(str(tmp_path))
    assert path in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("key", ["timestamps", "episode_lengths", "episode_rewards", "episode_types",
                                 "initial_reset_timestamp"])
@pytest.mark.parametrize("value", [
    [], "", {}, "abc", [1], [1, 2, "x"], [None] * 3, [[]] * 3, [{}] * 3, [10 ** 400] * 3,
    [float("nan")] * 3, 10 ** 400, float("inf"), ["t", "t", "x"]], ids=repr)
def test_statistics_with_a_wrong_entry_are_an_error_that_names_them(tmp_path, key, value):
    _, path, journal = record_run(tmp_path)
    os.unlink(journal)
    write(path, dict(read_json_file(path), **{key: value}))
    if (key, value) == ("episode_rewards", value) and repr(value) == repr([float("nan")] * 3):
        return  # a return may be that
    with pytest.raises(Error) as caught:
        load_results(str(tmp_path))
    assert path in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("row", [
    b"1", b"1,2", b"x,1,1.0,t", b"1.0,1.5,1.0,t", b"1.0,-1,1.0,t", b"1.0,1,nan,t", b"1.0,1,1.0,q",
    b"1.0,1,1.0", b"", b"\xff", b'"', b"1.0,1," + b"9" * 5000 + b",t", b"1.0," + b"9" * 5000 + b",1.0,t"])
def test_journal_with_a_wrong_row_is_an_error_that_names_it(tmp_path, row):
    manifest, statistics, journal = record_run(tmp_path)
    os.unlink(manifest)
    with open(journal, "ab") as file:
        file.write(row + b"\n")
    with pytest.raises(Error) as caught:
        load_results(str(tmp_path))
    assert journal in str(caught.value)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "statistics", "journal"])
def test_file_too_large_to_be_ours_is_an_error_that_reads_nothing(tmp_path, which):
    path = record_run(tmp_path)[which]
    with open(path, "r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(Error, match="large"):
        load_results(str(tmp_path))


@pytest.mark.parametrize("env_id", [7, [], {"a": 1}, None, "x" * 10000, "\ud800"],
                         ids=lambda env_id: repr(env_id)[:9])
def test_odd_name_of_an_environment_is_an_answer_or_an_error(tmp_path, env_id):
    manifest = record_run(tmp_path)[0]
    write(manifest, dict(read_json_file(manifest), env_info={"env_id": env_id}))
    with contextlib.suppress(Error):
        assert len(load_results(str(tmp_path))["timestamps"]) == 3


def test_deeply_nested_name_of_an_environment_is_an_answer_or_an_error(tmp_path):
    manifest, _, journal = record_run(tmp_path)
    os.unlink(journal)
    content = read_json_file(manifest)
    for depth in range(800, 1000):
        write(manifest, json.dumps(dict(content, env_info={"env_id": "@"})).replace(
            '"@"', "[" * depth + "]" * depth).encode())
        with contextlib.suppress(Error):
            load_results(str(tmp_path))


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """Valid statistics outside of the directory `inside`, which nobody may open."""
    (tmp_path / "outside").mkdir()
    _, path, _ = record_run(tmp_path / "outside")
    opened = []

    def spied(function):
        def spy(file, *arguments, **options):
            opened.append(os.path.realpath(file) if isinstance(file, (str, bytes)) else file)
            return function(file, *arguments, **options)
        return spy

    monkeypatch.setattr("builtins.open", spied(open))
    monkeypatch.setattr(os, "open", spied(os.open))
    with open(path, "rb") as file:
        content = file.read()
    assert opened.pop() == os.path.realpath(path)
    yield path
    monkeypatch.undo()
    assert os.path.realpath(path) not in opened, "what is outside of the directory was opened"
    with open(path, "rb") as file:
        assert file.read() == content


@pytest.mark.parametrize("name", [
    "../outside/{}", "{0}/../outside/{1}", "absolute", "..\\outside\\{}", "..", ".", "", "nothing\0",
    "x/../../outside/{}", "\ud800", 7, None, ["{}"]], ids=repr)
def test_name_that_points_outside_is_an_error_and_never_opened(tmp_path, secret, name):
    manifest = record_run(tmp_path / "inside")[0]
    if isinstance(name, str):
        name = secret if name == "absolute" else name.format(*[os.path.basename(secret)] * 2)
    for key, value in (("stats", name), ("videos", [[name, name]])):
        content = read_json_file(manifest)
        write(manifest, dict(content, **{key: value}))
        with pytest.raises(Error) as caught:
            load_results(str(tmp_path / "inside"))
        assert manifest in str(caught.value) or name == "\ud800"
        write(manifest, content)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "statistics", "journal"])
def test_link_in_the_place_of_a_file_is_an_error_and_never_opened(tmp_path, secret, which):
    path = record_run(tmp_path / "inside")[which]
    os.unlink(path)
    os.symlink(secret, path)
    with pytest.raises(Error, match=re.escape(path)):
        load_results(str(tmp_path / "inside"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
@pytest.mark.parametrize("plant", [lambda path: os.mkfifo(path), os.mkdir], ids=["named pipe", "directory"])
@pytest.mark.parametrize("which", [0, 1, 2], ids=["manifest", "statistics", "journal"])
def test_what_is_no_file_in_the_place_of_one_is_an_error_at_once(tmp_path, which, plant):
    path = record_run(tmp_path)[which]
    os.unlink(path)
    plant(path)
    with pytest.raises(Error, match=re.escape(path)):
        load_results(str(tmp_path))


def test_video_that_is_a_link_is_not_listed(tmp_path, secret, no_ffmpeg):
    with Monitor(RandomWalk(), str(tmp_path / "inside")) as env:
        play_random(env)
    recording = env.videos[0][0]
    os.unlink(recording)
    os.symlink(secret, recording)
    assert load_results(env.directory)["videos"] == []


def test_recording_follows_no_link_that_lies_in_its_way(tmp_path, secret, no_ffmpeg):
    env = Monitor(RandomWalk(), str(tmp_path / "inside"), every)
    for name in ("manifest.{0}.manifest.json", "tmp.{1}.openaigym.manifest.{0}.manifest.json",
                 "episode_batch.{0}.stats.json", "tmp.{1}.openaigym.episode_batch.{0}.stats.json",
                 "video.{0}.video000000.png", "video.{0}.video000000.meta.json"):
        os.symlink(secret, os.path.join(env.directory, "openaigym." + name.format(env.file_infix, os.getpid())))
    returns = play_random(env, 2)
    env.close()
    assert load_results(env.directory)["episode_rewards"] == returns
    assert not any(os.path.islink(os.path.join(env.directory, name)) for name in files(env.directory, "json"))


@pytest.mark.parametrize("clear", [
    clear_monitor_files, lambda directory: Monitor(RandomWalk(), directory, force=True)], ids=["function", "force"])
def test_clearing_follows_no_link_and_removes_no_directory(tmp_path, secret, clear):
    inside = tmp_path / "inside"
    record_run(inside)
    (inside / "openaigym.directory").mkdir()
    (inside / "openaigym.directory" / "kept").write_text("")
    (inside / "openaigym").write_text("")
    (inside / "openaigymnasium.txt").write_text("")
    (inside / "mine.csv").write_text("")
    os.symlink(secret, str(inside / "openaigym.link"))
    os.symlink(str(tmp_path / "outside"), str(inside / "openaigym.link.to.directory"))
    os.symlink("nowhere", str(inside / "openaigym.link.to.nothing"))
    before = set(files(inside))
    kept = {"openaigym.directory", "openaigym", "openaigymnasium.txt", "mine.csv"}
    clear(str(inside))
    assert before & set(files(inside)) == kept
    assert files(inside / "openaigym.directory") == ["kept"]
    assert os.path.exists(secret) and len(files(tmp_path / "outside")) == 3


@pytest.mark.parametrize("uid", [
    "a/b", "../up", "..", ".", "/absolute", "a\\b", "C:x", "nul\0", "line\nbreak", "x" * 300, "\u00e9" * 100,
    "\ud800", " ", "a.batch1"], ids=lambda uid: repr(uid)[:12])
def test_uid_stays_in_the_directory_or_is_an_error(tmp_path, uid):
    (tmp_path / "run").mkdir()
    try:
        with Monitor(RandomWalk(), str(tmp_path / "run"), False, uid=uid) as env:
            returns = play_random(env)
    except Error as problem:
        assert "uid" in str(problem) and len(str(problem)) < 500
        assert files(tmp_path / "run") == []
    else:
        assert load_results(str(tmp_path / "run"))["episode_rewards"] == returns
    assert files(tmp_path) == ["run"]


@pytest.mark.parametrize("directory", ["nul\0", "\ud800", "x" * 300, 7, b"\xff\0"], ids=repr)
def test_impossible_directory_is_an_error(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(Error):
        Monitor(RandomWalk(), directory)
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", [b"openaigym.\xff", b"openaigym.\xff.csv", b"openaigym.a\nb"], ids=repr)
@pytest.mark.skipif(sys.platform == "darwin", reason="this platform allows no such names")
def test_file_whose_name_is_no_text_is_cleared_by_the_command_line(tmp_path, name):
    with open(os.path.join(os.fsencode(str(tmp_path)), name), "wb"):
        pass
    code, _, err = run_script("sys.exit(gym_monitor.main(['clear', sys.argv[1]]))", tmp_path)
    assert (code, err) == (0, "") and files(tmp_path) == []


def recorded_in_many_ways(tmp_path, monkeypatch):
    """Small directories: a finished run in batches, a killed one with keywords, gym's, Baselines3's."""
    monkeypatch.setattr(gym_monitor, "_BATCH", 2)
    monkeypatch.setattr(Monitor, "_number_of_monitors", 0)
    roots = [tmp_path / name for name in ("finished", "killed", "gym", "baselines")]
    with Monitor(RandomWalk(), str(roots[0]), every, uid="u", write_upon_reset=True) as env:
        play_random(env, 5)
    env = Monitor(Told(info={"why": 'a "quoted", reason'}), str(roots[1]), False, uid="u",
                  info_keywords=("why",))
    play_random(env, 3)
    shutil.copytree(str(roots[1]), str(tmp_path / "copy"))
    env.close()
    shutil.rmtree(str(roots[1]))
    os.rename(str(tmp_path / "copy"), str(roots[1]))
    os.unlink(record_run(roots[2])[2])
    roots[3].mkdir()
    (roots[3] / "0.monitor.csv").write_text(
        '#{"t_start": 1.5, "env_id": "RandomWalk"}\nr,l,t\n1.0,2,0.5\n-1.5,3,0.75\n')
    return roots


HOSTILE_VALUES = [
    None, True, -1, 0, 1e400, -1e400, float("nan"), 10 ** 400, "", "x", "..", "/etc/passwd", "a\0b", "\ud800",
    "0" * 300, [], {}, [[]], [None], ["x", "y"], [["x", "y"]], {"env_id": []}, "@nested"]
HOSTILE_BYTES = [b"\n", b",", b'"', b"\0", b"-", b"e999", b"9" * 400, b"\xff", b"nan", b"inf", b"#", b"{"]


def mutate(content, chance):
    """A hostile variant of a file: in its JSON if it is that, else in its bytes."""
    if content[:1] == b"{" and chance.random() < 0.5:
        tree = json.loads(content.decode())
        node = tree
        while True:
            key = chance.choice(sorted(node) if isinstance(node, dict) else range(len(node)))
            if isinstance(node[key], (dict, list)) and node[key] and chance.random() < 0.6:
                node = node[key]
                continue
            if chance.random() < 0.15:
                del node[key]
            else:
                node[key] = chance.choice(HOSTILE_VALUES)
            depth = chance.choice([10, 300, 900, 950, 980, 990, 3000])
            return json.dumps(tree).replace('"@nested"', "[" * depth + "]" * depth).encode()
    content, start = bytearray(content), chance.randrange(len(content) + 1)
    end = min(len(content), start + chance.choice([1, 1, 2, 10, 100]))
    content[start:end] = chance.choice([
        lambda: b"", lambda: bytes(chance.getrandbits(8) for _ in range(end - start)),
        lambda: content[start:end] * 3, lambda: chance.choice(HOSTILE_BYTES), lambda: content[:end]])()
    return bytes(content[:start] if chance.random() < 0.1 else content)


def test_no_mutant_of_a_directory_brings_out_another_exception(tmp_path, monkeypatch, no_ffmpeg, caplog):
    caplog.set_level(logging.CRITICAL)
    roots = recorded_in_many_ways(tmp_path, monkeypatch)
    chance = random.Random(4)
    contents = {str(root / name): (root / name).read_bytes() for root in roots for name in files(root)}
    answers = errors = 0
    for number in range(4000):
        path = chance.choice(sorted(contents))
        mutant = mutate(contents[path], chance)
        directory = os.path.dirname(path)
        write(path, mutant)
        try:
            try:
                results = load_results(directory)
                answers += 1
            except Error as problem:
                errors += 1
                assert directory in str(problem) and len(str(problem)) < 2000
            else:
                for key in ("timestamps", "episode_lengths", "episode_rewards", "episode_types"):
                    assert len(results[key]) == len(results["data_sources"])
                assert results["timestamps"] == sorted(results["timestamps"])
                assert isinstance(results["initial_reset_timestamp"], (int, float))
                assert all(os.path.dirname(video) == directory for video, _ in results["videos"])
            if number % 20 == 0:
                Monitor(RandomWalk(), directory, False, resume=True, uid="new").close()
                for name in files(directory):
                    if ".new." in name:
                        os.unlink(os.path.join(directory, name))
        except Error:
            raise
        except Exception as problem:
            raise AssertionError(f"mutant {number} of {os.path.basename(path)}: {mutant!r}") from problem
        write(path, contents[path])
    assert answers > 500 and errors > 500


# ---- 11. long runs ----

def resources():
    """What must not grow: open files, child processes, threads."""
    gc.collect()
    return (len(os.listdir("/proc/self/fd")), len(children()), threading.active_count(),
            len(gym_monitor._owners))


def resident_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_proc
def test_200000_episodes_leave_no_trace_but_their_lists(tmp_path):
    env = Monitor(Told(), str(tmp_path), False)
    play_random(env, 100)
    before, memory = resources(), resident_memory()
    for _ in range(200000):
        env.reset()
        env.env.info = {}
        env.step(0)
    grown = resident_memory() - memory
    assert resources() == before
    assert grown < 200000 * 120  # bytes, of which the lists take about 80 an episode
    env.close()
    assert len(load_results(str(tmp_path))["timestamps"]) == 200100


@needs_proc
@by_each_encoder
def test_many_videos_leave_no_trace(tmp_path, monkeypatch, path):
    videos = 60 if path else 300
    monkeypatch.setenv("PATH", path)
    env = Monitor(RandomWalk(1), str(tmp_path), every)
    play_random(env, 5)
    assert len(env.videos) == 5
    before, memory = resources(), resident_memory()
    play_random(env, videos)
    assert len(env.videos) == videos + 5
    assert resources() == before
    assert resident_memory() - memory < 10 << 20
    env.close()
    assert len(load_results(str(tmp_path))["videos"]) == videos + 5


# ---- 12. permissions ----

def test_directory_that_cannot_be_made_is_an_error_at_the_start(open_directory):
    os.mkdir(os.path.join(open_directory, "locked"), 0o555)
    with unprivileged():
        with pytest.raises(Error, match="locked"):
            Monitor(RandomWalk(), os.path.join(open_directory, "locked", "a", "b"))
    assert files(open_directory) == ["locked"] and files(os.path.join(open_directory, "locked")) == []


def test_directory_that_cannot_be_written_is_an_error_at_the_start(open_directory):
    os.mkdir(os.path.join(open_directory, "locked"), 0o555)
    with unprivileged():
        for options in ({}, {"resume": True}, {"force": True}):
            with pytest.raises(Error, match="locked"):
                Monitor(RandomWalk(), os.path.join(open_directory, "locked"), **options)
    assert files(os.path.join(open_directory, "locked")) == []


def test_directory_that_is_a_file_is_an_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path in ("file", "file/a/b"):
        with pytest.raises(Error, match="file"):
            Monitor(RandomWalk(), str(tmp_path / path))
    assert files(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "kept"


def test_start_that_fails_takes_back_the_directories_it_made(tmp_path, no_ffmpeg):
    for wrong in ({"uid": "a/b"}, {"mode": "playing"}, {"video_callable": 7}):
        with pytest.raises(Error):
            Monitor(RandomWalk(), str(tmp_path / "a" / "b"), **wrong)
        assert files(tmp_path) == []


# ---------------------------------------------------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------------------------------------------------

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"),
                                    reason="needs chromium (Debian's package chromium)")


# ---- Directories to report on: written as the recorder writes them

def write_run(directory, returns, infix="0.1", env_id="Pole-v0", start=1.7e9, lengths=None, types=None,
              step=1.0):
    """A journal with an episode for each return, one ending every `step` seconds."""
    os.makedirs(str(directory), exist_ok=True)
    path = os.path.join(str(directory), "openaigym.episode_batch.%s.monitor.csv" % infix)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#%s\nr,l,t,type\n" % json.dumps({"t_start": start, "env_id": env_id}))
        for index, value in enumerate(returns):
            file.write("%r,%d,%r,%s\n" % (float(value), lengths[index] if lengths else 10, step * (index + 1),
                                          types[index] if types else "t"))
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
        checksum = struct.pack(">I", zlib.crc32(kind + contents))
        return struct.pack(">I", len(contents)) + kind + contents + checksum
    rows = b"".join(b"\0" + b"\x20\x60\xb0" * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def mp4():
    return subprocess.run("ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=10 -t 1 -pix_fmt yuv420p"
                          " -movflags frag_keyframe+empty_moov -f mp4 -".split(),
                          stdout=subprocess.PIPE, check=True).stdout


def asciicast(frames, seconds=0.1):
    lines = [json.dumps({"version": 2, "width": 80, "height": 24})]
    lines += [json.dumps([index * seconds, "o", "\x1b[2J\x1b[1;1H" + frame])
              for index, frame in enumerate(frames)]
    return ("\n".join(lines) + "\n").encode("utf-8")


@pytest.fixture
def sample(tmp_path):
    """A run of 60 episodes, two of them evaluations, with a video of each kind and one that is broken."""
    types = ["e" if index in (20, 40) else "t" for index in range(60)]
    directory = write_run(tmp_path / "run", [math.sqrt(index) for index in range(60)], types=types, step=30.0)
    write_video(directory, 1, ".png", png())
    write_video(directory, 8, ".cast", asciicast(["one\r\n", "two \x1b[41mred\x1b[0m\r\n", "three\r\n"]))
    write_video(directory, 27, ".mp4", None, broken=True, error="ffmpeg: height not divisible by 2")
    return directory


def page_data(page):
    return json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', page).group(1))


# ---- The numbers

def test_summary_has_the_numbers_of_a_directory(sample):
    summary = gym_monitor.report(sample).summary["runs"][0]
    assert list(summary) == [
        "directory", "env_id", "episodes", "steps", "seconds", "return_mean", "return_best",
        "return_last_100", "length_mean", "videos", "broken_videos", "not_finite"]
    assert (summary["directory"], summary["env_id"]) == (sample, "Pole-v0")
    assert (summary["episodes"], summary["steps"], summary["seconds"]) == (60, 600, 1800.0)
    assert summary["return_mean"] == pytest.approx(sum(math.sqrt(index) for index in range(60)) / 60)
    assert (summary["return_best"], summary["length_mean"]) == (math.sqrt(59), 10.0)
    assert (summary["videos"], summary["broken_videos"], summary["not_finite"]) == (2, 1, 0)


def test_summary_of_one_directory_is_that_directorys(sample):
    summary = gym_monitor.report(sample).summary
    assert summary.pop("runs") == [summary]


def test_summary_of_several_directories_takes_their_episodes_together(tmp_path):
    one = write_run(tmp_path / "one", [1, 2, 3])
    two = write_run(tmp_path / "two", [10], env_id="Other-v0")
    summary = gym_monitor.report(one, two).summary
    assert (summary["episodes"], summary["return_mean"], summary["return_best"]) == (4, 4.0, 10.0)
    assert (summary["directory"], summary["env_id"]) == (None, None)
    assert [each["directory"] for each in summary["runs"]] == [one, two]


def test_last_100_is_the_mean_of_the_last_100_episodes(tmp_path):
    assert gym_monitor.report(write_run(tmp_path, [7] * 50 + [1] * 100)).summary["return_last_100"] == 1.0


def test_returns_that_are_not_finite_are_left_out_and_counted(tmp_path):
    summary = gym_monitor.report(write_run(tmp_path, [1, math.nan, math.inf, -math.inf, 3])).summary
    assert (summary["return_mean"], summary["return_best"], summary["not_finite"]) == (2.0, 3.0, 3)


def test_summary_of_huge_returns_does_not_overflow(tmp_path):
    assert gym_monitor.report(write_run(tmp_path, [1.5e308] * 4)).summary["return_mean"] == 1.5e308


def test_summary_without_an_episode_has_no_means(tmp_path):
    summary = gym_monitor.report(write_run(tmp_path, [])).summary
    assert (summary["episodes"], summary["steps"], summary["seconds"]) == (0, 0, 0.0)
    means = [summary[key] for key in ("return_mean", "return_best", "return_last_100", "length_mean")]
    assert means == [None] * 4


@pytest.mark.parametrize("extension, contents, metadata", [
    (".png", b"", {"episode_id": 10**400}), (".png", b"", {"step": 10**400}), (".png", b"", {"episode_id": [[]]}),
    (".cast", b"[" * 100000 + b"\n", {}), (".cast", b'{"version": 2}\n' + b"[" * 100000 + b"\n", {}),
    (".cast", b'{"version": 2}\n' + b'[0, "i", "%s"]\n' % (b"x" * 1000) * 600, {}),
])
def test_page_is_written_whatever_a_recording_holds(tmp_path, extension, contents, metadata):
    directory = write_run(tmp_path, [1, 2])
    write_video(directory, 0, extension, contents, **metadata)
    made = gym_monitor.report(directory)
    assert made.html and str(made) and made.summary["episodes"] == 2


@pytest.mark.parametrize("step", [1e300, -1e300, 1e13])
def test_period_of_impossible_times_is_left_out(tmp_path, step):
    assert "time " in str(gym_monitor.report(write_run(tmp_path, [1, 2], step=step)))


def test_summary_is_as_wide_as_a_terminal_for_wide_characters_too(tmp_path):
    text = str(gym_monitor.report(write_run(tmp_path / ("\u6f22\u5b57" * 30), [1], env_id="\u6f22" * 60)))
    assert 79 <= max(gym_monitor._columns(line) for line in text.splitlines()) <= 80


def test_runs_of_an_environment_that_gym_knows_no_name_of_go_with_others(tmp_path):
    write_run(tmp_path, [1], infix="0.1", env_id="Pole-v0")
    manifest = record_run(tmp_path / "more")[0]
    contents = read_json_file(manifest)
    contents["env_info"] = {"gym_version": "0.21.0"}  # as gym's Monitor writes it where there is no spec
    write(manifest, contents)
    os.unlink(os.path.join(str(tmp_path), "more", files(tmp_path / "more", ".csv")[0]))
    for name in files(tmp_path / "more"):
        os.rename(str(tmp_path / "more" / name), str(tmp_path / name))
    results = load_results(str(tmp_path))
    assert len(results["episode_rewards"]) == 4 and results["env_info"]["env_id"] == "Pole-v0"


def test_time_between_a_run_and_its_resumption_is_not_running_time(tmp_path):
    write_run(tmp_path, [1, 1], infix="0.1", start=1.7e9)
    write_run(tmp_path, [1, 1, 1], infix="1.2", start=1.7e9 + 86400)
    assert gym_monitor.report(tmp_path).summary["seconds"] == pytest.approx(5.0)


def test_time_of_runs_side_by_side_counts_once(tmp_path):
    write_run(tmp_path, [1, 1, 1, 1], infix="0.1")
    write_run(tmp_path, [1, 1, 1, 1], infix="0.2", start=1.7e9 + 0.5)
    assert gym_monitor.report(tmp_path).summary["seconds"] == pytest.approx(4.5)


def test_monitors_that_share_a_directory_make_one_curve_in_the_order_of_time(tmp_path):
    write_run(tmp_path, [0, 2, 4], infix="0.1")
    write_run(tmp_path, [1, 3, 5], infix="0.2", start=1.7e9 + 0.5)
    [curve] = page_data(gym_monitor.report(tmp_path).html)["curves"]
    assert curve["returns"] == [0, 1, 2, 3, 4, 5]


def test_report_without_a_directory_is_an_error():
    with pytest.raises(gym_monitor.Error, match="at least one directory"):
        gym_monitor.report()


@pytest.mark.parametrize("value, text", [
    (0, "0"), (-0.0, "0"), (0.123456, "0.1235"), (12.3456, "12.35"), (195.26, "195.3"), (999.96, "1,000"),
    (1234.5, "1,234"), (1000000, "1,000,000"), (204544014, "204.5M"), (-3.21e9, "-3.21B"), (1e300, "1e+300"),
    (None, "none"), (math.nan, "not finite"),
])
def test_numbers_are_rounded_as_a_person_would(value, text):
    assert gym_monitor._number(value) == text


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (0.25, "0.25 s"), (59.4, "59 s"), (60, "1 min"), (3599, "1 h"), (12300, "3 h 25 min"),
    (180000, "2 d 2 h"),
])
def test_durations_are_rounded_as_a_person_would(seconds, text):
    assert gym_monitor._duration(seconds) == text


# ---- In the terminal

def test_command_prints_strict_json_with_an_object_a_directory(tmp_path, capsys):
    dirs = [write_run(tmp_path / "one", [math.nan]), write_run(tmp_path / "two", [math.inf, 1])]
    gym_monitor._run_report(dirs, as_json=True)
    numbers = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [(one["directory"], one["return_mean"], one["not_finite"]) for one in numbers] == [
        (dirs[0], None, 1), (dirs[1], 1.0, 1)]


def test_command_writes_the_page_into_the_first_directory(tmp_path, capsys):
    dirs = [write_run(tmp_path / "one", [1]), write_run(tmp_path / "two", [1])]
    gym_monitor._run_report(dirs)
    assert os.path.exists(os.path.join(dirs[0], "openaigym.report.html"))
    assert not os.path.exists(os.path.join(dirs[1], "openaigym.report.html"))
    assert os.path.join(dirs[0], "openaigym.report.html") in capsys.readouterr().out


def test_printed_summary_fits_80_columns(tmp_path):
    directory = write_run(tmp_path / ("long" * 30), range(500), env_id="An/Environment-" + "x" * 80)
    write_video(directory, 3, ".mp4", None, broken=True, error="reason " * 30)
    text = gym_monitor._summary_text(gym_monitor._read_curve(directory))
    assert max(map(len, text.splitlines())) <= 80


def test_printed_summary_has_a_sparkline_of_the_returns(tmp_path):
    assert "▁▂▃▄▅▆▇█" in gym_monitor._summary_text(gym_monitor._read_curve(write_run(tmp_path, range(8))))


def test_printed_sparkline_leaves_a_gap_where_nothing_is_finite(tmp_path):
    directory = write_run(tmp_path, [0, math.nan, 7])
    assert "▁ █" in gym_monitor._summary_text(gym_monitor._read_curve(directory))


def test_printed_summary_is_ascii_where_the_encoding_has_no_blocks(tmp_path, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    gym_monitor._run_report([write_run(tmp_path, range(8), env_id="Пол-v0")])
    out.flush()
    assert "_.-=+*#@" in out.buffer.getvalue().decode("ascii")


def test_printed_summary_keeps_control_characters_from_the_terminal(tmp_path):
    directory = write_run(tmp_path, [1], env_id="\x1b[2J\x07Pole")
    assert "\x1b" not in gym_monitor._summary_text(gym_monitor._read_curve(directory))


# ---- The page, as text

def test_page_escapes_what_the_run_says(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    directory = write_run(tmp_path / "a<b>&c", [1, 2], env_id=evil)
    write_video(directory, 0, ".mp4", None, broken=True, error=evil)
    write_video(directory, 1, ".cast", asciicast([evil]))
    page = gym_monitor.report(directory, write_run(tmp_path / "<i>", [1], env_id=evil)).html
    assert "<img src=x" not in page and "<b>&c" not in page and "</script><img" not in page
    assert page.count("</script>") == 3         # the recording's, the data's and the page's own


def test_page_refers_to_videos_by_name(sample):
    assert 'src="openaigym.video.0.1.video000001.png"' in gym_monitor.report(sample).html


def test_page_elsewhere_refers_to_videos_from_there(tmp_path):
    directory = write_run(tmp_path / "a #1 50%", [1])
    write_video(directory, 0, ".png", png())
    page = tmp_path / "pages" / "one.html"
    page.parent.mkdir()
    gym_monitor._run_report([directory], path=str(page))
    [source] = re.findall('<img [^>]*src="([^"]*)"', page.read_text(encoding="utf-8"))
    assert source == "../a%20%231%2050%25/openaigym.video.0.1.video000000.png"


def test_embedding_page_holds_its_videos(sample):
    page = gym_monitor.report(sample, embed=True).html
    assert 'src="data:image/png;base64,' in page and 'src="openaigym' not in page


def test_page_tells_of_a_broken_video_in_words(sample):
    assert "This recording is broken: ffmpeg: height not divisible by 2" in gym_monitor.report(sample).html


def test_page_tells_of_a_missing_video_in_words(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 0, ".mp4", None)
    assert "file of this recording is missing" in gym_monitor.report(directory).html


def test_page_tells_of_a_video_that_has_gone_since_the_directory_was_read(tmp_path):
    directory = write_run(tmp_path, [1])
    path = write_video(directory, 0, ".png", png())
    report = gym_monitor.report(directory)
    os.remove(path)
    assert "This recording cannot be read: No such file" in report.html


def test_page_tells_of_a_text_recording_that_it_cannot_read(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 0, ".cast", b"not a recording\n")
    assert "This recording cannot be read" in gym_monitor.report(directory).html


def test_page_gives_each_video_its_episode_return_and_length(sample):
    assert re.search(r"<b>Episode 8</b> return 2\.828 · 10 steps", gym_monitor.report(sample).html)


def test_page_finds_the_episode_of_a_workers_video_among_all(tmp_path):
    write_run(tmp_path, [0, 2, 4], infix="0.1")
    write_run(tmp_path, [1, 3, 5], infix="0.2", start=1.7e9 + 0.5)
    write_video(tmp_path, 1, ".png", png(), infix="0.2")
    assert re.search(r"<b>Episode 3 \(1 of its monitor\)</b> return 3 ", gym_monitor.report(tmp_path).html)


def test_page_shows_a_video_whose_episode_was_not_completed(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 1, ".png", png())
    assert "<b>Episode 1</b> not completed" in gym_monitor.report(directory).html


def test_page_cuts_a_long_text_recording_and_says_so(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 0, ".cast", asciicast(["x" * 1000] * 500))
    page = gym_monitor.report(directory).html
    assert "Cut after 200 kB" in page and len(page) < 250000


def test_page_holds_a_short_text_recording_whole(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 0, ".cast", asciicast(["x" * 1000] * 150))
    page = gym_monitor.report(directory).html
    assert "Cut after" not in page and page.count("x" * 1000) == 150


def test_page_leaves_out_the_torn_end_of_a_text_recording(tmp_path):
    directory = write_run(tmp_path, [1])
    write_video(directory, 0, ".cast", asciicast(["one", "two"])[:-5])
    page = gym_monitor.report(directory).html
    assert "1Hone" in page and "1Htwo" not in page


def test_page_plays_the_text_recordings_of_gym(tmp_path):
    directory = write_run(tmp_path, [1])
    recording = {"version": 1, "width": 5, "height": 2, "stdout": [[0.5, "first"], [0.5, "second"]]}
    write_video(directory, 0, ".json", json.dumps(recording).encode())
    assert '[[0.5,"first"],[1.0,"second"]]' in gym_monitor.report(directory).html


def test_page_of_a_million_episodes_is_below_a_megabyte(tmp_path):
    returns = [(index * 7919) % 1009 + index / 1000 for index in range(1000000)]
    directory = write_run(tmp_path, returns, lengths=[1 + index % 97 for index in range(1000000)])
    assert len(gym_monitor.report(directory).html.encode()) < 1000000


def test_page_of_a_long_run_keeps_the_extremes(tmp_path):
    returns = [0.0] * 30000
    returns[12345], returns[23456] = 99.5, -99.5
    [curve] = page_data(gym_monitor.report(write_run(tmp_path, returns)).html)["curves"]
    assert {12345, 23456} <= set(curve["episodes"]) and len(curve["episodes"]) < 10000


def test_page_has_nothing_where_a_return_is_not_finite(tmp_path):
    [curve] = page_data(gym_monitor.report(write_run(tmp_path, [1, math.nan, math.inf, 4])).html)["curves"]
    assert curve["returns"] == [1, None, None, 4]


def test_running_mean_of_training_leaves_evaluations_out(tmp_path):
    directory = write_run(tmp_path, [1, 100, 1, 1], types=["t", "e", "t", "t"])
    [curve] = page_data(gym_monitor.report(directory).html)["curves"]
    assert curve["return_means"] == [1, 100, 1, 1]


def test_page_is_written_in_one_go(sample):
    gym_monitor._run_report([sample])
    gym_monitor._run_report([sample])
    assert [name for name in os.listdir(sample) if "tmp" in name] == []


def test_page_may_be_written_by_several_at_once(sample):
    program = "import sys, gym_monitor as g; page = sys.argv[1] + '/openaigym.report.html'\n" \
              "for _ in range(100): g._write_atomically(page, b'page')"
    writers = [begin(program, sample) for _ in range(3)]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * 3


def test_page_that_cannot_be_written_is_an_error_that_names_it(sample, tmp_path):
    with pytest.raises(gym_monitor.Error, match="missing.* cannot be written.*--html"):
        gym_monitor._run_report([sample], path=str(tmp_path / "missing" / "page.html"))


def test_notebook_shows_the_page_in_a_frame_of_its_own(sample):
    import html
    shown = gym_monitor.report(sample)._repr_html_()
    [page] = re.findall('srcdoc="([^"]*)"', shown)
    assert shown.startswith("<iframe ") and "data:image/png;base64," in html.unescape(page)


# ---- While it runs

def test_watch_writes_the_page_as_episodes_arrive_and_ends_with_ctrl_c(tmp_path, ctrl_c):
    directory, page = write_run(tmp_path, [1, 2]), tmp_path / "openaigym.report.html"
    script = "import sys, %s as gym_monitor; gym_monitor._REFRESH_SECONDS = 0.2; " \
             "gym_monitor._run_report([sys.argv[1]], watch=True)" % gym_monitor.__name__
    process = subprocess.Popen([sys.executable, "-c", script, directory], stdout=subprocess.DEVNULL,
                               cwd=os.path.dirname(os.path.abspath(gym_monitor.__file__)))
    try:
        wait_until(page.exists)
        write_run(tmp_path, [1, 2, 3])
        wait_until(lambda: len(page_data(page.read_text(encoding="utf-8"))["curves"][0]["episodes"]) == 3)
        process.send_signal(ctrl_c)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert page_data(page.read_text(encoding="utf-8"))["refresh"] is None       # nothing newer will come


# ---- The page, in a browser

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

    def open(self, page, width=1000, scheme="light"):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
                  mobile=False)
        self.send("Emulation.setEmulatedMedia", media="",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events = []
        self.send("Page.navigate", url="file://" + urllib.parse.quote(str(page)))
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def run(self, script):
        """The value of an expression in the page, or of what it promises."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self):
        return [event for event in self.events if event["method"] in (
            "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")]

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def all(self, selector, what):
        """What is asked (`one.innerText`) of every element that a selector finds."""
        return self.run("[...document.querySelectorAll(%s)].map(one => %s)" % (json.dumps(selector), what))

    def click(self, selector, index=0):
        self.run("document.querySelectorAll(%s)[%d].dispatchEvent(new MouseEvent("
                 "'click', {bubbles: true, cancelable: true}))" % (json.dumps(selector), index))

    def press(self, key):
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def close(self):
        self.session = {}
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
    gym_monitor._write_report([gym_monitor._read_curve(str(one)) for one in dirs],
                              os.path.join(str(dirs[0]), "openaigym.report.html"), **options)
    return os.path.join(str(dirs[0]), "openaigym.report.html")


@needs_chromium
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_window_and_complains_of_nothing(sample, tmp_path, browser, width, scheme):
    other = write_run(tmp_path / ("a-directory-with-a-long-name" * 3), range(99), env_id="Pole-v0")
    for dirs in [(sample,), (sample, other)]:
        browser.open(written(*dirs), width, scheme)
        assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.complaints() == []


@needs_chromium
def test_page_fetches_nothing_but_its_videos(sample, browser):
    page = written(sample)
    browser.open(page)
    folder = "file://" + urllib.parse.quote(os.path.dirname(page))
    assert [url for url in browser.requests() if not url.startswith(("data:", folder))] == []


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
  const nodes = [...document.querySelectorAll('body *')]
    .filter(node => node.offsetParent || node.ownerSVGElement);
  const texts = nodes.filter(node => [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim()));
  return {text: Math.min(...texts.map(node => contrast(node, node.ownerSVGElement ? 'fill' : 'color'))),
          lines: Math.min(...nodes.filter(node => node.matches('.mean'))
            .map(node => contrast(node, 'stroke')))};
})()"""


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_enough_contrast(sample, tmp_path, browser, scheme):
    others = [write_run(tmp_path / str(number), range(30), env_id="Env%d" % number) for number in range(7)]
    browser.open(written(sample, *others), scheme=scheme)
    contrast = browser.run(CONTRASTS)
    assert contrast["text"] >= 4.5 and contrast["lines"] >= 3


@needs_chromium
def test_page_prints_dark_on_white_whatever_the_scheme(sample, browser):
    browser.open(written(sample), scheme="dark")
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('.switch')).display") == "none"


PLAYABLE = """Promise.all([...document.querySelectorAll('video')].map(video => new Promise((done, failed) => {
  video.onerror = () => failed(video.error.message);
  if (video.readyState >= 2) done(true); else video.onloadeddata = () => done(true);
})))"""


@needs_chromium
@needs_ffmpeg
@pytest.mark.parametrize("embed", [False, True])
def test_every_video_of_the_page_is_playable(sample, browser, embed):
    write_video(sample, 0, ".mp4", mp4())
    write_video(sample, 50, ".mp4", mp4())
    browser.open(written(sample, embed=embed))
    assert browser.run(PLAYABLE) == [True, True]


@needs_chromium
def test_animation_is_shown_as_a_picture(sample, browser):
    browser.open(written(sample))
    browser.run("document.querySelector('img').scrollIntoView()")
    assert browser.run("document.querySelector('img').decode().then(() => true)")
    assert browser.all("img", "one.naturalWidth") == [40]


@needs_chromium
def test_text_recording_is_stepped_through(sample, browser):
    browser.open(written(sample))
    seen = [browser.all("pre, output", "one.textContent.trim()")]
    for button in (2, 1):
        browser.click(".cast button", button)
        seen.append(browser.all("pre, output", "one.textContent.trim()"))
    assert seen == [["one", "1 of 3"], ["two red", "2 of 3"], ["one", "1 of 3"]]


@needs_chromium
def test_text_recording_has_its_colours(sample, browser):
    browser.open(written(sample))
    browser.click(".cast button", 2)
    [colour] = [colour for colour in browser.all("pre span", "one.style.background") if colour]
    assert colour == "rgb(242, 119, 122)"


@needs_chromium
def test_text_recording_plays_to_its_end(sample, browser):
    browser.open(written(sample))
    browser.click(".cast button")
    assert browser.all(".cast button", "one.textContent")[0] == "Pause"
    wait_until(lambda: browser.all(".cast button", "one.textContent")[0] == "Play")
    assert browser.all("pre", "one.textContent.trim()") == ["three"]


HOVER = """(() => { const svg = document.getElementById('returns'), box = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 19, clientY: box.top + 20}));
  return [document.querySelector('.tip').style.visibility, document.querySelector('.tip').innerText]; })()"""


@needs_chromium
def test_pointing_at_the_curve_tells_of_the_episode(sample, browser):
    browser.open(written(sample))
    assert browser.run(HOVER) == ["visible", "Episode 59\nreturn 7.681\nlength 10\nafter 30 min"]


@needs_chromium
def test_arrow_keys_go_from_episode_to_episode(sample, browser):
    browser.open(written(sample))
    browser.run("document.getElementById('returns').focus()")
    for key in ("End", "ArrowLeft"):
        browser.press(key)
    assert browser.run("document.getElementById('said').textContent").startswith("Episode 58")


@needs_chromium
@pytest.mark.parametrize("axis, last", [("episodes", "50"), ("steps", "600"), ("seconds", "30")])
def test_horizontal_axis_is_episodes_steps_or_time(sample, browser, axis, last):
    browser.open(written(sample))
    browser.run("document.getElementById('%s').click()" % axis)
    assert browser.all("#lengths text[text-anchor=middle]", "one.textContent")[-1] == last


@needs_chromium
def test_mark_on_the_curve_leads_to_the_video(sample, browser):
    browser.open(written(sample))
    browser.click(".mark", 1)
    assert browser.run("document.activeElement.querySelector('b').textContent") == "Episode 8"


@needs_chromium
def test_mark_of_a_video_that_is_folded_away_unfolds_it(tmp_path, browser):
    directory = write_run(tmp_path, range(40))
    for number in range(30):
        write_video(directory, number, ".png", png())
    browser.open(written(directory))
    browser.click(".mark")
    assert browser.run("document.querySelector('details').open && document.activeElement.offsetHeight > 0")


@needs_chromium
def test_evaluations_are_drawn_apart_from_training(sample, browser):
    browser.open(written(sample))
    found = browser.all("#returns .point", "[one.classList[1], one.getAttribute('d').split('M').length - 1]")
    assert found == [["t", 58], ["e", 2]]


@needs_chromium
def test_curve_has_a_gap_where_returns_are_not_finite(tmp_path, browser):
    browser.open(written(write_run(tmp_path, [1, 2, math.nan, 3, 4])))
    assert browser.all("#returns .mean", "one.getAttribute('d').split('M').length - 1") == [2]


@needs_chromium
def test_every_curve_has_a_label_for_screen_readers(tmp_path, browser):
    one = write_run(tmp_path / "one", [0] + [5] * 99, env_id="One-v0")
    two = write_run(tmp_path / "two", [0] + [-2.5] * 99, env_id="Two-v0")
    browser.open(written(one, two))
    assert browser.all("#returns g[role=img]", "one.getAttribute('aria-label')") == [
        "Mean return of one, 100 episodes: from 0 to 5",
        "Mean return of two, 100 episodes: from 0 to \u22122.5"]
    assert len(browser.all("#lengths g[role=img]", "one.getAttribute('aria-label')")) == 2


@needs_chromium
def test_every_mark_and_control_has_a_name_for_screen_readers(sample, browser):
    browser.open(written(sample))
    assert browser.all(".mark", "one.getAttribute('aria-label')")[1] == "Video of episode 8, return 2.828"
    assert "" not in browser.all("button", "one.getAttribute('aria-label') || one.textContent")
    assert "" not in browser.all("input", "one.closest('label').textContent.trim()")
    assert "" not in browser.all("video, img, pre", "one.getAttribute('aria-label') || one.alt || ''")


@needs_chromium
def test_runs_of_one_environment_have_their_mean_and_spread_drawn(tmp_path, browser):
    runs = [write_run(tmp_path / str(number), [number] * 20) for number in (1, 2, 3)]
    alone = write_run(tmp_path / "alone", [9] * 20, env_id="Other-v0")
    browser.open(written(*runs + [alone]))
    assert browser.all("#returns .all", "one.getAttribute('aria-label')") == [
        "Mean and standard deviation of 3 runs of Pole-v0"]


@needs_chromium
def test_runs_are_told_apart_by_a_legend_that_turns_them_off(tmp_path, browser):
    browser.open(written(*[write_run(tmp_path / name, range(9)) for name in ("one", "two")]))
    assert browser.all("#legend label", "one.innerText.trim()") == ["one", "two"]
    browser.click("#legend input")
    assert len(browser.all("#returns g[role=img]", "0")) == 1


@needs_chromium
def test_page_without_an_episode_says_so(tmp_path, browser):
    browser.open(written(write_run(tmp_path, [])))
    assert browser.run("document.querySelector('.waiting').innerText") == "No episode has been completed yet."
    assert browser.complaints() == []


@needs_chromium
@pytest.mark.parametrize("returns", [
    [5], [5, 5, 5], [1e15, 1e15 + 1], [-1e299, 1e299], [-1e308, 1e308], [math.nan], [1e-300, 0]])
def test_page_draws_whatever_the_returns_are(tmp_path, browser, returns):
    browser.open(written(write_run(tmp_path, returns)))
    assert "NaN" not in browser.run("document.getElementById('returns').innerHTML")
    assert browser.complaints() == []


@needs_chromium
def test_mark_leads_to_the_video_in_a_notebooks_frame_too(sample, tmp_path, browser):
    page = tmp_path / "notebook.html"
    shown = gym_monitor.report(sample)._repr_html_()
    page.write_text("<!DOCTYPE html><meta charset=utf-8>" + shown, encoding="utf-8")
    browser.open(page)
    frame = "document.querySelector('iframe').contentDocument"
    browser.run(frame + ".querySelectorAll('.mark')[1].dispatchEvent("
                "new MouseEvent('click', {bubbles: true, cancelable: true}))")
    assert browser.run(frame + ".activeElement.querySelector('b').textContent") == "Episode 8"
    assert browser.complaints() == []


@needs_chromium
def test_open_page_refreshes_itself_and_stays_where_it_was(sample, browser):
    page = written(sample, refresh=0.2)
    browser.open(page, width=400)
    browser.run("document.getElementById('steps').click(), scrollTo(0, 321), window.old = true, 0")
    with open(os.path.join(sample, "openaigym.episode_batch.0.1.monitor.csv"), "a") as journal:
        journal.write("99.0,10,9999.0,t\n")
    written(sample, refresh=0.2)

    def asked(question):
        try:
            return browser.run(question)
        except AssertionError:      # asked while the page was being replaced
            return None

    def renewed():
        return asked("!window.old && document.readyState === 'complete'"
                     " && document.querySelector('dd').innerText.startsWith('61')")
    wait_until(renewed)
    wait_until(lambda: asked("scrollY") == 321)
    wait_until(lambda: asked("document.querySelector('[name=axis]:checked').value") == "steps")
