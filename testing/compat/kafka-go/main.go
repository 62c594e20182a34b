// kafka-go (segmentio): its low-level client with explicit records, and its Writer and Reader.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"blumfeld.test/compat"
	"github.com/segmentio/kafka-go"
)

const (
	mebibyte = 1 << 20
	start    = int64(1_700_000_000_000)
)

var (
	spec   *compat.Spec
	client *kafka.Client
)

var codecs = map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Second)
}

func create(topic string, partitions int, entries ...kafka.ConfigEntry) error {
	ctx, cancel := within()
	defer cancel()
	answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}}})
	if err != nil {
		return err
	}
	if answer.Errors[topic] != nil {
		return answer.Errors[topic]
	}
	// This client does not ask again when a broker does not lead the partition yet.
	return compat.Eventually(func() error {
		var wanted []kafka.OffsetRequest
		for p := range partitions {
			wanted = append(wanted, kafka.LastOffsetOf(p))
		}
		answer, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: wanted}})
		if err != nil {
			return err
		}
		for _, p := range answer.Topics[topic] {
			if p.Error != nil {
				return p.Error
			}
		}
		return compat.Same("partitions", partitions, len(answer.Topics[topic]))
	})
}

func optional(b []byte) kafka.Bytes {
	if b == nil {
		return nil
	}
	return kafka.NewBytes(b)
}

func write(topic *compat.Topic) error {
	ctx, cancel := within()
	defer cancel()
	for p := range topic.Partitions {
		var records []kafka.Record
		for _, r := range topic.Of(p) {
			record := kafka.Record{Time: time.UnixMilli(r.Timestamp), Key: optional(r.Key), Value: optional(r.Value)}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, kafka.Header{Key: h.Name, Value: h.Value})
			}
			records = append(records, record)
		}
		// The big record is the last of its partition and a batch of its own, so that the batches stay below the broker's limit.
		for _, batch := range [][]kafka.Record{records[:5], records[5:]} {
			answer, err := client.Produce(ctx, &kafka.ProduceRequest{Topic: topic.Name, Partition: int(p), RequiredAcks: kafka.RequireAll, Compression: codecs[topic.Codec], Records: kafka.NewRecordReader(batch...)})
			if err := compat.First(err, errorOf(answer)); err != nil {
				return err
			}
		}
	}
	return nil
}

func errorOf(answer *kafka.ProduceResponse) error {
	if answer == nil {
		return nil
	}
	for i, err := range answer.RecordErrors {
		return fmt.Errorf("record %d: %w", i, err)
	}
	return answer.Error
}

func bytesOf(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	return kafka.ReadAll(b)
}

func take(topic string, partition int32, offset int64, n int) ([]compat.Record, error) {
	ctx, cancel := within()
	defer cancel()
	var got []compat.Record
	for len(got) < n {
		answer, err := client.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Partition: int(partition), Offset: offset, MinBytes: 1, MaxBytes: 8 * mebibyte, MaxWait: 200 * time.Millisecond})
		if err != nil {
			return nil, err
		}
		if answer.Error != nil {
			return nil, answer.Error
		}
		for {
			r, err := answer.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			key, keyErr := bytesOf(r.Key)
			value, valueErr := bytesOf(r.Value)
			if err := compat.First(keyErr, valueErr); err != nil {
				return nil, err
			}
			if r.Offset < offset {
				continue
			}
			record := compat.Record{Partition: partition, Offset: r.Offset, Timestamp: r.Time.UnixMilli(), Key: key, Value: value}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, compat.Header{Name: h.Key, Value: h.Value})
			}
			got = append(got, record)
			offset = r.Offset + 1
		}
	}
	return got, nil
}

