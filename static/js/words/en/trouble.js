// Notices, warnings, the connection, and everything that can go wrong.
// @ts-check

import { clock, size } from "../units.js";
import { minutes, seconds } from "./units.js";

export const trouble = {
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
    unplugged: { title: "The microphone is gone", text: "The microphone was unplugged or switched off. What had been heard until then is checked." },
    chosenGone: { title: "The chosen microphone is not there", text: "It may be unplugged or switched off. Choose another one, or the system’s default, then try again." },
    notShared: { title: "Nothing was shared", text: "The window of your browser was closed without a choice. Try again, choose a tab or screen, and switch on “Also share tab audio”." },
    noSound: {
      title: "Shared without sound",
      text: "Only the picture was shared, and it was let go again. Try again and switch on “Also share tab audio”; a single window often has no sound to share, a tab has.",
    },
    noTabSound: {
      title: "This browser shares no sound",
      text: "Chrome and Edge on a computer can. Here: put the call on a loudspeaker and listen with the microphone, or record it and check the file.",
    },
    screenBusy: { title: "The sound could not be taken", text: "The system does not hand it out, or another program holds it. Choose a tab instead, then try again." },
    screen: { title: "The sound could not be shared", text: (/** @type {string} */ why) => `The browser says: ${why}` },
    shareEnded: { title: "The sharing has ended", text: "The sharing was ended, here or in the tab. What had been heard until then is checked." },
    full: {
      title: "The server is full",
      text: (/** @type {number} */ s) => (s > 0 ? `It asks to be tried again in ${s} s.` : "You can try again now."),
    },
    limited: {
      title: "Too much at once",
      text: (/** @type {number} */ s) => (s > 0 ? `The server takes only so many checks a minute. It can go on in ${s} s.` : "You can try again now."),
    },
    quota: { title: "The quota is used up", text: "This key, or this address, may check no more for now. Ask whoever runs the server, or wait." },
    unready: { title: "The server is not ready", text: "It is being started, or has too much to do. Try again in a moment." },
    behind: { title: "The recording comes first", text: "Its connection is behind; the file is sent as soon as it has caught up." },
    cut: { title: "The connection broke", text: "The file did not arrive in full. Nothing was judged; try again." },
    unreachable: { title: "The server does not answer", text: "It may be stopped, or the network may be down. Try again in a moment." },
    lost: { title: "The connection is lost", text: "The server could not be reached again, so listening has ended. What is shown is what was found until then." },
    resultLost: { title: "The result is lost", text: "The server was restarted before it could sum up. What is shown is what was found until then." },
    unfinished: { title: "No final result", text: "It was cancelled before the server summed up. What is shown is what was found until then, and the recording can still be saved." },
    needsKey: { title: "This server needs a key", text: "Put it into the key field on this page. Whoever runs the server can give you one." },
    wrongKey: { title: "This key is not known here", text: "Look whether it was copied whole, or ask whoever runs the server. It may have expired or been withdrawn." },
    keyEnded: { title: "The key has ended", text: "It has expired or was revoked. Ask whoever runs the server for a new one." },
    keyScope: { title: "This key may not do that", text: "It was made for something else. Ask whoever runs the server for a key that may listen and check files." },
    localOnly: { title: "This server answers only its own machine", text: "Whoever runs it must make a key before others can use it (voxproof keys create)." },
    takenOver: { title: "Continued elsewhere", text: "This session was taken over by another window or device." },
    tooLong: { title: "The longest listening time is reached", text: "The longest listening time is reached. The verdict covers everything until here; start again for more." },
    fileTooBig: { title: "The file is too big", text: (/** @type {number} */ bytes) => `This server takes files of up to ${size(bytes)}.` },
    fileTooLong: { title: "The recording is too long", text: (/** @type {number} */ s) => `This server takes recordings of up to ${minutes(s)}. Cut out the part that matters.` },
    notAudio: { title: "This is not an audio file we can read", text: "WAV, FLAC, MP3, Ogg, Opus, WebM, M4A and most others work. Is it perhaps a text or a picture?" },
    unusable: { title: "The file is damaged", text: "It begins like audio, but cannot be decoded." },
    empty: { title: "The file is empty", text: "There is no sound in it." },
    slow: { title: "The upload took too long", text: "The network is slow, or the file is big. Try a shorter part." },
    aborted: { title: "Stopped", text: "The check was cancelled." },
    other: { title: "Something went wrong", text: (/** @type {string} */ why) => why || "The server did not say what." },
  },
};
