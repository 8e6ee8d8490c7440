"""Checks gym_monitor against a real gym, 0.21 or 0.9.5: `python .ci/gym_compat.py` where that gym is installed.

Needs numpy and ffmpeg; for gym 0.9.5 pytest too. Prints what it checked; an AssertionError says what differs.
"""

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
import traceback
from fractions import Fraction

import gym
import gym.error
import numpy as np
from gym.envs.classic_control import CartPoleEnv, PendulumEnv

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import gym_monitor

GYM = tuple(int(number) for number in gym.__version__.split("."))
OLD = GYM < (0, 10)  # environments define _render, _step, _reset; the recorders live in gym.monitoring
ENV_ID = "CartPole-v0"
RESULT_KEYS = {
    "manifests", "env_info", "data_sources", "timestamps", "episode_lengths", "episode_rewards", "episode_types",
    "initial_reset_timestamps", "initial_reset_timestamp", "videos",
}
# Ours differ here on purpose: an exception class of gym's own, and the journal that is there from the start.
EXPECTED_DIFFERENCES = {"test_no_double_wrapping", "test_write_upon_reset_false"}

if OLD:
    import gym.monitoring
    import gym.monitoring.stats_recorder
    import gym.monitoring.video_recorder
    import gym.wrappers.monitoring as gym_module
    logging.getLogger("gym").setLevel(logging.ERROR)
else:
    import gym.wrappers.monitor as gym_module
    gym.logger.set_level(gym.logger.ERROR)  # gym 0.21 says at every use that its Monitor is deprecated
GymMonitor = gym_module.Monitor


# ---- environments that need no display ----

def picture(env, mode="human", close=False, **kwargs):
    """A cart and its pole (or whatever moves) on white, in place of the renderer that wants a screen."""
    if mode != "rgb_array" or close:
        return None
    frame = np.full((400, 600, 3), 255, dtype=np.uint8)
    state = np.atleast_1d(np.asarray(env.state, dtype=float))
    x = int(np.clip(300 + 100 * state[0], 25, 575))
    frame[285:315, x - 25:x + 25] = 0
    for height in range(100):
        column = int(np.clip(x + height * np.sin(state[-2]), 5, 595))
        frame[285 - height, column - 5:column + 5] = (204, 153, 102)
    return frame


for environment in (CartPoleEnv, PendulumEnv):
    setattr(environment, "_render" if OLD else "render", picture)


class Blink(gym.Env):
    """Every step ends an episode, whose return is the number of the episode."""

    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Discrete(2)
    count = -1

    def reset(self):
        self.count += 1
        return 0

    def step(self, action):
        return 0, float(self.count), True, {}


def play(env, episodes, seed=0):
    """Play whole episodes with random actions; answers their returns and lengths, counted here."""
    chance = random.Random(seed)
    returns, lengths = [], []
    for _ in range(episodes):
        env.reset()
        total, steps, done = 0.0, 0, False
        while not done:
            _, reward, done, _ = env.step(chance.randrange(2))
            total += reward
            steps += 1
        returns.append(total)
        lengths.append(steps)
    return returns, lengths


# ---- reading back ----

def names(paths):
    return [os.path.basename(path) for path in paths]


def check_equal(ours, wanted, what):
    assert ours == wanted, f"{what}: ours is {ours!r}, wanted {wanted!r}"


def check_both_readers(directory, episodes, types=True, batches=False):
    """gym's load_results and ours answer the same for this directory."""
    ours, theirs = gym_monitor.load_results(directory), gym_module.load_results(directory)
    assert theirs is not None, f"gym finds no manifest in {directory}: {sorted(os.listdir(directory))}"
    check_equal(set(ours), RESULT_KEYS, "the keys of load_results")
    check_equal(len(theirs["timestamps"]), episodes, "the number of episodes gym reads")
    for key in ("timestamps", "episode_lengths", "episode_rewards", "initial_reset_timestamp", "env_info"):
        check_equal(ours[key], theirs[key], key)
    if types:
        check_equal(ours["episode_types"], theirs["episode_types"], "episode_types")
    check_equal(len(ours["episode_types"]), episodes, "the number of episode_types")
    # gym lists a directory in whatever order the file system has it, and numbers the sources by that order
    check_equal(sorted(names(ours["manifests"])), sorted(names(theirs["manifests"])), "manifests")
    if batches:  # one run to us, a run for each batch to gym
        check_equal(ours["data_sources"], [0] * episodes, "data_sources")
        check_equal(ours["initial_reset_timestamps"], [theirs["initial_reset_timestamp"]], "initial_reset_timestamps")
    else:
        check_equal(*([os.path.basename(results["manifests"][source]) for source in results["data_sources"]]
                      for results in (ours, theirs)), what="data_sources")
        check_equal(sorted(ours["initial_reset_timestamps"]), sorted(theirs["initial_reset_timestamps"]),
                    "initial_reset_timestamps")
    check_equal(sorted(tuple(names(pair)) for pair in ours["videos"]),
                sorted(tuple(names(pair)) for pair in theirs["videos"]), "videos")
    for path in (path for results in (ours, theirs) for pair in results["videos"] for path in pair):
        assert os.path.getsize(path), f"{path} is empty"
    return ours


