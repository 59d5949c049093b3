// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// TokenClient is somebody who may ask a [TokenServer].
type TokenClient struct {
	// Name is what logs and metrics call the client.
	Name string

	// SHA256 are the hashes of the bearer tokens that it may come with, in hex:
	// one, or two while it changes from one to the other. [HashToken] makes them.
	SHA256 []string
}

// HashToken returns the hash of a bearer token, for [TokenClient.SHA256]. The
// token should be long and random, such as 32 characters of crypto/rand.Text:
// the hash is not made for passwords.
func HashToken(token Secret) string { return hash(token.Reveal()) }

// credential is one bearer token that is known.
type credential struct {
	client string
	sum    [sha256.Size]byte
}

// credentials reads the hashes of clients.
func credentials(clients []TokenClient) ([]credential, error) {
	var all []credential
	owners := map[[sha256.Size]byte]string{}
	for _, c := range clients {
		if c.Name == "" || strings.ContainsAny(c.Name, "\r\n\x00") {
			return nil, fmt.Errorf("patreon: %q is no name of a client of the token server", c.Name)
		}
		if len(c.SHA256) == 0 {
			return nil, fmt.Errorf("patreon: the client %q of the token server has no token", c.Name)
		}
		for _, h := range c.SHA256 {
			sum, err := hex.DecodeString(h)
			if err != nil || len(sum) != sha256.Size {
				return nil, fmt.Errorf("patreon: a token hash of the client %q is not a SHA-256 of 64 hex digits", c.Name)
			}
			key := [sha256.Size]byte(sum)
			if key == sha256.Sum256(nil) {
				return nil, fmt.Errorf("patreon: a token hash of the client %q is that of an empty token, which everybody has", c.Name)
			}
			if other, ok := owners[key]; ok && other != c.Name {
				return nil, fmt.Errorf("patreon: the clients %q and %q have the same token", other, c.Name)
			}
			owners[key] = c.Name
			all = append(all, credential{c.Name, key})
		}
	}
	return all, nil
}

// errUnauthenticated is about a request without a bearer token that is known.
var errUnauthenticated = errors.New("a bearer token is needed that this server knows")

// whoAsks returns the name of the client of a request. Without clients, who
// comes from this machine may ask, or over a socket or a listener that is
// trusted; browsers may not, since a page of anybody's can send them here.
func (s *TokenServer) whoAsks(r *http.Request) (string, error) {
	known := *s.credentials.Load()
	if len(known) == 0 {
		return s.anonymous(r)
	}
	token := bearer(r)
	if token == "" {
		return "", errUnauthenticated
	}
	sum := sha256.Sum256([]byte(token))
	name := ""
	for _, c := range known { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(sum[:], c.sum[:]) == 1 {
			name = c.client
		}
	}
	if name == "" {
		return "", errUnauthenticated
	}
	return name, nil
}

func (s *TokenServer) anonymous(r *http.Request) (string, error) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	switch {
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return "", errors.New("browsers are not served")
	case s.cfg.Trusted:
		return "trusted", nil
	case local != nil && local.Network() == "unix":
		return "local", nil
	case isLoopback(local) && isLocalName(r.Host):
		return "local", nil
	}
	return "", errors.New("no clients are configured, and without them only this machine is served, by the name of localhost")
}

// bearer returns the token of a request. The password of basic authentication
// counts as one, since that can be written into an address.
func bearer(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// isLocalName reports whether a Host field names this machine. Another name can
// lead here as well, by a resolver that somebody else has under control.
func isLocalName(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && addr.IsLoopback()
}
