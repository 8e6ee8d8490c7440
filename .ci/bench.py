#!/usr/bin/env python3
"""What gym_monitor costs, beside its peers, as a table in Markdown.

    python .ci/bench.py                       everything, a few minutes
    python .ci/bench.py --only step,png       some of it (the names are those of MEASURES, below)
    python .ci/bench.py --quick               everything, small: finds crashes, its figures mean nothing
    python .ci/bench.py --gym21 PYTHON        also the rows against gym 0.21, run by an interpreter that has it

Peers are used when they are installed (gymnasium[classic-control], stable-baselines3, moviepy, imageio-ffmpeg, Pillow,
numpy, and ffmpeg on PATH); the rows of a missing one are left out, and named below the table.

Method: both sides in one run on one machine, in turns (A B A B ...), a round of warm-up first; the figures are medians
and the ratio is that of the medians. Progress goes to stderr, the table to stdout.
"""
import argparse
import glob
import itertools
import json
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import namedtuple
from statistics import median

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

try:
    from gymnasium import Env
except ImportError:  # the environments below are whole without it
    Env = object

# ---------------------------------------------------------------------------------------------------------------------
# Rows and rounds
# ---------------------------------------------------------------------------------------------------------------------

Row = namedtuple("Row", "work ours peer ratio reach missed")
LEFT_OUT = []


def say(text):
    print(text, file=sys.stderr, flush=True)


def left_out(what, why):
    entry = f"{what} ({why})"
    if entry not in LEFT_OUT:
        LEFT_OUT.append(entry)
    say(f"  left out: {entry}")


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def kilobytes(count):
    return f"{count / 1e3:,.1f} kB"


def against(work, ours, name, theirs, reach=None, unit=duration):
    """A row of a figure of ours over a peer's; `reach` is the largest ratio that will do."""
    ratio = ours / theirs
    bound = "–" if reach is None else f"≤ {reach:.2f} ×"
    peer = f"{name}: {unit(theirs)}"
    return Row(work, unit(ours), peer, f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.1g}", bound,
               reach is not None and ratio > reach)


def within(work, ours, reach, unit=duration):
    """A row of a figure of ours that has a bound of its own, with no peer."""
    return Row(work, unit(ours), "–", "–", "≤ " + unit(reach), ours > reach)


def alternate(contestants, rounds):
    """Run the contestants in turns, after a round of warm-up: name -> their figures, one a round."""
    figures = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            figure = run()
            if number:
                figures[name].append(figure)
    return figures


def medians(contestants, rounds):
    return {name: median(figures) for name, figures in alternate(contestants, rounds).items()}


def over_bare(envs, contestant, rounds):
    """Medians of what each environment costs beyond the one named "bare", and the median of that one; closes them."""
    figures = alternate({name: contestant(env) for name, env in envs.items()}, rounds)
    for env in envs.values():
        env.close()
    bare = figures.pop("bare")
    return {name: median(a - b for a, b in zip(of, bare)) for name, of in figures.items()}, median(bare)


def installed(builders):
    """Build the contestants whose packages are there, and say which are not."""
    contestants = {}
    for name, build in builders.items():
        try:
            contestants[name] = build()
        except ImportError as missing:
            if missing.name == "gym_monitor":
                raise
            left_out(name, missing)
    return contestants


def child(python, name, *arguments, **variables):
    """What the function CHILDREN[name] answers in another interpreter."""
    command = [python, "-W", "ignore", os.path.abspath(__file__), "--child", name] + [str(a) for a in arguments]
    done = subprocess.run(command, env=dict(os.environ, **variables), capture_output=True)
    if done.returncode:
        raise RuntimeError("{} failed:\n{}".format(" ".join(command), done.stderr.decode()))
    return json.loads(done.stdout.decode().splitlines()[-1])


# ---------------------------------------------------------------------------------------------------------------------
# Environments and frames
# ---------------------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, FPS = 600, 400, 30


class Ticking(Env):
    """Costs next to nothing: episodes of `length` steps, the same answer at each."""

    spec = None
    render_mode = "rgb_array"
    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS,
                "render.modes": ["rgb_array"], "video.frames_per_second": FPS}  # gym 0.21's names

    def __init__(self, length):
        self.length = self.left = length

    def reset(self, *, seed=None, options=None):
        self.left = self.length
        return 0.0, {}

    def step(self, action):
        self.left -= 1
        return 0.0, 1.0, self.left <= 0, False, {}

    def close(self):
        pass


