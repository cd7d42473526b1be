import asyncio, json, os, sys
import websockets

KEY = {"Authorization": "Bearer " + os.environ["VOXPROOF_API_KEY"]} if "VOXPROOF_API_KEY" in os.environ else {}

async def listen(url: str, frames) -> dict:
    async with websockets.connect(url + "/v1/stream?encoding=mulaw&sample_rate=8000", additional_headers=KEY) as socket:
        async def speak():
            for frame in frames:                 # bytes, any length; 20 to 100 ms is best
                await socket.send(frame)
            await socket.send('{"type": "stop"}')
        speaking = asyncio.create_task(speak())
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "verdict" and message["changed"]:
                print(message["as_of_ms"], message["verdict"], message["score"], message["state"])
            if message["type"] in ("error", "warning"):
                print(message["code"], message["message"], file=sys.stderr)
                if message.get("fatal"):         # then the socket closes: a wrong key, a full server ...
                    sys.exit(1)
            if message["type"] == "done":
                await speaking
                return message

recording = open("call.ulaw", "rb").read()
done = asyncio.run(listen("ws://127.0.0.1:8000", [recording[i:i + 160] for i in range(0, len(recording), 160)]))
print(done["verdict"], done["score"], done["spoof_ranges"])
