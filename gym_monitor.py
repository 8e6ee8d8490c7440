"""Record what a reinforcement-learning environment did: statistics, videos and a manifest.

One file, standard library only, any Python from 3.6 up. Wrap an environment, train as before, look later:

    import gymnasium
    from gym_monitor import Monitor, load_results

    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    with Monitor(env, "runs/first") as env:
        for episode in range(30):
            observation, info = env.reset()
            done = False
            while not done:
                observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
                done = terminated or truncated
    print(load_results("runs/first")["episode_rewards"])

The directory then holds a journal with a row for every episode, videos of those that a schedule picked, and a
manifest. Any object with `reset` and `step` is an environment. Videos are made by ffmpeg where there is one on PATH,
by the standard library where there is none. `python3 gym_monitor.py demo` shows it all with nothing installed.
"""
import atexit
import bisect
import contextlib
import functools
import io
import itertools
import json
import logging
import math
import operator
import os
import re
import select
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
import weakref
import zlib
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Type, Union

__version__ = "0.1.0"
__all__ = [
    "Monitor", "VectorMonitor", "StatsRecorder", "VideoRecorder", "Episode", "capped_cubic_video_schedule",
    "disable_videos", "detect_training_manifests", "detect_monitor_files", "clear_monitor_files", "report", "Report",
    "load_results", "merge_stats_files", "collapse_env_infos", "load_env_info_from_manifests", "Error", "ResetNeeded",
    "InvalidFrame", "DependencyNotInstalled", "FILE_PREFIX", "MANIFEST_PREFIX", "__version__",
]

logger = logging.getLogger(__name__)


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------

class Error(Exception):
    """Whatever this module raises on purpose."""


class ResetNeeded(Error):
    """`step` was called before the first `reset`, or past the end of an episode."""


class InvalidFrame(Error):
    """What the environment drew is no picture and no text that can be recorded."""


class DependencyNotInstalled(Error):
    """A video was asked for in a format that needs ffmpeg, and there is none on PATH."""


class _NameTaken(Error):
    """Another recorder owns this file name."""


# ---------------------------------------------------------------------------------------------------------------------
# Schedules: which episodes get a video
# ---------------------------------------------------------------------------------------------------------------------

def capped_cubic_video_schedule(episode_id: int) -> bool:
    """Record episodes 0, 1, 8, 27, ... (the cubes) up to 729, and from 1000 on every thousandth.

    Args:
        episode_id: number of the episode, counted from 0.

    Returns:
        Whether to record it. This is gym's schedule, and `Monitor`'s default.
    """
    if episode_id < 1000:
        return int(round(episode_id ** (1 / 3))) ** 3 == int(episode_id)
    return episode_id % 1000 == 0


def disable_videos(episode_id: int) -> bool:
    """Record no episode, whatever its number."""
    return False


def _ask(question: Callable[..., Any], argument: Any, otherwise: bool) -> bool:
    """Put a question to the user's own function; one that raises has answered `otherwise`, for training goes on."""
    try:
        return bool(question(argument))
    except Exception as problem:
        name = getattr(question, "__name__", type(question).__name__)
        _warn_once(f"{name} raised %r when it was asked about %r; taken for %s.", problem, argument, otherwise)
        return otherwise


_warned: Set[str] = set()


def _warn_once(message: str, *arguments: Any) -> None:
    """Log a warning, once a process for each message (whatever its arguments), so that weeks do not fill a disk."""
    if message not in _warned:
        _warned.add(message)
        logger.warning(message, *arguments)


# ---------------------------------------------------------------------------------------------------------------------
# Files on disk
# ---------------------------------------------------------------------------------------------------------------------

FILE_PREFIX = "openaigym"
MANIFEST_PREFIX = FILE_PREFIX + ".manifest"
_REPORT_NAME = FILE_PREFIX + ".report.html"

# What a caller may name a file or a directory by.
_PathLike = Union[str, "os.PathLike[str]"]

# A file that claims to be larger than this is not read: it is damaged, or a trap.
_LARGEST_FILE = 1 << 30


def detect_monitor_files(dir: _PathLike) -> List[str]:
    """List the recorder's files in a directory: those whose name begins with `openaigym.`, directories left out.

    Args:
        dir: path of the directory.

    Returns:
        Their paths, sorted by name.
    """
    return [os.path.join(dir, name) for name in sorted(os.listdir(dir))
            if name.startswith(FILE_PREFIX + ".") and not _is_directory(os.path.join(dir, name))]


def detect_training_manifests(dir: _PathLike, files: Optional[Iterable[str]] = None) -> List[str]:
    """List the manifests in a directory: gym takes every `openaigym.manifest.*` for one.

    Args:
        dir: path of the directory.
        files: base names to choose from, where the directory has been listed already.

    Returns:
        Their paths, sorted by name.
    """
    names = os.listdir(dir) if files is None else files
    return [os.path.join(dir, name) for name in sorted(names) if name.startswith(MANIFEST_PREFIX + ".")]


def clear_monitor_files(dir: _PathLike) -> None:
    """Remove the recorder's files from a directory, and nothing else: no directory, nothing that a link points to.

    Args:
        dir: path of the directory.
    """
    for path in detect_monitor_files(dir):
        with contextlib.suppress(FileNotFoundError):  # a run that still goes on has many a file for a moment only
            os.unlink(path)


def _is_directory(path: str) -> bool:
    """Whether the path itself, not what it may link to, is a directory."""
    return os.path.isdir(path) and not os.path.islink(path)


def _is_file(path: str) -> bool:
    """Whether the path itself, not what it may link to, is a regular file."""
    return os.path.isfile(path) and not os.path.islink(path)


def _is_same(status: os.stat_result, path: str) -> bool:
    """Whether the path still leads to the file that an open one was said to be."""
    try:
        return os.path.samestat(status, os.lstat(path))
    except OSError:
        return False


def _is_path(text: str) -> bool:
    """Whether the operating system can be asked for that name: neither with a NUL nor with half a character in it."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _exclusive(path: str) -> io.FileIO:
    """Create a file that nobody has, open to append; `FileExistsError` if somebody was faster, were it by a link."""
    return io.FileIO(path, "a", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o666))


def _write_all(file: io.FileIO, content: bytes) -> None:
    """Write every byte or raise: a disk that is nearly full takes some of them and says so only by their number."""
    left = memoryview(content)
    while left:
        left = left[file.write(left):]


def _remove(path: Optional[str]) -> None:
    """Remove a file that may not be there; what can't be removed is left."""
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _write_atomically(path: str, content: bytes) -> None:
    """Put a whole file in the place of the old one at once, so that no reader sees half of it."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{FILE_PREFIX}.tmp.{os.getpid()}.{name}")
    _remove(temporary)
    try:
        with _exclusive(temporary) as file:
            _write_all(file, content)
        _replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def _replace(temporary: str, path: str) -> None:
    """`os.replace`, with patience: Windows refuses while a reader has the old file open."""
    for pause in (0.01, 0.05, 0.2, 1.0):
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
    os.replace(temporary, path)


def _write_json(path: str, content: Dict[str, Any]) -> None:
    _write_atomically(path, json.dumps(content, default=_as_json).encode("ascii"))


def _as_json(value: Any) -> Any:
    """What JSON has no form for, such as a numpy number in the caller's metadata."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _read_file(path: str) -> bytes:
    """Read a regular file that nobody put a link, a pipe or a device in the place of; `Error` if it is not one."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Error(f"{path} is not a regular file, so it is not read.")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size  # of this file: another may have been put in its place by now
            if size > _LARGEST_FILE:
                raise Error(f"{path} is larger than any file of the recorder, so it is not read.")
            return file.read(size + 1)
    except OSError as problem:
        raise Error(f"{path} cannot be read: {problem.strerror or problem}.") from problem


def _read_json(path: str) -> Dict[str, Any]:
    """Read a JSON object; `Error` that names the file where there is none."""
    try:
        content = json.loads(_read_file(path).decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as problem:
        raise Error("{} is not valid JSON: {}.".format(path, str(problem) or "out of memory")) from problem
    if not isinstance(content, dict):
        raise Error(f"{path} should hold a JSON object, not {type(content).__name__}.")
    return content


_EPISODES_NAME = re.compile(r"openaigym\.episode_batch\.(\d+\.(.+?))(?:\.batch\d+)?\.(?:monitor\.csv|(stats\.json))\Z",
                            re.DOTALL)


def _count_episodes(dir: str, uid: Optional[str]) -> int:
    """How many episodes the runs in a directory have completed: those of one uid, where one is given."""
    rows: Dict[str, int] = {}
    entries: Dict[str, int] = {}
    for match in filter(None, map(_EPISODES_NAME.match, os.listdir(dir))):
        infix, owner, is_json = match.groups()
        path = os.path.join(dir, match.group())
        if uid is not None and owner != uid:
            continue
        try:
            if is_json:
                entries[infix] = entries.get(infix, 0) + len(_read_json(path)["timestamps"])
            else:
                rows[infix] = max(0, _read_file(path).count(b"\n") - 2)  # without its two lines of header
        except (Error, KeyError, TypeError) as problem:  # no reason to keep a training from going on
            _warn_once("Episodes of a file that cannot be read are not counted: %s", problem)
    return sum(max(rows.get(infix, 0), entries.get(infix, 0)) for infix in set(rows) | set(entries))


def _make_directory(path: str) -> List[str]:
    """Make a directory, its parents too, and list what was made, innermost first; `Error` if that can't be done."""
    made: List[str] = []
    missing = path
    while not os.path.lexists(missing) and missing not in made:  # the root of a missing drive is its own parent
        made.append(missing)
        missing = os.path.dirname(missing)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as problem:
        _remove_directories(made)
        raise Error(f"The monitor directory {path} cannot be made: {problem.strerror}.") from problem
    return made


def _remove_directories(paths: List[str]) -> None:
    """Take back the directories that `_make_directory` made, those that are still empty."""
    with contextlib.suppress(OSError):
        for path in paths:
            os.rmdir(path)


# ---------------------------------------------------------------------------------------------------------------------
# Processes: leaving the interpreter, and forks
# ---------------------------------------------------------------------------------------------------------------------

# Whatever owns a file or a process. What is still here when the interpreter ends is closed; what is here when the
# process forks is let go of by the child, for it is the parent's.
_owners: "weakref.WeakSet[Any]" = weakref.WeakSet()


_leaves_by_multiprocessing = 0  # the process that does not end without `_close_all`, by its number


def _own(owner: Any) -> None:
    """Have something closed when this process ends."""
    global _leaves_by_multiprocessing
    _owners.add(owner)
    # A process of multiprocessing that was forked leaves without atexit (up to CPython 3.12).
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _leaves_by_multiprocessing != os.getpid():
        _leaves_by_multiprocessing = os.getpid()
        util.Finalize(None, _close_all, exitpriority=0)


def _close_all() -> None:
    for owner in list(_owners):
        _close_quietly(owner.close)


def _close_quietly(close: Callable[[], None]) -> None:
    """Close without an exception: nobody is there to catch one when the interpreter ends or an object is dropped."""
    try:
        close()
    except Exception as problem:
        try:
            _warn_once(str(problem))
        except Exception:  # The interpreter has taken logging apart already.
            pass


def _let_go_of_all() -> None:
    for owner in list(_owners):
        owner._let_go()
    _owners.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_all)
elif hasattr(os, "fork"):
    # CPython 3.6 can't tell a child that it is one, so `os.fork` itself has to.
    def _fork(fork: Callable[[], int] = os.fork) -> int:
        pid = fork()
        if pid == 0:
            _let_go_of_all()
        return pid

    os.fork = _fork


# ---------------------------------------------------------------------------------------------------------------------
# Statistics: the numbers of every completed episode
# ---------------------------------------------------------------------------------------------------------------------

# The first columns of a journal: return, length and end of an episode, as in Stable-Baselines3, and its type.
_JOURNAL_COLUMNS = ("r", "l", "t", "type")

# How many episodes share a stats.json that is rewritten at every reset: what a reset costs does not grow past this.
_BATCH = 250


class StatsRecorder:
    """Keep return, length, end and type of every completed episode: in lists, in a journal, and as gym's JSON.

    The journal gets its row the moment an episode is over, in one call to the operating system, so that killing the
    process loses nothing. The lists and the JSON hold the same numbers.

    Args:
        directory: where the files go; it exists.
        file_prefix: how their names begin: `{file_prefix}.monitor.csv` and `{file_prefix}.stats.json`.
        autoreset: whether the step that ends an episode starts the next one.
        env_id: name of the environment, for the journal's header.
        gym_version: version of the gym or gymnasium it comes from, for the same.
        first_episode_id: number of the first episode to come.
        info_keywords: entries of the last `info` of an episode to write into its row.
        allow_early_resets: whether an unfinished episode may be reset; it is not counted then.

    Attributes:
        type: 't' for training or 'e' for evaluation; a change counts from the next reset on.
        path: the stats.json that is written next.
        total_steps: steps taken, those of unfinished episodes included.
        timestamps: when each episode ended, in seconds since the epoch.
        episode_lengths: steps of each episode.
        episode_rewards: return (sum of rewards) of each episode.
        episode_types: type of each episode.
        initial_reset_timestamp: when the first reset was, in seconds since the epoch; None before it.
        rewards: the rewards of the episode under way.

    Raises:
        Error: the files cannot be made, or belong to another recorder.
    """

    _journal: Optional[io.FileIO] = None  # open from the start to `close`

    def __init__(self, directory: _PathLike, file_prefix: str, autoreset: bool = False,
                 env_id: Optional[str] = None, *,
                 gym_version: str = "none", first_episode_id: int = 0, info_keywords: Sequence[str] = (),
                 allow_early_resets: bool = False) -> None:
        self.directory = os.path.abspath(os.fspath(directory))
        self.file_prefix = file_prefix
        self.autoreset = autoreset
        self.env_id = env_id
        self.gym_version = gym_version
        self.first_episode_id = first_episode_id
        self.info_keywords = tuple(info_keywords)
        self.allow_early_resets = allow_early_resets
        self.timestamps: List[float] = []
        self.episode_lengths: List[int] = []
        self.episode_rewards: List[float] = []
        self.episode_types: List[str] = []
        self.initial_reset_timestamp: Optional[float] = None
        self.rewards: List[float] = []
        self.done = True
        self._type = self._episode_type = "t"
        self._episode_start = 0.0
        self._steps_before = 0  # ... the episode under way
        self._batch = self._batch_start = self._saved = 0
        # Wall-clock time may jump; between its one reading here and the rows, a steady clock counts.
        self.t_start = time.time()
        self._clock_start = time.perf_counter()
        self._keyword_cells: List[str] = []
        self._header = "#{}\n{}\n".format(
            json.dumps({"t_start": self.t_start, "env_id": env_id, "gym_version": gym_version,
                        "first_episode_id": first_episode_id}),
            ",".join(_JOURNAL_COLUMNS + self.info_keywords))
        self.journal_path = os.path.join(self.directory, file_prefix + ".monitor.csv")
        self._create_journal()

    def _create_journal(self) -> None:
        try:
            self._journal = _exclusive(self.journal_path)
        except FileExistsError as problem:
            raise _NameTaken(
                f"{self.journal_path} belongs to another recorder: choose another file_prefix.") from problem
        except OSError as problem:
            raise Error(f"{self.journal_path} cannot be written: {problem.strerror}.") from problem
        # How many bytes the file holds, and those that wait to follow them: one value, for it has to change at once.
        self._journal_state = 0, self._header.encode()
        self._next_look = 0.0
        failure = self._write_rows()
        if failure is not None:
            self._let_go()
            _remove(self.journal_path)
            raise Error(f"{self.journal_path} cannot be written: {failure.strerror}.") from failure
        _own(self)

    @property
    def closed(self) -> bool:
        return self._journal is None

    @property
    def path(self) -> str:
        batch = f".batch{self._batch}" if self._batch else ""
        return os.path.join(self.directory, f"{self.file_prefix}{batch}.stats.json")

    @property
    def total_steps(self) -> int:
        return self._steps_before + len(self.rewards)

    @property
    def type(self) -> str:
        return self._type

    @type.setter
    def type(self, type: str) -> None:
        if type not in ("t", "e"):
            raise Error(f"The type of an episode is 't' (training) or 'e' (evaluation), not {type!r}.")
        self._type = type

    def before_step(self, action: Any) -> None:
        """Refuse a step outside an episode.

        Raises:
            ResetNeeded: no episode is under way.
        """
        if self.initial_reset_timestamp is None:
            raise ResetNeeded("step() was called before the first reset(): call reset() to begin an episode.")
        if self.done:
            raise ResetNeeded("step() was called past the end of an episode: call reset() to begin the next one.")

    def after_step(self, observation: Any, reward: Any, done: bool, info: Any) -> None:
        """Count a step, and record the episode if it is over.

        Args:
            observation: not used.
            reward: a number, or what converts to one.
            done: whether the step ended the episode.
            info: entries for the journal, if it is a dictionary.

        Raises:
            Error: the reward is no number.
        """
        try:
            self.rewards.append(_as_number(reward))
        except Error:
            self.done = True  # without a record: what the return would have been, nobody knows
            raise
        if done:
            self.save_complete(info)
            if self.autoreset:
                self.after_reset(observation)

    def before_reset(self) -> None:
        """Refuse to give up an episode that has begun, unless `allow_early_resets` is set.

        Raises:
            Error: the episode under way has steps and is not over.
        """
        if self.rewards and not self.done and not self.allow_early_resets:
            raise Error(f"reset() was called in mid-episode, after {len(self.rewards)} steps. Set "
                        "allow_early_resets=True if unfinished episodes may be dropped from the record.")

    def after_reset(self, observation: Any) -> None:
        """Begin an episode; the one before it, if it is not over, is not counted."""
        self._steps_before += len(self.rewards)
        del self.rewards[:]
        self.done = False
        self._episode_type = self._type
        self._episode_start = time.perf_counter()
        if self.initial_reset_timestamp is None:
            self.initial_reset_timestamp = self.t_start + (self._episode_start - self._clock_start)

    def save_complete(self, info: Any = None) -> Dict[str, Any]:
        """Record the episode under way as completed.

        Args:
            info: entries for the journal, if it is a dictionary.

        Returns:
            `{"r": return, "l": length, "t": seconds since its reset}`.
        """
        self.done = True
        return self.record(sum(self.rewards, 0.0), len(self.rewards), self._episode_type, self._episode_start, info)

    def record(self, reward: float, length: int, type: str, start: float, info: Any = None) -> Dict[str, Any]:
        """Record an episode that ends now; `start` is when it began, by `time.perf_counter`."""
        now = time.perf_counter()
        timestamp = self.t_start + (now - self._clock_start)
        cells = self._cells(info) if self.info_keywords else ""
        row = self._row(reward, length, timestamp, type, cells)
        # Ctrl-C may come between any two of these: the row is on its way first, and the time counts the episodes.
        size, waiting = self._journal_state
        self._journal_state = size, waiting + row
        if len(self.episode_lengths) > len(self.timestamps):  # it came in the last call
            for column in (self.episode_lengths, self.episode_rewards, self.episode_types, self._keyword_cells):
                del column[len(self.timestamps):]
        self.episode_lengths.append(length)
        self.episode_rewards.append(reward)
        self.episode_types.append(type)
        if cells:
            self._keyword_cells.append(cells)
        self.timestamps.append(timestamp)
        problem = self._write_rows(len(row), now)
        if problem is not None:
            _warn_once(f"The journal {self.journal_path} cannot be written ({problem}): its rows wait in memory.")
        return {"r": reward, "l": length, "t": now - start}

    def _row(self, reward: float, length: int, timestamp: float, type: str, cells: str) -> bytes:
        return f"{reward!r},{length},{timestamp - self.t_start!r},{type}{cells}\n".encode("utf-8", "backslashreplace")

    def _cells(self, info: Any) -> str:
        """The entries named by `info_keywords`, as the rest of a line of CSV."""
        cells = ""
        for keyword in self.info_keywords:
            value = info.get(keyword) if isinstance(info, dict) else None
            text = ""
            if value is not None:
                with contextlib.suppress(Exception):
                    # A row is a line, so that a torn one can be told: line breaks in a text become spaces. And csv
                    # does not read cells of more than 131,072 characters.
                    text = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", str(value))[:60000]
            if not text:
                _warn_once(f"The last info of an episode has no {keyword!r}, which info_keywords names: its cell stays "
                           "empty.")
            cells += ',"{}"'.format(text.replace('"', '""')) if re.search('[",]', text) else "," + text
        return cells

    def _write_rows(self, newest: int = 0, now: float = 0.0) -> Optional[OSError]:
        """Hand the rows that wait, with `newest` bytes since the last call, to the operating system.

        Returns what kept it from taking all of them.
        """
        if self._journal is None:
            return OSError("it is closed")
        size, waiting = self._journal_state
        try:
            if not newest or len(waiting) > newest or now >= self._next_look:
                self._look_at_journal(self._journal)
                self._next_look = now + 1.0
                size, waiting = self._journal_state
            while waiting:
                written = self._journal.write(waiting)
                size, waiting = self._journal_state = size + written, waiting[written:]
        except OSError as problem:
            return problem
        return None

    def _look_at_journal(self, journal: io.FileIO) -> None:
        """See what the file holds: after a signal between a write and the note of it that is more than was noted.

        A journal that was removed under the open file is written again, whole, once there is a directory to do so,
        unless its name is somebody else's by then (`FileExistsError`).
        """
        status = os.fstat(journal.fileno())
        size, waiting = self._journal_state
        if status.st_nlink == 0 and not _is_same(status, self.journal_path):
            self._journal = _exclusive(self.journal_path)
            rows = map(self._row, self.episode_rewards, self.episode_lengths, self.timestamps, self.episode_types,
                       self._keyword_cells or [""] * len(self.timestamps))
            self._journal_state = 0, self._header.encode() + b"".join(rows)
            self._batch = self._batch_start = self._saved = 0  # the earlier batches of the JSON went with it
            journal.close()
        else:
            self._journal_state = status.st_size, waiting[max(0, status.st_size - size):]

    def _is_taken(self) -> bool:
        """Whether the directory was cleared under the recorder, and its file names are another one's by now."""
        journal = self._journal
        return journal is not None and os.path.lexists(self.journal_path) and not _is_same(
            os.fstat(journal.fileno()), self.journal_path)

    def flush(self) -> None:
        """Write the statistics as JSON, in gym's format.

        A caller that flushes after every episode rewrites only the newest of them: a file that has its `_BATCH`
        episodes stays as it is, and the next is begun (`{file_prefix}.batch1.stats.json`).

        Raises:
            Error: the statistics, or rows of the journal, cannot be written.
        """
        if self.closed:
            return
        try:
            problem = self._write_rows()
            if problem is not None:
                raise problem
            if self._saved - self._batch_start >= _BATCH and len(self.timestamps) > self._saved:
                self._batch += 1
                self._batch_start = self._saved
            newest = slice(self._batch_start, len(self.timestamps))
            _write_json(self.path, {
                "initial_reset_timestamp": self.initial_reset_timestamp,
                "timestamps": self.timestamps[newest],
                "episode_lengths": self.episode_lengths[newest],
                "episode_rewards": self.episode_rewards[newest],
                "episode_types": self.episode_types[newest],
            })
            self._saved = newest.stop
        except OSError as problem:
            way_out = "Make room or make the directory writable again, then call close() once more."
            if self._is_taken():
                way_out = "The directory was cleared meanwhile, and another monitor has these names: move its files."
            raise Error(f"The statistics cannot be written to {self.directory}: {problem.strerror}. {way_out}"
                        ) from problem

    def close(self) -> None:
        """Write what is not written yet; may be called again.

        Raises:
            Error: statistics are missing from the directory. Another call tries again.
        """
        self.flush()
        self._let_go()

    def _let_go(self) -> None:
        """Close the journal as it is."""
        if self._journal is not None:
            journal, self._journal, self.done = self._journal, None, True
            journal.close()
            _owners.discard(self)

    def __del__(self) -> None:
        if not self.closed:
            _close_quietly(self.close)


