// fft.js, pyramid.js, sound.js: the transform against a plain DFT, columns that lose no peak and stay bounded, and what the chart asks of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Spectrum } from "../../static/js/chart/fft.js";
import { Pyramid } from "../../static/js/chart/pyramid.js";
import { CEIL_DB, FLOOR_DB, ROWS, Sound, TOP_HZ } from "../../static/js/chart/sound.js";
import { dice } from "./dice.mjs";

const noise = (random, length, size = 1) => Float32Array.from({ length }, () => (random() * 2 - 1) * size);

/** |X[k]|² as the definition says it. */
function dft(samples) {
  const out = [];
  for (let k = 0; k <= samples.length / 2; k++) {
    let re = 0;
    let im = 0;
    samples.forEach((value, n) => {
      re += value * Math.cos((2 * Math.PI * k * n) / samples.length);
      im -= value * Math.sin((2 * Math.PI * k * n) / samples.length);
    });
    out.push(re * re + im * im);
  }
  return out;
}

test("the power spectrum is that of a plain DFT, for every size", () => {
  const random = dice(1);
  for (const size of [4, 8, 64, 256, 1024]) {
    const samples = noise(random, size);
    const power = new Float32Array(size / 2 + 1);
    new Spectrum(size).power(samples, power, false);
    dft(samples).forEach((value, k) => assert.ok(Math.abs(power[k] - value) < 1e-3 * (1 + value), `size ${size}, bin ${k}: ${power[k]} for ${value}`));
  }
  for (const size of [0, 3, 12]) assert.throws(() => new Spectrum(size), RangeError);
});

test("a full-scale sine has power 1 at its own bin through the window", () => {
  const spectrum = new Spectrum(512);
  const power = new Float32Array(257);
  spectrum.power(Float32Array.from({ length: 512 }, (_, n) => Math.sin((2 * Math.PI * 40 * n) / 512)), power);
  assert.ok(Math.abs(power[40] - 1) < 1e-3, String(power[40]));
  assert.ok(power[48] < 1e-6, "and nothing far from it");
});

test("whatever stretch is read, at whatever age, no peak in it is lost, and none is invented far from it", () => {
  const random = dice(2);
  for (const count of [1, 5, 300, 4000, 20_000]) {
    const pyramid = new Pyramid(2, 256);
    const all = Array.from({ length: count }, () => Uint8Array.of(random() < 0.01 ? 200 + random() * 55 : random() * 100, random() * 255));
    for (const column of all) pyramid.push(column);
    const out = new Uint8Array(2);
    for (let round = 0; round < 300; round++) {
      const from = random() * count;
      const to = Math.min(count, from + random() ** 3 * count);
      assert.ok(pyramid.read(from, to, out));
      const inside = all.slice(Math.floor(from), Math.max(Math.floor(from) + 1, Math.ceil(to)));
      // What was read may reach over the edges by as much as the columns that are left there are wide: 256 of a level are kept.
      const wide = 4 ** Math.ceil(Math.max(0, Math.log((count - from) / 256) / Math.log(4)));
      const around = all.slice(Math.max(0, Math.floor(from) - wide + 1), Math.ceil(to) + wide);
      for (const row of [0, 1]) {
        assert.ok(out[row] >= Math.max(...inside.map((column) => column[row])), `a peak in ${from}..${to} of ${count} is lost`);
        assert.ok(out[row] <= around.reduce((most, column) => Math.max(most, column[row]), 0), `${from}..${to} of ${count} shows what is not there`);
      }
    }
    assert.equal(pyramid.read(count + 1, count + 5, out), false);
  }
  assert.equal(new Pyramid(1, 256).read(0, 1, new Uint8Array(1)), false);
});

test("the newest columns are exact, and memory stays bounded", () => {
  const pyramid = new Pyramid(1, 1024);
  const out = new Uint8Array(1);
  let most = 0;
  for (let n = 0; n < 500_000; n++) {
    pyramid.push(Uint8Array.of(n % 251));
    most = Math.max(most, pyramid.size_bytes);
  }
  assert.ok(most <= 1024 * (1 + Math.ceil(Math.log(500_000) / Math.log(4))), String(most));
  for (let back = 1; back < 1000; back++) {
    pyramid.read(500_000 - back, 500_001 - back, out);
    assert.equal(out[0], (500_000 - back) % 251);
  }
});

