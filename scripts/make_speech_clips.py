#!/usr/bin/env python3
"""Makes the child's page's speech clips anew: espeak-ng speaks the catalogue's own words, opusenc packs them.

Needs Debian's espeak-ng and opus-tools. A clip holds the words that it says, so a test tells when a text has changed
since. Run it from the root of the repository after such a change: `python scripts/make_speech_clips.py`.
"""

import io
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from edge_agent.domain.feedback import Advice, Feedback, FeedbackKind
from edge_agent.screen.assets import read_catalogue
from edge_agent.screen.state import Language, ScreenBoard

SPOKEN = (Language.KK, Language.RU)
WORDS_A_MINUTE = 130  # espeak-ng's own is 175: too fast for a child of six
KBIT_S = 14
SILENCE = 0.01  # of full scale: quieter at the beginning and at the end is cut off
LOUDNESS = 0.11  # root of the mean square, of full scale: as loud as the melodies
PEAK_MAX = 0.95
FOLDER = Path(__file__).parents[1] / "edge_agent" / "screen" / "speech"


def list_texts(language: Language) -> dict[str, str]:
    """Returns the words of each clip by its name: of every state that has a sound, and of every advice."""
    words = read_catalogue(language)
    heard = [kind for kind in FeedbackKind if ScreenBoard().with_feedback(Feedback(kind), 0).child_view(0).big.sound]
    texts = {kind.value: words[f"child.{kind}.title"] for kind in heard}
    return texts | {advice.value: words[f"child.advice.{advice}"] for advice in Advice if advice}


def speak(language: Language, text: str) -> tuple[np.ndarray, int]:
    """Returns the spoken text from -1 to 1, without silence around it and equally loud, and its samples a second."""
    command = ["espeak-ng", "-v", language.value, "-s", str(WORDS_A_MINUTE), "--stdout", text]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(raw)) as spoken:
        rate = spoken.getframerate()
        samples = np.frombuffer(spoken.readframes(spoken.getnframes()), "<i2") / 32768
    (loud,) = np.nonzero(np.abs(samples) > SILENCE)
    samples = samples[loud[0] : loud[-1] + 1]
    samples = samples * (LOUDNESS / np.sqrt(np.mean(samples**2)))
    return samples * min(1.0, PEAK_MAX / np.abs(samples).max()), rate


def pack(samples: np.ndarray, rate: int, language: Language, text: str) -> bytes:
    """Returns an Ogg Opus file that says in its tags what it speaks."""
    plain = io.BytesIO()
    with wave.open(plain, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes((samples * 32767).astype("<i2").tobytes())
    command = ["opusenc", "--quiet", "--speech", "--bitrate", str(KBIT_S), "--serial", "1", "--discard-comments"]
    command += ["--comment", f"TITLE={text}", "--comment", f"LANGUAGE={language}", "-", "-"]
    return subprocess.run(command, check=True, capture_output=True, input=plain.getvalue()).stdout


def main() -> int:
    """Writes every clip, and prints how large they are together."""
    total = 0
    for language in SPOKEN:
        folder = FOLDER / language
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.ogg"):
            old.unlink()
        for name, text in list_texts(language).items():
            clip = pack(*speak(language, text), language, text)
            (folder / f"{name}.ogg").write_bytes(clip)
            total += len(clip)
    print(f"{total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
