package bolt

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Open opens the journal at path for one engine, and creates it (mode 0600, its directory 0700) when nothing is there. The
// file stays locked until Close. A path that is something else is refused with one clear error, and nothing is changed.
//
// A write past the process's file size limit is to be an error, not the end of the process: Open sees to it that SIGXFSZ is
// ignored.
func Open(path string, o Options) (*Journal, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = 2 * time.Second
	}
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		err = makeDir(filepath.Dir(path))
	} else if err == nil {
		err = checkKind(path) // before a lock file is made beside it
	}
	if err != nil {
		return nil, err
	}
	ignoreSizeSignal()
	deadline := time.Now().Add(o.LockTimeout)
	lock, err := acquire(path, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	j, err := openLocked(path, o, max(time.Until(deadline), 100*time.Millisecond))
	if err != nil {
		lock.release()
		return nil, err
	}
	if err := errors.Join(j.indexTags(), j.indexEnds(), j.indexExpiry()); err != nil {
		lock.release()
		return nil, errors.Join(err, j.db().Close())
	}
	j.lock = lock
	j.unwatch, j.watched = make(chan struct{}), make(chan struct{})
	j.queue.Start(j.tail.next, j.keepFreelist)
	go j.watch()
	return j, nil
}

// OpenReadOnly opens a journal that no engine has open, to read it. It never changes a byte; Append is refused.
func OpenReadOnly(path string) (*Journal, error) {
	if err := checkKind(path); err != nil {
		return nil, err
	}
	return openFile(path, Options{}, true, time.Second)
}

func openLocked(path string, o Options, timeout time.Duration) (*Journal, error) {
	_ = os.Remove(path + newSuffix) // a creation or compaction that was cut short
	_ = os.Remove(path + compactSuffix)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path, o.Shard); err != nil {
			return nil, err
		}
		j, err := openFile(path, o, false, timeout)
		if err == nil {
			j.created = true
		}
		return j, err
	}
	return openFile(path, o, false, timeout)
}

// checkKind says whether the file is a journal that this release reads. What looks like damage may be the work of an engine
// that has the file open: that is for checkPages to say.
func checkKind(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = readKind(f, path)
	if errors.Is(err, ErrDamagedFile) {
		return nil
	}
	return err
}

// checkPages looks at the file's pages, while nobody writes it.
func checkPages(path string, timeout time.Duration, leaves bool) (*pageMap, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := share(f, path, timeout); err != nil {
		return nil, err
	}
	m, err := readKind(f, path)
	if err != nil {
		return nil, err
	}
	m.leaves = leaves
	if err := m.walk(); err != nil {
		return nil, damagedFile(path, err)
	}
	return m, nil
}

func damagedFile(path string, err error) error {
	return &FileError{Path: path, Kind: ErrDamagedFile, Reason: fmt.Sprintf("%v (run \"agnt5d doctor\")", err)}
}

// readKind reads the meta pages, the list of buckets, and the format row.
func readKind(f *os.File, path string) (*pageMap, error) {
	m, err := openPages(f, path)
	if err != nil {
		return nil, err
	}
	if err := m.walkRoot(); err != nil {
		return nil, damagedFile(path, err)
	}
	format, found, err := formatOf(m.buckets[string(metaBucket.name)])
	switch {
	case err != nil:
		return nil, damagedStart(path, fmt.Sprintf("format row: %v", err))
	case !found && m.has(allBuckets):
		return nil, damagedStart(path, "format row: it is damaged, or missing")
	case !found:
		return nil, &FileError{Path: path, Kind: ErrNotJournal, Reason: "is the bbolt file of another program, not a journal"}
	case format > journal.FormatVersion:
		return nil, &FileError{Path: path, Kind: ErrNewerFormat,
			Reason: fmt.Sprintf("has format %d, this release reads up to %d; use a newer agnt5d", format, journal.FormatVersion)}
	}
	return m, nil
}

// The row "format" of the bucket meta:
//
//	| "agnt5d journal" | version: 4, big-endian |
const formatMagic = "agnt5d journal"

var formatKey, secretKey, tailKey = []byte("format"), []byte("secret"), []byte("tail")

func formatOf(meta boltBucket) (version uint32, found bool, err error) {
	if meta.root != 0 || len(meta.inline) == 0 {
		return 0, false, nil
	}
	keys, err := checkPage(meta.inline, flagLeaf)
	if err != nil {
		return 0, false, err
	}
	for i, k := range keys {
		if string(k) != string(formatKey) {
			continue
		}
		e := meta.inline[pageHeader+i*elementSize:]
		from := binary.LittleEndian.Uint32(e[4:]) + uint32(len(k))
		p, err := metaBucket.unseal(k, e[from:from+binary.LittleEndian.Uint32(e[12:])])
		if err != nil {
			return 0, false, err
		}
		if len(p) != len(formatMagic)+4 || string(p[:len(formatMagic)]) != formatMagic {
			return 0, false, fmt.Errorf("malformed")
		}
		return binary.BigEndian.Uint32(p[len(formatMagic):]), true, nil
	}
	return 0, false, nil
}

// freelistBytes is how large the list of free pages may grow before it is no longer written with every commit. Without it
// on the disk, the next start after a crash reads the whole file to find out what is free.
const freelistBytes = 128 << 10

