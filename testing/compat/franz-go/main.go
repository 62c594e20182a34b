// franz-go: its producer, consumer, admin client, and its habit of speaking any protocol version it is told to.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"blumfeld.test/compat"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	mebibyte     = 1 << 20
	producedMaxB = 4 * mebibyte
	start        = int64(1_700_000_000_000)
)

var spec *compat.Spec

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Second)
}

func client(opts ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(spec.Bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(producedMaxB),
		kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}
	return kgo.NewClient(append(base, opts...)...)
}

func create(topic string, partitions int32, configs map[string]*string) error {
	cl, err := client()
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	adm := kadm.NewClient(cl)
	if _, err = adm.CreateTopic(ctx, partitions, 1, configs, topic); err != nil {
		return err
	}
	return compat.Eventually(func() error {
		ends, err := adm.ListEndOffsets(ctx, topic)
		return compat.First(err, ends.Error(), compat.Same("partitions", partitions, len(ends[topic])))
	})
}

func toKgo(topic string, r compat.Record) *kgo.Record {
	out := &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	return out
}

func fromKgo(r *kgo.Record) compat.Record {
	out := compat.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, compat.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

func write(topic *compat.Topic, opts ...kgo.Opt) error {
	cl, err := client(append([]kgo.Opt{kgo.ProducerBatchCompression(codecs[topic.Codec])}, opts...)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	var records []*kgo.Record
	for _, r := range topic.Records {
		records = append(records, toKgo(topic.Name, r))
	}
	results := cl.ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		return err
	}
	for i, r := range records {
		if r.Offset != topic.Records[i].Offset {
			return fmt.Errorf("record %d has offset %d, not %d", i, r.Offset, topic.Records[i].Offset)
		}
	}
	return nil
}

// take reads so many records of each partition.
func take(topic string, want map[int32]int, at kgo.Offset, opts ...kgo.Opt) (map[int32][]compat.Record, error) {
	offsets := map[int32]kgo.Offset{}
	total := 0
	for p, n := range want {
		offsets[p] = at
		total += n
	}
	cl, err := client(append([]kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})}, opts...)...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	got := map[int32][]compat.Record{}
	for n := 0; n < total; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("after %d of %d records: %w", n, total, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[r.Partition] = append(got[r.Partition], fromKgo(r))
			n++
		})
	}
	return got, nil
}

