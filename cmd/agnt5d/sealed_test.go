package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
)

func keyLine(id string) string {
	return id + " " + base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%032s", id))) + "\n"
}

// Payloads are sealed with the key of --payload-key, the key is changed while clients go on, and the verbs that read a file want it.
func TestThePayloadKeyIsChangedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	keys, path := filepath.Join(dir, "payload.keys"), filepath.Join(dir, "runs.db")
	put(t, keys, []byte(keyLine("spring")))
	d := startDaemon(t, dir, "--payload-key", keys)
	flow := filepath.Join(dir, "w.yaml")
	put(t, flow, []byte("steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n"))
	if code, _, errs := d.cli(t, "register", "w", flow); code != 0 {
		t.Fatal(errs)
	}
	c, err := client.New(d.url, client.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var n atomic.Int64
	stop := make(chan struct{})
	for k := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("r-%d-%d", k, i)
				if _, _, err := c.Start(t.Context(), "w", "PLANTED-in", client.StartOptions{ID: id}); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Signal(t.Context(), id, "go", "PLANTED-out", "s"); err != nil {
					t.Error(err)
					return
				}
				if st, err := c.Wait(t.Context(), id); err != nil || string(st.Output) != `{"a":"PLANTED-out"}` && !strings.Contains(string(st.Output), "PLANTED-out") {
					t.Error(id, st, err)
					return
				}
				n.Add(1)
			}
		})
	}
	for _, text := range []string{keyLine("spring") + keyLine("summer"), keyLine("spring") + keyLine("summer") + keyLine("autumn")} {
		before := n.Load()
		until(t, func() bool { return n.Load() > before+8 })
		put(t, keys, []byte(text))
		if code := d.stop(t); code != 0 {
			t.Fatalf("exit %d\n%s", code, d.said)
		}
		d.again(t)
	}
	before := n.Load()
	until(t, func() bool { return n.Load() > before+8 })
	close(stop)
	wg.Wait()
	d.stop(t)
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("PLANTED")) || !bytes.Contains(b, []byte("r-0-0")) {
		t.Errorf("the file has payloads, or no ids: %v", err)
	}

	code, _, errs := agnt5d(t, "history", "r-0-0", "--file", path)
	if code == 0 || !strings.Contains(errs, "AGNT5D_PAYLOAD_KEY") || !strings.Contains(errs, `sealed with the key "`) {
		t.Errorf("without a key: exit %d: %s", code, errs)
	}
	put(t, keys, []byte(keyLine("spring")))
	code, _, errs = agnt5d(t, "serve", "--listen", "127.0.0.1:0", "--file", path, "--payload-key", keys)
	if code != exitError || !strings.Contains(errs, `the key "autumn"`) || strings.Contains(errs, strings.Fields(keyLine("spring"))[1]) {
		t.Errorf("with the wrong keys: exit %d: %s", code, errs)
	}
	put(t, keys, []byte(keyLine("spring")+keyLine("summer")+keyLine("autumn")))
	t.Setenv("AGNT5D_PAYLOAD_KEY", keys)
	for _, args := range [][]string{{"history", "r-0-0", "--file", path}, {"show", "r-0-0", "--file", path, "-o", "json"}} {
		if code, out, errs := agnt5d(t, args...); code != 0 || !strings.Contains(out, "PLANTED-out") {
			t.Errorf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"verify", path}, {"replay", path, "--check"}, {"doctor", path}, {"token", "create", "root", "--scope", "admin", "--file", path}} {
		if code, out, errs := agnt5d(t, args...); code != 0 {
			t.Errorf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// The log says which file has the key that seals the secrets of push services: whether it was made now, or was there.
func TestTheKeyFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.say(t, 0, "", "services", "put", "web", "http://127.0.0.1:1/x", "--handler", "h")
	for _, want := range []string{"a key file was made", "are sealed with the key in a file"} {
		if code := d.stop(t); code != 0 || !strings.Contains(d.said.String(), want) || !strings.Contains(d.said.String(), "runs.db.key") {
			t.Errorf("exit %d, want %q\n%s", code, want, d.said)
		}
		d.again(t)
	}
	other := t.TempDir()
	put(t, filepath.Join(other, "runs.db.key"), []byte(keyLine("old")))
	d = startDaemon(t, other)
	d.say(t, 0, "", "services", "put", "web", "http://127.0.0.1:1/x", "--handler", "h")
	if d.stop(t); !strings.Contains(d.said.String(), "are sealed with the key in a file") {
		t.Error(d.said)
	}
}

// The daemon is killed while its key is being changed, again and again: nothing that was acknowledged is lost, each key that has sealed
// something is asked for by name, and no payload stands in the file.
func TestADaemonIsKilledWhileItsKeyChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for half a minute; -short leaves it out")
	}
	dir := t.TempDir()
	keys, path := filepath.Join(dir, "payload.keys"), filepath.Join(dir, "runs.db")
	lines := keyLine("k0")
	put(t, keys, []byte(lines))
	d := startDaemon(t, dir, "--payload-key", keys)
	flow := writeFile(t, "w.yaml", "steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n")
	d.say(t, 0, "", "register", "w", flow)
	var acknowledged []string
	sealedBy := []string{"k0"}
	for round, runs := range []int{0, 1, 0, 7, 2} {
		key := fmt.Sprintf("k%d", round+1)
		lines += keyLine(key)
		put(t, keys, []byte(lines))
		d.kill()
		d.again(t)
		c := d.client(t)
		var wg sync.WaitGroup
		got := make(chan string, runs)
		for i := range runs {
			wg.Go(func() {
				id := fmt.Sprintf("r-%d-%d", round, i)
				if _, _, err := c.Start(t.Context(), "w", "PLANTED-"+id, client.StartOptions{ID: id}); err == nil {
					got <- id
				}
			})
		}
		if runs > 0 {
			acknowledged = append(acknowledged, <-got)
			sealedBy = append(sealedBy, key)
		}
		d.kill()
		d.again(t)
		wg.Wait() // whoever had no answer asks again
	}
	if code := d.stop(t); code != 0 {
		t.Fatalf("exit %d\n%s", code, d.said)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("PLANTED")) {
		t.Errorf("the file has payloads: %v", err)
	}
	for _, without := range sealedBy[1:] {
		put(t, keys, []byte(strings.Replace(lines, keyLine(without), "", 1)))
		code, _, errs := agnt5d(t, "serve", "--listen", "127.0.0.1:0", "--file", path, "--payload-key", keys)
		if code != exitError || !strings.Contains(errs, fmt.Sprintf("the key %q", without)) {
			t.Errorf("without the key %s: exit %d: %s", without, code, errs)
		}
	}
	put(t, keys, []byte(lines))
	t.Setenv("AGNT5D_PAYLOAD_KEY", keys)
	for _, id := range acknowledged {
		d.say(t, 0, "PLANTED-"+id, "show", id, "--file", path, "-o", "json")
	}
	d.say(t, 0, "", "verify", path)
}
