// Whatever can go wrong -> which entry of words.trouble says it, with its facts. Pure. Used by live/, files/ and page.js.
// @ts-check

/** Something the person must hear of. `key` names the words, `fact` goes into them, `wait_ms` is when to try again (undefined: trying again may not help). */
export class Trouble extends Error {
  /**
   * @param {string} key
   * @param {{fact?: string | number, wait_ms?: number}} [facts]
   */
  constructor(key, { fact, wait_ms } = {}) {
    super(key);
    this.key = key;
    this.fact = fact;
    this.wait_ms = wait_ms;
  }
}

const RETRY = { wait_ms: 0 };
/** What the server says at its door, on a socket as in an answer. `needsKey` where a key was given is `wrongKey`: live/keyring.js knows. */
const AT_THE_DOOR = /** @type {Record<string, string>} */ ({
  unauthorized: "needsKey",
  authorisation_expired: "keyEnded",
  scope_missing: "keyScope",
  local_only: "localOnly",
});

/**
 * What getUserMedia, an AudioContext or a worklet threw.
 * @param {any} error
 */
export function troubleOfMicrophone(error) {
  if (error instanceof Trouble) return error;
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
    case "PermissionDeniedError":
      return new Trouble("denied", RETRY);
    case "NotFoundError":
    case "OverconstrainedError":
    case "DevicesNotFoundError":
      return new Trouble("missing", RETRY);
    case "NotReadableError":
    case "AbortError":
    case "TrackStartError":
      return new Trouble("busy", RETRY);
    default:
      return new Trouble("microphone", { fact: error?.message || String(error), ...RETRY });
  }
}

/**
 * How a stream ended (stream.js, event `end`). Null when it ended well.
 * @param {{reason: string, trouble?: Trouble, code?: string, message?: string, retry_after_ms?: number, close_code?: number}} end
 */
export function troubleOfEnd({ reason, trouble, code, message, retry_after_ms, close_code }) {
  if (trouble) return trouble;
  if (reason === "done") return code === "session_too_long" ? new Trouble("tooLong") : null;
  const barred = AT_THE_DOOR[code ?? ""];
  if (barred) return new Trouble(barred, RETRY);
  if (code === "rate_limited") return new Trouble("limited", { wait_ms: retry_after_ms ?? 5000 });
  if (code === "quota_exceeded") return new Trouble("quota", { wait_ms: retry_after_ms ?? 60_000 });
  if (reason === "refused") return new Trouble("full", { wait_ms: retry_after_ms ?? 5000 });
  if (reason === "unreachable") return new Trouble("unreachable", RETRY);
  if (code === "result_lost" || code === "no_answer") return new Trouble("resultLost", RETRY);
  if (reason === "lost") return new Trouble("lost", RETRY);
  if (reason === "aborted") return new Trouble("aborted", RETRY);
  if (close_code === 4401 || close_code === 4403 || close_code === 4440) return new Trouble("needsKey", RETRY);
  if (code === "taken_over" || close_code === 4409) return new Trouble("takenOver", RETRY);
  return new Trouble("other", { fact: message, ...RETRY });
}

/**
 * An upload the server refused.
 * @param {number} status
 * @param {any} problem the problem+json, or null when the answer was none
 * @param {{max_upload_bytes: number, max_audio_seconds: number}} limits
 */
export function troubleOfAnswer(status, problem, limits) {
  const barred = AT_THE_DOOR[problem?.code];
  if (barred) return new Trouble(barred, RETRY);
  switch (problem?.code) {
    case "unsupported_audio":
      return new Trouble("notAudio");
    case "unusable_audio":
    case "decode_too_slow":
      return new Trouble("unusable");
    case "empty_audio":
      return new Trouble("empty");
    case "audio_too_long":
      return new Trouble("fileTooLong", { fact: limits.max_audio_seconds });
    case "upload_too_large":
      return new Trouble("fileTooBig", { fact: limits.max_upload_bytes });
    case "upload_too_slow":
      return new Trouble("slow", RETRY);
    case "server_full":
      return new Trouble("full", { wait_ms: problem.retry_after_ms ?? 5000 });
    case "rate_limited":
      return new Trouble("limited", { wait_ms: problem.retry_after_ms ?? 5000 });
    case "quota_exceeded":
      return new Trouble("quota", { wait_ms: problem.retry_after_ms ?? 60_000 });
  }
  if (status === 429) return new Trouble("limited", { wait_ms: problem?.retry_after_ms ?? 5000 });
  if (status === 503) return new Trouble("unready", { wait_ms: problem?.retry_after_ms ?? 3000 }); // it ends, starts or is elsewhere
  if (status === 413) return new Trouble("fileTooBig", { fact: limits.max_upload_bytes }); // a proxy's own limit
  if (status === 401 || status === 403) return new Trouble("needsKey", RETRY);
  if (status === 0) return new Trouble("unreachable", RETRY);
  return new Trouble("other", { fact: problem?.detail || problem?.message, ...RETRY });
}