def _as_number(reward: Any) -> float:
    """A reward as a float: of numbers, numpy's scalars, and arrays and tensors with one element."""
    try:
        if isinstance(reward, (float, int)):
            return float(reward)
        item = getattr(reward, "item", None)
        return float(reward if item is None else item())
    except Exception as problem:  # torch has a RuntimeError for a tensor of two elements
        raise Error(f"A reward has to be a number, and {reward!r} (a {type(reward).__name__}) is none.") from problem


# ---------------------------------------------------------------------------------------------------------------------
# Frames and encoders: what writes one video file
# ---------------------------------------------------------------------------------------------------------------------

# An encoder process that shows no sign of life for so many seconds is stopped, its video is given up, and no further
# video of this process is entrusted to it.
ENCODER_TIMEOUT = 10.0


def _picture(frame: Any) -> memoryview:
    """A frame as contiguous bytes of shape (height, width, channels).

    Args:
        frame: whatever has the buffer protocol (or numpy's `__array__`), uint8, of shape (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4), in any memory order.

    Raises:
        InvalidFrame: it is something else.
    """
    try:
        view = memoryview(frame.__array__() if hasattr(frame, "__array__") else frame)
    except (TypeError, ValueError, BufferError) as problem:
        raise InvalidFrame(f"A frame has to be an array of pixels, not a {type(frame).__name__}.") from problem
    if view.format.lstrip("@=<>!") != "B":  # a byte has no order, but ctypes says one
        raise InvalidFrame("A frame has to be of type uint8, not {!r}.".format(getattr(frame, "dtype", view.format)))
    shape = tuple(view.shape or ())
    height, width, channels = shape if len(shape) == 3 else (shape + (1,) if len(shape) == 2 else (0, 0, 0))
    if not height or not width or channels not in (1, 3, 4):
        raise InvalidFrame("A frame has to be of shape (height, width), (height, width, 3) or (height, width, 4), "
                           f"not {shape}.")
    if not view.c_contiguous or view.format != "B":
        view = memoryview(view.tobytes())
    return view.cast("B").cast("B", [height, width, channels])


def _text(frame: Any) -> str:
    """A frame of text, given as a string or, by gym before 0.26, a StringIO."""
    text = frame.getvalue() if hasattr(frame, "getvalue") else frame
    if not isinstance(text, str):
        raise InvalidFrame(f"A text frame has to be a string, not a {type(text).__name__}.")
    return text


def _is_whole(path: str) -> bool:
    """Whether a recording is complete: all of an MP4, a PNG up to its end; text is whole after every line."""
    if not _is_file(path):
        return False
    try:
        with open(path, "rb") as file:
            if path.endswith((".cast", ".json")):  # ours, and gym's
                return bool(file.read(1))
            if path.endswith(".png"):
                return file.seek(0, os.SEEK_END) > 12 and file.seek(-12, os.SEEK_END) > 0 and b"IEND" in file.read()
            return _is_whole_mp4(file)
    except (OSError, struct.error):
        return False


def _is_whole_mp4(file: Any) -> bool:
    """Whether the boxes of an MP4 end where the file ends, and its index knows of a video: ISO/IEC 14496-12."""
    end, position, indexed = file.seek(0, os.SEEK_END), 0, False
    for _ in range(100):  # ffmpeg writes four or five
        if position >= end:
            break
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size, = struct.unpack(">Q", file.read(8))
        if size < 8:
            return False
        indexed = indexed or (kind == b"moov" and b"trak" in file.read(min(size, 200)))
        position += size
    return indexed and position == end


class _Encoder:
    """Writes one video: frames go in as they come, and nothing of them is kept in memory."""

    content_type = ""
    version: Dict[str, Any] = {"backend": "gym_monitor", "version": __version__, "cmdline": []}

    def write(self, frame: Any) -> None:
        """Add a frame."""
        raise NotImplementedError

    def end(self) -> None:
        """Say that no frame will follow. The file is complete a moment later."""
        raise NotImplementedError

    def finished(self, wait: bool) -> bool:
        """Whether the file is complete; with `wait`, wait for that. An `Error` or `OSError` if it never will be."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Close what is open, and leave the file as it is."""
        raise NotImplementedError

    def kill(self) -> None:
        """Stop at once: the file is not wanted any more."""
        self.let_go()


class _FileEncoder(_Encoder):
    """An encoder of our own, which writes its file itself."""

    def __init__(self, path: str, header: bytes) -> None:
        self._path = path
        self._file = io.FileIO(path, "r+")
        try:
            _write_all(self._file, header)
        except BaseException:
            self._file.close()
            raise

    def _write_at(self, offset: int, content: bytes) -> None:
        self._file.seek(offset)
        _write_all(self._file, content)

    def finished(self, wait: bool) -> bool:
        if not _is_whole(self._path):
            raise Error("The file was removed while it was being written.")
        return True

    def let_go(self) -> None:
        self._file.close()


class _PngEncoder(_FileEncoder):
    """Animated PNG by the standard library: exact pixels, played by every browser.

    The format: https://www.w3.org/TR/png-3/. A frame is stored as the rectangle in which it differs from the one
    before; a frame that does not differ only prolongs it.
    """

    content_type = "image/apng"
    _COLOUR_TYPES = {1: 0, 3: 2, 4: 6}

    def __init__(self, path: str, fps: float, frame: Any) -> None:
        self._shape = height, width, channels = tuple(_picture(frame).shape or ())
        self._delay = _delay(fps)
        self._before = b""
        self._waiting: Optional[Tuple[Tuple[int, int, int, int], bytes]] = None
        self._repeats = 0
        header = struct.pack(">IIBBBBB", width, height, 8, self._COLOUR_TYPES[channels], 0, 0, 0)
        start = b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + self._animation_control(1)
        super().__init__(path, start)
        self._written = 0, len(start)  # frames, and bytes: one value, so that what Ctrl-C cuts short is written over

    def _animation_control(self, frames: int) -> bytes:
        """The chunk that counts the frames (and says: play for ever). It is written again when they are known."""
        return _png_chunk(b"acTL", struct.pack(">II", frames, 0))

    def write(self, frame: Any) -> None:
        picture = _picture(frame)
        if picture.shape != self._shape:
            raise InvalidFrame(f"The size of the frames changed from {self._shape} to {picture.shape}.")
        pixels = picture.tobytes()
        numerator, _ = self._delay
        if pixels == self._before and (self._repeats + 1) * numerator <= 0xFFFF:
            self._repeats += 1
            return
        self._write_waiting()
        rectangle = _difference(self._before, pixels, self._shape)
        self._waiting = rectangle, _png_pixels(pixels, rectangle, self._shape)
        self._repeats = 1
        self._before = pixels

    def _write_waiting(self) -> None:
        """Write the newest frame, now that it is known how long it stays."""
        if self._waiting is None:
            return
        frames, size = self._written
        (left, top, width, height), compressed = self._waiting
        numerator, denominator = self._delay
        # fcTL and fdAT are numbered together; the first frame has its pixels in IDAT, which has no number.
        control = struct.pack(">IIIIIHHBB", max(0, 2 * frames - 1), width, height, left, top,
                              self._repeats * numerator, denominator, 0, 0)
        picture = (b"fdAT", struct.pack(">I", 2 * frames) + compressed) if frames else (b"IDAT", compressed)
        chunks = _png_chunk(b"fcTL", control) + _png_chunk(*picture)
        self._write_at(size, chunks)
        self._written = frames + 1, size + len(chunks)
        self._waiting = None

    def end(self) -> None:
        self._write_waiting()
        frames, size = self._written
        self._write_at(33, self._animation_control(frames))  # after the signature (8 bytes) and IHDR (25)
        self._write_at(size, _png_chunk(b"IEND", b""))
        self.let_go()


def _delay(fps: float) -> Tuple[int, int]:
    """How long a frame stays, in seconds, as the fraction of two 16-bit numbers that PNG asks for."""
    from fractions import Fraction  # which imports decimal: more than the rest of this module together
    delay = Fraction(1 / fps).limit_denominator(0x7FFF)
    return (min(delay.numerator, 0xFFFF), delay.denominator) if delay else (1, 0xFFFF)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _difference(before: bytes, after: bytes, shape: Tuple[int, ...]) -> Tuple[int, int, int, int]:
    """The smallest rectangle (left, top, width, height) in which two pictures differ; the whole of a first one."""
    height, width, channels = shape
    if not before:
        return 0, 0, width, height
    stride = width * channels
    rows = [row for row in range(0, len(after), stride) if before[row:row + stride] != after[row:row + stride]]
    if not rows:
        return 0, 0, 1, 1  # PNG knows no empty rectangle.
    left, right = stride, 0
    for row in rows:
        # Slices of bytes are compared at the speed of memory, and most rows differ within what is known already.
        old, new = before[row:row + stride], after[row:row + stride]
        if old[:left] != new[:left]:
            left = _common_prefix(old, new)
        if old[right:] != new[right:]:
            right = stride - _common_prefix(old[::-1], new[::-1])
    first, last = left // channels, (right - 1) // channels
    top, bottom = rows[0] // stride, rows[-1] // stride
    return first, top, last - first + 1, bottom - top + 1


def _common_prefix(old: bytes, new: bytes) -> int:
    """How many bytes two rows that differ have in common at their beginning, found by bisection."""
    common, different = 0, len(old)
    while different - common > 1:
        middle = (common + different) // 2
        if old[common:middle] == new[common:middle]:
            common = middle
        else:
            different = middle
    return common


def _png_pixels(pixels: bytes, rectangle: Tuple[int, int, int, int], shape: Tuple[int, ...]) -> bytes:
    """Compress a rectangle of a picture: each row behind a zero, which says that it is not filtered."""
    left, top, width, height = rectangle
    channels = shape[2]
    stride = shape[1] * channels
    start = top * stride + left * channels
    rows = b"\0".join([b""] + [pixels[row:row + width * channels]
                               for row in range(start, start + height * stride, stride)])
    # In photographs and noise the search for repetitions is in vain: looking for runs alone takes less than half the
    # time and makes files of the same size. In drawings the search pays. A sample tells them apart.
    sample = rows[len(rows) // 2:][:8192]
    drawn = 2 * len(zlib.compress(sample, 1)) <= len(sample)
    compressor = zlib.compressobj(3, zlib.DEFLATED, zlib.MAX_WBITS, 9,
                                  zlib.Z_DEFAULT_STRATEGY if drawn else zlib.Z_RLE)
    return compressor.compress(rows) + compressor.flush()


class _TextEncoder(_FileEncoder):
    """Text frames as an asciicast: https://docs.asciinema.org/manual/asciicast/v2/."""

    content_type = "application/x-asciicast"
    _HEADER_SIZE = 200

    def __init__(self, path: str, fps: float, frame: Any) -> None:
        _text(frame)
        self._fps = fps
        self._frames = self._width = self._height = 0
        self._start = int(time.time())
        super().__init__(path, self._header())

    def _header(self) -> bytes:
        """The first line. It has room for any size, for it is written again when the largest frame is known."""
        header = json.dumps({"version": 2, "width": max(1, self._width), "height": max(1, self._height),
                             "timestamp": self._start, "title": "openaigym episode"})
        return header.ljust(self._HEADER_SIZE).encode("ascii") + b"\n"

    def write(self, frame: Any) -> None:
        lines = _text(frame).replace("\r\n", "\n").split("\n")
        if lines[-1] == "":
            lines.pop()
        self._width = max([self._width] + [_columns(line) for line in lines])
        self._height = max(self._height, len(lines))
        clear_and_home = "\x1b[2J\x1b[1;1H"
        event = [round(self._frames / self._fps, 6), "o", clear_and_home + "\r\n".join(lines)]
        _write_all(self._file, json.dumps(event).encode("ascii") + b"\n")
        self._frames += 1

    def end(self) -> None:
        self._write_at(0, self._header())
        self.let_go()


def _columns(line: str) -> int:
    """How many columns of a terminal a line takes: colour codes none, wide characters two."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


class _FFmpeg(NamedTuple):
    """What was found out about an ffmpeg: its version and the options of an encoder that works, or why none does."""
    version: str
    codec: Tuple[str, ...]
    problem: str


# H.264 by whatever this build of ffmpeg has (Fedora's has no libx264), then MPEG-4, which every build has.
# libx264's `veryfast` encodes 1.2 to 1.5 times the frames a second of its default preset, to files of the same size;
# without frames that refer to later ones (-bf 0) it needs a fifteenth less again. See .ci/bench.py: video.
_CODECS = (
    ("libx264", "-preset", "veryfast", "-bf", "0"), ("libopenh264",), ("h264_nvenc",), ("h264_videotoolbox",),
    ("h264_amf",), ("h264_qsv",), ("h264_mf",), ("h264_v4l2m2m",), ("mpeg4", "-q:v", "3"),
)

_ffmpegs: Dict[str, _FFmpeg] = {}


def _find_ffmpeg() -> Optional[str]:
    path = shutil.which("ffmpeg")
    return os.path.abspath(path) if path else None


def _try_ffmpeg(path: str) -> _FFmpeg:
    """Find out which encoder works, once a process: one that is listed may need hardware that is not there."""
    if path not in _ffmpegs:
        _ffmpegs[path] = _probe_ffmpeg(path)
    return _ffmpegs[path]


def _probe_ffmpeg(path: str) -> _FFmpeg:
    """Have it encode one small picture, by each encoder in turn until one does."""
    problem, deadline = "", time.monotonic() + ENCODER_TIMEOUT
    for codec in _CODECS:
        trial = _Process(_ffmpeg_command(path, (256, 256, 1), 30.0, codec) + ["-f", "null", "-"], None)
        try:
            trial.process.communicate(bytes(256 * 256), timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            problem = f"it did not encode one small picture within {ENCODER_TIMEOUT:g} s"
        words = trial.stop()
        if trial.process.returncode == 0:
            version = re.search(r"ffmpeg version \S+", words)
            return _FFmpeg(version.group() if version else "ffmpeg", codec, "")
        problem = problem or trial.last_words(words)
        if time.monotonic() >= deadline:
            break
    return _FFmpeg("", (), problem)


def _ffmpeg_command(path: str, shape: Tuple[int, ...], fps: float, codec: Tuple[str, ...]) -> List[str]:
    """The command line up to where the output file is named."""
    height, width, channels = shape
    command = [path, "-nostdin", "-nostats", "-y", "-f", "rawvideo",
               "-pixel_format", {1: "gray", 3: "rgb24", 4: "rgba"}[channels],
               "-video_size", f"{width}x{height}", "-framerate", repr(fps), "-i", "pipe:0", "-an"]
    if height % 2 or width % 2:
        # yuv420p halves both sides of the colours: were the margin black, so would be half of the last row's colour.
        command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv444p,"
                           f"fillborders=right={width % 2}:bottom={height % 2}:mode=smear"]
    # Half of the time goes into the colours. To take every other one (neighbor) in place of a mean saves a third of
    # that, and the likeness to the source hardly changes: see .ci/bench.py, video. swscale converts by the matrix of
    # BT.601; players guess another one for large pictures unless they are told.
    return command + ["-c:v"] + list(codec) + ["-sws_flags", "neighbor", "-pix_fmt", "yuv420p",
                                               "-colorspace", "smpte170m"]


class _Process:
    """A child process that reads its standard input, and what it says on standard error."""

    def __init__(self, command: List[str], folder: Optional[str]) -> None:
        # A process group of its own: Ctrl-C in the terminal is for the training, and the video is still to be ended.
        group: Dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            group = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        # In a file, so that a process that has much to say is never held up by a pipe that nobody reads.
        self._words = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                            stderr=self._words, cwd=folder, bufsize=0, **group)
        except BaseException:
            self._words.close()
            raise

    def __del__(self) -> None:
        """It ends where its input does, however this was dropped: Ctrl-C may come as it starts."""
        with contextlib.suppress(Exception):
            self.close()

    def stop(self) -> str:
        """Kill the process and its children if they still run, and return what it said."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(self.process.pid, 9)
                else:
                    self.process.kill()
            self.process.wait()
        return self.close()

    def close(self) -> str:
        """Close our ends of its pipes, and return what it said (the end of it)."""
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            size = self._words.seek(0, os.SEEK_END)
            self._words.seek(max(0, size - 20000))
            words = self._words.read().decode("utf-8", "replace")
            self._words.close()
        except (OSError, ValueError):
            words = ""
        return words

    def let_go(self) -> None:
        """Close our ends of its pipes, and forget it: it is not ours to wait for."""
        self.process.returncode = 0
        if self.process.stdin:
            self.process.stdin.close()
        self._words.close()

    def last_words(self, words: str) -> str:
        """Its last lines, or its exit status if it died in silence."""
        return " ".join(words.split("\n")[-8:]).strip()[-1000:] or f"exit status {self.process.returncode}"


class _FFmpegEncoder(_Encoder):
    """H.264 in MP4 by an ffmpeg that is handed the frames' own memory through a pipe."""

    content_type = "video/mp4"

    def __init__(self, path: str, fps: float, frame: Any) -> None:
        picture = _picture(frame)
        program = _find_ffmpeg()
        if program is None:
            raise DependencyNotInstalled("There is no ffmpeg on PATH any more.")
        ffmpeg = _try_ffmpeg(program)
        if ffmpeg.problem:
            raise Error(f"{program} does not work: {ffmpeg.problem}")
        self._shape = tuple(picture.shape or ())
        self._path = path
        self._program = program
        # A name relative to its folder, so that the metadata has no path; `file:` allows it any characters.
        folder, name = os.path.split(path)
        command = _ffmpeg_command(program, self._shape, fps, ffmpeg.codec) + [
            "-movflags", "+faststart", "-f", "mp4", "file:" + name]
        command[1:1] = ["-loglevel", "error"]
        self.version = {"backend": "ffmpeg", "version": ffmpeg.version, "cmdline": ["ffmpeg"] + command[1:]}
        self._rest = memoryview(b"")  # of the frame that is being written
        self._torn = False            # it is not known how much of it has been
        self._child = _Process(command, folder or None)
        try:
            assert self._child.process.stdin is not None
            self._pipe = self._child.process.stdin.fileno()
            self._poll = _prepare_pipe(self._pipe)
        except BaseException:
            self._child.stop()
            raise

    def write(self, frame: Any) -> None:
        picture = _picture(frame)
        if picture.shape != self._shape:
            raise InvalidFrame(f"The size of the frames changed from {self._shape} to {picture.shape}.")
        if self._torn:
            raise Error("Ctrl-C came while a frame was being written: those that follow would be shifted")
        self._write_rest()  # of a frame that Ctrl-C cut short between two writes
        self._rest = picture.cast("B")
        self._write_rest()

    def _write_rest(self) -> None:
        while self._rest:
            try:
                self._rest = self._rest[os.write(self._pipe, self._rest):] or memoryview(b"")
            except BlockingIOError as problem:
                if self._poll is not None and not self._poll.poll(ENCODER_TIMEOUT * 1000):
                    raise self._hang("took no frame") from problem
            except OSError as problem:
                self._note_sign()
                self.finished(wait=True)
                raise Error("ffmpeg ended before the video did") from problem
            except BaseException:
                self._torn = True
                raise

    def end(self) -> None:
        if not self._torn:  # else the video ends with the frame before
            self._write_rest()
        assert self._child.process.stdin is not None
        self._child.process.stdin.close()
        self._note_sign()

    def _note_sign(self) -> None:
        self._last_sign = _signs_of_life(self._path), time.monotonic()

    def finished(self, wait: bool) -> bool:
        process = self._child.process
        while process.poll() is None:
            if not wait:
                return False
            # From its last sign of life on, so that several that hang are waited for at the same time.
            signs, since = self._last_sign
            if time.monotonic() > since + ENCODER_TIMEOUT:
                if signs == _signs_of_life(self._path):
                    raise self._hang("did not finish")
                self._note_sign()
            time.sleep(0.005)
        words = self._child.close()
        if process.returncode != 0:
            raise Error("ffmpeg failed: " + self._child.last_words(words))
        if not _is_whole(self._path):  # ffmpeg 5 has the exit status 0 although the disk was full.
            raise Error("ffmpeg wrote no whole file: " + self._child.last_words(words))
        return True

    def _hang(self, what: str) -> Error:
        """Give up on this ffmpeg, for good: it costs this wait once, not once an episode."""
        problem = f"ffmpeg {what} for {ENCODER_TIMEOUT:g} s and was stopped"
        _ffmpegs[self._program] = _FFmpeg("", (), problem)
        words = self._child.stop()
        return Error(problem + ": " + self._child.last_words(words) if words.strip() else problem)

    def kill(self) -> None:
        self._child.stop()

    def let_go(self) -> None:
        self._child.let_go()


def _signs_of_life(path: str) -> Tuple[int, ...]:
    try:
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    except OSError:
        return ()


def _prepare_pipe(pipe: int) -> Any:
    """Widen the pipe as far as the platform lets us, and make waiting for its reader bounded, where that can be."""
    try:
        import fcntl
        with open("/proc/sys/fs/pipe-max-size", "rb") as limit:
            fcntl.fcntl(pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), int(limit.read()))
    except (ImportError, OSError, ValueError):  # Only Linux has it, and it may be refused there.
        pass
    if not hasattr(select, "poll"):  # on Windows
        return None
    os.set_blocking(pipe, False)
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return poll


