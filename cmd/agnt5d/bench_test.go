package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every workload runs through to its end and says what it measured. How much that is depends on the machine, and is not
// asserted.
func TestBenchMeasures(t *testing.T) {
	t.Setenv("AGNT5D_TEST_SELF", "1") // for the processes that it starts
	dir := t.TempDir()
	run := func(args string) []map[string]any {
		t.Helper()
		code, out, errs := agnt5d(t, append(strings.Fields(args), "--dir", dir, "-o", "json")...)
		if code != 0 {
			t.Fatalf("%s: exit %d: %s", args, code, errs)
		}
		var all []map[string]any
		for line := range strings.Lines(out) {
			var one map[string]any
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("%s: %q: %v", args, line, err)
			}
			all = append(all, one)
		}
		return all
	}
	want := func(r map[string]any, keys string) {
		t.Helper()
		for _, k := range strings.Fields(keys) {
			if v, ok := r[k].(float64); !ok || v <= 0 {
				t.Errorf("%v: %s is %v", r["workload"], k, r[k])
			}
		}
		if f, ok := r["floor"].(map[string]any); !ok || f["commit_ms"].(float64) <= 0 || f["puts_per_second"].(float64) <= 0 {
			t.Errorf("%v: floor is %v", r["workload"], r["floor"])
		}
	}
	got := run("bench --workload w1,w2,fan,signals,timers,growth,soak --seconds 0.3 --in-flight 8 --count 200 --events 3000")
	if len(got) != 7 {
		t.Fatalf("%d results", len(got))
	}
	for _, r := range got[:2] {
		want(r, "steps_per_second p50_ms p99_ms commits_per_step bytes_per_step cpu_us_per_step peak_rss_bytes steps runs seconds in_flight")
	}
	want(got[2], "steps_per_second p50_ms")
	want(got[3], "per_second")
	want(got[4], "per_second")
	want(got[5], "steps_per_second")
	want(got[6], "steps_per_second runs")
	if s, _ := got[6]["samples"].([]any); len(s) == 0 {
		t.Error("a soak without samples")
	}
	kept := run("bench --workload keep --seconds 0.4 --in-flight 8 --events 5000")[0]
	rates, _ := kept["beside"].(map[string]any)
	pause, _ := kept["times_s"].(map[string]any)["longest_pause_of_a_compaction"].(float64)
	if samples, _ := kept["samples"].([]any); len(samples) != 10 || len(rates) != 4 || pause <= 0 {
		t.Errorf("keep: %v", kept)
	}
	for what, rate := range rates {
		if rate.(float64) <= 0 {
			t.Errorf("keep beside %s: %v", what, rate)
		}
	}
	items := func(r map[string]any, keys string) {
		t.Helper()
		all, _ := r["items"].([]any)
		if len(all) != 3 {
			t.Fatalf("items: measured %v", r["items"])
		}
		for i, n := range []float64{2, 20, 200} {
			one := all[i].(map[string]any)
			for _, k := range append(strings.Fields(keys), "per_second", "of_w2", "commits_per_item", "bytes_per_item", "cpu_us_per_item") {
				few := k == "bytes_per_item" && n < 200 // they may go into pages that are there already
				if v, ok := one[k].(float64); !ok || v <= 0 && !few || one["items"] != n {
					t.Errorf("%v items, want %v: %s is %v", one["items"], n, k, one[k])
				}
			}
		}
	}
	items(run("bench --workload items --seconds 0.06 --count 200")[0], "live_heap_bytes")
	items(run("bench --workload items --mode daemon --seconds 0.06 --count 200")[0], "")
	family := run("bench --workload children --seconds 0.06 --count 50 --in-flight 8")[0]
	want(family, "per_second in_flight runs cpu_us_per_step commits_per_step bytes_per_step peak_rss_bytes")
	one, _ := family["children"].(map[string]any)
	for _, k := range strings.Fields("per_second plain_per_second of_plain commits_per_child bytes_per_child cpu_us_per_child cpu_us_per_plain_run open_s open_commits open_live_bytes restart_s signal_s signal_commits") {
		if v, ok := one[k].(float64); !ok || v <= 0 || one["open"] != 50.0 {
			t.Errorf("children: %s is %v, and %v were open", k, one[k], one["open"])
		}
	}
	slept := run("bench --workload sleep --count 50")[0]
	times, _ := slept["times_s"].(map[string]any)
	for _, k := range []string{"restart_new_run_done", "restart_due_new_run_done", "restart_due_all_done"} {
		if v, ok := times[k].(float64); !ok || v <= 0 {
			t.Errorf("sleep: %s is %v", k, times[k])
		}
	}
	want(run("bench --workload w1 --mode daemon --seconds 0.3 --in-flight 8")[0], "steps_per_second p50_ms commits_per_step bytes_per_step cpu_us_per_step peak_rss_bytes")
	for _, r := range run("bench --workload status,feed,busy --mode daemon --seconds 0.15 --in-flight 8") {
		rates, _ := r["beside"].(map[string]any)
		if len(rates) != map[string]int{"status": 2, "feed": 5, "busy": 2}[r["workload"].(string)] {
			t.Errorf("%v: measured %v", r["workload"], rates)
		}
		for what, rate := range rates {
			if rate.(float64) <= 0 {
				t.Errorf("%v beside %s: %v", r["workload"], what, rate)
			}
		}
	}
	for _, mode := range []string{"embedded", "daemon"} {
		for _, r := range run("bench --workload hotkey,payload,latency --seconds 0.08 --in-flight 4 --mode " + mode) {
			want(r, "steps_per_second in_flight seconds")
			switch r["workload"] {
			case "hotkey":
				want(r, "commits_per_step cpu_us_per_step p99_ms")
			case "payload":
				want(r, "mb_per_second bytes_per_step cpu_us_per_step")
			case "latency":
				beside, _ := r["latency"].([]any)
				if len(beside) != 3 {
					t.Fatalf("latency: measured %v", r["latency"])
				}
				for i, load := range []float64{0, 0.5, 0.9} {
					l := beside[i].(map[string]any)
					if l["load"] != load || l["runs"].(float64) > 0 && l["p99_9_ms"].(float64) < l["p50_ms"].(float64) {
						t.Errorf("latency: %v", l)
					}
				}
			}
		}
	}
	crowd := run("bench --workload workers --mode daemon --seconds 0.1 --in-flight 8 --count 50")[0]
	for _, what := range []string{"beside", "beside_cpu_us_per_step"} {
		of, _ := crowd[what].(map[string]any)
		for _, k := range []string{"alone", "50_workers"} {
			if v, ok := of[k].(float64); !ok || v <= 0 {
				t.Errorf("workers: %s %s is %v", what, k, of[k])
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind: %v", left, err)
	}
	for args, what := range map[string]string{"bench --workload none": "want one of", "bench --mode odd": "embedded or daemon", "bench --seconds 0": "--seconds", "bench --mode daemon --workload sleep": "embedded only", "bench --workload workers": "daemon only"} {
		if code, _, errs := agnt5d(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errs, what) {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
}
