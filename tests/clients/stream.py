#!/usr/bin/env python3
"""A paced stream of numbered messages through nats-py, and what became of it.

  stream.py sub URL SUBJECT SECONDS          prints READY, then after the stream one line of JSON
  stream.py pub URL SUBJECT SECONDS RATE SIZE

The subscriber ends when it has seen the publisher's last message or when nothing came for 10 s after SECONDS.
JSON: sent, received, lost, duplicated, reordered, reconnects, errors, longest_gap_ms, gap_at_s.
"""
import asyncio
import json
import sys
import time

import nats

LAST = b"L"


async def connect(url, trouble):
    async def reconnected():
        trouble["reconnects"] += 1

    async def failed(error):
        trouble["errors"].append(repr(error))

    return await nats.connect(url, reconnected_cb=reconnected, error_cb=failed, max_reconnect_attempts=-1)


async def publish(url, subject, seconds, rate, size):
    trouble = {"reconnects": 0, "errors": []}
    client = await connect(url, trouble)
    total, start = seconds * rate, time.perf_counter()
    sent = 0
    while sent < total:
        due = min(total, int((time.perf_counter() - start) * rate) + 1)
        while sent < due:
            mark = LAST if sent == total - 1 else b"M"
            await client.publish(subject, (b"%s %d " % (mark, sent)).ljust(size, b"."))
            sent += 1
        await asyncio.sleep(0.001)
    await client.flush()
    await client.close()
    print(json.dumps({"sent": sent, **trouble}))


async def subscribe(url, subject, seconds):
    trouble = {"reconnects": 0, "errors": []}
    client = await connect(url, trouble)
    seen, arrivals, order, last_heard = set(), [], [], [time.perf_counter()]
    duplicated, total, done = [0], [None], asyncio.Event()

    async def received(message):
        now = last_heard[0] = time.perf_counter()
        mark, number, _ = message.data.split(b" ", 2)
        number = int(number)
        if number in seen:
            duplicated[0] += 1
        else:
            seen.add(number)
            order.append(number)
            arrivals.append(now)
        if mark == LAST:
            total[0] = number + 1
        if total[0] is not None and len(seen) == total[0]:
            done.set()

    await client.subscribe(subject, cb=received)
    await client.flush()
    print("READY", flush=True)
    end = time.perf_counter() + seconds + 5
    while not done.is_set() and (time.perf_counter() < end or time.perf_counter() - last_heard[0] < 10):
        try:
            await asyncio.wait_for(done.wait(), 0.5)
        except asyncio.TimeoutError:
            pass
    await asyncio.sleep(0.5)  # late duplicates would arrive now
    gaps = [(b - a, b - arrivals[0]) for a, b in zip(arrivals, arrivals[1:])]
    longest, at = max(gaps, default=(0, 0))
    sent = total[0] if total[0] is not None else (max(seen) + 1 if seen else 0)
    print(json.dumps({
        "sent": sent, "received": len(seen), "lost": sent - len(seen), "duplicated": duplicated[0],
        "reordered": sum(b < a for a, b in zip(order, order[1:])), **trouble,
        "longest_gap_ms": round(longest * 1e3, 1), "gap_at_s": round(at, 2),
    }))
    await client.close()


def main():
    role, url, subject, seconds = sys.argv[1:5]
    if role == "pub":
        asyncio.run(publish(url, subject, int(seconds), int(sys.argv[5]), int(sys.argv[6])))
    else:
        asyncio.run(subscribe(url, subject, int(seconds)))


main()
