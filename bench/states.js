// Puts the page into any state it has, without a server, a microphone or waiting: checks are filled with messages as a server sends them and with
// made-up sound. Evaluated in the page by bench/states.py (screenshots, accessibility, memory); never served.
async ({ state, language, detail }) => {
  const at = (path) => import(new URL(`static/js/${path}`, document.baseURI).href);
  const [{ page }, { Check }, { Trouble }, { Sound }, { Recording }] = await Promise.all(
    ["main.js", "check.js", "found/trouble.js", "chart/sound.js", "live/recording.js"].map(at),
  );
  const RATE = 16000;
  const MODEL = page.facts.model;
  const TROUBLES = {
    insecure: ":8000", microphone: "Starting videoinput failed", fileTooBig: 52428800, fileTooLong: 1800, other: "The server said something unexpected.",
    full: undefined,
  };

  /** Sound like syllables: a buzz that swells, and some noise. */
  const made = new Map();
  const sound = (seconds) => made.get(seconds) ?? made.set(seconds, sounding(seconds)).get(seconds);
  const sounding = (seconds, seed = 1) => {
    const out = new Float32Array(RATE * seconds);
    let noise = seed;
    for (let i = 0; i < out.length; i++) {
      const t = i / RATE;
      noise = (noise * 1103515245 + 12345) % 2147483648;
      const phrase = Math.sin((2 * Math.PI * t) / 5.3) > -0.75 ? 1 : 0.02;
      const swell = phrase * Math.max(0.02, Math.sin(2 * Math.PI * 2.1 * t + Math.sin(t)));
      const pitch = 130 + 25 * Math.sin(t * 1.7);
      let voice = 0;
      for (let k = 1; k <= 24; k++) voice += Math.sin(2 * Math.PI * pitch * k * t) / k / (1 + ((k * pitch - 700) / 900) ** 2);
      out[i] = 0.35 * swell * voice + 0.004 * (noise / 1073741824 - 1);
    }
    return out;
  };
  const s16 = (samples) => Int16Array.from(samples, (s) => Math.max(-32768, Math.min(32767, Math.round(s * 32767))));
  /** A WAV of `seconds`: the samples again and again. */
  const wav = (samples, seconds, name) => {
    const recording = new Recording(RATE);
    const own = s16(samples);
    for (let left = seconds * RATE; left > 0; left -= own.length) recording.push(own.slice(0, left));
    return new File([recording.wav()], name, { type: "audio/wav" });
  };
  const llr = (score) => (score === null ? null : Math.log(score / (1 - score)));

  /** What a server says of `seconds` of sound whose score at a time is `score(t)` (null: no speech). */
  const talk = (seconds, score, { channels = 1, profile = "balanced", done = true, from = 0 } = {}) => {
    const [low, high] = page.facts.points[profile].scores ?? page.facts.points[profile];
    const verdictOf = (s) => (s === null ? "no_speech" : s >= high ? "spoof" : s <= low ? "bonafide" : "uncertain");
    const out = [{ type: "ready", seq: 1, session_id: "s", resume_token: "t", model: MODEL, config: { profile, detail: "full" } }];
    const counts = Array.from({ length: channels }, () => ({ total: 0, spoof: 0, bonafide: 0, uncertain: 0, no_speech: 0 }));
    const before = Array.from({ length: channels }, () => ({ verdict: "", speech_ms: 0, alarmed: false, score: null }));
    const ranges = [];
    let seq = 1;
    for (let k = 0; 1000 + k * 500 <= seconds * 1000; k++) {
      const end_ms = 1000 + k * 500;
      for (let channel = 0; channel < channels; channel++) {
        const own = score(end_ms / 1000, channel);
        const verdict = verdictOf(own);
        const was = before[channel];
        counts[channel].total++;
        counts[channel][verdict]++;
        if (own !== null) was.speech_ms += k ? 450 : 900;
        const said = own === null ? was.verdict || "no_speech" : verdict;
        const quality = { level_dbfs: own === null ? -61 : -24.5 + (k % 5), clipping: 0, bandwidth_hz: own === null ? null : 7800 };
        const start_ms = Math.max(0, end_ms - 4000);
        out.push({ type: "segment", seq: ++seq, index: k, channel, start_ms, end_ms, verdict, score: own, llr: llr(own), speech_ms: own === null ? 0 : Math.min(3600, end_ms - 100), latency_ms: 90 + (k % 7) * 9, quality });
        out.push({
          type: "verdict", seq: ++seq, as_of_ms: end_ms, channel, verdict: said, score: own ?? was.score, llr: llr(own ?? was.score), speech_ms: was.speech_ms, segments: { ...counts[channel] },
          state: was.speech_ms < 1000 ? "warming" : was.speech_ms < 4000 ? "provisional" : "stable", changed: said !== was.verdict,
        });
        const spoof = said === "spoof" && was.speech_ms >= 1000;
        if (spoof !== was.alarmed) out.push({ type: "alert", seq: ++seq, at_ms: end_ms, rule: "spoof_onset", channel, score: own, cleared: !spoof });
        if (spoof && !was.alarmed) ranges.push({ channel, start_ms: Math.max(0, end_ms - 2250), end_ms, score: own });
        if (spoof) ranges.findLast((range) => range.channel === channel).end_ms = end_ms;
        Object.assign(was, { verdict: said, alarmed: spoof, score: own ?? was.score });
      }
      if (k % 2) out.push({ type: "ack", seq: ++seq, received_ms: end_ms, processed_ms: end_ms, lag_ms: 90, buffered_ms: 0, bytes: end_ms * 32, frames: end_ms / 50 });
    }
    if (done) {
      const all = before.map((was, channel) => {
        const own = ranges.some((range) => range.channel === channel) ? 0.93 : was.score;
        return { channel, label: null, verdict: verdictOf(own), score: own, llr: llr(own), speech_ms: was.speech_ms, segments: counts[channel] };
      });
      const top = all.reduce((a, b) => ((b.score ?? -1) > (a.score ?? -1) ? b : a));
      out.push({
        type: "done", seq: ++seq, session_id: "s", duration_ms: seconds * 1000, speech_ms: top.speech_ms, verdict: top.verdict, score: top.score, llr: top.llr, channels: all,
        spoof_ranges: ranges.filter((range) => range.end_ms - range.start_ms >= 2000), segments_total: all.reduce((sum, one) => sum + one.segments.total, 0), dropped_ms: 0, model: MODEL,
      });
    }
    return from ? out.filter((message) => message.type !== "ready") : out;
  };

  const SCORES = {
    bonafide: (t) => 0.06 + 0.05 * Math.sin(t * 1.3),
    spoof: (t) => 0.955 + 0.03 * Math.sin(t * 1.1),
    uncertain: (t) => { const [low, high] = page.facts.points.balanced.scores ?? page.facts.points.balanced; return (low + high) / 2 + (high - low) * 0.3 * Math.sin(t); },
    no_speech: () => null,
    mixed: (t) => (t % 23 < 4 ? null : t % 23 < 13 ? 0.06 + 0.05 * Math.sin(t) : t % 23 < 14.5 ? 0.5 : 0.95 + 0.03 * Math.sin(t)),
    two: (t, channel) => (channel ? 0.94 + 0.03 * Math.sin(t) : 0.07 + 0.03 * Math.sin(t * 1.4)),
  };

  const make = ({ kind = "live", phase, score = "bonafide", seconds = 12, channels = 1, name, done, ...more }) => {
    const ended = phase === "result";
    const samples = sound(Math.min(seconds, 60));
    const file = kind === "file" ? wav(samples, seconds, name ?? "call-with-my-bank.wav") : null;
    const source = file ? page.words.file.chosen(file.name, file.size) : page.words.source.named("Headset microphone (USB)", 48000);
    const check = new Check({ kind, source, profile: "balanced", file });
    const messages = score ? talk(seconds, SCORES[score], { channels, done: done ?? ended }) : [];
    for (const message of messages) check.found.take(message);
    if (seconds && score) {
      if (kind === "live") {
        check.sound = new Sound(RATE);
        for (let i = 0; i < seconds * RATE; i += 4800) check.sound.push(samples.subarray(i % samples.length, (i % samples.length) + 4800));
        check.recording = new Recording(RATE);
        check.recording.push(s16(samples));
      } else {
        const bare = ({ type, seq, latency_ms, ...rest }) => rest;
        const end = messages.find((message) => message.type === "done");
        const segments = messages.filter((message) => message.type === "segment").map(bare);
        if (end) check.answer = { ...bare(end), segments, warnings: [], sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", request_id: "r-1" };
      }
    }
    Object.assign(check, { phase, captured_ms: seconds * 1000, ...more });
    return check;
  };
  const show = (check) => page.visit.add(check);

  const STATES = {
    idle: () => {},
    asking: () => show(make({ phase: "asking", score: "", seconds: 0 })),
    connecting: () => show(make({ phase: "connecting", score: "", seconds: 0 })),
    warming: () => show(make({ phase: "listening", score: "bonafide", seconds: 1.2 })),
    bonafide: () => show(make({ phase: "listening", score: "bonafide" })),
    spoof: () => show(make({ phase: "listening", score: "spoof" })),
    uncertain: () => show(make({ phase: "listening", score: "uncertain" })),
    no_speech: () => show(make({ phase: "listening", score: "no_speech" })),
    changing: () => show(make({ phase: "listening", score: "mixed", seconds: 75 })),
    paused: () => show(make({ phase: "paused", score: "bonafide" })),
    reconnecting: () => show(make({ phase: "listening", score: "spoof", status: { kind: "waiting", at: performance.now(), retry_in_ms: 3000 }, wait_until: performance.now() + 3000 })),
    restarted: () => {
      const check = make({ phase: "listening", score: "mixed", seconds: 40 });
      check.found.note({ kind: "altered", message: page.words.processing.noiseSuppression });
      check.found.restarted({ at_ms: 40_000, missing_ms: 3000 });
      for (const code of ["low_level", "clipping", "narrowband", "lagging"]) check.found.take({ type: "warning", code, message: code, range_ms: [20_000, 24_000] });
      show(check);
    },
    finishing: () => show(make({ phase: "finishing", score: "bonafide" })),
    result_bonafide: () => show(make({ phase: "result", score: "bonafide", seconds: 20 })),
    result_spoof: () => show(make({ phase: "result", score: "spoof", seconds: 20 })),
    result_uncertain: () => show(make({ phase: "result", score: "uncertain", seconds: 20 })),
    result_no_speech: () => show(make({ phase: "result", score: "no_speech", seconds: 20 })),
    uploading: () => show(make({ kind: "file", phase: "uploading", score: "", progress: 0.4 })),
    checking: () => show(make({ kind: "file", phase: "checking", score: "", progress: 1 })),
    file_ranges: () => show(make({ kind: "file", phase: "result", score: "mixed", seconds: 92 })),
    two_channels: () => show(make({ kind: "file", phase: "result", score: "two", channels: 2, seconds: 30, name: "two-sided call, 14 March 2026, a very long name indeed.flac" })),
    history: () => {
      show(make({ kind: "file", phase: "result", score: "bonafide", seconds: 31, name: "voicemail.m4a" }));
      show(make({ kind: "file", phase: "result", score: "uncertain", seconds: 8, name: "short.ogg" }));
      show(make({ kind: "file", phase: "failed", score: "", seconds: 0, name: "holiday.jpg", trouble: new Trouble("notAudio") }));
      show(make({ phase: "result", score: "no_speech", seconds: 14 }));
      show(make({ kind: "file", phase: "waiting", score: "", seconds: 0, name: "next.wav" }));
      show(make({ kind: "file", phase: "result", score: "mixed", seconds: 92 }));
    },
    failed: () => {
      const live = !["fileTooBig", "fileTooLong", "notAudio", "unusable", "empty", "slow"].includes(detail);
      const after = ["lost", "resultLost", "takenOver"].includes(detail);
      const wait_ms = detail === "full" ? 5000 : ["insecure", "unsupported", "needsKey", "notAudio", "fileTooBig"].includes(detail) ? undefined : 0;
      const trouble = new Trouble(detail, { fact: TROUBLES[detail], wait_ms });
      const what = { kind: live ? "live" : "file", phase: "failed", trouble, wait_until: performance.now() + (wait_ms ?? 0), again: () => {} };
      show(make({ ...what, score: after ? "spoof" : "", seconds: after ? 9 : 0, done: false }));
    },
  };

  if (language) page.settings.set({ language });
  page.visit.select(null);
  for (const check of page.visit.checks) page.visit.remove(check);
  page.player?.stop?.();
  if (detail === "list") return { states: Object.keys(STATES), troubles: Object.keys(page.words.trouble) };
  STATES[state]();
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return null;
}
