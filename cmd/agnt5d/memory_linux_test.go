package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/internal/wire"
)

// peak is the most memory that the process has had, in bytes.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// Requests that are made to cost memory cost little of it, and others are answered meanwhile.
func TestHostileBodiesCostLittleMemory(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	host := strings.TrimPrefix(d.url, "http://")
	post := func(path, media string, body []byte) int {
		resp, err := http.Post(d.url+path, media, bytes.NewReader(body))
		if err != nil {
			return 0 // refused before all of it was sent
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := post("/v1/workers", wire.JSON, []byte(`{"service_name":"svc","handlers":["h"],"capacity":1,"worker_id":"w"}`)); got != 201 {
		t.Fatal(got)
	}
	quiet := d.peak(t)
	for range 500 { // they announce 1 MB and send 15 bytes
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/runs/r/signals/go HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n{\"payload\":\"xxx", host)
	}
	const size = 30 << 20
	packed := func(key string) []byte {
		b := pack.AppendArray(pack.AppendString(pack.AppendMap(nil, 1), key), size)
		return append(b, bytes.Repeat([]byte{0x80}, size)...)
	}
	bodies := map[string][]byte{"poll": packed("outcomes"), "heartbeat": packed("tokens")}
	var all sync.WaitGroup
	for i := range 24 {
		for what, body := range bodies {
			who := "nobody"
			if i%4 == 0 {
				who = "w"
			}
			all.Go(func() {
				if got := post("/v1/workers/"+who+"/"+what, wire.Msgpack, body); got == 200 || got == 204 {
					t.Errorf("%s of %s: %d", what, who, got)
				}
			})
		}
	}
	c := d.client(t)
	if _, err := c.Workers(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	most := 400 << 20
	if raceDetector { // it keeps a shadow of each byte
		most *= 6
	}
	if got := d.peak(t) - quiet; got > most {
		t.Errorf("the daemon took %d MiB", got>>20)
	} else {
		t.Logf("the daemon took %d MiB more than the %d MiB of before", got>>20, quiet>>20)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit %d\n%s", code, d.said)
	}
}

// The limit of the control group counts, whichever version it has, and that of the groups around it.
func TestTheMemoryOfTheControlGroup(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"none":        {nil, 0},
		"version 2":   {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "536870912\n"}, 512 << 20},
		"no bound":    {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		"around it":   {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1073741824\n"}, 1 << 30},
		"a container": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		"version 1":   {map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/y\n0::/\n", "sys/fs/cgroup/memory/docker/y/memory.limit_in_bytes": "268435456\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 256 << 20},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			at := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := groupMemory(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
