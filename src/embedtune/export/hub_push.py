"""A model's folder → the Hugging Face Hub, in one commit, when somebody asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune import progress
from embedtune.artifact import MANIFEST
from embedtune.data.hub import hub_reachable, why_unreachable
from embedtune.errors import OptionsError, StorageError
from embedtune.export.model_card import CARD, public_record

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

__all__ = ["push_folder"]

_TOKEN = "HF_TOKEN"  # noqa: S105  # a variable's name
_AGAIN = "run the same command again, which sends only what the Hub doesn't have"


def push_folder(folder: str | Path, repo: str, *, public: bool = False) -> str:
    """Sends a model's folder to the Hub as one commit and returns its address.

    The repository is made where it is new, private unless `public`. The token comes from $HF_TOKEN
    and nowhere else. The manifest goes without the paths of this machine. Raises OptionsError without a
    token, StorageError where the folder has no card or the Hub can't be reached or refuses.
    """
    path = Path(folder)
    token = os.environ.get(_TOKEN)
    if not token:
        raise OptionsError("there is no token to write to the Hub with", remedy=f"put one into ${_TOKEN}")
    if not (path / CARD).is_file():
        raise StorageError(f"{path} has no {CARD}", remedy="embedtune card writes it")
    if not hub_reachable():
        raise StorageError(f"nothing was sent: {why_unreachable()}", remedy="connect; HF_ENDPOINT names a mirror")
    return _send(path, repo, token, public)


def _send(folder: Path, repo: str, token: str, public: bool) -> str:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError

    api = HfApi(token=token)
    operations = _operations(folder)
    progress.say(f"sending {len(operations)} files to {constants.ENDPOINT}, {repo}")
    try:
        api.create_repo(repo, repo_type="model", private=not public, exist_ok=True)
        done = api.create_commit(repo, operations, commit_message="Model and card from embedtune", repo_type="model")
    except HFValidationError as error:
        raise OptionsError(f"{repo!r} can't be a model's name on the Hub", remedy="such as OWNER/NAME") from error
    except Exception as error:  # noqa: BLE001  # the client's own tree of network errors changes with its releases
        lines = str(error).replace(token, "…").strip().splitlines()
        found = lines[0] if lines else type(error).__name__
        raise StorageError(
            f"the Hub didn't take it: {found}", where=f"{constants.ENDPOINT}, {repo}", remedy=_AGAIN
        ) from None
    return str(done.commit_url)


def _operations(folder: Path) -> list[CommitOperationAdd]:
    """Returns every file but hidden ones; links are refused, they may point out of the folder."""
    from huggingface_hub import CommitOperationAdd

    operations = []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if file.is_symlink():
            raise StorageError(f"{file} is a link and isn't sent", remedy="put the file itself into its place")
        content: str | bytes = str(file)
        if name == Path(MANIFEST):
            record = public_record(json.loads(file.read_text(encoding="utf-8")))
            content = (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()
        operations.append(CommitOperationAdd(name.as_posix(), content))
    return operations
