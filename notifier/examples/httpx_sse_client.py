"""Follows the stream with httpx-sse: python httpx_sse_client.py http://localhost:8082

Prints one line of JSON for each event.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse


def follow(base: str) -> None:
    last_event_id, retry = "", 2.0
    # Longer than the 15 s between two heartbeats, so that a dead connection is noticed.
    timeout = httpx.Timeout(10, read=40)
    with httpx.Client(base_url=base, timeout=timeout) as client:
        while True:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            try:
                with connect_sse(client, "GET", "/v1/events", headers=headers) as source:
                    if source.response.status_code in (429, 503):
                        retry = float(source.response.headers["retry-after"])
                    source.response.raise_for_status()
                    for event in source.iter_sse():
                        last_event_id = event.id or last_event_id
                        retry = (event.retry or retry * 1000) / 1000
                        if event.data:
                            tell(event)
            except httpx.HTTPError as error:
                print(f"cut: {error!r}", file=sys.stderr)
            time.sleep(retry)


def tell(event) -> None:
    version = json.loads(event.data).get("version")
    print(json.dumps({"event": event.event, "id": event.id, "version": version}), flush=True)


if __name__ == "__main__":
    follow(sys.argv[1])
