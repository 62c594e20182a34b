// sarama: its sync producer, partition consumers, admin client and consumer group, at several protocol versions.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"blumfeld.test/compat"
	"github.com/IBM/sarama"
)

const (
	mebibyte = 1 << 20
	start    = int64(1_700_000_000_000)
)

var spec *compat.Spec

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = 4 * mebibyte
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Retry.Backoff = 100 * time.Millisecond
	c.Metadata.Retry.Max = 10
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	return c
}

func administered(body func(admin sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin([]string{spec.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer admin.Close()
	return body(admin)
}

func create(topic string, partitions int32, entries map[string]*string) error {
	err := administered(func(admin sarama.ClusterAdmin) error {
		return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}, false)
	})
	if err != nil {
		return err
	}
	client, err := sarama.NewClient([]string{spec.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer client.Close()
	return compat.Eventually(func() error {
		for p := range partitions {
			if _, err := client.GetOffset(topic, p, sarama.OffsetNewest); err != nil {
				return err
			}
		}
		return nil
	})
}

func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func write(topic *compat.Topic, c *sarama.Config) error {
	c.Producer.Compression = codecs[topic.Codec]
	producer, err := sarama.NewSyncProducer([]string{spec.Bootstrap}, c)
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, r := range topic.Records {
		m := &sarama.ProducerMessage{Topic: topic.Name, Partition: r.Partition, Key: encoder(r.Key), Value: encoder(r.Value), Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		messages = append(messages, m)
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	for i, m := range messages {
		if m.Offset != topic.Records[i].Offset {
			return fmt.Errorf("record %d has offset %d, not %d", i, m.Offset, topic.Records[i].Offset)
		}
	}
	return nil
}

func record(m *sarama.ConsumerMessage) compat.Record {
	r := compat.Record{Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, compat.Header{Name: string(h.Key), Value: h.Value})
	}
	return r
}

func take(topic string, partition int32, offset int64, n int, c *sarama.Config) ([]compat.Record, error) {
	consumer, err := sarama.NewConsumer([]string{spec.Bootstrap}, c)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	return takeWith(consumer, topic, partition, offset, n)
}

func takeWith(consumer sarama.Consumer, topic string, partition int32, offset int64, n int) ([]compat.Record, error) {
	part, err := consumer.ConsumePartition(topic, partition, offset)
	if err != nil {
		return nil, err
	}
	defer part.Close()
	var got []compat.Record
	deadline := time.After(15 * time.Second)
	for len(got) < n {
		select {
		case m := <-part.Messages():
			got = append(got, record(m))
		case err := <-part.Errors():
			return nil, err
		case <-deadline:
			return nil, fmt.Errorf("only %d of %d records within 15 s", len(got), n)
		}
	}
	return got, nil
}

func read(topic *compat.Topic, c *sarama.Config) error {
	consumer, err := sarama.NewConsumer([]string{spec.Bootstrap}, c)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for p := range topic.Partitions {
		got, err := takeWith(consumer, topic.Name, p, sarama.OffsetOldest, len(topic.Of(p)))
		if err != nil {
			return err
		}
		// A ConsumerMessage does not tell null from empty.
		if err := topic.Compare(p, got, compat.Lossy{NullHeader: true}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	phase, loaded := compat.Load()
	spec = loaded
	for i := range spec.Topics {
		topic := &spec.Topics[i]
		if phase == "check" {
			compat.Check("write "+topic.Name, func() error { return compat.First(create(topic.Name, topic.Partitions, nil), write(topic, config())) })
		}
		compat.Check("read "+topic.Name, func() error { return read(topic, config()) })
	}
	if phase == "check" {
		checks()
	}
	compat.Done()
}

func checks() {
	for _, v := range []sarama.KafkaVersion{sarama.V2_1_0_0, sarama.V2_8_0_0, sarama.V3_3_0_0, sarama.V4_0_0_0} {
		compat.Check("protocol of Kafka "+v.String(), func() error { return atVersion(v) })
	}
	for name, acks := range map[string]sarama.RequiredAcks{"none": sarama.NoResponse, "leader": sarama.WaitForLocal, "all": sarama.WaitForAll} {
		compat.Check("acks "+name, func() error { return withAcks(name, acks) })
	}
	compat.Check("idempotent producer", idempotent)
	compat.Check("1 MiB record", bigRecord)
	compat.Check("record too large", tooLarge)
	compat.Check("offsets by time", offsetsByTime)
	compat.Check("offset out of range", outOfRange)
	compat.Check("waits for new records", waits)
	compat.Check("admin topics", adminTopics)
	compat.Check("admin configs", adminConfigs)
	compat.Check("admin delete records", adminDeleteRecords)
	compat.Check("consumer group", group)
}

func atVersion(v sarama.KafkaVersion) error {
	topic := compat.Topic{Name: "sarama-version-" + v.String() + spec.Tag, Codec: "snappy", Partitions: spec.Topics[0].Partitions, Timestamps: true}
	next := map[int32]int64{}
	for _, r := range spec.Topics[0].Records[2:] {
		r.Offset = next[r.Partition]
		next[r.Partition]++
		topic.Records = append(topic.Records, r)
	}
	producing, consuming := config(), config()
	producing.Version, consuming.Version = v, v
	return compat.First(create(topic.Name, topic.Partitions, nil), write(&topic, producing), read(&topic, consuming))
}

func produced(topic string, n int, c *sarama.Config) error {
	producer, err := sarama.NewSyncProducer([]string{spec.Bootstrap}, c)
	if err != nil {
		return err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for i := range n {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprintf("value %d", i)), Timestamp: time.UnixMilli(start + int64(i)*10)})
	}
	return producer.SendMessages(messages)
}

func values(topic string, n int, c *sarama.Config) error {
	got, err := take(topic, 0, sarama.OffsetOldest, n, c)
	if err != nil {
		return err
	}
	for i, r := range got {
		if string(r.Value) != fmt.Sprintf("value %d", i) || r.Offset != int64(i) {
			return fmt.Errorf("record %d is %q at offset %d", i, r.Value, r.Offset)
		}
	}
	return nil
}

func withAcks(name string, acks sarama.RequiredAcks) error {
	topic := "sarama-acks-" + name + spec.Tag
	c := config()
	c.Producer.RequiredAcks = acks
	return compat.First(create(topic, 1, nil), produced(topic, 100, c), values(topic, 100, config()))
}

func idempotent() error {
	topic := "sarama-idempotent" + spec.Tag
	c := config()
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Flush.MaxMessages = 7
	return compat.First(create(topic, 1, nil), produced(topic, 1000, c), values(topic, 1000, config()))
}

func bigRecord() error {
	topic := "sarama-big" + spec.Tag
	limit := fmt.Sprint(2 * mebibyte)
	if err := create(topic, 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	producer, err := sarama.NewSyncProducer([]string{spec.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer producer.Close()
	value := compat.Pattern(mebibyte)
	if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(value)}); err != nil {
		return err
	}
	got, err := take(topic, 0, 0, 1, config())
	if err != nil {
		return err
	}
	return compat.SameBytes("value", value, got[0].Value, false)
}

func tooLarge() error {
	topic := "sarama-small" + spec.Tag
	limit := "1000"
	if err := create(topic, 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	producer, err := sarama.NewSyncProducer([]string{spec.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer producer.Close()
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(make([]byte, 2000))})
	if !errors.Is(err, sarama.ErrMessageSizeTooLarge) {
		return fmt.Errorf("expected MESSAGE_TOO_LARGE, got %v", err)
	}
	return nil
}

func offsetsByTime() error {
	topic := "sarama-times" + spec.Tag
	if err := compat.First(create(topic, 1, nil), produced(topic, 100, config())); err != nil {
		return err
	}
	client, err := sarama.NewClient([]string{spec.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer client.Close()
	for at, want := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: 100, start + 335: 34, start - 1: 0, start + 990: 99, start + 991: -1} {
		got, err := client.GetOffset(topic, 0, at)
		if err := compat.First(err, compat.Same(fmt.Sprintf("offset at %d", at), want, got)); err != nil {
			return err
		}
	}
	got, err := take(topic, 0, 57, 3, config())
	if err != nil {
		return err
	}
	return compat.Same("value at 57", "value 57", string(got[0].Value))
}

func outOfRange() error {
	_, err := take("sarama-times"+spec.Tag, 0, 5000, 1, config())
	if !errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return fmt.Errorf("expected OFFSET_OUT_OF_RANGE, got %v", err)
	}
	return nil
}

func waits() error {
	topic := "sarama-waits" + spec.Tag
	if err := create(topic, 1, nil); err != nil {
		return err
	}
	c := config()
	c.Consumer.MaxWaitTime = 5 * time.Second
	consumer, err := sarama.NewConsumer([]string{spec.Bootstrap}, c)
	if err != nil {
		return err
	}
	part, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	// Closing would wait for the fetch that is under way.
	defer part.AsyncClose()
	time.Sleep(500 * time.Millisecond)
	if err := produced(topic, 1, config()); err != nil {
		return err
	}
	select {
	case m := <-part.Messages():
		return compat.Same("value", "value 0", string(m.Value))
	case err := <-part.Errors():
		return err
	case <-time.After(3 * time.Second):
		return errors.New("the waiting fetch was not woken by the append")
	}
}

func adminTopics() error {
	topic := "sarama-admin" + spec.Tag
	return administered(func(admin sarama.ClusterAdmin) error {
		detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}
		if err := admin.CreateTopic(topic, detail, false); err != nil {
			return err
		}
		if err := admin.CreateTopic(topic, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return fmt.Errorf("created again: %v", err)
		}
		if err := admin.CreatePartitions(topic, 4, nil, false); err != nil {
			return err
		}
		err := compat.Eventually(func() error {
			metadata, err := admin.DescribeTopics([]string{topic})
			return compat.First(err, compat.Same("partitions", 4, len(metadata[0].Partitions)))
		})
		if err != nil {
			return err
		}
		if err := admin.DeleteTopic(topic); err != nil {
			return err
		}
		if err := admin.DeleteTopic(topic); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("deleted again: %v", err)
		}
		return nil
	})
}

func adminConfigs() error {
	topic := "sarama-configs" + spec.Tag
	return administered(func(admin sarama.ClusterAdmin) error {
		retention, wanted := "7200000", "3000000"
		if err := create(topic, 1, map[string]*string{"retention.ms": &retention}); err != nil {
			return err
		}
		expect := func(value string) error {
			entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
			if err := compat.First(err, compat.Same("configs", 1, len(entries))); err != nil {
				return err
			}
			return compat.Same("retention.ms", value, entries[0].Value)
		}
		if err := expect(retention); err != nil {
			return err
		}
		change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &wanted}}
		return compat.First(admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false), compat.Eventually(func() error { return expect(wanted) }))
	})
}

func adminDeleteRecords() error {
	topic := "sarama-records" + spec.Tag
	if err := compat.First(create(topic, 1, nil), produced(topic, 50, config())); err != nil {
		return err
	}
	err := administered(func(admin sarama.ClusterAdmin) error { return admin.DeleteRecords(topic, map[int32]int64{0: 20}) })
	if err != nil {
		return err
	}
	got, err := take(topic, 0, sarama.OffsetOldest, 1, config())
	if err != nil {
		return err
	}
	return compat.Same("first offset", 20, got[0].Offset)
}

type collector struct {
	n    int
	want int
	last int64
	stop context.CancelFunc
}

func (c *collector) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *collector) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (c *collector) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			if c.n < c.want {
				session.MarkMessage(m, "")
				c.last = m.Offset
				c.n++
			}
			if c.n == c.want {
				session.Commit()
				c.stop()
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func group() error {
	topic := "sarama-idempotent" + spec.Tag
	for round := range 2 {
		g, err := sarama.NewConsumerGroup([]string{spec.Bootstrap}, "sarama-group"+spec.Tag, config())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		c := &collector{want: 400, stop: cancel}
		err = g.Consume(ctx, []string{topic}, c)
		cancel()
		if err := compat.First(err, g.Close(), compat.Same("records", 400, c.n), compat.Same("last offset", 400*(round+1)-1, c.last)); err != nil {
			return err
		}
	}
	return nil
}
