package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// holding is what a member holds by its own account, told whenever it changes.
type holding struct {
	sync.Mutex
	partitions map[int32]bool
}

func say(event string, fields map[string]any) {
	line := map[string]any{"event": event, "ms": time.Now().UnixMilli()}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	// The event's name leads, so that whoever reads knows the line.
	rest := strings.Replace(string(text), `"event":"`+event+`",`, "", 1)
	fmt.Println(`{"event":"` + event + `",` + strings.TrimPrefix(rest, "{"))
}

func (h *holding) list() []int32 {
	out := []int32{}
	for partition := range h.partitions {
		out = append(out, partition)
	}
	sort.Slice(out, func(a, b int) bool { return out[a] < out[b] })
	return out
}

func (h *holding) gained(topic string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, cl *kgo.Client, gained map[string][]int32) {
		h.Lock()
		defer h.Unlock()
		for _, partition := range gained[topic] {
			h.partitions[partition] = true
		}
		say("assigned", map[string]any{"partitions": h.list()})
	}
}

func (h *holding) gone(topic, event string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
		h.Lock()
		defer h.Unlock()
		partitions := append([]int32{}, gone[topic]...)
		for _, partition := range partitions {
			delete(h.partitions, partition)
		}
		say(event, map[string]any{"partitions": partitions})
	}
}

// runMember is a member of a group in a process of its own: it prints what it polls and then commits it; SIGTERM makes it leave.
func runMember(args []string) error {
	options := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		options[name] = value
	}
	topic := options["topic"]
	held := &holding{partitions: map[int32]bool{}}
	opts := []kgo.Opt{
		kgo.SeedBrokers(options["bootstrap"]), kgo.ClientID(options["client"]), kgo.ConsumerGroup(options["group"]), kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(held.gained(topic)), kgo.OnPartitionsRevoked(held.gone(topic, "revoked")), kgo.OnPartitionsLost(held.gone(topic, "lost")),
	}
	if options["protocol"] == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer())
	} else {
		session, err := strconv.Atoi(options["session"])
		if err != nil {
			return err
		}
		balancers := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}
		opts = append(opts, kgo.Balancers(balancers[options["assignor"]]), kgo.SessionTimeout(time.Duration(session)*time.Millisecond), kgo.HeartbeatInterval(500*time.Millisecond), kgo.RebalanceTimeout(30*time.Second))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	say("started", map[string]any{"pid": os.Getpid()})
	for ctx.Err() == nil {
		polling, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := cl.PollFetches(polling)
		cancel()
		fetches.EachError(func(_ string, partition int32, err error) {
			if polling.Err() == nil {
				say("failed", map[string]any{"partition": partition, "why": err.Error()})
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			offsets := []int64{}
			for _, r := range p.Records {
				offsets = append(offsets, r.Offset)
			}
			if len(offsets) > 0 {
				say("records", map[string]any{"partition": p.Partition, "offsets": offsets})
			}
		})
		if fetches.NumRecords() > 0 {
			if err := cl.CommitUncommittedOffsets(context.Background()); err != nil {
				say("uncommitted", map[string]any{"why": err.Error()})
			}
		}
		cl.AllowRebalance()
	}
	cl.Close()
	say("left", nil)
	return nil
}