def count_frames(video):
    """The number of frames, the frame rate, the width and the height of a video file, as ffprobe decodes it."""
    answer = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "json",
         "-show_entries", "stream=nb_read_frames,r_frame_rate,width,height", video],
        stdout=subprocess.PIPE, check=True)
    stream = json.loads(answer.stdout.decode())["streams"][0]
    return int(stream["nb_read_frames"]), float(Fraction(stream["r_frame_rate"])), stream["width"], stream["height"]


# ---- the checks ----

def check_recording(directory):
    """(a) gym's CartPole through our Monitor: the lists, the journal, the videos."""
    env = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=lambda episode: episode % 2 == 0, force=True)
    returns, lengths = play(env, 4)
    env.set_monitor_mode("evaluation")
    more_returns, more_lengths = play(env, 1, seed=1)
    returns, lengths = returns + more_returns, lengths + more_lengths

    check_equal(list(env.get_episode_rewards()), returns, "get_episode_rewards()")
    check_equal(list(env.get_episode_lengths()), lengths, "get_episode_lengths()")
    check_equal(env.get_total_steps(), sum(lengths), "get_total_steps()")
    check_equal(list(env.stats_recorder.episode_types), list("tttte"), "episode_types")

    journal, = glob.glob(os.path.join(directory, "*.monitor.csv"))
    with open(journal) as file:
        head, columns, *rows = file.read().splitlines()
    check_equal(json.loads(head[1:])["env_id"], ENV_ID, "env_id in the journal")
    check_equal(columns, "r,l,t,type", "the columns of the journal")
    rows = [row.split(",") for row in rows]
    check_equal([float(row[0]) for row in rows], returns, "the returns in the journal")
    check_equal([int(row[1]) for row in rows], lengths, "the lengths in the journal")
    check_equal([row[3] for row in rows], list("tttte"), "the types in the journal")

    env.close()
    results = check_both_readers(directory, 5)
    check_equal(results["episode_rewards"], returns, "the returns read back")
    check_equal(results["episode_lengths"], lengths, "the lengths read back")
    check_equal(results["env_info"], {"env_id": ENV_ID, "gym_version": gym.__version__}, "env_info")
    check_equal(len(results["videos"]), 3, "the number of videos")
    for video, metadata in results["videos"]:
        with open(metadata) as file:
            episode = json.load(file)["episode_id"]
        check_equal(count_frames(video), (lengths[episode] + 1, 50.0, 600, 400),
                    f"frames, rate, width and height of {os.path.basename(video)}")


def check_reset_counts_nothing(directory):
    """Several resets in a row, a dropped episode and one that close() cuts short: gym still reads aligned lists."""
    env = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False, allow_early_resets=True)
    env.reset()
    env.reset()
    env.step(0)
    env.set_monitor_mode("evaluation")
    returns, _ = play(env, 2)
    env.reset()
    env.step(0)
    env.close()
    results = check_both_readers(directory, 2)
    check_equal(results["episode_rewards"], returns, "the returns read back")
    check_equal(results["episode_types"], ["e", "e"], "the types read back")


def check_other_wrappers(directory):
    """gym takes our Monitor for an environment: its own wrappers go around it."""
    monitor = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False)
    assert isinstance(monitor, gym.Env), "not an instance of gym.Env"
    env = gym.Wrapper(monitor)
    check_equal(env.action_space, monitor.env.action_space, "the action space through both wrappers")
    check_equal(env.unwrapped, monitor.env.unwrapped, "the innermost environment through both wrappers")
    check_equal(env.spec.id, ENV_ID, "the id through both wrappers")
    returns, _ = play(env, 2)
    env.close()
    check_equal(check_both_readers(directory, 2)["episode_rewards"], returns, "the returns read back")


