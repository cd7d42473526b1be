// Every sentence the page shows, in one place, ready to be translated: another language is another object of the same shape.
// Plain entries are filled into `data-words` elements of the template; functions take facts and give a sentence.
// @ts-check

import { clock, fineClock } from "../found/time.js";

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
/** Never 0 or 1: the detector is never certain. @param {number | null} score */
const score = (score) => (score === null ? "–" : score > 0.99 ? "> 0.99" : score < 0.01 ? "< 0.01" : score.toFixed(2));
/** @param {number} ms */
const length = (ms) => (ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${clock(ms)} min`);
/** @param {number} bytes */
const size = (bytes) => (bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`);
/** @param {number} s */
const minutes = (s) => (s % 60 === 0 ? `${s / 60} minutes` : `${Math.round(s)} seconds`);

export const en = {
  language: "en",
  title: "Voxproof – is this voice real?",
  tagline: "Is this voice a person’s or a machine’s?",
  skip: "Skip to the verdict",

  button: { start: "Start listening", stop: "Stop", cancel: "Cancel", file: "Check a file", retry: "Try again" },
  privacy: "Sound goes only to this server, is checked there and is not kept.",
  docs: "For programs: the API",
  drop: "Drop the audio file to check it",
  meter: "Input level",
  level: (/** @type {number | null} */ dbfs) => (dbfs === null ? "–" : `${dbfs.toFixed(0).replace("-", "−")} dB`),
  levelUnit: "dB below full scale",

  letter: { bonafide: "H", spoof: "M", uncertain: "?", no_speech: "–", waiting: "" },
  name: { bonafide: "Sounds human", spoof: "Sounds machine-made", uncertain: "Uncertain", no_speech: "No speech", waiting: "Listening…" },

  panel: {
    idle: { title: "Ready when you are", basis: "Start listening, or check a file. The first answer comes after about two seconds of speech." },
    asking: { title: "May this page listen?", basis: "Your browser asks for the microphone now: choose “Allow”." },
    connecting: { title: "Connecting…", basis: "The microphone is on; what it hears is kept until the server answers." },
    finishing: { title: "Finishing…", basis: "The last seconds are being checked." },
    uploading: { title: "Sending the file…", basis: "" },
    checking: { title: "Checking…", basis: "The file has arrived and is being listened to." },
    failed: { title: "No verdict", basis: "" },
  },
  basis: {
    nothing: "Nothing has been scored yet.",
    noSpeech: "Only silence, noise or music so far. A verdict needs a voice.",
    warming: (/** @type {number} */ ms) => `${seconds(ms)} of speech so far; an answer needs at least one second.`,
    provisional: (/** @type {number} */ ms) => `${seconds(ms)} of speech, provisional: it may still change.`,
    stable: (/** @type {number} */ ms) => `${seconds(ms)} of speech, steady.`,
    recent: (/** @type {number} */ ms, /** @type {boolean} */ steady) =>
      `Judged from the latest seconds, of ${length(ms)} of speech in all; ${steady ? "steady" : "provisional"}.`,
    earlier: (/** @type {number} */ from, /** @type {number} */ to) => `Before, from ${clock(from)} to ${clock(to)}, it sounded machine-made.`,
    quiet: (/** @type {number} */ ms) => `Quiet for ${Math.round(ms / 1000)} s.`,
    final: (/** @type {number} */ speech, /** @type {number} */ total) => `${length(speech)} of speech in ${length(total)} of sound.`,
    finalPart: (/** @type {number} */ from) => `It covers the recording from ${clock(from)} on, because the server was restarted.`,
    all: "All of it sounds machine-made.",
    finalNoSpeech: (/** @type {number} */ total) => `${length(total)} of sound, but no voice that could be judged.`,
    ranges: (/** @type {any[]} */ ranges) => (ranges.length === 1 ? "One stretch sounds machine-made:" : `${ranges.length} stretches sound machine-made:`),
    more: (/** @type {number} */ n) => `and ${n} more`,
    range: (/** @type {any} */ r, /** @type {boolean} */ many) =>
      `${fineClock(r.start_ms)} to ${fineClock(r.end_ms)}${many ? `, channel ${r.channel + 1}` : ""} (score ${score(r.score)})`,
  },
  lastVerdict: (/** @type {string} */ name, /** @type {number} */ ms) => `Last verdict: ${name.toLowerCase()}, from ${seconds(ms)} of speech.`,
  announce: (/** @type {string} */ name, /** @type {number} */ ms) => `${name}, after ${seconds(ms)} of speech.`,
  announceFinal: (/** @type {string} */ name, /** @type {number} */ ms) => `Final verdict: ${name}, from ${seconds(ms)} of speech.`,

  fact: { time: "Length", speech: "Speech", score: "Score", lag: "Lag", windows: "Windows" },
  factHint: { score: "0 human · 1 machine", lag: "from sound to verdict", speech: "heard in it", time: "of sound", windows: "scored" },
  length,
  clock,
  score,
  lag: (/** @type {number | null} */ ms) => (ms === null ? "–" : ms < 1000 ? `${ms} ms` : seconds(ms)),
  none: "–",

  plot: {
    machine: "machine",
    human: "human",
    band: "uncertain",
    now: "now",
    gap: "not heard",
    empty: "The score over time appears here.",
    label: (/** @type {string} */ verdict, /** @type {number} */ ms) => `Score and verdict over time, ${clock(ms)} so far. ${verdict}.`,
  },
  file: {
    chosen: (/** @type {string} */ name, /** @type {number} */ bytes) => `${name} · ${size(bytes)}`,
    progress: (/** @type {number} */ part) => `${Math.round(part * 100)} % sent`,
  },
  source: { none: "Microphone off", named: (/** @type {string} */ label, /** @type {number} */ hz) => `${label} · ${(hz / 1000).toFixed(1)} kHz` },

  notice: {
    heading: "Notices",
    none: "Nothing to report.",
    at: (/** @type {number} */ ms) => clock(ms),
    times: (/** @type {number} */ n) => `${n} times`,
    alert: "From here on the voice sounds machine-made.",
    cleared: "The voice no longer sounds machine-made.",
    dropped: (/** @type {number} */ from, /** @type {number} */ to) => `${seconds(to - from)} of sound could not be sent in time and were not checked.`,
    restarted: (/** @type {number} */ missing) =>
      `The server was restarted and began anew here${missing > 0 ? `; ${seconds(missing)} before were not checked` : ""}.`,
    held: (/** @type {number} */ ms) => `The connection is slow: ${seconds(ms)} of sound wait to be sent. Nothing is lost.`,
    overrun: "The connection is too slow for live listening, so it ended here. What had been heard is still checked.",
    altered: (/** @type {string} */ what) =>
      `Your browser alters the sound (${what}) although it was asked not to. That can hide the traces the detector looks for.`,
    suspended: "The browser stopped the sound for a while, so part was not heard. Keep this page in front and the screen on.",
    busy: "Stop listening before you check a file.",
  },
  processing: { echoCancellation: "echo cancellation", noiseSuppression: "noise suppression", autoGainControl: "automatic gain" },
  /** @type {Record<string, string>} the server's warning codes; an unknown code shows the server's own words */
  warning: {
    low_level: "Nearly silent from here on. Is the source switched on, unmuted and near enough?",
    clipping: "The sound is clipped. Turn the level down: clipping hides the traces the detector looks for.",
    narrowband: "This is telephone-quality sound. Verdicts are less certain.",
    lagging: "The server is busy; verdicts come late.",
    expiring: "The longest listening time is nearly used up.",
    truncated: "The file ends too early. What was there has been checked.",
    corrupt: "Parts of the file could not be read and were left out.",
    format_changed: "The format changes inside the file. What follows the change was left out.",
    other_tracks: "The file has several sound tracks; only one was checked.",
    dropped_audio: "Sound came faster than it could be checked; a part was left out.",
    mixed: "The file has more than two channels; they were mixed into one.",
    non_finite_audio: "The file holds values that are no numbers; they were replaced by silence.",
  },

  connection: {
    waiting: (/** @type {number} */ s) => `Connection lost. Still listening; trying again${s > 0 ? ` in ${s} s` : ""}.`,
    connecting: "Connection lost. Still listening; connecting again…",
    back: "Connected again. The part in between is being checked.",
  },

  /** What went wrong, what to do. `retry`: whether trying again makes sense. */
  trouble: {
    insecure: {
      title: "The microphone is blocked here",
      text: (/** @type {string} */ port) =>
        `Browsers allow recording only on a secure page. Open this page with https://, or on the machine itself as http://127.0.0.1${port}. Checking a file works here all the same.`,
    },
    unsupported: { title: "This browser cannot record", text: "It has no AudioWorklet. A current Chrome, Edge, Firefox or Safari can. Checking a file works all the same." },
    denied: {
      title: "The microphone is not allowed",
      text: "You, or a rule on this device, said no. Allow the microphone for this page in the browser’s address bar, then try again.",
    },
    missing: { title: "No microphone was found", text: "Plug one in, or switch it on in the system’s settings, then try again." },
    busy: { title: "The microphone is in use", text: "Another program holds it, or the system does not hand it out. Close the other program, then try again." },
    microphone: { title: "The microphone could not be started", text: (/** @type {string} */ why) => `The browser says: ${why}` },
    unplugged: { title: "The microphone is gone", text: "It was unplugged or switched off. What had been heard until then is checked." },
    full: {
      title: "The server is full",
      text: (/** @type {number} */ s) => (s > 0 ? `It asks to be tried again in ${s} s.` : "You can try again now."),
    },
    unreachable: { title: "The server does not answer", text: "It may be stopped, or the network may be down. Try again in a moment." },
    lost: { title: "The connection is lost", text: "The server could not be reached again, so listening has ended. What is shown is what was found until then." },
    resultLost: { title: "The result is lost", text: "The server was restarted before it could sum up. What is shown is what was found until then." },
    needsKey: { title: "This server needs a key", text: "It does not answer pages from elsewhere without one. Ask whoever runs it." },
    takenOver: { title: "Continued elsewhere", text: "This session was taken over by another window or device." },
    tooLong: { title: "The longest listening time is reached", text: "The verdict covers everything until here. Start again for more." },
    fileTooBig: { title: "The file is too big", text: (/** @type {number} */ bytes) => `This server takes files of up to ${size(bytes)}.` },
    fileTooLong: { title: "The recording is too long", text: (/** @type {number} */ s) => `This server takes recordings of up to ${minutes(s)}. Cut out the part that matters.` },
    notAudio: { title: "This is not an audio file we can read", text: "WAV, FLAC, MP3, Ogg, Opus, WebM, M4A and most others work. Is it perhaps a text or a picture?" },
    unusable: { title: "The file is damaged", text: "It begins like audio, but cannot be decoded." },
    empty: { title: "The file is empty", text: "There is no sound in it." },
    slow: { title: "The upload took too long", text: "The network is slow, or the file is big. Try a shorter part." },
    aborted: { title: "Stopped", text: "The check was cancelled." },
    other: { title: "Something went wrong", text: (/** @type {string} */ why) => why || "The server did not say what." },
  },

  explain: {
    heading: "What the words mean",
    bonafide: "No traces of a machine were found. A very good fake can still sound human.",
    spoof: "There are traces of a speech synthesiser or a voice changer. A real voice on a bad line can have them too.",
    uncertain: "The traces point both ways, or there are too few. This is a real answer: do not round it up or down.",
    no_speech: "Silence, noise or music: nothing to judge.",
    scoreTerm: "Score",
    score: "How much the sound resembles machine-made speech, from 0 to 1. The shaded band is where it decides nothing.",
    limitsTerm: "Limits",
    limits: "This is a hint, not a proof. The detector errs both ways; new generators, bad lines and loud noise make it err more. When it matters, call back on a number you know.",
  },
  model: {
    heading: "Detector",
    line: (/** @type {any} */ m) => `${m.name} ${m.version}`,
    window: (/** @type {any} */ m) => `judges ${m.window_seconds} s of sound every ${m.hop_seconds} s`,
    sha: "sha256",
  },
};
