"""A scan and a person's corrections come in; a folder that outlives the server goes out."""

from core.correction.project.store import (
    LOCKED,
    Card,
    Keeper,
    Listed,
    any_projects,
    delete_project,
    folder_of,
    has_project,
    list_projects,
    read_card,
    rename_project,
)

__all__ = [
    "Card",
    "Keeper",
    "LOCKED",
    "Listed",
    "any_projects",
    "delete_project",
    "folder_of",
    "has_project",
    "list_projects",
    "read_card",
    "rename_project",
]