_ENCODERS: Dict[str, Type[Any]] = {".mp4": _FFmpegEncoder, ".png": _PngEncoder, ".cast": _TextEncoder}


# ---------------------------------------------------------------------------------------------------------------------
# Video recorder: one recording, from the environment's renderer to a file and its metadata
# ---------------------------------------------------------------------------------------------------------------------

class VideoRecorder:
    """Record one video of an environment, frame by frame.

    A video that cannot be made (the renderer raises, a frame is no picture, the encoder fails or hangs) is marked as
    broken in its metadata, with the reason, and logged; no exception of that kind leaves this class.

    Args:
        env: an environment with `render`, in gym's old form (`render(mode="rgb_array")`) or gymnasium's
            (`render_mode` given to `make`).
        path: the file; its ending chooses the format: `.mp4` (needs ffmpeg), `.png` or, for text, `.cast`.
        metadata: entries for the metadata file.
        enabled: False makes a recorder that does nothing.
        base_path: instead of `path`, the path without an ending; the best format that can be had is chosen.
            With neither, a temporary file is.
        fps: frames per second, more than 0; else the environment's `metadata` says, else 30.

    Attributes:
        path: the recording.
        metadata_path: its metadata, `{path without ending}.meta.json`.
        metadata: what the metadata file says: `content_type`, `encoder_version`, `empty`, `broken`, `error`.
        frames: how many frames were captured.
        frames_per_sec: the frame rate.
        enabled: False where the environment cannot be recorded, too.
        broken: whether the video was given up.

    Raises:
        Error: both `path` and `base_path`, an ending that does not fit, or no frame rate.
        DependencyNotInstalled: an `.mp4` was asked for, and there is no ffmpeg.
    """

    _closed = True

    def __init__(self, env: Any, path: Optional[_PathLike] = None, metadata: Optional[Dict[str, Any]] = None,
                 enabled: bool = True, base_path: Optional[_PathLike] = None, *, fps: Optional[float] = None) -> None:
        self.env = env
        self.path: Optional[str] = None
        self.metadata_path: Optional[str] = None
        self.metadata = dict(metadata or {})
        self.broken = False
        self.frames = 0
        self.frames_per_sec = _frame_rate(env, fps)
        self._popped: Optional[List[Any]] = None
        self._encoder: Optional[_Encoder] = None
        if path is not None and base_path is not None:
            raise Error("Give either path or base_path, not both.")
        renderer = _renderer(env) if enabled else None
        self.enabled = renderer is not None
        if renderer is None:
            if enabled and callable(getattr(env, "render", None)):
                _warn_once("No video of %s: %s", env, _why_no_frames(env))
            return
        self._render, self._is_text = renderer
        if path is None:
            if base_path is None:
                base_path = os.path.join(tempfile.mkdtemp(prefix=FILE_PREFIX + "."), "video")
            path = os.fspath(base_path) + (".cast" if self._is_text else ".mp4" if _find_ffmpeg() else ".png")
        _check_ending(os.fspath(path), self._is_text)
        self.path = os.path.abspath(path)
        self.metadata_path = os.path.splitext(self.path)[0] + ".meta.json"
        self._write_metadata()
        self._closed = False
        _own(self)

    @property
    def functional(self) -> bool:
        """Whether this recorder records: it is enabled, and its video is not broken."""
        return self.enabled and not self.broken

    @property
    def empty(self) -> bool:
        """Whether the video has no frame yet."""
        return self.frames == 0

    def capture_frame(self) -> None:
        """Ask the environment for a frame and add it to the video."""
        if self._closed:
            return
        try:
            frame = self._render()
            if isinstance(frame, list):  # gymnasium's `rgb_array_list`: the frames since they were last asked for
                if self._popped is not None:
                    self._popped += frame
                if not frame:
                    return
                frame = frame[-1]
            elif isinstance(frame, tuple) and frame:  # of a vector environment: the first sub-environment's
                frame = frame[0]
            if frame is None:
                if _env_metadata(self.env).get("semantics.async"):
                    return  # Environments of gym's Universe may have nothing to show yet.
                raise InvalidFrame("The environment's render() returned None.")
            encoder = self._encoder or self._begin(frame)
            encoder.write(frame)
            self.frames += 1
        except Exception as problem:
            self._give_up(problem)

    def _begin(self, frame: Any) -> _Encoder:
        """Create the file, and start the encoder that its name asks for."""
        assert self.path is not None
        base, ending = os.path.splitext(self.path)
        if self._is_text is None and (isinstance(frame, str) or hasattr(frame, "getvalue")):
            self.path, ending = base + ".cast", ".cast"
        _remove(self.path)
        _exclusive(self.path).close()
        try:
            self._encoder = _ENCODERS[ending](self.path, self.frames_per_sec, frame)
        except KeyboardInterrupt as problem:
            self._give_up(problem)  # two encoders must not write one file
            raise
        assert self._encoder is not None
        self.metadata["encoder_version"] = dict(self._encoder.version)
        self._write_metadata(empty=False)
        return self._encoder

    def close(self) -> None:
        """End the video, and wait until its file is complete. May be called again."""
        self._settle(wait=True)

    def _end(self) -> None:
        """Say that no frame will follow. The encoder may take a moment longer than this call."""
        if self._closed:
            return
        if self._encoder is not None:
            try:
                self._encoder.end()
            except Exception as problem:
                self._give_up(problem)
        self._closed = True  # last: after Ctrl-C another call tries again
        self._write_metadata()

    def _settle(self, wait: bool) -> bool:
        """Whether the file is final. Where it is not and `wait` is set, wait, as long as the encoder makes headway."""
        self._end()
        if self._encoder is not None:
            try:
                if not self._encoder.finished(wait):
                    return False
            except Exception as problem:
                self._give_up(problem)
            self._encoder = None
        _owners.discard(self)
        return True

    def _give_up(self, problem: BaseException) -> None:
        """The one rule for a video that cannot be made: no file, a reason in the metadata, a line in the log."""
        self.broken = True
        reason = str(problem) or type(problem).__name__
        self.metadata["error"] = reason if isinstance(problem, Error) else f"{type(problem).__name__}: {reason}"
        logger.warning("The video %s was given up: %s", self.path, self.metadata["error"])
        self._stop()
        self._write_metadata()

    def _stop(self) -> None:
        """End the encoder at once and remove the recording."""
        self._closed = True
        if self._encoder is not None:
            self._encoder.kill()
            self._encoder = None
        _remove(self.path)
        _owners.discard(self)

    def _drop(self) -> None:
        """Remove the recording as if it had never been made."""
        self._stop()
        _remove(self.metadata_path)

    def _write_metadata(self, empty: Optional[bool] = None) -> None:
        if self.path is None or self.metadata_path is None:
            return
        self.metadata["content_type"] = _ENCODERS[os.path.splitext(self.path)[1]].content_type
        self.metadata["empty"] = self.empty if empty is None else empty
        self.metadata["broken"] = self.broken
        try:
            _write_json(self.metadata_path, self.metadata)
        except OSError as problem:
            _warn_once("The metadata %s cannot be written: %s", self.metadata_path, problem)

    def _let_go(self) -> None:
        self._closed = True
        if self._encoder is not None:
            self._encoder.let_go()
            self._encoder = None

    def __del__(self) -> None:
        if not self._closed:
            _close_quietly(self.close)


def _env_metadata(env: Any) -> Dict[str, Any]:
    """What the environment says about itself; nothing, where it says that in another form than gym's."""
    metadata = getattr(env, "metadata", None)
    return metadata if isinstance(metadata, dict) else {}


def _frame_rate(env: Any, fps: Optional[float]) -> float:
    """Frames per second: as asked for, else as the environment says, else 30."""
    if fps is not None and (isinstance(fps, (str, bool)) or not _is_rate(fps)):
        raise Error(f"fps has to be a number above 0 or None, not {fps!r}.")
    metadata = _env_metadata(env)
    rates: List[Any] = [fps, metadata.get("render_fps"), metadata.get("video.frames_per_second")]
    return next((float(rate) for rate in rates if _is_rate(rate)), 30.0)


def _is_rate(rate: Any) -> bool:
    try:
        return 0 < float(rate) < math.inf
    except (TypeError, ValueError, OverflowError):
        return False


def _renderer(env: Any) -> Optional[Tuple[Callable[[], Any], Optional[bool]]]:
    """How to ask an environment for a frame, and whether that is text (None: that will be seen).

    None in place of both if it draws nothing that can be recorded.
    """
    render = getattr(env, "render", None)
    if not callable(render):
        return None
    metadata = _env_metadata(env)
    old_modes = metadata.get("render.modes")
    if hasattr(env, "render_mode") and (env.render_mode is not None or old_modes is None):
        # gymnasium, and gym from 0.25 on: the mode was chosen when the environment was made.
        mode = str(env.render_mode).replace("_list", "")
        return (render, mode == "ansi") if mode in ("rgb_array", "ansi") else None
    modes = metadata.get("render_modes") if old_modes is None else old_modes
    for mode in ("rgb_array", "ansi"):
        if modes is None or mode in modes:
            if not _takes_mode(render, otherwise=modes is not None):
                return render, None
            return functools.partial(render, mode=mode), mode == "ansi"
    return None


def _takes_mode(render: Callable[..., Any], otherwise: bool) -> bool:
    """Whether `render` has a parameter `mode`; `otherwise`, where it does not tell, as compiled code may not."""
    import inspect
    try:
        inspect.signature(render).bind(mode="rgb_array")
    except TypeError:
        return False
    except ValueError:
        return otherwise
    return True


def _why_no_frames(env: Any) -> str:
    """What to do about an environment that `_renderer` has no use for."""
    if getattr(env, "render_mode", "") is None:
        return "make it with render_mode='rgb_array', or pass video_callable=False."
    return "it renders neither 'rgb_array' nor 'ansi'; pass video_callable=False to say that it need not."


def _check_ending(path: str, is_text: Optional[bool]) -> None:
    ending = os.path.splitext(path)[1]
    if ending not in _ENCODERS or is_text not in (None, ending == ".cast"):
        raise Error("A recording of {} cannot be called {}: its name has to end in {}.".format(
            "text" if is_text else "pictures", os.path.basename(path), ".cast" if is_text else ".mp4 or .png"))
    if ending == ".mp4" and not _find_ffmpeg():
        raise DependencyNotInstalled(f"{os.path.basename(path)} needs ffmpeg, and there is none on PATH: install it, "
                                     "or let the name end in .png for an animated picture.")


# ---------------------------------------------------------------------------------------------------------------------
# The monitor
# ---------------------------------------------------------------------------------------------------------------------

class Episode(NamedTuple):
    """What `keep_video` is asked about: an episode that is over."""
    episode_id: int
    reward: float  # the return: the sum of the episode's rewards
    length: int    # in steps
    info: Any      # the last step's


class _Options(NamedTuple):
    """The keyword arguments of `Monitor`."""
    allow_early_resets: bool
    step_trigger: Optional[Callable[[int], bool]]
    video_length: Optional[int]
    fps: Optional[float]
    stats_key: Optional[str]
    info_keywords: Sequence[str]
    keep_video: Optional[Callable[[Episode], bool]]


# Encoders that still finish their files while the training goes on; one more waits for the oldest.
_FINISHING = 2


class _Recording:
    """A recording from `start` to `close`: the episodes as they happen, between environment and recorders.

    `Monitor` is the layer around it that passes for an environment. They are two objects because CPython (up to 3.11)
    looks up every attribute more slowly on a class that has `__getattr__`: it doubled the cost of a step.
    """

    open = False

    def __init__(self, env: Any, stats: StatsRecorder, infix: str, schedule: Callable[[int], bool],
                 write_upon_reset: bool, options: _Options) -> None:
        self.env = env
        self.stats = stats
        self.infix = infix
        self.schedule = schedule
        self.write_upon_reset = write_upon_reset
        self.options = options
        self.video_recorder: Optional[VideoRecorder] = None
        self.open = True
        self.inherited = False            # by a forked child
        self._rewards = stats.rewards     # of the episode under way
        self._aside = True                # whether `step` has to take the long way: the one thing that it looks at
        self._other_form = False          # ... for its results are not five values
        self._broken = False              # ... for an exception left it, so that this episode does not count
        self._summary: Dict[str, Any] = {}                # what `info["episode"]` said last
        self._clip: Optional[VideoRecorder] = None        # the video that is being captured
        self._capturing = options.step_trigger is not None  # whether `step` has to think of videos
        self._episode_clips: List[VideoRecorder] = []     # those begun in this episode
        self._ended_clips: List[VideoRecorder] = []       # those whose encoders may not have finished
        self._videos: List[Tuple[str, str]] = []
        self._listed = 0                  # how many of them are in the manifests of earlier batches
        self._flushed = (-1, 0, "")       # how many episodes and videos the newest manifest knows of, and its path
        self._popped: List[Any] = []      # frames of `rgb_array_list` that the recorder took from the environment
        self._cleared_at = -1             # after how many steps its files were cleared on purpose
        _own(self)

    # The episodes

    def step(self, action: Any) -> Any:
        if self._aside:
            return self._step_aside(action)
        try:
            result = self.env.step(action)
            try:
                _, reward, terminated, truncated, info = result
                done = terminated or truncated
                self._rewards.append(float(reward))
            except Exception:
                done, info = self._note_other_form(result)
        except BaseException:
            self._break_episode()
            raise
        if done or self._capturing:
            self._after_step(done, info)
        return result

    def _note_other_form(self, result: Any) -> Tuple[bool, Any]:
        """Record the reward of a step in any form that there is; return whether it ends the episode, and its info."""
        reward, done, info = _reward_done_info(result)
        self._rewards.append(_as_number(reward))
        self._aside = self._other_form = True  # the next one will be, too: an exception a step is slow
        return done, info

    def _step_aside(self, action: Any) -> Any:
        """A step whose result has another form, or when no episode is being recorded.

        That is an error while we record, and else the environment's own business.
        """
        if self._other_form and not self.stats.done and not self._broken:
            try:
                result = self.env.step(action)
                done, info = self._note_other_form(result)
            except BaseException:
                self._break_episode()
                raise
            if done or self._capturing:
                self._after_step(done, info)
            return result
        if self.open and not self._broken:
            self.stats.before_step(action)
        self._tell_inherited()
        result = self.env.step(action)
        if self._broken and self.stats.autoreset and _reward_done_info(result)[1]:
            self._drop_episode()
            self._begin_episode()
        return result

    def _break_episode(self) -> None:
        """After an exception nobody knows what the episode has been: what follows, up to a reset, is not recorded."""
        self._aside = self._broken = True

    def _after_step(self, done: bool, info: Any) -> None:
        number = self.episode_id
        if done:
            self.stats.done = self._aside = True
            last, self._summary = self._summary, self.stats.save_complete(info)  # first: pictures may take their time
            key = self.options.stats_key
            if key is not None and isinstance(info, dict) and (key not in info or info[key] is last):
                # ... in place of the last one, where the environment has one `info` for all its steps
                try:
                    info[key] = self._summary
                except Exception as problem:
                    _warn_once("The info of an episode took no entry: %r", problem)
        if self._capturing and not (done and self.stats.autoreset):  # else it shows the next episode already
            self._film(self.stats.total_steps - 1, number)
        if done:
            if self._episode_clips or self._clip is not None:
                self._end_episode_clips(Episode(number, self._summary["r"], self._summary["l"], info))
            if self.stats.autoreset:
                self._begin_episode()
            self.flush_upon_reset()

    def reset(self, **kwargs: Any) -> Any:
        if not self.open:
            self._tell_inherited()
            return self.env.reset(**kwargs)
        if not self.stats.done:
            if not self._broken:
                self.stats.before_reset()
            self._drop_episode()
        result = self.env.reset(**kwargs)
        self._begin_episode()
        self.flush_upon_reset()
        return result

    def _drop_episode(self) -> None:
        """Forget the episode under way, and its videos with it."""
        self.stats.done = self._aside = True
        self._broken = False
        for clip in self._episode_clips:
            self._discard(clip)

    def _begin_episode(self) -> None:
        self.stats.after_reset(None)
        self._aside = self._other_form  # first, for Ctrl-C may come while the picture is drawn
        self._begin_clips(self.episode_id)

    @property
    def episode_id(self) -> int:
        return self.stats.first_episode_id + len(self.stats.timestamps)

    # The videos

    def _begin_clips(self, number: int, **metadata: Any) -> None:
        """An episode begins: with a video, if it is picked, whose first frame the reset has drawn."""
        self._popped = []
        self._episode_clips = []
        if self._ended_clips:
            self._settle(wait=False)
        if _ask(self.schedule, number, otherwise=False):
            self._begin_clip(f"video{number:06d}", dict(metadata, episode_id=self.episode_id))
        if self._clip is not None:
            self._capture(self._clip)

    def _begin_clip(self, name: str, metadata: Dict[str, Any]) -> None:
        self._end_clip()
        if self.stats._is_taken():
            return  # `close` will be an error; it is no reason to write over another monitor's videos.
        path = os.path.join(self.stats.directory, f"{FILE_PREFIX}.video.{self.infix}.{name}")
        try:
            clip = VideoRecorder(self.env, base_path=path, metadata=metadata, fps=self.options.fps)
        except Exception as problem:  # an attribute of the environment raised, or ffmpeg was removed just now
            _warn_once(f"A video of {type(self.env).__name__} could not be begun: %r", problem)
            return
        if clip.enabled:
            self.video_recorder = self._clip = clip
            self._capturing = True
            self._episode_clips.append(clip)

    def _film(self, step: int, number: int) -> None:
        """Add what a step has drawn to the video, a new one if this step is to begin it."""
        trigger = self.options.step_trigger
        if trigger is not None and _ask(trigger, step, otherwise=False):
            self._begin_clip(f"step{step:09d}", {"step": step, "episode_id": number})
        if self._clip is not None:
            self._capture(self._clip)

    def _capture(self, clip: VideoRecorder) -> None:
        clip._popped = self._popped
        clip.capture_frame()
        length = self.options.video_length
        if not clip.functional or (length and clip.frames >= length):
            self._end_clip()

    def _end_clip(self) -> None:
        """End the video that is being captured; its encoder finishes beside the training."""
        clip = self._no_clip()
        if clip is not None:
            self._ended_clips.append(clip)
            clip._end()
            while len(self._ended_clips) > _FINISHING:
                self._ended_clips[0]._settle(wait=True)
                self._settle(wait=False)

    def _no_clip(self) -> Optional[VideoRecorder]:
        clip, self._clip = self._clip, None
        self._capturing = self.options.step_trigger is not None
        return clip

    def _end_episode_clips(self, episode: Episode) -> None:
        """An episode is over: end its video, unless it has a length of its own, and ask whether it stays."""
        keep = self.options.keep_video
        if keep is not None and self._episode_clips and not _ask(keep, episode, otherwise=True):
            for clip in self._episode_clips:
                self._discard(clip)
        elif keep is not None or not self.options.video_length:
            self._end_clip()

    def _discard(self, clip: VideoRecorder) -> None:
        if clip is self._clip:
            self._no_clip()
        if clip in self._ended_clips:
            self._ended_clips.remove(clip)
        self._videos = [video for video in self._videos if video[0] != clip.path]
        clip._drop()

    def _settle(self, wait: bool) -> None:
        """List the videos whose files have become final, in their order; with `wait`, all of them."""
        while self._ended_clips and self._ended_clips[0]._settle(wait):
            clip = self._ended_clips.pop(0)  # at once: Ctrl-C while the next is waited for must not list it twice
            if clip.functional and not clip.empty:
                assert clip.path is not None and clip.metadata_path is not None
                self._videos.append((clip.path, clip.metadata_path))

    def videos(self) -> List[Tuple[str, str]]:
        self._settle(wait=True)
        return list(self._videos)

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the environment; a list of frames begins with those that the recorder has taken from it."""
        result = self.env.render(*args, **kwargs)
        if isinstance(result, list) and self._popped:
            result, self._popped = self._popped + result, []
        return result

    # The files

    def flush_upon_reset(self) -> None:
        if self.write_upon_reset:
            try:
                self._flush()
            except Error as problem:
                _warn_once("%s", problem)

    def _flush(self) -> None:
        """Write statistics and manifest in gym's format, if there is anything new to write."""
        stats = self.stats
        episodes, videos, newest = self._flushed
        if (len(stats.timestamps), len(self._videos)) == (episodes, videos) and os.path.lexists(newest):
            return
        stats.flush()
        name = os.path.basename(stats.path)
        infix = name[len(FILE_PREFIX + ".episode_batch."):-len(".stats.json")]
        manifest = os.path.join(stats.directory, f"{MANIFEST_PREFIX}.{infix}.manifest.json")
        if manifest != newest:
            self._listed = videos  # A new batch lists the videos that have come since.
        try:
            _write_json(manifest, {
                "stats": name,
                "videos": [[os.path.basename(path) for path in video] for video in self._videos[self._listed:]],
                "env_info": {"env_id": stats.env_id, "gym_version": stats.gym_version},
            })
        except OSError as problem:
            raise Error(f"The manifest {manifest} cannot be written: {problem.strerror}.") from problem
        self._flushed = len(stats.timestamps), len(self._videos), manifest

    def close(self) -> None:
        """End the recording, and wait until its files are complete. An `Error` leaves it open, to try again."""
        if self.open:
            self._aside = True
            self._end_clip()
            self._settle(wait=True)
            if self._cleared_at == self.stats.total_steps:
                self.stats._let_go()
            else:
                self.stats.close()
                self._flush()
            self.open = self._broken = False
            _owners.discard(self)

    def expect_clearing(self) -> None:
        """Another monitor will clear the directory on purpose: if no step follows, nothing is written there again."""
        for clip in self._episode_clips + self._ended_clips:
            self._discard(clip)
        self._cleared_at = self.stats.total_steps

    def _let_go(self) -> None:
        """A forked child has no part in the recording: it goes on in the parent."""
        self._no_clip()
        self._ended_clips = []
        self._aside = self.inherited = True
        self.open = self._broken = False

    def _tell_inherited(self) -> None:
        if self.inherited:
            _warn_once("This process was forked from one that records: what the environment does here is not recorded. "
                       "Give the child a Monitor of its own.")

    def __del__(self) -> None:
        if self.open:
            _close_quietly(self.close)


