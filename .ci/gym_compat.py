"""Checks gym_monitor against a real gym, 0.21 or 0.9.5: `python .ci/gym_compat.py` where that gym is installed.

Needs numpy and ffmpeg, and with gym 0.9.5 pytest too. Prints what it checked; an AssertionError says what differs.
"""

import glob
import itertools
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import traceback
import xml.etree.ElementTree as ElementTree
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
# Ours differs here on purpose: an exception class of gym's own, the journal that is there from the start, and resets in
# mid-episode, which gym's monitor forbids.
EXPECTED_DIFFERENCES = {"test_no_double_wrapping", "test_write_upon_reset_false", "test_no_monitor_reset_unless_done"}

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
    """A block on white that moves as the state does, in place of the renderer that wants a screen."""
    if mode != "rgb_array" or close:
        return None
    frame = np.full((400, 600, 3), 255, dtype=np.uint8)
    x = int(np.clip(300 + 100 * np.ravel(env.state)[0], 25, 575))
    frame[285:315, x - 25:x + 25] = (204, 153, 102)
    return frame


for environment in (CartPoleEnv, PendulumEnv):
    setattr(environment, "_render" if OLD else "render", picture)


class Blink(gym.Env):
    """Every step ends an episode, whose return is the number of the episode."""

    action_space = observation_space = gym.spaces.Discrete(2)
    count = -1

    def reset(self):
        self.count += 1
        return 0

    def step(self, action):
        return 0, float(self.count), True, {}


def play(env, episodes, seed=0):
    """Plays whole episodes with random actions; returns their returns and lengths, counted here."""
    dice, returns, lengths = random.Random(seed), [], []
    for _ in range(episodes):
        env.reset()
        rewards, done = [], False
        while not done:
            _, reward, done, _ = env.step(dice.randrange(2))
            rewards.append(reward)
        returns.append(sum(rewards))
        lengths.append(len(rewards))
    return returns, lengths


# ---- reading back ----

def assert_equal(ours, wanted, what):
    assert ours == wanted, f"{what}: ours is {ours!r}, wanted {wanted!r}"


def episodes_of(results):
    return list(zip(results["episode_rewards"], results["episode_lengths"], results["episode_types"]))


def names(paths):
    return [os.path.basename(path) for path in paths]


def read_by_both(directory, episodes, types=True):
    """gym's load_results and ours return the same for this directory."""
    ours, theirs = gym_monitor.load_results(directory), gym_module.load_results(directory)
    assert theirs is not None, f"gym finds no manifest in {directory}: {sorted(os.listdir(directory))}"
    assert_equal(set(ours), RESULT_KEYS | {"info"}, "the keys of load_results")
    assert_equal(len(theirs["timestamps"]), episodes, "the number of episodes that gym reads")
    for key in ("timestamps", "episode_lengths", "episode_rewards", "initial_reset_timestamp", "env_info"):
        assert_equal(ours[key], theirs[key], key)
    if types:
        assert_equal(ours["episode_types"], theirs["episode_types"], "episode_types")
    assert_equal(len(ours["episode_types"]), episodes, "the number of episode_types")
    # gym lists a directory in whatever order the file system has it, and numbers the sources by that order.
    for what, of in (
            ("manifests", lambda results: sorted(names(results["manifests"]))),
            ("data_sources", lambda results: [names(results["manifests"])[n] for n in results["data_sources"]]),
            ("initial_reset_timestamps", lambda results: sorted(results["initial_reset_timestamps"])),
            ("videos", lambda results: sorted(map(names, results["videos"])))):
        assert_equal(of(ours), of(theirs), what)
    for path in itertools.chain(*ours["videos"], *theirs["videos"]):
        assert os.path.getsize(path), f"{path} is empty"
    return ours


def probe(video):
    """The number of frames, the frame rate, the width and the height of a video file, as ffprobe decodes it."""
    answer = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "json",
         "-show_entries", "stream=nb_read_frames,r_frame_rate,width,height", video],
        stdout=subprocess.PIPE, check=True)
    stream = json.loads(answer.stdout.decode())["streams"][0]
    return int(stream["nb_read_frames"]), float(Fraction(stream["r_frame_rate"])), stream["width"], stream["height"]


