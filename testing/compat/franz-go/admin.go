package main

import (
	"context"
	"errors"
	"fmt"

	"blumfeld.test/compat"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func administered(body func(ctx context.Context, adm *kadm.Client) error) error {
	cl, err := client()
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := within()
	defer cancel()
	return body(ctx, kadm.NewClient(cl))
}

func adminTopics() error {
	topic := "franz-go-admin" + spec.Tag
	return administered(func(ctx context.Context, adm *kadm.Client) error {
		if _, err := adm.CreateTopic(ctx, 2, 1, nil, topic); err != nil {
			return err
		}
		if _, err := adm.CreateTopic(ctx, 2, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("created again: %v", err)
		}
		updated, err := adm.UpdatePartitions(ctx, 4, topic)
		if err := compat.First(err, updated.Error()); err != nil {
			return err
		}
		var details kadm.TopicDetails
		err = compat.Eventually(func() error {
			details, err = adm.ListTopics(ctx, topic)
			return compat.First(err, details.Error(), compat.Same("partitions", 4, len(details[topic].Partitions)))
		})
		if err != nil {
			return err
		}
		if details[topic].ID == (kadm.TopicID{}) {
			return errors.New("no topic id")
		}
		deleted, err := adm.DeleteTopics(ctx, topic)
		if err := compat.First(err, deleted.Error()); err != nil {
			return err
		}
		again, err := adm.DeleteTopics(ctx, topic)
		if err != nil || !errors.Is(again[topic].Err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("deleted again: %v", again[topic].Err)
		}
		return nil
	})
}

func adminConfigs() error {
	topic := "franz-go-configs" + spec.Tag
	return administered(func(ctx context.Context, adm *kadm.Client) error {
		retention := "7200000"
		if err := create(topic, 1, map[string]*string{"retention.ms": &retention}); err != nil {
			return err
		}
		value := func(name string) (string, error) {
			configs, err := adm.DescribeTopicConfigs(ctx, topic)
			if err != nil {
				return "", err
			}
			rc, err := configs.On(topic, nil)
			if err != nil {
				return "", err
			}
			for _, c := range rc.Configs {
				if c.Key == name {
					return c.MaybeValue(), nil
				}
			}
			return "", fmt.Errorf("no config %s", name)
		}
		got, err := value("retention.ms")
		if err := compat.First(err, compat.Same("retention.ms", retention, got)); err != nil {
			return err
		}
		want := "3000000"
		altered, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &want}}, topic)
		if err != nil || altered[0].Err != nil {
			return fmt.Errorf("alter: %v %v", err, altered)
		}
		return compat.Eventually(func() error {
			got, err = value("retention.ms")
			return compat.First(err, compat.Same("retention.ms", want, got))
		})
	})
}

func adminOffsets() error {
	topic := "franz-go-records" + spec.Tag
	if err := compat.First(create(topic, 1, nil), produced(topic, 50)); err != nil {
		return err
	}
	return administered(func(ctx context.Context, adm *kadm.Client) error {
		var to kadm.Offsets
		to.AddOffset(topic, 0, 20, -1)
		deleted, err := adm.DeleteRecords(ctx, to)
		if err := compat.First(err, deleted.Error()); err != nil {
			return err
		}
		starts, err := adm.ListStartOffsets(ctx, topic)
		first, _ := starts.Lookup(topic, 0)
		if err := compat.First(err, compat.Same("start", 20, first.Offset)); err != nil {
			return err
		}
		ends, err := adm.ListEndOffsets(ctx, topic)
		last, _ := ends.Lookup(topic, 0)
		if err := compat.First(err, compat.Same("end", 50, last.Offset)); err != nil {
			return err
		}
		timed, err := adm.ListOffsetsAfterMilli(ctx, start+305, topic)
		at, _ := timed.Lookup(topic, 0)
		return compat.First(err, compat.Same("by timestamp", 31, at.Offset))
	})
}

func adminCluster() error {
	return administered(func(ctx context.Context, adm *kadm.Client) error {
		metadata, err := adm.BrokerMetadata(ctx)
		if err != nil {
			return err
		}
		broker := metadata.Brokers[0]
		if err := compat.Same("address", spec.Bootstrap, fmt.Sprintf("%s:%d", broker.Host, broker.Port)); err != nil {
			return err
		}
		dirs, err := adm.DescribeAllLogDirs(ctx, nil)
		if err := compat.First(err, dirs[broker.NodeID].Error()); err != nil {
			return err
		}
		versions, err := adm.ApiVersions(ctx)
		if err != nil {
			return err
		}
		return versions[broker.NodeID].Err
	})
}
