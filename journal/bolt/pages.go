package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// bbolt keeps no checksums of its pages, and follows a damaged one to wherever it leads: into a fault, or into pages in use
// that it takes for free ones. So the pages are looked at before bbolt is let loose on them: its two meta pages, and the
// inner pages of every tree, which together say what every page of the file is for. The leaves are read by "verify" alone.
//
// A page of bbolt, in the byte order of the machine that wrote it (little-endian on all that we run on):
//
//	| id: 8 | flags: 2 | count: 2 | overflow: 4 | elements ... | keys and values ... |
//
//	meta     (flags 4)   magic 4 | version 4 | page size 4 | flags 4 | root 8 | sequence 8 | freelist 8 | high water 8 | tx 8 | fnv64a 8
//	branch   (flags 1)   element: pos 4 | key size 4 | page 8
//	leaf     (flags 2)   element: flags 4 (1: a bucket) | pos 4 | key size 4 | value size 4
//	freelist (flags 16)  pages of 8; a count of 0xffff: the first of them is the count
//
// pos counts from the element itself. A bucket's value is root 8 | sequence 8, and, when root is 0, its only page inline.
const (
	pageHeader   = 16
	elementSize  = 16
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	noFreelist   = 1<<64 - 1
	flagBranch   = 1
	flagLeaf     = 2
	flagMeta     = 4
	flagFreelist = 16
	maxDepth     = 24
)

type boltMeta struct {
	pageSize uint32
	root     uint64
	freelist uint64
	high     uint64 // pages from here on are not in use
	tx       uint64
}

// pageMap is what became of looking at a file's pages.
type pageMap struct {
	f       io.ReaderAt
	size    int64
	meta    boltMeta
	use     []uint8 // by page
	leaves  bool    // look at leaves, too
	buckets map[string]boltBucket
}

type boltBucket struct {
	root   uint64
	inline []byte
}

const (
	useNone = iota
	useMeta
	useInner
	useLeaf
	useOverflow
	useFree
	useFreelist
)

// parseMeta reads a meta page: valid, not valid but surely bbolt's, or neither.
func parseMeta(p []byte) (m boltMeta, ours, valid bool) {
	if len(p) < pageHeader+64 {
		return m, false, false
	}
	b := p[pageHeader : pageHeader+64]
	le := binary.LittleEndian
	ours = le.Uint32(b) == boltMagic
	h := fnv.New64a()
	_, _ = h.Write(b[:56])
	valid = ours && le.Uint32(b[4:]) == boltVersion && le.Uint64(b[56:]) == h.Sum64() && le.Uint16(p[8:]) == flagMeta
	return boltMeta{le.Uint32(b[8:]), le.Uint64(b[16:]), le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])}, ours, valid
}

