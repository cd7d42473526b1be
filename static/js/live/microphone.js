// The microphone: permission, the context at its own rate, batches of samples out. Throws a Trouble that says why it cannot. Used by live.js.
// @ts-check

import { Trouble, troubleOfMicrophone } from "../found/trouble.js";

const BATCH_S = 0.1;
const MAX_RATE = 96_000; // what the server takes; beyond it the browser is asked for 48 kHz
const UNWANTED = /** @type {const} */ (["echoCancellation", "noiseSuppression", "autoGainControl"]);

/**
 * @typedef {{onBatch: (samples: Float32Array) => void, onGone: () => void, onSuspended: (suspended: boolean) => void}} Listener
 * @typedef {{rate: number, label: string, altered: string[], close: () => Promise<void>}} Microphone `altered`: processing the browser insists on
 */

/**
 * @param {Listener} listener
 * @returns {Promise<Microphone>}
 */
export async function openMicrophone(listener) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw new Trouble("insecure", { fact: location.port && `:${location.port}` });
  }
  if (!("AudioWorkletNode" in window)) throw new Trouble("unsupported");
  const context = nativeContext(); // before any await, so that the click still counts as the person's wish
  /** @type {MediaStream | undefined} */
  let media;
  try {
    await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url)).catch(() => {
      throw new Trouble("unreachable", { wait_ms: 0 }); // it comes from our server, like the page
    });
    // These rewrite the very traces the detector looks for.
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    media = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    await context.resume();
    return listen(context, media, listener);
  } catch (error) {
    media?.getTracks().forEach((track) => track.stop());
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

/**
 * @param {AudioContext} context
 * @param {MediaStream} media
 * @param {Listener} listener
 * @returns {Microphone}
 */
function listen(context, media, { onBatch, onGone, onSuspended }) {
  const [track] = media.getAudioTracks();
  const source = context.createMediaStreamSource(media);
  // "discrete" makes one channel by taking the first: a mix of two microphones would comb-filter the voice.
  const node = new AudioWorkletNode(context, "mover", {
    channelCount: 1,
    channelCountMode: "explicit",
    channelInterpretation: "discrete",
    processorOptions: { batch: Math.round(context.sampleRate * BATCH_S) },
  });
  /** @type {() => void} */
  let flushed = () => {};
  node.port.onmessage = ({ data }) => (data ? onBatch(data) : flushed());
  source.connect(node);
  node.connect(context.destination); // its output is silence; unconnected, some browsers would not run it

  track.onended = onGone;
  context.onstatechange = () => {
    if (context.state !== "closed") onSuspended(context.state !== "running");
  };
  const wake = () => {
    if (!document.hidden && context.state !== "closed") void context.resume();
  };
  document.addEventListener("visibilitychange", wake);

  const settings = /** @type {Record<string, unknown>} */ (track.getSettings());
  return {
    rate: context.sampleRate,
    label: track.label,
    altered: UNWANTED.filter((name) => settings[name] !== undefined && settings[name] !== false),
    async close() {
      document.removeEventListener("visibilitychange", wake);
      track.onended = context.onstatechange = null;
      if (context.state === "running") {
        await new Promise((resolve) => {
          flushed = () => resolve(undefined);
          node.port.postMessage("end");
          setTimeout(resolve, 300); // a thread that hangs does not keep the result away
        });
      }
      track.stop();
      source.disconnect();
      node.disconnect();
      await context.close();
    },
  };
}
