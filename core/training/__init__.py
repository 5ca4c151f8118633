"""Labelled scans come in; a trained network, its record and its published weights go out."""

from core.training.demo_patients import write_demo_patients
from core.training.run_process import start_run, stop_run
from core.training.run_report import RunReport
from core.training.run_request import (
    DEMO_DATA,
    RANGE_TEST_NAME,
    RunRequest,
    check_run_name,
    read_request,
    run_names,
    write_request,
)
from core.training.run_samples import read_prediction, read_slices, sampled_epochs
from core.training.run_status import RunStatus, busy_run, read_run
from core.training.runs import RunPaths, read_history, read_results, read_split, score
from core.training.schedule import learning_rates
from core.training.starting import (
    FINE_TUNING,
    can_start_from,
    fine_tuning_config,
    met_before,
)

__all__ = [
    "write_demo_patients",
    "DEMO_DATA",
    "RANGE_TEST_NAME",
    "RunReport",
    "RunRequest",
    "RunStatus",
    "busy_run",
    "check_run_name",
    "read_request",
    "read_run",
    "run_names",
    "start_run",
    "stop_run",
    "write_request",
    "read_prediction",
    "read_slices",
    "sampled_epochs",
    "RunPaths",
    "read_history",
    "read_results",
    "FINE_TUNING",
    "can_start_from",
    "fine_tuning_config",
    "met_before",
    "read_split",
    "score",
    "learning_rates",
]
