// A listening session at many times the speed of life: sound goes into the check's Sound and Recording, messages as a server sends them into its Findings,
// and frames are drawn on the way. Evaluated in the page by bench/page.py and tests/browser/test_page_budget.py; called again, it goes on.
async ({ minutes, rate }) => {
  const at = (path) => import(new URL(`static/js/${path}`, document.baseURI).href);
  const [{ page }, { Check }, { Sound }, { Recording }] = await Promise.all(["main.js", "check.js", "chart/sound.js", "live/recording.js"].map(at));
  const BATCH_MS = 100;
  const batch = (rate * BATCH_MS) / 1000;
  if (!window.hours) {
    const check = new Check({ kind: "live", source: "An endless microphone", profile: "balanced" });
    check.sound = new Sound(rate);
    check.recording = new Recording(rate);
    const second = Float32Array.from({ length: rate }, (_, i) => 0.3 * Math.sin((i / rate) * 2 * Math.PI * 150) * Math.sin((i / rate) * 2 * Math.PI * 3) + 0.01 * Math.sin(i * i));
    window.hours = { check, ms: 0, seq: 1, index: 0, speech_ms: 0, spoof: false, second, s16: Int16Array.from(second, (s) => s * 32767) };
    check.found.take({ type: "ready", seq: 1, session_id: "s", resume_token: "t", model: page.facts.model, config: { profile: "balanced", detail: "full" } });
    page.visit.add(check);
    page.visit.changed(check, { phase: "listening" });
  }
  const it = window.hours;
  const { check } = it;
  const say = (message) => check.found.take({ seq: ++it.seq, ...message });
  const began = performance.now();
  for (const end = it.ms + minutes * 60_000; it.ms < end; ) {
    const from = (it.ms % 1000) * (rate / 1000);
    check.sound.push(it.second.slice(from, from + batch));
    check.recording.push(it.s16.slice(from, from + batch));
    it.ms += BATCH_MS;
    if (it.ms >= 1000 && it.ms % 500 === 0) {
      const t = it.ms / 1000;
      const score = t % 61 < 9 ? null : 0.5 + 0.48 * Math.sin(t / 17);
      const verdict = score === null ? "no_speech" : score > 0.9 ? "spoof" : score < 0.2 ? "bonafide" : "uncertain";
      if (score !== null) it.speech_ms += 500;
      const llr = score === null ? null : Math.log(score / (1 - score));
      const quality = { level_dbfs: -20 - (t % 10), clipping: 0, bandwidth_hz: 7000 };
      say({ type: "segment", index: it.index++, channel: 0, start_ms: Math.max(0, it.ms - 4000), end_ms: it.ms, verdict, score, llr, speech_ms: score === null ? 0 : 3500, latency_ms: 80, quality, behind_ms: 150 });
      const segments = { total: it.index, spoof: 0, bonafide: 0, uncertain: 0, no_speech: 0 };
      say({ type: "verdict", as_of_ms: it.ms, channel: 0, verdict, score, llr, speech_ms: it.speech_ms, segments, state: "stable", changed: false });
      if ((verdict === "spoof") !== it.spoof) say({ type: "alert", at_ms: it.ms, rule: "spoof_onset", channel: 0, score, cleared: it.spoof });
      it.spoof = verdict === "spoof";
      if (it.ms % 90_000 === 0) say({ type: "warning", code: "clipping", message: "clipped", channel: 0, range_ms: [it.ms - 500, it.ms] });
    }
    if (it.ms % 1000 === 0) say({ type: "ack", received_ms: it.ms, processed_ms: it.ms, lag_ms: 80, buffered_ms: 0, bytes: it.ms * 96, frames: it.ms / 20 });
    page.visit.changed(check, { captured_ms: it.ms });
    if (it.ms % 10_000 === 0) await new Promise(requestAnimationFrame);
  }
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 300)));
  return { minutes: it.ms / 60_000, took_s: (performance.now() - began) / 1000 };
}
