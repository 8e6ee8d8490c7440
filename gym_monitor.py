# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The gym_monitor authors
"""Record what a reinforcement-learning environment did: statistics, videos and a manifest.

One file, standard library only, any Python from 3.6 up. Wrap an environment, train as before, look later:

    import gymnasium
    from gym_monitor import Monitor, load_results

    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    with Monitor(env, "runs/first", force=True) as env:
        for episode in range(30):
            observation, info = env.reset()
            done = False
            while not done:
                observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
                done = terminated or truncated
    print(load_results("runs/first")["episode_rewards"])

The directory then holds a journal with a row per episode, videos of those that a schedule picked, and a manifest. Any
object with `reset` and `step` is an environment. ffmpeg makes the videos; where there is none, the standard library
does. `python3 gym_monitor.py demo` shows it all with nothing installed.

Who calls whom:

    Monitor                  passes for the environment: its calls, attributes, isinstance; start and close
      └ _Recording           from start to close: step, reset, what becomes of an episode
          ├ StatsRecorder    the numbers: episodes in memory, a journal on disk, gym's JSON made from it
          └ _Clips           which episode has a video: schedule, trigger, length, keep
              └ VideoRecorder     one video: from the renderer to an encoder, and its metadata
                  └ an encoder    one file, from its creation to its last byte
    _VectorRecording         the same for the sub-environments of a VectorMonitor

The sections, in reading order; each uses only those above it:

    Errors and schedules     what is raised on purpose; warnings; which episodes get a video
    Files                    creating, replacing and reading them, so that none is torn, overwritten or a trap
    Exit and forks           what becomes of open files when the interpreter ends, or the process forks
    Statistics               StatsRecorder and its journal
    Environments             what they answer, draw and are called; the checks of what the user passes
    Encoders                 animated PNG, text recordings, MP4 by ffmpeg
    Video recorder           VideoRecorder
    Results                  load_results: what a directory holds, merged over its runs
    Recording                _Clips and _Recording, and the latter for vectors
    Monitor                  Monitor and VectorMonitor
    Optional                 report, demo and command line, which may be cut off
"""
import atexit
import contextlib
import csv
import functools
import itertools
import json
import logging
import math
import operator
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import unicodedata
import weakref
import zlib
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type, Union

__version__ = "0.2.0"
__all__ = ["Monitor", "VectorMonitor", "StatsRecorder", "VideoRecorder", "Episode", "capped_cubic_video_schedule",
           "disable_videos", "detect_training_manifests", "detect_monitor_files", "clear_monitor_files", "load_results",
           "merge_stats_files", "collapse_env_infos", "load_env_info_from_manifests", "Error", "ResetNeeded",
           "InvalidFrame", "DependencyNotInstalled", "FILE_PREFIX", "MANIFEST_PREFIX", "__version__"]

logger = logging.getLogger(__name__)


# ---------------------------------------------------------------------------------------------------------------------
# Errors and schedules
# ---------------------------------------------------------------------------------------------------------------------

class Error(Exception):
    """Whatever this module raises on purpose."""


class ResetNeeded(Error):
    """`step` was called before the first `reset`, or past the end of an episode."""


class InvalidFrame(Error):
    """What the environment drew is neither a picture nor a text that can be recorded."""


class DependencyNotInstalled(Error):
    """A video was asked for in a format that needs ffmpeg, and there is none that works."""


def _check(name: str, value: Any, is_right: Any, what: str) -> None:
    if not is_right:
        raise Error(f"{name} has to be {what}, not {repr(value):.200}.")


def capped_cubic_video_schedule(episode_id: int) -> bool:
    """Record episodes 0, 1, 8, 27, ... (the cubes) up to 729, and every thousandth: gym's schedule, and the default."""
    return episode_id % 1000 == 0 if episode_id >= 1000 else round(episode_id ** (1 / 3)) ** 3 == episode_id


def disable_videos(episode_id: int) -> bool:
    """Record no episode, whatever its number."""
    return False


_warned: "set[str]" = set()


def _warn_once(message: str, *arguments: Any) -> None:
    """Log a warning once per process and message, so that a run of weeks does not fill the disk with it."""
    if message not in _warned:
        _warned.add(message)
        logger.warning(message, *arguments)


def _ask(question: Callable[..., Any], argument: Any, otherwise: bool) -> bool:
    """Ask a function of the user's. If it raises, the answer is `otherwise`, so that it cannot end the training."""
    try:
        return bool(question(argument))
    except Exception as problem:
        name = getattr(question, "__name__", type(question).__name__)
        _warn_once(f"{name} raised %r when asked about %r; that counts as %s.", problem, argument, otherwise)
        return otherwise


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------

FILE_PREFIX = "openaigym"
MANIFEST_PREFIX = FILE_PREFIX + ".manifest"
_REPORT_NAME = FILE_PREFIX + ".report.html"

_PathLike = Union[str, "os.PathLike[str]"]  # what a caller may pass as the path of a file or directory


def detect_monitor_files(dir: _PathLike) -> List[str]:
    """Paths of the recorder's files in a directory, those whose name begins with `openaigym.`, sorted by name."""
    paths = [os.path.join(dir, name) for name in sorted(os.listdir(dir)) if name.startswith(FILE_PREFIX + ".")]
    return [path for path in paths if os.path.islink(path) or not os.path.isdir(path)]


def detect_training_manifests(dir: _PathLike, files: Optional[Iterable[str]] = None) -> List[str]:
    """Paths of the manifests in a directory, sorted by name; `files`: its base names, if they are listed already."""
    names = sorted(os.listdir(dir) if files is None else files)
    return [os.path.join(dir, name) for name in names if name.startswith(MANIFEST_PREFIX + ".")]


def clear_monitor_files(dir: _PathLike) -> None:
    """Remove the recorder's files from a directory, and nothing else: no directory, nothing that a link points to."""
    for path in detect_monitor_files(dir):
        with contextlib.suppress(FileNotFoundError):  # a run beside us replaces and removes files of its own
            os.unlink(path)


def _is_file(path: str) -> bool:
    """Whether the path itself, not what it may link to, is a regular file."""
    return os.path.isfile(path) and not os.path.islink(path)


def _remove(path: str) -> None:
    """Remove a file that may not be there. One that cannot be removed is left."""
    with contextlib.suppress(OSError):
        os.unlink(path)


@contextlib.contextmanager
def _naming(path: str, done: str = "written") -> Iterator[None]:
    """A block in which an OSError, or a ValueError of an impossible name, becomes an Error that names the file."""
    try:
        yield
    except (OSError, ValueError) as problem:
        if getattr(problem, "errno", 0) is None:
            raise  # not from the system: a signal handler of the user's raised it, such as an alarm's TimeoutError
        raise Error(f"{path!s:.200} cannot be {done}: {getattr(problem, 'strerror', problem)}.") from problem


def _seek_and_write(descriptor: int, content: bytes, offset: int) -> int:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, content)


_pwrite: Callable[[int, bytes, int], int] = getattr(os, "pwrite", _seek_and_write)  # which Windows lacks


class _File:
    """A file that grows: the journal, or a recording that we encode ourselves. `Error` if it cannot be written.

    It is a descriptor rather than a file object. A descriptor has neither a lock, which a fork could find held, nor a
    finalizer, which could run before that of the owner. `tail` is the number of episodes or frames in it and its size,
    as one value that is replaced after the write: after an interrupt or a full disk the next call writes to the same
    place, so nothing is doubled or torn.
    """

    def __init__(self, path: str, start: bytes) -> None:
        """Create it; an `Error` caused by FileExistsError if the name exists, even as a link."""
        self.path, self.tail = path, (0, 0)
        with _naming(path):
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            self.append(start, 0)
        except BaseException:
            self.close()
            _remove(path)
            raise

    def append(self, content: bytes, count: int = 1) -> None:
        number, size = self.tail
        self.write_at(size, content)
        self.tail = number + count, size + len(content)

    def write_at(self, offset: int, content: bytes) -> None:
        """Write all of the bytes; a disk that is nearly full takes only some of them at a time."""
        try:
            while content:
                written = _pwrite(self.descriptor, content, offset)
                content, offset = content[written:], offset + written
        except OSError:
            with _naming(self.path):  # only on failure: around every write it would cost half as much as the row
                raise

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _write_atomically(path: str, content: bytes) -> None:
    """Replace a file at once, so that no reader sees half of it; an `Error` leaves the old one whole."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{FILE_PREFIX}.tmp.{os.getpid()}-{threading.get_ident()}.{name}.tmp")
    _remove(temporary)  # left behind by a process of the same number that was killed
    try:
        with _naming(path):
            with open(temporary, "xb") as file:
                file.write(content)
            os.replace(temporary, path)
    finally:
        _remove(temporary)


def _write_json(path: str, content: Dict[str, Any]) -> None:
    """Replace a JSON file at once. What JSON has no form for, such as a numpy number, becomes a number or a text."""
    text = json.dumps(content, default=lambda value: value.tolist() if hasattr(value, "tolist") else str(value))
    _write_atomically(path, text.encode("ascii"))


def _read_file(path: str) -> bytes:
    """Read a regular file; an `Error` if there is none, or a link, a pipe or a device stands in its place."""
    with _naming(path, "read"):
        if os.path.lexists(path) and not (_is_file(path) and os.path.getsize(path) <= 1 << 30):
            raise Error(f"{path} is not a regular file of at most 1 GiB, so it is not read.")
        with open(path, "rb") as file:
            return file.read()


def _read_json(path: str) -> Dict[str, Any]:
    """Read a JSON object; an `Error` that names the file where there is none."""
    try:
        content = json.loads(_read_file(path).decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as problem:
        raise Error(f"{path} is not valid JSON: {problem!r}.") from problem
    if not isinstance(content, dict):
        raise Error(f"{path} should hold a JSON object, not {type(content).__name__}.")
    return content


# ---------------------------------------------------------------------------------------------------------------------
# Exit and forks
# ---------------------------------------------------------------------------------------------------------------------

# All that have had files or processes open, while they live. The garbage collector forgets one before its `__del__`.
_owners: "weakref.WeakValueDictionary[int, _Owner]" = weakref.WeakValueDictionary()


def _all_owners() -> List[Any]:  # `valuerefs` makes its list at once, although other threads may add to it
    return [owner for owner in [reference() for reference in _owners.valuerefs()] if owner and not owner.settled]


class _Owner:
    """Has files open. `close` completes them, also when it is dropped or at exit; a forked child calls `abandon`."""

    close: Any
    abandon: Any    # closes what is open, leaves the files as they are, and keeps `why` for who steps on
    settled = True  # whether nothing is open and nothing will follow
    _told_multiprocessing = 0  # the pid of the process in which multiprocessing knows of `_close_all`

    def _begin_to_own(self) -> None:
        self.settled = False
        _owners[id(self)] = self
        # Up to CPython 3.12, a process that multiprocessing has forked does not run what is registered with atexit.
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._told_multiprocessing != os.getpid():
            _Owner._told_multiprocessing = os.getpid()
            util.Finalize(None, _close_all, exitpriority=0)

    def _close_quietly(self) -> None:
        """Close where nobody can catch an exception: this object is dropped, or the interpreter ends."""
        try:
            self.close()
        except Exception as problem:
            with contextlib.suppress(Exception):  # at the very end, logging has been taken apart already
                _warn_once(str(problem))

    def __del__(self) -> None:
        if not self.settled and not sys.is_finalizing():  # at finalization `_close_all` has tried already
            self._close_quietly()
            self.abandon()


def _close_all() -> None:
    for owner in _all_owners():
        owner._close_quietly()


def _abandon_all() -> None:
    """What a forked child does first. Nothing here may take a lock: another thread of the parent may have held it."""
    for owner in _all_owners():
        owner.abandon("This process was forked from one that records: what the environment does here is not recorded. "
                      "Give the child a Monitor of its own.")


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # from CPython 3.7 on
    os.register_at_fork(after_in_child=_abandon_all)


# ---------------------------------------------------------------------------------------------------------------------
# Statistics
# ---------------------------------------------------------------------------------------------------------------------

# The first three are Stable-Baselines3's: an episode's return, length, and end in seconds since `t_start`.
_JOURNAL_COLUMNS = ("r", "l", "t", "type")
_GYM_COLUMNS = ("timestamps", "episode_lengths", "episode_rewards", "episode_types")


def _as_number(reward: Any) -> float:
    """Convert a reward to a float: a number, a numpy scalar, or an array or tensor with one element."""
    try:
        return float(reward if isinstance(reward, (float, int)) or not hasattr(reward, "item") else reward.item())
    except (TypeError, ValueError, OverflowError, RuntimeError) as problem:  # torch raises RuntimeError
        raise Error(f"A reward has to be a number, and {reward!r} (a {type(reward).__name__}) is none.") from problem


def _keyword_cells(keywords: Sequence[str], info: Dict[str, Any]) -> str:
    """The entries named by `info_keywords`, as the rest of a line of CSV."""
    cells = ""
    for keyword in keywords:
        text = ""
        with contextlib.suppress(Exception):  # whatever the `__str__` of a user's object raises
            # A row is one line, so that a torn row can be recognised: line breaks in a text become spaces. The csv
            # module does not read cells of more than 131,072 characters.
            text = "" if info.get(keyword) is None else str(info[keyword])[:60000]
            text = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)
        if not text:
            _warn_once(f"An episode's last info has no {keyword!r}, which info_keywords names: its cell stays empty.")
        cells += ',"{}"'.format(text.replace('"', '""')) if re.search('[",]', text) else "," + text
    return cells


class StatsRecorder(_Owner):
    """Keep return, length, end and type of every completed episode: in memory, in a journal, and as gym's JSON.

    A row is written the moment its episode is over, so killing the process loses nothing. `before_step`, `after_step`,
    `before_reset` and `after_reset` are gym's interface, by which it works without a `Monitor`.

    Args:
        directory: where the files go; it exists. None: the numbers stay in memory.
        file_prefix: how the names begin: `{file_prefix}.monitor.csv` and `{file_prefix}.stats.json`.
        autoreset: whether the step that ends an episode starts the next one.
        env_id, gym_version, first_episode_id: for the journal's header.
        info_keywords: entries of the last `info` of an episode to write into its row.

    Attributes:
        path, journal_path: the JSON and the journal.
        type: 't' for training or 'e' for evaluation; a change counts from the next reset on.
        rewards, other_steps: the rewards of the episode under way, a step each; and the number of all other steps.
        initial_reset_timestamp: when the first reset was, in seconds since the epoch; None before it.

    Raises:
        Error: the files cannot be made, or belong to another recorder.
    """

    # Of each completed episode: return, steps, end in seconds since `t_start`, type, and end since the epoch.
    episode_rewards = property(lambda self: [episode[0] for episode in self._episodes])
    episode_lengths = property(lambda self: [episode[1] for episode in self._episodes])
    episode_times = property(lambda self: [episode[2] for episode in self._episodes])
    episode_types = property(lambda self: [episode[3] for episode in self._episodes])
    timestamps = property(lambda self: [self.t_start + seconds for seconds in self.episode_times])
    # All steps taken, those of unfinished episodes too; and the number of the episode under way or to come.
    total_steps = property(lambda self: self.other_steps + len(self.rewards))
    episode_id = property(lambda self: self.first_episode_id + len(self._episodes))

    def __init__(self, directory: Optional[_PathLike], file_prefix: str, autoreset: bool = False,
                 env_id: Optional[str] = None, *, gym_version: str = "none", first_episode_id: int = 0,
                 info_keywords: Sequence[str] = ()) -> None:
        self.directory = None if directory is None else os.path.abspath(os.fspath(directory))
        self.autoreset, self.env_id, self.gym_version = autoreset, env_id, gym_version
        self.first_episode_id, self.info_keywords = first_episode_id, tuple(info_keywords)
        self.initial_reset_timestamp: Optional[float] = None
        self.type = "t"
        self.rewards: List[float] = []
        self.other_steps = 0
        self._current: Optional[Tuple[float, str]] = None  # start and type of the episode under way
        self._episodes: List[Tuple[float, int, float, str]] = []  # return, length, seconds since t_start, type
        # The wall clock may be set while we record, so it is read once; from then on a steady clock counts.
        self.t_start, self._clock_start = time.time(), time.perf_counter()
        self._journal: Optional[_File] = None
        self._cells: Dict[int, str] = {}  # the keyword cells of rows that still wait, by the place in `_episodes`
        self._next_try = 0.0  # when to write again after the disk was full, by the steady clock
        # A lock, as a thread may still be training at exit; reentrant, as a signal handler may interrupt a row.
        self._lock = threading.RLock()
        if self.directory is not None:
            self.path = os.path.join(self.directory, file_prefix + ".stats.json")
            self.journal_path = os.path.join(self.directory, file_prefix + ".monitor.csv")
            header = json.dumps({"t_start": self.t_start, "env_id": env_id, "gym_version": gym_version,
                                 "first_episode_id": first_episode_id})
            start = "#{}\n{}\n".format(header, ",".join(_JOURNAL_COLUMNS + self.info_keywords))
            self._journal = _File(self.journal_path, start.encode())
            self._begin_to_own()

    def before_step(self, action: Any) -> None:
        """Raise `ResetNeeded` if no episode is under way."""
        if self._current is None:
            when = "before the first reset()" if self.initial_reset_timestamp is None else "past the end of an episode"
            raise ResetNeeded(f"Call reset() to begin an episode: step() was called {when}.")

    def after_step(self, observation: Any, reward: Any, done: bool, info: Any) -> None:
        """Count a step, and record the episode if that is over; an `Error` if the reward is no number."""
        self.rewards.append(_as_number(reward))
        if done:
            self.end_episode(info)
            if self.autoreset:
                self.after_reset(observation)

    def before_reset(self) -> None:
        """Do nothing: an episode that is under way may be reset."""

    def after_reset(self, observation: Any) -> None:
        """Begin an episode. One that is under way is dropped: it is not counted."""
        self.other_steps += len(self.rewards)
        del self.rewards[:]
        now = time.perf_counter()
        self._current = now, self.type
        if self.initial_reset_timestamp is None:
            self.initial_reset_timestamp = self.t_start + (now - self._clock_start)

    def end_episode(self, info: Any = None) -> Dict[str, Any]:
        """Record the episode under way as completed, and return its summary: see `record`."""
        start, type = self._current or (time.perf_counter(), self.type)
        self._current = None
        return self.record(sum(self.rewards, 0.0), len(self.rewards), type, start, info)

    def record(self, reward: float, length: int, type: str, start: float, info: Any = None) -> Dict[str, Any]:
        """Record an episode that began at `start` (`time.perf_counter`) and ends now; return its `info["episode"]`."""
        now = time.perf_counter()
        summary = {"r": reward, "l": length, "t": now - start}  # how long it took; the journal's t is when it ended
        if self.info_keywords:
            chosen = {word: info[word] for word in self.info_keywords if isinstance(info, dict) and word in info}
            summary.update(chosen)
            if self._journal is not None:
                self._cells[len(self._episodes)] = _keyword_cells(self.info_keywords, chosen)
        self._episodes.append((reward, length, now - self._clock_start, type))
        # Rows that wait are all made again at each try. To try at every episode would take quadratic time.
        if self._journal is not None and now >= self._next_try:
            try:
                self._write_rows()
            except Error as problem:
                self._next_try = now + 1.0
                _warn_once(f"Rows of the journal wait in memory: {problem}")
        return summary

    def _write_rows(self) -> None:
        """Write the rows of all episodes that the journal lacks, in one call to the operating system: see `_File`."""
        with self._lock:
            if self._journal is not None:
                first = self._journal.tail[0]
                new = self._episodes[first:]
                rows = "".join([f"{reward!r},{length},{end!r},{type}{self._cells.get(number, '')}\n"
                                for number, (reward, length, end, type) in enumerate(new, first)])
                self._journal.append(rows.encode("utf-8", "backslashreplace"), len(new))
                for number in range(first, first + len(new)) if self._cells else ():
                    self._cells.pop(number, None)

    def journal_owner(self) -> str:
        """Who has the name: "ours", "nobody's" (removed), "another's". Once ours is closed, any file there is ours."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.journal_path)
            ours = self._journal is None or os.path.samestat(os.fstat(self._journal.descriptor), found)
            return "ours" if ours else "another's"
        return "nobody's"

    def flush(self) -> None:
        """Write the statistics as JSON, in gym's format; an `Error` where that cannot be done."""
        if not self.settled:
            if self.journal_owner() == "another's":
                raise Error(f"{self.directory} was cleared, and another monitor now uses the name {self.path}.")
            _write_json(self.path, {name: getattr(self, name) for name in ("initial_reset_timestamp", *_GYM_COLUMNS)})

    def close(self) -> None:
        """Write what is not written yet; an `Error` as long as that is missing from the directory."""
        if self.settled:
            return
        try:
            self._write_rows()
            ours = self.journal_owner() == "ours"
            if ours:
                with self._lock:
                    self._close_journal()  # first: at the limit of open files, the JSON needs this descriptor
            self.flush()
        except Error as problem:
            raise Error(f"Make room, or make the directory writable, then call close() again: {problem}") from problem
        if not ours:
            raise Error(f"The journal {self.journal_path} was removed. The statistics are in {self.path}.")
        self.abandon()

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def abandon(self, why: str = "") -> None:
        self._close_journal()
        self.settled = True