def record(writer, directory, episodes, cut_short):
    """One run of `writer` ("ours" or "gym"), resumed in `directory`; in a process of its own (see run_writer)."""
    monitor = gym_monitor.Monitor if writer == "ours" else GymMonitor
    mode = "evaluation" if episodes % 2 else "training"
    env = monitor(gym.make(ENV_ID), directory, video_callable=lambda episode: True, resume=True, mode=mode)
    returns, lengths = play(env, episodes, seed=episodes)
    if cut_short:
        env.reset()
        env.step(0)
    env.close()
    print(json.dumps(list(zip(returns, lengths, mode[0] * episodes))))


def run_writer(writer, directory, episodes, cut_short=False):
    """The episodes of one run: (return, length, type). In one process both recorders would use the same file names,
    and gym's overwrites what it finds."""
    answer = subprocess.run([sys.executable, __file__, "record", writer, directory, str(episodes), str(int(cut_short))],
                            stdout=subprocess.PIPE, check=True)
    return [tuple(episode) for episode in json.loads(answer.stdout.decode().splitlines()[-1])]


def episodes_of(results):
    return list(zip(results["episode_rewards"], results["episode_lengths"], results["episode_types"]))


def check_directory_of_gym(directory):
    """(b) ours reads what gym's Monitor wrote, also where it was closed in mid-episode."""
    for name, cut_short in (("whole", False), ("cut short", True)):
        place = os.path.join(directory, name)
        episodes = run_writer("gym", place, 3, cut_short)
        check_equal(episodes_of(check_both_readers(place, 3)), episodes, "the episodes read back from gym's files")


def check_shared_directory(directory):
    """(b) a directory that both recorders wrote in, in either order, each closed in mid-episode."""
    for writers in (("ours", "gym"), ("gym", "ours"), ("ours", "gym", "ours", "gym")):
        place = os.path.join(directory, "-".join(writers))
        runs = [run_writer(writer, place, number + 2, cut_short=True) for number, writer in enumerate(writers)]
        # The type that gym writes for an episode never completed makes its reader shift those of the next run
        results = check_both_readers(place, sum(map(len, runs)), types=False)
        check_equal(sorted(episodes_of(results)), sorted(itertools.chain(*runs)), "the episodes of both")
        check_equal(len(results["manifests"]), len(writers), "the number of manifests")
        check_equal(len(results["videos"]), sum(len(run) + 1 for run in runs), "the number of videos")


def check_gym_first_in_one_process(directory):
    """Ours takes no name that gym's recorder of this process already has."""
    theirs = GymMonitor(gym.make(ENV_ID), directory, video_callable=False)
    returns, _ = play(theirs, 2)
    theirs.close()
    ours = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False, resume=True)
    returns += play(ours, 2, seed=1)[0]
    ours.close()
    check_equal(sorted(check_both_readers(directory, 4)["episode_rewards"]), sorted(returns), "the returns of both")


def check_every_reset(directory, most=30000):
    """(c) with write_upon_reset gym's reader knows every episode after every reset, past a batch too."""
    env = gym_monitor.Monitor(Blink(), directory, video_callable=False, write_upon_reset=True)
    batches, seen_at, checked = 0, 0, 0
    for episode in range(most):
        env.reset()
        found = len(glob.glob(os.path.join(directory, "*.stats.json")))
        if found > batches:
            batches, seen_at = found, episode
        # gym reads everything at every call, so not after each of some thousand resets
        if episode < 20 or episode - seen_at < 4 or episode % 97 == 0:
            results = gym_module.load_results(directory)
            assert results is not None, f"no manifest after {episode} episodes"
            check_equal(results["episode_rewards"], [float(number) for number in range(episode)],
                        f"the returns gym reads at the start of episode {episode}")
            checked += 1
        if batches == 3 and episode - seen_at == 4:
            break
        env.step(0)
    else:
        raise AssertionError(f"no third batch in {most} episodes")
    env.close()
    check_both_readers(directory, episode, batches=True)
    print(f"    the third batch began at episode {seen_at}; gym read the directory {checked} times")


# ---- gym's own test suite (d) ----