# ---- the checks ----

def check_recording(directory):
    """gym's CartPole through our Monitor: the lists, the journal, the videos."""
    env = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=lambda episode: episode % 2 == 0, force=True)
    returns, lengths = play(env, 4)
    env.set_monitor_mode("evaluation")
    more_returns, more_lengths = play(env, 1, seed=1)
    episodes = list(zip(returns + more_returns, lengths + more_lengths, "tttte"))
    assert_equal(list(zip(env.get_episode_rewards(), env.get_episode_lengths(), env.stats_recorder.episode_types)),
                episodes, "the episodes in memory")
    assert_equal(env.get_total_steps(), sum(lengths + more_lengths), "get_total_steps()")
    journal, = glob.glob(os.path.join(directory, "*.monitor.csv"))
    with open(journal) as file:
        head, columns, *rows = file.read().splitlines()
    assert_equal(json.loads(head[1:])["env_id"], ENV_ID, "env_id in the journal")
    assert_equal(columns, "r,l,t,type", "the columns of the journal")
    rows = [row.split(",") for row in rows]
    assert_equal([(float(r), int(l), kind) for r, l, _, kind in rows], episodes, "the journal")  # noqa: E741

    env.close()
    results = read_by_both(directory, 5)
    assert_equal(episodes_of(results), episodes, "the episodes read back")
    assert_equal(results["env_info"], {"env_id": ENV_ID, "gym_version": gym.__version__}, "env_info")
    assert_equal(len(results["videos"]), 3, "the number of videos")
    for video, metadata in results["videos"]:
        with open(metadata) as file:
            number = json.load(file)["episode_id"]
        assert_equal(probe(video), (episodes[number][1] + 1, 50.0, 600, 400),
                    f"frames, rate, width and height of {os.path.basename(video)}")


def check_resets(directory):
    """Several resets in a row, a dropped episode and one that close() cuts short leave gym's four lists aligned."""
    env = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False)
    env.reset()
    env.reset()
    env.step(0)
    env.set_monitor_mode("evaluation")
    returns, lengths = play(env, 2)
    env.reset()
    env.step(0)
    env.close()
    assert_equal(episodes_of(read_by_both(directory, 2)), list(zip(returns, lengths, "ee")), "the episodes")


def check_strict_resets(directory):
    """allow_early_resets=False is gym's own strictness, and its error names the switch."""
    env = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False, allow_early_resets=False)
    env.reset()
    env.step(0)
    try:
        env.reset()
    except gym_monitor.Error as error:
        assert "allow_early_resets" in str(error), error
    else:
        raise AssertionError("a reset in mid-episode raised nothing")
    env.close()


def check_other_wrappers(directory):
    """gym takes our Monitor for an environment: its own wrappers go around it."""
    monitor = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False)
    assert isinstance(monitor, gym.Env), "not an instance of gym.Env"
    env = gym.Wrapper(monitor)
    assert_equal(env.action_space, monitor.env.action_space, "the action space through both wrappers")
    assert_equal(env.unwrapped, monitor.env.unwrapped, "the innermost environment through both wrappers")
    assert_equal(env.spec.id, ENV_ID, "the id through both wrappers")
    returns, _ = play(env, 2)
    env.close()
    assert_equal(read_by_both(directory, 2)["episode_rewards"], returns, "the returns read back")


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


def check_directory_of_gym(directory):
    """Ours reads what gym's Monitor wrote, also where it was closed in mid-episode."""
    for name, cut_short in (("whole", False), ("cut short", True)):
        place = os.path.join(directory, name)
        episodes = run_writer("gym", place, 3, cut_short)
        assert_equal(episodes_of(read_by_both(place, 3)), episodes, "the episodes read back from gym's files")


