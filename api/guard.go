package api

import (
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// guard refuses what a browser page of somebody else might send: a foreign Host (DNS rebinding), a foreign Origin, a
// cross-site fetch, and bodies of the types that a page may send without asking. It stands before every route.
type guard struct {
	hosts map[string]bool // names that this daemon answers for, lower case, without port
}

func newGuard(listen string, extra []string) *guard {
	g := &guard{hosts: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		g.hosts[strings.ToLower(host)] = true
	}
	for _, h := range extra {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

// nameOf is the host of a Host header, without port and brackets.
func nameOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return strings.ToLower(host)
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

// host refuses names that are not this daemon's.
func (g *guard) host(r *http.Request) error {
	if name := nameOf(r.Host); !g.hosts[name] && !g.ownAddress(name, r) {
		return problem("host_refused", "Host "+quote(r.Host)+" is not one that this daemon serves")
	}
	return nil
}

func (g *guard) check(r *http.Request) error {
	if err := g.host(r); err != nil {
		return err
	}
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) || r.TLS != nil && u.Scheme != "https" {
			return problem("origin_refused", "Origin "+quote(origin)+" is not this daemon's")
		}
	}
	if site != "" && site != "same-origin" && site != "none" {
		return problem("origin_refused", "the request comes from a page of another site (Sec-Fetch-Site: "+site+")")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return problem("unsupported_media_type", "Content-Encoding "+quote(enc)+": send the body as it is")
	}
	if (origin != "" || site != "") && simple(r.Header.Get("Content-Type")) {
		return problem("unsupported_media_type", "a page must name the body's type, application/json")
	}
	return nil
}

// ownAddress says whether the name is the very address at which the request arrived: no name of DNS can be that.
func (g *guard) ownAddress(name string, r *http.Request) bool {
	ip := net.ParseIP(name)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if ip == nil || local == nil {
		return false
	}
	host, _, err := net.SplitHostPort(local.String())
	return err == nil && net.ParseIP(host).Equal(ip)
}

// simple says whether a page of any origin may send this type without asking first.
func simple(contentType string) bool {
	if contentType == "" {
		return false
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err != nil || media == "text/plain" || media == "application/x-www-form-urlencoded" || media == "multipart/form-data"
}