class Film(Ticking):
    """One that renders frames drawn beforehand: an episode of `length` steps shows `length` + 1 of them."""

    def __init__(self, frames, length=1):
        super().__init__(length)
        self.frames = itertools.cycle(frames)

    def render(self, mode=None):
        return next(self.frames)


class Old:
    """Mixed into one of the above: the interface of gym 0.21."""

    def reset(self):
        return super().reset()[0]

    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class OldTicking(Old, Ticking):
    pass


class OldFilm(Old, Film):
    pass


def stepper(env, episodes, length):
    """A contestant that plays whole episodes and answers the seconds a step."""
    step, reset = env.step, env.reset

    def run():
        started = time.perf_counter()
        for _ in itertools.repeat(None, episodes):
            reset()
            for _ in itertools.repeat(None, length):
                step(0)
        return (time.perf_counter() - started) / (episodes * length)
    return run


def drawn_frame(number):
    """A cart and a pole on white, as a memoryview: for where numpy or pygame are not."""
    pixels = bytearray(b"\xff" * (WIDTH * HEIGHT * 3))
    left = 200 + 4 * (number % 40)
    for y in range(290, 320):
        start = (y * WIDTH + left) * 3
        pixels[start:start + 150] = bytes(150)
    for y in range(180, 290):
        start = (y * WIDTH + left + 20 + (290 - y) * (number % 15) // 40) * 3
        pixels[start:start + 30] = b"\xca\x98\x65" * 10
    return memoryview(pixels).cast("B", (HEIGHT, WIDTH, 3))


def cartpole_frames(count):
    """Frames of gymnasium's CartPole under a random policy, or drawn ones where they cannot be had."""
    try:
        import gymnasium
        env = gymnasium.make("CartPole-v1", render_mode="rgb_array").unwrapped
        env.reset(seed=1)
        env.render()
    except Exception as missing:
        say(f"  frames are drawn by hand: {missing}")
        return [drawn_frame(number) for number in range(count)]
    frames, dice = [], random.Random(1)
    while len(frames) < count:
        frames.append(env.render().copy())
        if env.step(dice.randrange(2))[2]:
            env.reset()
    env.close()
    return frames


def texture_frames(count):
    """A smooth noise, as of clouds (its spectrum falls as 1/f), moved by two pixels a frame."""
    import numpy
    dice = numpy.random.default_rng(0)
    shape = HEIGHT, WIDTH + 2 * count
    frequency = numpy.hypot(numpy.fft.fftfreq(shape[0])[:, None], numpy.fft.rfftfreq(shape[1]))
    frequency[0, 0] = 1
    planes = [numpy.fft.irfft2(numpy.fft.rfft2(dice.standard_normal(shape)) / frequency ** 1.2, shape)
              for _ in range(3)]
    picture = numpy.stack([numpy.clip(128 + 45 * plane / plane.std(), 0, 255) for plane in planes], axis=2)
    picture = picture.astype("uint8")
    return [picture[:, 2 * n:2 * n + WIDTH].copy() for n in range(count)]


def as_arrays(frames):
    """numpy arrays, which gym and gymnasium ask for."""
    import numpy
    return [numpy.asarray(frame) for frame in frames]


# ---------------------------------------------------------------------------------------------------------------------
# A step, an episode, a reset
# ---------------------------------------------------------------------------------------------------------------------

def our_monitor(env, folder, **options):
    from gym_monitor import Monitor
    return Monitor(env, folder, **dict({"video_callable": False}, **options))


def sb3_monitor(env, folder):
    from stable_baselines3.common.monitor import Monitor
    return Monitor(env, os.path.join(folder, "sb3"))


def episode_statistics(env):
    from gymnasium.wrappers import RecordEpisodeStatistics
    return RecordEpisodeStatistics(env)


def pass_through(env):
    from gymnasium import Wrapper
    return Wrapper(env)


SB3 = "Stable-Baselines3 `Monitor` with a file"
STATISTICS = "gymnasium `RecordEpisodeStatistics`"
PASS = "pass-through wrapper"
GYM21 = "gym 0.21 `Monitor`"


def measure_step(options, folder):
    """A step without video, in episodes of 1,000."""
    length, episodes, rounds = (100, 2, 2) if options.quick else (1000, 10, 150)
    envs = installed({
        "bare": lambda: Ticking(length),
        PASS: lambda: pass_through(Ticking(length)),
        "ours": lambda: our_monitor(Ticking(length), os.path.join(folder, "ours")),
        SB3: lambda: sb3_monitor(Ticking(length), folder),
        STATISTICS: lambda: episode_statistics(Ticking(length)),
    })
    costs, bare = over_bare(envs, lambda env: stepper(env, episodes, length), rounds)
    work = f"a step, no video: over the bare environment's {duration(bare)}"
    for name, reach in ((PASS, None), (SB3, 0.80), (STATISTICS, 0.65)):
        if name in costs:
            yield against(work, costs["ours"], name, costs[name], reach)
    if options.gym21:
        costs = child(options.gym21, "step", length, episodes, rounds)
        yield against("the same, on gym 0.21's interpreter", costs["ours"], GYM21, costs["gym"])


def child_step(length, episodes, rounds):
    with tempfile.TemporaryDirectory() as folder:
        from gym.wrappers import Monitor
        envs = {
            "bare": OldTicking(length),
            "ours": our_monitor(OldTicking(length), os.path.join(folder, "ours")),
            "gym": Monitor(OldTicking(length), os.path.join(folder, "gym"), video_callable=False),
        }
        return over_bare(envs, lambda env: stepper(env, episodes, length), rounds)[0]


def measure_episode(options, folder):
    """An episode of one step, with its row in the journal."""
    episodes, rounds = (20, 2) if options.quick else (200, 100)
    envs = installed({
        "bare": lambda: Ticking(1),
        "ours": lambda: our_monitor(Ticking(1), os.path.join(folder, "ours")),
        SB3: lambda: sb3_monitor(Ticking(1), folder),
    })
    costs, bare = over_bare(envs, lambda env: stepper(env, episodes, 1), rounds)
    work = f"an episode of one step, with its row in the journal: over the bare environment's {duration(bare)}"
    if SB3 in costs:
        yield against(work, costs["ours"], SB3, costs[SB3], 1.0)


def measure_reset(options, folder):
    """write_upon_reset=True: what a reset costs late in a run, and early."""
    early, late, rounds = (50, 500, 1) if options.quick else (1000, 60000, 5)
    envs = {}
    for count in (early, late):
        where = os.path.join(folder, str(count))
        envs[count] = our_monitor(Ticking(1), where, write_upon_reset=True)
        say(f"  {count:,} episodes")
        stepper(envs[count], count, 1)()
    # A reset costs more the fuller its batch: a round covers a whole one, if it is not out of all proportion.
    batch = min(early, fullest_batch(os.path.join(folder, str(late))))
    costs = medians({count: stepper(env, batch, 1) for count, env in envs.items()}, rounds)
    for env in envs.values():
        env.close()
    work = f"`write_upon_reset=True`: a reset and an episode of one step, after {late:,} episodes"
    yield against(work, costs[late], f"ours after {early:,}", costs[early], 1.5)
    if options.gym21:
        later = 3 * early
        costs = child(options.gym21, "reset", early, later)
        yield against(f"gym 0.21's own after {later:,}, for scale",
                      costs["later"], f"gym 0.21's after {early:,}", costs["early"])


def fullest_batch(folder):
    """The most episodes that a statistics file in `folder` holds."""
    counts = []
    for path in glob.glob(os.path.join(folder, "*.stats.json")):
        with open(path) as file:
            counts.append(len(json.load(file)["timestamps"]))
    return max(counts)


def child_reset(early, later):
    with tempfile.TemporaryDirectory() as folder:
        from gym.wrappers import Monitor
        env = Monitor(OldTicking(1), os.path.join(folder, "gym"), video_callable=False, write_upon_reset=True)
        part = early // 10
        run = stepper(env, part, 1)
        figures = [run() for _ in range(later // part)]
        env.close()
        return {"early": median(figures[7:10]), "later": median(figures[-3:])}


# ---------------------------------------------------------------------------------------------------------------------
# Video
# ---------------------------------------------------------------------------------------------------------------------

RECORD_VIDEO = "gymnasium `RecordVideo`"


def record_video(env, folder, trigger):
    import moviepy  # noqa: F401  (RecordVideo asks for it in an error of its own)
    from gymnasium.wrappers import RecordVideo
    return RecordVideo(env, folder, episode_trigger=trigger)


def every_episode(episode_id):
    return True


def first_episode(episode_id):
    return episode_id == 0


def recorder(make, folder):
    """A contestant that records one whole episode of the environment that `make(folder)` gives, and closes it."""
    def run():
        env = make(tempfile.mkdtemp(dir=folder))
        started = time.perf_counter()
        env.reset()
        while not env.step(0)[2]:
            pass
        env.close()
        return time.perf_counter() - started
    make(tempfile.mkdtemp(dir=folder)).close()  # an ImportError comes now or never
    return run


def own_command(folder, frame):
    """The command that ours runs for frames such as this one, of its metadata, and the options of its input."""
    env = our_monitor(Film([frame]), folder, video_callable=every_episode)
    env.reset()
    env.step(0)
    env.close()
    with open(env.videos[0][1]) as file:
        return list(json.load(file)["encoder_version"]["cmdline"])


def raw_file(frames, count, folder):
    path = os.path.join(folder, "frames.raw")
    with open(path, "wb") as file:
        for frame in itertools.islice(itertools.cycle(frames), count):
            file.write(frame)
    return path


RAW_INPUT = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-framerate", str(FPS)]


def run_ffmpeg(command):
    """Seconds, and what it said."""
    started = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError("{} failed:\n{}".format(" ".join(command), done.stdout.decode()))
    return seconds, done.stdout.decode()


def ffmpeg_from_file(command, raw, folder):
    """A contestant: the encoder of ours, with its own options, reading a file in place of the pipe."""
    command = [command[0], "-y"] + command[1:]
    command[command.index("-i") + 1] = raw
    command[-1] = os.path.join(folder, "from_file.mp4")
    return lambda: run_ffmpeg(command)[0]


def imageio_writer(frames, count, folder):
    """A contestant: imageio-ffmpeg with its defaults."""
    import imageio_ffmpeg
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns of a width that 16 does not divide

    def run():
        started = time.perf_counter()
        writer = imageio_ffmpeg.write_frames(os.path.join(folder, "imageio.mp4"), (WIDTH, HEIGHT))
        writer.send(None)
        for frame in itertools.islice(itertools.cycle(frames), count):
            writer.send(frame)
        writer.close()
        return time.perf_counter() - started
    return run


FFMPEG = "ffmpeg, same options, from a file of the raw frames"
IMAGEIO = "imageio-ffmpeg"


def measure_video(options, folder):
    """A recorded episode from its reset to the end of close, of frames that cost nothing to draw."""
    if not shutil.which("ffmpeg"):
        return left_out("video", "no ffmpeg on PATH")
    count, rounds = (150, 1) if options.quick else (1500, 5)
    frames = cartpole_frames(60)
    raw = raw_file(frames, count, folder)
    command = own_command(os.path.join(folder, "own"), frames[0])
    contestants = installed({
        "ours": lambda: recorder(lambda where: our_monitor(
            Film(frames, count - 1), where, video_callable=every_episode), folder),
        FFMPEG: lambda: ffmpeg_from_file(command, raw, folder),
        IMAGEIO: lambda: imageio_writer(frames, count, folder),
        RECORD_VIDEO: lambda: recorder(lambda where: record_video(
            Film(as_arrays(frames), count - 1), where, every_episode), folder),
    })
    costs = medians(contestants, rounds)
    work = f"video of {count:,} frames of 600 × 400, drawn beforehand"
    for name, reach in ((FFMPEG, 1.10), (IMAGEIO, 0.95), (RECORD_VIDEO, 0.85)):
        if name in costs:
            yield against(work, costs["ours"], name, costs[name], reach)
    if options.gym21:
        costs = child(options.gym21, "video", raw, count, rounds)
        yield against("the same, on gym 0.21's interpreter", costs["ours"], GYM21, costs["gym"])
    yield from quality(newest_video(folder), raw, count, folder)


def newest_video(folder):
    return max(glob.glob(os.path.join(folder, "*", "openaigym.video.*.mp4")), key=os.path.getmtime)


def quality(video, raw, count, folder):
    """How alike the video of ours is to its source, and its size beside that of libx264's default preset."""
    graph = "[0:v]settb=AVTB,setpts=N,format=yuv420p[a];[1:v]settb=AVTB,setpts=N,format=yuv420p[b];[a][b]ssim"
    _, said = run_ffmpeg(["ffmpeg", "-i", video] + RAW_INPUT + ["-i", raw, "-lavfi", graph, "-f", "null", "-"])
    shown = int(re.findall(r"frame= *(\d+)", said)[-1])
    if shown != count:
        raise RuntimeError(f"{video} has {shown} frames, not {count}")
    likeness = float(re.search(r"All:([0-9.]+)", said).group(1))
    yield Row("its likeness to the source (SSIM)", f"{likeness:.4f}", "–", "–", "≥ 0.99", likeness < 0.99)
    default = os.path.join(folder, "default.mp4")
    run_ffmpeg(["ffmpeg", "-y"] + RAW_INPUT + ["-i", raw, "-c:v", "libx264", "-pix_fmt", "yuv420p", default])
    yield against("its size", os.path.getsize(video), "libx264's default preset", os.path.getsize(default), 1.5,
                  kilobytes)


def child_video(raw, count, rounds):
    """The raw file holds `count` frames; the 60 at its beginning are shown in a cycle."""
    import numpy
    from gym.wrappers import Monitor
    frames = list(numpy.fromfile(raw, "uint8", 60 * WIDTH * HEIGHT * 3).reshape(-1, HEIGHT, WIDTH, 3))
    with tempfile.TemporaryDirectory() as folder:
        return medians({
            "ours": recorder(lambda where: our_monitor(
                OldFilm(frames, count - 1), where, video_callable=every_episode), folder),
            "gym": recorder(lambda where: Monitor(
                OldFilm(frames, count - 1), where, video_callable=every_episode, force=True), folder),
        }, rounds)


def pause(make, count, folder):
    """A contestant that records an episode of `count` frames, and times its last step and the reset after it."""
    def run():
        env = make(tempfile.mkdtemp(dir=folder))
        env.reset()
        for _ in range(count - 2):
            env.step(0)
        started = time.perf_counter()
        env.step(0)
        env.reset()
        seconds = time.perf_counter() - started
        env.close()
        return seconds
    make(tempfile.mkdtemp(dir=folder)).close()
    return run


BOTH = "ours, the next episode recorded too"


def measure_pause(options, folder):
    """Where a recorded episode ends: its last step, and the reset after it."""
    if not shutil.which("ffmpeg"):
        return left_out("pause", "no ffmpeg on PATH")
    count, rounds = (150, 1) if options.quick else (1500, 3)
    frames = cartpole_frames(60)
    costs = medians(installed({
        "ours": lambda: pause(lambda where: our_monitor(
            Film(frames, count - 1), where, video_callable=first_episode), count, folder),
        BOTH: lambda: pause(lambda where: our_monitor(
            Film(frames, count - 1), where, video_callable=every_episode), count, folder),
        RECORD_VIDEO: lambda: pause(lambda where: record_video(
            Film(as_arrays(frames), count - 1), where, first_episode), count, folder),
    }), rounds)
    work = f"the pause where a recorded episode of {count:,} frames ends, and the reset after it"
    yield within(work, costs["ours"], 0.020)
    if RECORD_VIDEO in costs:
        yield against("the same", costs["ours"], RECORD_VIDEO, costs[RECORD_VIDEO], 0.02)
    yield Row("the same, where the next episode is recorded too", duration(costs[BOTH]), "–", "–", "–", False)


# ---------------------------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------------------------

class Drawn(Ticking):
    """Draws a new frame at every render, as real environments do."""

    def __init__(self, length):
        super().__init__(length)
        self.numbers = itertools.count()

    def render(self):
        return drawn_frame(next(self.numbers))


class Text(Drawn):
    render_mode = "ansi"
    metadata = dict(Ticking.metadata, render_modes=["ansi"])

    def render(self):
        return f"step {next(self.numbers)}\n" + "." * 79 + "\n"


class Arrays(Drawn):
    def render(self):
        import numpy
        return numpy.asarray(super().render())


def peak_memory():
    """Bytes. Linux's ru_maxrss is no use here: a child inherits that of the process which started it."""
    try:
        with open("/proc/self/status") as file:
            return int(re.search(r"VmHWM:\s*(\d+) kB", file.read()).group(1)) * 1024
    except FileNotFoundError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of macOS, in bytes


def child_memory(kind, count):
    with tempfile.TemporaryDirectory() as folder:
        if kind == "RecordVideo":
            env = record_video(Arrays(count - 1), folder, every_episode)
        else:
            env = our_monitor(Text(count - 1) if kind == "text" else Drawn(count - 1), folder,
                              video_callable=every_episode)
        env.reset()
        for _ in range(count - 1):
            env.step(0)
        env.close()
        ending = {"ffmpeg": ".mp4", "PNG": ".png", "text": ".cast", "RecordVideo": ".mp4"}[kind]
        if not any(name.endswith(ending) for name in os.listdir(folder)):
            raise RuntimeError(f"no {ending} in {os.listdir(folder)}")
        return peak_memory()


def measure_memory(options, folder):
    """Peak memory of a process that records a long episode, over that of a short one."""
    few, many = (60, 120) if options.quick else (600, 6000)
    hidden = {"PATH": folder}  # an empty folder: no ffmpeg
    for kind, variables in (("ffmpeg", {}), ("PNG", hidden), ("text", {})):
        if kind == "ffmpeg" and not shutil.which("ffmpeg"):
            left_out("memory with ffmpeg", "no ffmpeg on PATH")
            continue
        say(f"  {kind}")
        grown = [child(sys.executable, "memory", kind, count, **variables) for count in (few, many)]
        work = f"memory of {many:,} frames over that of {few:,}: {kind}"
        yield within(work, grown[1] - grown[0], 8e6, megabytes)
    if not options.quick:
        try:
            grown = [child(sys.executable, "memory", "RecordVideo", count) for count in (150, 1500)]
        except RuntimeError as error:
            return left_out("memory of RecordVideo", str(error).splitlines()[-1])
        yield Row("1,500 frames over 150, for scale", "–", f"{RECORD_VIDEO}: {megabytes(grown[1] - grown[0])}",
                  "–", "–", False)


# ---------------------------------------------------------------------------------------------------------------------
# Animated PNG
# ---------------------------------------------------------------------------------------------------------------------

def png_recorder(frames, path):
    """A contestant that records the frames in an animated PNG."""
    from gym_monitor import VideoRecorder

    def run():
        started = time.perf_counter()
        video = VideoRecorder(Film(frames), path=path)
        for _ in frames:
            video.capture_frame()
        video.close()
        return time.perf_counter() - started
    return run


def compressor(frames, level):
    """A contestant that compresses whole frames and keeps nothing."""
    def run():
        started = time.perf_counter()
        for frame in frames:
            zlib.compress(frame, level)
        return time.perf_counter() - started
    return run


def measure_png(options, folder):
    """What a machine without ffmpeg writes, on a drawing and on a picture that changes everywhere."""
    rounds = 1 if options.quick else 7
    scenes = installed({
        "CartPole": lambda: cartpole_frames(10 if options.quick else 300),
        "a scrolling texture": lambda: texture_frames(5 if options.quick else 60),
    })
    for scene, frames in scenes.items():
        path = os.path.join(folder, scene.replace(" ", "_") + ".png")
        costs = medians({"ours": png_recorder(frames, path), "zlib": compressor(frames, 1)}, rounds)
        yield against(f"animated PNG of {scene}: a frame", costs["ours"] / len(frames),
                      "`zlib.compress(frame, 1)` of whole frames", costs["zlib"] / len(frames), 1.0)
        written = os.path.getsize(path) / len(frames)
        whole = sum(len(zlib.compress(frame, 6)) for frame in frames) / len(frames)
        yield against("its bytes a frame", written, "`zlib.compress(frame, 6)`", whole,
                      0.6 if scene == "CartPole" else None, kilobytes)
        yield from exactness(path, frames)


def exactness(path, frames):
    try:
        from PIL import Image, ImageSequence
    except ImportError as missing:
        return left_out("exactness of animated PNG", missing)
    shown = []
    with Image.open(path) as image:
        for picture in ImageSequence.Iterator(image):
            # A frame like the one before may be told by how long that one stays.
            shown += [picture.convert("RGB").tobytes()] * round(picture.info["duration"] * FPS / 1000)
    wrong = abs(len(shown) - len(frames))
    wrong += sum(picture != bytes(memoryview(frame).cast("B")) for picture, frame in zip(shown, frames))
    yield Row("its frames that are not exact", str(wrong), "–", "–", "0", wrong > 0)


# ---------------------------------------------------------------------------------------------------------------------
# Reading back
# ---------------------------------------------------------------------------------------------------------------------

def write_run(folder, number, episodes):
    """The files of one finished monitor, as the contract has them."""
    dice = random.Random(number)
    infix = f"{number}.{1000 + number}"
    started = 1.7e9 + dice.random()
    times = list(itertools.accumulate(round(dice.uniform(0.1, 2), 6) for _ in range(episodes)))
    lengths = [dice.randrange(10, 500) for _ in times]
    rewards = [dice.uniform(-100, 100) for _ in times]
    episode = os.path.join(folder, f"openaigym.episode_batch.{infix}")
    with open(episode + ".monitor.csv", "w") as file:
        file.write("#" + json.dumps({"t_start": started, "env_id": "Bench-v0"}) + "\nr,l,t,type\n")
        file.writelines("{!r},{},{!r},t\n".format(*row) for row in zip(rewards, lengths, times))
    statistics = {"initial_reset_timestamp": started, "timestamps": [started + t for t in times],
                  "episode_lengths": lengths, "episode_rewards": rewards, "episode_types": ["t"] * episodes}
    with open(episode + ".stats.json", "w") as file:
        json.dump(statistics, file)
    manifest = {"stats": os.path.basename(episode) + ".stats.json", "videos": [],
                "env_info": {"gym_version": "0.21.0", "env_id": "Bench-v0"}}
    with open(os.path.join(folder, f"openaigym.manifest.{infix}.manifest.json"), "w") as file:
        json.dump(manifest, file)


def child_load(folder, rounds):
    """Seconds of both readers, and whether they agree."""
    import gym.wrappers.monitor

    import gym_monitor
    read = {}

    def reader(name, load_results):
        def run():
            read.pop(name, None)  # to free the last answer is no part of the next
            started = time.perf_counter()
            read[name] = load_results(folder)
            return time.perf_counter() - started
        return run
    costs = medians({"ours": reader("ours", gym_monitor.load_results),
                     "gym": reader("gym", gym.wrappers.monitor.load_results)}, rounds)
    lists = "timestamps", "episode_lengths", "episode_rewards", "episode_types"
    ours, theirs = ([results[key] for key in lists] for results in (read["ours"], read["gym"]))
    # Sorted once more: numpy may swap episodes that ended at the same moment.
    costs["agree"] = ours[0] == theirs[0] and sorted(zip(*ours)) == sorted(zip(*theirs))
    return costs


def measure_load(options, folder):
    """load_results of a large directory, ours and gym 0.21's, on gym's interpreter."""
    if not options.gym21:
        return left_out("`load_results`", "no interpreter with gym 0.21: --gym21")
    monitors, episodes, rounds = (10, 1000, 1) if options.quick else (100, 10000, 3)
    say(f"  writing {monitors * episodes:,} episodes")
    for number in range(monitors):
        write_run(folder, number, episodes)
    costs = child(options.gym21, "load", folder, rounds)
    if not costs["agree"]:
        raise RuntimeError("load_results of ours and of gym 0.21 differ")
    yield against(f"`load_results` of {monitors * episodes:,} episodes in {monitors} monitors",
                  costs["ours"], "gym 0.21's, with numpy", costs["gym"], 1.0)


# ---------------------------------------------------------------------------------------------------------------------
# Import
# ---------------------------------------------------------------------------------------------------------------------

NEW_MODULES = """
import sys
before = set(sys.modules)
import gym_monitor
print(*sorted(set(sys.modules) - before - {"gym_monitor"}))
"""
IMPORT_TIME = """
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
started = time.perf_counter()
import gym_monitor
print(time.perf_counter() - started)
"""
NOT_FOR_THE_LIBRARY = {"argparse", "html", "base64", "statistics", "fractions", "decimal", "webbrowser", "http.server",
                       "unittest", "doctest", "pdb", "asyncio", "email", "urllib.request", "ctypes", "numpy", "gym",
                       "gymnasium"}


def measure_import(options, folder):
    """Importing gym_monitor where every module that it uses is there already; the byte code is in its cache."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = [ROOT] + [path for path in [os.environ.get("PYTHONPATH")] if path]
    variables.update(PYTHONPYCACHEPREFIX=folder, PYTHONPATH=os.pathsep.join(paths))

    def fresh(code, *arguments):
        # -S: without it, the .pth files of some packages import modules that would not be counted.
        command = [sys.executable, "-S", "-c", code] + list(arguments)
        return subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True).stdout.decode()

    modules = fresh(NEW_MODULES).split()
    figures = medians({"all": lambda: float(fresh(IMPORT_TIME)),
                       "beyond": lambda: float(fresh(IMPORT_TIME, *modules))}, 2 if options.quick else 25)
    yield within(f"import, beyond the {len(modules)} standard-library modules that it brings",
                 figures["beyond"], 0.010)
    yield Row("import, with those modules", duration(figures["all"]), "–", "–", "–", False)
    unwanted = sorted(NOT_FOR_THE_LIBRARY.intersection(modules))
    yield Row("modules of the report, the demo or argparse that it brings", ", ".join(unwanted) or "none", "–", "–",
              "none", bool(unwanted))


# ---------------------------------------------------------------------------------------------------------------------
# Vector environments
# ---------------------------------------------------------------------------------------------------------------------

def vector_env(count, length):
    """A vector environment that costs next to nothing: its sub-environments end in turn, and reset at the next step."""
    import numpy
    from gymnasium.vector import AutoresetMode, VectorEnv

    class Vector(VectorEnv):
        num_envs = count
        metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        offsets = numpy.arange(count) * length // count
        answers = []
        for moment in range(1, length + 1):
            ended = (moment + offsets) % length == 0
            fresh = (moment + offsets) % length == 1
            answers.append((numpy.zeros((count, 4)), numpy.where(fresh, 0.0, 1.0), ended, numpy.zeros(count, bool)))

        def reset(self, *, seed=None, options=None):
            self.turn = itertools.cycle(self.answers)
            return self.answers[0][0], {}

        def step(self, actions):
            observations, rewards, terminated, truncated = next(self.turn)
            return observations, rewards, terminated, truncated, {}
    return Vector()


def vector_monitor(env, folder):
    from gym_monitor import VectorMonitor
    return VectorMonitor(env, folder, video_callable=False)


def vector_statistics(env):
    from gymnasium.wrappers.vector import RecordEpisodeStatistics
    return RecordEpisodeStatistics(env)


def vector_stepper(env, steps):
    env.reset()
    step = env.step

    def run():
        started = time.perf_counter()
        for _ in itertools.repeat(None, steps):
            step(None)
        return (time.perf_counter() - started) / steps
    return run


VECTOR_STATISTICS = "gymnasium's vector `RecordEpisodeStatistics`"


def measure_vector(options, folder):
    """A step of a whole vector environment, in episodes of 200 steps."""
    import gym_monitor
    if not hasattr(gym_monitor, "VectorMonitor"):
        return left_out("vector environments", "gym_monitor has no VectorMonitor")
    try:
        import gymnasium.vector  # noqa: F401
    except ImportError as missing:
        return left_out("vector environments", missing)
    for count in (8, 64):
        yield from vector_rows(count, options, os.path.join(folder, str(count)))


def vector_rows(count, options, folder):
    steps, rounds = (400, 1) if options.quick else (1000, 40)
    envs = {
        "bare": vector_env(count, 200),
        "ours": vector_monitor(vector_env(count, 200), folder),
        VECTOR_STATISTICS: vector_statistics(vector_env(count, 200)),
    }
    costs, bare = over_bare(envs, lambda env: vector_stepper(env, steps), rounds)
    work = f"a step of a vector of {count}: over the bare environment's {duration(bare)}"
    yield against(work, costs["ours"], VECTOR_STATISTICS, costs[VECTOR_STATISTICS])


# ---------------------------------------------------------------------------------------------------------------------
# The command
# ---------------------------------------------------------------------------------------------------------------------

MEASURES = {
    "step": measure_step,
    "episode": measure_episode,
    "reset": measure_reset,
    "video": measure_video,
    "pause": measure_pause,
    "memory": measure_memory,
    "png": measure_png,
    "load": measure_load,
    "import": measure_import,
    "vector": measure_vector,
}
CHILDREN = {"step": child_step, "reset": child_reset, "video": child_video, "memory": child_memory, "load": child_load}


def run_child(name, *arguments):
    print(json.dumps(CHILDREN[name](*[int(a) if a.isdigit() else a for a in arguments])))


def arguments_of(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small, for crashes alone")
    parser.add_argument("--only", metavar="NAME[,NAME]", help="of: " + ", ".join(MEASURES))
    parser.add_argument("--gym21", metavar="PYTHON", help="an interpreter that has gym 0.21")
    options = parser.parse_args(argv)
    options.names = options.only.split(",") if options.only else list(MEASURES)
    unknown = set(options.names) - set(MEASURES)
    if unknown:
        parser.error("no measure is called {}".format(", ".join(sorted(unknown))))
    return options


def table(rows, judge):
    lines = ["| work | ours | peer | ratio | reach |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        reach = row.reach + (" **missed**" if row.missed and judge else "")
        lines.append(f"| {row.work} | {row.ours} | {row.peer} | {row.ratio} | {reach} |")
    return "\n".join(lines)


def main(argv):
    if argv[:1] == ["--child"]:
        return run_child(*argv[1:])
    options = arguments_of(argv)
    warnings.simplefilter("ignore")
    rows, failed = [], False
    for name in options.names:
        say(f"{name}: {MEASURES[name].__doc__}")
        started = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory() as folder:
                rows.extend(MEASURES[name](options, folder))
        except Exception:
            traceback.print_exc()
            failed = True
        say(f"  {time.perf_counter() - started:.0f} s")
    print(table(rows, judge=not options.quick))
    if LEFT_OUT:
        print("\nLeft out: " + "; ".join(LEFT_OUT) + ".")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
