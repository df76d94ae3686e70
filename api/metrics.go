package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/disk"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what GET /metrics shows. The engine's figures are read when they are asked for; requests are counted as they
// are answered.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics(eng *engine.Engine) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "agnt5_http_request_seconds",
		Help: "Time from a request to its answer, by route and status; long polls and streams last as long as they wait.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10}},
		[]string{"route", "status"})
	m.registry.MustRegister(m.requests, &engineCollector{eng}, buildInfo(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

type engineCollector struct{ eng *engine.Engine }

type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*engine.Stats) float64
}

func counter(name, help string, of func(*engine.Stats) uint64) figure {
	return figure{prometheus.NewDesc("agnt5_"+name, help, nil, nil), prometheus.CounterValue, func(s *engine.Stats) float64 { return float64(of(s)) }}
}

func gauge(name, help string, of func(*engine.Stats) float64) figure {
	return figure{prometheus.NewDesc("agnt5_"+name, help, nil, nil), prometheus.GaugeValue, of}
}

var figures = []figure{
	counter("steps_completed_total", "Steps completed since the start.", func(s *engine.Stats) uint64 { return s.StepsCompleted }),
	counter("attempts_failed_total", "Attempts whose handler failed.", func(s *engine.Stats) uint64 { return s.AttemptsFailed }),
	counter("attempts_lost_total", "Attempts whose worker went away.", func(s *engine.Stats) uint64 { return s.AttemptsLost }),
	counter("runs_started_total", "Runs started.", func(s *engine.Stats) uint64 { return s.RunsStarted }),
	counter("signals_total", "Signals received.", func(s *engine.Stats) uint64 { return s.Signals }),
	counter("timers_fired_total", "Timers fired.", func(s *engine.Stats) uint64 { return s.TimersFired }),
	counter("events_total", "Events written.", func(s *engine.Stats) uint64 { return s.Events }),
	counter("commits_total", "Transactions committed to the journal; each flushes the disk.", func(s *engine.Stats) uint64 { return s.Journal.Commits }),
	gauge("runs_open", "Runs that have not ended.", func(s *engine.Stats) float64 { return float64(s.OpenRuns) }),
	gauge("steps_waiting_for_worker", "Steps that wait for a worker to take them.", func(s *engine.Stats) float64 { return float64(s.Offers) }),
	gauge("attempts_running", "Attempts in a worker's hands.", func(s *engine.Stats) float64 { return float64(s.Running) }),
	gauge("workers", "Sessions of workers in other processes, push services included.", func(s *engine.Stats) float64 { return float64(s.Workers) }),
	gauge("journal_bytes", "Length of the journal file.", func(s *engine.Stats) float64 { return float64(s.Journal.FileBytes) }),
	gauge("journal_used_bytes", "Of them, what holds something.", func(s *engine.Stats) float64 { return float64(s.Journal.UsedBytes) }),
	gauge("disk_full", "1 while there is no space and only reads are admitted.", func(s *engine.Stats) float64 { return bit(s.DiskFull) }),
	gauge("runs_held", "Runs that a daemon started with --careful holds until they are resumed.", func(s *engine.Stats) float64 { return float64(s.Hold.Runs) }),
	gauge("damages", "Damaged records found since the start.", func(s *engine.Stats) float64 { return float64(s.Damages) }),
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stuckAfter is how long nothing must have moved a run for it to count as stuck, and countWithin how long a scrape waits for the count.
const (
	stuckAfter  = 10 * time.Minute
	countWithin = 5 * time.Second
)

// Describe tells the registry what Collect will give.
func (c *engineCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range figures {
		ch <- f.desc
	}
	for _, d := range labelled {
		ch <- d
	}
}

// Collect reads the engine once. A stopped engine gives nothing, and the scrape still answers.
func (c *engineCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.eng.Stats()
	if err != nil {
		return
	}
	for _, f := range figures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(&s))
	}
	collectLabelled(ch, &s)
	ctx, cancel := context.WithTimeout(context.Background(), countWithin)
	defer cancel()
	if counts, err := c.eng.RunCounts(ctx, stuckAfter); err == nil {
		ch <- prometheus.MustNewConstMetric(stuckDesc, prometheus.GaugeValue, float64(counts.Stuck))
	}
	if last, err := c.eng.LastBackup(); err == nil && last.At != 0 {
		ch <- prometheus.MustNewConstMetric(lastBackupDesc, prometheus.GaugeValue, float64(last.At)/1000)
	}
	if free, ok := disk.Free(c.eng.Path()); ok {
		ch <- prometheus.MustNewConstMetric(diskFreeDesc, prometheus.GaugeValue, float64(free))
	}
}
