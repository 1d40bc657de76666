"""A Millrace as it was: built once for each commit, under build/before."""
import os
import subprocess

from lib.workshop import PROJECT, Skip

from .program import progress


def build(commit):
    """The program of that commit; Skip where this clone does not have it."""
    tree = PROJECT / "build/before" / commit
    path = tree / "build/release/millrace"
    if os.access(path, os.X_OK):
        return path
    progress(f"building {commit}")
    source = subprocess.run(["git", "-C", PROJECT, "archive", commit], capture_output=True,
                            check=False)
    if source.returncode != 0:
        raise Skip(f"{commit}: {source.stderr.decode().strip()}")
    tree.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", tree], input=source.stdout, check=True)
    subprocess.run([tree / "dev", "build", "release"], check=True, stdout=subprocess.DEVNULL)
    return path
