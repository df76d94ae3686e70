package main

import (
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const minMemory = 64 << 20 // a daemon with less collects garbage all the time

// limitMemory makes the garbage collector work harder before the process is killed for its memory: the limit is what was
// set, else four fifths of what the control group may have. GOMEMLIMIT, where it is set, stands. It gives the limit, 0: none.
func limitMemory(set int64) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		if now := debug.SetMemoryLimit(-1); now != math.MaxInt64 {
			return now
		}
		return 0
	}
	limit := set
	if limit == 0 {
		limit = groupMemory("/") / 5 * 4
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// groupMemory is how much memory the control group of this process may have, in bytes; 0: as much as it likes. root is where
// the file systems are.
func groupMemory(root string) int64 {
	b, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil { // not Linux
		return 0
	}
	least := int64(0)
	for _, line := range strings.Split(string(b), "\n") {
		parts := strings.SplitN(line, ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" { // version 1
			if parts[1] != "memory" {
				continue
			}
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) { // the groups around it bound it too
			if n := number(path.Join(root, dir, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// number reads a file that holds one number. 0: there is none, or one that means no bound.
func number(file string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}
