// Command franz counts the unique users of every minute as fast as Go does by hand: one franz-go client, and
// a goroutine for every core that decodes whole batches into sets of its own. So a topic with one partition
// uses all cores too.
//
// franz BOOTSTRAP TOPIC RESULT strict|early
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"contenders/windows"
)

// Records handed to a goroutine at a time.
const batchRecords = 500

type decoder func(document []byte, counted windows.Windows)

// ends looks up the offsets at which the partitions of a topic end.
func ends(ctx context.Context, client *kgo.Client, topic string) (map[int32]int64, error) {
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := make(map[int32]int64)
	listed.Each(func(offset kadm.ListedOffset) { ends[offset.Partition] = offset.Offset })
	return ends, listed.Error()
}

// read sends all records in batches; the topics of the benchmark begin at offset 0 and have no gaps.
func read(ctx context.Context, client *kgo.Client, records int64, batches chan<- []*kgo.Record) error {
	defer close(batches)
	for records > 0 {
		fetches := client.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("fetch: %w", errs[0].Err)
		}
		fetches.EachPartition(func(partition kgo.FetchTopicPartition) {
			records -= int64(len(partition.Records))
			for batch := range slices.Chunk(partition.Records, batchRecords) {
				batches <- batch
			}
		})
	}
	return nil
}

func decode(batches <-chan []*kgo.Record, decode decoder) windows.Windows {
	counted := make(windows.Windows)
	for batch := range batches {
		for _, record := range batch {
			decode(record.Value, counted)
		}
	}
	return counted
}

func count(ctx context.Context, client *kgo.Client, records int64, decoder decoder) (map[int64]int, error) {
	batches := make(chan []*kgo.Record, runtime.GOMAXPROCS(0))
	parts := make([]windows.Windows, runtime.GOMAXPROCS(0))
	var decoders sync.WaitGroup
	for i := range parts {
		decoders.Go(func() { parts[i] = decode(batches, decoder) })
	}
	err := read(ctx, client, records, batches)
	decoders.Wait()
	return windows.Uniques(parts), err
}

func run(bootstrap, topic, result string, decoder decoder) error {
	ctx := context.Background()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := ends(ctx, client, topic)
	if err != nil {
		return err
	}
	beginnings := make(map[int32]kgo.Offset)
	records := int64(0)
	for partition, end := range ends {
		beginnings[partition] = kgo.NewOffset().AtStart()
		records += end
	}
	started := time.Now()
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: beginnings})
	uniques, err := count(ctx, client, records, decoder)
	if err != nil {
		return err
	}
	return windows.Write(result, records, time.Since(started), uniques)
}

func main() {
	decoders := map[string]decoder{"strict": strict, "early": early}
	if len(os.Args) != 5 || decoders[os.Args[4]] == nil {
		log.Fatal("usage: franz BOOTSTRAP TOPIC RESULT strict|early")
	}
	// Most of what is allocated are fetched records, and they die young.
	debug.SetGCPercent(400)
	if err := run(os.Args[1], os.Args[2], os.Args[3], decoders[os.Args[4]]); err != nil {
		log.Fatal(err)
	}
}
