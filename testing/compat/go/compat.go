// Package compat is what the Go programs share: the runner's specification, the lines they print, and the comparison of records.
package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Header is one header of a record; a nil value is null.
type Header struct {
	Name  string
	Value []byte
}

// Record is what was or must be written; nil keys and values are null.
type Record struct {
	Partition int32
	Offset    int64
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Topic is one of the fixture's topics with its records.
type Topic struct {
	Name       string
	Codec      string
	Partitions int32
	Timestamps bool
	Records    []Record
}

// Spec is what the runner hands over.
type Spec struct {
	Bootstrap string
	Tag       string
	Topics    []Topic
}

type jsonSpec struct {
	Bootstrap string
	Tag       string
	Records   []struct {
		Partition    int32
		Timestamp    int64
		Key          *[]byte
		Value        *[]byte
		ValueIsTopic bool
		Headers      [][2]*string
	}
	Topics []struct {
		Name       string
		Codec      string
		Partitions int32
		Timestamps bool
		Records    []int
	}
}

func decoded(base64 *string) []byte {
	if base64 == nil {
		return nil
	}
	out := []byte{}
	if err := json.Unmarshal([]byte(`"`+*base64+`"`), &out); err != nil {
		panic(err)
	}
	if out == nil {
		out = []byte{}
	}
	return out
}

func present(b *[]byte) []byte {
	if b == nil {
		return nil
	}
	if *b == nil {
		return []byte{}
	}
	return *b
}

// Load reads the phase and the specification from the command line.
func Load() (phase string, spec *Spec) {
	if len(os.Args) != 3 {
		panic("usage: PROGRAM check|read SPECIFICATION")
	}
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	var raw jsonSpec
	if err := json.Unmarshal(text, &raw); err != nil {
		panic(err)
	}
	spec = &Spec{Bootstrap: raw.Bootstrap, Tag: raw.Tag}
	for _, t := range raw.Topics {
		topic := Topic{Name: t.Name, Codec: t.Codec, Partitions: t.Partitions, Timestamps: t.Timestamps}
		next := map[int32]int64{}
		for _, index := range t.Records {
			r := raw.Records[index]
			partition := r.Partition % t.Partitions
			record := Record{Partition: partition, Offset: next[partition], Timestamp: r.Timestamp, Key: present(r.Key), Value: present(r.Value)}
			next[partition]++
			if r.ValueIsTopic {
				record.Value = []byte(t.Name)
			}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, Header{Name: *h[0], Value: decoded(h[1])})
			}
			topic.Records = append(topic.Records, record)
		}
		spec.Topics = append(spec.Topics, topic)
	}
	return os.Args[1], spec
}

// Of returns the records of one partition in their order.
func (t *Topic) Of(partition int32) []Record {
	var out []Record
	for _, r := range t.Records {
		if r.Partition == partition {
			out = append(out, r)
		}
	}
	return out
}

// Lossy says what a client's interface cannot tell apart when it reads.
type Lossy struct {
	NullHeader bool // null and empty header values
	NullKey    bool // null and empty keys
	NullValue  bool // null and empty values
}

// Compare checks what was read from one partition against the fixture.
func (t *Topic) Compare(partition int32, got []Record, lossy Lossy) error {
	want := t.Of(partition)
	if len(want) != len(got) {
		return fmt.Errorf("partition %d: expected %d records, got %d", partition, len(want), len(got))
	}
	for i := range want {
		if err := t.compareRecord(want[i], got[i], lossy); err != nil {
			return fmt.Errorf("partition %d offset %d: %w", partition, i, err)
		}
	}
	return nil
}

func (t *Topic) compareRecord(want, got Record, lossy Lossy) error {
	if want.Offset != got.Offset {
		return fmt.Errorf("offset is %d", got.Offset)
	}
	if t.Timestamps && want.Timestamp != got.Timestamp {
		return fmt.Errorf("timestamp: expected %d, got %d", want.Timestamp, got.Timestamp)
	}
	if err := SameBytes("key", want.Key, got.Key, lossy.NullKey); err != nil {
		return err
	}
	if err := SameBytes("value", want.Value, got.Value, lossy.NullValue); err != nil {
		return err
	}
	if len(want.Headers) != len(got.Headers) {
		return fmt.Errorf("expected %d headers, got %d", len(want.Headers), len(got.Headers))
	}
	for i, h := range want.Headers {
		if h.Name != got.Headers[i].Name {
			return fmt.Errorf("header %d is called %q, not %q", i, got.Headers[i].Name, h.Name)
		}
		if err := SameBytes("header "+h.Name, h.Value, got.Headers[i].Value, lossy.NullHeader); err != nil {
			return err
		}
	}
	return nil
}

// SameBytes compares, null and empty being different unless nullIsEmpty.
func SameBytes(what string, want, got []byte, nullIsEmpty bool) error {
	if !bytes.Equal(want, got) || (!nullIsEmpty && (want == nil) != (got == nil)) {
		return fmt.Errorf("%s: expected %s, got %s", what, shown(want), shown(got))
	}
	return nil
}

func shown(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes %x", len(b), b[:min(len(b), 24)])
}

// Check runs one check and prints its line.
func Check(name string, body func() error) {
	started := time.Now()
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		return body()
	}()
	if err == nil {
		fmt.Println("ok " + name)
	} else {
		fmt.Println("FAIL " + name + ": " + strings.Join(strings.Fields(err.Error()), " "))
	}
	if os.Getenv("COMPAT_TIMES") != "" {
		fmt.Printf("# %d ms %s\n", time.Since(started).Milliseconds(), name)
	}
}

// Done is the last thing a program does.
func Done() { fmt.Println("done") }

// Same compares two values by their printed form.
func Same(what string, want, got any) error {
	if fmt.Sprint(want) != fmt.Sprint(got) {
		return fmt.Errorf("%s: expected %v, got %v", what, want, got)
	}
	return nil
}

// Eventually calls body until it succeeds, for at most ten seconds. A controller answers before its brokers have replayed a change.
func Eventually(body func() error) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := body()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// First returns the first error.
func First(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Pattern is n bytes that do not compress to nothing.
func Pattern(n int) []byte {
	out := make([]byte, n)
	x := uint32(2463534242)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x)
	}
	return out
}
