// Asking the browser for the sound of a tab or a screen. Chrome and Edge on a computer give it; Firefox and Safari share pictures only, phones nothing at all.
// Used by input.js, and by controls.js to say beforehand what this browser can.
// @ts-check

import { Trouble } from "../found/trouble.js";
import { RAW } from "./microphone.js";

/**
 * What this browser can: "yes", "silent" (it shares, but is not known to share sound) or "no".
 * @param {Navigator} [browser]
 * @returns {"yes" | "silent" | "no"}
 */
export function screenSound(browser = navigator) {
  const media = browser.mediaDevices;
  if (!media?.getDisplayMedia) return "no";
  // No browser says whether it shares sound; those that do know this constraint, which makes sense with sound only.
  return "suppressLocalAudioPlayback" in (media.getSupportedConstraints?.() ?? {}) ? "yes" : "silent";
}

/** @returns {Promise<MediaStream>} with sound only; rejects with a Trouble */
export async function askScreen() {
  if (screenSound() === "no") throw new Trouble("noTabSound");
  const wanted = {
    video: { width: { max: 16 }, height: { max: 16 }, frameRate: { max: 1 } }, // must be asked for; nobody looks at it
    audio: { ...RAW, suppressLocalAudioPlayback: false }, // the person goes on hearing it
    systemAudio: "include",
    windowAudio: "system",
    selfBrowserSurface: "exclude",
    surfaceSwitching: "include",
    monitorTypeSurfaces: "include",
  };
  /** @type {MediaStream} */
  let media;
  try {
    media = await navigator.mediaDevices.getDisplayMedia(/** @type {any} */ (wanted));
  } catch (error) {
    throw troubleOfScreen(/** @type {Error} */ (error));
  }
  const [sound] = media.getAudioTracks();
  // The picture is let go at once: sound and picture are tracks of their own, and the sharing lasts as long as one of them does.
  for (const track of media.getVideoTracks()) track.stop();
  if (!sound) throw new Trouble(screenSound() === "yes" ? "noSound" : "noTabSound", { wait_ms: 0 });
  return new MediaStream([sound]);
}

/** @param {Error} error */
export function troubleOfScreen(error) {
  switch (error.name) {
    case "NotAllowedError": // the person closed the picker, or a rule forbids sharing: browsers do not tell which
    case "AbortError":
    case "InvalidStateError":
      return new Trouble("notShared", { wait_ms: 0 });
    case "NotFoundError":
    case "NotSupportedError":
    case "TypeError":
      return new Trouble("noTabSound");
    case "NotReadableError":
      return new Trouble("screenBusy", { wait_ms: 0 });
    default:
      return new Trouble("screen", { fact: error.message || String(error), wait_ms: 0 });
  }
}
