package worker

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
type Token struct {
	Run     uint64
	Step    int32
	Attempt uint32
	Worker  string
}

// ErrToken is the answer to a token that this engine did not make for this worker.
var ErrToken = errors.New("the token is not one that was given to this worker")

const tokenBody = 16 // run, step, attempt
const tokenMAC = 16

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

// Sign prints the token: run, step and attempt, and a MAC over them and the worker's id under the journal's secret. It can
// be verified after a restart, by the secret alone.
//
//	run(8) step(4) attempt(4) mac(16), base64url
func (s *Signer) Sign(t Token) string {
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	b := binary.BigEndian.AppendUint64(d.text[:0], t.Run)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Step))
	d.text = binary.BigEndian.AppendUint32(b, t.Attempt)
	mac := d.sign(t.Worker)
	d.text = append(d.text[:tokenBody], mac...)
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

// Parse verifies a token that worker showed.
func (s *Signer) Parse(text string, worker string) (Token, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(tokenBody+tokenMAC) {
		return Token{}, ErrToken
	}
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	d.shown = append(d.shown[:0], text...)
	var err error
	if d.read, err = strict.AppendDecode(d.read[:0], d.shown); err != nil {
		return Token{}, ErrToken
	}
	b := d.read
	d.text = append(d.text[:0], b[:tokenBody]...)
	if !hmac.Equal(b[tokenBody:], d.sign(worker)) {
		return Token{}, ErrToken
	}
	return Token{Run: binary.BigEndian.Uint64(b), Step: int32(binary.BigEndian.Uint32(b[8:])),
		Attempt: binary.BigEndian.Uint32(b[12:]), Worker: worker}, nil
}
