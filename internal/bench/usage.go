package bench

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// cpu is the user and system time of a process ("self" or its number). 0 where there is no /proc.
func cpu(pid string) time.Duration {
	if pid == "self" {
		return ownCPU()
	}
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 wherever Go runs on Linux
}

// field reads a number out of a file of /proc: the line that begins with name. 0 where there is none.
func field(path, name string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// peakRSS is the most memory that a process has had, in bytes.
func peakRSS(pid string) int64 { return field("/proc/"+pid+"/status", "VmHWM") << 10 }

// anon is the memory that a process has now, without mapped files, in bytes.
func anon(pid string) int64 { return field("/proc/"+pid+"/status", "RssAnon") << 10 }

// rss is the memory that a process has now, in bytes.
func rss(pid string) int64 { return field("/proc/"+pid+"/status", "VmRSS") << 10 }

// written is how many bytes a process has handed to write calls: of an embedded engine, what went to the file.
func written(pid string) int64 { return field("/proc/"+pid+"/io", "wchar") }