test("sound comes back as its extremes, however it was cut, and clipping is told", () => {
  const random = dice(3);
  const samples = noise(random, 48_000, 0.5);
  samples[30_000] = 0.9;
  samples[30_001] = -0.8;
  samples[40_000] = 1;
  const cut = new Sound(48_000);
  for (let at = 0; at < samples.length; ) {
    const size = 1 + Math.floor(random() * 3000);
    cut.push(samples.subarray(at, at + size));
    at += size;
  }
  const whole = new Sound(48_000);
  whole.push(samples);
  assert.equal(cut.duration_ms, 1000);
  for (let ms = 0; ms < 1000; ms += 7) assert.deepEqual(cut.extremes(ms, ms + 20), whole.extremes(ms, ms + 20));
  const peak = whole.extremes(622, 628);
  assert.ok(Math.abs(peak.high - 0.9) < 0.01 && Math.abs(peak.low + 0.8) < 0.01 && !peak.clipped);
  assert.ok(whole.extremes(830, 840).clipped);
  assert.equal(whole.extremes(1000, 1010), null);
  const silence = new Sound(16_000);
  silence.push(new Float32Array(16_000));
  assert.deepEqual(silence.extremes(0, 1000), { high: 0, low: 0, clipped: false });
});

test("a tone stands in its own row of the spectrogram at its own time, at every rate", () => {
  const out = new Uint8Array(ROWS);
  for (const rate of [8000, 16_000, 22_050, 44_100, 48_000, 96_000]) {
    const sound = new Sound(rate);
    const hz = 2500;
    sound.push(Float32Array.from({ length: rate * 2 }, (_, n) => (n > rate ? 0.5 * Math.sin((2 * Math.PI * hz * n) / rate) : 0)));
    assert.ok(sound.bandsAt(500, 520, out));
    assert.ok(Math.max(...out) === 0, `silence is silent at ${rate}`);
    assert.ok(sound.bandsAt(1500, 1520, out));
    const loudest = out.indexOf(Math.max(...out));
    assert.ok(Math.abs(loudest - (hz / TOP_HZ) * ROWS) <= 1, `row ${loudest} at ${rate}`);
    const db = FLOOR_DB + (Math.max(...out) / 255) * (CEIL_DB - FLOOR_DB);
    assert.ok(db >= Math.min(CEIL_DB, -8) - 1, `${db} dB at ${rate}`);
    // The tone begins at 1 s: the column there must not be half a frame late.
    sound.bandsAt(960, 970, out);
    assert.ok(out[loudest] < 200, `it begins too early at ${rate}`);
    sound.bandsAt(1020, 1030, out);
    assert.ok(out[loudest] > 200, `it begins too late at ${rate}`);
  }
  const narrow = new Sound(8000);
  narrow.push(noise(dice(4), 8000));
  narrow.bandsAt(500, 520, out);
  assert.ok(out.slice(ROWS / 2).every((value) => value === 0), "nothing is drawn above half the rate");
});

test("two hours stay bounded, and their axis does not drift", () => {
  const sound = new Sound(400); // hardly a sound, but as many columns as any
  const minute = noise(dice(5), 400 * 60, 0.1);
  for (let m = 0; m < 120; m++) sound.push(minute);
  assert.equal(sound.duration_ms, 7_200_000);
  assert.equal(sound.wave.count, 7_200_000 / 5);
  assert.equal(sound.spectrogram.count, 7_200_000 / 15);
  assert.ok(sound.size_bytes < 18e6, `${(sound.size_bytes / 1e6).toFixed(1)} MB`);
  assert.ok(sound.extremes(0, 1000).high > 0.09, "the first second is still known");
});

test("values that are no numbers and values over full scale do no harm", () => {
  const sound = new Sound(16_000);
  sound.push(Float32Array.from({ length: 1600 }, (_, n) => [NaN, Infinity, -Infinity, 7, -7][n % 5]));
  const { high, low, clipped } = sound.extremes(0, 100);
  assert.ok(high <= 1.01 && low >= -1.01 && clipped);
});
