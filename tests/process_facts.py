"""A notebook's cell that tells what its process is like, as JSON."""

import asyncio
import atexit
import builtins
import decimal
import faulthandler
import gc
import json
import locale
import logging
import multiprocessing
import os
import resource
import signal
import site
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
from multiprocessing import process
from pathlib import Path

import matplotlib as mpl
from IPython import get_ipython

shell = get_ipython()
mask = os.umask(0)
os.umask(mask)
ended: list[str] = []
atexit.register(lambda: Path("ended.txt").write_text(" ".join([*ended, "first"])))
atexit.register(lambda: ended.append("second"))


def of_logger(logger: logging.Logger) -> list[object]:
    return [logger.level, logger.propagate, logger.disabled, [type(each).__name__ for each in logger.handlers]]


folder = {
    "working folder": str(Path.cwd()),
    "IPython's history of folders": [*map(str, shell.user_ns["_dh"])],
    "IPython's first folder": shell.starting_dir,
    "history manager's folders": [*map(str, shell.history_manager.dir_hist)],
    "multiprocessing's folder": vars(process)["ORIGINAL_DIR"],
    "sys.path": sys.path,
    "matplotlib's file": mpl.matplotlib_fname(),
    "matplotlib's parameters": [
        each["lines.linewidth"] for each in (mpl.rcParams, mpl.rcParamsOrig, mpl.rcParamsDefault)
    ],
    "matplotlib's backend": mpl.get_backend(),
    "folder for temporary files": [tempfile.tempdir, tempfile.gettempdir()],
    "a file of logging": logging.FileHandler("x.log", delay=True).baseFilename,
}
start = {
    "environment": dict(os.environ),
    "arguments": [len(sys.argv) > 2, sys.argv[1], sys.orig_argv[:2], len(sys.orig_argv) > 4],
    "flags": [str(sys.flags), sys._xoptions, sys.warnoptions, sys.dont_write_bytecode, sys.pycache_prefix],
    "prefixes": [sys.prefix, sys.exec_prefix, sys.executable, site.ENABLE_USER_SITE],
    "locale": [locale.setlocale(locale.LC_ALL), locale.getlocale(), time.tzname],
    "encodings": [sys.getfilesystemencoding(), sys.stdout.encoding, sys.__stdout__.encoding, sys.__stdout__.errors],
    "standard streams": [sys.__stdout__.name, sys.__stdin__.read(), sys.stdout.isatty(), sys.__stdout__.fileno()],
    "umask": mask,
    "limits": {
        name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")
    },
    "processors": len(os.sched_getaffinity(0)),
    "leads its group and session": [os.getpid() == os.getpgrp(), os.getpid() == os.getsid(0)],
    "what is said of a crash": [
        Path("/proc/self/coredump_filter").read_text(),
        Path("/proc/self/oom_score_adj").read_text(),
    ],
    "logging began with the process": logging.LogRecord("", 10, "", 1, "", (), None).relativeCreated < 60_000,
}
state = {
    "signals": {each.name: str(signal.getsignal(each)) for each in signal.Signals},
    "blocked signals": [*signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "wakeup descriptor": signal.set_wakeup_fd(-1) == -1,
    "root logger": of_logger(logging.root),
    "logging.disable": logging.root.manager.disable,
    "tornado's and traitlets' loggers": [of_logger(logging.getLogger(name)) for name in ("tornado", "traitlets")],
    "process for multiprocessing": [multiprocessing.current_process().name, multiprocessing.parent_process() is None],
    "start method": multiprocessing.get_start_method(allow_none=True),
    "active children": len(multiprocessing.active_children()),
    "main thread": [threading.current_thread() is threading.main_thread(), threading.stack_size()],
    "hooks": [sys.unraisablehook is sys.__unraisablehook__, sys.gettrace(), sys.getprofile(), sys.excepthook.__name__],
    "limits of the interpreter": [sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits()],
    "collector": [gc.get_threshold(), gc.isenabled(), gc.get_debug()],
    "event loop": [type(asyncio.get_running_loop()).__name__, asyncio.get_running_loop().get_debug()],
    "decimal's context": str(decimal.getcontext()),
    "default timeout of sockets": socket.getdefaulttimeout(),
    "tracing": [faulthandler.is_enabled(), tracemalloc.is_tracing()],
    "builtins": sorted(vars(builtins).keys() - {"this", "system"}),
    "main module": {name: str(value) for name, value in vars(sys.modules["__main__"]).items() if name.startswith("__")},
    "names at the start": sorted(shell.user_ns_hidden),
    "shell": [
        shell.execution_count,
        shell.profile,
        shell.colors,
        shell.ipython_dir,
        shell.autocall,
        shell.logger.logfname,
    ],
    "IPython's callbacks": {name: len(calls) for name, calls in shell.events.callbacks.items()},
    "magics": [sorted(each) for each in shell.magics_manager.magics.values()],
    "formatters": {name: each.enabled for name, each in shell.display_formatter.formatters.items()},
    "size of a key of multiprocessing": len(multiprocessing.current_process().authkey),
}
threads = [thread.name.split("(")[-1] for thread in threading.enumerate()]
print(json.dumps({"facts": folder | start | state, "threads": threads}, default=str))
