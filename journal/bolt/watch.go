package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/journal"
)

// watchEvery is how often a journal looks whether its file still stands under its name. Each commit asks the open file whether it is
// whole and has a name.
const watchEvery = time.Second

// place is the file as it was opened: where, which one, and how long it is at least. A journal never gets shorter.
type place struct {
	mu   sync.RWMutex // for path and file
	path string
	file os.FileInfo
	size atomic.Int64
}

func (p *place) set(path string, f *os.File) error {
	real, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path, p.file = real, info
	p.size.Store(info.Size())
	return nil
}

// change lets another file take the place of this one: put renames it.
func (p *place) change(f *os.File, put func() error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := put(); err != nil {
		return err
	}
	p.file = info
	p.size.Store(info.Size())
	return nil
}

// look says whether the file stands under its name, and is whole. What cannot be found out is no reason to stop.
func (p *place) look() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.size.Load()
	info, err := os.Stat(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &goneError{fmt.Sprintf("journal: %s was deleted or moved while it was in use", p.path)}
	case err != nil:
		return nil
	case !os.SameFile(p.file, info):
		return &goneError{fmt.Sprintf("journal: %s was replaced by another file while it was in use", p.path)}
	case info.Size() < known:
		return p.shorter(known, info.Size())
	}
	p.size.CompareAndSwap(known, info.Size()) // who else looks has seen the same, or will
	return nil
}

// there says whether the open file has a name still, and is as long as it was. It costs a fraction of look, which finds within a second
// that the name is another one. What is no file, as where a test stands in for it, has neither.
func (p *place) there(f *os.File) error {
	known := p.size.Load()
	switch file, ok := stat(f); {
	case !ok:
	case file.nameless:
		return cmp.Or(p.look(), error(&goneError{fmt.Sprintf("journal: %s was deleted while it was in use", p.path)}))
	case file.size < known:
		return p.shorter(known, file.size)
	default:
		p.size.CompareAndSwap(known, file.size) // who else looks has seen the same, or will
	}
	return nil
}

// fileState is what can be said of an open file without its name.
type fileState struct {
	size     int64
	nameless bool // it was deleted, or another took its place
}

func (p *place) shorter(known, size int64) error {
	return &goneError{fmt.Sprintf("journal: %s was cut from %d to %d bytes while it was in use", p.path, known, size)}
}

// goneError is ErrGone with what became of the file.
type goneError struct{ what string }

func (e *goneError) Error() string   { return e.what }
func (e *goneError) Unwrap() []error { return []error{ErrGone, journal.ErrBroken} }

// watch looks at the file once in a while, until the journal is closed or broken.
func (j *Journal) watch() {
	defer close(j.watched)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := j.place.look(); err != nil {
				_ = j.queue.Fail(err)
			}
		case <-j.Broken():
			return
		case <-j.unwatch:
			return
		}
	}
}

// Broken is closed when the journal can be used no more: a commit has failed in a way that leaves unknown what is on disk, or
// the file was deleted, moved, replaced or cut under it. Err says which.
func (j *Journal) Broken() <-chan struct{} { return j.queue.Broken() }

// Err is why the journal can be used no more, ErrBroken; nil while it can.
func (j *Journal) Err() error { return j.queue.Err() }
