"""Which revisions are new: those that the base branch in git does not have."""

import subprocess
from pathlib import Path

from alembic.script import Script, ScriptDirectory

# What may be the base branch, the best first.
BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
ROOT = ("rev-parse", "--verify", "--quiet", "HEAD^")


class UnknownBaseError(Exception):
    """It cannot be known which revisions are new. The message says what to do."""


def revisions_since(scripts: ScriptDirectory, since: str) -> list[Script]:
    """Return the revisions after this one, in the order in which they run."""
    found = scripts.walk_revisions(since, "heads")
    last = scripts.get_revision(since)
    return [each for each in reversed(list(found)) if each is not last]


def all_revisions(scripts: ScriptDirectory) -> list[Script]:
    return list(reversed(list(scripts.walk_revisions())))


def new_revisions(scripts: ScriptDirectory, base: str | None) -> list[Script]:
    """Return the revisions whose files the commit `base` does not have, committed or not.

    Without `base` it is that of the default branch. Raise `UnknownBaseError`.
    """
    revisions = all_revisions(scripts)
    folders = {Path(each.path).resolve().parent for each in revisions}
    old = {path for each in folders for path in files_at(find_base(each, base), each)}
    return [each for each in revisions if Path(each.path).resolve() not in old]


def find_base(folder: Path, base: str | None) -> str | None:
    """Return a commit, or `None` if there is nothing before the commit that is checked out."""
    if git(folder, "rev-parse", "--git-dir") is None:
        raise UnknownBaseError(
            f"git does not know {folder}: name the last old revision with --since, or use --all."
        )
    if git(folder, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        return None
    for each in BASES if base is None else (base,):
        if commit := git(folder, "rev-parse", "--verify", "--quiet", each + "^{commit}"):
            return commit.strip()
    if base is not None and base.startswith("HEAD") and is_first_commit(folder):
        return None
    raise UnknownBaseError(
        f"git has no {base or 'default branch'} here: fetch it (a shallow clone lacks it), name it"
        " with --base, name the last old revision with --since, or use --all."
    )


def is_first_commit(folder: Path) -> bool:
    """Return whether the commit has no parent. In a shallow clone that is not known."""
    is_shallow = git(folder, "rev-parse", "--is-shallow-repository") != "false\n"
    return not is_shallow and git(folder, *ROOT) is None


def files_at(commit: str | None, folder: Path) -> list[Path]:
    """Return the paths of the files that the folder had at a commit."""
    names = git(folder, "ls-tree", "-z", "--name-only", commit) if commit else None
    return [folder / name for name in (names or "").split("\0")]


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or `None` if it fails or is not there."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - no shell
    except (OSError, subprocess.CalledProcessError):
        return None
