package etl

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/worker"
)

// Entry is a line of the ledger.
type Entry struct {
	Step    string `json:"step"`
	Attempt uint32 `json:"attempt"`
	PID     int    `json:"pid"`
	What    string `json:"what"` // "began" or "ended"
	At      string `json:"at"`
}

// body runs the body of a handler between two lines of the ledger. One that fails, or is killed, leaves only the first.
func body[Out any](ctx context.Context, p *Pipeline, run func(*worker.Task) (Out, error)) (Out, error) {
	var none Out
	t := worker.FromContext(ctx)
	if err := p.note(t, "began"); err != nil {
		return none, err
	}
	out, err := run(t)
	if err != nil {
		return none, err
	}
	if err := p.note(t, "ended"); err != nil {
		return none, err
	}
	return out, nil
}

// note appends a line in one write: lines of steps that run at once do not mix, and a kill does not take back what is written.
func (p *Pipeline) note(t *worker.Task, what string) error {
	line, err := json.Marshal(Entry{t.Step, t.Attempt, os.Getpid(), what, time.Now().UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.Dir, "ledger.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Ledger reads the ledger in dir; one that is not there yet is empty.
func Ledger(dir string) ([]Entry, error) {
	f, err := os.Open(filepath.Join(dir, "ledger.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []Entry
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", f.Name(), len(entries)+1, err)
		}
		entries = append(entries, e)
	}
	return entries, lines.Err()
}

// keyName is the step's idempotency key as a file name: the same for every attempt, another for every run.
func keyName(t *worker.Task) string {
	sum := sha256.Sum256([]byte(t.IdempotencyKey))
	return hex.EncodeToString(sum[:6])
}
