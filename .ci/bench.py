#!/usr/bin/env python3
"""Measures what gym_monitor costs beside its peers, and prints a table in Markdown.

    python .ci/bench.py                       everything, about ten minutes
    python .ci/bench.py --only step,png       some of it; the names are those of the functions measure_... below
    python .ci/bench.py --quick               everything on a small scale: finds crashes, its figures mean nothing
    python .ci/bench.py --gym21 PYTHON        adds the rows against gym 0.21, run by an interpreter that has it

Peers are measured where they are installed: `pip install "gymnasium[classic-control]" ale-py box2d stable-baselines3
moviepy imageio-ffmpeg`. The rows of a missing one are left out, and it is named below the table.

Method: all sides run in one process, in turns (A B A B ...), after a round of warm-up. They call `env.reset()` and
`env.step(...)` as a user does, in episodes of 200 steps unless the row says otherwise. Figures are medians over the
rounds, a ratio is that of two medians. Progress goes to stderr; the table and four lines that sum it up to stdout.
"""
import argparse
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
import warnings
import zlib
from functools import partial
from statistics import median

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from gym_monitor import Monitor, VectorMonitor, VideoRecorder, load_results  # noqa: E402

os.environ.update(PYGAME_HIDE_SUPPORT_PROMPT="1", SDL_VIDEODRIVER="dummy")
warnings.simplefilter("ignore")

LENGTH, WIDTH, HEIGHT, FPS = 200, 600, 400, 30
Env = importlib.import_module("gymnasium").Env if importlib.util.find_spec("gymnasium") else object
GYM21 = Env is object and bool(importlib.util.find_spec("gym"))  # the interpreter of --gym21: gym's own is the peer
OURS, BARE, PASS, SB3 = "ours", "bare", "pass-through wrapper", "Stable-Baselines3 `Monitor` with a file"
STATISTICS, RECORD_VIDEO, GYM = "gymnasium `RecordEpisodeStatistics`", "gymnasium `RecordVideo`", "gym 0.21 `Monitor`"
FFMPEG, IMAGEIO, LIBX264 = "ffmpeg, same options, from a file of the raw frames", "imageio-ffmpeg", "libx264's defaults"
ZLIB_1, ZLIB_6 = "`zlib.compress(frame, 1)` of whole frames", "`zlib.compress(frame, 6)` of whole frames"
GYM_LOAD, SB3_LOAD = "gym 0.21's, with numpy", "Stable-Baselines3's, with pandas"
VECTOR = "gymnasium's vector `RecordEpisodeStatistics`"
# The largest ratio of ours to a peer's that is good enough.
REACH = {SB3: 1.00, STATISTICS: 0.65, FFMPEG: 1.10, IMAGEIO: 0.95, RECORD_VIDEO: 0.85, LIBX264: 1.50, ZLIB_1: 1.00,
         ZLIB_6: 0.60, GYM_LOAD: 1.00}
LEFT_OUT, SUMMARY = [], []
BYTES, FIRST, EVERY = "{:,.0f} bytes".format, (0).__eq__, (0).__le__  # the last two are schedules of videos


# ---- rows and rounds ------------------------------------------------------------------------------------------------

def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def row(work, ours, peer="–", ratio="–", reach="–", missed=False):
    return f"| {work} | {ours} | {peer} | {ratio} | {reach}{' **missed**' * bool(missed)} |"


def rows(work, costs, reach=REACH, unit=duration, bound=None, lines=()):
    """A row for each peer in `costs`, and one for the bound of ours. `lines` holds sentences for below the table."""
    ours, peers = unit(costs[OURS]), [name for name in costs if name not in (OURS, BARE)]
    if bound or not peers:
        yield row(work, ours, reach=f"≤ {unit(bound)}" if bound else "–", missed=bound and costs[OURS] > bound)
    for name in peers:
        exact, most, peer = costs[OURS] / costs[name], reach.get(name), unit(costs[name])
        ratio = f"{exact:.2f}" if exact >= 0.1 else f"{exact:.1g}"
        yield row(work, ours, f"{name}: {peer}", ratio, f"≤ {most:.2f} ×" if most else "–", most and exact > most)
        if name in lines:
            SUMMARY.append(lines[name].format(ours=ours, peer=peer, ratio=ratio))


