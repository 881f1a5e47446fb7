"""Ask a running `earshot serve` over its WebSocket. Usage: websocket_client.py ws://127.0.0.1:8765/api/live QUESTION"""
# ruff: noqa: T201

import json
import sys

from websockets.sync.client import connect

with connect(sys.argv[1], subprotocols=["earshot"]) as socket:
    socket.send(json.dumps({"command": "ask", "data": {"question": sys.argv[2], "id": "mine"}}))
    for text in socket:
        message = json.loads(text)
        print(message["event"], message["data"].get("time_s", ""))
        if message["data"].get("id") == "mine" and message["event"] in ("answer", "error", "cancelled"):
            print(message["data"].get("answer") or message["data"])
            break
