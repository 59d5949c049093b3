// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unicode"

	"xeiaso.net/site/wg"
)

// wgFlags say how the program reaches a private network.
type wgFlags struct {
	config   string
	domains  []string
	admin    string
	forwards []string
	socks    string
}

func (f *wgFlags) flags(fs *flag.FlagSet) {
	fs.StringVar(&f.config, "wg-config", "", "`file` in the form of wg-quick(8): the way into a private network by WireGuard, for this program alone (default: none)")
	listVar(fs, &f.domains, "wg-domains", "comma-separated `names`: they and those below them are reached through the tunnel, as those in the file's search domains are")
	fs.StringVar(&f.admin, "wg-admin", "", "`address`, such as :3001, of another admin listener, inside the tunnel; without admin-token only probes and metrics answer there (default: none)")
	fs.Func("wg-forward", "`local=remote`, such as 127.0.0.1:5432=db.internal:5432: connections to the address of this machine go on to that in the tunnel; several in a list with commas, or by several flags", func(s string) error {
		for pair := range strings.SplitSeq(s, ",") {
			if pair = strings.TrimSpace(pair); pair != "" {
				f.forwards = append(f.forwards, pair)
			}
		}
		return nil
	})
	fs.StringVar(&f.socks, "wg-socks", "", "`address` on this machine, such as 127.0.0.1:1080, of a SOCKS proxy into the tunnel (default: none)")
}

// anySet reports whether a private network matters at all.
func (f *wgFlags) anySet() bool {
	return f.config != "" || len(f.domains) > 0 || f.admin != "" || len(f.forwards) > 0 || f.socks != ""
}

// check finds what makes a tunnel pointless or dangerous. What is wrong with one of
// its uses switches that off alone.
func (f *wgFlags) check() error {
	if f.config == "" {
		return errors.New("there are flags for a tunnel, and -wg-config is not set")
	}
	if err := (&wg.SplitDialer{Domains: f.domains}).Check(); err != nil {
		return fmt.Errorf("-wg-domains: %w", err)
	}
	return nil
}

// private are the domains that are never looked up outside, whether or not there is a
// tunnel: those of the flag, and those of Fly.io, which the file could be for.
func (f *wgFlags) private() (domains []string) {
	domains = []string{"internal", "flycast"}
	for _, d := range f.domains {
		d = strings.TrimPrefix(strings.TrimPrefix(d, "*"), ".") // is wrong, and what it means is clear
		if (&wg.SplitDialer{Domains: []string{d}}).Check() == nil {
			domains = append(domains, d)
		}
	}
	return domains
}

// searchDomains are those that a file has which is otherwise wrong, as far as that can
// be told.
func searchDomains(path string) (domains []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		key, value, _ := strings.Cut(line, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "DNS") {
			continue
		}
		for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			if _, err := netip.ParseAddr(word); err != nil && (&wg.SplitDialer{Domains: []string{word}}).Check() == nil {
				domains = append(domains, word)
			}
		}
	}
	return domains
}

// splitForward reads one value of -wg-forward.
func splitForward(pair string) (local, remote string, err error) {
	local, remote, ok := strings.Cut(pair, "=")
	local, remote = strings.TrimSpace(local), strings.TrimSpace(remote)
	if !ok {
		return pair, "", errors.New("want local=remote, such as 127.0.0.1:5432=db.internal:5432")
	}
	for _, address := range []string{local, remote} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return local, remote, fmt.Errorf("%q is no address of the form host:port", address)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && address == remote {
			return local, remote, fmt.Errorf("the port of %q is no number up to 65535", address)
		}
		if host == "" && address == remote {
			return local, remote, fmt.Errorf("%q has no host", address)
		}
	}
	return local, remote, nil
}

// reachable reports whether other machines can come to an address of this one.
func reachable(addr net.Addr) bool {
	at, err := netip.ParseAddrPort(addr.String())
	return err != nil || !at.Addr().Unmap().IsLoopback()
}