def installed(builders):
    """What the builders make whose packages are there; the others are named below the table."""
    built = {}
    for name, build in builders.items():
        try:
            built[name] = build()
        except ImportError as missing:
            LEFT_OUT.append(f"{name} ({missing})")
    return built


def medians(contestants, rounds):
    """The median figure of each contestant; where one of them is bare, that of what the others cost beyond it."""
    figures = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            figures[name].append(run())
    bare = figures.get(BARE, [0.0] * (rounds + 1))
    return {name: median(a - b * (name != BARE) for a, b in list(zip(of, bare))[1:]) for name, of in figures.items()}


# ---- environments, recorders, players -------------------------------------------------------------------------------

class Ticking(Env):
    """Costs next to nothing: episodes of `length` steps; renders one of `frames` after the other."""

    spec = None
    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": FPS,
                "render.modes": ["rgb_array"], "video.frames_per_second": FPS}  # gym 0.21's names

    def __init__(self, length=LENGTH, frames=None, render_mode="rgb_array", five=not GYM21):
        self.length, self.left, self.five = length, length, five
        self.frames, self.render_mode = frames, render_mode

    def reset(self, **options):
        self.left = self.length
        return (0.0, {}) if self.five else 0.0

    def step(self, action):
        self.left -= 1
        return (0.0, 1.0, self.left <= 0, False, {}) if self.five else (0.0, 1.0, self.left <= 0, {})

    def render(self, mode=None):
        return next(self.frames)

    def close(self):
        pass


def imported(module, name):  # an ImportError then comes where the peer is built
    return getattr(importlib.import_module(module), name)


def recorded(name, folder, env, schedule=False, **options):
    """The environment inside the recorder of that name."""
    where = os.path.join(tempfile.mkdtemp(dir=folder), "run")
    if name == BARE:
        return env
    if name == PASS:
        return imported("gymnasium", "Wrapper")(env)
    if name in (STATISTICS, VECTOR):
        return imported("gymnasium.wrappers" + ".vector" * (name == VECTOR), "RecordEpisodeStatistics")(env)
    if name == SB3:
        return imported("stable_baselines3.common.monitor", "Monitor")(env, where)
    if name in (RECORD_VIDEO, GYM):
        env.frames = env.frames and map(imported("numpy", "asarray"), env.frames)
    if name == RECORD_VIDEO:
        imported("moviepy", "__version__")  # RecordVideo asks for it in an error of its own
        return imported("gymnasium.wrappers", "RecordVideo")(env, where, episode_trigger=schedule)
    ours = VectorMonitor if hasattr(env, "num_envs") else Monitor
    return (imported("gym.wrappers", "Monitor") if name == GYM else ours)(env, where, schedule, **options)


def player(env, episodes, length=LENGTH):
    """A contestant that plays whole episodes as a user does, and answers the seconds per step."""
    def play():
        started = time.perf_counter()
        for _ in range(episodes):
            env.reset()
            for _ in range(length):
                env.step(0)
        return (time.perf_counter() - started) / (episodes * length)
    # Each gets code of its own: from 3.11 on CPython notes there what `env` was, and a user's loop sees one kind of it.
    return types.FunctionType(play.__code__.replace(), globals(), closure=play.__closure__)


def timed(work, *arguments):
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def over_bare(folder, work, peers, make, rounds, episodes, length=LENGTH, schedule=False, lines=()):
    """The rows of what a recorder adds to a step of the environments that `make` makes."""
    builders = {name: lambda name=name: recorded(name, folder, make(), schedule) for name in [BARE, OURS, *peers]}
    envs = installed(builders)
    costs = medians({name: player(env, episodes, length) for name, env in envs.items()}, rounds)
    for env in envs.values():
        env.close()
    return rows(f"{work}: over the bare environment's {duration(costs[BARE])}", costs, lines=lines)


