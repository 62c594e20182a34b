"""librdkafka through confluent-kafka: producer, assigned and subscribed consumer, admin client.  main.py check|read SPECIFICATION"""
import random
import sys
import time

from checks import Record, Spec, check, done, eventually, same
from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicCollection,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

MEBIBYTE = 1 << 20
START = 1_700_000_000_000
SECONDS = 15

phase, spec = sys.argv[1], Spec(sys.argv[2])
admin = AdminClient({"bootstrap.servers": spec.bootstrap})


def create(topic, partitions=1, config=None):
    admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(SECONDS)

    def known():
        found = admin.list_topics(timeout=10).topics[topic]
        same("partitions with a leader", partitions, sum(1 for p in found.partitions.values() if p.leader >= 0))
    eventually(known)


def producer(**settings):
    return Producer({"bootstrap.servers": spec.bootstrap, "message.max.bytes": 4 * MEBIBYTE, "linger.ms": 5, "message.timeout.ms": 15000,
                     **{name.replace("_", "."): value for name, value in settings.items()}})


def consumer(**settings):
    return Consumer({"bootstrap.servers": spec.bootstrap, "group.id": "librdkafka-unused" + spec.tag, "enable.auto.commit": False,
                     "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "check.crcs": True,
                     **{name.replace("_", "."): value for name, value in settings.items()}})


def send(p, records):
    """Sends (topic, partition, record arguments) and returns the delivered messages."""
    delivered = []

    def on_delivery(error, message):
        delivered.append((error, message))
    for topic, partition, arguments in records:
        while True:
            try:
                p.produce(topic, partition=partition, on_delivery=on_delivery, **arguments)
                break
            except BufferError:
                p.poll(0.05)
    same("messages still queued", 0, p.flush(SECONDS))
    for error, _ in delivered:
        if error is not None:
            raise KafkaException(error)
    return [message for _, message in delivered]


def record(m):
    return Record(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers() or [])


def take(c, counts):
    """So many records of each partition that the consumer is assigned to."""
    got = {p: [] for p in counts}
    end = time.monotonic() + SECONDS
    while any(len(got[p]) < n for p, n in counts.items()):
        if time.monotonic() > end:
            raise AssertionError(f"only { {p: len(r) for p, r in got.items()} } of {counts} within {SECONDS} s")
        for m in c.consume(500, 0.1):
            if m.error():
                raise KafkaException(m.error())
            got[m.partition()].append(record(m))
    return got


def write(topic):
    create(topic.name, topic.partitions)
    p = producer(compression_type=topic.codec)
    messages = send(p, [(topic.name, r.partition, {"key": r.key, "value": r.value, "timestamp": r.timestamp, "headers": r.headers or None}) for r in topic.records])
    same("delivered", len(topic.records), len(messages))
    for partition in range(topic.partitions):
        offsets = [m.offset() for m in messages if m.partition() == partition]
        same("offsets", list(range(len(topic.of(partition)))), offsets)


def read_all(topics):
    """Reads all topics through one assignment; what is missing at the deadline shows when each is compared."""
    got = {(t.name, p): [] for t in topics for p in range(t.partitions)}
    wanted = sum(len(t.records) for t in topics)
    c = consumer()
    c.assign([TopicPartition(name, p, OFFSET_BEGINNING) for name, p in got])
    end = time.monotonic() + 2 * SECONDS
    while wanted > 0 and time.monotonic() < end:
        for m in c.consume(500, 0.1):
            if m.error():
                print(f"# {m.topic()}-{m.partition()}: {m.error()}")
            else:
                got[m.topic(), m.partition()].append(record(m))
                wanted -= 1
    c.close()
    return got


def compare(topic, got):
    for p in range(topic.partitions):
        topic.compare(p, got[topic.name, p])


def numbered(topic, n, **settings):
    return send(producer(**settings), [(topic, 0, {"value": f"value {i}", "timestamp": START + i * 10}) for i in range(n)])


def expect_numbered(topic, n, **settings):
    c = consumer(**settings)
    try:
        c.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        got = take(c, {0: n})[0]
        same("values", [f"value {i}".encode() for i in range(n)], [r.value for r in got])
        same("offsets", list(range(n)), [r.offset for r in got])
    finally:
        c.close()


def refused(code, body):
    try:
        body()
    except KafkaException as e:
        same("error", KafkaError(code).name(), e.args[0].name())
        return
    raise AssertionError(f"expected {KafkaError(code).name()}, but it succeeded")


def acks(value):
    topic = f"librdkafka-acks-{value}{spec.tag}"
    create(topic)
    numbered(topic, 100, acks=value)
    expect_numbered(topic, 100)