func read(topic *compat.Topic) error {
	for p := range topic.Partitions {
		got, err := take(topic.Name, p, 0, len(topic.Of(p)))
		if err != nil {
			return err
		}
		if err := topic.Compare(p, got, compat.Lossy{NullHeader: true}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	phase, loaded := compat.Load()
	spec = loaded
	address, err := net.ResolveTCPAddr("tcp", spec.Bootstrap)
	if err != nil {
		panic(err)
	}
	client = &kafka.Client{Addr: address, Timeout: 15 * time.Second}
	for i := range spec.Topics {
		topic := &spec.Topics[i]
		if phase == "check" {
			compat.Check("write "+topic.Name, func() error { return compat.First(create(topic.Name, int(topic.Partitions)), write(topic)) })
		}
		compat.Check("read "+topic.Name, func() error { return read(topic) })
	}
	if phase == "check" {
		checks()
	}
	compat.Done()
}

func checks() {
	for name, acks := range map[string]kafka.RequiredAcks{"none": kafka.RequireNone, "leader": kafka.RequireOne, "all": kafka.RequireAll} {
		compat.Check("writer and reader, acks "+name, func() error { return writerAndReader(name, acks) })
	}
	compat.Check("1 MiB record", bigRecord)
	compat.Check("record too large", tooLarge)
	compat.Check("offsets by time", offsetsByTime)
	compat.Check("offset out of range", outOfRange)
	compat.Check("dialed connection", dialed)
	compat.Check("admin topics", adminTopics)
	compat.Check("admin configs", adminConfigs)
	compat.Check("API versions", apiVersions)
	compat.Check("consumer group", group)
}

func messages(n int) []kafka.Message {
	var out []kafka.Message
	for i := range n {
		out = append(out, kafka.Message{Key: fmt.Appendf(nil, "key %d", i), Value: fmt.Appendf(nil, "value %d", i), Time: time.UnixMilli(start + int64(i)*10), Headers: []kafka.Header{{Key: "i", Value: fmt.Append(nil, i)}}})
	}
	return out
}

func writer(topic string, acks kafka.RequiredAcks) *kafka.Writer {
	return &kafka.Writer{Addr: kafka.TCP(spec.Bootstrap), Topic: topic, RequiredAcks: acks, BatchTimeout: 5 * time.Millisecond, BatchSize: 40, BatchBytes: 4 * mebibyte, Balancer: &kafka.RoundRobin{}}
}

func written(topic string, n int, acks kafka.RequiredAcks) error {
	w := writer(topic, acks)
	ctx, cancel := within()
	defer cancel()
	return compat.First(w.WriteMessages(ctx, messages(n)...), w.Close())
}

func writerAndReader(name string, acks kafka.RequiredAcks) error {
	topic := "kafka-go-acks-" + name + spec.Tag
	if err := compat.First(create(topic, 1), written(topic, 100, acks)); err != nil {
		return err
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{spec.Bootstrap}, Topic: topic, MaxWait: 200 * time.Millisecond, MaxBytes: 8 * mebibyte})
	defer r.Close()
	ctx, cancel := within()
	defer cancel()
	for i := range 100 {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return fmt.Errorf("after %d records: %w", i, err)
		}
		want := messages(i + 1)[i]
		if m.Offset != int64(i) || string(m.Key) != string(want.Key) || string(m.Value) != string(want.Value) || !m.Time.Equal(want.Time) || len(m.Headers) != 1 {
			return fmt.Errorf("record %d is %q at offset %d", i, m.Value, m.Offset)
		}
	}
	if err := r.SetOffset(57); err != nil {
		return err
	}
	m, err := r.ReadMessage(ctx)
	if err := compat.First(err, compat.Same("offset after seek", 57, m.Offset)); err != nil {
		return err
	}
	if err := r.SetOffsetAt(ctx, time.UnixMilli(start+335)); err != nil {
		return err
	}
	m, err = r.ReadMessage(ctx)
	return compat.First(err, compat.Same("offset after seek by time", 34, m.Offset))
}

func bigRecord() error {
	topic := "kafka-go-big" + spec.Tag
	if err := create(topic, 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: fmt.Sprint(2 * mebibyte)}); err != nil {
		return err
	}
	value := compat.Pattern(mebibyte)
	w := writer(topic, kafka.RequireAll)
	ctx, cancel := within()
	defer cancel()
	if err := compat.First(w.WriteMessages(ctx, kafka.Message{Value: value}), w.Close()); err != nil {
		return err
	}
	got, err := take(topic, 0, 0, 1)
	if err != nil {
		return err
	}
	return compat.SameBytes("value", value, got[0].Value, false)
}

func tooLarge() error {
	topic := "kafka-go-small" + spec.Tag
	if err := create(topic, 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "1000"}); err != nil {
		return err
	}
	w := writer(topic, kafka.RequireAll)
	defer w.Close()
	ctx, cancel := within()
	defer cancel()
	err := w.WriteMessages(ctx, kafka.Message{Value: make([]byte, 2000)})
	var many kafka.WriteErrors
	if errors.As(err, &many) {
		err = many[0]
	}
	if !errors.Is(err, kafka.MessageSizeTooLarge) {
		return fmt.Errorf("expected MESSAGE_TOO_LARGE, got %v", err)
	}
	return nil
}