class Monitor:
    """Wrap an environment and record what it does, into a directory.

    The environment's own calls and attributes work through the monitor, and what they return is passed on unchanged.
    Only an `info` dictionary gets one more entry at the end of an episode, `info["episode"]`.

    Args:
        env: any object with `reset` and `step`, where `step` answers `(observation, reward, done, info)`,
            `(observation, reward, terminated, truncated, info)` or dm_env's `TimeStep`.
        directory: where the files go; made if it is missing. Without one, recording begins with `start`.
        video_callable: which episodes get a video, `int -> bool`. None is the cubes up to 1000 and then every
            thousandth (none with a `step_trigger`); False is none.
        force: first remove the recorder's files of an earlier run from the directory.
        resume: keep them, and go on with their numbering of episodes.
        write_upon_reset: write statistics and manifest in gym's format after every episode, not only at the end.
        uid: part of this monitor's file names (1 to 100 characters), in place of the process id.
        mode: 'training' (the default) or 'evaluation': the type of the episodes.
        allow_early_resets: let `reset` be called in mid-episode; the unfinished episode is dropped.
        step_trigger: at which steps to begin a video, `int -> bool`, of the steps since the start, counted from 0.
        video_length: frames after which a video ends, past the end of the episode if need be; None or 0: it ends
            with its episode.
        fps: frames per second of the videos, more than 0; None: what the environment's `metadata` says, else 30.
        stats_key: the entry of the last `info` of an episode that gets its return "r", its length "l" and its
            duration "t" in seconds; None for none.
        info_keywords: entries of the last `info` of an episode to write into the journal.
        keep_video: whether the video of an `Episode` that is over stays, `Episode -> bool`; None keeps all.

    Raises:
        Error: an argument is wrong, the directory cannot be written, or holds an earlier run.

    Attributes:
        env: the environment inside.
        enabled: whether it records.
        directory: absolute path of the directory.
        stats_recorder: the `StatsRecorder`.
        video_recorder: the `VideoRecorder` of the newest video, or None.
        video_callable: the schedule in use.
        file_prefix: how its files' names begin, "openaigym".
        file_infix: what tells its files from those of others, `{monitor id}.{uid or process id}`.
        write_upon_reset: as given.
    """

    file_prefix = FILE_PREFIX
    _recording_type: Type[_Recording] = _Recording
    _number_of_monitors = 0

    def __init__(self, env: Any, directory: Optional[_PathLike] = None, video_callable: Any = None,
                 force: bool = False, resume: bool = False, write_upon_reset: bool = False,
                 uid: Optional[Union[str, int]] = None, mode: Optional[str] = None, *, allow_early_resets: bool = False,
                 step_trigger: Optional[Callable[[int], bool]] = None, video_length: Optional[int] = None,
                 fps: Optional[float] = None, stats_key: Optional[str] = "episode",
                 info_keywords: Sequence[str] = (), keep_video: Optional[Callable[[Episode], bool]] = None) -> None:
        self._check_env(env)
        self.env = env
        self._options = _check_options(_Options(allow_early_resets, step_trigger, video_length, fps, stats_key,
                                                info_keywords, keep_video))
        self._recording: Optional[_Recording] = None
        self._env_closed = False
        if directory is not None:
            self.start(directory, video_callable, force, resume, write_upon_reset, uid, mode)

    def _check_env(self, env: Any) -> None:
        if _is_vector(env):
            raise Error(f"{type(env).__name__} is a vector environment (it has num_envs): wrap it in VectorMonitor, "
                        "or each of its sub-environments in a Monitor.")
        _check_methods(env)

    def start(self, directory: _PathLike, video_callable: Any = None, force: bool = False, resume: bool = False,
              write_upon_reset: bool = False, uid: Optional[Union[str, int]] = None,
              mode: Optional[str] = None) -> None:
        """Begin to record, into a directory; after `close` it may be called again. For the arguments see `Monitor`.

        Raises:
            Error: an argument is wrong, the directory cannot be written or holds an earlier run, or the monitor is
                recording already.
        """
        if self.enabled:
            raise Error(f"This monitor is recording into {self.directory}: close() it before it is started again.")
        schedule = _schedule(video_callable, self._options.step_trigger)
        type_ = _episode_type(mode or "training")
        owner = _check_uid(uid)
        folder = _check_directory(directory)
        if issubclass(type(self.env), Monitor) and self.env.enabled and self.env.directory == folder:
            raise Error(f"The environment is itself a monitor that records into {folder}: wrap the one inside.")
        made = _make_directory(folder)
        try:
            if force:
                for other in list(_owners):  # as where the cell of a notebook is run again
                    if isinstance(other, _Recording) and other.stats.directory == folder:
                        other.expect_clearing()
                clear_monitor_files(folder)
            elif not resume:
                _refuse_earlier_run(folder)
            first = _count_episodes(folder, None if uid in (None, "") else owner) if resume else 0
            stats, infix = self._claim(folder, owner, first)
        except OSError as problem:
            _remove_directories(made)
            raise Error(f"The monitor directory {folder} cannot be used: {problem.strerror}.") from problem
        except BaseException:
            _remove_directories(made)
            raise
        stats.type = type_
        self._recording = self._recording_type(self.env, stats, infix, schedule, write_upon_reset, self._options)
        self._env_closed = False
        for name in ("step", "reset"):
            if getattr(type(self), name) is getattr(Monitor, name):  # ... and no subclass has its own
                # The methods below would do. Without the way through them a step costs a third less: bench.py, step.
                setattr(self, name, getattr(self._recording, name))

    def _claim(self, folder: str, owner: str, first_episode_id: int) -> Tuple[StatsRecorder, str]:
        """Make INFIX our own: whoever creates its journal has it, and names of gym's that hold it are not taken."""
        names = os.listdir(folder)
        while True:
            infix = f"{Monitor._number_of_monitors}.{owner}"
            Monitor._number_of_monitors += 1
            if any(f".{infix}." in name for name in names if name.startswith(FILE_PREFIX)):
                continue
            try:
                return StatsRecorder(
                    folder, f"{FILE_PREFIX}.episode_batch.{infix}",
                    bool(_env_metadata(self.env).get("semantics.autoreset")), _env_id(self.env),
                    gym_version=_gym_version(self.env), first_episode_id=first_episode_id,
                    info_keywords=self._options.info_keywords,
                    allow_early_resets=self._options.allow_early_resets), infix
            except _NameTaken:
                continue

    # The environment's own calls

    def step(self, action: Any) -> Any:
        """Take a step.

        Args:
            action: passed on to the environment.

        Returns:
            What the environment's `step` returned. At the end of an episode its `info` has one entry more.

        Raises:
            ResetNeeded: no episode is under way.
            Error: the result has the wrong shape, or the reward is no number. The episode is not counted then.
        """
        return self.env.step(action) if self._recording is None else self._recording.step(action)

    def reset(self, **kwargs: Any) -> Any:
        """Begin an episode.

        Args:
            **kwargs: passed on to the environment.

        Returns:
            What the environment's `reset` returned.

        Raises:
            Error: an episode is under way, has steps, and `allow_early_resets` is not set.
        """
        return self.env.reset(**kwargs) if self._recording is None else self._recording.reset(**kwargs)

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the environment, as it does by itself."""
        renderer = self.env if self._recording is None else self._recording
        return renderer.render(*args, **kwargs)

    def close(self, **kwargs: Any) -> Any:
        """End the recording, wait until its files are complete, and close the environment. May be called again.

        A video under way ends here and stays; an episode under way is not counted.

        Args:
            **kwargs: passed on to the environment.

        Returns:
            What the environment's `close` returned, the first time.

        Raises:
            Error: statistics are missing from the directory (a full disk, or it was removed). Another call tries
                again.
        """
        result = None
        try:
            if self._recording is not None:
                self._recording.close()
        finally:
            close = getattr(self.env, "close", None)
            if callable(close) and not self._env_closed:
                self._env_closed = True
                result = close(**kwargs)
        return result

    # What there is to read

    @property
    def enabled(self) -> bool:
        return self._recording is not None and self._recording.open

    @property
    def directory(self) -> Optional[str]:
        return None if self._recording is None else self._recording.stats.directory

    @property
    def stats_recorder(self) -> Optional[StatsRecorder]:
        return None if self._recording is None else self._recording.stats

    @property
    def video_recorder(self) -> Optional[VideoRecorder]:
        return None if self._recording is None else self._recording.video_recorder

    @property
    def video_callable(self) -> Callable[[int], bool]:
        return disable_videos if self._recording is None else self._recording.schedule

    @property
    def file_infix(self) -> Optional[str]:
        return None if self._recording is None else self._recording.infix

    @property
    def write_upon_reset(self) -> bool:
        return self._recording is not None and self._recording.write_upon_reset

    @property
    def episode_id(self) -> int:
        """Number of the episode under way or, between two, of the next one: so many were completed before it."""
        return 0 if self._recording is None else self._recording.episode_id

    @property
    def videos(self) -> List[Tuple[str, str]]:
        """Pairs of paths, recording and metadata; reading it waits for videos that are still being finished."""
        return [] if self._recording is None else self._recording.videos()

    def set_monitor_mode(self, mode: str) -> None:
        """Set the type of the episodes from the next reset on: 'training' or 'evaluation'.

        Raises:
            Error: another mode, or the monitor has not been started.
        """
        type_ = _episode_type(mode)
        if self._recording is None:
            raise Error("The mode of a monitor can be set once it has been started.")
        self._recording.stats.type = type_

    def get_total_steps(self) -> int:
        """Steps taken while recording, those of unfinished episodes included."""
        return 0 if self._recording is None else self._recording.stats.total_steps

    def get_episode_rewards(self) -> List[float]:
        """Return of each completed episode."""
        return [] if self._recording is None else self._recording.stats.episode_rewards

    def get_episode_lengths(self) -> List[int]:
        """Length of each completed episode, in steps."""
        return [] if self._recording is None else self._recording.stats.episode_lengths

    def get_episode_times(self) -> List[float]:
        """When each completed episode ended, in seconds since the monitor was started."""
        stats = self.stats_recorder
        return [] if stats is None else [timestamp - stats.t_start for timestamp in stats.timestamps]

    # Everything else is the environment's

    @classmethod
    def class_name(cls) -> str:
        """gym's wrappers ask those below them, so as to tell who is wrapped twice."""
        return cls.__name__

    @property
    def unwrapped(self) -> Any:
        """The environment under all wrappers."""
        return getattr(self.env, "unwrapped", self.env)

    def __getattr__(self, name: str) -> Any:
        """Public attributes that the monitor has not are the environment's."""
        if name.startswith("_") or name == "env":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        env = self.env
        if hasattr(env, name) or not hasattr(env, "get_wrapper_attr"):
            return getattr(env, name)
        return env.get_wrapper_attr(name)  # gymnasium's wrappers show those of the ones below only by this name

    def has_wrapper_attr(self, name: str) -> bool:
        """gymnasium: whether the monitor or an environment inside has an attribute."""
        try:
            self.get_wrapper_attr(name)
        except AttributeError:
            return False
        return True

    def get_wrapper_attr(self, name: str) -> Any:
        """gymnasium: an attribute of the monitor or of an environment inside, a private one too."""
        if name in self.__dict__ or hasattr(type(self), name):
            return getattr(self, name)
        return getattr(self.env, "get_wrapper_attr", functools.partial(getattr, self.env))(name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """gymnasium: set an attribute where it is, of the monitor or of an environment inside."""
        if name in self.__dict__ or hasattr(type(self), name):
            setattr(self, name, value)
            return True
        if hasattr(self.env, "set_wrapper_attr"):
            return bool(self.env.set_wrapper_attr(name, value, force=force))
        if force or hasattr(self.env, name):
            setattr(self.env, name, value)
            return True
        return False

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """A monitor of a gymnasium (or gym) environment passes for a wrapper of that library in `isinstance`."""
        return _library_class(self.__dict__.get("env"), wrapper=True) or type(self)

    def __reduce__(self) -> Any:
        """A copy, and what comes out of a pickle, waits for its own `start`: the recording's files have one owner."""
        state = dict(self.__dict__, _recording=None)
        state.pop("step", None)
        state.pop("reset", None)
        return object.__new__, (type(self),), state

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{self.env}>"


class _VectorRecording(_Recording):
    """The recording of a vector environment: what there is once in `_Recording` is there once a sub-environment."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Arrays of the environment's own kind, with an entry a sub-environment, made by the first step ...
        self._returns: Any = None       # ... the return so far of the episode under way
        self._first_steps: Any = None   # ... the step after which it began
        self._start_times: Any = None   # ... and the time, by `time.perf_counter`
        self._types: List[str] = []
        self._start_time = 0.0
        self._steps = 0                 # since the start; one is a step of each sub-environment
        self._resetting: List[int] = []  # the sub-environments that the next step will only reset
        self._first_episodes = self.stats.first_episode_id  # ... and those that the first sub-environment has begun
        mode = _env_metadata(self.env).get("autoreset_mode")
        # Whether the step that ends an episode returns the first observation of the next one.
        self._same_step = "same" in str(getattr(mode, "value", mode)).lower()

    def reset(self, **kwargs: Any) -> Any:
        mask = (kwargs.get("options") or {}).get("reset_mask")
        chosen = None if mask is None or self._aside else [index for index, on in enumerate(mask.tolist()) if on]
        result = self.env.reset(**kwargs)
        if not self.open:
            self._tell_inherited()
            return result
        if chosen is None:
            self._returns, self._resetting = None, []
            self._types = [self.stats.type] * int(self.env.num_envs)
            self._start_time = time.perf_counter()
            self.stats.after_reset(None)
            self._aside = self._broken = False
        elif self._returns is not None:
            self._resetting = [index for index in self._resetting if index not in chosen]
            self._restart(chosen)
        if chosen is None or 0 in chosen:
            for clip in self._episode_clips:
                self._discard(clip)
            self._begin_first_episode()
        self.flush_upon_reset()
        return result

    def step(self, action: Any) -> Any:
        if self._aside:
            return self._step_aside(action)
        try:
            result = self.env.step(action)
            rewards, ended, infos = _rewards_and_ends(result)
            if self._returns is None:
                self._make_arrays(rewards)
            self._returns += rewards
        except BaseException:
            self._break_episode()
            raise
        self._steps += 1
        reset, self._resetting = self._resetting, []
        if reset:
            self._restart(reset)  # For them this step was a reset, and its reward none.
        self.stats._steps_before += len(self._types) - len(reset)
        episode = self._end_episodes(ended, infos) if ended.any() else None
        if 0 in reset:
            self._begin_first_episode()
        elif self._capturing or episode is not None:
            self._after_first_step(episode)
        return result

    def _make_arrays(self, rewards: Any) -> None:
        zeros = (rewards == rewards) * 0
        doubles = zeros.double() if hasattr(zeros, "double") else zeros * 1.0  # torch's default would be single
        self._returns = doubles + 0.0
        self._first_steps = zeros + self._steps
        self._start_times = doubles + self._start_time

    def _restart(self, indices: List[int]) -> None:
        """An episode begins in these sub-environments."""
        for index in indices:
            self._returns[index] = 0.0
            self._first_steps[index] = self._steps
            self._start_times[index] = time.perf_counter()
            self._types[index] = self.stats.type

    def _end_episodes(self, ended: Any, infos: Any) -> Optional[Episode]:
        """Record the episodes that a step ended, and return that of the first sub-environment if it is one."""
        key = self.options.stats_key
        returns, lengths = self._returns * ended, (self._steps - self._first_steps) * ended
        if key is not None and isinstance(infos, dict) and (key not in infos or infos[key] is self._summary):
            seconds = (time.perf_counter() - self._start_times) * ended
            infos[key] = self._summary = {"r": returns, "l": lengths, "t": seconds.round(decimals=6)}
            infos["_" + key] = ended
        indices = [index for index, end in enumerate(ended.tolist()) if end]
        first = None
        for index in indices:
            info = _info_of_one(infos, index, self.options.info_keywords)
            number = self.episode_id
            summary = self.stats.record(float(returns[index]), int(lengths[index]), self._types[index],
                                        float(self._start_times[index]), info)
            if index == 0:
                first = Episode(number, summary["r"], summary["l"], _info_of_one(infos, index))
        if self._same_step:
            self._restart(indices)
        else:
            self._resetting = indices
        self.flush_upon_reset()
        return first

    def _begin_first_episode(self) -> None:
        """Begin the first sub-environment's episode: the one that videos show."""
        number, self._first_episodes = self._first_episodes, self._first_episodes + 1
        self._begin_clips(number, sub_environment=0)

    def _after_first_step(self, episode: Optional[Episode]) -> None:
        """Think of videos; `episode` is the first sub-environment's, where this step ended it."""
        if episode is None or not self._same_step:  # else the picture shows the next episode already
            self._film(self._steps - 1, self.episode_id)
        if episode is not None:
            for clip in self._episode_clips:
                clip.metadata["episode_id"] = episode.episode_id  # which number it has is known only now
            self._end_episode_clips(episode)
            self._episode_clips = []
            if self._same_step:
                self._begin_first_episode()


class VectorMonitor(Monitor):
    """Record a gymnasium `VectorEnv` as one object: every sub-environment's episodes, in one journal.

    The arguments are `Monitor`'s. Rewards and ends are taken from whatever arrays the environment gives (numpy's, or
    torch tensors on the CPU), in both autoreset modes. `info["episode"]` has an array for each of "r", "l" and "t",
    and `info["_episode"]` tells which of their entries are of episodes that this step ended.

    Resetting, of all sub-environments or of those that `options["reset_mask"]` picks, drops their episodes under way.
    Videos show what `render` returns, of a tuple the first frame, which is the first sub-environment's; their
    schedule and their names count the episodes of that one.
    """

    _recording_type = _VectorRecording

    def _check_env(self, env: Any) -> None:
        if not _is_vector(env):
            raise Error(f"{type(env).__name__} is not a vector environment (it has no num_envs): wrap it in Monitor.")
        _check_methods(env)


def _rewards_and_ends(result: Any) -> Tuple[Any, Any, Any]:
    """Of a vector environment's step: the array of rewards, that of the episodes that are over, and the infos."""
    try:
        _, rewards, terminated, truncated, infos = result
        if hasattr(rewards, "detach"):  # a return keeps no graph of torch's alive
            rewards = rewards.detach()
        return rewards, terminated | truncated, infos
    except (TypeError, ValueError) as problem:
        raise Error("step() of a vector environment has to answer (observations, rewards, terminations, truncations, "
                    f"infos) with arrays, not {repr(result):.200}.") from problem


def _info_of_one(infos: Any, index: int, keywords: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """The entries of one sub-environment in gymnasium's dictionary of arrays: all, or those named by `keywords`.

    Where the step that ended an episode has begun the next one, its last infos are under "final_info".
    """
    info: Dict[str, Any] = {}
    sources: List[Any] = [infos, infos.get("final_info")] if isinstance(infos, dict) else []
    for source in sources:
        for name, values in source.items() if isinstance(source, dict) else ():
            if (name[:1] == "_" or name == "final_info") if keywords is None else name not in keywords:
                continue
            try:
                if source.get("_" + name, {index: True})[index]:
                    info[name] = _info_of_one(values, index) if isinstance(values, dict) else values[index]
            except (TypeError, IndexError, KeyError):
                info[name] = values  # one for all sub-environments
    return info


def _is_vector(env: Any) -> bool:
    """Whether it is several environments; gym's RecordEpisodeStatistics gives even a single one a `num_envs`."""
    return hasattr(env, "num_envs") and bool(getattr(env, "is_vector_env", True))


def _check_methods(env: Any) -> None:
    for method in ("reset", "step"):
        if not callable(getattr(env, method, None)):
            raise Error(f"An environment has to have a method {method}, and {env!r} has none.")


def _library_class(env: Any, wrapper: bool = False) -> Any:
    """The `Env` or `VectorEnv` of gymnasium or gym that an environment is derived from, or its kind of wrapper."""
    for ancestor in env.__class__.__mro__:  # not of type(env), which of a monitor inside is Monitor
        name, library = ancestor.__name__, ancestor.__module__.split(".")[0]
        if name in ("Env", "VectorEnv") and library in ("gym", "gymnasium"):
            module = sys.modules.get(ancestor.__module__)
            return getattr(module, name.replace("Env", "Wrapper"), ancestor) if wrapper else ancestor
    return None


def _env_id(env: Any) -> str:
    """The name under which the environment is registered, else the name of its class."""
    spec = getattr(env, "spec", None)
    name = getattr(spec, "id", None)
    return str(name) if name is not None else type(getattr(env, "unwrapped", env)).__name__


def _gym_version(env: Any) -> str:
    """Version of the gym or gymnasium that the environment comes from."""
    found = _library_class(env) or _library_class(getattr(env, "unwrapped", env))
    library = sys.modules.get(found.__module__.split(".")[0]) if found else None
    return str(getattr(library, "__version__", "none"))


def _reward_done_info(result: Any) -> Tuple[Any, bool, Any]:
    """The reward of a step, whether the episode is over, and the info, of a result in any of the forms there are."""
    try:
        if type(result) is not tuple and hasattr(result, "last"):  # dm_env's TimeStep, which has no info
            return result.reward, bool(result.last()), None
        if len(result) == 4:
            return result[1], bool(result[2]), result[3]
        if len(result) == 5:
            return result[1], bool(result[2] or result[3]), result[4]
    except Exception:  # torch has a RuntimeError for the truth of two elements
        pass
    raise Error("step() has to answer (observation, reward, done, info) or (observation, reward, terminated, "
                f"truncated, info), not {repr(result):.200}.")


def _check_options(options: _Options) -> _Options:
    """The same options, if each is what it should be."""
    for name in ("step_trigger", "keep_video"):
        function = getattr(options, name)
        if function is not None and not callable(function):
            raise Error(f"{name} has to be a function or None, not {function!r}.")
    length, key = options.video_length, options.stats_key
    try:
        length = operator.index(length or 0)
    except TypeError:
        length = -1
    if length < 0:
        raise Error(f"video_length has to be a number of frames or None, not {options.video_length!r}.")
    _frame_rate(None, options.fps)
    if key is not None and not isinstance(key, str):
        raise Error(f"stats_key has to be a string or None, not {key!r}.")
    words = [] if isinstance(options.info_keywords, str) else list(options.info_keywords)
    if isinstance(options.info_keywords, str) or len(set(words)) < len(words) or not all(
            isinstance(word, str) and re.match(r'[^",\s][^",\r\n]*\Z', word) and word not in _JOURNAL_COLUMNS
            for word in words):
        raise Error("info_keywords has to be a tuple of different names of entries, other than r, l, t and type, not "
                    f"{options.info_keywords!r}.")
    return options._replace(video_length=length, info_keywords=tuple(words))


def _schedule(video_callable: Any, step_trigger: Any) -> Callable[[int], bool]:
    if video_callable is None:
        return capped_cubic_video_schedule if step_trigger is None else disable_videos
    if video_callable is False:
        return disable_videos
    if not callable(video_callable):
        raise Error(f"video_callable has to be a function, None or False, not {video_callable!r}.")
    return video_callable  # type: ignore[no-any-return]


def _episode_type(mode: Any) -> str:
    if mode not in ("training", "evaluation"):
        raise Error(f"The mode of a monitor is 'training' or 'evaluation', not {mode!r}.")
    return str(mode)[0]


def _check_uid(uid: Optional[Union[str, int]]) -> str:
    """The part of a file name that a uid makes; a name that ends like a batch would be taken for one."""
    text = str(os.getpid() if uid is None or uid == "" else uid)
    if not re.match(r"[^/\\:\x00-\x1f\x7f]{1,100}\Z", text) or text in (".", "..") or re.search(
            r"(^|\.)batch\d+\Z", text) or not _is_path(text) or len(os.fsencode(text)) > 100:
        raise Error(f"A uid is part of file names: 1 to 100 characters, no separators, not {text!r:.120}.")
    return text


def _check_directory(directory: Any) -> str:
    try:
        path = os.path.abspath(os.fsdecode(os.fspath(directory)))
    except (TypeError, ValueError) as problem:
        raise Error(f"A monitor directory has to be a path, not {directory!r}.") from problem
    if not _is_path(path):
        raise Error(f"A monitor directory has to be a path, not {path!r}.")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise Error(f"The monitor directory {path} is not a directory but a file.")
    return path


def _refuse_earlier_run(folder: str) -> None:
    files = [os.path.basename(path) for path in detect_monitor_files(folder)]
    files = [name for name in files if name != _REPORT_NAME]
    if files:
        more = f" and {len(files) - 5} more" if len(files) > 5 else ""
        raise Error("The monitor directory {} holds files of an earlier run: {}{}. Pass resume=True to keep them and "
                    "go on, force=True to remove them first, or another directory.".format(
                        folder, ", ".join(files[:5]), more))


# ---------------------------------------------------------------------------------------------------------------------
# Results: reading it back
# ---------------------------------------------------------------------------------------------------------------------

class _Run(NamedTuple):
    """What one monitor recorded, finished or not."""
    name: str                        # INFIX; the file's name for a monitor.csv of Stable-Baselines3
    env_id: str                      # empty where it was killed before it could say
    gym_version: str
    start: float                     # the first reset, in seconds since the epoch (gym 0.21: of another clock)
    first_episode_id: int
    manifests: List[str]
    timestamps: List[float]
    episode_lengths: List[int]
    episode_rewards: List[float]
    episode_types: List[str]
    videos: List[Tuple[str, str]]    # recordings and their metadata
    broken: List[str]                # metadata of recordings that were given up or are missing


class _Statistics(NamedTuple):
    """The contents of a stats.json, or of the journal, which holds the same."""
    start: Optional[float]
    timestamps: List[float]
    episode_lengths: List[int]
    episode_rewards: List[float]
    episode_types: List[str]


_EPISODE_COLUMNS = _Statistics._fields[1:]  # an entry an episode; a _Run has them by the same names


def load_results(dir: _PathLike) -> Dict[str, Any]:
    """Read what was recorded in a directory: by this module, by gym 0.9 to 0.21, or by Stable-Baselines3.

    Runs need not be finished: where a journal holds more than the JSON beside it, the journal counts.

    Args:
        dir: path of the directory.

    Returns:
        A dictionary with gym's keys. Lists of equal length, with an entry an episode, sorted by the time of its end:
        `timestamps` (seconds since the epoch), `episode_lengths` (steps), `episode_rewards` (returns),
        `episode_types` ('t' training, 'e' evaluation), `data_sources` (which of the merged runs, counted from 0).
        Besides `manifests` (paths), `videos` (pairs of paths, recording and metadata), `env_info`
        (`env_id` and `gym_version`), `initial_reset_timestamps` (of each run that has episodes) and
        `initial_reset_timestamp` (the earliest of them, or 0).

    Raises:
        Error: the directory is missing or holds no run, the runs are of different environments, or a file in it is
            not what it should be.
    """
    runs = _read_runs(os.fspath(dir))
    results, _ = _merge(runs)
    known = [run for run in runs if run.env_id not in ("", _UNKNOWN)]
    results["env_info"] = collapse_env_infos(
        [{"env_id": run.env_id, "gym_version": run.gym_version} for run in known or runs], dir)
    results["manifests"] = [manifest for run in runs for manifest in run.manifests]
    results["videos"] = [video for run in runs for video in run.videos]
    return results


def merge_stats_files(paths: Iterable[str]) -> Tuple[Any, ...]:
    """Merge several stats.json, as gym does.

    Args:
        paths: the files.

    Returns:
        `(data_sources, initial_reset_timestamps, timestamps, episode_lengths, episode_rewards, episode_types,
        initial_reset_timestamp)`; see `load_results`.

    Raises:
        Error: a file is not what it should be.
    """
    merged, _ = _merge([_read_statistics(path) for path in paths])
    return tuple(merged[key] for key in ("data_sources", "initial_reset_timestamps", "timestamps", "episode_lengths",
                                         "episode_rewards", "episode_types", "initial_reset_timestamp"))


def collapse_env_infos(infos: Sequence[Dict[str, Any]], dir: _PathLike) -> Dict[str, Any]:
    """The `env_info` that several runs have in common.

    Args:
        infos: that of each run, with `env_id` and `gym_version`.
        dir: the directory they come from, for the error.

    Returns:
        The first of them. (gym insists that the versions agree, too; a run that is resumed after an update is one.)

    Raises:
        Error: there is none, or they are of different environments.
    """
    if not infos:
        raise Error(f"The directory {dir} holds no run.")
    names = sorted({str(info.get("env_id")) for info in infos})
    if len(names) > 1:
        raise Error("The directory {} holds runs of different environments: {}. Keep them in directories of their "
                    "own.".format(dir, ", ".join(names[:5])))
    return dict(infos[0])


def load_env_info_from_manifests(manifests: Iterable[str], dir: _PathLike) -> Dict[str, Any]:
    """The `env_info` that manifests have in common; `Error` if they are of different environments."""
    return collapse_env_infos([_read_manifest(path)[2] for path in manifests], dir)


def _merge(sources: Sequence[Union[_Run, _Statistics]]) -> Tuple[Dict[str, Any], List[int]]:
    """The episodes of several sources, sorted by the time of their end, and the place of each before it was sorted."""
    starts = [source.timestamps[0] if source.start is None else source.start
              for source in sources if source.timestamps]
    columns = {name: _column(sources, name) for name in _EPISODE_COLUMNS}
    columns["data_sources"] = []
    for number, source in enumerate(sources):
        columns["data_sources"] += [number] * len(source.timestamps)
    order = sorted(range(len(columns["timestamps"])), key=columns["timestamps"].__getitem__)
    pick = operator.itemgetter(*order) if len(order) > 1 else tuple  # which sorts a million entries at the speed of C
    merged = {name: list(pick(column)) for name, column in columns.items()}
    return dict(merged, initial_reset_timestamps=starts, initial_reset_timestamp=min(starts) if starts else 0), order


def _column(sources: Iterable[Union[_Run, _Statistics]], name: str) -> List[Any]:
    """One of the four lists of several sources, one after another."""
    column: List[Any] = []
    for source in sources:
        column += getattr(source, name)
    return column


_UNKNOWN = "(unknown)"
_MANIFEST_NAME = re.compile(r"openaigym\.manifest\.(.+?)(?:\.batch(\d+))?\.manifest\.json\Z", re.DOTALL)
_JOURNAL_NAME = re.compile(r"openaigym\.episode_batch\.(.+)\.monitor\.csv\Z", re.DOTALL)
_METADATA_NAME = re.compile(r"openaigym\.video\.(.+)\.(?:video|step)\d+\.meta\.json\Z", re.DOTALL)


def _read_runs(dir: str) -> List[_Run]:
    """All runs in a directory, sorted by name; `Error` if there are none, or a file is not what it should be."""
    names = _list_directory(dir)
    manifests: Dict[str, List[Tuple[int, str]]] = {}
    metadata: Dict[str, List[str]] = {}
    for name in names:
        match = _MANIFEST_NAME.match(name)
        if match:
            manifests.setdefault(match.group(1), []).append((int(match.group(2) or 0), os.path.join(dir, name)))
        match = _METADATA_NAME.match(name)
        if match:
            metadata.setdefault(match.group(1), []).append(os.path.join(dir, name))
    journals = {match.group(1): os.path.join(dir, match.group())
                for match in map(_JOURNAL_NAME.match, names) if match}
    runs = [_read_run(infix, [path for _, path in sorted(manifests.get(infix, []))], journals.get(infix),
                      metadata.get(infix, []))
            for infix in sorted(set(manifests) | set(journals))]
    if not runs:
        # of Stable-Baselines3 or of OpenAI Baselines, which know of no videos
        runs = [_read_run(name, [], os.path.join(dir, name), []) for name in names if name.endswith("monitor.csv")]
    if not runs:
        raise Error(f"The directory {dir} holds no run: there is neither a manifest nor a journal in it.")
    return runs


def _list_directory(dir: str) -> List[str]:
    try:
        return sorted(os.listdir(dir))
    except (OSError, ValueError) as problem:
        raise Error("The directory {} cannot be read: {}.".format(
            dir, getattr(problem, "strerror", None) or problem)) from problem


def _read_run(infix: str, manifests: List[str], journal: Optional[str], metadata: List[str]) -> _Run:
    """One run from its files: JSON where it holds everything, for that is fast, the journal where it holds more."""
    header: Dict[str, Any] = {}
    videos: List[Tuple[str, str]] = []
    batches = []
    for manifest in manifests:
        stats, listed, env_info = _read_manifest(manifest)
        batches.append(_read_statistics(stats))
        videos += listed
        header.update(env_info)
    statistics = _concatenate(batches)
    if journal is not None:
        content = _read_file(journal)
        journal_header = _read_journal_header(journal, content)
        header.update(journal_header)
        if not manifests or content.count(b"\n") - 2 > len(statistics.timestamps):
            statistics = _read_journal(journal, content, journal_header, statistics.start)
    videos, broken = _sort_videos(videos, metadata)
    first = header.get("first_episode_id", 0)
    # gym leaves it out where the environment is not registered.
    env_id = header.get("env_id", _UNKNOWN if manifests else "")
    start = statistics.start
    if start is None:
        start = statistics.timestamps[0] if statistics.timestamps else header.get("t_start", 0.0)
    return _Run(infix, str(env_id), str(header.get("gym_version", "none")), start,
                first if isinstance(first, int) else 0, manifests, *statistics[1:], videos, broken)


def _concatenate(batches: List[_Statistics]) -> _Statistics:
    if len(batches) == 1:
        return batches[0]  # as nearly always: the lists need no copy
    start = next((batch.start for batch in batches if batch.start is not None), None)
    return _Statistics(start, *(_column(batches, name) for name in _EPISODE_COLUMNS))


def _read_manifest(path: str) -> Tuple[str, List[Tuple[str, str]], Dict[str, Any]]:
    """The paths of the statistics and of the videos that a manifest names, and its `env_info`."""
    content = _read_json(path)
    env_info, videos = content.get("env_info"), content.get("videos")
    if not isinstance(env_info, dict) or not isinstance(videos, list) or not all(
            isinstance(video, list) and len(video) == 2 for video in videos):
        raise Error(f"{path} is not a manifest: it lacks a valid \"env_info\" or \"videos\".")
    folder = os.path.dirname(path)
    return (_inside(folder, content.get("stats"), path),
            [(_inside(folder, recording, path), _inside(folder, metadata, path)) for recording, metadata in videos],
            env_info)


def _inside(folder: str, name: Any, manifest: str) -> str:
    """The path of a file that a manifest names; a name that points outside the directory is an `Error`."""
    if not isinstance(name, str) or name in ("", ".", "..") or re.search(r"[/\\\x00]", name) or not _is_path(name):
        raise Error(f"{manifest} names {name!r:.120}, which is not a file of its directory.")
    return os.path.join(folder, name)


def _read_statistics(path: str) -> _Statistics:
    """Read a stats.json of ours or of gym, whose `episode_types` may have one entry more than there are episodes."""
    content = _read_json(path)
    lists = [content.get(key) for key in ("timestamps", "episode_lengths", "episode_rewards")]
    types = content.get("episode_types")
    if types is None and isinstance(lists[0], list):
        types = ["t"] * len(lists[0])  # gym's first versions did not write them
    if isinstance(types, list) and isinstance(lists[0], list):
        types = types[:len(lists[0])]
    start = content.get("initial_reset_timestamp")
    return _checked(path, _Statistics(start, lists[0], lists[1], lists[2], types))  # type: ignore[arg-type]


def _checked(path: str, statistics: _Statistics) -> _Statistics:
    """The same statistics, if they are lists of equal length of what they should be."""
    start, timestamps, lengths, rewards, types = statistics
    try:
        if not all(isinstance(column, list) and len(column) == len(timestamps) for column in statistics[1:]):
            raise ValueError("its lists are missing or not equally long")
        # Sums tell at the speed of C: they are a TypeError of what is no number, an OverflowError of what is too large.
        if not math.isfinite(sum(timestamps, 0.0 if start is None else 0.0 + start)):
            raise ValueError("a time is out of range")
        steps = sum(lengths)
        if type(steps) is not int or steps > 10**18:
            raise ValueError("a length is no whole number, or out of range")
        sum(rewards, 0.0)
        if not set(types) <= {"t", "e"} or min(lengths, default=0) < 0:
            raise ValueError("an episode type or a length is none")
    except (ValueError, TypeError, OverflowError) as problem:
        raise Error(f"{path} does not hold statistics of episodes: {problem}.") from problem
    return statistics


def _read_journal_header(path: str, content: bytes) -> Dict[str, Any]:
    """The first line of a journal, or nothing if the process was killed before it was whole."""
    end = content.find(b"\n")
    line = content if end < 0 else content[:end]
    if end < 0 and line[:2] in (b"", b"#", b"#{"):
        return {}
    try:
        if not line.startswith(b"#"):
            raise ValueError("it does not begin with #")
        header = json.loads(line[1:].decode("utf-8"))
        if not isinstance(header, dict) or type(header.get("t_start")) not in (int, float):
            raise ValueError("there is no t_start in it")
        if not math.isfinite(header["t_start"]):
            raise ValueError("its t_start is out of range")
    except (ValueError, RecursionError, OverflowError, MemoryError) as problem:
        raise Error(f"{path} is not a journal: its first line is not a header: {problem}.") from problem
    return header


def _read_journal(path: str, content: bytes, header: Dict[str, Any], start: Optional[float]) -> _Statistics:
    """The rows of a journal: `r,l,t`, then `type` where it is ours. A last line that is torn is left out."""
    import csv
    lines = content[:content.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")[1:-1]
    if not lines:
        return _Statistics(start, [], [], [], [])
    columns = lines[0].strip().split(",")
    if columns[:3] != ["r", "l", "t"]:
        raise Error(f"{path} is not a journal: its columns should begin with r,l,t.")
    has_type = columns[3:4] == ["type"]
    number = 3
    try:
        timestamps, lengths, rewards, types = [], [], [], []
        # A quoted cell of somebody else's journal may hold line breaks; ours are lines, and plain.
        rows = csv.reader(lines[1:]) if '"' in "".join(lines[1:]) else (line.split(",", 4) for line in lines[1:])
        for number, row in enumerate(rows, 3):
            rewards.append(float(row[0]))
            lengths.append(int(row[1]))
            timestamps.append(header["t_start"] + float(row[2]))
            types.append(row[3].strip() if has_type else "t")
    except (ValueError, IndexError, csv.Error) as problem:
        raise Error(f"{path} is not a journal: line {number} is no row of it: {problem}.") from problem
    return _checked(path, _Statistics(header["t_start"] if start is None else start,
                                      timestamps, lengths, rewards, types))


def _sort_videos(listed: List[Tuple[str, str]], metadata: List[str]) -> Tuple[List[Tuple[str, str]], List[str]]:
    """The recordings of a run that can be watched, and the metadata of those that can't be.

    A run that was not closed lists only some of its videos in a manifest, or none; the metadata beside them tell of
    the others. What was still being written when the process was killed counts if it is whole.
    """
    videos = [video for video in listed if _is_file(video[0])]
    broken = [video[1] for video in listed if not _is_file(video[0])]
    known = {video[1] for video in listed}
    for path in metadata:
        content = {} if path in known else _read_metadata(path)
        if path in known or (content.get("empty") and not content.get("broken")):
            continue
        # .json is gym's form of text recordings.
        found = [path[:-len(".meta.json")] + ending for ending in [*_ENCODERS, ".json"]]
        found = [recording for recording in found if _is_file(recording)]
        if content.get("broken") or not found:
            broken.append(path)
        elif _is_whole(found[0]):
            videos.append((found[0], path))
    return videos, broken


def _read_metadata(path: str) -> Dict[str, Any]:
    """The metadata of a recording; empty where they can't be read, for a picture is not worth an error."""
    try:
        return _read_json(path)
    except Error:
        return {}


# ---------------------------------------------------------------------------------------------------------------------
# Report: one directory, or several beside each other, as a page, as text and as numbers
# ---------------------------------------------------------------------------------------------------------------------

_REFRESH_SECONDS = 5            # --watch: how often the page is written and the open page looks again
_COLUMNS = 600                  # about a screen's pixels; of more than eight episodes for each, only extremes are drawn
_CAST_BYTES = 200 * 1000        # as much of a text recording goes into the page
_OPEN_VIDEOS = 24               # of more, the earlier ones are folded away
_MEDIA_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".gif": "image/gif"}


class _ListedVideo(NamedTuple):
    """A video as the report shows it."""
    path: str                   # empty where there is nothing to show, and then trouble says why
    name: str
    title: str
    position: Optional[int]     # of its episode on the curve; None where that was never completed
    trouble: str


class _Curve(NamedTuple):
    """What a directory recorded: the episodes of all its monitors in the order in which they ended."""
    directory: str
    runs: List[_Run]
    returns: List[float]
    lengths: List[int]
    types: List[str]            # 't' training or 'e' evaluation
    steps: List[int]            # taken by the end of each episode
    seconds: List[float]        # of running by the end of each episode: pauses before a resume left out
    recordings: List[_ListedVideo]


def _read_curve(directory: str) -> _Curve:
    return _merge_runs(directory, _read_runs(directory))


def _merge_runs(directory: str, runs: List[_Run]) -> _Curve:
    merged, order = _merge(runs)
    lengths = merged["episode_lengths"]
    return _Curve(directory, runs, merged["episode_rewards"], lengths, merged["episode_types"],
                  list(itertools.accumulate(lengths)), _running_time(runs, merged["timestamps"]),
                  _list_videos(runs, order))


def _running_time(runs: List[_Run], ends: List[float]) -> List[float]:
    """Seconds that any of the runs had been going by each of the times in `ends`."""
    resumes: List[float] = []
    paused = [0.0]
    spans = sorted((run.start, max(run.timestamps)) for run in runs if run.timestamps)
    reached = began = spans[0][0] if spans else 0.0
    for start, end in spans:
        if start > reached:
            resumes.append(start)
            paused.append(paused[-1] + start - reached)
        reached = max(reached, end)
    return [max(0.0, end - began - paused[bisect.bisect_right(resumes, end)]) for end in ends]


def _list_videos(runs: List[_Run], order: List[int]) -> List[_ListedVideo]:
    """The videos of all runs; `order`: which episode, counted run after run, is where on the curve."""
    positions = sorted(range(len(order)), key=order.__getitem__)  # on the curve, of each of those places
    listed = []
    offset = 0
    for run in runs:
        for path, metadata_path in run.videos + [("", path) for path in run.broken]:
            metadata = _read_metadata(metadata_path)
            number = _count(metadata.get("episode_id"))
            index = -1 if number is None else number - run.first_episode_id
            position = positions[offset + index] if 0 <= index < len(run.timestamps) else None
            listed.append(_list_video(path, metadata_path, metadata, position))
        offset += len(run.timestamps)
    return sorted(listed, key=lambda one: (len(order) if one.position is None else one.position, one.name))


def _list_video(path: str, metadata_path: str, metadata: Dict[str, Any], position: Optional[int]) -> _ListedVideo:
    name = os.path.basename(path or metadata_path)
    number, step, trouble = _count(metadata.get("episode_id")), _count(metadata.get("step")), ""
    title = name
    if number is not None:
        title = "Episode %s" % _number(number if position is None else position)
        if position not in (None, number):
            title += " (%s of its monitor)" % _number(number)
    if step is not None:
        title += ", from step %s" % _number(step)
    if not path and metadata.get("broken"):
        trouble = "This recording is broken: %s" % (metadata.get("error") or "no reason was noted.")
    elif not path:
        trouble = "The file of this recording is missing."
    return _ListedVideo(path, name, title, position, trouble)


def _count(value: Any) -> Optional[int]:
    """What a file says is a number of episodes or steps, if it can be one."""
    return value if isinstance(value, int) and 0 <= value < 10**15 else None


def _summarize(curve: _Curve) -> Dict[str, Any]:
    finite = list(filter(math.isfinite, curve.returns))
    env_ids = {run.env_id for run in curve.runs if run.env_id}
    return {
        "directory": curve.directory,
        "env_id": env_ids.pop() if len(env_ids) == 1 else None,
        "episodes": len(curve.returns),
        "steps": sum(curve.lengths),
        "seconds": curve.seconds[-1] if curve.seconds else 0.0,
        "return_mean": _mean(finite),
        "return_best": max(finite) if finite else None,
        "return_last_100": _mean(list(filter(math.isfinite, curve.returns[-100:]))),
        "length_mean": _mean(curve.lengths),
        "videos": sum(not one.trouble for one in curve.recordings),
        "broken_videos": sum(bool(one.trouble) for one in curve.recordings),
        "not_finite": len(curve.returns) - len(finite),
    }


def _mean(values: Sequence[float]) -> Optional[float]:
    try:
        return math.fsum(values) / len(values) if values else None
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def _drawable(value: float) -> bool:
    return abs(value) < 1e300       # neither NaN nor infinite, nor so large that a sum of some overflows


def _number(value: Optional[float]) -> str:
    """As a person would round it: 4 significant digits, thousands whole and grouped."""
    if value is None or not math.isfinite(value):
        return "none" if value is None else "not finite"
    for least, unit, letter in ((1e12, 1e12, "T"), (1e9, 1e9, "B"), (1e8, 1e6, "M")):
        if least <= abs(value) < 1e15:
            return "%.4g%s" % (value / unit, letter)
    return f"{value:,.0f}" if 999.95 <= abs(value) < 1e15 else "%.4g" % (value + 0.0)


def _rate(summary: Dict[str, Any]) -> str:
    return _number(float("%.3g" % (summary["steps"] / summary["seconds"]))) if summary["seconds"] else "none"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "%.2g s" % seconds if 0.01 <= seconds < 9.95 else "%.0f s" % seconds
    minutes = int(seconds / 60 + 0.5)
    for size, unit, part, smaller in ((1440, "d", 60, "h"), (60, "h", 1, "min")):
        if minutes >= size:
            rest = minutes % size // part
            return "%d %s" % (minutes // size, unit) + (" %d %s" % (rest, smaller) if rest else "")
    return "%d min" % minutes


def _period(curve: _Curve) -> str:
    """When it ran; empty where the clock was none of the calendar's, as gym 0.21's."""
    start = min(run.start for run in curve.runs)
    end = max([max(run.timestamps) for run in curve.runs if run.timestamps] or [start])
    if not (1e9 < start < 1e11 and 1e9 < end < 1e11):
        return ""
    first, last = (time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) for moment in (start, end))
    return first if first == last else "%s to %s" % (first, last[11:] if first[:10] == last[:10] else last)


# In the terminal

def _summary_text(curve: _Curve, width: int = 80, unicode: bool = True) -> str:
    """What the command prints of one directory; `unicode` tells whether block characters may be used."""
    numbers = _summarize(curve)
    evaluations = curve.types.count("e")
    rows = [
        ("episodes", _number(numbers["episodes"])
         + ("  (%s of them evaluation)" % _number(evaluations) if evaluations else "")),
        ("steps", _number(numbers["steps"])
         + ("  (%s a second)" % _rate(numbers) if numbers["seconds"] else "")),
        ("time", "  ".join(filter(None, (_duration(numbers["seconds"]), _period(curve))))),
    ]
    if curve.returns:
        rows.append(("return", "mean %s   best %s   last 100 %s" % tuple(
            _number(numbers[key]) for key in ("return_mean", "return_best", "return_last_100"))))
        rows.append(("", _sparkline(curve.returns, width - 14, unicode)))
    if numbers["not_finite"]:
        rows.append(("", "%s NaN or infinite, left out" % _number(numbers["not_finite"])))
    broken = numbers["broken_videos"]
    rows.append(("videos", _number(numbers["videos"])
                 + (", and %s broken or missing" % _number(broken) if broken else "")))
    newest = curve.recordings[-5:]
    if len(newest) < len(curve.recordings):
        rows.append(("", "the last %d:" % len(newest)))
    rows += [("", "%s  %s" % (one.title, one.trouble or one.name)) for one in newest]
    several = "several environments" if any(run.env_id for run in curve.runs) else _UNKNOWN
    lines = ["%s  %s" % (numbers["env_id"] or several, curve.directory)]
    return "\n".join(_fitted(line, width) for line in lines + ["  %-10s  %s" % row for row in rows])


def _fitted(line: str, width: int) -> str:
    line = "".join(char if char.isprintable() else "?" for char in line).rstrip()
    if _columns(line) <= width:
        return line
    while _columns(line) > width - 3:
        line = line[:-1]
    return line + "..."


def _sparkline(values: List[float], width: int, unicode: bool) -> str:
    """The values as a line of characters, each the mean of its share of them; a gap where none is finite."""
    levels = "▁▂▃▄▅▆▇█" if unicode else "_.-=+*#@"
    width = min(width, len(values))
    edges = [len(values) * column // width for column in range(width + 1)]
    means = [_mean([value for value in values[low:high] if _drawable(value)])
             for low, high in zip(edges, edges[1:])]
    known = [mean for mean in means if mean is not None]
    low, span = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    return "".join(" " if mean is None else levels[int((mean - low) / span * 7.999) if span else 3]
                   for mean in means)


# On the page

def _plain(value: float) -> Optional[float]:
    """For the page: six digits are more than a screen can show; None where there is nothing to draw."""
    if not _drawable(value):
        return None
    short = float("%.6g" % value)
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def _thinned(curve: _Curve, kind: str, columns: int) -> List[int]:
    """Which episodes of a type to draw: all of a few; of many, the extremes in each column of each axis."""
    episodes = [index for index, one in enumerate(curve.types) if one == kind]
    if len(episodes) <= 8 * columns:
        return episodes
    keep = {one.position for one in curve.recordings if one.position is not None
            and curve.types[one.position] == kind} | {episodes[0], episodes[-1]}
    for axis in (range(len(curve.types)), curve.steps, curve.seconds):
        places = [axis[index] for index in episodes]
        edges = [bisect.bisect_left(places, places[-1] * column / columns) for column in range(columns)]
        for low, high in zip(edges, edges[1:] + [len(places)]):
            share = episodes[low:high]
            finite = [index for index in share if _drawable(curve.returns[index])]
            for some, column in ((finite, curve.returns), (share, curve.lengths)):
                if some:
                    keep |= {min(some, key=column.__getitem__), max(some, key=column.__getitem__)}
    return sorted(keep)


def _window(curves: List[_Curve], kind: str) -> int:
    """Over how many episodes of a type the running mean goes: a twentieth of the longest curve, roundly."""
    size = max([curve.types.count(kind) for curve in curves] or [0])
    wish = max(size / 20, min(10, size / 4) if kind == "t" else 1)     # evaluations are few, and steadier
    return max([1] + [window for window in (2, 5, 10, 20, 50, 100, 200, 500, 1000) if window <= wish])


def _running_means(curve: _Curve, values: Sequence[float], kind: str, at: List[int],
                   window: int) -> List[Optional[float]]:
    """The mean of the last `window` values of a type at each index; None at one that is not finite."""
    places = [index for index, one in enumerate(curve.types) if one == kind and _drawable(values[index])]
    means: List[Optional[float]] = []
    for index in at:
        stop = bisect.bisect_right(places, index)
        last = places[max(0, stop - window):stop]
        enough = len(last) >= window // 10 and _drawable(values[index])
        means.append(_plain(math.fsum(values[place] for place in last) / len(last)) if enough else None)
    return means


def _page_curve(curve: _Curve, name: str, columns: int, windows: Dict[str, int]) -> Dict[str, Any]:
    """One curve as the page's script takes it: a list a column, an entry an episode that is drawn."""
    rows: List[Tuple[int, Optional[float], Optional[float]]] = []
    thin = ""
    for kind in sorted(set(curve.types)):
        chosen = _thinned(curve, kind, columns)
        thin += kind if len(chosen) < curve.types.count(kind) else ""
        rows += zip(chosen, _running_means(curve, curve.returns, kind, chosen, windows[kind]),
                    _running_means(curve, curve.lengths, kind, chosen, windows[kind]))
    rows.sort(key=lambda row: row[0])
    places = {row[0]: place for place, row in enumerate(rows)}
    return {
        "name": name, "env": curve.runs[0].env_id, "columns": columns, "thin": thin,
        "episodes": list(places), "steps": [curve.steps[index] for index in places],
        "seconds": [_plain(curve.seconds[index]) for index in places],
        "kinds": "".join(curve.types[index] for index in places),
        "returns": [_plain(curve.returns[index]) for index in places],
        "lengths": [_plain(curve.lengths[index]) for index in places],
        "return_means": [row[1] for row in rows], "length_means": [row[2] for row in rows],
        "videos": [None if one.position is None else places[one.position] for one in curve.recordings],
    }


class Report:
    """What one or several directories recorded, to look at; a notebook shows it as the last line of a cell.

    Attributes:
        summary: the numbers of ``report --json``, of all the directories taken together, and under ``"runs"``
            a list with those of each. None where there is no number.
        html: the page. It refers to the videos as a file in the first directory would, or holds them.
    """

    def __init__(self, curves: List[_Curve], embed: bool = False) -> None:
        self._curves = curves
        summaries = [_summarize(curve) for curve in curves]
        together = summaries[0]
        if len(curves) > 1:
            together = _summarize(_merge_runs("", [run for curve in curves for run in curve.runs]))
            together["directory"] = None
        self.summary = dict(together, runs=summaries)
        self._link = _embedded if embed else _link_from(curves[0].directory)

    @property
    def html(self) -> str:
        return _page(self._curves, self._link)

    def _repr_html_(self) -> str:
        page = _page(self._curves, _embedded)
        return ('<iframe title="Report of recorded episodes" srcdoc="%s" width="100%%" height="800" '
                'style="border: 0" allowfullscreen></iframe>' % _escape(page))

    def __repr__(self) -> str:
        return "\n\n".join(map(_summary_text, self._curves))


def report(*dirs: _PathLike, embed: bool = False) -> Report:
    """The report of one or several recorded directories, finished or still being written.

    Args:
        dirs: directories of this module, of gym's Monitor or of Stable-Baselines3's.
        embed: whether the videos are put into the page itself, so that it can be sent alone.

    Raises:
        Error: there is no directory, or one that cannot be read.
    """
    if not dirs:
        raise Error("report() needs at least one directory")
    return Report([_read_curve(os.fspath(directory)) for directory in dirs], embed)


def _run_report(dirs: Sequence[str], path: Optional[str] = None, embed: bool = False, watch: bool = False,
                as_json: bool = False) -> None:
    """The command: prints the numbers, writes the page and, to `watch`, goes on writing it."""
    path = path or os.path.join(dirs[0], _REPORT_NAME)
    curves = [_read_curve(directory) for directory in dirs]
    if as_json:
        _say(json.dumps([_summarize(curve) for curve in curves], indent=2, allow_nan=False))
    else:
        unicode = _printable("▁█") == "▁█"
        _say("\n\n".join(_summary_text(curve, unicode=unicode) for curve in curves))
    _write_report(curves, path, embed, _REFRESH_SECONDS if watch else None)
    if not as_json:
        note = "Watching; Ctrl-C ends it. " if watch else ""
        _say(f"\n{note}The page: {path}")
    if watch:
        _watch(dirs, path, embed)


def _say(text: str) -> None:
    """Print a text. Whoever reads what we print may stop to (`| head`); the work goes on."""
    try:
        print(_printable(text), flush=True)
    except BrokenPipeError:
        # What is left must not be flushed again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    if sys.stderr is not None:  # as in a process without a terminal; print would take standard output in its place
        print(f"gym_monitor.py: {text}", file=sys.stderr)


def _printable(text: str) -> str:
    """A text with a question mark for what the terminal's encoding has no character for."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _write_report(curves: List[_Curve], path: str, embed: bool = False,
                  refresh: Optional[float] = None) -> None:
    """Write the page in one go; with `refresh` it looks for a newer one by itself after so many seconds."""
    directory = os.path.dirname(os.path.abspath(path))
    page = _page(curves, _embedded if embed else _link_from(directory), refresh)
    try:
        _write_atomically(path, page.encode("utf-8", "replace"))
    except OSError as error:
        raise Error("The report %s cannot be written: %s. --html FILE puts it elsewhere."
                    % (path, error.strerror or error)) from error


def _watch(dirs: Sequence[str], path: str, embed: bool) -> None:
    """Write the page again whenever a directory has changed, until Ctrl-C."""
    seen: List[Tuple[str, int, int]] = []
    try:
        while True:
            began = time.monotonic()
            try:
                before, seen = seen, _state(dirs, path)
                if seen != before:
                    _write_report(list(map(_read_curve, dirs)), path, embed, _REFRESH_SECONDS)
            except (Error, OSError) as error:   # a run that begins anew is for a moment not there
                _complain(str(error))
            # Reading a long run takes a while: then less often, so as to leave the machine to the run.
            time.sleep(max(_REFRESH_SECONDS / 2, 5 * (time.monotonic() - began)))
    except KeyboardInterrupt:
        with contextlib.suppress(Error, OSError):   # the last page does not look for a newer one
            _write_report(list(map(_read_curve, dirs)), path, embed)


def _state(dirs: Sequence[str], page: str) -> List[Tuple[str, int, int]]:
    """What changes when an episode or a video is added: names, sizes and times of the directories' files."""
    files = []
    for directory in dirs:
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            path = os.path.join(directory, name)
            if os.path.abspath(path) != os.path.abspath(page) and not name.startswith(FILE_PREFIX + ".tmp."):
                with contextlib.suppress(OSError):      # gone since it was listed
                    found = os.lstat(path)
                    files.append((path, found.st_size, found.st_mtime_ns))
    return sorted(files)


def _link_from(directory: str) -> Callable[[str], str]:
    """How a page in the directory refers to a file: relative, so that they may be moved together."""
    def link(path: str) -> str:
        import pathlib
        import urllib.parse
        try:
            relative = os.path.relpath(os.path.abspath(path), os.path.abspath(directory))
        except ValueError:          # another drive
            return pathlib.Path(path).as_uri()
        return urllib.parse.quote(os.fsencode(relative.replace(os.sep, "/")))
    return link


def _embedded(path: str) -> str:
    import base64
    with open(path, "rb") as file:
        contents = base64.b64encode(file.read()).decode("ascii")
    return "data:%s;base64,%s" % (_MEDIA_TYPES[os.path.splitext(path)[1].lower()], contents)


def _page(curves: List[_Curve], link: Callable[[str], str], refresh: Optional[float] = None) -> str:
    """The whole page; `link` makes the address of a file that it shows."""
    names = _names([curve.directory for curve in curves])
    windows = {kind: _window(curves, kind) for kind in "te"}
    columns = max(60, _COLUMNS // len(curves))
    drawn = [_page_curve(curve, name, columns, windows) for curve, name in zip(curves, names)]
    longest = max(sum(curve.seconds[-1:]) for curve in curves)
    unit = [3600, "Hours"] if longest > 5400 else [60, "Minutes"] if longest > 90 else [1, "Seconds"]
    env_ids = sorted({run.env_id for curve in curves for run in curve.runs} - {"", "None"}) or names[:1]
    kinds = {kind for curve in curves for kind in curve.types}
    state = ["several"] * (len(curves) > 1) + ["blank"] * (not kinds) + ["evaluated"] * ("e" in kinds)
    parts = {
        "title": _escape(", ".join(env_ids) if len(env_ids) < 4 else "%d environments" % len(env_ids)),
        "subtitle": "%d runs" % len(curves) if len(curves) > 1 else _subtitle(names[0], _period(curves[0])),
        "state": " ".join(state), "refresh": "" if refresh else "hidden",
        "runs": "\n".join(_figures(curve, name, place, len(curves) > 1)
                          for place, (curve, name) in enumerate(zip(curves, names))),
        "videos": _gallery(curves, names, link),
        "points": "episodes, lowest to highest" if any(one["thin"] for one in drawn) else "an episode",
        "window": _number(windows["t"]), "evaluations": _number(windows["e"]), "unit": str(unit[1]),
        "written": time.strftime("%Y-%m-%d %H:%M:%S"),
        "data": _script_json({"refresh": refresh, "unit": unit, "curves": drawn}),
    }
    return re.sub("@@([a-z]+)@@", lambda found: parts[found.group(1)], _PAGE)


def _escape(text: str) -> str:
    import html
    return html.escape(text)


def _script_json(value: Any) -> str:
    """JSON that nothing in it can end the script element it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _names(directories: List[str]) -> List[str]:
    """What tells the directories apart: the end of the path of one alone, where they differ of several."""
    paths = [os.path.abspath(directory) for directory in directories]
    with contextlib.suppress(ValueError):       # several drives have nothing in common
        if len(set(paths)) > 1:
            common = os.path.commonpath(paths)
            return [os.path.basename(path) if path == common else os.path.relpath(path, common)
                    for path in paths]
    return [os.path.basename(path) or path for path in paths]


def _subtitle(*parts: str) -> str:
    return " · ".join(_escape(part) for part in parts if part)


def _figures(curve: _Curve, name: str, place: int, several: bool) -> str:
    """The numbers of a run."""
    numbers = _summarize(curve)
    left_out = "%s not finite" % _number(numbers["not_finite"]) if numbers["not_finite"] else ""
    evaluations = "%s evaluation" % _number(curve.types.count("e")) if "e" in curve.types else ""
    figures = [
        ("Episodes", _number(numbers["episodes"]), evaluations),
        ("Steps", _number(numbers["steps"]), ""),
        ("Running time", _duration(numbers["seconds"]), ""),
        ("Steps a second", _rate(numbers), ""),
        ("Mean return", _number(numbers["return_mean"]), left_out),
        ("Best return", _number(numbers["return_best"]), ""),
        ("Mean of last 100", _number(numbers["return_last_100"]), ""),
        ("Mean length", _number(numbers["length_mean"]), ""),
    ]
    heading = '<h2 class="c%d"><i class="dot"></i>%s <small>%s</small></h2>' % (
        place % 8, _escape(name), _subtitle(curve.runs[0].env_id, _period(curve)))
    return '<section class="run" aria-label="%s">%s<dl>%s</dl></section>' % (
        _escape("Figures of " + name), heading if several else "", "".join(
            "<div><dt>%s</dt><dd>%s <small>%s</small></dd></div>" % (label, _minus(value), note)
            for label, value, note in figures))


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def _gallery(curves: List[_Curve], names: List[str], link: Callable[[str], str]) -> str:
    """The videos of every run; of many, the latest in sight and those before folded away."""
    sections = []
    for place, (curve, name) in enumerate(zip(curves, names)):
        fold = max(0, len(curve.recordings) - _OPEN_VIDEOS)
        cards = [_card(one, curve, "v%d-%d" % (place, number), link, "metadata" if number >= fold else "none")
                 for number, one in enumerate(curve.recordings)]
        if cards and len(curves) > 1:
            sections.append('<h3 class="c%d"><i class="dot"></i>%s</h3>' % (place % 8, _escape(name)))
        if fold:
            sections.append('<details><summary>%s earlier videos</summary><div class="cards">%s</div>'
                            '</details>' % (_number(fold), "\n".join(cards[:fold])))
        if cards:
            sections.append('<div class="cards">%s</div>' % "\n".join(cards[fold:]))
    return "\n".join(sections) or '<p class="soft">No videos were recorded.</p>'


def _card(one: _ListedVideo, curve: _Curve, identity: str, link: Callable[[str], str], preload: str) -> str:
    facts = ["not completed"]
    if one.position is not None:
        facts = ["return " + _minus(_number(curve.returns[one.position])),
                 _number(curve.lengths[one.position]) + " steps"]
        facts += ["evaluation"] if curve.types[one.position] == "e" else []
    trouble, shown = one.trouble, ""
    try:
        shown = "" if trouble else _media(one, ", ".join([one.title] + facts), link, preload)
    except Exception as error:  # a file may hold anything
        trouble = "This recording cannot be read: %s" % (getattr(error, "strerror", None) or error)
    name = _escape(one.name)
    return ('<figure class="card" id="%s" tabindex="-1">%s<figcaption><b>%s</b> %s'
            '<span class="file" title="%s">%s</span></figcaption></figure>' % (
                identity, shown or '<p class="media trouble">%s</p>' % _escape(trouble),
                _escape(one.title), " · ".join(facts), name, name))


def _media(one: _ListedVideo, label: str, link: Callable[[str], str], preload: str) -> str:
    kind = _MEDIA_TYPES.get(os.path.splitext(one.path)[1].lower(), "text")
    label = _escape(label)
    os.stat(one.path)               # says so where it has gone
    if kind.startswith("video"):
        return '<video class="media" controls preload="%s" src="%s" aria-label="%s"></video>' % (
            preload, _escape(link(one.path)), label)
    if kind.startswith("image"):
        return '<img class="media" loading="lazy" src="%s" alt="%s">' % (_escape(link(one.path)), label)
    events, cut = _read_cast(one.path)
    return _CAST % {"label": label, "cut": _escape(cut), "events": _script_json(events)}


def _read_cast(path: str) -> Tuple[List[Tuple[float, str]], str]:
    """The frames of a text recording, asciicast v2 or gym's v1, as (seconds, text); and what was cut off."""
    with open(path, encoding="utf-8", errors="replace") as file:
        head = json.loads(file.readline())
        lines = [line for line in file.readlines(2 * _CAST_BYTES) if line.endswith("\n")]    # not a torn one
        more = file.read(1) != ""
    if head["version"] == 1:
        clock = itertools.accumulate(delay for delay, _ in head["stdout"])
        events = [(moment, text) for moment, (_, text) in zip(clock, head["stdout"])]
    else:
        events = [(moment, text) for moment, kind, text in map(json.loads, lines) if kind == "o"]
    sizes = itertools.accumulate(len(_script_json(event)) for event in events)
    kept = [event for event, size in zip(events, sizes) if size <= _CAST_BYTES]
    if len(kept) == len(events) and not more:
        return kept, ""
    return kept or [(0.0, events[0][1][:_CAST_BYTES // 6])], (
        "Cut after 200 kB; the file has all %s kB." % _number(os.path.getsize(path) / 1000))


_CAST = """<div class="cast"><pre class="media" tabindex="0" role="img" aria-label="%(label)s"></pre>
<div class="keys"><button type="button">Play</button><button type="button" aria-label="Step back">◂</button
><button type="button" aria-label="Step forward">▸</button><output></output></div><small>%(cut)s</small
><script type="application/json">%(events)s</script></div>"""

_PAGE = r"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>@@title@@ · report</title>
<style>
:root {
  color-scheme: light dark;
  --paper: #fcfcfa; --panel: #f2f2ee; --ink: #1c1d20; --soft: #5a5e66; --rule: #dddcd6;
  --c0: #1f63b5; --c1: #bf4a0a; --c2: #18794e; --c3: #8a3ab9;
  --c4: #b4233c; --c5: #0b7285; --c6: #8a6100; --c7: #b32b78;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --panel: #1f2226; --ink: #e9e8e4; --soft: #a4a8b0; --rule: #34383e;
    --c0: #6fb1f7; --c1: #f79a5c; --c2: #5fcb95; --c3: #cd97ec;
    --c4: #f7848f; --c5: #55c8d9; --c6: #dab54e; --c7: #f28fc0;
  }
}
.c0 { --c: var(--c0) } .c1 { --c: var(--c1) } .c2 { --c: var(--c2) } .c3 { --c: var(--c3) }
.c4 { --c: var(--c4) } .c5 { --c: var(--c5) } .c6 { --c: var(--c6) } .c7 { --c: var(--c7) }
.all { --c: var(--ink) }
* { box-sizing: border-box }
[hidden], .blank .plot, .blank .key, .blank .switch, body:not(.blank) .waiting, body:not(.evaluated) .e {
  display: none !important;
}
body {
  max-width: 76rem; margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 2.5rem);
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; margin-bottom: 1.25rem }
header p, header label, .soft { margin: 0; color: var(--soft) }
header label { margin-left: auto }
h1 { margin: 0; font-size: 1.75rem; font-weight: 650; line-height: 1.2; letter-spacing: -.015em }
h2 { margin: 0; font-size: 1.15rem; font-weight: 650 }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; font-weight: 600 }
small, figcaption, footer, .key, .plot h3 { color: var(--soft); font-size: .8125rem; font-weight: 400 }
.dot {
  display: inline-block; width: .7em; height: .7em; margin-right: .45em; border-radius: 50%;
  background: var(--c); print-color-adjust: exact;
}
dl {
  display: grid; grid-template-columns: repeat(8, 1fr); gap: .9rem 1rem;
  margin: 0; padding: .9rem 0; border-top: 1px solid var(--rule);
}
@media (max-width: 70rem) { dl { grid-template-columns: repeat(4, 1fr) } }
@media (max-width: 32rem) { dl { grid-template-columns: repeat(2, 1fr) } }
dt { color: var(--soft); font-size: .8125rem }
dd { margin: 0; font-size: 1.25rem; line-height: 1.3 }
dd small { display: block }
.several dd { font-size: 1.05rem }
.several dd small { display: inline }
.several .run h2 { font-size: 1rem; margin: .5rem 0 .35rem }
.bar {
  display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.25rem;
  margin: 1.25rem 0 .75rem; padding-top: 1.25rem; border-top: 1px solid var(--rule);
}
.bar h2 { margin-right: auto }
.switch { display: flex; margin: 0; padding: 2px; border: 0; border-radius: 8px; background: var(--panel) }
.switch legend, .said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.switch input { position: absolute; opacity: 0 }
.switch span { display: block; padding: .15rem .8rem; border-radius: 6px; color: var(--soft) }
.switch :checked + span { background: var(--paper); color: var(--ink); box-shadow: 0 0 0 1px var(--rule) }
:focus-visible, .switch :focus-visible + span { outline: 2px solid var(--c0); outline-offset: 2px }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem }
label { cursor: pointer }
.legend input { margin: 0 .4em 0 0; vertical-align: -.1em; accent-color: var(--c) }
.plot { position: relative }
.plot h3 { margin: .75rem 0 0 }
svg { display: block; width: 100%; height: auto; overflow: visible; touch-action: pan-y }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif }
.grid { stroke: var(--rule); fill: none }
.mean { stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; fill: none }
.mean.e { stroke-dasharray: 5 4 }
.several .mean { stroke-width: 1.5 }
.all .mean { stroke-width: 3 }
.point { stroke: var(--c); stroke-linecap: round; fill: none; opacity: .4 }
.point.e { stroke-width: 1.4; opacity: .95 }
.several .point.t { opacity: .2 }
.band { fill: var(--c); opacity: .16 }
.mark circle { fill: var(--paper); stroke: var(--c); stroke-width: 1.75 }
.mark path { fill: var(--c) }
.mark:hover circle, .mark:focus circle { fill: var(--c) }
.mark:hover path, .mark:focus path { fill: var(--paper) }
.mark:focus circle { stroke: var(--ink); stroke-width: 2.5 }
.mark:focus { outline: none }
.cursor line { stroke: var(--soft); stroke-dasharray: 2 3 }
.cursor circle { fill: var(--paper); stroke: var(--c); stroke-width: 2 }
.tip {
  position: absolute; top: 0; left: 0; max-width: 15rem; padding: .4rem .65rem; visibility: hidden;
  border: 1px solid var(--rule); border-radius: 6px; background: var(--paper); box-shadow: 0 2px 10px #0003;
  font-size: .8125rem; line-height: 1.4; pointer-events: none;
}
.tip b { display: block; font-weight: 600 }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; margin: .5rem 0 0 }
.key svg { display: inline; width: 18px; height: 12px; margin-right: .4em; vertical-align: -1px }
.key .point.t { opacity: .6 }
summary { width: max-content; color: var(--soft); cursor: pointer }
details { margin-bottom: 1.25rem }
details .cards { margin-top: .75rem }
.cards {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16.5rem), 1fr)); gap: 1.25rem 1rem;
}
.card { min-width: 0; margin: 0; border-radius: 8px }
.card:focus { outline: 2px solid var(--c0); outline-offset: 5px }
.card b { display: block; color: var(--ink); font-size: .9375rem; font-weight: 600 }
figcaption { margin-top: .4rem }
.file {
  display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  font: .6875rem/1.6 ui-monospace, monospace;
}
.media {
  display: block; width: 100%; margin: 0; aspect-ratio: 4 / 3; object-fit: contain; border-radius: 8px;
  background: var(--panel);
}
.trouble { padding: 1rem; overflow: auto; color: var(--soft) }
pre.media {
  padding: .75rem; overflow: auto; background: #1a1d21; color: #e4e4e0;
  font: 12px/1.35 ui-monospace, monospace;
}
.keys { display: flex; align-items: center; gap: .35rem; margin-top: .35rem }
.keys output { margin-left: auto; color: var(--soft); font-size: .8125rem }
button {
  padding: .1rem .7rem; border: 1px solid var(--rule); border-radius: 6px;
  background: var(--paper); color: var(--ink); font: inherit; font-size: .8125rem; cursor: pointer;
}
button:hover { background: var(--panel) }
footer { margin-top: 2.5rem; padding-top: .75rem; border-top: 1px solid var(--rule) }
@media print {
  :root { color-scheme: light; --paper: #fff }
  body { padding: 0; font-size: 10pt }
  .switch, .keys, .tip, .cursor, header label { display: none }
  .run, .plot, .card { break-inside: avoid }
  .cards { grid-template-columns: repeat(3, 1fr) }
}
</style>
</head>
<body class="@@state@@">
<header><h1>@@title@@</h1><p>@@subtitle@@</p>
<label @@refresh@@ title="Looks for a newer page every few seconds"><input type="checkbox" id="live">
Live</label>
</header>
<main>
@@runs@@
<section aria-label="Learning curve">
<div class="bar"><h2>Learning curve</h2><div class="legend" id="legend"></div>
<fieldset class="switch"><legend>Horizontal axis</legend>
<label><input type="radio" name="axis" value="episodes" id="episodes" checked><span>Episodes</span></label>
<label><input type="radio" name="axis" value="steps" id="steps"><span>Steps</span></label>
<label><input type="radio" name="axis" value="seconds" id="seconds"><span>@@unit@@</span></label>
</fieldset></div>
<p class="waiting soft">No episode has been completed yet.</p>
<div class="plot"><h3>Return</h3><svg id="returns" tabindex="0" role="group"
aria-label="Return of each episode; the arrow keys go through them"></svg><div class="tip"></div></div>
<div class="plot"><h3>Episode length, steps</h3><svg id="lengths" role="group"
aria-label="Length of each episode in steps"></svg></div>
<p class="said" id="said" aria-live="polite"></p>
<noscript><p>The curves are drawn by a script in this page, and scripts are turned off.</p></noscript>
<p class="key c0">
<span><svg viewBox="0 0 18 12"><path class="point t" stroke-width="5" d="M9 6h0"/></svg>@@points@@</span>
<span class="e"><svg viewBox="0 0 18 12"><path class="point e" d="M9 2l4 4l-4 4l-4-4z"/></svg
>an evaluation</span>
<span><svg viewBox="0 0 18 12"><path class="mean" d="M0 6h18"/></svg
>mean of the last @@window@@ episodes</span>
<span class="e"><svg viewBox="0 0 18 12"><path class="mean e" d="M0 6h18"/></svg
>mean of the last @@evaluations@@ evaluations</span>
<span id="spread" class="all"><svg viewBox="0 0 18 12"><path class="band" d="M0 0h18v12H0z"/><path
class="mean" d="M0 6h18"/></svg>mean of the runs ± standard deviation</span>
<span id="marks"><svg viewBox="0 0 18 12" class="mark"><circle cx="9" cy="6" r="5"/><path
d="M7.5 3.5v5l4-2.5z"/></svg>a video: go to it</span>
</p>
</section>
<section id="videos" aria-label="Videos"><div class="bar"><h2>Videos</h2></div>
@@videos@@
</section>
</main>
<footer>Written @@written@@ by gym_monitor.</footer>
<script type="application/json" id="data">@@data@@</script>
<script>
'use strict';
(() => {
const $ = id => document.getElementById(id), all = selector => [...document.querySelectorAll(selector)];
const {curves, refresh, unit: [UNIT, UNIT_NAME]} = JSON.parse($('data').textContent);
const PLOTS = [{svg: $('returns'), value: 'returns', mean: 'return_means', name: 'return'},
               {svg: $('lengths'), value: 'lengths', mean: 'length_means', name: 'length'}];
const KEPT = 'gym_monitor ' + location.pathname;
let kept = {};                              // what a page that was there before has left behind
try { kept = JSON.parse(sessionStorage.getItem(KEPT)) || {}; } catch (_) { /* no storage in some frames */ }
let axis = kept.axis || 'episodes', cursor = null;

const escape = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
const COMPACT = new Intl.NumberFormat('en', {notation: 'compact', maximumSignificantDigits: 4});
const rounded = (v, compact) => v === null ? 'not finite'
  : (Math.abs(v) >= 1e15 || Math.abs(v) < 999.95 ? String(+v.toPrecision(4))
    : Math.abs(v) >= compact ? COMPACT.format(v) : Math.round(v).toLocaleString('en')).replace('-', '\u2212');
const number = v => rounded(v, 1e8), tick = v => rounded(v, 1e4);
const duration = s => s < 60 ? `${+s.toPrecision(2)} s` : s < 3600 ? `${Math.round(s / 60)} min`
  : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;

// The curves: a list a column. What is not finite is null there, and leaves a gap.
const place = (curve, i) => axis === 'seconds' ? curve.seconds[i] / UNIT : curve[axis][i];
const colour = curve => `c${curves.indexOf(curve) % 8}`;
const shown = () => curves.filter(curve => !curve.off && curve.episodes.length);
const main = curve => curve.kinds.includes('t') ? 't' : 'e';
const known = (curve, kind, key) => [...curve.episodes.keys()]
  .filter(i => curve.kinds[i] === kind && curve[key][i] !== null);

const ticks = (low, high, count, least) => {
  const raw = Math.max((high - low) / count, least), size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find(s => s * size >= raw * .999), first = Math.ceil(low / step);
  return [...Array(Math.floor(high / step + 1e-9) - first + 1).keys()].map(k => (first + k) * step);
};
const extent = values => {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) return [0, 1];
  const span = high - low, pad = span > 1e-9 * Math.abs(high) ? span * .06 : Math.abs(high) * .1 || 1;
  return [low - pad, high + pad];
};
const line = (curve, kind, {mean, X, Y}) => {
  let path = '', pen = 'M';
  curve.episodes.forEach((_, i) => {
    if (curve.kinds[i] !== kind) return;
    const v = curve[mean][i];
    if (v !== null) path += `${pen}${X(place(curve, i))} ${Y(v)}${pen === 'M' ? 'h0' : ''}`;
    pen = v === null ? 'M' : 'L';
  });
  return `<path class="mean ${kind}" d="${path}"/>`;
};
const points = (curve, kind, {value, X, Y, right, width}) => {
  const found = known(curve, kind, value), path = (size, d) =>
    `<path class="point ${kind}" style="stroke-width: ${size}" d="${d.join('')}"/>`;
  if (!curve.thin.includes(kind)) {
    const many = found.length * curves.length, shape = kind === 'e' ? 'm0-4l4 4l-4 4l-4-4z' : 'h0';
    return path(kind === 'e' ? 1.4 : many > 2000 ? 2 : many > 400 ? 3 : 4,
      found.map(i => `M${X(place(curve, i))} ${Y(curve[value][i])}${shape}`));
  }
  const columns = new Map();                // a bar for each, from its least to its greatest
  for (const i of found) {
    const column = Math.min(curve.columns - 1, Math.floor(place(curve, i) / right * curve.columns));
    const [low, high] = columns.get(column) || [Infinity, -Infinity], v = curve[value][i];
    columns.set(column, [Math.min(low, v), Math.max(high, v)]);
  }
  return path((width / curve.columns).toFixed(1), [...columns].map(([column, [low, high]]) =>
    `M${X((column + .5) / curve.columns * right)} ${Y(low)}V${Y(high)}`));
};
const along = (curve, key) => {               // its running mean at an x; the x must not decrease
  const list = known(curve, main(curve), key);
  let at = 0;
  return x => {
    while (at < list.length && place(curve, list[at]) < x) at++;
    if (at === list.length || (at === 0 && place(curve, list[0]) > x)) return null;
    const j = list[at], i = list[Math.max(0, at - 1)], gap = place(curve, j) - place(curve, i);
    return curve[key][j] - (gap ? (place(curve, j) - x) / gap : 0) * (curve[key][j] - curve[key][i]);
  };
};
const spread = (group, {mean: key, X, Y, right}) => {     // where two runs or more reach
  const means = group.map(curve => along(curve, key)), top = [], middle = [], bottom = [];
  for (let g = 0; g <= 200; g++) {
    const x = right * g / 200, values = means.map(mean => mean(x)).filter(v => v !== null);
    if (values.length < 2) continue;
    const mean = values.reduce((a, b) => a + b) / values.length;
    const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1));
    top.push(`${X(x)} ${Y(mean + deviation)}`);
    middle.push(`${X(x)} ${Y(mean)}`);
    bottom.unshift(`${X(x)} ${Y(mean - deviation)}`);
  }
  const name = escape(`Mean and standard deviation of ${group.length} runs of ${group[0].env}`);
  return !middle.length ? '' : `<g class="all" role="img" aria-label="${name}"><path class="band" d="M${
    top.concat(bottom).join('L')}z"/><path class="mean" d="M${middle.join('L')}"/></g>`;
};
const marks = (curve, {X, Y, base}) => {
  let out = '', last = [-99, -99];
  curve.videos.forEach((i, v) => {
    if (i === null) return;
    const x = +X(place(curve, i)), y = curve.returns[i] === null ? base : +Y(curve.returns[i]);
    if (Math.hypot(x - last[0], y - last[1]) < 13) return;      // the one before stands for both
    last = [x, y];
    const name = `Video of episode ${number(curve.episodes[i])}, return ${number(curve.returns[i])}`;
    out += `<a class="mark" href="#v${curves.indexOf(curve)}-${v}" aria-label="${name}"><circle
      cx="${x}" cy="${y}" r="6.5"/><path d="M${x - 2} ${y - 3.2}v6.4l5.2-3.2z"/></a>`;
  });
  return out && `<g class="${colour(curve)}">${out}</g>`;
};
const label = (curve, {mean, name}) => {
  const list = known(curve, main(curve), mean), count = curve.episodes[curve.episodes.length - 1] + 1;
  const [first, last] = [list[0], list[list.length - 1]].map(i => i === undefined ? null : curve[mean][i]);
  return escape(`Mean ${name} of ${curve.name}, ${number(count)} episodes: from ${number(first)} to ${
    number(last)}`);
};
const frame = (plot, low, high, w, h) => {    // the lines and numbers behind the curves
  const {X, Y, left, base, right} = plot, lower = plot === PLOTS[1], end = w - 18;
  let out = ticks(low, high, lower ? 3 : 5, 0).map(v => `<path class="grid" d="M${left} ${Y(v)}H${end}"/>
    <text x="${left - 8}" y="${+Y(v) + 4}" text-anchor="end">${tick(v)}</text>`).join('');
  for (const v of ticks(0, right, Math.max(3, Math.min(9, w / 110)), axis === 'seconds' ? 0 : 1)) {
    out += `<path class="grid" d="M${X(v)} ${base}v5"/>`;
    if (lower) out += `<text x="${X(v)}" y="${base + 19}" text-anchor="middle">${tick(v)}</text>`;
  }
  if (lower) out += `<text x="${end}" y="${h - 4}" text-anchor="end">${
    axis === 'seconds' ? UNIT_NAME.toLowerCase() + ' of running' : axis}</text>`;
  return `${out}<path class="grid" d="M${left} ${base}H${end}"/>`;
};
const draw = () => {
  const right = Math.max(0, ...shown().map(curve => place(curve, curve.episodes.length - 1))) || 1;
  const groups = [...new Set(shown().map(curve => curve.env))]
    .map(env => shown().filter(curve => curve.env === env)).filter(group => group.length > 1);
  for (const plot of PLOTS) {
    const w = Math.max(240, plot.svg.clientWidth || 640), lower = plot === PLOTS[1];
    const h = lower ? 170 : Math.min(360, Math.max(240, w * .4)), base = h - (lower ? 40 : 10), left = 60;
    let [low, high] = extent(shown().flatMap(curve => curve[plot.value]));
    if (lower) low = 0;
    const X = v => (left + v / right * (w - left - 18)).toFixed(1);
    const Y = v => (base - (v - low) / (high - low) * (base - 12)).toFixed(1);
    Object.assign(plot, {X, Y, left, base, right, width: w - left - 18});
    plot.svg.setAttribute('viewBox', `0 0 ${w} ${h}`);
    plot.svg.innerHTML = frame(plot, low, high, w, h) + shown().map(curve =>
      `<g class="${colour(curve)}" role="img" aria-label="${label(curve, plot)}">${[points, line].map(what =>
        ['t', 'e'].filter(kind => curve.kinds.includes(kind)).map(kind => what(curve, kind, plot)).join('')
      ).join('')}</g>`).join('') + groups.map(group => spread(group, plot)).join('')
      + (lower ? '' : shown().map(curve => marks(curve, plot)).join('')) + '<g class="cursor"></g>';
  }
  $('spread').hidden = !groups.length;
  $('marks').hidden = !PLOTS[0].svg.querySelector('.mark');
  point(null);
};