def film(name, folder, frames, schedule=EVERY):
    """An environment whose episode shows each of the frames, in the recorder of that name."""
    return recorded(name, folder, Ticking(len(frames) - 1, itertools.cycle(frames)), schedule)


def filming(name, folder, frames, work, schedule=EVERY):
    """A contestant that answers what `work` does about a film; an ImportError of its recorder comes now or never."""
    film(name, folder, frames).close()
    return lambda: work(film(name, folder, frames, schedule))


def watch(env, count):
    """Plays the episode of so many frames to its end, and closes the environment."""
    player(env, 1, count - 1)()
    env.close()
    return env


def run_ffmpeg(*command):
    """What it said."""
    return subprocess.check_output(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT).decode()


def drawn_frame(number):
    """A cart on white, as a memoryview: drawn without numpy."""
    left, white = 200 + 4 * (number % 40), b"\xff" * 3
    cart = white * left + bytes(150) + white * (WIDTH - left - 50)
    return memoryview(white * (WIDTH * 290) + cart * 30 + white * (WIDTH * 80)).cast("B", (HEIGHT, WIDTH, 3))


def game_frames(name, package, count):
    """Frames of an environment under a random policy; an ImportError says that its package is missing."""
    importlib.import_module(package)
    env = imported("gymnasium", "make")(name, render_mode="rgb_array").unwrapped
    env.reset(seed=1)
    env.action_space.seed(1)
    frames = []
    while len(frames) < count:
        frames.append(env.render().copy())
        if env.step(env.action_space.sample())[2]:
            env.reset()
    return frames


def texture_frames(count):
    """Smooth noise, as of clouds (its spectrum falls as 1/f), that scrolls around in 300 frames."""
    import numpy
    dice, shape = numpy.random.default_rng(0), (HEIGHT, 2 * WIDTH, 3)
    frequency = numpy.hypot(numpy.fft.fftfreq(shape[0])[:, None, None], numpy.fft.rfftfreq(shape[1])[:, None])
    frequency[0, 0] = 1
    noise = numpy.fft.irfft2(numpy.fft.rfft2(dice.standard_normal(shape), axes=(0, 1)) / frequency ** 1.2, axes=(0, 1))
    picture = numpy.clip(128 + 45 * noise / noise.std(), 0, 255).astype("uint8")
    return [numpy.roll(picture, -4 * number, axis=1)[:, :WIDTH].copy() for number in range(count)]


CARTPOLE, TEXTURE = "CartPole", "a scrolling texture"
SCENES = {"a drawn cart": lambda count: list(map(drawn_frame, range(count)))} if GYM21 else {
    CARTPOLE: partial(game_frames, "CartPole-v1", "pygame"), TEXTURE: texture_frames,
    "LunarLander": partial(game_frames, "LunarLander-v3", "Box2D"),
    "Breakout": partial(game_frames, "ALE/Breakout-v5", "ale_py")}