func offsetsByTime() error {
	topic := "kafka-go-times" + spec.Tag
	if err := compat.First(create(topic, 1), written(topic, 100, kafka.RequireAll)); err != nil {
		return err
	}
	ctx, cancel := within()
	defer cancel()
	answer, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0), kafka.TimeOffsetOf(0, time.UnixMilli(start+335))}}})
	if err != nil {
		return err
	}
	p := answer.Topics[topic][0]
	if err := compat.First(p.Error, compat.Same("first", 0, p.FirstOffset), compat.Same("last", 100, p.LastOffset)); err != nil {
		return err
	}
	if _, ok := p.Offsets[34]; !ok {
		return fmt.Errorf("offset by time: %v", p.Offsets)
	}
	return nil
}

func outOfRange() error {
	_, err := take("kafka-go-times"+spec.Tag, 0, 5000, 1)
	if !errors.Is(err, kafka.OffsetOutOfRange) {
		return fmt.Errorf("expected OFFSET_OUT_OF_RANGE, got %v", err)
	}
	return nil
}

func dialed() error {
	ctx, cancel := within()
	defer cancel()
	topic := "kafka-go-times" + spec.Tag
	conn, err := kafka.DialLeader(ctx, "tcp", spec.Bootstrap, topic, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	if err := compat.First(err, compat.Same("first", 0, first), compat.Same("last", 100, last)); err != nil {
		return err
	}
	if _, err := conn.Seek(98, kafka.SeekAbsolute); err != nil {
		return err
	}
	m, err := conn.ReadMessage(mebibyte)
	if err := compat.First(err, compat.Same("value", "value 98", string(m.Value))); err != nil {
		return err
	}
	controller, err := conn.Controller()
	return compat.First(err, compat.Same("controller", spec.Bootstrap, fmt.Sprintf("%s:%d", controller.Host, controller.Port)))
}

func adminTopics() error {
	topic := "kafka-go-admin" + spec.Tag
	if err := create(topic, 2); err != nil {
		return err
	}
	if err := create(topic, 2); !errors.Is(err, kafka.TopicAlreadyExists) {
		return fmt.Errorf("created again: %v", err)
	}
	ctx, cancel := within()
	defer cancel()
	grown, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
	if err != nil || grown.Errors[topic] != nil {
		return fmt.Errorf("create partitions: %v %v", err, grown)
	}
	deleted, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || deleted.Errors[topic] != nil {
		return fmt.Errorf("delete: %v %v", err, deleted)
	}
	again, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || !errors.Is(again.Errors[topic], kafka.UnknownTopicOrPartition) {
		return fmt.Errorf("deleted again: %v %v", err, again)
	}
	return nil
}

func adminConfigs() error {
	topic := "kafka-go-configs" + spec.Tag
	if err := create(topic, 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "7200000"}); err != nil {
		return err
	}
	ctx, cancel := within()
	defer cancel()
	altered, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: "3000000", ConfigOperation: kafka.ConfigOperationSet}}}}})
	if err != nil || altered.Resources[0].Error != nil {
		return fmt.Errorf("alter: %v %v", err, altered)
	}
	return compat.Eventually(func() error {
		described, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
		if err := compat.First(err, described.Resources[0].Error, compat.Same("configs", 1, len(described.Resources[0].ConfigEntries))); err != nil {
			return err
		}
		return compat.Same("retention.ms", "3000000", described.Resources[0].ConfigEntries[0].ConfigValue)
	})
}

func apiVersions() error {
	ctx, cancel := within()
	defer cancel()
	answer, err := client.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
	if err := compat.First(err, answer.Error); err != nil {
		return err
	}
	if len(answer.ApiKeys) < 30 {
		return fmt.Errorf("only %d APIs", len(answer.ApiKeys))
	}
	return nil
}

func group() error {
	topic := "kafka-go-times" + spec.Tag
	for round := range 2 {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{spec.Bootstrap}, Topic: topic, GroupID: "kafka-go-group" + spec.Tag, StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond})
		ctx, cancel := within()
		defer cancel()
		for i := range 40 {
			m, err := r.FetchMessage(ctx)
			if err := compat.First(err, compat.Same("offset", round*40+i, m.Offset)); err != nil {
				r.Close()
				return err
			}
			if i == 39 {
				err = r.CommitMessages(ctx, m)
			}
			if err != nil {
				r.Close()
				return err
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}
