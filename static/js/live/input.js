// The sound that is listened to: a microphone's or a screen's media through the browser's audio engine at its own rate, batches of samples out. It can be held
// and let go. Throws a Trouble that says why it cannot. Used by live.js.
//
// Silence that is only a lack of sound, a switch on the microphone, and an engine the browser stops are told apart: `onMuted`, `onSuspended`, `onGone`.
// @ts-check

import { Trouble, troubleOfMicrophone } from "../found/trouble.js";
import { askMicrophone } from "./microphone.js";
import { askScreen } from "./screen.js";

const BATCH_S = 0.1;
const BEATS_TO_GO = 2; // of a tenth of a second: what a track gives first when it is let go is silence
const FLUSH_MS = 300; // a thread that hangs does not keep the result away
const MAX_RATE = 96_000; // what the server takes; beyond it the browser is asked for 48 kHz
const UNWANTED = /** @type {const} */ (["echoCancellation", "noiseSuppression", "autoGainControl", "voiceIsolation"]);

/**
 * @typedef {{onBatch(samples: Float32Array): void, onBeat(): void, onGone(): void, onSuspended(suspended: boolean): void, onMuted(muted: boolean): void}} Listener
 * @typedef {{source: "microphone" | "tab", device: string}} Wanted `device`: "" is the system's own choice
 * @typedef {{kind: "microphone" | "tab", rate: number, label: string, device: string, altered: string[], hold(): Promise<void>, go(): void,
 *   close(): Promise<void>}} Input `altered`: processing the browser insists on
 */

/**
 * @param {Listener} listener
 * @param {Wanted} wanted
 * @returns {Promise<Input>}
 */
export async function openInput(listener, wanted) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Trouble("insecure", { fact: location.port && `:${location.port}` });
  if (!("AudioWorkletNode" in window)) throw new Trouble("unsupported");
  const context = nativeContext(); // before any await, and asking too, so that the click still counts as the person's wish
  const asked = wanted.source === "tab" ? askScreen() : askMicrophone(wanted.device);
  const module = context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url)).catch(() => {
    throw new Trouble("unreachable", { wait_ms: 0 }); // it comes from our server, like the page
  });
  try {
    const [media] = await Promise.all([asked, module]);
    await context.resume();
    return listen(context, media, listener, wanted);
  } catch (error) {
    asked.then(stopAll, () => {}); // also when it is granted later than the rest failed
    await context.close();
    throw troubleOfMicrophone(error);
  }
}

function nativeContext() {
  const context = new AudioContext({ latencyHint: "interactive" });
  if (context.sampleRate <= MAX_RATE) return context;
  void context.close();
  return new AudioContext({ latencyHint: "interactive", sampleRate: 48_000 });
}

/** @param {MediaStream} media */
const stopAll = (media) => media.getTracks().forEach((track) => track.stop());

/**
 * @param {AudioContext} context
 * @param {MediaStream} media
 * @param {Listener} listener
 * @param {Wanted} wanted
 * @returns {Input}
 */
function listen(context, media, { onBatch, onBeat, onGone, onSuspended, onMuted }, wanted) {
  const [track] = media.getAudioTracks();
  const source = context.createMediaStreamSource(media);
  // A microphone's two channels hear one voice at two places: their mix would comb-filter it, so the first is taken ("discrete"). A tab's two channels are one
  // mix made by a machine: a call has its sides in both, a broadcast may have a speaker in one only, so they are mixed ("speakers": half of each).
  const node = new AudioWorkletNode(context, "mover", {
    channelCount: 1,
    channelCountMode: "explicit",
    channelInterpretation: wanted.source === "tab" ? "speakers" : "discrete",
    processorOptions: { batch: Math.round(context.sampleRate * BATCH_S) },
  });
  /** @type {() => void} */
  let flushed = () => {};
  let going = 0; // beats until samples are moved again
  node.port.onmessage = ({ data }) => {
    if (data === null) return flushed();
    if (data !== "beat") return onBatch(data);
    onBeat();
    if (going && !--going) node.port.postMessage("go");
  };
  source.connect(node);
  node.connect(context.destination); // its output is silence; unconnected, some browsers would not run it

  const flush = (/** @type {"hold" | "end"} */ how) =>
    context.state === "running"
      ? new Promise((resolve) => {
          flushed = () => resolve(undefined);
          node.port.postMessage(how);
          setTimeout(resolve, FLUSH_MS);
        })
      : (node.port.postMessage(how), Promise.resolve());

  const settings = /** @type {MediaTrackSettings & Record<string, unknown>} */ (track.getSettings());
  const device = wanted.source === "microphone" ? (settings.deviceId ?? "") : "";
  const listening = new AbortController();
  const { signal } = listening;
  track.addEventListener("ended", onGone, { signal });
  track.addEventListener("mute", () => onMuted(true), { signal });
  track.addEventListener("unmute", () => onMuted(false), { signal });
  if (track.muted && wanted.source === "microphone") onMuted(true);
  context.addEventListener("statechange", () => context.state !== "closed" && onSuspended(context.state !== "running"), { signal });
  const wake = () => {
    if (!document.hidden && context.state !== "closed") void context.resume();
  };
  document.addEventListener("visibilitychange", wake, { signal });
  // Some systems only silence the track of a device that was pulled out: the list knows.
  const look = async () => {
    const there = await navigator.mediaDevices.enumerateDevices();
    if (!signal.aborted && !there.some(({ kind, deviceId }) => kind === "audioinput" && deviceId === device)) onGone();
  };
  if (device && device !== "default") navigator.mediaDevices.addEventListener("devicechange", () => void look().catch(() => {}), { signal });

  return {
    kind: wanted.source,
    rate: context.sampleRate,
    label: track.label,
    device,
    altered: UNWANTED.filter((name) => settings[name] !== undefined && settings[name] !== false),
    async hold() {
      going = 0;
      await flush("hold");
      track.enabled = false; // from here on the browser itself gives us nothing but zeros, and Firefox puts the light out
    },
    go() {
      track.enabled = true;
      going = BEATS_TO_GO;
      wake();
    },
    async close() {
      listening.abort();
      await flush("end");
      stopAll(media);
      source.disconnect();
      node.disconnect();
      await context.close();
    },
  };
}
