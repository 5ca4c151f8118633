"""A scan and a person's corrections come in; a folder that outlives the server goes out."""

from core.correction.project.archive import pack_project, unpack_project
from core.correction.project.keeper import LOCKED, Keeper
from core.correction.project.scan_file import delete_scan, has_scan, read_scan
from core.correction.project.state import MOST_NOTES, ProjectState
from core.correction.project.store import (
    Card,
    Listed,
    any_projects,
    delete_project,
    folder_of,
    has_project,
    list_projects,
    read_card,
    rename_project,
    settle_turn,
    turned_project,
)

__all__ = [
    "Card",
    "Keeper",
    "LOCKED",
    "Listed",
    "MOST_NOTES",
    "ProjectState",
    "any_projects",
    "delete_project",
    "delete_scan",
    "folder_of",
    "has_project",
    "has_scan",
    "list_projects",
    "pack_project",
    "read_card",
    "read_scan",
    "rename_project",
    "settle_turn",
    "turned_project",
    "unpack_project",
]