# ---------------------------------------------------------------------------------------------------------------------
# Environments
# ---------------------------------------------------------------------------------------------------------------------

def _env_metadata(env: Any) -> Dict[str, Any]:
    """The environment's `metadata`; empty if that is not a dictionary, as gym's is."""
    metadata = getattr(env, "metadata", None)
    return metadata if isinstance(metadata, dict) else {}


def _env_id(env: Any) -> str:
    """The name under which the environment is registered, else the name of its class."""
    name = getattr(getattr(env, "spec", None), "id", None)
    return str(name) if name is not None else type(getattr(env, "unwrapped", env)).__name__


def _library_class(env: Any) -> Any:
    """The `Env` or `VectorEnv` of gymnasium or gym that an environment is derived from, or None."""
    for ancestor in env.__class__.__mro__:  # `type(env)` of a monitor inside would be Monitor
        if ancestor.__name__ in ("Env", "VectorEnv") and ancestor.__module__.split(".")[0] in ("gym", "gymnasium"):
            return ancestor
    return None


def _library_version(env: Any) -> Tuple[str, Tuple[int, ...]]:
    """The version, as text and as numbers, of the gym or gymnasium that an environment comes from."""
    found = _library_class(env) or _library_class(getattr(env, "unwrapped", env))
    library = sys.modules.get(found.__module__.split(".")[0]) if found else None
    version = str(getattr(library, "__version__", "none"))
    return version, tuple(map(int, re.findall(r"\d+", version)[:2]))


def _reward_done_info(result: Any) -> Tuple[Any, bool, Any]:
    """The reward of a step, whether the episode is over, and the info, of a result in any of the forms there are."""
    with contextlib.suppress(TypeError, ValueError, AttributeError, RuntimeError):  # torch: two elements have no truth
        if type(result) is not tuple and hasattr(result, "last"):  # dm_env's TimeStep, which has no info
            return result.reward, bool(result.last()), None
        if len(result) in (4, 5):
            return result[1], bool(result[2] or result[-2]), result[-1]  # of four values, both are `done`
    raise Error(f"step() has to answer four values, as in gym, or five, as in gymnasium, not {repr(result):.200}.")


def _takes_mode(render: Callable[..., Any]) -> bool:
    import inspect
    try:
        return bool(inspect.signature(render).bind(mode="rgb_array"))
    except (TypeError, ValueError) as problem:
        return isinstance(problem, ValueError)  # compiled code, which does not tell


def _renderer(env: Any) -> Optional[Tuple[Callable[[], Any], Optional[bool]]]:
    """How to ask an environment for a frame (None: it has none), and whether that is text (None: frames will tell)."""
    render, chosen, metadata = getattr(env, "render", None), getattr(env, "render_mode", None), _env_metadata(env)
    if not callable(render):
        return None
    mode = re.sub("^single_|_list$", "", str(chosen))  # `make(render_mode=...)`: gymnasium, and gym from 0.25 on
    if mode in ("rgb_array", "ansi"):
        return render, mode == "ansi"
    inner = getattr(getattr(env, "unwrapped", None), "render", render)  # wrappers accept any argument
    takes_mode = _takes_mode(render) and _takes_mode(inner)  # as before gym 0.25; later, a mode of None draws nothing
    modes = metadata.get("render.modes", metadata.get("render_modes"))
    for mode in ("rgb_array", "ansi") if chosen is None and (takes_mode or not hasattr(env, "render_mode")) else ():
        if modes is None or mode in modes:
            return (functools.partial(render, mode=mode), mode == "ansi") if takes_mode else (render, None)
    _warn_once("No video of %s: it renders neither 'rgb_array' nor 'ansi'. Make it with render_mode='rgb_array' if it "
               "can, or pass video_callable=False.", env)
    return None


def _frame_rate(env: Any, fps: Optional[float]) -> float:
    """Frames per second: as asked for, else as the environment says, else 30."""
    rates: List[Any] = [*map(_env_metadata(env).get, ("render_fps", "video.frames_per_second")), 30.0]
    for rate in rates if fps is None else [fps]:
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            if not isinstance(rate, (str, bool, type(None))) and 0 < float(rate) < math.inf:
                return float(rate)
    raise Error(f"fps has to be a number above 0 or None, not {fps!r}.")


class Episode(NamedTuple):
    """What `keep_video` is asked about: an episode that is over."""
    episode_id: int
    reward: float  # the return: the sum of the episode's rewards
    length: int    # in steps
    info: Any      # the last step's


_Schedule = Union[Callable[[int], object], bool, None]  # what `video_callable` may be


def _checked_options(options: Any) -> Any:
    """The same options, those arguments of `Monitor` that stay from one `start` to the next, if each is right."""
    for name in ("step_trigger", "keep_video"):
        function = getattr(options, name)
        _check(name, function, function is None or callable(function), "a function or None")
    length, words, taken = options.video_length, options.info_keywords, _JOURNAL_COLUMNS
    _check("video_length", length, not length or hasattr(length, "__index__") and length > 0, "a count or None")
    _frame_rate(None, options.fps)
    _check("stats_key", options.stats_key, isinstance(options.stats_key, (str, type(None))), "a string or None")
    _check("info_keywords", words, isinstance(words, (tuple, list)) and all(
        isinstance(word, str) and re.match(r'[^",\s][^",\r\n]*\Z', word) for word in words)
        and len({*words, *taken}) == len(words) + len(taken),
           "a tuple of different names of entries, other than r, l, t and type")
    return options


def _checked_env(env: Any, vector: bool) -> Any:
    """The same environment, if it can be recorded: a vector environment if `vector`, else a single one."""
    name, found, (_, version) = type(env).__name__, _library_class(env), _library_version(env)
    # gym's RecordEpisodeStatistics gives even a single environment a `num_envs`.
    several = hasattr(env, "num_envs") and bool(getattr(env, "is_vector_env", True))
    four_values = several and found is not None and found.__module__.split(".")[0] == "gym" and version < (0, 26)
    if four_values or any(ancestor.__name__ == "VecEnv" for ancestor in type(env).__mro__):
        raise Error(f"{name} (it has num_envs) cannot be recorded as one: wrap each sub-environment in a Monitor.")
    if several != vector:
        raise Error(f"Wrap {name}, a vector environment (it has num_envs), in VectorMonitor, not in Monitor." if several
                    else f"Wrap {name}, which is no vector environment (it has no num_envs), in Monitor.")
    for method in ("reset", "step"):
        _check("env", env, callable(getattr(env, method, None)), f"an environment, with a method {method}")
    return env


def _checked_uid(uid: Optional[Union[str, int]]) -> str:
    """The part of a file name that a uid makes."""
    text = str(os.getpid() if uid is None or uid == "" else uid)
    _check("uid", uid, re.match(r"[^/\\:\x00-\x1f\x7f\ud800-\udfff]+\Z", text) and text not in (".", "..")
           and len(text.encode()) <= 100, "part of a file name: 1 to 100 bytes, no separators")
    return text


def _checked_directory(directory: Any) -> str:
    """The absolute path of a directory that may have to be made."""
    name = os.fsdecode(directory) if isinstance(directory, (str, bytes, os.PathLike)) else ""
    _check("directory", directory, name and "\0" not in name, "a path")
    return os.path.abspath(os.path.expanduser(name))


# ---------------------------------------------------------------------------------------------------------------------
# Encoders
# ---------------------------------------------------------------------------------------------------------------------
# An encoder, made with (path, fps, first frame), writes one video and keeps at most its newest frame in memory:
#     write(frame)     add a frame; an Error where that cannot be done
#     end()            no frame will follow; may be called again, if an interrupt cut it short
#     finished(wait)   whether the file is whole; with `wait`, wait for that; an Error if it never will be
#     close()          close what is open, and leave the file as it is

# An ffmpeg that takes no frame for so many seconds, or needs twice as many to finish, is stopped and not used again.
ENCODER_TIMEOUT = 10.0


def _picture(frame: Any) -> memoryview:
    """A frame as contiguous bytes of shape (height, width, channels); an `InvalidFrame` if it is no picture."""
    try:
        view = memoryview(frame.__array__() if hasattr(frame, "__array__") else frame)
    except (TypeError, ValueError, BufferError) as problem:
        raise InvalidFrame(f"A frame has to be an array of pixels, not a {type(frame).__name__}.") from problem
    if view.format.lstrip("@=<>!") != "B":  # a byte has no order, but ctypes states one
        raise InvalidFrame("A frame has to be of type uint8, not {!r}.".format(getattr(frame, "dtype", view.format)))
    shape = tuple(view.shape or ())
    height, width, channels = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (0, 0, 0)
    if not height or not width or channels not in (1, 3, 4):
        raise InvalidFrame(f"A frame has to be of shape (height, width) and 1, 3 or 4 channels, not {shape}.")
    if not view.c_contiguous or view.format != "B":
        view = memoryview(view.tobytes())
    return view.cast("B").cast("B", [height, width, channels])


def _is_whole(path: str) -> bool:
    """Whether a recording is complete: an MP4 that can be played, a PNG up to its end; text is whole at any line."""
    # As its last act, ffmpeg puts the index of an MP4, `moov`, in front. A file without pictures has 262 bytes.
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head, size = file.read(64), file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 12))
        return {".mp4": b"moov" in head and size > 262, ".png": b"IEND" in file.read()}.get(
            os.path.splitext(path)[1], size > 0)
    return False


