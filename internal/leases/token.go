package leases

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
)

// Token names one attempt in one worker's hands.
//
// A run's number and an attempt's count do not tell two histories of one journal apart: when an older copy of the file is put
// back, the same numbers are given a second time. So each start of the engine draws a random number, the events by which an
// attempt is scheduled say under which start that was, and the attempt's token carries it. A token of the other history has
// another Boot than the attempt of that number has now, and is nobody's.
type Token struct {
	Run     uint64
	Step    int32 // the instance, as events have it
	Attempt uint32
	Boot    uint64 // of the start under which the attempt was scheduled; 0: before there were such numbers
	Worker  string
}

// ErrToken is the answer to a token that this engine did not make for this worker.
var ErrToken = errors.New("the token was not given to this worker")

const (
	oldBody   = 16          // run, step, attempt
	tokenBody = oldBody + 9 // and a zero byte, and boot
	tokenMAC  = 16
)

// Signer prints and verifies tokens under one secret. It is safe for concurrent use.
type Signer struct{ desks sync.Pool }

// desk is what one signature needs, kept for the next.
type desk struct {
	mac         hash.Hash
	text        []byte // what is signed
	sum         []byte
	shown, read []byte
}

// NewSigner gives the signer of a secret.
func NewSigner(secret []byte) *Signer {
	return &Signer{desks: sync.Pool{New: func() any { return &desk{mac: hmac.New(sha256.New, secret)} }}}
}

var strict = base64.RawURLEncoding.Strict()

// Sign prints the token: what it says of the attempt, and a MAC over that and the worker's id under the journal's secret. The
// MAC can be verified after a restart, by the secret alone; whether the attempt has that Boot is the run's state to say.
//
//	run(8) step(4) attempt(4) 0(1) boot(8) mac(16), base64url
//	run(8) step(4) attempt(4) mac(16), base64url               when Boot is 0: the form of before
//
// No worker's id begins with a zero byte, so that a MAC of one form is never one of the other.
func (s *Signer) Sign(t Token) string {
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	b := binary.BigEndian.AppendUint64(d.text[:0], t.Run)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Step))
	b = binary.BigEndian.AppendUint32(b, t.Attempt)
	if t.Boot != 0 {
		b = binary.BigEndian.AppendUint64(append(b, 0), t.Boot)
	}
	d.text = b
	mac := d.sign(t.Worker)
	d.text = append(d.text[:len(b)], mac...)
	d.shown = base64.RawURLEncoding.AppendEncode(d.shown[:0], d.text)
	return string(d.shown)
}

// sign gives the MAC of the token that stands in d.text.
func (d *desk) sign(worker string) []byte {
	d.text = append(d.text, worker...)
	d.mac.Reset()
	d.mac.Write(d.text)
	d.sum = d.mac.Sum(d.sum[:0])
	return d.sum[:tokenMAC]
}

// Claims is what a token says of itself; nobody has verified it. It does not say whose it is.
func Claims(text string) (Token, error) {
	b, err := strict.DecodeString(text)
	body := bodyOf(text)
	if err != nil || body == 0 || len(b) != body+tokenMAC {
		return Token{}, ErrToken
	}
	return said(b, body), nil
}

// bodyOf is how many bytes of a token are not its MAC; 0: it is none.
func bodyOf(text string) int {
	switch len(text) {
	case base64.RawURLEncoding.EncodedLen(tokenBody + tokenMAC):
		return tokenBody
	case base64.RawURLEncoding.EncodedLen(oldBody + tokenMAC):
		return oldBody
	}
	return 0
}

// said reads the body of a token.
func said(b []byte, body int) Token {
	t := Token{Run: binary.BigEndian.Uint64(b), Step: int32(binary.BigEndian.Uint32(b[8:])), Attempt: binary.BigEndian.Uint32(b[12:])}
	if body == tokenBody {
		t.Boot = binary.BigEndian.Uint64(b[oldBody+1:])
	}
	return t
}

// Parse verifies a token that worker showed.
func (s *Signer) Parse(text string, worker string) (Token, error) {
	body := bodyOf(text)
	if body == 0 {
		return Token{}, ErrToken
	}
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	d.shown = append(d.shown[:0], text...)
	var err error
	if d.read, err = strict.AppendDecode(d.read[:0], d.shown); err != nil {
		return Token{}, ErrToken
	}
	if len(d.read) != body+tokenMAC { // line breaks count for nothing in base64
		return Token{}, ErrToken
	}
	b := d.read
	d.text = append(d.text[:0], b[:body]...)
	if !hmac.Equal(b[body:], d.sign(worker)) {
		return Token{}, ErrToken
	}
	t := said(b, body)
	t.Worker = worker
	return t, nil
}
