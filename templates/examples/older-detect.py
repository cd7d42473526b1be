import base64
import os

import requests

with open("call.mp3", "rb") as file:
    audio = base64.b64encode(file.read()).decode()

answer = requests.post(
    "http://127.0.0.1:8000/detect",
    headers={"X-API-Key": os.environ["VOXPROOF_API_KEY"]},
    json={"audio_base64": audio, "language": "english"},
)
answer.raise_for_status()
print(answer.json()["prediction"], answer.json()["confidence"])
