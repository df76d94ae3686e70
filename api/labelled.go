package api

import (
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/build"
	"github.com/agnt5/agnt5d/internal/meter"
	"github.com/prometheus/client_golang/prometheus"
)

// Figures with labels. A label's values are names that somebody registered, and bounded: package meter puts what comes after
// the first few hundred together as "other". No label is an id.
var (
	runsDesc        = labels("runs", "Runs that have not ended, by workflow.", "workflow")
	endedDesc       = labels("runs_ended_total", "Runs that ended since the start, by workflow and how they ended.", "workflow", "state")
	runTookDesc     = labels("run_duration_seconds", "From a run's start to its end.", "workflow", "state")
	stepTookDesc    = labels("step_duration_seconds", "From the moment a worker took the attempt that completed a step to its outcome.", "workflow", "step")
	waitedDesc      = labels("schedule_to_start_seconds", "How long a step waited until a worker took it.", "service", "handler")
	attemptsDesc    = labels("attempts_total", "Attempts that were answered or lost since the start.", "service", "handler", "outcome")
	queueDesc       = labels("queue_depth", "Steps that wait for a worker, by handler.", "service", "handler")
	oldestDesc      = labels("queue_oldest_seconds", "How long the step has waited that has waited longest for a worker of the service; 0 when none waits.", "service")
	dueDesc         = labels("schedule_due_total", "Due times of schedules that were decided since the start, by what became of them; buffered ones count again when they start.", "schedule", "outcome")
	overdueDesc     = labels("schedule_overdue_seconds", "For how long the oldest due time of any schedule has been due and not decided; 0 when none is.")
	timerLagDesc    = labels("timer_lag_seconds", "How late timers, time-outs and retries came.")
	commitTookDesc  = labels("commit_seconds", "Time of a journal transaction, its flushes included.")
	commitBatchDesc = labels("commit_batch_records", "Records that one journal transaction held.")
	stuckDesc       = labels("runs_stuck", "Open runs that nothing has moved for ten minutes and nothing will by itself; waits for signals do not count.")
	diskFreeDesc    = labels("disk_free_bytes", "Free space on the journal's disk.")
	lastBackupDesc  = labels("last_backup_timestamp_seconds", "When the last backup was complete, in Unix seconds; absent when there was none.")

	labelled = []*prometheus.Desc{runsDesc, endedDesc, runTookDesc, stepTookDesc, waitedDesc, attemptsDesc, queueDesc, oldestDesc,
		dueDesc, overdueDesc, timerLagDesc, commitTookDesc, commitBatchDesc, stuckDesc, diskFreeDesc, lastBackupDesc}
)

func labels(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("agnt5_"+name, help, labels, nil)
}

// cumulative is a histogram of package meter.
type cumulative interface {
	Cumulative() (count uint64, sum float64, buckets map[float64]uint64)
}

func collectLabelled(ch chan<- prometheus.Metric, s *engine.Stats) {
	number := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	histogram := func(d *prometheus.Desc, h cumulative, labels ...string) {
		count, sum, buckets := h.Cumulative()
		ch <- prometheus.MustNewConstHistogram(d, count, sum, buckets, labels...)
	}
	for name, f := range s.Flows {
		number(runsDesc, prometheus.GaugeValue, float64(f.Open), name)
		for i, n := range []uint64{f.Completed, f.Failed, f.Cancelled} {
			state := [...]string{"completed", "failed", "cancelled"}[i]
			number(endedDesc, prometheus.CounterValue, float64(n), name, state)
			histogram(runTookDesc, &f.Took[i], name, state)
		}
	}
	for key, n := range s.Schedules {
		number(dueDesc, prometheus.CounterValue, float64(n), key.Schedule, key.Outcome)
	}
	number(overdueDesc, prometheus.GaugeValue, float64(s.Overdue)/1000)
	for key, h := range s.Steps {
		histogram(stepTookDesc, &h, key.Workflow, key.Step)
	}
	oldest := map[string]float64{}
	for key, h := range s.Handlers {
		for i, n := range []uint64{h.Completed, h.Failed, h.Lost} {
			number(attemptsDesc, prometheus.CounterValue, float64(n), key.Service, key.Handler, [...]string{"completed", "failed", "lost"}[i])
		}
		histogram(waitedDesc, &h.Waited, key.Service, key.Handler)
		number(queueDesc, prometheus.GaugeValue, float64(h.Queued), key.Service, key.Handler)
		waits := 0.0
		if h.Oldest != 0 {
			waits = max(0, float64(s.Now-h.Oldest)/1000)
		}
		service := key.Service
		if _, own := oldest[service]; !own && len(oldest) >= meter.Most {
			service = meter.Other
		}
		oldest[service] = max(oldest[service], waits)
	}
	for service, waits := range oldest {
		number(oldestDesc, prometheus.GaugeValue, waits, service)
	}
	histogram(timerLagDesc, &s.TimerLag)
	histogram(commitTookDesc, &s.Journal.CommitTook)
	histogram(commitBatchDesc, &s.Journal.CommitRecords)
}

// buildInfo is 1, with what was built.
func buildInfo() prometheus.Collector {
	b := build.Read()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "agnt5_build_info", Help: "1; its labels say what was built.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Commit, "go": b.Go}}, func() float64 { return 1 })
}
