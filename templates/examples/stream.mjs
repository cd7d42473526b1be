// A browser cannot set headers on a WebSocket: your server mints a token with its key, the page opens the stream with it.
import { readFile } from "node:fs/promises";

const protocols = ["voxproof.v1"];
if (process.env.VOXPROOF_API_KEY) {
  const minted = await fetch("http://127.0.0.1:8000/v1/tokens", {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.VOXPROOF_API_KEY}`, "Content-Type": "application/json" },
    body: "{}",
  });
  if (!minted.ok) throw new Error(await minted.text());
  protocols.push((await minted.json()).subprotocol);
}

const socket = new WebSocket("ws://127.0.0.1:8000/v1/stream?encoding=mulaw&sample_rate=8000", protocols);
socket.onopen = async () => {
  const recording = await readFile("call.ulaw");
  for (let i = 0; i < recording.length; i += 160) socket.send(recording.subarray(i, i + 160));
  socket.send(JSON.stringify({ type: "stop" }));
};
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "verdict" && message.changed) console.log(message.as_of_ms, message.verdict, message.score, message.state);
  if (message.type === "error" || message.type === "warning") console.error(message.code, message.message);
  if (message.type === "done") console.log(message.verdict, message.score, message.spoof_ranges);
};