def vector_env(count):
    """One that costs next to nothing: its sub-environments end in turn, and reset at the next step."""
    import numpy
    from gymnasium.vector import AutoresetMode, VectorEnv

    class Vector(VectorEnv):
        num_envs, metadata = count, {"autoreset_mode": AutoresetMode.NEXT_STEP}
        moments = (numpy.arange(1, LENGTH + 1)[:, None] + numpy.arange(count) * LENGTH // count) % LENGTH
        answers = [(numpy.zeros((count, 4)), numpy.where(moment == 1, 0.0, 1.0), moment == 0, numpy.zeros(count, bool))
                   for moment in moments]

        def reset(self, **options):
            self.turn = itertools.cycle(self.answers)
            return self.answers[0][0], {}

        def step(self, actions):
            return (*next(self.turn), {})
    return Vector()


# ---- the measures ---------------------------------------------------------------------------------------------------

def measure_step(folder, quick):
    """A step in episodes of 200, and an episode of one step, with its row in the journal."""
    measure, episodes, rounds = partial(over_bare, folder), 2 if quick else 50, 2 if quick else 150
    yield from measure("a step, no video", [PASS, STATISTICS, GYM if GYM21 else SB3], Ticking, rounds, episodes, lines={
        SB3: "A step costs {ours} more than the bare environment's, {ratio} × what Stable-Baselines3's adds."})
    yield from measure("a step of four values", [], partial(Ticking, five=False), rounds, episodes)
    yield from measure("a filmed step of text", [], partial(Ticking, LENGTH, itertools.repeat("." * 80), "ansi"),
                       rounds // 2, episodes, schedule=EVERY)
    yield from measure("an episode of one step", [SB3], partial(Ticking, 1), rounds, episodes * 4, 1)


def measure_reset(folder, quick):
    """write_upon_reset=True: an episode of one step, early and late in a run."""
    early, late, name = 100 if quick else 1000, 3 if GYM21 else 60, GYM if GYM21 else OURS
    env = recorded(name, folder, Ticking(1), write_upon_reset=True)
    # Late in a run, ours writes only now and then, so this has to be a long time; gym's writes all at each reset.
    first, _, last = [player(env, int(early * times), 1)() for times in (1, late - 1, 0.1 if GYM21 else late)]
    env.close()
    return rows(f"`write_upon_reset=True`: an episode of one step, after {early * late:,} episodes",
                {OURS: last, f"{name}, the first {early:,}": first}, {f"{OURS}, the first {early:,}": 1.50})


def measure_vector(folder, quick):
    """A step of a whole vector environment, whose sub-environments have episodes of 200."""
    importlib.import_module("gymnasium.vector")
    for count in (8, 64, 1024):
        yield from over_bare(folder, f"a step of a vector of {count:,}", [VECTOR], partial(vector_env, count),
                             1 if quick else 40, 1, 1000)


def measure_video(folder, quick):
    """A recorded episode from its reset to the end of close, of frames that were drawn beforehand."""
    for scene, drawn in installed({name: partial(draw, 15 if quick else 300) for name, draw in SCENES.items()}).items():
        count, rounds = (30, 1) if quick else (1500, 5) if scene == CARTPOLE else (600, 3)
        yield from video_rows(scene, [memoryview(drawn[at % len(drawn)]) for at in range(count)], folder, rounds)


def video_rows(scene, frames, folder, rounds):
    (height, width, _), still, count = frames[0].shape, scene == CARTPOLE, len(frames)
    raw, default, scratch = (os.path.join(folder, name) for name in ("frames.raw", "default.mp4", "scratch.mp4"))
    with open(raw, "wb") as file:
        file.writelines(frames)
    (video, metadata), = watch(film(OURS, folder, frames), count).videos
    with open(metadata) as file:
        program, *options, _ = json.load(file)["encoder_version"]["cmdline"]
    options[options.index("-i") + 1] = raw

    def imageio_write(open_writer):
        writer = open_writer(scratch, (width, height))
        for frame in [None] + frames:
            writer.send(frame)
        writer.close()

    recorders = {name: partial(filming, name, folder, frames, lambda env: timed(watch, env, count))
                 for name in (OURS, GYM if GYM21 else RECORD_VIDEO)}
    costs = medians(installed({
        **recorders, FFMPEG: lambda: partial(timed, run_ffmpeg, program, "-y", *options, scratch),
        IMAGEIO: lambda: partial(timed, imageio_write, imported("imageio_ffmpeg", "write_frames"))}), rounds)
    yield from rows(f"a filmed step, {width} × {height}, {scene}: {count:,} of them to the end of close",
                    {name: cost / count for name, cost in costs.items()}, lines={} if not still else {
        RECORD_VIDEO: "A filmed step of 600 × 400 costs {ours}, {ratio} × what gymnasium's `RecordVideo` adds."})
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-framerate", str(FPS), "-i", raw]
    run_ffmpeg("ffmpeg", "-y", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p", default)
    yield from rows("its size", {OURS: os.path.getsize(video), LIBX264: os.path.getsize(default)}, unit=BYTES)
    graph = "[0:v]settb=AVTB,setpts=N,format=yuv420p[a];[1:v]settb=AVTB,setpts=N,format=yuv420p[b];[a][b]ssim"
    said = [run_ffmpeg("ffmpeg", "-i", path, *source, "-lavfi", graph, "-f", "null", "-") for path in (video, default)]
    assert int(re.findall(r"frame= *(\d+)", said[0])[-1]) == count, said[0]
    ours, theirs = (float(re.search(r"All:([0-9.]+)", text).group(1)) for text in said)
    yield row("its likeness to the source (SSIM)", f"{ours:.4f}", f"{LIBX264}: {theirs:.4f}",
              reach="≥ 0.99" if still else "–", missed=still and ours < 0.99)


def measure_pause(folder, quick):
    """Where a recorded episode ends: its last step, and the reset after it."""
    frames = list(map(drawn_frame, range(30 if quick else 1500)))

    def pause(env):
        player(env, 1, len(frames) - 2)()
        seconds = timed(lambda: (env.step(0), env.reset()))
        env.close()
        return seconds
    costs = medians(installed({
        OURS: partial(filming, OURS, folder, frames, pause, FIRST),
        "ours, the next one recorded too": partial(filming, OURS, folder, frames, pause),
        RECORD_VIDEO: partial(filming, RECORD_VIDEO, folder, frames, pause, FIRST)}), 1 if quick else 3)
    yield from rows(f"the pause where a recorded episode of {len(frames):,} frames ends", costs, {RECORD_VIDEO: 0.02},
                    bound=0.020, lines={
        RECORD_VIDEO: "Training pauses for {ours} where a video ends, for {peer} with gymnasium's `RecordVideo`."})


def child_memory(kind, count):
    """Prints the peak memory, in bytes, of a process that records an episode of so many frames."""
    frames = map("step {}\n".format if kind == "text" else drawn_frame, itertools.count())
    with tempfile.TemporaryDirectory() as folder:
        env = Ticking(int(count) - 1, frames, "ansi" if kind == "text" else "rgb_array")
        watch(recorded(kind, folder, env, EVERY), int(count))
        ending = {"PNG": ".png", "text": ".cast"}.get(kind, ".mp4")
        assert any(name.endswith(ending) for _, _, files in os.walk(folder) for name in files), f"no {ending}"
    with open("/proc/self/status") as file:  # ru_maxrss is no use: a child inherits that of the process that began it
        print(int(re.search(r"VmHWM:\s*(\d+) kB", file.read()).group(1)) * 1024)


def measure_memory(folder, quick):
    """Peak memory of a process that records a long episode, over that of a short one."""
    for kind in ["ffmpeg", "PNG", "text"] + [RECORD_VIDEO] * (not quick and bool(importlib.util.find_spec("moviepy"))):
        few, many = (60, 120) if quick else (150, 1500) if kind == RECORD_VIDEO else (600, 6000)
        variables = dict(os.environ, **{"PATH": folder, "IMAGEIO_FFMPEG_EXE": ""} if kind == "PNG" else {})
        command = [sys.executable, __file__, "--child", kind]
        short, long = (int(subprocess.check_output(command + [str(count)], env=variables)) for count in (few, many))
        yield from rows(f"memory of {many:,} frames over that of {few:,}: {kind}", {OURS: long - short}, unit=BYTES,
                        bound=None if kind == RECORD_VIDEO else 8e6)
        if kind == "ffmpeg":  # goes on where the sentence about the pause ends
            SUMMARY[-1:] = [" ".join(SUMMARY[-1:] + [f"{many:,} frames take {BYTES(long - short)} more than {few:,}."])]


def measure_png(folder, quick):
    """What a machine without ffmpeg writes, on a drawing and on a picture that changes everywhere."""
    path = os.path.join(folder, "film.png")

    def record(frames):
        video = VideoRecorder(Ticking(0, iter(frames)), path=path)
        for _ in frames:
            video.capture_frame()
        video.close()

    for scene, count in ((CARTPOLE, 10 if quick else 300), (TEXTURE, 5 if quick else 60)):
        frames = SCENES[scene](count)
        costs = medians({OURS: partial(timed, record, frames), ZLIB_1: partial(
            timed, lambda frames: [zlib.compress(frame, 1) for frame in frames], frames)}, 1 if quick else 7)
        yield from rows(f"animated PNG of {scene}: a frame", {name: cost / count for name, cost in costs.items()})
        whole = sum(len(zlib.compress(frame, 6)) for frame in frames)
        yield from rows("its bytes per frame", {OURS: os.path.getsize(path) / count, ZLIB_6: whole / count},
                        REACH if scene == CARTPOLE else {}, BYTES)


def measure_load(folder, quick):
    """load_results of a large directory."""
    monitors, episodes = (10, 100) if quick else (100, 10000)
    for number in range(monitors):
        env = Monitor(Ticking(1), folder, False, resume=True, uid=str(number))
        player(env, episodes, 1)()
        env.close()
    name, module = (GYM_LOAD, "gym.wrappers.monitor") if GYM21 else (SB3_LOAD, "stable_baselines3.common.monitor")
    readers = installed({OURS: lambda: load_results, name: lambda: imported(module, "load_results")})
    costs = medians({name: partial(timed, read, folder) for name, read in readers.items()}, 1 if quick else 3)
    yield from rows(f"`load_results` of {monitors * episodes:,} episodes in {monitors} monitors", costs,
                    lines={name: f"`load_results` reads {monitors * episodes:,} episodes in {{ours}}."})


IMPORT = """
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
before, started = set(sys.modules), time.perf_counter()
import gym_monitor
print(time.perf_counter() - started, *sorted(set(sys.modules) - before - {"gym_monitor"}))
"""
UNWANTED = {"argparse", "asyncio", "base64", "email", "html", "http.server", "numpy", "statistics", "webbrowser"}


def measure_import(folder, quick):
    """Importing gym_monitor where every module that it uses is there already; the byte code is in its cache."""
    variables = dict(os.environ, PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=folder, PYTHONPATH=ROOT)

    def fresh(*modules):  # -S: without it, the .pth files of some packages import modules that would not be counted
        return subprocess.check_output([sys.executable, "-S", "-c", IMPORT, *modules], env=variables).decode().split()
    modules = fresh()[1:]
    costs = medians({"all": lambda: float(fresh()[0]), OURS: lambda: float(fresh(*modules)[0])}, 2 if quick else 25)
    yield from rows("import, with the modules that it brings", {OURS: costs.pop("all")})
    yield from rows(f"import, beyond those {len(modules)} of the standard library", costs, bound=0.010)
    unwanted = sorted(UNWANTED.intersection(modules))
    yield row("modules that only the optional half needs", " ".join(unwanted) or "none", reach="none", missed=unwanted)


# ---- the command ----------------------------------------------------------------------------------------------------

MEASURES = {name[8:]: function for name, function in globals().items() if name.startswith("measure_")}


def measure(name, options):
    """Prints the rows of a measure, those of the interpreter with gym 0.21 too."""
    print(f"{name}: {MEASURES[name].__doc__}", file=sys.stderr)
    if name in ("video", "pause", "memory") and not shutil.which("ffmpeg"):
        raise ImportError("no ffmpeg on PATH")
    with tempfile.TemporaryDirectory() as folder:
        for line in MEASURES[name](folder, options.quick):
            print(line.replace(" **missed**", "") if options.quick else line, flush=True)
    if options.gym21 and name in ("step", "reset", "video", "load"):
        command = [options.gym21, "-W", "ignore", __file__, "--only", name] + ["--quick"] * options.quick
        for line in subprocess.check_output(command).decode("utf-8").splitlines():
            if "| gym 0.21" in line:
                print(line.replace(" |", ", on gym 0.21's interpreter |", 1), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small, for crashes alone")
    parser.add_argument("--only", metavar="NAME[,NAME]", default=",".join(MEASURES), help="of: %(default)s")
    parser.add_argument("--gym21", metavar="PYTHON", help="an interpreter that has gym 0.21")
    options = parser.parse_args()
    print("| work | ours | peer | ratio | reach |\n| --- | --- | --- | --- | --- |")
    installed({name: partial(measure, name, options) for name in options.only.split(",")})
    print("\nLeft out: " * bool(LEFT_OUT) + "; ".join(LEFT_OUT), *SUMMARY, sep="\n")


if __name__ == "__main__":
    child_memory(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main()
