// Runs on the audio thread and only moves samples: what the graph gives it, gathered into batches, handed over. Loaded by input.js.
//
// In:  "hold" (hand over what there is, then move nothing), "go" (move again), "end" (hand over the rest and end)
// Out: a Float32Array of samples; null once all asked for by "hold" or "end" is handed over; "beat" in place of each batch while nothing is moved, because
//      the timers of a page nobody looks at come once a minute, and what keeps a held session alive must not wait for them.

class Mover extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.size = processorOptions.batch;
    this.batch = new Float32Array(this.size);
    this.filled = 0;
    this.held = false;
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data === "go") {
        this.held = false;
        this.filled = 0;
        return;
      }
      if (data === "end") this.running = false;
      if (!this.held && this.filled) this.hand(this.batch.slice(0, this.filled));
      this.held = true;
      this.filled = 0;
      this.port.postMessage(null);
    };
  }

  hand(samples) {
    this.port.postMessage(samples, [samples.buffer]);
    this.batch = new Float32Array(this.size);
    this.filled = 0;
  }

  process([[samples]]) {
    // A source that gives nothing for a moment has no channel; its time still passes, as silence.
    const length = samples?.length ?? 128;
    for (let done = 0; this.running && done < length; ) {
      const count = Math.min(length - done, this.size - this.filled);
      if (samples && !this.held) this.batch.set(samples.subarray(done, done + count), this.filled);
      this.filled += count;
      done += count;
      if (this.filled === this.size) this.held ? this.beat() : this.hand(this.batch);
    }
    return this.running;
  }

  beat() {
    this.filled = 0;
    this.port.postMessage("beat");
  }
}

registerProcessor("mover", Mover);
