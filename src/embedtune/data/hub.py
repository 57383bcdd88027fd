"""Files on the Hugging Face Hub, or a local folder of the same layout in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from embedtune import progress
from embedtune.errors import DataError

__all__ = ["HubFolder", "hub_dataset", "hub_model", "hub_reachable", "why_unreachable"]

_HUB_TIMEOUT_S = 4.0
_MEGABYTE = 1_000_000


class HubFolder(NamedTuple):
    """Where the files lie, and what to record about their origin; {} for a local folder."""

    folder: Path
    origin: Mapping[str, str]


def hub_dataset(name: str | Path, revision: str | None, patterns: Sequence[str]) -> HubFolder:
    """Returns the folder of a dataset's files that match the patterns, fetched where they aren't cached.

    A branch or tag is resolved to its commit, which is recorded. A lost connection is taken up
    again inside a file; after a broken-off run the files that are whole are kept, and only the
    others are fetched. `HF_ENDPOINT` names a mirror. Files are only fetched, never run.
    Raises DataError where the Hub doesn't have the dataset, or can't be reached and the cache
    doesn't hold all of it.
    """
    return _local_or_fetched("dataset", name, revision, patterns)


def hub_model(name: str | Path, revision: str | None, patterns: Sequence[str]) -> HubFolder:
    """Returns the folder of a model's files that match the patterns; see hub_dataset."""
    return _local_or_fetched("model", name, revision, patterns)


def _local_or_fetched(kind: str, name: str | Path, revision: str | None, patterns: Sequence[str]) -> HubFolder:
    path = Path(name).expanduser()
    return HubFolder(path, {}) if path.exists() else _fetch(kind, str(name), revision, patterns)


def _fetch(kind: str, name: str, revision: str | None, patterns: Sequence[str]) -> HubFolder:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    online = hub_reachable()
    if online:
        progress.say(f"fetching {name} from {constants.ENDPOINT}")
    download = partial(snapshot_download, name, repo_type=kind, revision=revision, allow_patterns=list(patterns))
    try:
        folder = _download_shown(download, name) if online else download(local_files_only=True)
    except HFValidationError:
        raise DataError(
            f"there is no file or folder {name}, and it can't be a {kind}'s name on the Hub",
            remedy="give a path, or a name such as OWNER/NAME",
        ) from None
    except GatedRepoError:
        raise _unknown(kind, name, "is gated", "accept its terms on the Hub and log in with `hf auth login`") from None
    except RevisionNotFoundError:
        raise _unknown(kind, name, f"has no revision {revision!r}", "name a branch, a tag or a commit of it") from None
    except RepositoryNotFoundError:
        raise _unknown(
            kind, name, "isn't there, or is private", "check the name; a local folder does as well"
        ) from None
    except Exception as error:  # the client's own tree of network errors changes with its releases
        raise _cannot_fetch(kind, name, online, error) from error
    commit = Path(folder).name
    progress.say(f"{name}: revision {commit}")
    return HubFolder(Path(folder), {"hub": name, "revision": commit})


def _download_shown(download: Callable[..., Any], name: str) -> str:
    """Returns the folder of the download; shows how many of the missing megabytes are there."""
    from huggingface_hub.errors import DryRunError
    from tqdm import tqdm

    class Bar(tqdm):
        """Stands in for the client's bars, and counts the bytes that reach the disk."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings | {"disable": True})
            self.counts = str(settings.get("desc")).startswith("Reconstruct")
            self.received = 0

        def update(self, n: float | None = 1) -> None:
            if self.counts:
                before, self.received = self.received, self.received + int(n or 0)
                fetching.advance(self.received // _MEGABYTE - before // _MEGABYTE)

    try:
        missing = sum(file.file_size or 0 for file in download(dry_run=True) if file.will_download)
    except DryRunError:  # the Hub refuses; the download itself says why, or finds everything in the cache
        missing = 0
    with progress.task(f"fetch {name} (MB)", total=missing // _MEGABYTE) as fetching:
        return str(download(tqdm_class=Bar))


def hub_reachable() -> bool:
    """Asks the Hub once, because its client would try for more than a minute."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_TIMEOUT_S)
    except Exception:  # noqa: BLE001  # the client's own tree of network errors changes with its releases
        return False
    return True


def why_unreachable() -> str:
    """Returns in words why hub_reachable said no."""
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} can't be reached"


def _unknown(kind: str, name: str, reason: str, remedy: str) -> DataError:
    from huggingface_hub import constants

    return DataError(f"the {kind} {name!r} {reason}", where=constants.ENDPOINT, remedy=remedy)


def _cannot_fetch(kind: str, name: str, online: bool, error: Exception) -> DataError:
    from huggingface_hub import constants

    ways_out = (
        "either connect (HF_ENDPOINT names a mirror) and run the same command again, which fetches only what is "
        "missing, or fetch its files elsewhere and give their folder in place of its name"
    )
    if online:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        return DataError(f"the download of {name!r} broke off: {reason}", where=constants.ENDPOINT, remedy=ways_out)
    return DataError(
        f"the {kind} {name!r} isn't wholly in the local Hub cache and {why_unreachable()}", remedy=ways_out
    )