class Outcomes:
    """A pytest plugin: what became of each test, and why it failed."""

    def __init__(self):
        self.passed, self.failed = {}, {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("::")[-1]
        if report.failed:
            self.failed[name] = report.longreprtext
        elif report.when == "call" and report.passed:
            self.passed[name] = True

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed[report.nodeid] = report.longreprtext


def test_files():
    package = os.path.dirname(gym.__file__)
    found = []
    for folder in ("monitoring/tests", "wrappers/tests", "wrappers/monitoring/tests"):
        for name in ("test_monitor.py", "test_video_recorder.py", "test_wrappers.py"):
            found += glob.glob(os.path.join(package, folder, name))
    return found


def put_ours_in_place():
    """Ours under gym's names, so that gym's tests import them."""
    places = [gym.wrappers, gym_module]
    if OLD:
        places += [gym.monitoring, gym.monitoring.stats_recorder, gym.monitoring.video_recorder]
    else:
        places += [gym.wrappers.monitoring.stats_recorder, gym.wrappers.monitoring.video_recorder]
    for place in places:
        for name in gym_monitor.__all__:
            if hasattr(place, name):
                setattr(place, name, getattr(gym_monitor, name))
    for name in ("Error", "ResetNeeded", "InvalidFrame", "DependencyNotInstalled"):
        setattr(gym.error, name, getattr(gym_monitor, name))


def run_suite(whose):
    import pytest
    if whose == "ours":
        put_ours_in_place()
    outcomes = Outcomes()
    pytest.main(["-q", "--tb=long", "-p", "no:cacheprovider", "-p", "no:warnings", "-c", os.devnull] + test_files(),
                plugins=[outcomes])
    with open("outcomes.json", "w") as file:
        json.dump({"passed": sorted(outcomes.passed), "failed": outcomes.failed}, file)


def check_suite_of_gym(directory):
    """(d) gym's tests of its monitor and video recorder, with its classes and with ours in their place."""
    if not test_files():
        assert not OLD, "gym 0.9.5 comes with its tests, but they are not there"
        print("    this gym comes without its tests")
        return
    outcomes = {}
    for whose in ("gym", "ours"):
        place = os.path.join(directory, whose)
        os.makedirs(place)
        answer = subprocess.run([sys.executable, os.path.abspath(__file__), "suite", whose], cwd=place,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        output = answer.stdout.decode(errors="replace")
        assert answer.returncode == 0, output
        summary = [line.strip("= ") for line in output.splitlines() if re.search(r"\d (passed|failed)", line)][-1]
        print(f"    with the classes of {'gym_monitor' if whose == 'ours' else 'gym'}: {summary}")
        with open(os.path.join(place, "outcomes.json")) as file:
            outcomes[whose] = json.load(file)
    assert outcomes["gym"]["passed"], "no test of gym's suite passes with its own classes"
    for name in sorted(outcomes["gym"]["failed"]):
        print("    {} fails with gym's own classes: {}".format(name, outcomes["gym"]["failed"][name].splitlines()[-1]))
    lost = set(outcomes["gym"]["passed"]) - set(outcomes["ours"]["passed"])
    for name in sorted(lost & EXPECTED_DIFFERENCES):
        print(f"    {name} differs on purpose")
    lost -= EXPECTED_DIFFERENCES
    for name in sorted(lost):
        print(outcomes["ours"]["failed"].get(name, "it did not run"))
    assert not lost, f"gym's suite passes with its own classes and fails with ours: {sorted(lost)}"


def main():
    print(f"gym {gym.__version__}, CPython {sys.version.split()[0]}, numpy {np.__version__}")
    failed = []
    for check in (check_recording, check_reset_counts_nothing, check_other_wrappers, check_directory_of_gym,
                  check_shared_directory, check_gym_first_in_one_process, check_every_reset, check_suite_of_gym):
        directory = tempfile.mkdtemp(prefix="gym_compat.")
        try:
            print(f"{check.__name__}: {check.__doc__.splitlines()[0]}", flush=True)
            check(os.path.join(directory, "run"))
        except Exception:  # whatever went wrong, the other checks are still made
            traceback.print_exc(file=sys.stdout)
            failed.append(check.__name__)
        finally:
            shutil.rmtree(directory)
    print("failed: {}".format(", ".join(failed)) if failed else f"all is well with gym {gym.__version__}")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "1")
    elif sys.argv[1:2] == ["suite"]:
        run_suite(sys.argv[2])
    else:
        sys.exit(main())
