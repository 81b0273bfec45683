#!/usr/bin/env bash
# The server with curl alone. In another terminal: pantoum serve runs/book
#
#     bash examples/server_curl.sh [URL]
set -euo pipefail
url="${1:-http://127.0.0.1:8000}"
post() { curl --silent --show-error --fail-with-body --no-buffer "$url$1" -H 'Content-Type: application/json' -d "$2"; echo; }

echo "# which models"
curl --silent --fail "$url/v1/models"; echo

echo "# a text, the same on every call"
post /v1/completions '{"prompt": "The", "max_tokens": 60, "temperature": 0.8, "seed": 1}'

echo "# as it is written: server-sent events"
post /v1/completions '{"prompt": "The", "max_tokens": 20, "seed": 1, "stream": true}'

echo "# how surprising each word is"
post /v1/score '{"text": "The end of the day", "by": "word"}'

echo "# the log-probability of each token of a text, with the two most probable ones in its place"
post /v1/completions '{"prompt": "The end", "max_tokens": 0, "echo": true, "logprobs": 2}'

echo "# a session: the server keeps the state"
id=$(post /v1/sessions '{"prompt": "The "}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
post "/v1/sessions/$id/generate" '{"max_tokens": 20, "seed": 1}'
post "/v1/sessions/$id/rewind" '{"tokens_seen": 4}'
curl --silent --fail -X DELETE "$url/v1/sessions/$id"; echo
