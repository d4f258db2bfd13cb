// Short soft tones for a child who does not look: rising for in, falling for out, two equal tones for "please".

const TONES = { // hertz, start, length in seconds
  up: [[523, 0, 0.14], [784, 0.12, 0.22]],
  down: [[784, 0, 0.14], [523, 0.12, 0.22]],
  short: [[659, 0, 0.12]],
  ask: [[440, 0, 0.16], [440, 0.24, 0.2]],
  low: [[330, 0, 0.25], [294, 0.28, 0.25], [330, 0.56, 0.3]],
};
const VOLUME = 0.22;

let context = null;
let playing = null;

export function playSound(name) {
  const tones = TONES[name];
  if (!tones) return;
  context ??= new AudioContext();
  playing?.disconnect(); // in a burst only the newest sound plays
  playing = context.createGain();
  playing.connect(context.destination);
  for (const [hertz, start, length] of tones) {
    const begin = context.currentTime + start;
    const tone = new OscillatorNode(context, { type: "sine", frequency: hertz });
    const envelope = new GainNode(context, { gain: 0 });
    envelope.gain.setValueAtTime(0, begin);
    envelope.gain.linearRampToValueAtTime(VOLUME, begin + 0.015);
    envelope.gain.exponentialRampToValueAtTime(0.001, begin + length);
    tone.connect(envelope).connect(playing);
    tone.start(begin);
    tone.stop(begin + length + 0.02);
  }
}
