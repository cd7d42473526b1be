import { readFile } from "node:fs/promises";

const answer = await fetch("http://127.0.0.1:8000/detect", {
  method: "POST",
  headers: { "X-API-Key": process.env.VOXPROOF_API_KEY, "Content-Type": "application/json" },
  body: JSON.stringify({ audio_base64: (await readFile("call.mp3")).toString("base64"), language: "english" }),
});
if (!answer.ok) throw new Error(await answer.text());
const { prediction, confidence } = await answer.json();
console.log(prediction, confidence);
