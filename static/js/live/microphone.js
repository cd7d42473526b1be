// Asking the browser for a microphone. Used by input.js.
// @ts-check

import { Trouble } from "../found/trouble.js";

// These rewrite the very traces the detector looks for.
export const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, voiceIsolation: false };

/**
 * @param {string} device "" is the system's own choice
 * @returns {Promise<MediaStream>} rejects with a Trouble, or with what the browser says
 */
export async function askMicrophone(device) {
  const chosen = device ? { deviceId: { exact: device } } : {};
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: /** @type {MediaTrackConstraints} */ ({ channelCount: 1, ...RAW, ...chosen }) });
  } catch (error) {
    // Others may be there: "no microphone" would be wrong.
    if (device && ["OverconstrainedError", "NotFoundError"].includes(/** @type {Error} */ (error).name)) throw new Trouble("chosenGone", { wait_ms: 0 });
    throw error;
  }
}
