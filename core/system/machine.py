"""What this computer is: cores, name of its processor, memory a process has taken."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from functools import cache
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
_NVIDIA_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/dxg"))


THREADS_VARIABLE = "LUNGLENS_THREADS"
"""Environment variable that leaves a process fewer cores than there are, beside others."""

_LESS_URGENT = 5
"""Niceness of work beside the pages."""


def cpu_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limit = os.environ.get(THREADS_VARIABLE, "")
    return min(cores, max(1, int(limit))) if limit.isdecimal() else cores


@cache
def cpu_facts() -> str:
    """What Linux reports of its first processor; empty on other systems."""
    if not _CPU_FACTS.is_file():
        return ""
    return _CPU_FACTS.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]


def cpu_name() -> str:
    """Such as "Intel(R) Xeon(R) Processor", and whether it has instructions for bfloat16."""
    facts: dict[str, str] = {}
    for line in cpu_facts().splitlines():
        label, _, value = line.partition(":")
        facts[label.strip()] = value.strip()
    name = facts.get("model name") or platform.processor() or platform.machine() or "unknown"
    flags = facts.get("flags", "").split()
    known = [word for word, flag in (("AMX", "amx_bf16"), ("AVX-512", "avx512f")) if flag in flags]
    return f"{name} ({', '.join(known)})" if known else name


def give_way(process_id: int) -> None:
    """Lets other programs, such as the pages, go before a process; not on Windows."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process_id, _LESS_URGENT)


def may_have_gpu() -> bool:
    """Whether a look at the devices leaves a GPU possible; asking for certain takes seconds."""
    return any(path.exists() for path in _NVIDIA_DEVICES)


def peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far; none where the system does not report it."""
    if _STATUS.is_file():
        # Not `ru_maxrss`: on Linux it starts with the memory of the process that started this one.
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        if peaks:
            return round(int(peaks[0]) / 1024)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2))


def free_memory_bytes() -> int | None:
    """Memory that can be had without swapping; none where the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