def idempotent():
    topic = "librdkafka-idempotent" + spec.tag
    create(topic)
    messages = numbered(topic, 3000, enable_idempotence=True, batch_num_messages=10, linger_ms=0)
    same("offsets", list(range(3000)), [m.offset() for m in messages])
    expect_numbered(topic, 3000)


def many():
    topic = "librdkafka-many" + spec.tag
    create(topic, 3)
    value = b"x" * 100
    p = producer(compression_type="zstd")
    send(p, [(topic, i % 3, {"key": str(i), "value": value}) for i in range(30000)])
    c = consumer()
    c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(3)])
    got = take(c, {p: 10000 for p in range(3)})
    c.close()
    for p in range(3):
        same("keys", [str(i).encode() for i in range(p, 30000, 3)], [r.key for r in got[p]])


def partitioner():
    topic = "librdkafka-partitioner" + spec.tag
    create(topic, 6)
    p = producer(partitioner="murmur2_random")
    messages = send(p, [(topic, -1, {"key": f"key {i}", "value": "v"}) for i in range(60)])
    same("keyed messages reach several partitions", True, len({m.partition() for m in messages}) > 3)


def mebibyte(codec):
    topic = f"librdkafka-mebibyte-{codec}{spec.tag}"
    create(topic, 1, {"max.message.bytes": str(2 * MEBIBYTE)})
    values = [random.Random(codec).randbytes(MEBIBYTE), b"a" * MEBIBYTE]
    send(producer(compression_type=codec), [(topic, 0, {"value": v}) for v in values])
    c = consumer()
    c.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    got = take(c, {0: 2})[0]
    c.close()
    same("values", values, [r.value for r in got])


def too_large():
    topic = "librdkafka-small" + spec.tag
    create(topic, 1, {"max.message.bytes": "1000"})
    refused(KafkaError.MSG_SIZE_TOO_LARGE, lambda: send(producer(), [(topic, 0, {"value": b"x" * 2000})]))


def unknown_partition():
    topic = "librdkafka-small" + spec.tag
    refused(KafkaError._UNKNOWN_PARTITION, lambda: send(producer(), [(topic, 7, {"value": b"x"})]))


def auto_create():
    topic = "librdkafka-created" + spec.tag
    send(producer(), [(topic, -1, {"value": b"x"})])
    same("partitions", 1, len(admin.list_topics(topic, 10).topics[topic].partitions))


def seek():
    topic = "librdkafka-seek" + spec.tag
    create(topic)
    numbered(topic, 100, batch_num_messages=7)
    c = consumer()
    c.assign([TopicPartition(topic, 0, 40)])
    same("first offset", 40, take(c, {0: 1})[0][0].offset)
    for offset in (99, 0, 57):
        c.seek(TopicPartition(topic, 0, offset))
        same("offset after seek", offset, take(c, {0: 1})[0][0].offset)
    same("watermarks", (0, 100), c.get_watermark_offsets(TopicPartition(topic, 0), 10))
    for at, want in ((START, 0), (START + 335, 34), (START - 1, 0), (START + 990, 99), (START + 991, OFFSET_END)):
        found = c.offsets_for_times([TopicPartition(topic, 0, at)], 10)[0]
        same(f"offset for {at - START}", want, found.offset)
    c.assign([TopicPartition(topic, 0, OFFSET_END)])
    time.sleep(0.3)
    send(producer(), [(topic, 0, {"value": b"last"})])
    same("value at the end", b"last", take(c, {0: 1})[0][0].value)
    c.close()


def waits():
    topic = "librdkafka-waits" + spec.tag
    create(topic)
    c = consumer(fetch_wait_max_ms=5000)
    c.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    c.consume(1, 0.5)
    for i in range(3):
        send(producer(linger_ms=0), [(topic, 0, {"value": f"{i}"})])
        started = time.monotonic()
        same("value", f"{i}".encode(), take(c, {0: 1})[0][0].value)
        same("the append wakes the waiting fetch", True, time.monotonic() - started < 3)
    c.close()


def out_of_range():
    topic = "librdkafka-seek" + spec.tag
    c = consumer(auto_offset_reset="error")
    c.assign([TopicPartition(topic, 0, 5000)])
    refused(KafkaError._AUTO_OFFSET_RESET, lambda: take(c, {0: 1}))
    c.close()
    c = consumer(auto_offset_reset="earliest")
    c.assign([TopicPartition(topic, 0, 5000)])
    same("offset after the reset", 0, take(c, {0: 1})[0][0].offset)
    c.close()