func read(topic *compat.Topic, opts ...kgo.Opt) error {
	want := map[int32]int{}
	for p := range topic.Partitions {
		want[p] = len(topic.Of(p))
	}
	got, err := take(topic.Name, want, kgo.NewOffset().AtStart(), opts...)
	if err != nil {
		return err
	}
	for p := range topic.Partitions {
		if err := topic.Compare(p, got[p], compat.Lossy{}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "consumer" {
		if err := runMember(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	phase, loaded := compat.Load()
	spec = loaded
	for i := range spec.Topics {
		topic := &spec.Topics[i]
		if phase == "check" {
			compat.Check("write "+topic.Name, func() error {
				return compat.First(create(topic.Name, topic.Partitions, nil), write(topic))
			})
		}
		compat.Check("read "+topic.Name, func() error { return read(topic) })
	}
	if phase == "check" {
		checks()
	}
	compat.Done()
}

func checks() {
	old := map[string]*kversion.Versions{"2.1": kversion.V2_1_0(), "2.4": kversion.V2_4_0(), "2.8": kversion.V2_8_0(), "3.4": kversion.V3_4_0(), "3.9": kversion.V3_9_0(), "4.0": kversion.V4_0_0()}
	for _, name := range []string{"2.1", "2.4", "2.8", "3.4", "3.9", "4.0"} {
		compat.Check("protocol of Kafka "+name, func() error { return atVersion(name, old[name]) })
	}
	for name, acks := range map[string]kgo.Acks{"none": kgo.NoAck(), "leader": kgo.LeaderAck(), "all": kgo.AllISRAcks()} {
		compat.Check("acks "+name, func() error { return withAcks(name, acks) })
	}
	compat.Check("1 MiB record", bigRecord)
	compat.Check("record too large", tooLarge)
	compat.Check("idempotent producer, many requests", manyRequests)
	compat.Check("seek by offset and timestamp", seeks)
	compat.Check("offset out of range", outOfRange)
	compat.Check("fetch limits", fetchLimits)
	compat.Check("read committed", readCommitted)
	compat.Check("admin topics", adminTopics)
	compat.Check("admin configs", adminConfigs)
	compat.Check("admin offsets and records", adminOffsets)
	compat.Check("admin cluster", adminCluster)
	compat.Check("consumer group", group)
}

func atVersion(name string, versions *kversion.Versions) error {
	fixture := spec.Topics[0]
	topic := &compat.Topic{Name: "franz-go-version-" + name + spec.Tag, Codec: "gzip", Partitions: fixture.Partitions, Timestamps: true, Records: fixture.Records[2:]}
	next := map[int32]int64{}
	topic.Records = append([]compat.Record(nil), topic.Records...)
	for i := range topic.Records {
		p := topic.Records[i].Partition
		topic.Records[i].Offset = next[p]
		next[p]++
	}
	return compat.First(
		create(topic.Name, topic.Partitions, nil),
		write(topic, kgo.MaxVersions(versions)),
		read(topic, kgo.MaxVersions(versions)),
	)
}

func produced(topic string, n int, opts ...kgo.Opt) error {
	cl, err := client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: topic, Timestamp: time.UnixMilli(start + int64(i)*10), Value: fmt.Appendf(nil, "value %d", i)})
	}
	return cl.ProduceSync(ctx, records...).FirstErr()
}

func values(topic string, n int, at kgo.Offset, opts ...kgo.Opt) error {
	got, err := take(topic, map[int32]int{0: n}, at, opts...)
	if err != nil {
		return err
	}
	for i, r := range got[0] {
		if string(r.Value) != fmt.Sprintf("value %d", i) || r.Offset != int64(i) {
			return fmt.Errorf("record %d is %q at offset %d", i, r.Value, r.Offset)
		}
	}
	return nil
}

func withAcks(name string, acks kgo.Acks) error {
	topic := "franz-go-acks-" + name + spec.Tag
	return compat.First(
		create(topic, 1, nil),
		produced(topic, 100, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite()),
		values(topic, 100, kgo.NewOffset().AtStart()),
	)
}

func bigRecord() error {
	topic := "franz-go-big" + spec.Tag
	limit := fmt.Sprint(2 * mebibyte)
	if err := create(topic, 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	cl, err := client(kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	value := compat.Pattern(mebibyte)
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
		return err
	}
	got, err := take(topic, map[int32]int{0: 1}, kgo.NewOffset().AtStart())
	if err != nil {
		return err
	}
	return compat.SameBytes("value", value, got[0][0].Value, false)
}

func tooLarge() error {
	topic := "franz-go-small" + spec.Tag
	limit := "1000"
	if err := create(topic, 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	cl, err := client(kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	err = cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, 2000)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		return fmt.Errorf("expected MESSAGE_TOO_LARGE, got %v", err)
	}
	return nil
}

func manyRequests() error {
	topic := "franz-go-many" + spec.Tag
	return compat.First(
		create(topic, 1, nil),
		produced(topic, 5000, kgo.ProducerBatchMaxBytes(2000), kgo.ProducerLinger(0)),
		values(topic, 5000, kgo.NewOffset().AtStart()),
	)
}

func seeks() error {
	topic := "franz-go-seek" + spec.Tag
	if err := compat.First(create(topic, 1, nil), produced(topic, 100, kgo.ProducerBatchMaxBytes(600))); err != nil {
		return err
	}
	offsets := map[int64]kgo.Offset{
		40: kgo.NewOffset().At(40),
		99: kgo.NewOffset().AtEnd().Relative(-1),
		7:  kgo.NewOffset().AtStart().Relative(7),
		34: kgo.NewOffset().AfterMilli(start + 335),
		0:  kgo.NewOffset().AfterMilli(start - 1000),
	}
	for want, at := range offsets {
		got, err := take(topic, map[int32]int{0: 1}, at)
		if err != nil {
			return fmt.Errorf("%v: %w", at, err)
		}
		if err := compat.Same(fmt.Sprint(at), want, got[0][0].Offset); err != nil {
			return err
		}
	}
	return nil
}

func outOfRange() error {
	topic := "franz-go-seek" + spec.Tag
	got, err := take(topic, map[int32]int{0: 1}, kgo.NewOffset().At(5000), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	if err := compat.Same("offset after the reset", 0, got[0][0].Offset); err != nil {
		return err
	}
	_, err = take(topic, map[int32]int{0: 1}, kgo.NewOffset().At(5000), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if !errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("expected OFFSET_OUT_OF_RANGE, got %v", err)
	}
	return nil
}

func fetchLimits() error {
	topic := "franz-go-many" + spec.Tag
	all := kgo.NewOffset().AtStart()
	return compat.First(
		values(topic, 5000, all, kgo.FetchMaxPartitionBytes(1), kgo.FetchMaxBytes(1)),
		values(topic, 5000, all, kgo.FetchMinBytes(1_000_000), kgo.FetchMaxWait(time.Second)),
		values(topic, 5000, all, kgo.DisableFetchSessions()),
	)
}

func readCommitted() error {
	return values("franz-go-many"+spec.Tag, 5000, kgo.NewOffset().AtStart(), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
}

func group() error {
	topic := "franz-go-many" + spec.Tag
	name := "franz-go-group" + spec.Tag
	part := func(n int) (first, next int64, err error) {
		cl, err := client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(name), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return 0, 0, err
		}
		defer cl.Close()
		ctx, cancel := within()
		defer cancel()
		first = -1
		var last *kgo.Record
		for seen := 0; seen < n; {
			fetches := cl.PollRecords(ctx, n-seen)
			if err := fetches.Err(); err != nil {
				return 0, 0, err
			}
			for _, r := range fetches.Records() {
				if first < 0 {
					first = r.Offset
				}
				last = r
				seen++
			}
		}
		return first, last.Offset + 1, cl.CommitRecords(ctx, last)
	}
	for _, want := range []int64{0, 1000, 2000} {
		first, next, err := part(1000)
		if err != nil {
			return err
		}
		if first != want || next != want+1000 {
			return fmt.Errorf("expected offsets %d to %d, got %d to %d", want, want+1000, first, next)
		}
	}
	return nil
}
