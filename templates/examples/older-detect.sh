base64 -w 0 call.mp3 | sed 's/.*/{"audio_base64": "&", "language": "english"}/' |
  curl 'http://127.0.0.1:8000/detect' \
    -H "X-API-Key: $VOXPROOF_API_KEY" \
    -H 'Content-Type: application/json' \
    --data-binary @-
