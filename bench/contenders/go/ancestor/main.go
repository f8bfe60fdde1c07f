// Command ancestor counts the unique users of every minute in the way of a Go program of 2020: kafka-go,
// a pool of goroutines for encoding/json, channels between them, and one goroutine with a map per minute.
//
// ancestor BOOTSTRAP TOPIC RESULT
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"contenders/windows"
)

// Messages that wait in a channel.
const waiting = 1000

type record struct {
	Ts  int64  `json:"ts"`
	UID string `json:"uid"`
}

// ends looks up the partitions of a topic and the offsets at which they end.
func ends(ctx context.Context, bootstrap, topic string) (map[int]int64, error) {
	partitions, err := kafka.LookupPartitions(ctx, "tcp", bootstrap, topic)
	if err != nil {
		return nil, err
	}
	ends := make(map[int]int64)
	for _, partition := range partitions {
		conn, err := kafka.DialPartition(ctx, "tcp", bootstrap, partition)
		if err != nil {
			return nil, err
		}
		ends[partition.ID], err = conn.ReadLastOffset()
		conn.Close()
		if err != nil {
			return nil, err
		}
	}
	return ends, nil
}

// read sends every message of a partition up to its end.
func read(ctx context.Context, bootstrap, topic string, partition int, end int64, messages chan<- []byte) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:        []string{bootstrap},
		Topic:          topic,
		Partition:      partition,
		MaxBytes:       10e6,
		QueueCapacity:  waiting,
		IsolationLevel: kafka.ReadCommitted,
	})
	defer reader.Close()
	for left := end; left > 0; left-- {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			log.Fatal(err)
		}
		messages <- message.Value
	}
}

// decode sends on what is a record.
func decode(messages <-chan []byte, records chan<- record) {
	for message := range messages {
		var decoded record
		if json.Unmarshal(message, &decoded) == nil && decoded.UID != "" {
			records <- decoded
		}
	}
}

func count(ctx context.Context, bootstrap, topic string, ends map[int]int64) windows.Windows {
	messages, records := make(chan []byte, waiting), make(chan record, waiting)
	var readers, decoders sync.WaitGroup
	for partition, end := range ends {
		readers.Go(func() { read(ctx, bootstrap, topic, partition, end, messages) })
	}
	for range runtime.GOMAXPROCS(0) {
		decoders.Go(func() { decode(messages, records) })
	}
	go func() {
		readers.Wait()
		close(messages)
		decoders.Wait()
		close(records)
	}()
	counted := make(windows.Windows)
	for record := range records {
		counted.Add(record.Ts, record.UID)
	}
	return counted
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: ancestor BOOTSTRAP TOPIC RESULT")
	}
	bootstrap, topic, result := os.Args[1], os.Args[2], os.Args[3]
	ctx := context.Background()
	ends, err := ends(ctx, bootstrap, topic)
	if err != nil {
		log.Fatal(err)
	}
	started := time.Now()
	uniques := windows.Uniques([]windows.Windows{count(ctx, bootstrap, topic, ends)})
	took := time.Since(started)
	total := int64(0)
	for _, end := range ends {
		total += end
	}
	if err := windows.Write(result, total, took, uniques); err != nil {
		log.Fatal(err)
	}
}
