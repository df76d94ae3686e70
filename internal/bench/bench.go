// Package bench measures the engine as its users meet it: through the public API, on a real file, beside what the same disk
// does without an engine in the same minute.
package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Result is what one workload gave. The names stand in the command's JSON.
type Result struct {
	Workload string  `json:"workload"`
	Mode     string  `json:"mode"` // embedded or daemon
	InFlight int     `json:"in_flight,omitempty"`
	Seconds  float64 `json:"seconds"`
	Steps    int     `json:"steps,omitempty"`
	Runs     int     `json:"runs,omitempty"`

	StepsPerSecond float64 `json:"steps_per_second,omitempty"`
	P50            float64 `json:"p50_ms,omitempty"` // of a whole run
	P99            float64 `json:"p99_ms,omitempty"`
	CommitsPerStep float64 `json:"commits_per_step,omitempty"`
	BytesPerStep   float64 `json:"bytes_per_step,omitempty"`         // kept in the file
	WrittenPerStep float64 `json:"written_bytes_per_step,omitempty"` // handed to write calls; embedded only
	CPU            float64 `json:"cpu_us_per_step,omitempty"`        // user and system, of every process
	PeakRSS        int64   `json:"peak_rss_bytes,omitempty"`         // of the process with the engine

	RSS int64 `json:"rss_bytes,omitempty"` // of sleep: at the end, not the most

	MBPerSecond float64 `json:"mb_per_second,omitempty"` // of payload: megabytes of outputs

	// Of workloads that do not count steps.
	PerSecond float64            `json:"per_second,omitempty"` // signals
	Times     map[string]float64 `json:"times_s,omitempty"`    // seconds until
	Beside    map[string]float64 `json:"beside,omitempty"`     // steps a second of w1, alone and beside what goes on
	BesideCPU map[string]float64 `json:"beside_cpu_us_per_step,omitempty"`
	Samples   []Sample           `json:"samples,omitempty"` // of a soak
	Latency   []Latency          `json:"latency,omitempty"` // by the load beside it
	Items     []Items            `json:"items,omitempty"`   // by the length of the list
	Children  *Children          `json:"children,omitempty"`
	Floor     Floor              `json:"floor"`
}

// Options say what to measure, and how long.
type Options struct {
	Dir      string // for the files; each workload has its own below it
	Mode     string // embedded or daemon
	InFlight int
	Seconds  float64
	Count    int  // of timers, items, children, sleeping runs and runs to list
	Events   int  // that the large file of growth holds, and that keep writes
	Sealed   bool // payloads are sealed in the journal
	// Progress hears what is under way, and how much of it is done (0 to 1).
	Progress func(what string, done float64)
	// Self starts this program again with arguments; the daemon mode and the workloads with kills need it.
	Self func(args ...string) (name string, argv []string)
}

// Workload is one thing to measure.
type Workload struct {
	Name, About string
	Run         func(context.Context, *Options) (*Result, error)
	Modes       []string // in which it can be measured
}

var (
	inProcess = []string{"embedded"}
	inDaemon  = []string{"daemon"}
	inBoth    = []string{"embedded", "daemon"}
)

// Workloads is every workload, in the order of the table.
var Workloads = []Workload{
	{"w1", "runs of 10 steps, one after the other", chain, inBoth},
	{"w2", "runs of 100 parallel steps and a join, 16 in flight", wide, inBoth},
	{"fan", "one run of 10,000 parallel steps and a join", fan, inProcess},
	{"items", "runs over a list of --count items, of a tenth and of a hundredth of them, beside w2 in turns", items, inBoth},
	{"children", "runs of one step as children of another run, beside the same runs alone in turns; then --count open children of one run", children, inProcess},
	{"signals", "signals taken and consumed", signals, inProcess},
	{"timers", "timers due in the same second", timers, inProcess},
	{"sleep", "runs that sleep; SIGKILL; the start after it", sleep, inProcess},
	{"status", "w1 beside 50 questions a second for the status of an open run of 10,000 steps", status, inBoth},
	{"feed", "w1 beside readers of all events, and beside followers of quiet runs", feed, inBoth},
	{"lists", "first pages with each filter on a file of --count runs, and w1 beside somebody who asks for them", lists, inBoth},
	{"workers", "w1 on one worker, beside chains on a thousand workers of 200 services", crowd, inDaemon},
	{"hotkey", "w1, all steps of which want one object key", hotkey, inBoth},
	{"payload", "w1 with outputs of 1 MiB", payload, inBoth},
	{"latency", "runs of one step that start at random times, alone and beside 50 and 90 % of what w1 can do", latency, inBoth},
	{"busy", "w1 beside a process for each core that does nothing but use it", busy, inBoth},
	{"growth", "w1 on a file that holds many events already", growth, inProcess},
	{"keep", "w1 for --events events while retention deletes, in slices; then beside retention, compactions and backups", keep, inProcess},
	{"soak", "runs with some of everything, for as long as --seconds says, in slices", soak, inProcess},
}

// Find gives a workload by its name.
func Find(name string) (*Workload, error) {
	for i := range Workloads {
		if Workloads[i].Name == name {
			return &Workloads[i], nil
		}
	}
	var names []string
	for _, w := range Workloads {
		names = append(names, w.Name)
	}
	return nil, fmt.Errorf("workload %q: want one of %v, or all", name, names)
}

// dir gives a workload a folder of its own.
func (o *Options) dir(name string) (string, error) {
	dir := filepath.Join(o.Dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

func (o *Options) say(what string, done float64) {
	if o.Progress != nil {
		o.Progress(what, done)
	}
}

// percentile gives the p-th of the durations, in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	i := min(int(math.Ceil(p*float64(len(all))))-1, len(all)-1)
	return float64(all[max(i, 0)].Microseconds()) / 1000
}
