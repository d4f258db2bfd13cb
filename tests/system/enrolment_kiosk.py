"""A kiosk on enrolment day: the daemon, a camera before which drawn hands are held, and classes by name."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import httpx
import numpy as np
from playwright.sync_api import Page

from drivers.simulated.palms import hand, some_capture
from tests.system.daemon import Daemon, csv, edge_agent, school_export

PIN = "480159"
HEAD = "Гүлнар Ахметова"


class DrawnHands:
    """The folder that the daemon plays. What is laid into it is shown once."""

    def __init__(self, folder: Path, fps: float) -> None:
        self.folder = folder
        self.settings = f'[[readers]]\nname = "palm"\ndriver = "folder"\nfolder = "{folder}"\nfps = {fps}\n'
        self._shown = 0
        self._dice = np.random.default_rng(9)
        folder.mkdir()

    def clear(self) -> None:
        """Removes what was shown: a daemon that starts again plays the folder from its beginning."""
        for picture in self.folder.iterdir():
            picture.unlink()

    def show(self, person: str, which: str, count: int = 3) -> None:
        """Holds one hand before the camera for so many pictures."""
        for _ in range(count):
            self._shown += 1
            drawn = hand(person, which, some_capture(self._dice), self._dice)
            laid = self.folder / f".{self._shown:06}.png"
            laid.write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
            laid.rename(self.folder / f"{self._shown:06}.png")


class EnrolmentKiosk(Daemon):
    """The daemon with a school of one or more classes, a key for palms, and a head who signs in."""

    def __init__(
        self, folder: Path, classes: Mapping[str, Sequence[str]], *, fps: float = 1.4, hall: str = "off"
    ) -> None:
        self._clients = ExitStack()
        self.hands = DrawnHands(folder / "hands", fps)
        super().__init__(folder, self.hands.settings, kiosk='school = "sch-1"', hall=hall)
        self.import_classes(classes, {})
        edge_agent("palm", "key", "make", "--yes", "--config", str(self.config))

    def import_classes(self, classes: Mapping[str, Sequence[str]], consents: Mapping[str, str]) -> None:
        """Brings a roster of these classes into force; nobody has a card."""
        people = [person for members in classes.values() for person in members]
        cards = {person: ("em4100", f"01{number:08X}") for number, person in enumerate(people, 1)}
        names = [path.name for path in self.folder.iterdir() if path.name.startswith("export")]
        export = school_export(self.folder / f"export{len(names)}", "sch-1", cards, consents)
        manifest = (export / "manifest.csv").read_text("utf-8")
        for name in ("classes", "enrollments"):
            manifest = manifest.replace(f'"file.{name}","absent"', f'"file.{name}","bulk"')
        (export / "manifest.csv").write_text(manifest, "utf-8")
        record = "sourcedId,status,dateLastModified"
        ids = {name: f"c{number}" for number, name in enumerate(classes)}
        (export / "classes.csv").write_bytes(
            csv(
                f"{record},title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,"
                "subjects,subjectCodes,periods",
                [(ids[name], "", "", name, "01", "", "", "homeroom", "", "sch-1", *[""] * 4) for name in classes],
            )
        )
        (export / "enrollments.csv").write_bytes(
            csv(
                f"{record},classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
                [
                    (f"e-{person}", "", "", ids[name], "sch-1", person, "student", "", "", "")
                    for name, members in classes.items()
                    for person in members
                ],
            )
        )
        edge_agent("roster", "import", str(export), "--local", "--config", str(self.config))

    def make_head(self) -> None:
        """Makes the head operator with an own PIN."""
        added = edge_agent("operators", "add", HEAD, "--role", "head", "--json", "--config", str(self.config))
        given = json.loads(added.stdout)
        with self.open_client() as client:
            body = {"operator": given["id"], "pin": given["pin"], "new_pin": PIN}
            assert client.post("/staff/pin", json=body).status_code == 200

    def open_client(self) -> httpx.Client:
        return httpx.Client(base_url=str(self.status()["screen"]), timeout=20)

    def sign_in(self) -> httpx.Client:
        """Returns a client of the head, signed in."""
        client = self._clients.enter_context(self.open_client())
        (choice,) = client.get("/staff/session").json()["choices"]
        response = client.post("/staff/sign-in", json={"operator": choice["id"], "pin": PIN})
        assert response.status_code == 200, response.text
        return client

    def __enter__(self) -> "EnrolmentKiosk":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.close()
        super().__exit__(kind, error, trace)


def open_enrolment(page: Page, kiosk: EnrolmentKiosk) -> None:
    """Signs in at the staff's page as the head, in English, and goes on to enrolment day."""
    page.goto(f"{kiosk.status()['screen']}staff")
    page.get_by_role("button", name="EN", exact=True).click()
    page.get_by_role("radio", name=HEAD).click()
    page.fill("#sign-pin", PIN)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Enrolment day").click()
