"""The agent's request to root's unit: one word in a file of the run folder, and the staged release in the state folder.

state folder/update/staged.release    put there by `update stage`
run folder/update-request             `apply`, `confirm` or `roll-back`; a path unit of systemd waits for it
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_agent.domain.update_plan import UpdateRequest
from edge_agent.update.errors import UpdateRefused

REQUEST_NAME = "update-request"
REQUEST_CHARS_MAX = 32


@dataclass(frozen=True, slots=True)
class RequestFolder:
    """Where agent and root meet."""

    run_dir: Path
    state_dir: Path

    @property
    def staged(self) -> Path:
        """Returns the place of the release that waits."""
        return self.state_dir / "update" / "staged.release"

    def stage(self, release: Path) -> None:
        """Copies a release to its place, whole or not at all. Raises OSError."""
        self.staged.parent.mkdir(mode=0o755, exist_ok=True)
        fresh = self.staged.with_suffix(".new")
        with release.open("rb") as source, fresh.open("wb") as target:
            os.fchmod(target.fileno(), 0o644)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(self.staged)

    def ask(self, request: UpdateRequest) -> None:
        """Asks root's unit for this. Raises OSError."""
        fresh = self.run_dir / f".{REQUEST_NAME}"
        fresh.write_text(request.value, "ascii")
        fresh.replace(self.run_dir / REQUEST_NAME)

    def take(self) -> UpdateRequest:
        """Returns the request and removes it. Raises `UpdateRefused` where it is none that root knows."""
        path = self.run_dir / REQUEST_NAME
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                word = file.read(REQUEST_CHARS_MAX).decode("ascii", "replace").strip()
        except OSError as error:
            raise UpdateRefused(f"{path}: {error.strerror}", "nothing was asked for") from error
        finally:
            path.unlink(missing_ok=True)
        try:
            return UpdateRequest(word)
        except ValueError as error:
            raise UpdateRefused(f"{path}: nobody knows the request {word!r}", "nothing was changed") from error