def fetch_limits():
    topic = "librdkafka-idempotent" + spec.tag
    expect_numbered(topic, 3000, max_partition_fetch_bytes=1000)
    expect_numbered(topic, 3000, fetch_max_bytes=2000, message_max_bytes=1000)
    expect_numbered(topic, 3000, fetch_min_bytes=100000, fetch_wait_max_ms=500)
    expect_numbered(topic, 3000, isolation_level="read_committed")


def admin_topics():
    topic = "librdkafka-admin" + spec.tag
    create(topic, 2, {"retention.ms": "7200000"})
    refused(KafkaError.TOPIC_ALREADY_EXISTS, lambda: admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS))
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(SECONDS)
    eventually(lambda: same("partitions", 4, len(admin.list_topics(topic, 10).topics[topic].partitions)))
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(SECONDS)
    same("described partitions", [0, 1, 2, 3], [p.id for p in described.partitions])
    same("leaders", True, all(p.leader is not None and len(p.isr) == 1 for p in described.partitions))
    admin.delete_topics([topic])[topic].result(SECONDS)
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: admin.delete_topics([topic])[topic].result(SECONDS))


def admin_configs():
    topic = "librdkafka-configs" + spec.tag
    create(topic, 1, {"retention.ms": "7200000"})
    resource = ConfigResource(ResourceType.TOPIC, topic)

    def value(name):
        return list(admin.describe_configs([resource]).values())[0].result(SECONDS)[name].value
    same("retention.ms", "7200000", value("retention.ms"))
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[ConfigEntry("retention.ms", "3000000", incremental_operation=AlterConfigOpType.SET)])
    list(admin.incremental_alter_configs([change]).values())[0].result(SECONDS)
    eventually(lambda: same("retention.ms", "3000000", value("retention.ms")))


def admin_records():
    topic = "librdkafka-records" + spec.tag
    create(topic)
    numbered(topic, 50)
    partition = TopicPartition(topic, 0)
    deleted = list(admin.delete_records([TopicPartition(topic, 0, 20)]).values())[0].result(SECONDS)
    same("low watermark", 20, deleted.low_watermark)

    def offset(of):
        return list(admin.list_offsets({partition: of}, isolation_level=IsolationLevel.READ_COMMITTED).values())[0].result(SECONDS).offset
    same("earliest", 20, offset(OffsetSpec.earliest()))
    same("latest", 50, offset(OffsetSpec.latest()))
    same("greatest timestamp", 49, offset(OffsetSpec.max_timestamp()))
    same("by timestamp", 31, offset(OffsetSpec.for_timestamp(START + 305)))


def admin_cluster():
    cluster = admin.describe_cluster().result(SECONDS)
    same("address", spec.bootstrap, f"{cluster.nodes[0].host}:{cluster.nodes[0].port}")
    same("cluster id", True, len(cluster.cluster_id) == 22)


def group(protocol):
    topic = "librdkafka-idempotent" + spec.tag
    settings = {"group_id": f"librdkafka-group-{protocol}{spec.tag}", "group_protocol": protocol}
    for round in range(2):
        c = consumer(**settings)
        c.subscribe([topic])
        got = take(c, {0: 1000})[0]
        same("first offset", round * 1000, got[0].offset)
        c.commit(offsets=[TopicPartition(topic, 0, (round + 1) * 1000)], asynchronous=False)
        same("committed", (round + 1) * 1000, c.committed([TopicPartition(topic, 0)], 10)[0].offset)
        c.close()


def main():
    for topic in spec.topics:
        if phase == "check":
            check("write " + topic.name, write, topic)
    got = read_all(spec.topics)
    for topic in spec.topics:
        check("read " + topic.name, compare, topic, got)
    if phase == "check":
        for value in ("0", "1", "all"):
            check(f"acks {value}", acks, value)
        check("idempotent producer, many small batches", idempotent)
        check("30000 records over partitions", many)
        check("partitioner", partitioner)
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            check(f"1 MiB record {codec}", mebibyte, codec)
        check("record too large", too_large)
        check("unknown partition", unknown_partition)
        check("unknown topic is created", auto_create)
        check("seek, watermarks, offsets for times", seek)
        check("waits for new records", waits)
        check("offset out of range", out_of_range)
        check("fetch limits and read committed", fetch_limits)
        check("admin topics", admin_topics)
        check("admin configs", admin_configs)
        check("admin records and offsets", admin_records)
        check("admin cluster", admin_cluster)
        check("consumer group, classic", group, "classic")
        check("consumer group, consumer protocol", group, "consumer")
    done()


main()
