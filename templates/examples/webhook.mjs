import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");

function isOurs(headers, body) {
  const id = headers["webhook-id"], sentAt = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(sentAt)) <= 300)) return false;
  const wanted = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${sentAt}.`).update(body).digest("base64"));
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each));
  return given.some((each) => each.length === wanted.length && timingSafeEqual(each, wanted));
}

createServer(async (request, response) => {
  const body = await buffer(request);
  const ours = isOurs(request.headers, body);
  if (ours) {
    const { type, data } = JSON.parse(body);
    console.log(type, data.session_id, data.verdict);
  }
  response.writeHead(ours ? 204 : 400).end();
}).listen(8100, "127.0.0.1");
