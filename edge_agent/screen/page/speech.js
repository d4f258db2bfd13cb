// Spoken words behind the melody, for who cannot read yet: Kazakh and Russian, loaded when a kiosk speaks and first needs one.

const AFTER_MELODY_S = 0.8;
const VOLUMES = { on: 1, quiet: 0.25 };

const clips = new Map(); // address → decoded sound to come, or null where there is none
let context = null;
let playing = null;
let newest = 0;

// Says the advice, or the title of the state. In a burst only the newest speaks.
export async function speak({ state, advice, language }, volume) {
  const peak = VOLUMES[volume];
  const number = ++newest;
  playing?.stop();
  playing = null;
  if (!peak) return;
  context ??= new AudioContext();
  const clip = await load(`/speech/${language}/${advice || state}.ogg`);
  if (!clip || number !== newest) return;
  const source = new AudioBufferSourceNode(context, { buffer: clip });
  source.connect(new GainNode(context, { gain: peak })).connect(context.destination);
  source.start(context.currentTime + AFTER_MELODY_S);
  playing = source;
}

function load(address) {
  if (!clips.has(address)) clips.set(address, fetchClip(address));
  return clips.get(address);
}

async function fetchClip(address) {
  try {
    const response = await fetch(address);
    return response.ok ? await context.decodeAudioData(await response.arrayBuffer()) : null;
  } catch {
    clips.delete(address); // the agent is away for a moment: the next one asks again
    return null;
  }
}
