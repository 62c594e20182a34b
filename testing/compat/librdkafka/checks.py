"""What the Python programs share: the runner's specification, the lines they print, and the comparison of records."""
import base64
import json
import os
import time
import traceback


class Record:
    def __init__(self, partition, offset, timestamp, key, value, headers):
        self.partition, self.offset, self.timestamp = partition, offset, timestamp
        self.key, self.value, self.headers = key, value, headers


class Topic:
    def __init__(self, name, codec, partitions, timestamps, records):
        self.name, self.codec, self.partitions, self.timestamps, self.records = name, codec, partitions, timestamps, records

    def of(self, partition):
        return [r for r in self.records if r.partition == partition]

    def compare(self, partition, got):
        want = self.of(partition)
        same(f"records of partition {partition}", len(want), len(got))
        for w, g in zip(want, got):
            at = f"partition {partition} offset {w.offset}"
            same(f"{at} offset", w.offset, g.offset)
            if self.timestamps:
                same(f"{at} timestamp", w.timestamp, g.timestamp)
            same(f"{at} key", w.key, g.key)
            same(f"{at} value", w.value, g.value)
            same(f"{at} headers", w.headers, g.headers)


class Spec:
    def __init__(self, file):
        with open(file) as f:
            raw = json.load(f)
        self.bootstrap, self.tag = raw["bootstrap"], raw["tag"]
        self.topics = []
        for t in raw["topics"]:
            records, following = [], {}
            for index in t["records"]:
                r = raw["records"][index]
                partition = r["partition"] % t["partitions"]
                offset = following.get(partition, 0)
                following[partition] = offset + 1
                value = t["name"].encode() if r.get("valueIsTopic") else decoded(r["value"])
                headers = [(name, decoded(text)) for name, text in r["headers"]]
                records.append(Record(partition, offset, r["timestamp"], decoded(r["key"]), value, headers))
            self.topics.append(Topic(t["name"], t["codec"], t["partitions"], t["timestamps"], records))


def decoded(text):
    return None if text is None else base64.b64decode(text)


def shown(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}… ({len(text)} characters)"


def same(what, want, got):
    if want != got:
        raise AssertionError(f"{what}: expected {shown(want)}, got {shown(got)}")


def eventually(body, seconds=10):
    """Calls the body until it succeeds: a controller answers before its brokers have replayed a change."""
    end = time.monotonic() + seconds
    while True:
        try:
            return body()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def check(name, body, *args):
    started = time.monotonic()
    try:
        body(*args)
        print(f"ok {name}", flush=True)
    except Exception as e:
        frame = traceback.extract_tb(e.__traceback__)[-1]
        why = " ".join(f"{type(e).__name__}: {e} ({os.path.basename(frame.filename)}:{frame.lineno})".split())
        print(f"FAIL {name}: {why}", flush=True)
    if os.environ.get("COMPAT_TIMES"):
        print(f"# {int((time.monotonic() - started) * 1000)} ms {name}", flush=True)


def done():
    print("done", flush=True)
