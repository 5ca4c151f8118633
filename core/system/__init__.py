"""Basic services: progress, records, locks, gzip, the machine and its folders."""

from core.system.compression import DAMAGED_GZIP, FASTEST, open_gzip, write_gzip
from core.system.folders import PROGRAM_FOLDER, PUBLISHED_NAME, WEIGHTS_FOLDER, runs_folder
from core.system.locks import take_lock
from core.system.machine import (
    THREADS_VARIABLE,
    cpu_count,
    cpu_facts,
    cpu_name,
    free_memory_bytes,
    may_have_gpu,
    peak_memory_mb,
)
from core.system.numbers import (
    MINUS,
    THIN_SPACE,
    UNDEFINED_TEXT,
    number_text,
    percent_text,
    plain_text,
    short_percent_text,
    signed_text,
    size_text,
)
from core.system.progress import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)
from core.system.records import (
    check_place,
    json_text,
    make_folder,
    no_formula,
    put_in_place,
    refuse_overwriting,
    remove_partial_files,
    without_nan,
    write_bytes,
    write_text,
)
from core.system.software import software_versions

__all__ = [
    "DAMAGED_GZIP",
    "FASTEST",
    "open_gzip",
    "write_gzip",
    "PROGRAM_FOLDER",
    "PUBLISHED_NAME",
    "WEIGHTS_FOLDER",
    "runs_folder",
    "take_lock",
    "THREADS_VARIABLE",
    "cpu_count",
    "cpu_facts",
    "cpu_name",
    "may_have_gpu",
    "free_memory_bytes",
    "peak_memory_mb",
    "MINUS",
    "THIN_SPACE",
    "UNDEFINED_TEXT",
    "number_text",
    "percent_text",
    "plain_text",
    "short_percent_text",
    "signed_text",
    "size_text",
    "OnProgress",
    "ShouldCancel",
    "ignore_progress",
    "never_cancel",
    "raise_if_cancelled",
    "check_place",
    "json_text",
    "make_folder",
    "no_formula",
    "put_in_place",
    "refuse_overwriting",
    "remove_partial_files",
    "without_nan",
    "write_bytes",
    "write_text",
    "software_versions",
]
