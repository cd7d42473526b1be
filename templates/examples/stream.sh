voxproof stream call.wav \
  --url ws://127.0.0.1:8000/v1/stream \
  --real-time
