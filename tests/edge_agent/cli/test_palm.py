"""The `edge-agent palm` commands on real files, good ones and hostile ones."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.outside import find_palms
from tests.system.daemon import edge_agent

KEYS = {
    "identities",
    "samples",
    "failed_to_acquire",
    "eer",
    "frr_at_far",
    "rank1",
    "fnir_at_fpir",
    "shipped",
    "ms",
    "template_bytes",
}


def png_bomb(width: int, height: int) -> bytes:
    """Returns a PNG of a few bytes that claims to have this size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1024))) + chunk(b"IEND", b"")
    )


def draw_texture(seed: int) -> NDArray[np.uint8]:
    """Returns a grey picture with lines, different for each seed."""
    dice = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(dice.normal(128, 60, (128, 128)).astype(np.float32), (0, 0), 3)
    return np.asarray(30 + 190 * (grey - grey.min()) / np.ptp(grey), np.uint8)


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    encoded, content = cv2.imencode(".png", picture)
    assert encoded
    return content.tobytes()


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    """Makes a folder with four palms of three samples each, and an identity with hostile files only."""
    folder = tmp_path / "set"
    for identity in range(4):
        (folder / f"p{identity}").mkdir(parents=True)
        for sample in range(3):
            moved = np.roll(draw_texture(identity), sample, axis=1)
            (folder / f"p{identity}" / f"{1 + (sample == 2)}-{sample}.png").write_bytes(encode_png(moved))
    (folder / "harm").mkdir()
    harm = {
        "1-bomb.png": png_bomb(10_000, 10_000),
        "1-huge.png": png_bomb(65_000, 65_000),
        "1-cut.png": encode_png(draw_texture(9))[:400],
        "1-empty.jpg": b"",
        "1-pixel.png": encode_png(np.zeros((1, 1), np.uint8)),
        "noname.jpg": b"\xff\xd8\xff\xe0" + bytes(64),
    }
    for name, content in harm.items():
        (folder / "harm" / name).write_bytes(content)
    (folder / "harm" / "notes.txt").write_text("not a picture")
    return folder


def test_evaluate_counts_unreadable_pictures(regions: Path, tmp_path: Path) -> None:
    plot = tmp_path / "det.png"
    done = edge_agent("palm", "evaluate", str(regions), "--roi", "--json", "--plot", str(plot))
    figures = json.loads(done.stdout)
    assert set(figures) >= KEYS
    assert (figures["identities"], figures["samples"], figures["failed_to_acquire"]) == (5, 18, 6)
    assert figures["rank1"] == round(100 * 4 / 9, 4), "five probes of the harmful identity are misses, not left out"
    assert figures["ms"]["region"] is None
    assert figures["frr_at_far"]["1e-5"] is None, "too small a set to show it"
    assert figures["template_bytes"] <= 2048
    drawn = cv2.imdecode(np.frombuffer(plot.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.size > 10_000


def test_the_rates_do_not_depend_on_the_process_count(regions: Path) -> None:
    reports = [
        json.loads(edge_agent("palm", "evaluate", str(regions), "--roi", "--json", *more).stdout)
        for more in (("--jobs", "1"), ("--jobs", "3"))
    ]
    for report in reports:
        del report["ms"]
    assert reports[0] == reports[1]


def test_odd_pictures_are_read_and_foreign_files_are_counted(tmp_path: Path) -> None:
    """Pictures with 16 bits, in colour, oblong or small; a single sample; and a file that is no picture."""
    for seed, identity in enumerate(("a", "b", "c")):
        (tmp_path / identity).mkdir()
        for number in range(1 if identity == "c" else 4):
            grey = np.roll(draw_texture(seed), number, axis=1)
            odd = (
                grey.astype(np.uint16) * 257,
                cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
                grey[:110],
                cv2.resize(grey, (80, 80)),
            )
            cv2.imwrite(str(tmp_path / identity / f"1-{number}.PNG"), odd[number])
    (tmp_path / "c" / "notes.txt").write_text("x")
    done = edge_agent("palm", "evaluate", str(tmp_path), "--roi", "--json")
    figures = json.loads(done.stdout)
    assert (figures["identities"], figures["samples"], figures["failed_to_acquire"]) == (3, 9, 0)
    assert figures["rank1"] == 100, "two probes; c is a stranger only"
    assert "1 files are neither" in done.stderr


def test_a_wrong_plot_path_is_refused_before_the_evaluation(regions: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path / "plot.jpg", tmp_path / "nowhere" / "plot.png"):
        done = edge_agent("palm", "evaluate", str(regions), "--roi", "--plot", str(wrong), check=False)
        assert done.returncode == 1
        assert "name it .png" in done.stderr


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    done = edge_agent("palm", "evaluate", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "SESSION-SAMPLE" in done.stderr


def test_quality_says_why_a_picture_is_refused_and_draws_it(regions: Path, tmp_path: Path) -> None:
    for name in ("1-bomb.png", "1-cut.png", "1-empty.jpg", "1-pixel.png"):
        overlay = tmp_path / f"{name}.seen.png"
        done = edge_agent(
            "palm", "quality", str(regions / "harm" / name), "--overlay", str(overlay), "--json", check=False
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["reason"] in {"too_large", "unreadable", "too_far", "no_hand"}
        assert overlay.read_bytes().startswith(b"\x89PNG")


def test_quality_names_hand_and_score(tmp_path: Path) -> None:
    folder = find_palms("full_hands11k") / "0000061_L"
    overlay = tmp_path / "seen.png"
    done = edge_agent("palm", "quality", str(min(folder.iterdir())), "--overlay", str(overlay), "--json")
    judgement = json.loads(done.stdout)
    assert (judgement["usable"], judgement["hand"]) == (True, "left")
    assert 0.5 < judgement["score"] <= 1
    assert overlay.stat().st_size > 10_000


def test_pictures_are_only_written_as_png(regions: Path, tmp_path: Path) -> None:
    done = edge_agent(
        "palm", "quality", str(regions / "p0" / "1-0.png"), "--overlay", str(tmp_path / "x.bmp"), check=False
    )
    assert done.returncode == 1
    assert "name it .png" in done.stderr


def test_enrolling_without_a_daemon_fails(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n')
    done = edge_agent("palm", "enrol", "u-1", "--operator", "Nurse", "--config", str(config), check=False)
    assert done.returncode == 4


def test_the_printout_and_its_way_back(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[kiosk]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n')
    output = edge_agent("palm", "key", "make", "--yes", "--config", str(config)).stdout
    printed = edge_agent("palm", "key", "print", "--config", str(config)).stdout
    shown = edge_agent("palm", "key", "show-code", "--json", "--config", str(config)).stdout
    fingerprint = json.loads(shown)["fingerprint"]
    assert fingerprint in output
    assert fingerprint in printed
    groups = [group for line in printed.splitlines() if line.startswith("    ") for group in line.split()]
    (key,) = tmp_path.glob("palm.key")
    assert "-".join(groups) == key.read_text().strip()
    again = edge_agent("palm", "key", "make", "--yes", "--config", str(config), check=False)
    assert again.returncode == 1
    assert "move it away" in again.stderr
