// What the words mean, why an answer is not surer, the operating points.
// @ts-check

import { per, score, sign, tenth, whole } from "../units.js";
import { seconds } from "./units.js";

/** @param {number} share */
const percent = (share) => (share < 0.01 ? "less than 1 %" : `${Math.round(100 * share)} %`);

export const explain = {
  why: {
    idle: "How to check a call",
    uncertain: "Why uncertain",
    other: "What makes this less certain",
    no_speech: "Why there is no answer",
    steps: [
      "Put the phone on loudspeaker, close to this microphone.",
      "Start listening, and let the caller talk.",
      "The first answer comes after about two seconds of speech. Ten seconds make it steadier.",
    ],
    stepsTab: [
      "Open the call or the video in this browser.",
      "Start listening, choose its tab, and switch on “Also share tab audio”.",
      "The first answer comes after about two seconds of speech. Ten seconds make it steadier.",
    ],
    failed: "It was not checked: the message says why, and what to do.",
    pending: "Nothing has been heard yet.",
    now: {
      spoof: "If they want money or a code: hang up, and call back on a number you know.",
      uncertain: "Do not decide by this. If they want money or a code: hang up, and call back on a number you know.",
      bonafide: "A human voice is no proof of who it is. If they want money or a code, call back on a number you know.",
    },
    none: "Nothing that can be measured. It can be wrong all the same.",
    short: {
      text: (/** @type {number} */ ms) => `Only ${seconds(ms)} of speech.`,
      todo: { live: "Let them go on talking: ten seconds tell more.", file: "Check a longer piece if you have one." },
    },
    clipped: {
      text: (/** @type {number} */ hops, /** @type {number} */ of) => `Too loud, so the sound is clipped in ${percent(hops / of)} of it.`,
      todo: { live: "Turn the volume down, or move the microphone away.", file: "Look for a copy that was not recorded too loud." },
    },
    faint: {
      text: (/** @type {number} */ dbfs) => `The voice is very quiet (${whole(dbfs)} dB).`,
      todo: { live: "Move closer, or turn the volume up.", file: "Making it louder does not help; a better recording does." },
    },
    noisy: {
      text: (/** @type {number} */ db) => `It is noisy: the pauses are only ${whole(db)} dB quieter than the voice.`,
      todo: { live: "Move to a quieter place.", file: "Check a part with less noise." },
    },
    narrow: {
      text: "This is telephone sound: the high tones that tell most are missing.",
      todo: { live: "If it matters, hang up and call back on a number you know.", file: "Ask for the original recording." },
    },
    dull: {
      text: (/** @type {number} */ hz) => `Little is heard above ${tenth(hz / 1000)} kHz, as after compression or with a plain microphone.`,
      todo: { live: "A better connection keeps more of the voice.", file: "Check the original, not a forwarded copy." },
    },
    altered: { text: "The browser alters the sound before this page gets it.", todo: "Another browser or microphone may not." },
    mixed: {
      text: (/** @type {number} */ spoof, /** @type {number} */ bonafide, /** @type {number} */ of) =>
        `It changes: ${spoof} of ${of} pieces sound machine-made, ${bonafide} human.`,
      todo: { live: "Look at the chart: is more than one voice speaking?", file: "Look at the chart: several voices, or a recording put together?" },
    },
    between: {
      text: (/** @type {number} */ at, /** @type {number[]} */ [low, high], /** @type {string} */ name) =>
        `The traces point both ways: the score ${score(at)} lies between ${score(low)} and ${score(high)}, where “${name}” decides nothing.`,
      todo: { live: "More speech may settle it. If not, leave it open.", file: "Leave it open, or check another recording of the same voice." },
    },
    silent: {
      text: (/** @type {number} */ dbfs) => `Almost nothing can be heard (${whole(dbfs)} dB at the loudest).`,
      todo: { live: "Is the right microphone chosen, switched on and close enough?", file: "Is it the right file?" },
    },
    voiceless: { text: "There is sound, but nobody talks.", todo: { live: "Let somebody talk.", file: "Choose a recording in which somebody talks." } },
  },

  point: {
    heading: "How careful should it be?",
    name: { fast: "Fast", balanced: "Balanced", strict: "Strict" },
    about: {
      fast: "Gives an answer more often, and is wrong more often.",
      balanced: "The middle way: leaves open what is not clear.",
      strict: "Calls a voice machine-made only on strong traces, and leaves much open.",
    },
    human: "Human voices",
    machine: "Machine voices",
    falseAlarm: (/** @type {number} */ share) => `Of 100 human voices, ${per(share, "fewer than 1 is", "is", "are")} called machine-made.`,
    miss: (/** @type {number} */ share) => `Of 100 machine voices, ${per(share, "fewer than 1 is", "is", "are")} called human.`,
    open: (/** @type {number} */ share) => `${per(share, "Fewer than 1 of 100 gets", "of 100 gets", "of 100 get")} no clear answer.`,
    unmeasured: "Nobody has measured how often it errs.",
    heldBack: (/** @type {number} */ human, /** @type {number} */ machine) =>
      `Measured on ${human} recordings of people and ${machine} of machines that the detector had never heard. Phone lines, noise and other languages make it err more.`,
    ownData: "Measured on recordings its limits were chosen with: on others it may err more.",
    live: "A change counts from the next window on.",
  },

  explain: {
    heading: "What the words mean",
    bonafide: "No traces of a machine that it knows were found. A very good fake, or a kind it has never met, can still sound human; and so does a recording of a real person.",
    spoof: "There are traces of a speech synthesiser or a voice changer. A real voice on a bad line can have them too.",
    uncertain: "The traces point both ways, or there are too few. This is a real answer: do not round it up or down.",
    no_speech: "Silence, noise or music: nothing to judge.",
    limitsTerm: "What it cannot know",
    limits: "Who is speaking, whether it is true, and why. It is a hint, not a proof, and it errs both ways. When it matters, hang up and call back on a number you know.",
  },

  reading: {
    heading: "For analysts: reading the score",
    scoreTerm: "Score",
    score: "From 0 to 1: how probable the sound is machine-made, if machine and human voices were equally common. 0.5 says nothing either way.",
    llrTerm: "LLR",
    llr: "The same as a log-likelihood ratio: the natural logarithm of how many times better the sound fits machines than people. It is the one to combine with what you know beforehand.",
    notTerm: "What it is not",
    not: "It is not the probability that this caller is a fraud: that depends on how common fakes are where you are. It is calibrated on recordings like those of the report, and no better than they are.",
    windowTerm: "Windows",
    window: (/** @type {any} */ m) =>
      `Every ${m.hop_seconds} s the latest ${m.window_seconds} s are scored. The running answer is the mean of the last few windows with speech; the final one weighs the whole recording.`,
    table: { caption: "Below the first number it sounds human, above the second machine-made", point: "Operating point", score: "Score", llr: "LLR" },
    llrOf: sign,
  },

  links: { report: "The detector’s report", card: "Its card (JSON)" },
};
