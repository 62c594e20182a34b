"""librdkafka as a member of a group in a process of its own.  member.py consumer name=value ..."""
import json
import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException

options = dict(pair.split("=", 1) for pair in sys.argv[2:])
leaving = False


def say(event, **fields):
    print(json.dumps({"event": event, "ms": int(time.time() * 1000), **fields}), flush=True)


def leave(_signal, _frame):
    global leaving
    leaving = True


def numbers(partitions):
    return sorted(p.partition for p in partitions)


def on_error(error):
    print(error, file=sys.stderr, flush=True)


settings = {"bootstrap.servers": options["bootstrap"], "group.id": options["group"], "client.id": options["client"], "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "group.protocol": options["protocol"], "error_cb": on_error,
            "topic.metadata.refresh.interval.ms": 2000, "max.poll.interval.ms": 30000}
if options["protocol"] == "classic":
    settings.update({"partition.assignment.strategy": options["assignor"], "session.timeout.ms": int(options["session"]), "heartbeat.interval.ms": 500})
else:
    settings["group.remote.assignor"] = options["assignor"]
consumer = Consumer(settings)
signal.signal(signal.SIGTERM, leave)


def on_assign(c, partitions):
    held = set(numbers(c.assignment())) | set(numbers(partitions))
    say("assigned", partitions=sorted(held))


def on_revoke(_consumer, partitions):
    say("revoked", partitions=numbers(partitions))


def on_lost(_consumer, partitions):
    say("lost", partitions=numbers(partitions))


consumer.subscribe([options["topic"]], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
say("started", pid=os.getpid())
while not leaving:
    offsets = {}
    for message in consumer.consume(200, 0.2):
        if message.error():
            print(message.error(), file=sys.stderr, flush=True)
        else:
            offsets.setdefault(message.partition(), []).append(message.offset())
    for partition, some in offsets.items():
        say("records", partition=partition, offsets=some)
    if offsets:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as e:
            say("uncommitted", why=str(e))
consumer.close()
say("left")