// The episode under the pointer, or the one that the arrow keys have come to.
const tip = document.querySelector('.tip');
const point = found => {
  cursor = found;
  tip.style.visibility = found ? 'visible' : 'hidden';
  const [curve, i] = found || [];
  for (const {svg, value, X, Y, base} of PLOTS) {
    const x = found && X(place(curve, i)), v = found && curve[value][i];
    svg.querySelector('.cursor').innerHTML = !found ? '' : `<line x1="${x}" x2="${x}" y1="12" y2="${base}"/>`
      + (v === null ? '' : `<circle class="${colour(curve)}" cx="${x}" cy="${Y(v)}" r="4.5"/>`);
  }
  if (!found) return;
  const facts = [curves.length > 1 && curve.name, curve.kinds[i] === 'e' && 'evaluation',
    `return ${number(curve.returns[i])}`, `length ${number(curve.lengths[i])}`,
    `after ${duration(curve.seconds[i])}`];
  tip.innerHTML = `<b>Episode ${number(curve.episodes[i])}</b>${
    facts.filter(Boolean).map(escape).join('<br>')}`;
  const {svg, X, Y, base} = PLOTS[0], v = curve.returns[i];
  const top = svg.getBoundingClientRect().top - svg.parentNode.getBoundingClientRect().top;
  const x = +X(place(curve, i)), y = top + (v === null ? base : +Y(v)) - tip.offsetHeight - 8;
  const left = x + 14 + tip.offsetWidth > svg.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, y)}px)`;
};
const nearest = ({svg, value, X, Y}, event) => {
  const box = svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let best = null, least = Infinity;
  for (const curve of shown()) curve.episodes.forEach((_, i) => {
    if (curve[value][i] === null) return;
    const far = (X(place(curve, i)) - x) ** 2 + ((Y(curve[value][i]) - y) / 3) ** 2;
    if (far < least) [least, best] = [far, [curve, i]];
  });
  return best;
};
for (const plot of PLOTS) {
  plot.svg.addEventListener('pointermove', event => point(nearest(plot, event)));
  plot.svg.addEventListener('pointerleave', () => point(null));
}
const MOVES = {ArrowRight: i => i + 1, ArrowLeft: i => i - 1, Home: () => 0, End: () => Infinity};
PLOTS[0].svg.addEventListener('keydown', event => {
  const list = shown(), move = MOVES[event.key], turn = {ArrowDown: 1, ArrowUp: list.length - 1}[event.key];
  if (event.target !== PLOTS[0].svg || !(move || turn !== undefined) || !list.length) return;
  event.preventDefault();
  let [curve, i] = cursor || [list[0], -1];
  if (move) i = Math.max(0, Math.min(curve.episodes.length - 1, move(i)));
  else [curve, i] = [list[(list.indexOf(curve) + turn) % list.length], 0];
  point([curve, i]);
  $('said').textContent = tip.innerText;
});
PLOTS[0].svg.addEventListener('blur', () => point(null));
PLOTS[0].svg.addEventListener('click', event => {
  const mark = event.target.closest('.mark'), card = mark && $(mark.getAttribute('href').slice(1));
  if (!card) return;
  event.preventDefault();                   // in a notebook's frame the address would be the notebook's
  if (card.closest('details')) card.closest('details').open = true;
  card.scrollIntoView({block: 'center'});
  card.focus({preventScroll: true});
});
for (const button of all('[name=axis]')) {
  button.checked = button.value === axis;
  button.addEventListener('change', () => { axis = button.value; draw(); });
}
if (curves.length > 1) for (const curve of curves) {
  const label = document.createElement('label');
  label.className = colour(curve);
  label.innerHTML = `<input type="checkbox" checked>${escape(curve.name)}`;
  label.firstChild.addEventListener('change', event => { curve.off = !event.target.checked; draw(); });
  $('legend').append(label);
}

// Text recordings: what a terminal would show after each event.
const COLOURS = ['#4a4f57', '#f2777a', '#79c98a', '#e6c15c', '#7ab0f5', '#d096e0', '#5fc9d6', '#f4f4f0'];
const CLEAR = /\x1b\[[23]J|\x1bc/;
const screen = (events, last) => {            // text, then for each escape its numbers, letter, and text
  let text = '';
  for (let i = last; i >= 0 && !CLEAR.test(text); i--) text = events[i][1] + text;
  return text.split(CLEAR).pop().replace(/\r/g, '').split(/\x1b\[([0-9;?]*)([@-~])/);
};
const paint = (style, codes) => {
  for (const code of codes) {
    if (code === 0) style = {};
    else if (code === 1 || code === 22) style.bold = code === 1;
    else if (code === 7 || code === 27) style.swap = code === 7;
    else if (code === 38 || code === 48) break;               // 256 colours and more: left as it is
    else if (code % 60 >= 30 && code % 60 < 40) style.ink = COLOURS[code % 10];
    else if (code % 60 >= 40 && code % 60 < 50) style.back = COLOURS[code % 10];
  }
  return style;
};
const terminal = (pre, [first, ...rest]) => {
  let style = {};
  pre.textContent = first;
  for (let p = 0; p < rest.length; p += 3) {
    if (rest[p + 1] === 'm') style = paint(style, rest[p].split(';').map(Number));
    const span = document.createElement('span'), {ink, back, bold, swap} = style;
    const [front, behind] = swap ? [back || '#1a1d21', ink || '#e4e4e0'] : [ink || (back && '#1a1d21'), back];
    span.textContent = rest[p + 2];
    Object.assign(span.style, {color: front || '', background: behind || '', fontWeight: bold ? 700 : ''});
    pre.append(span);
  }
};
for (const card of all('.cast')) {
  const events = JSON.parse(card.querySelector('script').textContent), pre = card.querySelector('pre');
  const [play, back, next] = card.querySelectorAll('button'), count = card.querySelector('output');
  let at = 0, timer = 0;
  const show = i => {
    at = Math.max(0, Math.min(events.length - 1, i));
    if (events.length) terminal(pre, screen(events, at));
    count.textContent = events.length ? `${at + 1} of ${events.length}` : 'no frames';
  };
  const set = playing => {
    clearTimeout(timer);
    const wait = at < events.length - 1 ? (events[at + 1][0] - events[at][0]) * 1000 : 0;
    timer = !playing || at >= events.length - 1 ? 0
      : setTimeout(() => { show(at + 1); set(true); }, Math.min(2000, Math.max(20, wait)));
    play.textContent = timer ? 'Pause' : 'Play';
    card.classList.toggle('playing', timer !== 0);
  };
  play.addEventListener('click', () => {
    if (!timer && at === events.length - 1) show(0);
    set(!timer);
  });
  back.addEventListener('click', () => { set(false); show(at - 1); });
  next.addEventListener('click', () => { set(false); show(at + 1); });
  show(0);
}

// Videos that are folded away are opened when they come near.
const near = new IntersectionObserver(seen => seen.forEach(({isIntersecting, target}) => {
  if (isIntersecting) target.preload = 'metadata';
}), {rootMargin: '600px'});
all('video[preload=none]').forEach(video => near.observe(video));

draw();
let wide = PLOTS[0].svg.clientWidth;
new ResizeObserver(() => {
  if (wide !== PLOTS[0].svg.clientWidth) { wide = PLOTS[0].svg.clientWidth; draw(); }
}).observe(document.body);

// --watch: a newer page, seen from the same place; not while something is played or pointed at.
if (refresh) {
  const live = $('live'), busy = () => !live.checked || document.hidden || cursor
    || document.querySelector('.playing') || all('video').some(video => !video.paused && !video.ended);
  addEventListener('pagehide', () => {
    const focus = document.activeElement ? document.activeElement.id : '';
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({axis, x: scrollX, y: scrollY, live: live.checked, focus}));
    } catch (_) { /* then it begins at the top */ }
  });
  live.checked = kept.live !== false;
  if (kept.focus && $(kept.focus)) $(kept.focus).focus({preventScroll: true});
  history.scrollRestoration = 'manual';
  const place = () => scrollTo(kept.x || 0, kept.y || 0);
  place();
  addEventListener('load', () => {
    if (!scrollY) place();  // it was not high enough before
    setInterval(() => { if (!busy()) location.reload(); }, refresh * 1000);
  });
}
})();
</script>
</body>
</html>
"""


# ---------------------------------------------------------------------------------------------------------------------
# Demo: a small environment to record, and a crude learner that makes its curve go somewhere
# ---------------------------------------------------------------------------------------------------------------------

class Lander:
    """Set a spacecraft down on its pad, gently: gymnasium's interface, by the standard library alone.

    Actions: 0 coast, 1 push left, 2 main engine, 3 push right. An observation is (x, y, horizontal speed, vertical
    speed): x and y in pixels from the middle of the pad, speeds in pixels a step.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    render_mode = "rgb_array"
    width, height, ground = 256, 192, 168

    def __init__(self, seed: int) -> None:
        from random import Random
        self._random = Random(seed)
        self._background = self._paint_background()
        self._state = (0.0, 0.0, 0.0, 0.0)
        self._action = self._steps = 0

    def reset(self) -> Tuple[Tuple[float, ...], Dict[str, Any]]:
        self._state = (self._random.choice((-1, 1)) * self._random.uniform(50, 80), 135.0,
                       self._random.uniform(-0.5, 0.5), 0.0)
        self._action = self._steps = 0
        return self._state, {}

    def step(self, action: int) -> Tuple[Tuple[float, ...], float, bool, bool, Dict[str, Any]]:
        distance = self._distance()
        x, y, x_speed, y_speed = self._state
        x_speed += {1: -0.08, 3: 0.08}.get(action, 0.0)
        y_speed += 0.09 if action == 2 else -0.035
        self._state = x, y, x_speed, y_speed = x + x_speed, max(0.0, y + y_speed), x_speed, y_speed
        self._action = action
        self._steps += 1
        landed, lost = y == 0.0, abs(x) > self.width / 2 or y > self.ground
        reward = distance - self._distance() - (0.1 if action else 0.0)
        success = landed and abs(x) < 20 and y_speed > -1.2 and abs(x_speed) < 1.0
        if landed or lost:
            reward += 100.0 if success else -50.0
        return self._state, reward, landed or lost, self._steps >= 250, {"success": success}

    def _distance(self) -> float:
        x, y, x_speed, y_speed = self._state
        return math.hypot(x, y) / 2 + 10 * math.hypot(x_speed, y_speed)

    def render(self) -> memoryview:
        """The picture as the standard library can hold it: bytes in three dimensions, (height, width, 3)."""
        picture = bytearray(self._background)
        column, row = round(self._state[0]) + self.width // 2, self.ground - round(self._state[1])
        if self._action == 2:
            for depth in range(9):
                self._paint(picture, row + depth - 1, column, 3 - depth // 3, (255, 200 - 18 * depth, 40))
        elif self._action:
            side = -9 if self._action == 3 else 9
            self._paint(picture, row - 9, column + side, 3, (255, 230, 160))
        for level in range(16):  # from the feet to the nose
            half = 2 if level < 4 else min(6, 1 + (15 - level))
            self._paint(picture, row - level, column, half, (235, 238, 245) if level != 10 else (80, 160, 255))
        for foot in (-7, 7):
            for level in range(5):
                self._paint(picture, row - level, column + foot - (level if foot > 0 else -level) // 2, 1,
                            (170, 176, 190))
        return memoryview(picture).cast("B", [self.height, self.width, 3])

    def _paint(self, picture: bytearray, row: int, column: int, half: int, colour: Tuple[int, int, int]) -> None:
        """Colour a stretch of a row: `half` pixels to both sides of a column."""
        left, right = max(0, column - half), min(self.width, column + half + 1)
        if 0 <= row < self.height and left < right:
            start = 3 * (row * self.width + left)
            picture[start:start + 3 * (right - left)] = bytes(colour) * (right - left)

    def _paint_background(self) -> bytes:
        """Dusk over hills, with stars and the pad."""
        picture = bytearray()
        for row in range(self.height):
            shade = row / self.ground
            picture += bytes((int(14 + 60 * shade), int(18 + 40 * shade), int(48 + 60 * shade))) * self.width
        for _ in range(70):
            self._paint(picture, self._random.randrange(110), self._random.randrange(self.width), 0, (230, 230, 255))
        for column in range(self.width):
            far = abs(column - self.width / 2) / self.width
            top = self.ground + 2 - int(far * far * 120 * (1.1 + math.sin(column / 17)))
            for row in range(top, self.height):
                self._paint(picture, row, column, 0, (46, 40, 58) if row > top + 1 else (96, 84, 110))
        for row in range(self.ground + 1, self.ground + 5):
            self._paint(picture, row, self.width // 2, 22, (240, 190, 70))
        return bytes(picture)


def _act(policy: Sequence[float], state: Sequence[float]) -> int:
    """A pilot with four habits: how fast to fall, more so higher up, and how to steer to the pad."""
    x, y, x_speed, y_speed = state
    sideways = policy[2] * x + policy[3] * x_speed
    if y_speed < -(policy[0] + policy[1] * y):
        return 2
    return 0 if abs(sideways) < 0.3 else (3 if sideways > 0 else 1)


def demo(directory: str, episodes: int = 60) -> None:
    """Record a lander that learns to land: a policy is changed at random, and a change that paid is kept.

    Args:
        directory: where the recording goes.
        episodes: how many to play.
    """
    from random import Random
    random = Random(2)
    best, best_return = [1.0, 0.0, 0.0, 0.0], -math.inf
    scale = [0.4, 0.01, 0.02, 0.8]

    def scheduled(episode_id: int) -> bool:
        return capped_cubic_video_schedule(episode_id) or episode_id == last

    with Monitor(Lander(seed=1), directory, scheduled, resume=True, info_keywords=("success",)) as env:
        first = env.episode_id  # of this run; an earlier one may be in the directory
        last = first + episodes - 1
        for episode in range(first, last + 1):
            policy = [value + random.gauss(0, 1) * width for value, width in zip(best, scale)]
            if episode == last:
                policy = best
            state, _ = env.reset()
            done, total = False, 0.0
            while not done:
                state, reward, terminated, truncated, _ = env.step(_act(policy, state))
                done = terminated or truncated
                total += reward
            if total > best_return:
                best, best_return = policy, total
            _progress(f"episode {env.episode_id - first:3d} of {episodes}, return {total:7.1f}")
        _progress("")


def _progress(text: str) -> None:
    """Show a line that replaces the one before, where somebody is watching."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("\r{:<70}{}".format(text, "" if text else "\r"))
        sys.stderr.flush()


# ---------------------------------------------------------------------------------------------------------------------
# Command line
# ---------------------------------------------------------------------------------------------------------------------

def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        arguments: as in `sys.argv[1:]`, which they are by default.

    Returns:
        The exit status: 0, or 1 after one line on standard error.
    """
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise Error(f"{message} (see python3 gym_monitor.py --help)")

    parser = Parser(prog="gym_monitor.py", description="Record what a reinforcement-learning environment did.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    command = commands.add_parser("demo", help="record a small built-in environment and report on it")
    command.add_argument("dir", nargs="?", metavar="DIR", help="where to; by default a new temporary directory")
    command = commands.add_parser("report", help="summarise what directories hold, and write it as a page")
    command.add_argument("dirs", nargs="+", metavar="DIR")
    command.add_argument("--json", action="store_true", help="print the numbers for programs")
    command.add_argument("--html", metavar="FILE", help="where the page goes, instead of DIR/" + _REPORT_NAME)
    command.add_argument("--embed", action="store_true", help="put the videos into the page")
    command.add_argument("--watch", action="store_true", help="write the page again as episodes arrive")
    command = commands.add_parser("clear", help="remove the recorder's files from a directory")
    command.add_argument("dir", metavar="DIR")
    try:
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.error("a command is missing: demo, report or clear")
        {"demo": _command_demo, "report": _command_report, "clear": _command_clear}[options.command](options)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 1
    except (Error, OSError) as problem:
        _complain(" ".join(str(problem).split()))
        return 1
    return 0


def _command_demo(options: Any) -> None:
    directory = options.dir or tempfile.mkdtemp(prefix="gym_monitor_demo_")
    demo(directory)
    _run_report([directory])


def _command_report(options: Any) -> None:
    _run_report(options.dirs, options.html, options.embed, options.watch, options.json)


def _command_clear(options: Any) -> None:
    _list_directory(options.dir)
    for path in detect_monitor_files(options.dir):
        _say(path if path.isprintable() else ascii(path)[1:-1])
    clear_monitor_files(options.dir)


if __name__ == "__main__":
    sys.exit(main())
