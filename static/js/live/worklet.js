// Runs on the audio thread and only moves samples: channel 0, gathered into batches, handed over. Loaded by microphone.js.

class Mover extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.size = processorOptions.batch;
    this.batch = new Float32Array(this.size);
    this.filled = 0;
    this.running = true;
    this.port.onmessage = () => {
      this.running = false; // the one message there is: hand over the rest and end
      if (this.filled) this.hand(this.batch.slice(0, this.filled));
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
      if (samples) this.batch.set(samples.subarray(done, done + count), this.filled);
      this.filled += count;
      done += count;
      if (this.filled === this.size) this.hand(this.batch);
    }
    return this.running;
  }
}

registerProcessor("mover", Mover);