class _FileEncoder(_File):
    """An encoder of our own, which writes its file itself."""

    version: Dict[str, Any] = {"backend": "gym_monitor", "version": __version__, "cmdline": []}

    def finished(self, wait: bool) -> bool:
        if not _is_whole(self.path):
            raise Error(f"{self.path} was removed while it was being written.")
        return True


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class _PngEncoder(_FileEncoder):
    """Animated PNG by the standard library, which every browser plays: https://www.w3.org/TR/png-3/."""

    content_type = "image/apng"

    def __init__(self, path: str, fps: float, picture: memoryview) -> None:
        self._shape = height, width, channels = tuple(picture.shape or ())
        unit = max(1, int(0xFFFF / max(fps, 1)))  # the delay in seconds is a fraction of two 16-bit numbers
        self._delay = unit, max(1, min(round(unit * fps), 0xFFFF))
        self._before = b""  # the pixels of the newest frame
        header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
        # acTL counts the frames, and says: play for ever. It is written again when they are known.
        super().__init__(path, b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header)
                         + _png_chunk(b"acTL", struct.pack(">II", 1, 0)))

    def write(self, picture: memoryview) -> None:
        pixels, number = picture.tobytes(), self.tail[0]
        left, top, width, height = self._changed(pixels)
        channels, stride = self._shape[2], self._shape[1] * self._shape[2]
        start = top * stride + left * channels
        rows = b"".join([b"\0" + pixels[row:row + width * channels]  # the zero says that the row is not filtered
                         for row in range(start, start + height * stride, stride)])
        # In photographs and noise the search for repetitions is in vain: looking for runs alone takes less than half
        # the time and makes files of the same size. In drawings the search pays. A sample tells them apart.
        sample = rows[len(rows) // 2:][:8192]
        strategy = zlib.Z_DEFAULT_STRATEGY if 2 * len(zlib.compress(sample, 1)) <= len(sample) else zlib.Z_RLE
        compressor = zlib.compressobj(3, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        compressed = compressor.compress(rows) + compressor.flush()
        # fcTL and fdAT are numbered together; the first frame has its pixels in IDAT, which has no number.
        control = struct.pack(">IIIIIHHBB", max(0, 2 * number - 1), width, height, left, top, *self._delay, 0, 0)
        content = (b"fdAT", struct.pack(">I", 2 * number) + compressed) if number else (b"IDAT", compressed)
        self.append(_png_chunk(b"fcTL", control) + _png_chunk(*content))
        self._before = pixels

    def _changed(self, after: bytes) -> Tuple[int, int, int, int]:
        """The smallest rectangle (left, top, width, height) that has changed; the whole of the first picture."""
        (height, width, channels), before = self._shape, self._before
        if not before:
            return 0, 0, width, height
        size, number = width * channels, functools.partial(int.from_bytes, byteorder="little")
        rows = [row for row in range(0, len(after), size) if before[row:row + size] != after[row:row + size]]
        if not rows:
            return 0, 0, 1, 1  # PNG knows no empty rectangle
        changes = 0  # a bit is set where any row has changed, so the lowest and the highest are the sides
        for row in rows:
            changes |= number(before[row:row + size]) ^ number(after[row:row + size])
        left, right = ((bits.bit_length() - 1) // 8 // channels for bits in (changes & -changes, changes))
        return left, rows[0] // size, right - left + 1, (rows[-1] - rows[0]) // size + 1

    def end(self) -> None:
        (frames, size), last = self.tail, _png_chunk(b"IEND", b"")
        self.write_at(33, _png_chunk(b"acTL", struct.pack(">II", frames, 0)))  # after signature (8 bytes) and IHDR (25)
        self.write_at(size, last)
        with _naming(self.path):
            os.ftruncate(self.descriptor, size + len(last))  # what an interrupt left of a frame


def _columns(line: str) -> int:
    """How many columns of a terminal a line takes: colour codes none, wide characters two."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


class _TextEncoder(_FileEncoder):
    """Text frames as an asciicast: https://docs.asciinema.org/manual/asciicast/v2/."""

    content_type = "application/x-asciicast"

    def __init__(self, path: str, fps: float, text: str) -> None:
        self._fps, self._width, self._height = fps, 1, 1
        super().__init__(path, self._header())

    def _header(self) -> bytes:
        """The first line, padded so that it can be rewritten in place once the largest frame is known."""
        header = {"version": 2, "width": self._width, "height": self._height, "title": "openaigym episode"}
        return json.dumps(header).ljust(200).encode("ascii") + b"\n"

    def write(self, text: str) -> None:
        lines = re.sub(r"\n\Z", "", text.replace("\r\n", "\n")).split("\n")
        self._width, self._height = max(self._width, *map(_columns, lines)), max(self._height, len(lines))
        event = [round(self.tail[0] / self._fps, 6), "o", "\x1b[2J\x1b[1;1H" + "\r\n".join(lines)]  # clear, then draw
        self.append(json.dumps(event).encode("ascii") + b"\n")

    def end(self) -> None:
        self.write_at(0, self._header())


# H.264 by what this build of ffmpeg has (Fedora's has no libx264), else MPEG-4, which every build has. `veryfast`
# encodes 1.2 to 1.5 times the frames per second of libx264's default, to files of the same size: .ci/bench.py, video.
_CODECS = (("libx264", "-preset", "veryfast"), ("libopenh264",), ("mpeg4", "-q:v", "3"))


def _find_ffmpeg() -> Any:
    """The first ffmpeg that works: that of IMAGEIO_FFMPEG_EXE, which imageio-ffmpeg and moviepy know, or of PATH."""
    # A relative entry of PATH would have us run whatever lies in the directory that the user happens to stand in.
    folders = os.pathsep.join(filter(os.path.isabs, os.get_exec_path()))
    for name in (os.environ.get("IMAGEIO_FFMPEG_EXE"), "ffmpeg"):
        program = shutil.which(name, path=folders) if name else None
        if program and (os.path.isabs(program) or name != "ffmpeg"):  # Windows looks where the user stands, too
            ffmpeg = _ask_ffmpeg(os.path.abspath(program))
            if ffmpeg and ffmpeg.works:
                return ffmpeg
    return None


def _kill(process: Any) -> None:
    """Kill a process and, if it is a script, its children; then reap it."""
    if process.poll() is None:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # of a lock in Popen that Ctrl-C left taken
            process.wait(ENCODER_TIMEOUT)


@functools.lru_cache(maxsize=None)
def _ask_ffmpeg(program: str) -> Any:
    """Ask an ffmpeg, once, for version and codec; None if it cannot be used. `proven`: it has made a video for us."""
    try:
        with _naming(program, "run"):
            process: Any = subprocess.Popen([program, "-encoders"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, start_new_session=True)
    except Error:
        return None
    try:
        answer = process.communicate(timeout=ENCODER_TIMEOUT)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        answer = ""
    finally:
        _kill(process)
        process.stdout.close()
    version = "".join(re.findall(r"ffmpeg version \S+", answer)[:1]) or "ffmpeg"
    for codec in _CODECS if process.returncode == 0 else ():
        if re.search(rf"^ V\S* {codec[0]} ", answer, re.MULTILINE):
            return types.SimpleNamespace(program=program, version=version, codec=codec, works=True, proven=False)
    return None


def _ffmpeg_command(ffmpeg: Any, shape: Tuple[int, ...], fps: float, name: str) -> List[str]:
    height, width, channels = shape
    command = [ffmpeg.program, "-loglevel", "error", "-nostdin", "-nostats", "-y", "-f", "rawvideo",
               "-pixel_format", {1: "gray", 3: "rgb24", 4: "rgba"}[channels],
               "-video_size", f"{width}x{height}", "-framerate", repr(fps), "-i", "pipe:0", "-an"]
    if height % 2 or width % 2:
        # yuv420p halves both sides of the colours, so they have to be even. A black margin would darken half of the
        # last row's colour: the margin repeats it.
        command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv444p,"
                           f"fillborders=right={width % 2}:bottom={height % 2}:mode=smear"]
    # `neighbor`, every other colour in place of a mean, saves a sixth of the time at almost the same quality:
    # .ci/bench.py, video. Players guess the wrong matrix for large pictures unless they are told.
    return command + ["-c:v", *ffmpeg.codec, "-sws_flags", "neighbor", "-pix_fmt", "yuv420p",
                      "-colorspace", "smpte170m", "-movflags", "+faststart", "-f", "mp4", "file:" + name]


class _FFmpegEncoder:
    """H.264 in MP4 by an ffmpeg that is handed the frames' own memory through a pipe."""

    content_type = "video/mp4"
    _process: Any = None  # for `__del__`, if `__init__` failed
    _ended = 0.0  # when its input was closed, by the steady clock

    def __init__(self, path: str, fps: float, picture: memoryview) -> None:
        ffmpeg = _find_ffmpeg()
        if ffmpeg is None:
            raise DependencyNotInstalled("There is no ffmpeg that works any more.")
        self._ffmpeg, self._path, self._pid = ffmpeg, path, os.getpid()
        # A name relative to its folder, so that the metadata holds no path; `file:` allows it any character.
        folder, name = os.path.split(path)
        command = _ffmpeg_command(ffmpeg, picture.shape or (), fps, name)
        self.version = {"backend": "ffmpeg", "version": ffmpeg.version, "cmdline": ["ffmpeg"] + command[1:]}
        with _naming(path):
            open(path, "xb").close()  # fails if the name exists, even as a link; ffmpeg -y then writes into ours
            # ffmpeg's messages go to an unnamed file, because a pipe would have to be read; beside the video, as other
            # places need not be writable; unbuffered, because a buffer's lock could be held in a fork.
            self._words = tempfile.TemporaryFile(buffering=0, dir=folder, prefix=FILE_PREFIX + ".tmp.", suffix=".tmp")
            # A session of its own: Ctrl-C in the terminal is for the training alone.
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0,
                                             stderr=self._words, cwd=folder, start_new_session=True)
        with contextlib.suppress(ImportError, OSError, ValueError):  # a wider pipe: only Linux has it, and may refuse
            import fcntl
            fcntl.fcntl(self._process.stdin, getattr(fcntl, "F_SETPIPE_SZ", 1031), 1 << 20)
        # Polling limits the wait for ffmpeg to read. Windows has no poll, so there a write may block.
        self._poll: Any = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._poll.register(self._process.stdin, select.POLLOUT)

    def write(self, picture: memoryview) -> None:
        rest = picture.cast("B")
        while rest:
            try:
                rest = rest[os.write(self._process.stdin.fileno(), rest):]
            except BlockingIOError as problem:
                if self._poll is not None and not self._poll.poll(ENCODER_TIMEOUT * 1000):
                    raise self._failure(f"ffmpeg took no frame for {ENCODER_TIMEOUT:g} s") from problem
            except OSError as problem:
                if problem.errno is None:
                    raise  # from a signal handler of the user's: ffmpeg is not to blame
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(ENCODER_TIMEOUT)
                raise self._failure("ffmpeg ended before the video did") from problem

    def end(self) -> None:
        """Say that no frame will follow. ffmpeg drops a frame that an interrupt cut short."""
        self._ended = self._ended or time.monotonic()  # `finished` counts from here
        with contextlib.suppress(OSError):  # ffmpeg is gone, as `finished` will find
            self._process.stdin.close()

    def finished(self, wait: bool) -> bool:
        try:
            self._process.wait(self._ended + 2 * ENCODER_TIMEOUT - time.monotonic() if wait else 0)
        except subprocess.TimeoutExpired as problem:
            if not wait:
                return False
            raise self._failure(f"ffmpeg did not finish within {2 * ENCODER_TIMEOUT:g} s") from problem
        if self._process.returncode != 0 or not _is_whole(self._path):  # ffmpeg 5 may overlook that the disk is full
            raise self._failure("ffmpeg failed")
        self._ffmpeg.proven = True
        return True

    def _failure(self, what: str) -> Error:
        """Stop ffmpeg and quote its last words. One that hung, or never made a video, is not used again."""
        if self._process.poll() is None or not self._ffmpeg.proven:
            self._ffmpeg.works = False
        _kill(self._process)
        self._words.seek(-min(20000, self._words.seek(0, os.SEEK_END)), os.SEEK_END)
        last = " ".join(self._words.read().decode("utf-8", "replace").split("\n")[-8:]).strip()[-1000:]
        return Error(f"{what}: {last or 'exit status %s' % self._process.returncode}")

    def close(self) -> None:
        if self._pid == os.getpid():
            _kill(self._process)
        self._process.returncode = self._process.returncode or 0  # a forked child must not wait for its parent's
        with contextlib.suppress(OSError):
            self._process.stdin.close()
            self._words.close()

    def __del__(self) -> None:
        """ffmpeg exits when its input closes, so close it: a dropped Popen would keep it, and ffmpeg, alive."""
        if self._process is not None:
            self._process.stdin.close()


# ---------------------------------------------------------------------------------------------------------------------
# Video recorder
# ---------------------------------------------------------------------------------------------------------------------

_ENCODERS: Dict[str, Type[Any]] = {".mp4": _FFmpegEncoder, ".png": _PngEncoder, ".cast": _TextEncoder}


class VideoRecorder(_Owner):
    """Record one video of an environment, frame by frame.

    A video is begun, captured frame by frame, ended (no frame will follow) and settled (its file is final). It is given
    up where the renderer raises, a frame is no picture, or the encoder fails or hangs: that is logged, and not raised.
    Or it is dropped, as if it had never been made.

    Args:
        env: an environment with `render`, in gym's form (`render(mode="rgb_array")`) or gymnasium's (`render_mode`).
        path: the file; its ending chooses the format: `.mp4` (needs ffmpeg), `.png` or, for text, `.cast`.
        metadata: entries for the metadata file.
        enabled: False makes a recorder that does nothing.
        base_path: instead of `path`, the path without an ending, for the best format there is. With neither, the file
            goes into a temporary directory.
        fps: frames per second, more than 0; else the environment's `metadata` says, else 30.

    Attributes:
        path, metadata_path, metadata: the recording; `{path without ending}.meta.json`; and what that says.
        frames, empty: how many frames were captured, and whether there are none.
        enabled, broken, functional: whether it can be recorded at all; was given up; is neither off nor given up.
        ended: when it was decided that no frame will follow, by `time.monotonic`; None before.

    Raises:
        Error: both `path` and `base_path`, an ending that does not fit, or an `fps` that is not above 0.
        DependencyNotInstalled: an `.mp4` was asked for, and there is no ffmpeg that works.
    """

    ended: Optional[float] = 0.0  # a recorder that is not enabled counts as ended
    functional = property(lambda self: self.enabled and not self.broken)
    empty = property(lambda self: self.frames == 0)
    metadata_path = property(lambda self: self.path and os.path.splitext(self.path)[0] + ".meta.json")

    def __init__(self, env: Any, path: Optional[_PathLike] = None, metadata: Optional[Dict[str, Any]] = None,
                 enabled: bool = True, base_path: Optional[_PathLike] = None, *, fps: Optional[float] = None) -> None:
        self.env, self.metadata, self.frames_per_sec = env, dict(metadata or {}), _frame_rate(env, fps)
        self.path: Any = None
        self.frames, self.broken = 0, False
        self.taken: Optional[List[Any]] = None  # a list for the frames taken, which `Monitor.render` owes the user
        self._shape: Any = None
        self._encoder: Any = None
        if path is not None and base_path is not None:
            raise Error("Give either path or base_path, not both.")
        renderer = _renderer(env) if enabled else None
        self.enabled = renderer is not None
        if renderer is None:
            return
        self._render, self._is_text = renderer
        if path is None:
            base = base_path or os.path.join(tempfile.mkdtemp(prefix=FILE_PREFIX + "."), "video")
            path = os.fspath(base) + (".cast" if self._is_text else ".mp4" if _find_ffmpeg() else ".png")
        self.path = os.path.abspath(path)
        ending = os.path.splitext(self.path)[1]
        allowed = {None: tuple(_ENCODERS), True: (".cast",), False: (".mp4", ".png")}[self._is_text]
        if ending not in allowed:
            raise Error(f"The name of this recording has to end in {' or '.join(allowed)}, and {path!r} does not.")
        if ending == ".mp4" and not _find_ffmpeg():
            raise DependencyNotInstalled(f"Install ffmpeg, which {path!r} needs, or let the name end in .png.")
        self.ended = None
        self._begin_to_own()

    def capture_frame(self) -> None:
        """Ask the environment for a frame and add it to the video."""
        if self.ended is not None:
            return
        try:
            frame = self._draw()
        except Exception as problem:  # whatever a renderer raises costs the video, and not the training
            self._give_up(problem)
            return
        if frame is None or self.ended is not None:  # a signal handler or a fork may have ended it meanwhile
            return
        try:
            if self._encoder is None:
                _remove(self.path)
                self._encoder = _ENCODERS[os.path.splitext(self.path)[1]](self.path, self.frames_per_sec, frame)
                self.metadata["encoder_version"] = dict(self._encoder.version)
                self._write_metadata(empty=False)  # an Error here gives it up: none is listed without its metadata
            self._encoder.write(frame)
            self.frames += 1
        except Error as problem:
            self._give_up(problem)
        except BaseException:
            self.end()  # how much of the frame was written nobody knows, so it is the last one
            raise

    def _draw(self) -> Any:
        """The environment's next frame, a picture or a text; None where it has nothing new to show."""
        frame = self._render()
        if isinstance(frame, list):  # gymnasium's `rgb_array_list`: the frames since they were last asked for
            if self.taken is not None:
                self.taken += frame
            if not frame:
                return None
            frame = frame[-1]
        frame = frame[0] if isinstance(frame, tuple) and frame else frame  # a vector's: the first sub-environment's
        frame = getattr(frame, "getvalue", lambda: frame)()  # gym before 0.26 has a StringIO for a text
        if self._is_text is None and self._encoder is None and isinstance(frame, str):
            self.path = os.path.splitext(self.path)[0] + ".cast"
        if self.path.endswith(".cast"):
            if not isinstance(frame, str):
                raise InvalidFrame(f"A text frame has to be a string, not a {type(frame).__name__}.")
            return frame
        picture = _picture(frame)
        self._shape = self._shape or picture.shape
        if picture.shape != self._shape:
            raise InvalidFrame(f"The size of the frames changed from {self._shape} to {picture.shape}.")
        return picture

    def end(self) -> None:
        """Say that no frame will follow. The encoder may take a moment longer than this call."""
        if self.ended is not None:
            return
        self.ended = time.monotonic()  # first: no frame may follow, even if an interrupt cuts the rest short
        try:
            if self._encoder is not None:
                self._encoder.end()
            self._write_metadata(self.empty)
        except Error as problem:
            self._give_up(problem)

    def close(self, wait: bool = True) -> bool:
        """End the video, and tell whether its file is final; with `wait`, wait until it is. May be called again."""
        self.end()
        try:
            if self._encoder is not None:
                self._encoder.end()  # again: an interrupt may have cut it short
                if not self._encoder.finished(wait):
                    return False
        except Error as problem:
            self._give_up(problem)
        self.abandon()  # nothing is open any more
        return True

    def abandon(self, why: str = "") -> None:
        encoder, self._encoder, self.ended = self._encoder, None, self.ended or time.monotonic()
        if encoder is not None:
            encoder.close()  # an interrupt before this leaves a file open, rather than one that is closed in use
        self.settled = True

    def drop(self) -> None:
        """Remove the recording as if it had never been made."""
        self.enabled = False
        self.abandon()  # first: an ffmpeg that is just starting would make its file anew
        _remove(self.path)
        _remove(self.metadata_path)

    def _give_up(self, problem: Exception) -> None:
        """The one rule for a video that cannot be made: no file, the reason in its metadata, a line in the log."""
        self.broken = True
        self.metadata["error"] = str(problem) if isinstance(problem, Error) else f"{type(problem).__name__}: {problem}"
        logger.warning("The video %s was given up: %s", self.path, self.metadata["error"])
        self.drop()
        self.note()

    def note(self, **entries: Any) -> None:
        """Add entries to the metadata file."""
        self.metadata.update(entries)
        try:
            self._write_metadata(self.empty)
        except Error as problem:
            _warn_once(str(problem))

    def _write_metadata(self, empty: bool) -> None:
        content_type = _ENCODERS[os.path.splitext(self.path)[1]].content_type
        self.metadata.update(content_type=content_type, empty=empty, broken=self.broken)
        _write_json(self.metadata_path, self.metadata)


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

_UNKNOWN = "(unknown)"  # gym's manifests name no environment where it is not registered
_RUN_NAME = re.compile(r"openaigym\.(?:manifest\.(.+)\.manifest\.json|episode_batch\.(.+)\.monitor\.csv)\Z", re.DOTALL)
_METADATA_NAME = re.compile(r"openaigym\.video\.(.+)\.(?:video|step)\d+\.meta\.json\Z", re.DOTALL)


class _Run(NamedTuple):
    """What one monitor recorded, finished or not."""
    name: str                        # `{monitor id}.{uid}`; the file's name for one of Stable-Baselines3
    env_id: str                      # empty where it was killed before it could say
    gym_version: str
    start: float                     # of recording, in seconds since the epoch; the first reset in a run of gym's
    initial_reset: float             # the first reset, as far as is known (in gym 0.21, of another clock)
    first_episode_id: int
    timestamps: List[float]
    episode_lengths: List[int]
    episode_rewards: List[float]
    episode_types: List[str]
    info: Dict[str, List[Any]] = {}  # from each of the info_keywords to an entry per episode
    journal: Optional[str] = None    # paths
    manifest: Optional[str] = None
    videos: List[Tuple[str, str]] = []  # recordings (empty: given up or missing) and their metadata


def _make_run(path: str, name: str, header: Dict[str, Any], initial_reset: Any, *columns: Any) -> _Run:
    """A run of four columns (times, lengths, returns, types); an `Error` if they are not such lists, equally long."""
    times, lengths, returns, types = columns
    try:
        if not all(isinstance(column, list) and len(column) == len(times) for column in columns):
            raise ValueError("its lists are missing or not equally long")
        # `sum` checks at the speed of C: a TypeError for what is no number, an OverflowError for what is too large.
        start = 0.0 if initial_reset is None else 0.0 + initial_reset
        steps, _, total = sum(lengths), sum(returns, 0.0), sum(times, start)
        if type(steps) is not int or steps > 10**18 or min(lengths, default=0) < 0 or not math.isfinite(total) or not (
                set(types) <= {"t", "e"}):
            raise ValueError("a time, a length or a type is impossible")
    except (ValueError, TypeError, OverflowError) as problem:
        raise Error(f"{path} does not hold statistics of episodes: {problem}.") from problem
    reset = next(moment for moment in (initial_reset, *times[:1], header.get("t_start"), 0.0) if moment is not None)
    first, env_id = header.get("first_episode_id"), header.get("env_id")
    return _Run(name, "" if env_id is None else str(env_id), str(header.get("gym_version", "none")),
                header.get("t_start", reset), reset, first if isinstance(first, int) else 0, *columns)


def _read_statistics(path: str, name: str = "", header: Optional[Dict[str, Any]] = None) -> _Run:
    """Read a stats.json of ours or of gym, whose `episode_types` may have one entry more than there are episodes."""
    content = _read_json(path)
    start, times, lengths, returns, types = map(content.get, ("initial_reset_timestamp", *_GYM_COLUMNS))
    if isinstance(times, list) and (types is None or isinstance(types, list)):
        types = ["t"] * len(times) if types is None else types[:len(times)]  # gym's first versions did not write them
    return _make_run(path, name, header or {}, start, times, lengths, returns, types)


def _cell_value(cell: str) -> Any:
    """A keyword's cell: numbers, True and False as such, None where it is empty, else its text."""
    if cell in ("", "True", "False"):
        return None if cell == "" else cell == "True"
    for kind in (int, float) if "_" not in cell else ():  # Python would read 1_0 as a number
        with contextlib.suppress(ValueError):
            return kind(cell)
    return cell


def _read_journal(path: str, name: str) -> _Run:
    """A run by its journal: rows of `r,l,t`; ours has `type` and the keywords too. A torn last line is left out."""
    content = _read_file(path)
    line, end, _ = content.partition(b"\n")
    header: Dict[str, Any] = {}
    try:
        if end or not b"#{".startswith(line[:2]):  # else the process was killed before this line was whole
            header = json.loads(line[1:].decode("utf-8"))
            if line[:1] != b"#" or not math.isfinite(0.0 + header["t_start"]):
                raise ValueError("it needs a # and a t_start")
        lines = content[:content.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")[1:-1]
        # The JSON is faster to read: it is used if it is whole, has as many episodes, and there are no keywords.
        if lines[:1] == [",".join(_JOURNAL_COLUMNS)]:
            with contextlib.suppress(Error):
                copy = _read_statistics(path[:-len("monitor.csv")] + "stats.json", name, header)
                if len(copy.timestamps) == len(lines) - 1:
                    return copy._replace(journal=path)
        columns, *rows = map(tuple, csv.reader(lines or [",".join(_JOURNAL_COLUMNS)]))  # tuples: no garbage to collect
        if columns[:3] != ("r", "l", "t"):
            raise ValueError("its columns should begin with r,l,t")
        own = columns[3:4] == ("type",)
        cells = {word: [row[index] if index < len(row) else "" for row in rows] for index, word in enumerate(columns)}
        run = _make_run(path, name, header, header.get("t_start"),
                        [header["t_start"] + float(cell) for cell in cells["t"]], list(map(int, cells["l"])),
                        list(map(float, cells["r"])), cells["type"] if own else ["t"] * len(rows))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, csv.Error) as problem:
        raise Error(f"{path} is not a journal, a header and then rows of r,l,t: {problem}.") from problem
    info = {word: list(map(_cell_value, cells[word])) for word in columns[3 + own:]}
    return run._replace(journal=path, info=info)


def _read_manifest(path: str) -> Tuple[str, Dict[str, Any]]:
    """The path of the statistics that a manifest names, and its `env_info`."""
    content = _read_json(path)
    env_info, name = content.get("env_info"), content.get("stats")
    if not isinstance(env_info, dict) or not isinstance(name, str) or not isinstance(content.get("videos"), list):
        raise Error(f"{path} is not a manifest: it lacks a valid \"env_info\", \"stats\" or \"videos\".")
    if name in ("", ".", "..") or re.search(r"[/\\\x00\ud800-\udfff]", name):
        raise Error(f"{path} names {name!r:.120}, which is not a file of its directory.")
    return os.path.join(os.path.dirname(path), name), env_info


def _read_metadata(path: str) -> Dict[str, Any]:
    """A recording's metadata, or a manifest; empty where it cannot be read, as a picture is not worth an error."""
    with contextlib.suppress(Error):
        return _read_json(path)
    return {}


def _read_run(dir: str, infix: str, names: List[str], metadata_paths: List[str]) -> _Run:
    """One run: from its journal or, where it has none, as gym's, from the files that its manifest names."""
    journal, manifest = f"{FILE_PREFIX}.episode_batch.{infix}.monitor.csv", f"{MANIFEST_PREFIX}.{infix}.manifest.json"
    manifest_path = os.path.join(dir, manifest) if manifest in names else None
    if manifest_path is None or journal in names:
        run = _read_journal(os.path.join(dir, journal), infix)
    else:
        stats, env_info = _read_manifest(manifest_path)
        run = _read_statistics(stats, infix, dict({"env_id": _UNKNOWN}, **env_info))
    videos = []
    for metadata_path in metadata_paths:
        content = _read_metadata(metadata_path)
        stem = metadata_path[:-len(".meta.json")]
        recordings = [stem + ending for ending in [*_ENCODERS, ".json"]]  # .json is gym's text
        found = next(filter(_is_file, recordings), None)
        if content.get("broken") or not (found or content.get("empty")):
            videos.append(("", metadata_path))  # given up, or removed
        elif found and not content.get("empty") and (run.journal is None or _is_whole(found)):  # gym's cannot be told
            videos.append((found, metadata_path))
    return run._replace(manifest=manifest_path, videos=videos)


def _read_runs(dir: str, strict: bool = True) -> List[_Run]:
    """All runs in a directory, sorted by name; an `Error` if there are none, or a file is not what it should be.
    Unless `strict`, such a run is left out with a warning, none may be left, and Stable-Baselines3's are not read."""
    with _naming(dir, "read"):
        names = sorted(os.listdir(dir))
    metadata: Dict[str, List[str]] = {}
    for match in filter(None, map(_METADATA_NAME.match, names)):
        metadata.setdefault(match.group(1), []).append(os.path.join(dir, match.group()))
    runs = []
    for infix in sorted({match.group(1) or match.group(2) for match in filter(None, map(_RUN_NAME.match, names))}):
        try:
            runs.append(_read_run(dir, infix, names, metadata.get(infix, [])))
        except Error as problem:
            if strict:
                raise
            _warn_once("The episodes of an earlier run are not counted: %s", problem)
    if runs or not strict:
        return runs
    # Stable-Baselines3 and OpenAI Baselines call theirs *monitor.csv, and know of no videos.
    runs = [_read_journal(os.path.join(dir, name), name) for name in names if name.endswith("monitor.csv")]
    if not runs:
        raise Error(f"The directory {dir} holds no run: there is neither a manifest nor a journal in it.")
    return runs


def _merge(runs: Sequence[_Run]) -> Tuple[Dict[str, Any], List[int]]:
    """The episodes of several runs, sorted by the time of their end, and the place of each before it was sorted."""
    columns: Dict[str, List[Any]] = {name: [cell for run in runs for cell in getattr(run, name)]
                                     for name in _GYM_COLUMNS}
    columns["data_sources"] = [number for number, run in enumerate(runs) for _ in run.timestamps]
    info = {word: [cell for run in runs for cell in run.info.get(word) or [None] * len(run.timestamps)]
            for word in {word: None for run in runs for word in run.info}}
    order = sorted(range(len(columns["timestamps"])), key=columns["timestamps"].__getitem__)
    pick = operator.itemgetter(*order) if len(order) > 1 else tuple  # sorts a million entries at the speed of C
    merged: Dict[str, Any] = {name: list(pick(column)) for name, column in columns.items()}
    starts = [run.initial_reset for run in runs if run.timestamps]
    merged.update(info={word: list(pick(column)) for word, column in info.items()},
                  initial_reset_timestamps=starts, initial_reset_timestamp=min(starts, default=0))
    return merged, order


def load_results(dir: _PathLike) -> Dict[str, Any]:
    """Read a directory of this module, of gym 0.9 to 0.21 or of Stable-Baselines3. Runs need not be finished.

    Returns:
        A dictionary. Lists with an entry per episode, sorted by the time of its end: `timestamps` (seconds since the
        epoch), `episode_lengths` (steps), `episode_rewards` (returns), `episode_types` ('t' training, 'e' evaluation)
        and `data_sources` (which of the merged runs, counted from 0); and `info`, with such a list for each of the
        `info_keywords` (a number, a truth, a text, or None where there is none). Besides `manifests` (paths), `videos`
        (pairs of paths, recording and metadata), `env_info` (`env_id` and `gym_version`), `initial_reset_timestamps`
        (of each run that has episodes) and `initial_reset_timestamp` (the earliest of them, or 0).

    Raises:
        Error: there is no run, runs are of different environments, or a file is not what it should be.
    """
    runs = _read_runs(os.path.expanduser(os.fspath(dir)))
    results, _ = _merge(runs)
    known = [run for run in runs if run.env_id not in ("", _UNKNOWN)]
    results["env_info"] = collapse_env_infos(
        [{"env_id": run.env_id, "gym_version": run.gym_version} for run in known or runs], dir)
    results["manifests"] = [run.manifest for run in runs if run.manifest is not None]
    results["videos"] = [video for run in runs for video in run.videos if video[0]]
    return results


def collapse_env_infos(infos: Sequence[Dict[str, Any]], dir: _PathLike) -> Dict[str, Any]:
    """The `env_info` of the first of a directory's runs; an `Error` if there is none, or environments differ."""
    names = sorted({str(info.get("env_id")) for info in infos})
    if len(names) != 1:
        raise Error(f"Keep runs of different environments apart: {dir} holds runs of {', '.join(names[:5]) or 'none'}.")
    return dict(infos[0])


def load_env_info_from_manifests(manifests: Iterable[str], dir: _PathLike) -> Dict[str, Any]:
    """The `env_info` that manifests have in common; an `Error` if they are of different environments."""
    return collapse_env_infos([_read_manifest(path)[1] for path in manifests], dir)


def merge_stats_files(paths: Iterable[str]) -> Tuple[Any, ...]:
    """Merge several stats.json, as gym does: (sources, first resets, times, lengths, returns, types, first reset)."""
    merged, _ = _merge([_read_statistics(path) for path in paths])
    return tuple(merged[key] for key in ("data_sources", "initial_reset_timestamps", *_GYM_COLUMNS,
                                         "initial_reset_timestamp"))


# ---------------------------------------------------------------------------------------------------------------------
# Recording
# ---------------------------------------------------------------------------------------------------------------------

_MOST_ENCODERS = 8  # At most so many videos of a process are filmed or finished at a time: an ffmpeg takes 75 MB.


class _Clips:
    """Which episodes have a video (schedule, trigger) and what becomes of it (length, keep). It films one at a time."""

    # Whether the next step concerns the videos.
    active = property(lambda self: self.trigger is not None or self.newest.ended is None)

    def __init__(self, env: Any, stats: StatsRecorder, infix: str, schedule: Callable[[int], bool],
                 options: Any) -> None:
        self.env, self.stats, self.schedule, self.options = env, stats, schedule, options
        self.base = os.path.join(stats.directory or "", f"{FILE_PREFIX}.video.{infix}")  # the beginning of every path
        self.trigger = options.step_trigger if stats.directory is not None else None
        self.newest = VideoRecorder(None, enabled=False)  # the video begun last, filming or ended; this one is off
        self.unfinished: List[VideoRecorder] = []   # in the order in which they began
        self.episode_videos: List[VideoRecorder] = []   # begun in the episode under way
        self.videos: List[Tuple[str, str]] = []     # those that are complete: recording and metadata
        self.taken: List[Any] = []                  # frames of a `rgb_array_list` that `render` still has to show

    def begin_episode(self, number: int, step: Optional[int], metadata: Dict[str, Any]) -> None:
        """Begin episode `number`, by a reset or in the `step` of that number (from 0), and film its first frame."""
        self.drop_episode()  # the videos of one that has ended are not in there any more
        self.taken.clear()
        if self.schedule is not disable_videos and _ask(self.schedule, number, otherwise=False):
            self._begin(f"video{number:06d}", metadata)
        self.film(step, metadata)

    def film(self, step: Optional[int], metadata: Dict[str, Any]) -> None:
        """Film what the environment shows now, in a new video if the trigger asks for one at this step."""
        if self.trigger is not None and step is not None and _ask(self.trigger, step, otherwise=False):
            self._begin(f"step{step:09d}", dict(metadata, step=step))
        self.newest.capture_frame()
        if self.newest.frames >= (self.options.video_length or math.inf):
            self.newest.end()

    def _begin(self, name: str, metadata: Dict[str, Any]) -> None:
        self.newest.end()
        self.list_finished(wait=False)
        if self.stats.journal_owner() == "another's" or not self._has_room():
            return
        try:
            clip = VideoRecorder(self.env, base_path=f"{self.base}.{name}", metadata=metadata, fps=self.options.fps)
        except Exception as problem:  # an attribute of the environment may raise anything, too
            _warn_once(f"A video of {type(self.env).__name__} could not be begun: %r", problem)
            return
        if clip.enabled:
            clip.taken = self.taken
            self.episode_videos.append(clip)
            self.unfinished.append(clip)
            self.newest = clip

    def _has_room(self) -> bool:
        """Whether another video may begin. Waits for one that has ended, where all encoders are busy."""
        busy = [owner for owner in _all_owners() if isinstance(owner, VideoRecorder)]
        if len(busy) < _MOST_ENCODERS:
            return True
        oldest = min(busy, key=lambda video: video.ended or math.inf)
        if oldest.ended is None:
            _warn_once(f"{_MOST_ENCODERS} videos are being filmed in this process, the most at a time: one is left out")
            return False
        return oldest.close()

    def end_episode(self, episode: Episode) -> None:
        """The episode is over: ask whether its video stays, and end it unless it runs on (`video_length` alone)."""
        keep = self.options.keep_video
        for clip in self.episode_videos:
            if clip.metadata.get("episode_id") != episode.episode_id:
                clip.note(episode_id=episode.episode_id)  # a vector's episode gets its number only when it ends
        if keep is not None and self.episode_videos and not _ask(keep, episode, otherwise=True):
            self.drop_episode()
        elif keep is not None or not self.options.video_length:
            self.newest.end()
        self.episode_videos = []

    def drop_episode(self) -> None:
        """Remove the videos that began in this episode: it does not count, or `keep_video` does not want them."""
        for clip in self.episode_videos:
            clip.drop()
            self.unfinished = [other for other in self.unfinished if other is not clip]
            self.videos = [video for video in self.videos if video[0] != clip.path]
        self.episode_videos = []

    def list_finished(self, wait: bool) -> List[Tuple[str, str]]:
        """List the videos whose files are final, in the order in which they began; with `wait`, all that have ended."""
        while self.unfinished and self.unfinished[0].ended is not None and self.unfinished[0].close(wait):
            clip = self.unfinished[0]
            video = clip.path, clip.metadata_path
            if clip.functional and not clip.empty and self.videos[-1:] != [video]:
                self.videos.append(video)
            del self.unfinished[0]  # last, so that an interrupt loses none
        return self.videos


class _Recording(_Owner):
    """What happens between `start` and `close`, or in memory alone: the episodes, and which files they become.

    `Monitor` is the layer around it that passes for an environment. They are two objects because CPython, up to 3.11,
    looks up every attribute more slowly on a class with `__getattr__`: 150 ns per step (.ci/bench.py, step).

    Attributes:
        phase: "pause" between episodes, "episode", "broken" after an exception in the middle of one, "closed".
        aside: whether `step` has to look further than at the plain case. It follows from the rest: see `_enter`.
        four: whether a step is expected to have four values in place of five, as the last one had.
        rewards: the very list `stats.rewards`, of the episode under way. To count a step is to append its reward.
        summary: what `info["episode"]` said last.
        pending_warning: a warning for whoever takes the next step, because that is not recorded.
        next_writing: when statistics and manifest may be written at a reset again, by the steady clock.
    """

    def __init__(self, env: Any, options: Any, folder: Optional[str] = None, infix: str = "",
                 first_episode_id: int = 0, schedule: Callable[[int], bool] = disable_videos,
                 write_upon_reset: bool = False, pending_warning: str = "") -> None:
        self.env, self.options, self.infix = env, options, infix
        self.write_upon_reset, self.pending_warning = write_upon_reset, pending_warning
        self.stats = StatsRecorder(folder, f"{FILE_PREFIX}.episode_batch.{infix}",
                                   bool(_env_metadata(env).get("semantics.autoreset")), _env_id(env),
                                   gym_version=_library_version(env)[0], first_episode_id=first_episode_id,
                                   info_keywords=options.info_keywords)
        self.clips = _Clips(env, self.stats, infix, schedule, options)
        self.rewards = self.stats.rewards
        self.summary: Dict[str, Any] = {}
        self.four, self.next_writing, self.phase = False, 0.0, "pause"
        self._enter("pause")
        if folder is not None:
            self._begin_to_own()

    def _enter(self, phase: str) -> None:
        self.phase = "closed" if self.phase == "closed" else phase  # that is final
        self.aside = self.phase != "episode" or bool(self.pending_warning) or self.clips.active

    def step(self, action: Any) -> Any:
        if self.aside:
            return self._step_aside(action)
        try:
            result = self.env.step(action)
            try:
                if self.four:
                    _, reward, done, info = result
                else:
                    _, reward, terminated, truncated, info = result
                    done = terminated or truncated
                self.rewards.append(float(reward))
            except (TypeError, ValueError, OverflowError, RuntimeError, AttributeError):
                done, info = self._count_any_form(result)
            if done:
                self._end_episode(info)
        except BaseException:
            self._enter("broken")
            raise
        return result

    def _step_aside(self, action: Any) -> Any:
        """A step that is filmed, comes outside of an episode, or has a warning to log first."""
        self._before_step(action)
        if self.phase != "episode":  # closed or broken: pass the step on uncounted
            result = self.env.step(action)
            if self.phase == "broken" and self.stats.autoreset and _reward_done_info(result)[1]:
                self._begin_episode()  # the step has reset the environment, so the next episode counts
            return result
        self._enter("broken")  # until the step is counted: an exception leaves it so
        result = self.env.step(action)
        done, info = self._count_any_form(result)
        if not (done and self.stats.autoreset):  # then the environment shows the next episode already
            self.clips.film(self.stats.total_steps - 1, {"episode_id": self.stats.episode_id})
        if done:
            self._end_episode(info)
        else:
            self._enter("episode")
        return result

    def _before_step(self, action: Any) -> None:
        """Say, once, why nothing is recorded; raise `ResetNeeded` between two episodes."""
        if self.pending_warning:
            _warn_once(self.pending_warning)
            self.pending_warning = ""
        if self.phase == "pause":
            self.stats.before_step(action)

    def _count_any_form(self, result: Any) -> Tuple[bool, Any]:
        """Count the reward of a step in any form there is; return whether it ends the episode, and its info."""
        reward, done, info = _reward_done_info(result)
        self.rewards.append(_as_number(reward))
        self.four = type(result) is tuple and len(result) == 4  # and so will be the next one
        return done, info

    def _end_episode(self, info: Any) -> None:
        """Count the episode that a step has ended, and end its video."""
        number, key = self.stats.episode_id, self.options.stats_key
        last, self.summary = self.summary, self.stats.end_episode(info)
        # `last` is there already where the environment has one `info` for all its steps.
        if key is not None and isinstance(info, dict) and (key not in info or info[key] is last):
            try:
                info[key] = self.summary
            except (TypeError, ValueError, AttributeError, RuntimeError):
                pass  # it is read-only
        if self.clips.episode_videos:
            self.clips.end_episode(Episode(number, self.summary["r"], self.summary["l"], info))
        if self.stats.autoreset:
            self._begin_episode(self.stats.total_steps - 1)
        else:
            self._enter("pause")

    def reset(self, **kwargs: Any) -> Any:
        if self.phase == "closed":
            return self.env.reset(**kwargs)
        if self.phase == "episode" and self.rewards and not self.options.allow_early_resets:
            raise Error("Pass allow_early_resets=True to drop unfinished episodes: this one is not over.")
        self._enter("broken")  # until the episode has begun
        result = self.env.reset(**kwargs)
        self._begin_episode()
        return result

    def _begin_episode(self, step: Optional[int] = None) -> None:
        """Begin an episode, by a reset or in the step of that number. One that is under way is dropped."""
        self.stats.after_reset(None)
        if self.clips.schedule is not disable_videos or self.clips.active:  # else there is nothing to film or to drop
            number = self.stats.episode_id
            self.clips.begin_episode(number, step, {"episode_id": number})
        self._enter("episode")
        self._write_at_reset()

    def _write_at_reset(self) -> None:
        """With `write_upon_reset`: write statistics and manifest, after each of the first thousand episodes."""
        # After those, wait twenty times as long as the last writing took, so that it costs at most a twentieth.
        if self.write_upon_reset and (self.stats.episode_id <= self.stats.first_episode_id + 1000
                                      or time.perf_counter() >= self.next_writing):
            start = time.perf_counter()
            try:
                self.stats.flush()
                self._write_manifest()
            except Error as problem:
                _warn_once(str(problem))
            now = time.perf_counter()
            self.next_writing = now + 20 * (now - start)

    def _write_manifest(self) -> None:
        stats, name = self.stats, f"{MANIFEST_PREFIX}.{self.infix}.manifest.json"
        _write_json(os.path.join(str(stats.directory), name), {
            "stats": os.path.basename(stats.path),
            "videos": [[os.path.basename(path) for path in video] for video in self.clips.videos],
            "env_info": {"env_id": stats.env_id, "gym_version": stats.gym_version}, "closed": self.phase == "closed"})

    def close(self) -> None:
        """End the recording, and wait until its files are complete. After an `Error` another call tries again."""
        if self.phase != "closed":
            self._enter("closed")
            self.pending_warning = "This monitor is closed and records no more: call start(directory) to record again."
        if not self.settled:
            self.clips.newest.end()
            self.clips.list_finished(wait=True)
            try:
                self.stats.close()
            finally:
                if os.path.exists(self.stats.path) and self.stats.journal_owner() != "another's":
                    self._write_manifest()
            self.settled = True

    def abandon(self, why: str = "") -> None:
        """Close what is open without writing: in a forked child, or where the directory is about to be cleared."""
        self._enter("closed")
        self.pending_warning = why
        for owner in (self.stats, *self.clips.unfinished):
            owner.abandon()
        self.clips.unfinished = []
        self.settled = True


def _zeros(ended: Any) -> Any:
    """Zeros in double precision, in an array like this one of truths."""
    return ended.double() * 0 if hasattr(ended, "double") else ended * 0.0  # torch's would be single precision


def _info_of_one(infos: Any, index: int) -> Dict[str, Any]:
    """The entries of one sub-environment in gymnasium's dictionary of arrays."""
    info: Dict[str, Any] = {}
    for name, values in infos.items() if isinstance(infos, dict) else ():
        if str(name)[:1] != "_":  # `_name` marks those that have `name`
            try:
                if infos.get(f"_{name}", {index: True})[index]:
                    info[name] = (_info_of_one(values, index) if isinstance(values, dict) else
                                  values if isinstance(values, str) else values[index])
            except (TypeError, IndexError, KeyError):
                info[name] = values  # one for all sub-environments
    final = info.pop("final_info", None)  # of the old episode, where the step has begun the next one
    return {**info, **final} if isinstance(final, dict) else info


class _VectorRecording(_Recording):
    """The recording of a vector environment; its videos show the first sub-environment. `aside` and `four` are unused.

    Attributes:
        returns: an array of the environment's own kind (numpy's, or torch's) with the rewards summed so far.
        under_way: per sub-environment (steps before its episode, time it began, its type); None: it does not count.
        resetting: the sub-environments that the next step only resets.
        steps: calls of `step` since the start, each of which is a step of every sub-environment.
        first_env_episode: the number of the first sub-environment's episode, for the schedule: it counts no others.
        same_step: whether the step that ends an episode begins the next one; None until that is known.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.returns: Any = None
        self.under_way: List[Optional[Tuple[int, float, str]]] = []
        self.resetting: List[int] = []
        self.steps, self.first_env_episode = 0, self.stats.first_episode_id
        mode = _env_metadata(self.env).get("autoreset_mode")
        self.same_step = None if mode is None else "same" in str(getattr(mode, "value", mode)).lower()

    def step(self, action: Any) -> Any:
        self._before_step(action)
        if self.phase == "closed":
            return self.env.step(action)
        try:
            result = self.env.step(action)
            _, rewards, terminated, truncated, infos = result
            ended = terminated | truncated
            if self.returns is None:
                self.returns = _zeros(ended)
            self.returns += rewards.detach() if hasattr(rewards, "detach") else rewards  # no graph of torch's is kept
            self.steps += 1
            self.stats.other_steps += len(self.under_way) - len(self.resetting)  # here they are all the steps there are
            reset, self.resetting = self.resetting, []
            if reset:
                self._begin_episodes(reset, self.steps - 1)  # for them this step was a reset, and its reward none
            any_ended = bool(ended.any())
            if any_ended and self.same_step is None:
                self.same_step = self._resets_in_the_same_step(infos)
            if self.clips.active and self.under_way[0] is not None and 0 not in reset and not (
                    self.same_step and ended[0]):  # then it shows the next episode already
                self.clips.film(self.steps - 1, {"sub_environment": 0})
            if any_ended:
                self._end_episodes(ended, infos)
        except BaseException:  # no episode under way is counted; the next one of each sub-environment is
            self.under_way, self.resetting = [None] * len(self.under_way), []
            raise
        return result

    def _resets_in_the_same_step(self, infos: Any) -> bool:
        """Whether the step that ends an episode begins the next one, in an environment that does not declare it."""
        _, version = _library_version(self.env)
        said = isinstance(infos, dict) and not {"final_info", "final_observation", "final_obs"}.isdisjoint(infos)
        if said or version and version < (1, 0):
            return True  # gym's all do, and gymnasium's before 1.0
        inner = getattr(self.env, "unwrapped", self.env)
        if type(inner).__module__.split(".")[0] != "gymnasium":  # gymnasium's own, from 1.0 on, do not
            _warn_once("%s has no autoreset_mode: it is taken to reset in a step of its own.", type(inner).__name__)
        return False

    def _begin_episodes(self, indices: Iterable[int], step: Optional[int] = None) -> None:
        """Begin episodes in these sub-environments, by a reset or in the step of that number."""
        now = time.perf_counter()
        for index in indices:
            if self.returns is not None:
                self.returns[index] = 0.0
            self.under_way[index] = self.steps, now, self.stats.type
        if 0 in indices:
            self.clips.begin_episode(self.first_env_episode, step, {"sub_environment": 0})
        self._write_at_reset()

    def _end_episodes(self, ended: Any, infos: Any) -> None:
        """Record the episodes that a step has ended, except those that an exception cut short."""
        key, indices = self.options.stats_key, [index for index, end in enumerate(ended.tolist()) if end]
        last, self.summary = self.summary, {"r": _zeros(ended), "l": ended * 0, "t": _zeros(ended)}
        counted = ended & False
        for index in filter(self.under_way.__getitem__, indices):
            step, start, type = self.under_way[index]  # type: ignore[misc]
            number = self.stats.episode_id
            info = _info_of_one(infos, index) if index == 0 or self.options.info_keywords else {}
            summary = self.stats.record(float(self.returns[index]), self.steps - step, type, start, info)
            counted[index] = True
            for name, column in self.summary.items():
                column[index] = summary[name]
            if index == 0:
                self.first_env_episode += 1
                if key is not None:
                    info.setdefault(key, summary)
                self.clips.end_episode(Episode(number, summary["r"], summary["l"], info))
        if key is not None and isinstance(infos, dict) and (key not in infos or infos[key] is last):
            infos[key], infos["_" + key] = self.summary, counted
        if self.same_step:
            self._begin_episodes(indices, self.steps - 1)
        else:
            self.resetting = indices

    def reset(self, **kwargs: Any) -> Any:
        if self.phase == "closed":
            return self.env.reset(**kwargs)
        mask = (kwargs.get("options") or {}).get("reset_mask")
        try:
            result = self.env.reset(**kwargs)
            self.stats.after_reset(None)
            self.under_way = self.under_way or [None] * int(self.env.num_envs)
            chosen = [index for index in range(len(self.under_way)) if mask is None or mask[index]]
            self.resetting = sorted(set(self.resetting).difference(chosen))
            self._enter("episode")
            self._begin_episodes(chosen)
        except BaseException:  # as in `step`
            self.under_way, self.resetting = [None] * len(self.under_way), []
            raise
        return result


# ---------------------------------------------------------------------------------------------------------------------
# Monitor
# ---------------------------------------------------------------------------------------------------------------------

class Monitor:
    """Wrap an environment and record what it does, into a directory.

    The environment's own calls and attributes work through the monitor, and what they return is passed on unchanged.
    Only an `info` dictionary gets one more entry at the end of an episode, `info["episode"]`.

    Args:
        env: any object with `reset` and `step`, where `step` answers `(observation, reward, done, info)`,
            `(observation, reward, terminated, truncated, info)` or dm_env's `TimeStep`.
        directory: where the files go; made if missing. None records in memory only; `start` then begins anew.
        video_callable: which episodes get a video, `int -> bool`. None is the cubes up to 1000 and then every
            thousandth (none with a `step_trigger`); False is none.
        force: first remove the recorder's files of an earlier run from the directory.
        resume: keep them, and go on with their numbering of episodes (of the same `uid`, where one is given).
        write_upon_reset: write statistics and manifest in gym's format at resets too, not only at the end.
        uid: part of this monitor's file names (1 to 100 bytes), in place of the process id.
        mode: 'training' (the default) or 'evaluation': the type of the episodes.
        allow_early_resets: whether `reset` may be called in mid-episode. The unfinished episode is dropped.
        step_trigger: at which steps to begin a video, `int -> bool`, of the steps since the start, counted from 0.
        video_length: frames after which a video ends, even past its episode (not with `keep_video`); None: with it.
        fps: frames per second of the videos, more than 0; None: what the environment's `metadata` says, else 30.
        stats_key: the entry of an episode's last `info` for its return "r", length "l" and seconds "t"; None: no entry.
        info_keywords: entries of the last `info` of an episode to write into the journal and into `info["episode"]`.
        keep_video: whether the video of an `Episode` that is over stays, `Episode -> bool`; None keeps all.

    Attributes:
        env: the environment inside. Every public attribute that a Monitor lacks is looked up on it.
        enabled: whether a directory is being recorded into.
        episode_id: number of the episode under way or, between two, of the next one; counted from 0.
        videos: pairs of paths, recording and metadata; reading it waits for videos that are still being finished.
        stats_recorder, video_recorder: the `StatsRecorder`, and the `VideoRecorder` of the newest video, or None.
        file_prefix, file_infix: "openaigym", and what tells its files from others', `{monitor id}.{uid or process id}`.
        directory, video_callable, write_upon_reset, allow_early_resets: as given, or what was chosen.

    Raises:
        Error: an argument is wrong, the directory cannot be written, or holds an earlier run.
    """

    file_prefix = FILE_PREFIX
    class_name = classmethod(lambda cls: cls.__name__)  # by which gym's wrappers tell who is wrapped twice
    _recording_type: Type[_Recording] = _Recording
    _numbers = itertools.count()  # the monitor ids of this process

    def __init__(self, env: Any, directory: Optional[_PathLike] = None, video_callable: _Schedule = None,
                 force: bool = False, resume: bool = False, write_upon_reset: bool = False,
                 uid: Optional[Union[str, int]] = None, mode: Optional[str] = None, *, allow_early_resets: bool = True,
                 step_trigger: Optional[Callable[[int], bool]] = None, video_length: Optional[int] = None,
                 fps: Optional[float] = None, stats_key: Optional[str] = "episode",
                 info_keywords: Sequence[str] = (), keep_video: Optional[Callable[[Episode], bool]] = None) -> None:
        vector = issubclass(self._recording_type, _VectorRecording)
        self.env = _checked_env(env, vector)
        _check("allow_early_resets", allow_early_resets, allow_early_resets or not vector, "True for vectors")
        self._options = _checked_options(types.SimpleNamespace(
            allow_early_resets=bool(allow_early_resets), step_trigger=step_trigger, video_length=video_length, fps=fps,
            stats_key=stats_key, info_keywords=info_keywords, keep_video=keep_video))
        wishes = (video_callable, force, resume, write_upon_reset, uid, step_trigger, video_length, fps, keep_video)
        self._record(pending_warning="Pass a directory to Monitor, or call start(directory): an argument of a "
                     "recording was given, but nothing is recorded." if any(wishes) else "")
        self.set_monitor_mode(mode)
        if directory is not None:
            self.start(directory, video_callable, force, resume, write_upon_reset, uid, mode)

    def _record(self, *arguments: Any, **options: Any) -> None:
        """Replace the recording: in files or, without arguments, in memory."""
        self._recording = self._recording_type(self.env, self._options, *arguments, **options)
        self._env_closed = False
        for name in ("step", "reset"):
            # A subclass keeps its own method. Skipping those below saves a third of a step: .ci/bench.py, step.
            if getattr(type(self), name) is getattr(Monitor, name):
                setattr(self, name, getattr(self._recording, name))

    def start(self, directory: _PathLike, video_callable: _Schedule = None, force: bool = False, resume: bool = False,
              write_upon_reset: bool = False, uid: Optional[Union[str, int]] = None,
              mode: Optional[str] = None) -> None:
        """Begin to record, into a directory; after `close` it may be called again. For the arguments see `Monitor`."""
        if self.enabled:
            raise Error(f"Call close() before this monitor is started again: it is recording into {self.directory}.")
        schedule: Any = disable_videos if video_callable is False else video_callable
        if schedule is None:
            schedule = disable_videos if self._options.step_trigger else capped_cubic_video_schedule
        _check("video_callable", schedule, callable(schedule), "a function, None or False")
        self.set_monitor_mode(mode)  # checks it before anything changes; below it is set for the new recording
        uid_text, folder, first = _checked_uid(uid), _checked_directory(directory), 0
        with _naming(folder):
            os.makedirs(folder, exist_ok=True)
            names = [name for name in map(os.path.basename, detect_monitor_files(folder)) if name != _REPORT_NAME]
            if force:
                self._clear(folder)
            elif resume:
                first = self._earlier_episodes(folder, None if uid in (None, "") else uid_text)
            elif names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                raise Error("Pass resume=True to keep the earlier run and go on, force=True to remove it first, or "
                            f"another directory: {folder} holds {', '.join(names[:5])}{more}.")
            self._claim(uid_text, folder, first, schedule, write_upon_reset)
        self.set_monitor_mode(mode)

    def _clear(self, folder: str) -> None:
        """Remove the files of an earlier run, of this process too, as where the cell of a notebook is run again."""
        place = os.path.realpath(folder)
        for other in _all_owners():
            if isinstance(other, _Recording) and os.path.realpath(str(other.stats.directory)) == place:
                other.abandon(f"Another monitor has cleared {folder}: this one does not record any more.")
        clear_monitor_files(folder)

    def _earlier_episodes(self, folder: str, uid: Optional[str]) -> int:
        """How many episodes earlier runs (of this uid, if given) have; an `Error` if they are of other environments."""
        runs = _read_runs(folder, strict=False)  # a damaged file is no reason to keep a training from going on
        env_ids = sorted({run.env_id for run in runs} - {"", _UNKNOWN, _env_id(self.env)})
        if env_ids:
            raise Error(f"Choose another directory, or pass force=True: {folder} holds a run of {env_ids[0]}, and this "
                        f"environment is {_env_id(self.env)}.")
        return sum(len(run.timestamps) for run in runs if uid in (None, run.name.partition(".")[2]))

    def _claim(self, uid_text: str, folder: str, *arguments: Any) -> None:
        """Record under the first infix that no file has. Creating its journal claims it: who comes second tries on."""
        names = os.listdir(folder)
        while not self.enabled:
            infix = f"{next(self._numbers)}.{uid_text}"
            if not any(name.startswith(FILE_PREFIX) and f".{infix}." in name for name in names):
                try:
                    self._record(folder, infix, *arguments)
                except Error as problem:
                    if not isinstance(problem.__cause__, FileExistsError):
                        raise

    def step(self, action: Any) -> Any:
        """Take a step, and return what the environment's `step` returns; `ResetNeeded` if no episode is under way."""
        return self._recording.step(action)

    def reset(self, **kwargs: Any) -> Any:
        """Begin an episode; return what the environment's `reset` returns. One under way is dropped, where allowed."""
        return self._recording.reset(**kwargs)

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the environment as it does by itself. A list of frames begins with those that a video took from it."""
        result, taken = self.env.render(*args, **kwargs), self._recording.clips.taken
        if isinstance(result, list) and taken:
            result = taken + result
            taken.clear()
        return result

    def close(self, **kwargs: Any) -> Any:
        """End the recording, wait until its files are complete, and close the environment; return what that returns.
        A video under way stays. As long as statistics are missing from the directory, each call is an `Error`."""
        result = None
        try:
            self._recording.close()
        finally:
            close = getattr(self.env, "close", None)
            if callable(close) and not self._env_closed:
                result = close(**kwargs)
                self._env_closed = True
        return result

    directory = property(lambda self: self._recording.stats.directory)
    enabled = property(lambda self: self.directory is not None and self._recording.phase != "closed")
    stats_recorder = property(lambda self: self._recording.stats)
    video_recorder = property(lambda self: self._recording.clips.newest if self._recording.clips.newest.path else None)
    video_callable = property(lambda self: self._recording.clips.schedule)
    file_infix = property(lambda self: self._recording.infix)
    write_upon_reset = property(lambda self: self._recording.write_upon_reset)
    allow_early_resets = property(lambda self: self._options.allow_early_resets)
    unwrapped = property(lambda self: getattr(self.env, "unwrapped", self.env))
    episode_id = property(lambda self: self._recording.stats.episode_id)
    videos = property(lambda self: self._recording.clips.list_finished(wait=True)[:])

    def set_monitor_mode(self, mode: Optional[str]) -> None:
        """Set the type of the episodes from the next reset on: 'training' or 'evaluation'."""
        _check("mode", mode, mode in (None, "training", "evaluation"), "'training' or 'evaluation'")
        self._recording.stats.type = "e" if mode == "evaluation" else "t"

    def get_total_steps(self) -> int:
        """Steps taken, those of dropped episodes and of every sub-environment included."""
        return self._recording.stats.total_steps  # type: ignore[no-any-return]

    def get_episode_rewards(self) -> List[float]:
        """Return of each completed episode."""
        return self._recording.stats.episode_rewards  # type: ignore[no-any-return]

    def get_episode_lengths(self) -> List[int]:
        """Length of each completed episode, in steps."""
        return self._recording.stats.episode_lengths  # type: ignore[no-any-return]

    def get_episode_times(self) -> List[float]:
        """When each completed episode ended, in seconds since the monitor was started."""
        return self._recording.stats.episode_times  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        """Look up every other public attribute on the environment."""
        if name.startswith("_") or name == "env":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if hasattr(self.env, name) or not hasattr(self.env, "get_wrapper_attr"):
            return getattr(self.env, name)
        return self.env.get_wrapper_attr(name)  # gymnasium's wrappers show those of the ones below only by this name

    def has_wrapper_attr(self, name: str) -> bool:
        """gymnasium: whether the monitor or an environment inside has an attribute."""
        ours = name in self.__dict__ or hasattr(type(self), name)
        return ours or bool(getattr(self.env, "has_wrapper_attr", functools.partial(hasattr, self.env))(name))

    def get_wrapper_attr(self, name: str) -> Any:
        """gymnasium: an attribute of the monitor or of an environment inside, a private one too."""
        if name in self.__dict__ or hasattr(type(self), name):
            return getattr(self, name)
        return getattr(self.env, "get_wrapper_attr", functools.partial(getattr, self.env))(name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """gymnasium: set an attribute where it is, of the monitor or of an environment inside."""
        ours = name in self.__dict__ or hasattr(type(self), name)
        if not ours and hasattr(self.env, "set_wrapper_attr"):  # gymnasium 1.0's neither takes `force` nor answers
            return self.env.set_wrapper_attr(name, value, **{} if force else {"force": False}) is not False
        if ours or force or hasattr(self.env, name):
            setattr(self if ours else self.env, name, value)
            return True
        return False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore
        """A monitor of a gymnasium (or gym) environment passes for a wrapper of that library in `isinstance`."""
        found = _library_class(self.__dict__.get("env"))
        return type(self) if found is None else getattr(
            sys.modules.get(found.__module__), found.__name__.replace("Env", "Wrapper"), found)

    def __reduce__(self) -> Any:
        """A copy keeps statistics of its own, in memory; it records once it is started."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("_recording", "step", "reset")}
        return object.__new__, (type(self),), state

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._record()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{self.env}>"


class VectorMonitor(Monitor):
    """Record a gymnasium `VectorEnv` as one object: every sub-environment's episodes, in one journal.

    The arguments are `Monitor`'s. Resetting all sub-environments, or those that `options["reset_mask"]` picks, drops
    their episodes under way; `allow_early_resets=False` is an `Error`. Arrays may be numpy's, or torch's on the CPU.
    `info["episode"]` has an array for each of "r", "l" and "t", and `info["_episode"]` tells which of their entries
    are of episodes that this step ended. Videos show the first sub-environment, and count its episodes.
    """

    _recording_type = _VectorRecording


# ---------------------------------------------------------------------------------------------------------------------
# Optional: what follows (report, demo, command line) may be cut off; the file above this line works alone
# ---------------------------------------------------------------------------------------------------------------------
# Report: Python reads and counts, and hands over one JSON blob; the page's script draws all of it
# ---------------------------------------------------------------------------------------------------------------------

__all__ += ["Report", "report", "Lander", "demo", "main"]

_MOST_RUNS = 50             # of a directory that holds more, the newest are shown
_CAST_LENGTH = 200 * 1000   # characters of a text recording that go into the page
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
# What tells the runs of a group apart: the end of `ppo_seed0`, `ppo-1`, or CleanRL's `ppo__1__1700000000`. That of
# `lr0.001` or `lr1e-4` is no seed but a setting.
_SEED = re.compile(r"(?i)(?:[-_ ]*(?:seed|run)[-_= ]*|(?<!\de)[-_ ]+|(?<![\d.])(?<!\de)(?<!\de-))\d+(?:_+\d{10})?\Z")


def _range(values: Iterable[Optional[float]]) -> Tuple[Optional[float], ...]:
    """The mean, the lowest and the highest of the values that are finite; None where there are none."""
    finite = [value for value in values if value is not None and abs(value) < 1e300]    # a sum of more may overflow
    return (math.fsum(finite) / len(finite), min(finite), max(finite)) if finite else (None, None, None)


def _number(value: Optional[float]) -> str:
    """As a person would round it: 4 significant digits, thousands whole and grouped."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 999.95 <= abs(value) < 1e15 else "%.4g" % (value + 0.0)


def _duration(seconds: float) -> str:
    """A time with two digits: 42 s, 17 min, 3.4 h."""
    unit, name = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return _number(float("%.2g" % (seconds / unit))) + " " + name


def _spread(values: Iterable[Optional[float]]) -> str:
    """The mean of several runs with their sample standard deviation, or the only value there is."""
    known = [value for value in values if value is not None]
    mean, _, _ = _range(known)
    if len(known) < 2 or mean is None or max(map(abs, known)) > 1e12:
        return _number(mean)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))
    digits = 1 if deviation >= 0.1 or not deviation else min(6, 1 - math.floor(math.log10(deviation)))
    return f"{mean:,.{digits}f} ± {deviation:,.{digits}f}"


def _cells(summaries: List[Dict[str, Any]]) -> Dict[str, str]:
    """A row of the table: of one run, or of a group, whose counts are added up and whose returns are averaged."""
    column = {key: [one[key] for one in summaries] for key in summaries[0]}
    steps, seconds = sum(column["steps"]), sum(column["seconds"])
    return {"Episodes": _number(sum(column["episodes"])), "Steps": _number(steps), "Time": _duration(seconds),
            "Steps/s": _number(float("%.3g" % (steps / seconds)) if seconds else None),
            "Last 100": _spread(column["return_last_100"]), "Evaluation": _spread(column["evaluation_return_mean"]),
            "Mean": _spread(column["return_mean"]), "Best": _number(_range(column["return_best"])[2]),
            "Length": _spread(column["length_mean"])}


class _Curve:
    """What a directory recorded, as the episodes of all its monitors ended. The page calls this a run."""

    def __init__(self, directory: str, name: str, runs: List[_Run]) -> None:
        merged, order = _merge(runs)
        self.name, self.runs, self.info, self.ends = name, runs, merged["info"], merged["timestamps"]
        self.returns: List[float] = merged["episode_rewards"]
        self.lengths, self.types = merged["episode_lengths"], merged["episode_types"]
        # The numbers are of training, where there is any.
        self.main = "t" if "t" in self.types or not self.types else "e"
        self.steps = list(itertools.accumulate(
            length * (kind == self.main) for length, kind in zip(self.lengths, self.types)))
        self.spans = sorted((run.start, max(run.timestamps)) for run in runs if run.timestamps)
        self.videos = self._list_videos(order)
        env_ids = {run.env_id for run in runs if run.env_id}
        returns, evaluations = (
            [value for value, kind in zip(self.returns, self.types) if kind == wanted] for wanted in (self.main, "e"))
        steps, broken = self.steps[-1] if self.steps else 0, sum(bool(video["trouble"]) for video in self.videos)
        mean, _, best = _range(returns)
        self.summary: Dict[str, Any] = {            # what `--json` prints
            "directory": directory or None, "env_id": env_ids.pop() if len(env_ids) == 1 else None,
            "episodes": len(returns), "steps": steps, "seconds": self.running(math.inf),
            "return_mean": mean, "return_best": best, "return_last_100": _range(returns[-100:])[0],
            "length_mean": steps / len(returns) if returns else None,
            "evaluations": len(evaluations), "evaluation_return_mean": _range(evaluations)[0],
            "videos": len(self.videos) - broken, "broken_videos": broken,
            "not_finite": len(self.returns) - sum(map(math.isfinite, self.returns))}
        parent, base = os.path.split(os.path.abspath(directory))
        self.group = self.summary["env_id"] or _UNKNOWN, _SEED.sub("", base) or os.path.basename(parent)
        # What can be drawn: return, length, and each keyword whose entries are numbers, or true and false.
        self.measures: Dict[str, List[Any]] = {"return": self.returns, "length": self.lengths}
        for keyword, values in self.info.items():
            kinds = set(map(type, values)) - {type(None)}
            if kinds and kinds <= {int, float, bool}:
                self.measures.setdefault(keyword, values)

    def running(self, moment: float) -> float:
        """How many seconds any of the runs had been going by then: the pause before a resume does not count."""
        total, reached = 0.0, -math.inf
        for start, end in self.spans:
            total += max(0.0, min(moment, end) - max(start, reached))
            reached = max(reached, end)
        return float("%.6g" % total)

    def _list_videos(self, order: List[int]) -> List[Dict[str, Any]]:
        """The videos of all runs; `order`: which episode, counted run after run, is where on the curve."""
        ranks = iter(sorted(range(len(order)), key=order.__getitem__))
        videos: List[Dict[str, Any]] = []
        for run in self.runs:
            places = list(itertools.islice(ranks, len(run.timestamps)))
            for path, metadata_path in run.videos:
                metadata = _read_metadata(metadata_path)
                number, step = metadata.get("episode_id"), metadata.get("step")
                index = number - run.first_episode_id if isinstance(number, int) else -1
                place = places[index] if 0 <= index < len(places) else None
                title = "Unfinished episode" if place is None else f"Episode {_number(place)}"
                facts = [] if place is None else [
                    f"return {_number(self.returns[place])}", f"{_number(self.lengths[place])} steps",
                    f"at step {_number(self.steps[place])}"] + ["evaluation"] * (self.types[place] != self.main)
                videos.append({"path": path, "file": os.path.basename(path or metadata_path), "place": place,
                               "title": title if step is None else f"From step {step}", "facts": facts,
                               "trouble": "" if path else str(metadata.get("error") or "its file is missing")})
        ranked = sorted((video for video in videos if video["path"] and video["place"] is not None),
                        key=lambda video: self.returns[video["place"]])
        if len(ranked) > 2:
            ranked[0]["title"] += ", worst"
            ranked[-1]["title"] += ", best"
        return videos

    def state(self) -> Tuple[float, str]:
        """When the run was heard of last, and what that means: if it was silent for a minute and five times the longest
        pause between its last hundred episodes, it is perhaps killed."""
        run = max(self.runs, key=lambda run: max(run.timestamps or [run.start]))
        recent = sorted(run.timestamps)[-100:] or [run.start]
        pauses = [later - sooner for sooner, later in zip(recent, recent[1:])]
        silent = time.time() - recent[-1] > 60 + 5 * max(pauses, default=0)
        text = f"{'perhaps killed' if silent else 'running'}, last episode {{}} ago"
        if not run.timestamps:
            text = "no episode yet, started {} ago"
        if run.manifest and _read_metadata(run.manifest).get("closed", True):       # False: written at a reset
            text = "ended"
        elif os.path.basename(run.journal or "") == run.name:       # another recorder's, which does not tell its end
            text = "last episode {} ago"
        return recent[-1], text

    def page(self, most: int) -> Dict[str, Any]:
        """The run as the page's script takes it; an evaluation round, between two episodes of training, is a point."""
        def shares(values: List[Any]) -> List[List[Any]]:
            size = math.ceil(len(values) / most)        # so many neighbours become one point
            return [values[first:first + size] for first in range(0, len(values), size or 1)]

        def point(episodes: List[int]) -> Dict[str, Any]:
            values = {name: [None if value is None else float("%.6g" % value)      # a screen can show no more digits
                             for value in _range(map(column.__getitem__, episodes))]
                      for name, column in self.measures.items()}
            last = episodes[-1]
            return {"n": len(episodes), "episodes": last, "steps": self.steps[last],
                    "time": self.running(self.ends[last]), "values": values}

        training = [episode for episode, kind in enumerate(self.types) if kind == self.main]
        rounds = [list(some) for kind, some in itertools.groupby(range(len(self.types)), self.types.__getitem__)
                  if kind != self.main]
        return {"training": list(map(point, shares(training))),
                "rounds": [point(sum(several, [])) for several in shares(rounds)]}


def _rows(curves: List[_Curve]) -> List[Dict[str, Any]]:
    """The rows of the table, the page's legend too: runs and, above its runs, a group. Groups have a colour each."""
    groups: Dict[Tuple[str, str], List[int]] = {}
    for index, curve in enumerate(curves):
        groups.setdefault(curve.group, []).append(index)
    alone, one_env, rows = len(groups) == 1, len({environment for environment, _ in groups}) == 1, []
    for number, (group, members) in enumerate(groups.items()):
        kind = "inner" if len(members) > 1 else ""
        if kind:
            name = f"{' · '.join(group[one_env:])}, {len(members)} runs"
            rows.append(("group", name, members, "ink" if alone else f"c{number % 7}"))
        rows += [(kind, curves[index].name, [index], f"c{(index if alone else number) % 7}") for index in members]
    return [{"kind": kind, "name": name, "runs": runs, "style": f"--c: var(--{colour})",
             "cells": _cells([curves[index].summary for index in runs])} for kind, name, runs, colour in rows]


def _news(curves: List[_Curve]) -> Tuple[_Curve, str]:
    """The run that was heard of last, and what is known of it."""
    newest = max(curves, key=lambda curve: curve.state()[0])
    since, text = newest.state()
    return newest, text.format(_duration(max(0, round(time.time() - since))))


def _read_curves(dirs: Sequence[str]) -> Tuple[List[_Curve], str]:
    """The curves of all directories, or of those below one that holds no run; and a note of what is left out."""
    curves, notes, directories = [], [], []
    for dir in dirs:
        times = {}
        for place, _, names in os.walk(dir):        # no link is followed
            runs = [name for name in names if _RUN_NAME.match(name) or name.endswith("monitor.csv")]
            if runs:
                times[place] = max(os.lstat(os.path.join(place, name)).st_mtime for name in runs)
        found = [dir] if dir in times or not times else sorted(times, key=times.__getitem__, reverse=True)
        if len(found) > _MOST_RUNS:
            notes.append(f"The newest {_MOST_RUNS} of the {len(found)} runs in {dir}.")
        directories += sorted(found[:_MOST_RUNS])
    common = os.path.commonpath([os.path.dirname(os.path.abspath(directory)) for directory in directories])
    for directory in dict.fromkeys(directories):
        try:
            curves.append(_Curve(directory, os.path.relpath(directory, common), _read_runs(directory)))
        except Error as problem:
            if directory in dirs:       # the others can do without one that was only found on the way
                raise
            notes.append(f"Left out: {problem}")
    if not curves:
        raise Error(notes[0])
    return curves, " ".join(notes)


def _address(path: str, folder: Optional[str]) -> str:
    """How a page in the folder refers to a file: relative, so that they may be moved together. Without a folder, the
    address of a video holds its contents."""
    if folder is not None:
        from urllib.parse import quote
        return quote(os.fsencode(os.path.relpath(path, folder).replace(os.sep, "/")))
    import base64
    kind = "image/png" if path.endswith(".png") else "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(_read_file(path)).decode('ascii')}"


def _page(curves: List[_Curve], folder: Optional[str], note: str = "", refresh: float = 0) -> str:
    """The whole page, to be put into a folder or, with its videos inside it, anywhere."""
    env_ids = sorted({curve.group[0] for curve in curves} - {_UNKNOWN, "None"}) or [curves[0].name]
    measures = {name: {"name": name, "truth": set(map(type, values)) <= {bool, type(None)}}
                for curve in curves for name, values in curve.measures.items()}
    cards = [dict(video, run=run) for run, curve in enumerate(curves) for video in curve.videos]
    cards.sort(key=lambda card: -math.inf if card["place"] is None else -curves[card["run"]].ends[card["place"]])
    for card in cards:
        path = card.pop("path")
        try:
            if path.endswith((".mp4", ".png")):
                card["link"] = _address(path, folder)
            elif path:
                with open(path, encoding="utf-8", errors="replace") as file:
                    _, *events = map(json.loads, file.read(_CAST_LENGTH).split("\n")[:-1])      # not a torn last line
                    card["title"] += ", its beginning" * bool(file.read(1))
                # An event draws a whole screen: what follows its clearing, without what else moves the cursor.
                card["screens"] = [re.sub(r"(?s)\A.*(?:\x1b\[[23]J|\x1bc)|\r|\x1b\[[0-9;?]*[@-ln-~]", "", str(text))
                                   for _, _, text in events] or [""]
                card["pace"] = max(0.0, min(1.0, events[-1][0] / len(events))) if events else 1.0
        except Exception as problem:        # a file may hold anything
            card["trouble"] = getattr(problem, "strerror", None) or str(problem)
    journals = [run.journal for curve in curves for run in curve.runs if run.journal and folder is not None]
    most = max(100, 2000 // (1 + len(curves)))          # points of a curve: a screen has no room for more
    data = {
        "title": ", ".join(env_ids), "news": "{.name}: {}".format(*_news(curves)), "note": note,
        "refresh": refresh, "written": time.time(),
        "units": _UNITS, "measures": list(measures.values()), "runs": [curve.page(most) for curve in curves],
        "rows": _rows(curves), "cards": cards, "journals": [_address(path, folder) for path in journals]}
    # No "<" of a name or a text can end the script element that it stands in.
    return _PAGE.replace("@@data@@", json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


class Report:
    """What one or several directories hold, to look at; a notebook shows it as the last line of a cell.

    Args:
        dirs: directories of this module, of gym's Monitor or of Stable-Baselines3's, finished or still being written.
            One that holds no run itself stands for all runs below it.
        embed: whether the videos are put into the page itself, so that it can be sent alone.

    Attributes:
        summary: the numbers of `report --json`, of all directories together, and of each in a list "runs".
        html: the page. It refers to the videos as a file in the first directory would, or holds them.

    Raises:
        Error: there is no directory, or one that cannot be read.
    """

    def __init__(self, *dirs: _PathLike, embed: bool = False) -> None:
        if not dirs:
            raise Error("report() needs at least one directory")
        self._curves, self._note = curves, note = _read_curves([os.fspath(dir) for dir in dirs])
        together = curves[0] if len(curves) == 1 else _Curve("", "", [run for curve in curves for run in curve.runs])
        self.summary: Dict[str, Any] = dict(together.summary, runs=[curve.summary for curve in curves])
        self.html = _page(curves, None if embed else os.fspath(dirs[0]), note)

    def _repr_html_(self) -> str:
        import html
        return ('<iframe title="Report of recorded episodes" srcdoc="%s" width="100%%" height="800" style="border: 0" '
                'allowfullscreen></iframe>' % html.escape(_page(self._curves, None, self._note)))


report = Report     # report("runs/first") reads as what it does


_PAGE = r"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark; --paper: light-dark(#fcfcfa, #15171a); --ink: light-dark(#1c1d20, #e9e8e4);
  --soft: light-dark(#5a5e66, #a4a8b0); --rule: light-dark(#dddcd6, #34383e); --c0: light-dark(#1f63b5, #6fb1f7);
  --c1: light-dark(#bf4a0a, #f79a5c); --c2: light-dark(#18794e, #5fcb95); --c3: light-dark(#8a3ab9, #cd97ec);
  --c4: light-dark(#b4233c, #f7848f); --c5: light-dark(#0b7285, #55c8d9); --c6: light-dark(#8a6100, #dab54e);
}
* { box-sizing: border-box } h1, h2, p { margin: 0 } section, footer { margin-top: 1.5rem } label { cursor: pointer }
body { max-width: 76rem; margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2.5rem); overflow-wrap: anywhere }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header, .bar { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.25rem } h1 { font-size: 1.75rem }
h2 { margin-right: auto; font-size: 1.15rem }
h3 { display: flex; justify-content: space-between; margin: 0 0 .25rem; text-transform: capitalize }
h3, thead, p, footer, figcaption, .bar label { color: var(--soft); font-size: .85rem; font-weight: 400 }
.table { max-height: 19rem; margin-top: 1rem; overflow: auto; border: solid var(--rule); border-width: 1px 0 }
table { width: 100%; border-collapse: collapse; white-space: nowrap; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem; font-weight: inherit; text-align: right }
.table th, thead { position: sticky; top: 0; left: 0; background: var(--paper) } thead { z-index: 1 }
.group { border-top: 1px solid var(--rule); font-weight: 600 } tr.inner th { padding-left: 1.5rem }
th:first-child { padding-left: .25rem; text-align: left } [type=checkbox] { margin: 0 .5em 0 0; accent-color: var(--c) }
button, select, .tip { border: 1px solid var(--rule); border-radius: 6px; background: var(--paper); color: var(--ink) }
#plots, .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--least)), 1fr)) }
#plots { --least: 26rem; gap: 0 2rem } .cards { --least: 15rem; gap: 0 1rem } .plot:first-child { grid-column: 1 / -1 }
.plot, .card { position: relative; min-width: 0; margin: .75rem 0 0 } .grid { stroke: var(--rule) }
svg { display: block; width: 100%; overflow: visible; touch-action: pan-y; user-select: none }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif } .band { fill: var(--c); opacity: .16 }
.line, .points, .round { stroke: var(--c); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; fill: none }
.inner .line { stroke-width: 1.25; opacity: .75 } .group .line { stroke-width: 3 } .mark:hover { fill: var(--ink) }
.points { stroke-width: 3; opacity: .35 } .round { fill: var(--paper) }
.cursor { stroke: var(--soft); stroke-dasharray: 2 3; fill: var(--c0); fill-opacity: .15; pointer-events: none }
.mark { fill: var(--c); stroke: transparent; stroke-width: 3; cursor: pointer }
.tip { position: absolute; z-index: 2; font-size: .8125rem; pointer-events: none }
.plot:not(:hover, :has(:focus-visible)) :is(.tip, .cursor), .tip:empty { display: none }
.media { display: block; width: 100%; margin: 0 0 .25rem; aspect-ratio: auto 4 / 3; border-radius: 8px }
pre { padding: .75rem; overflow: auto; background: #1a1d21; color: #e4e4e0; font: 12px/1.35 ui-monospace, monospace }
footer { padding-top: .75rem; border-top: 1px solid var(--rule) } a { margin-right: 1em; color: inherit }
@media print {
  :root { color-scheme: light; --paper: #fff } body { padding: 0; font-size: 10pt } * { print-color-adjust: exact }
  .bar label, button, .tip, video:not(.ready) { display: none }
  .table, .plot, .card { max-height: none; break-inside: avoid } h2 { break-after: avoid }
}
</style>
<noscript>A script in this page draws the report, and scripts are turned off.</noscript>
<script type="application/json" id="data">@@data@@</script>
<script type="module">
const $ = (what, node = document) => node.querySelector(what), all = what => [...document.querySelectorAll(what)];
const data = JSON.parse($('#data').textContent), {runs, rows, cards, measures} = data;
if (location.hash === '#asked')                     // in the hidden frame of an open page, where nothing is drawn
  await new Promise(() => parent.postMessage(data.written, '*'));

// What is put into a template is escaped unless it is one itself: no name or text of a run is ever markup.
const safe = text => String(text).replace(/[&<>"']/g, char => `&#${char.charCodeAt()};`);
const html = (parts, ...values) => ({markup: String.raw({raw: parts}, ...values.map(value =>
  [value].flat(2).map(one => one.markup ?? safe(one)).join('')))});
const fill = (node, {markup}) => { node.innerHTML = markup; };
const sum = values => values.reduce((a, b) => a + b, 0);
const sorted = (list, key = v => v) => [...list].sort((a, b) => key(a) - key(b));
const number = v => 1e3 <= Math.abs(v) && Math.abs(v) < 1e15 ? Math.round(v).toLocaleString('en') : +v.toPrecision(4);
const percent = v => `${+(100 * v).toPrecision(3)} %`;
const unitOf = seconds => data.units.find(([unit]) => seconds >= unit) || data.units.at(-1);

// What the reader chooses goes into the address: it outlives a reload, and can be sent to somebody.
const address = new URLSearchParams(location.hash.slice(1)), off = new Set(address.getAll('off'));
const longest = Math.max(10, ...runs.map(run => sum(run.training.map(({n}) => n))));
let smooth = +address.get('smooth') || +(longest / 10).toPrecision(1);          // with one digit: 9, 10, 20, 30
let axis = address.get('axis') || 'steps', zoom = address.get('zoom')?.split(',').map(Number);

// A row of the table, which is the legend too, is a run or the mean of a group.
rows.filter(({kind}) => kind !== 'group').forEach(row => Object.assign(runs[row.runs[0]], row));
const shown = row => row.runs.some(i => !off.has(runs[i].name));
const coloured = ({name, style}) => html`<b style="${style}; color: var(--c)">${name}</b>`;
const columns = Object.keys(rows[0].cells).filter(name => rows.some(({cells}) => cells[name] !== '-'));
const describe = card => [...runs.length > 1 ? [runs[card.run].name] : [], card.title, ...card.facts].join(', ');
const COLOURS = ['#4a4f57', '#f2777a', '#79c98a', '#e6c15c', '#7ab0f5', '#d096e0', '#5fc9d6', '#f4f4f0'];
const terminal = text => html`${text.split(/\x1b\[([\d;]*)m/).map((part, i, parts) => {     // as a terminal colours it
  const style = (parts[i - 1] || '').split(';').map(code => /^[39]\d$/.test(code) ? `color: ${COLOURS[code % 10]}`
    : /^(4|10)\d$/.test(code) ? `background: ${COLOURS[code % 10]}; color: #1a1d21` : '');
  return i % 2 ? '' : html`<span style="${style.join(';')}">${part}</span>`;
})}`;
const media = ({trouble, screens, file, link}, label) =>
  trouble ? html`<p>This recording cannot be shown: ${trouble}</p>`
  : screens ? html`<pre class="media" role="img" aria-label="${label}">${terminal(screens[0])}</pre>`
  : file.endsWith('.png') ? html`<img class="media" loading="lazy" src="${link}" alt="${label}">`
  : html`<video class="media" src="${link}" loading="lazy" preload="auto" muted loop playsinline
    onloadeddata="this.classList.add('ready')" aria-label="${label}"></video>`;

document.title = `${data.title} · report`;
fill(document.body, html`<header><h1>${data.title}</h1>
<p>${data.news} · written ${new Date(data.written * 1000).toLocaleString('sv')}</p></header><p>${data.note}</p><main>
<div class="table" tabindex="0" role="region" aria-label="Numbers of every run"><table><thead><tr>
  ${['Run', ...columns].map(name => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>
  ${rows.map(({name, kind, style, cells}) => html`<tr class="${kind}" style="${style}">
  <th scope="row"><label><input type="checkbox">${name}</label></th>
  ${columns.map(name => html`<td>${cells[name]}</td>`)}</tr>`)}</tbody></table></div>
<section aria-label="Curves" ${runs.some(run => run.training.length) ? '' : 'hidden'}><div class="bar"><h2>Curves</h2>
  <label>Smoothing <input type="range" id="smooth" max="${Math.log10(longest)}" step="any"> <output></output></label>
  <label>Axis <select id="axis">${['steps', 'episodes', 'time'].map(name => html`<option>${name}`)}</select></label>
  </div><div id="plots">${measures.map(({name}) => html`<div class="plot"><h3>${name}
  <button type="button" aria-label="${name} as SVG">SVG</button></h3><svg tabindex="0" role="group"
  aria-label="${name}: the arrow keys read it out, Escape shows all of it"></svg><div class="tip" role="status"></div>
  </div>`)}</div></section>
<section aria-label="Videos" ${cards.length ? '' : 'hidden'}><h2>Videos</h2><div class="cards">
  ${cards.map((card, i) => html`
  <figure class="card" title="${card.file}" tabindex="${i && -1}">${media(card, describe(card))}<figcaption>
  ${runs.length > 1 ? html`${coloured(runs[card.run])} · ` : ''}<b>${card.title}</b>
  ${card.facts.join(' · ')}</figcaption></figure>`)}</div></section></main>
<footer>${data.journals.map(link => html`<a href="${link}">${link}</a> `)}</footer><iframe hidden></iframe>`);

// Curves. A point is an episode, or several neighbours, and `y` the mean of the last `smooth` episodes up to there.
const points = (shares, name) => shares.filter(({values}) => values[name]?.[0] != null).map((share, i, known) => {
  let total = 0, count = 0;
  for (let j = i; j >= 0 && count < smooth; j--)
    [total, count] = [total + known[j].n * known[j].values[name][0], count + known[j].n];
  const [mean, low, high] = share.values[name];
  return {...share, x: share[axis], y: total / count, mean, low, high};
});
const average = lines => {                        // mean ± sample standard deviation, as far as all runs reach
  const from = Math.max(...lines.map(line => line[0].x)), to = Math.min(...lines.map(line => line.at(-1).x));
  return lines.length < 2 ? [] : sorted(lines.flat().map(({x}) => x).filter(x => x >= from && x <= to)).map(x => {
    const heights = lines.map(line => line.findLast(point => point.x <= x).y), y = sum(heights) / lines.length;
    const spread = Math.sqrt(sum(heights.map(height => (height - y) ** 2)) / (lines.length - 1));
    return {x, y, low: y - spread, high: y + spread};
  });
};
const ticks = (low, high, count) => {
  const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find(s => s * size >= raw * .999), first = Math.ceil(low / step - 1e-9);
  return [...Array(Math.max(0, Math.floor(high / step + 1e-9) - first + 1)).keys()].map(k => (first + k) * step);
};
const extent = visible => {     // one point in a hundred is left out where that gives the others four times the room
  const [lows, highs] = ['low', 'high'].map(key => sorted(visible.map(one => one[key])));
  const [whole, most] = [0, Math.round(visible.length / 100)].map(few => [lows[few] ?? 0, highs.at(-1 - few) ?? 1]);
  const [low, high] = most[1] > most[0] && whole[1] - whole[0] > 4 * (most[1] - most[0]) ? most : whole;
  const pad = high - low > 1e-9 * Math.abs(high) ? (high - low) * .06 : Math.abs(high) * .1 || 1;
  return [low - pad, high + pad];
};
const LEFT = 64, RIGHT = 16, MARK = 11;         // the margins, and the width of a video's mark
const placeOf = ({run, place}) =>
  (runs[run].training.find(({episodes}) => episodes >= place) ?? runs[run].training.at(-1))[axis];
const backdrop = ({w, width, base, from, to, visible, low, high, layers, X, Y, show, first}) => {
  const text = (x, y, anchor, words) => html`<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
  const grid = d => html`<path class="grid" d="${d}"/>`, [unit, word] = axis === 'time' ? unitOf(to) : [1, ''];
  const beyond = visible.map(one => one.high > high ? one.high : one.low).filter(v => v < low || v > high);
  return [grid(`M${LEFT} ${base}h${width}`),
    ticks(low, high, first ? 5 : 3).flatMap(v =>
      [grid(`M${LEFT} ${Y(v)}h${width}`), text(LEFT - 8, Y(v) + 4, 'end', show(v))]),
    ticks(from / unit, to / unit, Math.max(3, Math.min(6, w / 90))).flatMap(v => [grid(`M${X(v * unit)} ${base}v5`),
      text(X(v * unit), base + layers * MARK + 24, 'middle', `${number(v)} ${word}`.trim())]),
    sorted(beyond, Math.abs).slice(-1).map(v =>
      text(w - RIGHT, 12, 'end', `${beyond.length} beyond this scale, up to ${number(v)}`))];
};
const curve = ({X, Y, width, name, truth}, {line, rounds, name: row, kind, style}) => {
  const path = (some, key) => some.map(point => `${X(point.x)} ${Y(point[key])}`).join('L'), group = kind === 'group';
  const bars = some => truth ? '' : some.map(({x, low, high}) => `M${X(x)} ${Y(low)}V${Y(high)}`).join('');
  const range = group ? `M${path(line, 'low')}L${path([...line].reverse(), 'high')}z` : bars(line);
  const diamonds = rounds.map(({x, mean}) => `M${X(x)} ${Y(mean) - 4}l4 4l-4 4l-4-4z`).join('');
  return html`<g class="${kind}" role="img" style="${style}" aria-label="Mean ${name} of ${row}">
    <path class="${group ? 'band' : 'points'}" d="${range}"/><path class="line" d="M${path(line, 'y')}h0"/>
    <path class="round" d="${bars(rounds)}${diamonds}"/></g>`;
};
const marks = ({X, base, layers, width, videos}) => {   // one per video, side by side, in layers where they are many
  const places = [];
  return videos.map((card, k) => {
    places[k] = Math.min(Math.max(X(placeOf(card)) - MARK / 2, k < layers ? 0 : places[k - layers] + MARK),
      LEFT + width - MARK * Math.floor((videos.length - 1 - k) / layers));
    return html`<path class="mark" role="link" aria-label="Video: ${describe(card)}" style="${runs[card.run].style}"
      data-card="${cards.indexOf(card)}" d="M${places[k] + 2} ${base + 5 + k % layers * MARK}v9l8-4.5z"/>`;
  });
};
const draw = plot => {
  const {name, truth, first, svg} = plot, w = Math.max(240, svg.clientWidth), width = w - LEFT - RIGHT;
  const base = first ? Math.min(310, .3 * w + 90) : 140;
  const ends = runs.filter(shown).flatMap(run => [...run.training, ...run.rounds]).map(share => share[axis]);
  const [from, to] = zoom || [0, Math.max(0, ...ends) || 1], within = ({x}) => x >= from && x <= to;
  const curves = runs.filter(shown).map(run => ({...run, line: points(run.training, name).filter(within),
    rounds: points(run.rounds, name).filter(within)})).filter(({line}) => line.length);
  const means = rows.filter(({kind}) => kind === 'group').map(group => ({...group, rounds: [], line: average(
    curves.filter(({runs: [i]}) => group.runs.includes(i)).map(({line}) => line))})).filter(({line}) => line.length);
  const visible = curves.flatMap(({line, rounds}) => line.concat(rounds));
  const [low, high] = truth ? [-.04, 1.04] : extent(visible);
  const videos = sorted(cards.filter(card => first && card.place !== null && shown(runs[card.run]) &&
    within({x: placeOf(card)})), placeOf), layers = Math.ceil(2 * videos.length * MARK / width);
  const X = x => +(LEFT + (x - from) / (to - from) * width).toFixed(1);
  const Y = y => +Math.max(5, Math.min(base, base - (y - low) / (high - low) * (base - 14))).toFixed(1);
  Object.assign(plot, {w, width, base, curves, from, to, visible, low, high, videos, layers, X, Y});
  svg.setAttribute('viewBox', `0 0 ${w} ${base + layers * MARK + 30}`);
  fill(svg, html`${backdrop(plot)}${curves.concat(means).map(row => curve(plot, row))}
    <path class="cursor"/>${marks(plot)}`);
};
const update = () => {
  measures.forEach(draw);
  all('.card').forEach((node, i) => { node.hidden = !shown(runs[cards[i].run]); });
  all('tbody input').forEach((box, i) => { box.checked = shown(rows[i]); });
  $('#axis').value = axis;
  $('#smooth').value = Math.log10(smooth);
  $('output').textContent = smooth === 1 ? 'none' : `mean of ${number(smooth)} episodes`;
  const chosen = new URLSearchParams({axis, smooth, ...zoom && {zoom}});
  off.forEach(name => chosen.append('off', name));
  try { history.replaceState(null, '', `#${chosen}`); } catch (_) { /* the frame in a notebook has no address */ }
};
const zoomTo = part => { zoom = part; update(); };

// Pointing, reading with the arrow keys, choosing a part by dragging; the drawing as a file
const pointAt = ({svg, tip, X, base, curves, w, show}, x, begun = x) => {
  const found = curves.map(({line, style, name}) => ({...sorted(line, one => Math.abs(one.x - x))[0], style, name}));
  fill(tip, html`<table><tr>${['', 'Value', 'Mean', 'Step', 'Episode'].map(name => html`<th>${name}</th>`)}</tr>${
    found.slice(0, 20).map(one => html`<tr><th>${coloured(one)}</th>${[show(one.mean), show(one.y), number(one.steps),
      number(one.episodes)].map(cell => html`<td>${cell}</td>`)}</tr>`)}</table>`);
  tip.style.inset = X(x) > w / 2 ? `2rem auto auto ${LEFT}px` : '2rem 0 auto auto';
  $('.cursor', svg).setAttribute('d', `M${X(begun)} 10V${base}H${X(x)}V10z`);
};
const save = ({svg, name}) => {                   // with the styles in it, for the file has no style sheet
  const keys = ['fill', 'stroke', 'stroke-width', 'stroke-linecap', 'opacity', 'font'];
  const copy = svg.cloneNode(true), copies = copy.querySelectorAll('*');
  svg.querySelectorAll('*').forEach((node, i) => {
    copies[i].style = keys.map(key => `${key}: ${getComputedStyle(node)[key]}`).join(';');
  });
  $('.cursor', copy).remove();
  const file = new Blob([new XMLSerializer().serializeToString(copy)], {type: 'image/svg+xml'});
  Object.assign(document.createElement('a'), {download: `${name}.svg`, href: URL.createObjectURL(file)}).click();
};
for (const [i, plot] of measures.entries()) {
  const node = all('.plot')[i], svg = $('svg', node);
  const at = ({clientX}) => plot.from + (plot.to - plot.from) * Math.max(0, Math.min(1,
    (clientX - svg.getBoundingClientRect().left - LEFT) / plot.width));
  let begun, read = -1;
  Object.assign(plot, {svg, tip: $('.tip', node), first: !i, show: plot.truth ? percent : number});
  $('button', node).onclick = () => save(plot);
  svg.onclick = ({target}) => all('.card')[target.dataset.card]?.focus();
  svg.ondblclick = () => zoomTo();
  svg.onpointerdown = event => { begun = event.target.matches('.mark') ? undefined : at(event); };
  svg.onpointermove = event => pointAt(plot, at(event), event.buttons ? begun : undefined);
  svg.onpointerup = event => {
    const [from, to] = sorted([begun, at(event)]);
    begun = undefined;
    if (plot.X(to) - plot.X(from) > 5) zoomTo([from, to]);
  };
  svg.onkeydown = event => {
    const [{line} = {line: []}] = plot.curves, by = {ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9}[event.key];
    if (event.key === 'Escape') zoomTo();
    if (!by || !line.length) return;
    event.preventDefault();
    read = Math.max(0, Math.min(line.length - 1, read + by));
    pointAt(plot, line[read].x);
  };
}

// A video or a text recording plays while it is looked at: under the pointer, or with the focus.
all('.card').forEach((node, i, nodes) => {          // one stop for the Tab key; the arrow keys go from card to card
  const {screens, pace = .1} = cards[i], video = $('video', node);
  let frame = 0;
  if (screens || video) setInterval(() => {
    const watched = node.matches(':hover, :focus-within');
    if (screens && watched) fill($('pre', node), terminal(screens[++frame % screens.length]));
    if (!video || video.controls === watched) return;           // what the reader has stopped is not started again
    video.controls = watched;
    if (watched) video.play().catch(() => 0); else video.pause();
  }, Math.max(20, 1000 * pace));
  node.onkeydown = ({key, target}) => { if (target === node) nodes[i + {ArrowRight: 1, ArrowLeft: -1}[key]]?.focus(); };
});

$('.table').onchange = ({target}) => {
  for (const i of rows[all('tbody input').indexOf(target)].runs) off[target.checked ? 'delete' : 'add'](runs[i].name);
  update();
};
$('#axis').onchange = ({target}) => { axis = target.value; zoomTo(); };
$('#smooth').oninput = ({target}) => { smooth = +(10 ** target.value).toPrecision(1); update(); };
update();
new ResizeObserver(() => measures.filter(({svg, w}) => svg.clientWidth !== w).forEach(draw)).observe($('#plots'));

// --watch: a hidden frame loads this page's file, and tells when it was written. A newer one is shown, unless a
// recording is being looked at.
if (data.refresh) {
  onmessage = ({data: written}) => {
    if (written > data.written && !$('.card:hover, .card:focus-visible')) location.reload();
  };
  setInterval(() => { $('iframe').src = `${location.pathname}?${Date.now()}#asked`; }, 1000 * data.refresh);
}
</script>
"""


# ---------------------------------------------------------------------------------------------------------------------
# Demo: a small environment to record, and a crude learner that makes its curve go somewhere
# ---------------------------------------------------------------------------------------------------------------------

# Shapes, each symmetric about a column: that column, its top row, its colour, and per row the pixels to both sides.
_SCENE: List[Tuple[int, int, str, Sequence[int]]] = [
    *((128, row, "%02x%02x%02x" % (14 + row // 3, 18 + row // 5, 50 + row // 3), [128]) for row in range(192)),  # dusk
    *((star * 89 % 256, star ** 2 * 7 % 131, "e6e6ff", [0]) for star in range(80)),
    (208, 13, "f3e9d2", [round((177 - row ** 2) ** 0.5) for row in range(-13, 14)]),  # the moon
    (40, 125, "3c3260", range(44)), (225, 109, "3c3260", range(60)),  # mountains
    (128, 169, "2e2848", [128] * 23), (128, 169, "f0be46", [22] * 4)]  # the ground and the pad
_FLAMES = [(0, 0, "000000", []), (8, -11, "ffe6a0", [1, 2, 1]), (0, 1, "ffc857", [3, 3, 2, 2, 1, 1, 0]),
           (-8, -11, "ffe6a0", [1, 2, 1])]  # by action, relative to the rocket's foot
_ROCKET = [(0, -20, "e4572e", [0, 0, 1, 2, 3]), (0, -15, "eef0f5", [4] * 13), (0, -12, "4da3ff", [1, 2, 2, 1]),
           (0, -2, "e4572e", [6, 7, 8])]


class Lander:
    """Set a rocket down on its pad, gently: gymnasium's interface, by the standard library alone.

    Actions: 0 coast, 1 push left, 2 main engine, 3 push right. An observation is (position, speed): complex numbers,
    real to the right and imaginary upwards, in pixels from the middle of the pad and in pixels per step.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    render_mode = "rgb_array"

    def __init__(self, seed: int) -> None:
        from random import Random
        self.random = Random(seed)

    def reset(self) -> Tuple[Tuple[complex, complex], Dict[str, Any]]:
        self._position = complex(self.random.choice((-65, 65)) + self.random.uniform(-15, 15), 110)
        self._speed, self._action, self._steps = 0j, 0, 0
        return (self._position, self._speed), {}

    def step(self, action: int) -> Tuple[Tuple[complex, complex], float, bool, bool, Dict[str, Any]]:
        self._speed += (0, -0.06, 0.11j, 0.06)[action] - 0.03j
        self._position += self._speed
        self._action, self._steps = action, self._steps + 1
        landed, distance = self._position.imag <= 0, abs(self._position)
        terminated, truncated = landed or distance > 145, self._steps == 250
        success = landed and distance < 20 and abs(self._speed) < 1.2
        reward = 100 * success - distance - 20 * abs(self._speed) if terminated or truncated else -0.1
        return (self._position, self._speed), reward, terminated, truncated, {"success": success}

    def render(self) -> memoryview:
        """The picture as the standard library can hold it: bytes in three dimensions, (height, width, 3)."""
        picture = bytearray(192 * 256 * 3)
        column, row = 128 + round(self._position.real), 168 - round(self._position.imag)
        rocket = [(column + right, row + down, colour, halves)
                  for right, down, colour, halves in [_FLAMES[self._action], *_ROCKET]]
        for middle, top, colour, halves in _SCENE + rocket:
            for line, half in enumerate(halves, top):
                left, right = max(0, middle - half), min(256, middle + half + 1)
                picture[3 * (256 * line + left):3 * (256 * line + right)] = bytes.fromhex(colour) * (right - left)
        return memoryview(picture).cast("B", [192, 256, 3])


def demo(directory: str, episodes: int = 65, seed: int = 1) -> None:
    """Record a rocket that learns to land: its pilot's two habits change at random, and a change that paid is kept.

    The changes become smaller, down to none in the last episode. Of 65 that is number 64, which the schedule films.
    A recording that is in the directory goes on.
    """
    env = Lander(seed)
    best, best_return = [2.0, 0.0], -math.inf  # how fast to fall, and how hard to steer towards the pad
    with Monitor(env, directory, resume=True, info_keywords=("success",)) as monitor:
        for left in reversed(range(episodes)):
            fall, steer = habits = [habit + env.random.gauss(0, left / episodes / 2) for habit in best]
            (position, speed), info = monitor.reset()
            while "episode" not in info:
                push = -steer * position.real / 50 - speed.real
                action = 2 if -speed.imag > fall else 3 if push > 0.2 else 1 if push < -0.2 else 0
                (position, speed), _, _, _, info = monitor.step(action)
            if info["episode"]["r"] > best_return:
                best, best_return = habits, info["episode"]["r"]


# ---------------------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------------------

_REFRESH_SECONDS = 5  # With --watch, runs are read this often, and an open page asks this often for a newer one.


def _say(text: str) -> None:
    """Print a text in characters that the terminal has. Its reader may stop reading (`| head`); the work goes on."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    if not encoding.lower().startswith("utf"):
        text = text.replace("±", "+-").replace("·", "-")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)  # an escape code in a name must not take effect
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:  # the interpreter flushes once more as it ends, and must find another file there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _summary_text(curves: List[_Curve], note: str) -> str:
    """A table with a row per group and run, of the columns that are known and fit; and a line on the newest run."""
    rows = [("  " * (row["kind"] == "inner") + row["name"], *row["cells"].values()) for row in _rows(curves)]
    rows.insert(0, ("Run", *_cells([curves[0].summary])))
    # Steps per second follow from two other columns, and their room is for names.
    names, *columns = [column for column in zip(*rows) if column[0] != "Steps/s" and set(column[1:]) != {"-"}]
    widths = [max(map(len, column)) + 2 for column in columns]
    while sum(widths) > 60:
        widths.pop()
    lines = ["".join(map(str.rjust, cells, widths)) + "  " + name for name, *cells in zip(names, *columns)]
    newest, text = _news(curves)
    episodes, last = _number(newest.summary["episodes"]), _number(newest.summary["return_last_100"])
    lines += [note] * bool(note) + [f"episodes: {episodes}, last 100: {last}, {text} ({newest.name})"]
    return "\n".join(line[:80] for line in lines)


def _csv_text(curves: List[_Curve]) -> str:
    import io
    keywords = list(dict.fromkeys(keyword for curve in curves for keyword in curve.info))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "episode", "return", "length", "time", "type", *keywords, "video"])
    for curve in curves:
        videos = {video["place"]: video["path"] for video in curve.videos if video["path"]}
        info = [curve.info.get(keyword, itertools.repeat(None)) for keyword in keywords]
        writer.writerows(zip(itertools.repeat(curve.name), itertools.count(), curve.returns, curve.lengths, curve.ends,
                             curve.types, *info, map(videos.get, itertools.count())))
    return text.getvalue().rstrip("\n")


def _publish(curves: List[_Curve], note: str, dirs: Sequence[str], form: Optional[str], html: Optional[str],
             embed: bool, watch: bool, again: bool) -> None:
    """Write the page, and print the summary (its last line, if `again`), or the numbers as JSON or CSV."""
    path = html or os.path.join(dirs[0], _REPORT_NAME)
    if html or not form:
        folder = None if embed else os.path.dirname(os.path.abspath(path))
        page = _page(curves, folder, note, _REFRESH_SECONDS * watch).encode("utf-8", "replace")
        if not html:
            _write_atomically(path, page)
        else:  # in place: what is a link, a pipe or a device stays one
            with contextlib.suppress(BrokenPipeError), open(os.dup(1) if path == "-" else path, "wb") as file:
                file.write(page)
    if form == "json":
        _say(json.dumps([curve.summary for curve in curves], indent=2, allow_nan=False))
    elif form == "csv":
        _say(_csv_text(curves))
    elif again:
        _say(time.strftime("%H:%M:%S  ") + _summary_text(curves, note).splitlines()[-1])
    elif html != "-":
        _say(f"{_summary_text(curves, note)}\n\nThe page: {path}")


def _run_report(dirs: Sequence[str], form: Optional[str] = None, html: Optional[str] = None, embed: bool = False,
                watch: bool = False) -> None:
    """Report on the directories: once, or with `watch` whenever a run has begun or changed, until Ctrl-C."""
    seen: Any = None
    while watch or seen is None:
        began = time.monotonic()
        try:
            curves, note = _read_curves(dirs)
            found: Any = [(curve.summary, curve.state()) for curve in curves]
            if found != seen:
                _publish(curves, note, dirs, form, html, embed, watch, again=isinstance(seen, list))
        except (Error, OSError) as problem:
            if not watch:
                raise
            found = str(problem)
            if found != seen:
                _say(f"Waiting; Ctrl-C ends it. {problem}")
        seen = found
        if watch:
            time.sleep(max(_REFRESH_SECONDS, 5 * (time.monotonic() - began)))  # reading a long run takes a while


def _parser() -> Any:
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise Error(f"{message} (see python3 {self.prog} --help)")

    parser = Parser(prog="gym_monitor.py", description="Record what a reinforcement-learning environment did.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    command = commands.add_parser("demo", help="record a small built-in environment and report on it")
    command.add_argument("dir", nargs="?", metavar="DIR", help="where to; by default a new temporary directory")
    command.add_argument("--seed", type=int, default=1, metavar="N", help="another one is another training")
    command = commands.add_parser("report", help="summarise what directories hold, and write it as a page")
    command.add_argument("dirs", nargs="+", metavar="DIR", help="a directory with a run, or with runs somewhere below")
    command.add_argument("--html", metavar="FILE", help="where the page goes instead; - is standard output")
    command.add_argument("--embed", action="store_true", help="put the videos into the page")
    forms = command.add_mutually_exclusive_group()
    forms.add_argument("--watch", action="store_true", help="report again as episodes arrive")
    forms.add_argument("--json", dest="form", action="store_const", const="json", help="print the numbers of each run")
    forms.add_argument("--csv", dest="form", action="store_const", const="csv", help="print all episodes as one table")
    command = commands.add_parser("clear", help="remove the recorder's files from a directory")
    command.add_argument("dir", metavar="DIR", help="the directory; files of other names stay")
    command.add_argument("--dry-run", action="store_true", help="only say which")
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; `arguments` as in `sys.argv[1:]`. Return the exit status: 0, or 1 after a line on stderr.

    Without arguments this is the program itself (a zipapp's, for one), and a status of 1 ends it.
    """
    options: Dict[str, Any] = {}
    try:
        options = vars(_parser().parse_args(arguments))
        command = options.pop("command")
        if command == "demo":
            directory = options["dir"] or tempfile.mkdtemp(prefix="gym_monitor_")
            demo(directory, seed=options["seed"])
            _run_report([directory])
        elif command == "report":
            _run_report(**options)
        else:
            paths = detect_monitor_files(options["dir"])
            _say("\n".join(["Would remove:" if options["dry_run"] else "Removing:", *(paths or ["nothing"])]))
            if not options["dry_run"]:
                clear_monitor_files(options["dir"])
        return 0
    except (SystemExit, Error, OSError, KeyboardInterrupt) as problem:
        if isinstance(problem, SystemExit) or isinstance(problem, KeyboardInterrupt) and options.get("watch"):
            return 0  # after --help or --version, or Ctrl-C where that is the way to end it
        words = f"{problem.filename}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
        if sys.stderr:  # or print would take standard output
            print("gym_monitor.py:", " ".join(words.split()) or "interrupted", file=sys.stderr)
    if arguments is None:
        sys.exit(1)
    return 1


if __name__ == "__main__":
    main()
