// Which microphones there are, as choices: the system's own first, then each by its name. Names are told once the page was allowed to listen. Used by controls.js.
// @ts-check

/** Names Chrome gives to devices that it lists a second time by what the system uses them for. */
const ALIASES = new Set(["default", "communications"]);

/** @typedef {{devices: {id: string, name: string}[], named: boolean}} Microphones `named`: the browser tells names; if not, it hides how many there are too */

/**
 * @param {{kind: string, deviceId: string, label: string}[]} all as enumerateDevices gives them
 * @returns {Microphones}
 */
export function microphonesOf(all) {
  const devices = all.filter(({ kind, deviceId, label }) => kind === "audioinput" && deviceId && label && !ALIASES.has(deviceId));
  return { devices: devices.map(({ deviceId, label }) => ({ id: deviceId, name: label })), named: devices.length > 0 };
}

/** Tells at once and whenever it may be new. @param {(found: Microphones) => void} tell @returns {() => void} looks again */
export function watchMicrophones(tell) {
  const media = navigator.mediaDevices;
  if (!media?.enumerateDevices) return () => {}; // an insecure page
  const look = () => void media.enumerateDevices().then((all) => tell(microphonesOf(all)), () => {});
  media.addEventListener("devicechange", look);
  // Firefox learned of this name late, and Safari tells nothing: then the names come with the first listening.
  navigator.permissions?.query({ name: /** @type {PermissionName} */ ("microphone") }).then(
    (permission) => permission.addEventListener("change", look),
    () => {},
  );
  look();
  return look;
}
