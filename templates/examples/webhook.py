import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))

def is_ours(headers, body: bytes) -> bool:
    event_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > 300:
        return False
    signature = hmac.digest(KEY, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256)
    wanted = "v1," + base64.b64encode(signature).decode()
    return any(hmac.compare_digest(wanted, given) for given in headers.get("webhook-signature", "").split())

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ours = is_ours(self.headers, body)
        if ours:
            event = json.loads(body)
            print(event["type"], event["data"].get("session_id"), event["data"].get("verdict"), flush=True)
        self.send_response(204 if ours else 400)
        self.end_headers()

HTTPServer(("127.0.0.1", 8100), Receiver).serve_forever()