def check_shared_directory(directory):
    """A directory that both recorders wrote in, in either order, each closed in mid-episode."""
    for writers in (("ours", "gym"), ("gym", "ours"), ("ours", "gym", "ours", "gym")):
        place = os.path.join(directory, "-".join(writers))
        runs = [run_writer(writer, place, number + 2, cut_short=True) for number, writer in enumerate(writers)]
        # The type that gym writes for an episode never completed makes its reader shift those of the next run
        results = read_by_both(place, sum(map(len, runs)), types=False)
        assert_equal(sorted(episodes_of(results)), sorted(itertools.chain(*runs)), "the episodes of both")
        assert_equal(len(results["manifests"]), len(writers), "the number of manifests")
        assert_equal(len(results["videos"]), sum(len(run) + 1 for run in runs), "the number of videos")


def check_gym_first_in_one_process(directory):
    """Ours takes no name that gym's recorder of this process already has."""
    theirs = GymMonitor(gym.make(ENV_ID), directory, video_callable=False)
    returns, _ = play(theirs, 2)
    theirs.close()
    ours = gym_monitor.Monitor(gym.make(ENV_ID), directory, video_callable=False, resume=True)
    returns += play(ours, 2, seed=1)[0]
    ours.close()
    assert_equal(sorted(read_by_both(directory, 4)["episode_rewards"]), sorted(returns), "the returns of both")


def check_every_reset(directory):
    """With write_upon_reset, gym's reader knows every episode after every reset, up to the thousandth."""
    env = gym_monitor.Monitor(Blink(), directory, video_callable=False, write_upon_reset=True)
    for episode in range(1001):
        env.reset()
        if episode < 20 or episode % 97 == 0 or episode == 1000:  # gym reads everything at every call
            results = gym_module.load_results(directory)
            assert results is not None, f"no manifest after {episode} episodes"
            assert_equal(results["episode_rewards"], [float(number) for number in range(episode)],
                        f"the returns that gym reads at the start of episode {episode}")
        env.step(0)
    env.close()
    read_by_both(directory, 1001)


# ---- gym's own test suite ----

def test_files():
    package = os.path.dirname(gym.__file__)
    return [path for name in ("test_monitor.py", "test_video_recorder.py", "test_wrappers.py")
            for path in glob.glob(os.path.join(package, "**", "tests", name), recursive=True)
            if "monitoring" in path or "wrappers" in path]


def run_suite(whose, xml):
    """gym's tests with gym's classes, or with ours under their names."""
    import pytest
    if whose == "ours":
        for place in (gym.wrappers, gym_module, gym.monitoring, gym.monitoring.stats_recorder,
                      gym.monitoring.video_recorder, gym.error):
            for name in gym_monitor.__all__:
                if hasattr(place, name):
                    setattr(place, name, getattr(gym_monitor, name))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:warnings", "-c", os.devnull, "--junitxml", xml]
    pytest.main(options + test_files())


def check_suite_of_gym(directory):
    """gym's tests of its monitor and video recorder pass with our classes too (gym 0.21 comes without them)."""
    if not OLD:
        return
    os.makedirs(directory)
    passed = {}
    for whose in ("gym", "ours"):
        xml = os.path.join(directory, whose + ".xml")
        answer = subprocess.run([sys.executable, os.path.abspath(__file__), "suite", whose, xml], cwd=directory,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        passed[whose] = {case.get("name") for case in ElementTree.parse(xml).iter("testcase") if not list(case)}
        print(f"    {len(passed[whose])} pass with {'its own' if whose == 'gym' else 'ours'}")
    assert len(passed["gym"]) > 10, f"just {passed['gym']} pass with gym's own classes"
    lost = passed["gym"] - passed["ours"]
    print(f"    differ on purpose: {', '.join(sorted(lost & EXPECTED_DIFFERENCES))}")
    assert lost <= EXPECTED_DIFFERENCES, "{}\nfail with our classes: {}".format(
        answer.stdout.decode(errors="replace"), sorted(lost - EXPECTED_DIFFERENCES))


def main():
    print(f"gym {gym.__version__}, CPython {sys.version.split()[0]}, numpy {np.__version__}")
    failed = []
    for check in [check for name, check in globals().items() if name.startswith("check_")]:
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
        run_suite(*sys.argv[2:])
    else:
        sys.exit(main())
