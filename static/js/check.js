// One thing that is being checked or was: a recording or a file, from the click to the result. Plain data; visit.js tells who draws it that it changed.
// Made by live/listening.js and files/files.js.
// @ts-check

import { Findings } from "./found/verdict.js";

/**
 * @typedef {"idle" | "asking" | "connecting" | "listening" | "paused" | "finishing" | "result" | "waiting" | "uploading" | "checking" | "failed"} Phase
 *   `waiting`: a file whose turn has not come
 */

let made = 0;

export class Check {
  /** @param {{kind: "live" | "file", source: string, profile: string, file?: File | null}} about */
  constructor({ kind, source, profile, file = null }) {
    this.id = ++made;
    this.kind = kind;
    /** what is listened to, in words: the microphone's or the file's name */
    this.source = source;
    /** the operating point it was asked for with */
    this.profile = profile;
    this.file = file;
    /** @type {"microphone" | "tab"} where a live check's sound comes from */
    this.input = "microphone";
    this.started_at = new Date();
    /** @type {Date | null} when it was over (visit.js) */
    this.ended_at = null;
    /** @type {Phase} */
    this.phase = "idle";
    this.found = new Findings();
    /** @type {import("./found/trouble.js").Trouble | null} */
    this.trouble = null;
    /** @type {import("./live/live.js").Status | null} */
    this.status = null;
    this.captured_ms = 0;
    /** 0..1 of an upload */
    this.progress = 0;
    /** performance.now() before which trying again makes no sense */
    this.wait_until = 0;
    /** @type {(() => void) | null} what "try again" does */
    this.again = null;
    /** in phase `waiting`: how many files are sent before it. With a `trouble`, it waits for that to pass (`wait_s`), and then goes on by itself */
    this.ahead = 0;
    /** what the browser makes of a file's sound: not looked at yet, being read, read, or the reason why there is no picture @type {"" | "reading" | "ready" | "long" | "unreadable"} */
    this.picture = "";
    /** @type {import("./chart/sound.js").Sound | null} what the chart shows of the sound itself */
    this.sound = null;
    /** @type {import("./live/recording.js").Recording | null} a live check's samples as they were sent; a file check has `file` */
    this.recording = null;
  }

  /** Whole seconds until trying again makes sense. */
  get wait_s() {
    return Math.max(0, Math.ceil((this.wait_until - performance.now()) / 1000));
  }

  /** Whether it is still going on. */
  get running() {
    return !["idle", "result", "failed"].includes(this.phase);
  }
}
