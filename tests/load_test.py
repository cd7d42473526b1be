"""A load test of `POST /detect`, the older contract, for Locust:

    API_KEY=… locust -f tests/load_test.py --host=http://localhost:8000

Each user sends a file and reads the answer, one after another; now and then it asks for /health. LOAD_AUDIO names another file than the one here.
An answer of 429 is the limit doing its work (60 a minute and 1000 an hour a key): it has a row of its own and is no failure. To load the detector
and not the limit, start the server with VOXPROOF_DETECT_REQUESTS_PER_MINUTE=0 VOXPROOF_DETECT_REQUESTS_PER_HOUR=0.
"""

import base64
import os
import random
from pathlib import Path

from locust import FastHttpUser, between, task

LANGUAGES = ("tamil", "english", "hindi", "malayalam", "telugu")
AUDIO = Path(os.environ.get("LOAD_AUDIO") or Path(__file__).parent / "fixtures" / "voice-female.wav")
FIELDS = {"prediction", "confidence", "language", "processing_time_ms", "timestamp", "audio_duration_seconds", "model_version"}


class Caller(FastHttpUser):
    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        self.audio = base64.b64encode(AUDIO.read_bytes()).decode()
        self.key = {"X-API-Key": os.environ["API_KEY"]} if os.environ.get("API_KEY") else {}

    @task(9)
    def detect(self) -> None:
        language = random.choice(LANGUAGES)
        body = {"audio_base64": self.audio, "language": language}
        with self.client.post("/detect", json=body, headers=self.key, catch_response=True) as answer:
            if answer.status_code == 429:
                answer.request_meta["name"] = "/detect (over the limit)"
                answer.success()
            elif answer.status_code == 200 and (answer.json().keys() != FIELDS or answer.json()["language"] != language):
                answer.failure(f"not the contract's answer: {answer.text[:200]}")

    @task(1)
    def health(self) -> None:
        self.client.get("/health")
