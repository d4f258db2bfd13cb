// Short soft tones for a child who does not look. Each message has a melody of its own: rising for in, falling for out, one
// deep tone for "noted", the same tone thrice for "again", a step up and a wait for "the palm, too", equal tones for "please".

const TONES = { // by the notice's state: hertz, start, length in seconds
  welcome: [[523, 0, 0.14], [784, 0.12, 0.22]],
  goodbye: [[784, 0, 0.14], [523, 0.12, 0.22]],
  noted: [[392, 0, 0.26]],
  waiting: [[392, 0, 0.14], [440, 0.2, 0.2]],
  again: [[659, 0, 0.09], [659, 0.14, 0.09], [659, 0.28, 0.09]],
  show_palm: [[587, 0, 0.1], [880, 0.3, 0.16]],
  use_card: [[440, 0, 0.16], [440, 0.24, 0.2]],
  ask_staff: [[440, 0, 0.16], [440, 0.24, 0.16], [349, 0.48, 0.3]],
  not_recorded: [[330, 0, 0.25], [294, 0.28, 0.25], [330, 0.56, 0.3]],
};
const VOLUMES = { on: 0.22, quiet: 0.05, off: 0 };

let context = null;
let playing = null;

export function playSound(state, volume) {
  const tones = TONES[state];
  const peak = VOLUMES[volume];
  if (!tones || !peak) return;
  context ??= new AudioContext();
  playing?.disconnect(); // in a burst only the newest sound plays
  playing = context.createGain();
  playing.connect(context.destination);
  for (const [hertz, start, length] of tones) {
    const begin = context.currentTime + start;
    const tone = new OscillatorNode(context, { type: "sine", frequency: hertz });
    const envelope = new GainNode(context, { gain: 0 });
    envelope.gain.setValueAtTime(0, begin);
    envelope.gain.linearRampToValueAtTime(peak, begin + 0.015);
    envelope.gain.exponentialRampToValueAtTime(0.001, begin + length);
    tone.connect(envelope).connect(playing);
    tone.start(begin);
    tone.stop(begin + length + 0.02);
  }
}
