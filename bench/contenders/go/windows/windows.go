// Package windows keeps the users of every minute and writes what was counted.
package windows

import (
	"encoding/json"
	"os"
	"strings"
	"time"
)

const seconds = 60

// Windows is a set of users for every minute of event time, by the start of the minute.
type Windows map[int64]map[string]struct{}

// Add counts a user. It keeps a copy, since the string may be a part of a whole fetch.
func (w Windows) Add(ts int64, user string) {
	start := ts - ((ts%seconds)+seconds)%seconds
	users, ok := w[start]
	if !ok {
		users = make(map[string]struct{})
		w[start] = users
	}
	if _, ok := users[user]; !ok {
		users[strings.Clone(user)] = struct{}{}
	}
}

// Uniques counts the users of every window over all parts.
func Uniques(parts []Windows) map[int64]int {
	sets := make(map[int64][]map[string]struct{})
	for _, part := range parts {
		for start, users := range part {
			sets[start] = append(sets[start], users)
		}
	}
	uniques := make(map[int64]int, len(sets))
	for start, ofWindow := range sets {
		uniques[start] = sizeOfUnion(ofWindow)
	}
	return uniques
}

// sizeOfUnion counts in every set the users that no set before it has.
func sizeOfUnion(sets []map[string]struct{}) int {
	size := 0
	for i, set := range sets {
		for user := range set {
			if !inAny(sets[:i], user) {
				size++
			}
		}
	}
	return size
}

func inAny(sets []map[string]struct{}, user string) bool {
	for _, set := range sets {
		if _, ok := set[user]; ok {
			return true
		}
	}
	return false
}

// Write writes the outcome of a run as one JSON object.
func Write(path string, records int64, took time.Duration, uniques map[int64]int) error {
	outcome, err := json.Marshal(map[string]any{
		"records": records, "seconds": took.Seconds(), "windows": uniques,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, outcome, 0o644)
}
