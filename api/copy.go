package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal"
)

// minRate is the least rate of a copy, in bytes a second: the file grows until the copy is made.
const minRate = 64 << 10

// copyName is how copies of the journal are called while they are sent.
const copyName = ".copy-*"

// journalCopy sends the journal as it is at one moment, or what it has since an event. It is copied beside the file first: a slow reader must not hold the
// journal's pages. There is one copy at a time, and nothing is left of it whatever happens.
func (s *Server) journalCopy(w http.ResponseWriter, r *http.Request) error {
	if s.eng.Path() == "" {
		return problem("not_a_file", "")
	}
	rate := int64(0)
	if text := r.URL.Query().Get("rate"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < minRate {
			return problem("invalid_request", "rate: "+quote(text)+" is not a number of bytes a second, "+itoa(minRate)+" or more")
		}
		rate = n
	}
	since, increment := uint64(0), false
	if text := r.URL.Query().Get("since"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return problem("invalid_request", "since: "+quote(text)+" is not the number of an event")
		}
		since, increment = n, true
	}
	if !s.copying.TryLock() {
		return problem("busy", "a copy of the journal is being sent; there is one at a time")
	}
	defer s.copying.Unlock()
	s.waits(w)
	room := func() error { return engine.SpareRoom(s.eng.Path()) }
	if !increment {
		room = func() error { return s.eng.BackupRoom(s.eng.Path()) }
	}
	if err := room(); err != nil {
		return copyProblem(err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.eng.Path()), copyName)
	if err != nil {
		return err
	}
	defer f.Close()
	if os.Remove(f.Name()) != nil { // its space is free again when it is closed; Windows removes no open file
		defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	}
	to := &slowly{w: f, ctx: r.Context(), rate: rate, began: time.Now()}
	if increment {
		to.room = room
		_, err = s.eng.Increment(to, since)
	} else {
		err = s.eng.Backup(to)
	}
	if err != nil {
		return copyProblem(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", itoa(info.Size()))
	w.WriteHeader(http.StatusOK)
	ctl := http.NewResponseController(w)
	for {
		if err := s.valid(r); err != nil { // the rest is not for whoever took so long
			return err
		}
		if err := ctl.SetWriteDeadline(time.Now().Add(patient)); err != nil {
			return err
		}
		if _, err := io.CopyN(w, f, 1<<20); err != nil {
			if err == io.EOF {
				err = nil
			}
			return err
		}
	}
}

// sweepCopies removes what a daemon that was killed has left.
func (s *Server) sweepCopies() {
	if s.eng.Path() == "" {
		return
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.eng.Path()), copyName))
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			s.log.Warn("cannot remove an old temporary copy of the journal", "file", name, "error", err)
		}
	}
}

// slowly writes at most so many bytes a second; 0: as fast as it can.
type slowly struct {
	w     io.Writer
	ctx   context.Context
	rate  int64
	began time.Time
	n     int64
	room  func() error // asked now and then whether there is room for more; nil: there is
}

// roomBytes is how much is written before it is asked again whether there is room.
const roomBytes = 8 << 20

func (s *slowly) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), 256<<10)]
		var m int
		m, err = s.w.Write(part)
		n, b, s.n = n+m, b[m:], s.n+int64(m)
		if err == nil && s.room != nil && s.n/roomBytes != (s.n-int64(m))/roomBytes {
			err = s.room()
		}
		if err == nil {
			err = s.rest()
		}
	}
	return n, err
}

func (s *slowly) rest() error {
	if s.rate <= 0 {
		return s.ctx.Err()
	}
	ahead := time.Duration(float64(s.n)/float64(s.rate)*float64(time.Second)) - time.Since(s.began)
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// copyProblem is why a journal is not copied or compacted.
func copyProblem(err error) error {
	switch {
	case errors.Is(err, engine.ErrCompacting):
		return problem("busy", "the journal is being compacted already; there is one compaction at a time")
	case errors.Is(err, engine.ErrNoEvent):
		return problem("invalid_request", "since: "+err.Error())
	case errors.Is(err, engine.ErrNoCopy):
		return problem("not_a_file", err.Error())
	case errors.Is(err, engine.ErrNotWhileOpen):
		return problem("invalid_request", err.Error())
	case errors.Is(err, journal.ErrFull) && !errors.Is(err, engine.ErrDiskFull):
		return problem("disk_full", err.Error())
	}
	return err
}

type backupBody struct {
	UpTo  uint64 `json:"up_to"` // sequence of the last event in it
	Bytes int64  `json:"bytes"`
}

// noteBackup records that a copy is whole and in its place.
func (s *Server) noteBackup(w http.ResponseWriter, r *http.Request) error {
	var in backupBody
	if err := s.decodeJSON(body(r), &in); err != nil {
		return err
	}
	if in.UpTo > s.eng.Durable() {
		return problem("invalid_request", "up_to: the journal has no event "+strconv.FormatUint(in.UpTo, 10))
	}
	if err := s.eng.NoteBackup(r.Context(), in.UpTo, in.Bytes); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type compaction struct {
	BeforeBytes int64   `json:"before_bytes"`
	AfterBytes  int64   `json:"after_bytes"`
	PausedMS    float64 `json:"paused_ms"` // for so long nothing could be committed
}

type compacting struct {
	Running     bool  `json:"running"`
	CopiedBytes int64 `json:"copied_bytes"`
	TotalBytes  int64 `json:"total_bytes"`
}

// compact compacts the journal, and answers when that is done. Who does not wait for the answer ends it.
func (s *Server) compact(w http.ResponseWriter, r *http.Request) error {
	s.waits(w)
	got, err := s.eng.Compact(r.Context(), func(done, all int64) { s.compacted.Store(&compacting{true, done, all}) })
	if !errors.Is(err, engine.ErrCompacting) {
		s.compacted.Store(&compacting{})
	}
	if err != nil {
		return copyProblem(err)
	}
	return s.reply(w, http.StatusOK, compaction{got.Before, got.After, float64(got.Paused.Microseconds()) / 1000})
}

// showCompaction says how far a compaction is.
func (s *Server) showCompaction(w http.ResponseWriter, _ *http.Request) error {
	at := s.compacted.Load()
	if at == nil {
		at = &compacting{}
	}
	return s.reply(w, http.StatusOK, at)
}