func openFile(path string, o Options, readOnly bool, timeout time.Duration) (*Journal, error) {
	j := &Journal{path: path, opts: o, readOnly: readOnly}
	j.queue = queue.New(committer{j}, cmp.Or(o.GroupBytes, 32<<20))
	readAhead(path)
	if j.opts.MapBytes == 0 && mapAhead {
		j.opts.MapBytes = 1 << 30
		if strconv.IntSize == 64 {
			j.opts.MapBytes *= 64
		}
	}
	err := j.openBolt(path, timeout, readOnly)
	if errors.Is(err, syscall.ENOMEM) { // a limit on address space
		j.opts.MapBytes = 0
		err = j.openBolt(path, timeout, readOnly)
	}
	if err != nil {
		return nil, err
	}
	if err := j.load(); err != nil {
		_ = j.db().Close()
		var damage *journal.DamageError
		if errors.As(err, &damage) { // of what every start needs
			return nil, damagedStart(path, "bucket meta: "+damage.Detail)
		}
		return nil, err
	}
	return j, nil
}

func (j *Journal) openBolt(path string, timeout time.Duration, readOnly bool) (err error) {
	if _, err := checkPages(path, timeout, false); err != nil {
		return err
	}
	defer guard(&err)()
	var at live
	at.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         timeout,
		ReadOnly:        readOnly,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: j.opts.MapBytes,
		NoFreelistSync:  true, // Open writes the freelist otherwise, and it must not write
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, perm)
			at.file = f
			return f, err
		},
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return flockedBy(path)
	}
	if err != nil {
		return err
	}
	at.db.NoFreelistSync = false
	j.live.Store(&at)
	return j.place.set(path, j.file())
}

// load reads what the journal keeps in memory.
func (j *Journal) load() error {
	return j.view(func(tx *bbolt.Tx) error {
		for _, b := range allBuckets {
			if tx.Bucket(b.name) == nil {
				return &FileError{Path: j.path, Kind: ErrDamagedFile, Reason: fmt.Sprintf("bucket %s is missing (run \"agnt5d doctor\")", b.name)}
			}
		}
		secret, err := metaBucket.get(tx, secretKey)
		if err != nil {
			return err
		}
		p, err := metaBucket.get(tx, tailKey)
		if err != nil {
			return err
		}
		j.secret = append([]byte(nil), secret...)
		t, err := decodeTail(p)
		if err != nil || len(secret) != 32 {
			return damagedStart(j.path, "bucket meta lacks rows")
		}
		j.tail = t
		return nil
	})
}

// newSuffix is what the name of a file that is being created ends in.
const newSuffix = ".new"

// create makes an empty journal at path. The directory is synced, for otherwise the file's name, and with it all that was acknowledged
// since, may be gone after a power cut.
func create(path string, shard journal.Shard) error {
	return putNew(path, func(temp string) error {
		db, err := bbolt.Open(temp, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return err
		}
		if err := errors.Join(db.Update(func(tx *bbolt.Tx) error { return createRows(tx, shard) }), db.Close()); err != nil {
			return err
		}
		return os.Chmod(temp, 0o600) // whatever the umask
	})
}

// putNew has a file made beside path and puts it there when it is whole, if nothing is there by then. What is not whole is removed.
func putNew(path string, make func(temp string) error) error {
	temp := path + newSuffix
	err := make(temp)
	if err == nil {
		err = absent(path)
	}
	if err == nil {
		err = putInPlace(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

func createRows(tx *bbolt.Tx, shard journal.Shard) error {
	for _, b := range slices.Concat(allBuckets, addedBuckets) {
		if _, err := tx.CreateBucket(b.name); err != nil {
			return err
		}
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	meta := tx.Bucket(metaBucket.name)
	put := func(key, payload []byte) error {
		value := append(make([]byte, 4), payload...)
		metaBucket.seal(key, value)
		return meta.Put(key, value)
	}
	first, none := tail{next: shard.First(), clean: true}, times{next: shard.First()}
	return errors.Join(
		put(formatKey, binary.BigEndian.AppendUint32([]byte(formatMagic), journal.FormatVersion)),
		put(secretKey, secret),
		put(timesKey, none.append(nil)),
		put(expiryKey, nil),
		put(tailKey, first.append(nil)))
}

// Place makes a file durable under another name in its directory.
func Place(temp, path string) error { return putInPlace(temp, path) }

// putInPlace makes temp durable under the name path.
func putInPlace(temp, path string) error {
	if err := syncFile(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0) // Windows syncs only what may be written
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// makeDir makes the journal's directory and those above it, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if err := makeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

// Close commits what is queued, and lets go of the file.
func (j *Journal) Close() error {
	if !j.closing.CompareAndSwap(false, true) {
		return nil
	}
	j.queue.Close()
	if !j.readOnly {
		close(j.unwatch)
		<-j.watched
	}
	j.closed.Store(true)
	var err error
	if j.Err() == nil {
		err = j.db().Close()
	} else { // bbolt may hold locks that nobody will give back, and its map keeps the file locked: leave it mapped
		err = errors.Join(unlock(j.file()), j.file().Close())
	}
	if j.lock != nil {
		j.lock.release()
	}
	return err
}
