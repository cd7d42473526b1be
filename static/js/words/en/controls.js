// Source, device, pause, key.
// @ts-check

import { length, seconds } from "./units.js";

export const controls = {
  controls: {
    source: { legend: "What to listen to", microphone: "Microphone", tab: "Tab or screen sound" },
    device: {
      label: "Microphone",
      system: "System default",
      unnamed: "The others appear here once this page may listen.",
      raw: "Heard as it is: noise suppression and the like are switched off, where the browser lets us.",
      gone: (/** @type {string} */ name) => `“${name}” is no longer there; the system’s default is used.`,
    },
    tab: {
      yes: "For calls and videos: choose the tab and switch on “Also share tab audio”. You go on hearing it, and no picture is taken.",
      silent: "This browser shares pictures, but probably no sound. Chrome and Edge on a computer can. Or put the call on a loudspeaker near the microphone.",
      no: "This browser cannot give a page the sound of another tab; Chrome and Edge on a computer can. Put the call on a loudspeaker near the microphone.",
    },
    asking: { title: "Which sound?", basis: "Choose a tab or screen in your browser’s window, and switch on “Also share tab audio” there." },
    pause: "Pause",
    resume: "Go on",
    /** in the browser's tab, while listening */
    tabTitle: (/** @type {string} */ verdict) => `${verdict} · Voxproof`,
    pauseTitle: "Pause, and go on: Alt+P",
    paused: (/** @type {number} */ ms) => (ms > 0 ? `A pause of ${length(ms)} here. What was said in it was not heard.` : "Paused here. Nothing is heard or sent."),
    /** What is odd right now, and what to do. @type {Record<string, (ms: number) => string>} */
    condition: {
      muted: () => "The microphone is muted: by its own switch, a key, or the system.",
      silent: () => "Nothing is heard at all. Is the microphone muted, or is it another one?",
      silentTab: () => "The tab or screen is silent. Is something playing there?",
      behind: (ms) => `The server is busy: verdicts come ${seconds(ms)} late. Nothing is lost.`,
      clipped: () => "Too loud: the sound is clipped. Turn it down, or move away from the microphone.",
    },
    key: {
      summary: "Does this server need a key?",
      label: "Key",
      use: "Use it",
      forget: "Forget it",
      hint: "Whoever runs the server gives it to you. It is kept only until this page is closed.",
      inUse: "In use. It is kept only until this page is closed.",
      wrong: "The server does not know this key. Is it whole?",
      odd: "A key has no spaces or accents in it. Was it copied whole?",
    },
  },
};