// openPages finds out what kind of file it is, and reads its newest meta page.
func openPages(f *os.File, path string) (*pageMap, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	refuse := func(kind error, format string, args ...any) error {
		return &FileError{Path: path, Kind: kind, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case info.IsDir():
		return nil, refuse(ErrNotJournal, "is a directory; name the journal's file in it")
	case !info.Mode().IsRegular():
		return nil, refuse(ErrNotJournal, "is not an ordinary file")
	case info.Size() == 0:
		return nil, refuse(ErrNotJournal, "is an empty file; remove it, and it will be created")
	}
	first := make([]byte, 4096)
	n0, err := f.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	m0, ours0, valid0 := parseMeta(first[:n0])
	pageSize := int64(m0.pageSize)
	if !valid0 {
		pageSize = int64(os.Getpagesize())
	}
	second := make([]byte, 4096)
	n, err := f.ReadAt(second, pageSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	m1, ours1, valid1 := parseMeta(second[:n])
	switch {
	case !ours0 && !ours1 && bytes.HasPrefix(first[:n0], []byte(incrementMagic)):
		return nil, refuse(ErrNotJournal, "is an increment of a backup, which \"agnt5d restore FULL INCREMENT\" puts together with the backup before it")
	case !ours0 && !ours1:
		return nil, refuse(ErrNotJournal, "is the file of another program, not a journal")
	case info.Size() < 2*pageSize:
		return nil, refuse(ErrNotJournal, "is truncated: %d bytes, not even its first two pages of %d", info.Size(), pageSize)
	case !valid0 && !valid1:
		return nil, refuse(ErrDamagedFile, "both meta pages are damaged (run \"agnt5d doctor\")")
	case !valid0 || !valid1: // the older one may lack the last commit, which was acknowledged
		return nil, refuse(ErrDamagedFile, "one of the two meta pages is damaged (run \"agnt5d doctor\")")
	}
	m := m0
	if m1.tx > m0.tx {
		m = m1
	}
	if int64(m.high)*pageSize > info.Size() {
		return nil, refuse(ErrNotJournal, "is truncated: %d bytes, it was %d or more (restore it, or run \"agnt5d doctor\")",
			info.Size(), int64(m.high)*pageSize)
	}
	return &pageMap{f: f, size: info.Size(), meta: m}, nil
}

// walkRoot finds the buckets.
func (m *pageMap) walkRoot() error {
	if m.meta.high < 4 {
		return fmt.Errorf("high water mark %d", m.meta.high)
	}
	m.use = make([]uint8, m.meta.high)
	m.buckets = map[string]boltBucket{}
	m.use[0], m.use[1] = useMeta, useMeta
	if err := m.tree(m.meta.root, m.rootLeaf); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	return nil
}

// has says whether all of some buckets are there.
func (m *pageMap) has(all []*bucket) bool {
	return !slices.ContainsFunc(all, func(b *bucket) bool { _, is := m.buckets[string(b.name)]; return !is })
}

// walk looks at every other page that the newest meta page leads to.
func (m *pageMap) walk() error {
	for name, b := range m.buckets {
		var err error
		if b.root == 0 {
			_, err = checkPage(b.inline, flagLeaf)
		} else {
			err = m.tree(b.root, nil)
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	if err := m.freelist(); err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	return m.account()
}

// read gives a page with its overflow pages.
func (m *pageMap) read(id uint64) ([]byte, error) {
	if id < 2 || id >= m.meta.high {
		return nil, fmt.Errorf("page %d is outside of the file's %d", id, m.meta.high)
	}
	size := int64(m.meta.pageSize)
	p := make([]byte, size)
	if _, err := m.f.ReadAt(p, int64(id)*size); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	over := uint64(binary.LittleEndian.Uint32(p[12:]))
	if got := binary.LittleEndian.Uint64(p); got != id {
		return nil, fmt.Errorf("page %d calls itself %d", id, got)
	}
	if id+over >= m.meta.high {
		return nil, fmt.Errorf("page %d and %d more reach past the file's %d", id, over, m.meta.high)
	}
	if over > 0 {
		p = append(p, make([]byte, int64(over)*size)...)
		if _, err := m.f.ReadAt(p[size:], int64(id+1)*size); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return p, nil
}

// take notes what a page is for; nothing may be used twice.
func (m *pageMap) take(id uint64, use uint8) error {
	if id < 2 || id >= m.meta.high {
		return fmt.Errorf("page %d is outside of the file's %d", id, m.meta.high)
	}
	if m.use[id] != useNone {
		return fmt.Errorf("page %d is used twice", id)
	}
	m.use[id] = use
	return nil
}

// tree walks a bucket from its root down. leaf, if not nil, is given every leaf.
func (m *pageMap) tree(root uint64, leaf func([]byte) error) error {
	height, err := m.height(root)
	if err != nil {
		return err
	}
	return m.subtree(root, subtree{height: height, last: true, leaf: leaf})
}

// height counts the branches above the leaves, which are all at the same depth.
func (m *pageMap) height(id uint64) (int, error) {
	for height := range maxDepth {
		p, err := m.read(id)
		if err != nil {
			return 0, err
		}
		if binary.LittleEndian.Uint16(p[8:]) != flagBranch || len(p) < pageHeader+elementSize {
			return height, nil // subtree will say if it is no leaf either
		}
		id = binary.LittleEndian.Uint64(p[pageHeader+8:])
	}
	return 0, fmt.Errorf("page %d is more than %d deep", id, maxDepth)
}

// subtree is what is known of a page before it is read.
type subtree struct {
	height    int
	low, high []byte // its keys are from low (inclusive) to high (exclusive); nil: no bound
	last      bool   // it is at the right edge of its tree, where a log goes on
	leaf      func([]byte) error
}

func (m *pageMap) subtree(id uint64, s subtree) error {
	use, want := uint8(useInner), uint16(flagBranch)
	if s.height == 0 {
		use, want = useLeaf, flagLeaf
	}
	if err := m.take(id, use); err != nil {
		return err
	}
	if s.height == 0 && s.leaf == nil && !s.last && !m.leaves {
		return nil
	}
	p, err := m.read(id)
	if err != nil {
		return err
	}
	for i := len(p)/int(m.meta.pageSize) - 1; i > 0; i-- {
		if err := m.take(id+uint64(i), useOverflow); err != nil {
			return err
		}
	}
	keys, err := checkPage(p, want)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if s.height > 0 || m.leaves || s.leaf != nil { // else a bad key in a leaf is the damage of one row
		if err := checkOrder(keys, s.low, s.high); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
	}
	switch {
	case s.height == 0 && s.leaf != nil:
		return s.leaf(p)
	case s.height == 0:
		return nil
	case len(keys) == 0:
		return fmt.Errorf("page %d: a branch without keys", id)
	}
	for i := range keys {
		child := subtree{height: s.height - 1, low: keys[i], high: s.high, last: s.last && i+1 == len(keys), leaf: s.leaf}
		if i+1 < len(keys) {
			child.high = keys[i+1]
		}
		if err := m.subtree(binary.LittleEndian.Uint64(p[pageHeader+i*elementSize+8:]), child); err != nil {
			return err
		}
	}
	return nil
}

// checkPage checks that the elements of a page lie in it, and gives their keys.
func checkPage(p []byte, flags uint16) ([][]byte, error) {
	if len(p) < pageHeader {
		return nil, fmt.Errorf("%d bytes", len(p))
	}
	le := binary.LittleEndian
	if got := le.Uint16(p[8:]); got != flags {
		return nil, fmt.Errorf("flags %#x, want %#x", got, flags)
	}
	count := int(le.Uint16(p[10:]))
	if pageHeader+count*elementSize > len(p) {
		return nil, fmt.Errorf("%d elements in %d bytes", count, len(p))
	}
	keys := make([][]byte, count)
	for i := range keys {
		at := pageHeader + i*elementSize
		e := p[at:]
		pos, ksize, vsize := uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), uint64(0)
		if flags == flagLeaf {
			pos, ksize, vsize = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
		}
		from := uint64(at) + pos
		if from < uint64(pageHeader+count*elementSize) || from+ksize+vsize > uint64(len(p)) || ksize == 0 {
			return nil, fmt.Errorf("element %d reaches from %d to %d of %d bytes", i, from, from+ksize+vsize, len(p))
		}
		keys[i] = p[from : from+ksize]
	}
	return keys, nil
}

func checkOrder(keys [][]byte, low, high []byte) error {
	for i, k := range keys {
		if i == 0 && low != nil && bytes.Compare(k, low) < 0 || i > 0 && bytes.Compare(k, keys[i-1]) <= 0 ||
			high != nil && bytes.Compare(k, high) >= 0 {
			return fmt.Errorf("key %d (%.20x) is out of order", i, k)
		}
	}
	return nil
}

// rootLeaf notes the buckets.
func (m *pageMap) rootLeaf(p []byte) error {
	le := binary.LittleEndian
	keys, err := checkPage(p, flagLeaf)
	if err != nil {
		return err
	}
	for i, k := range keys {
		e := p[pageHeader+i*elementSize:]
		if le.Uint32(e) != 1 {
			return fmt.Errorf("%.20q is not a bucket", k)
		}
		from := le.Uint32(e[4:]) + le.Uint32(e[8:])
		v := e[from : from+le.Uint32(e[12:])]
		if len(v) < 16 {
			return fmt.Errorf("bucket %.20q has a header of %d bytes", k, len(v))
		}
		m.buckets[string(k)] = boltBucket{le.Uint64(v), v[16:]}
	}
	return nil
}

func (m *pageMap) freelist() error {
	if m.meta.freelist == noFreelist {
		return nil
	}
	p, err := m.read(m.meta.freelist)
	if err != nil {
		return err
	}
	for i := range uint64(len(p)) / uint64(m.meta.pageSize) {
		if err := m.take(m.meta.freelist+i, useFreelist); err != nil {
			return err
		}
	}
	le := binary.LittleEndian
	count, at := uint64(le.Uint16(p[10:])), pageHeader
	if count == 0xffff {
		count, at = le.Uint64(p[at:]), at+8
	}
	if le.Uint16(p[8:]) != flagFreelist || count > uint64(len(p)-at)/8 {
		return fmt.Errorf("flags %#x, %d pages in %d bytes", le.Uint16(p[8:]), count, len(p))
	}
	for i := range int(count) {
		if err := m.take(le.Uint64(p[at+8*i:]), useFree); err != nil {
			return err
		}
	}
	return nil
}

// account asks of every page that nothing has claimed to be the rest of a long leaf just before it.
func (m *pageMap) account() error {
	looked := 0
	for id := uint64(2); id < m.meta.high; id++ {
		if m.use[id] != useNone {
			continue
		}
		if m.meta.freelist == noFreelist || looked == maxLooked {
			return nil // bbolt finds out itself what is free, or there is too much to look at before a start
		}
		looked++
		var header [pageHeader]byte
		if _, err := m.f.ReadAt(header[:], int64(id-1)*int64(m.meta.pageSize)); err != nil {
			return fmt.Errorf("page %d: %w", id-1, err)
		}
		over := uint64(binary.LittleEndian.Uint32(header[12:]))
		if m.use[id-1] != useLeaf || over == 0 || id+over > m.meta.high {
			return fmt.Errorf("page %d is neither in use nor free", id)
		}
		for i := range over {
			if err := m.take(id+i, useOverflow); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxLooked bounds how many long leaves are looked at when a journal is opened: reading one from a cold disk takes 0.1 ms.
const maxLooked = 2_000
